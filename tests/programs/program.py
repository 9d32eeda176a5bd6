"""What a random program is made of, and its source text."""

from dataclasses import dataclass
from textwrap import indent

from tests.programs.definitions import around
from tests.programs.effects import EFFECTS, ERRORS, Effect
from tests.programs.readers import READERS
from tests.programs.stages import Part
from tests.programs.values import VALUES

AUTO = "auto"
POOL = "pool"
"""A process pool of the standard library, made for the program."""
PROCESSES = ("template", "spawn", "fork", POOL)
"""The start methods of worker processes, and the pool."""


@dataclass(frozen=True)
class Function:
    """A function of an item."""

    kinds: tuple[str, ...]
    """What it returns, in turn: names of `VALUES`."""
    effects: tuple[str, ...] = ()
    """What it does beside: names of `EFFECTS`."""
    error: str | None = None
    """What it raises at some items: a name of `ERRORS`."""

    def filled(self, k: int) -> list[Effect]:
        return [EFFECTS[name].filled(k) for name in self.effects]

    def text(self, k: int) -> str:
        """Return its source text, as function `k` of a program."""
        effects = self.filled(k)
        before = "\n\n".join(effect.before for effect in effects if effect.before)
        value = "value_" if len(self.kinds) > 1 else VALUES[self.kinds[0]]
        lines = ["i = number(x)"]
        if self.error:
            lines.append(f"if i % 5 == 3:\n    raise {ERRORS[self.error]}")
        if len(self.kinds) > 1:
            for number, kind in enumerate(self.kinds):
                head = "if" if not number else "elif"
                lines.append(
                    f"{head} i % {len(self.kinds)} == {number}:\n    value_ = {VALUES[kind]}"
                )
        for effect in effects:
            if effect.body:
                lines.append(effect.body.replace("{v}", value))
            value = effect.result.replace("{v}", value)
        lines.append(f"return {value}")
        body = indent("\n".join(lines), "    ")
        return f"{before}\n\ndef f{k}(x):\n{body}" if before else f"def f{k}(x):\n{body}"

    @property
    def tags(self) -> set[str]:
        """What about it can depend on the engine: see `expected.py`."""
        return {tag for name in self.effects for tag in EFFECTS[name].tags}


@dataclass(frozen=True)
class Engine:
    """Where a program is run."""

    name: str
    """`inline`, `copies` (inline, copied items), `thread`, `auto`, `pool`, or a start method."""
    nworkers: int

    @property
    def options(self) -> dict[str, object]:
        """What `prefetch` is given."""
        if self.name == AUTO:
            return {"nworkers": AUTO}
        if self.name == POOL:
            return {"nworkers": self.nworkers, "method": POOL}
        if self.name in PROCESSES:
            return {"nworkers": self.nworkers, "method": "process", "start_method": self.name}
        return {"nworkers": self.nworkers, "method": "thread"}

    def __str__(self) -> str:
        return f"{self.name} {self.nworkers}" if self.nworkers else self.name


INLINE = Engine("inline", 0)
COPIES = Engine("copies", 0)


@dataclass(frozen=True)
class Program:
    """A program, as it is made from a seed or made smaller."""

    seed: int
    source: Part
    stages: tuple[Part | Function, ...]
    """Over the source, the first first."""
    reader: str
    """A name of `READERS`."""
    options: tuple[tuple[str, object], ...] = ()
    """For `prefetch`, beside those of the engine."""
    module: bool = False
    """Whether it is a module that workers can import; else a script."""

    @property
    def functions(self) -> list[Function]:
        return [stage for stage in self.stages if isinstance(stage, Function)]

    @property
    def tags(self) -> frozenset[str]:
        """What about it can depend on the engine: see `expected.py`."""
        found = {"module"} if self.module else set()
        for stage in (self.source, *self.stages):
            found.update(stage.tags)
        return frozenset(found | set(READERS[self.reader].tags.split()))

    def all_options(self) -> dict[str, object]:
        """Return what `prefetch` is given, in source text where it is no number."""
        options = dict(self.options)
        for function in self.functions:
            options.update(pair for name in function.effects for pair in EFFECTS[name].options)
        if "hook" in self.tags:
            options["start_hook"] = "hook"
        return options

    def text(self) -> str:
        """Return its source text."""
        numbered = {}
        for stage in self.stages:
            if isinstance(stage, Function):
                numbered[len(numbered)] = stage
        blocks = [part.before for part in (self.source,) if part.before]
        blocks += [function.text(k) for k, function in numbered.items()]
        hooks = [e.hook for k, f in numbered.items() for e in f.filled(k) if e.hook]
        if hooks:
            blocks.append("def hook():\n" + indent("\n".join(hooks), "    "))
        numbers = iter(numbered)
        lines = [f"s = {self.source.text}"]
        for stage in self.stages:
            text = (
                f"seqtools.smap(f{next(numbers)}, s)" if isinstance(stage, Function) else stage.text
            )
            lines.append(f"s = {text}")
        blocks.append("def build():\n" + indent("\n".join([*lines, "return s"]), "    "))
        shown = ", ".join(f'"{name}": {value}' for name, value in self.all_options().items())
        blocks.append(f"OPTIONS = {{{shown}}}")
        blocks.append(f"def read(p, see):\n{READERS[self.reader].body}")
        body = "\n\n".join(blocks)
        imports, definitions = around(body)
        head = [*imports, "import seqtools"]
        return "\n".join(head) + "\n\n" + "\n\n".join([*definitions, body]) + "\n"
