"""What a function of a program does beside returning a value.

`{k}` is the number of the function, `{v}` the value that it would return, `i` a number that
depends on what it was given, and `x` is what it was given.
"""

from dataclasses import dataclass
from textwrap import dedent


@dataclass(frozen=True)
class Effect:
    """Source text of it, and what about it can depend on the engine: see `expected.py`."""

    before: str = ""
    """Stands before the function."""
    body: str = ""
    """Stands in it, at its beginning."""
    result: str = "{v}"
    """What is returned."""
    tags: tuple[str, ...] = ()
    hook: str = ""
    """The start hook, which sets what the function finds."""
    options: tuple[tuple[str, object], ...] = ()
    """For `prefetch`."""

    def filled(self, k: int) -> "Effect":
        """Return it for function `k`."""
        before, body, result, hook = (
            dedent(text).strip("\n").replace("{k}", str(k))
            for text in (self.before, self.body, self.result, self.hook)
        )
        return Effect(before, body, result, self.tags, hook, self.options)


def _sets(body: str, result: str, before: str = "") -> Effect:
    return Effect(before, body, result, ("global",))


_SEED = (("seed", 5),)

EFFECTS: dict[str, Effect] = {
    "nothing": Effect(),
    # one object, filled again
    "buffer": Effect("buffer{k} = np.zeros(4, int)", "buffer{k}[:] = i", "buffer{k}", ("refills",)),
    "large buffer": Effect(
        "buffer{k} = np.zeros(20_000)", "buffer{k}.fill(i)", "buffer{k}", ("refills",)
    ),
    "buffer in a dict": Effect(
        "buffer{k} = np.zeros(4, int)",
        "buffer{k}[:] = i",
        '{{"i": i, "buffer": buffer{k}, "v": {v}}}'.replace("{{", "{").replace("}}", "}"),
        ("refills",),
    ),
    "dict": Effect(
        "filled{k} = {}", 'filled{k}.clear()\nfilled{k}["i"] = i', "filled{k}", ("refills",)
    ),
    "list": Effect("filled{k} = []", "filled{k}[:] = [i, [i]]", "filled{k}", ("refills",)),
    "instance": Effect("filled{k} = Point(0)", "filled{k}.x = i", "filled{k}", ("refills",)),
    "bytearray": Effect("filled{k} = bytearray(9)", "filled{k}[0] = i", "filled{k}", ("refills",)),
    "two buffers": Effect(
        "buffers{k} = [np.zeros(3, int), np.zeros(3, int)]",
        "buffers{k}[i % 2][:] = i",
        "buffers{k}[i % 2]",
        ("refills",),
    ),
    "changes what it returned before": Effect(
        "returned{k} = []",
        """
        if returned{k}:
            returned{k}.pop().append("late")
        value = [i, {v}]
        returned{k}.append(value)
        """,
        "value",
        ("refills",),
    ),
    # one object, as it is
    "constant": Effect('constant{k} = {"names": ["a", "b"]}', "", "[i, constant{k}]", ("same",)),
    "constant array": Effect("constant{k} = np.ones(5)", "", "constant{k}", ("same",)),
    "large constant": Effect("constant{k} = np.ones(9_000)", "", "[i, constant{k}]", ("same",)),
    "memo": Effect(
        """
        @functools.lru_cache
        def made{k}(i):
            return [i, {"i": i}]
        """,
        "",
        "made{k}(i)",
        ("same",),
    ),
    "memo in a dict": Effect(
        "known{k} = {}", "value = known{k}.setdefault(i, [i, [i]])", "value", ("same",)
    ),
    "two views": Effect("", "whole_ = np.arange(i, i + 6)", "[whole_, whole_[2:]]", ("views",)),
    # what it was given
    "changes what it was given": Effect("", "spoil(x)", "x", ("changes",)),
    "adds in place": Effect(
        "",
        "if isinstance(x, np.ndarray) and x.dtype.kind in 'iu' and x.flags.writeable:\n    x += 1",
        "x",
        ("changes",),
    ),
    "returns what it was given": Effect("", "", "x"),
    "returns it twice": Effect("", "", "[x, {v}, x]"),
    "keeps what it was given": Effect("given{k} = deque(maxlen=5)", "given{k}.append(x)", "[i, x]"),
    # state
    "counts": Effect("calls{k} = 0", "global calls{k}\ncalls{k} += 1"),
    "returns its count": Effect(
        "calls{k} = 0", "global calls{k}\ncalls{k} += 1", "[i, calls{k}]", ("state",)
    ),
    "own generator": Effect(
        "rng{k} = np.random.default_rng(3)", "", "[i, rng{k}.random()]", ("draws-own",)
    ),
    "sums up": Effect("sums{k} = [0]", "sums{k}[0] += i", "list(sums{k})", ("state",)),
    "global": _sets("global current{k}\ncurrent{k} = i", "[current{k}, {v}]", "current{k} = None"),
    "class attribute": _sets(
        "Settings{k}.now = i", "[Settings{k}.now, {v}]", "class Settings{k}:\n    now = None"
    ),
    "closure": _sets(
        "set{k}(i)",
        "[get{k}(), {v}]",
        """
        def made{k}():
            now = None
            def set_(i):
                nonlocal now
                now = i
            def get():
                return now
            return set_, get

        set{k}, get{k} = made{k}()
        """,
    ),
    "attribute of itself": _sets("f{k}.now = i", "[f{k}.now, {v}]"),
    "environment": _sets('os.environ["PROGRAM"] = str(i)', '[i, os.environ["PROGRAM"]]'),
    "thread-local": Effect(
        "local{k} = threading.local", "here = local{k}()\nhere.i = i", "[here.i, {v}]"
    ),
    "context variable": Effect(
        "",
        'variable = contextvars.ContextVar("variable")\nvariable.set(i)',
        "[variable.get(), {v}]",
    ),
    "reads a global": Effect("offset{k} = 7", "", "[i + offset{k}, {v}]"),
    "reads a table": Effect("table{k} = np.arange(10_000)", "", "[int(table{k}[i]), {v}]"),
    "reads globals()": Effect("", "", '[i, __name__ == "__main__", {v}]', ()),
    "set by a hook": Effect(
        "state{k} = None", "", "[i, state{k}]", ("hook",), "global state{k}\nstate{k} = 'open'"
    ),
    "class set by a hook": Effect(
        "class Hooked{k}:\n    state = None",
        "",
        "[i, Hooked{k}.state]",
        ("hook",),
        "Hooked{k}.state = 'open'",
    ),
    "list filled by a hook": Effect(
        "opened{k} = []", "", "[i, opened{k}[:1]]", ("hook",), "opened{k}.append('open')"
    ),
    # random
    "random": Effect("", "", "[i, random.random()]", ("draws",), options=_SEED),
    "np.random": Effect("", "", "[i, np.random.rand()]", ("draws",), options=_SEED),
    "random for itself": Effect("", "", "[i, random.Random(i).random()]"),
    "unseeded": Effect("", "", "[i, random.random()]", ("unseeded",)),
    # hashes
    "hash": Effect("", "", "[i, hash(str(i)), {v}]", ("hash",)),
    "order of a set": Effect("", "", "[i, list({'a', 'b', 'c', str(i)})]", ("hash",)),
    # threads and processes
    "pool of threads": Effect(
        "",
        "with ThreadPoolExecutor(2) as pool:\n    made = list(pool.map(abs, range(-i, 0)))",
        "[i, made]",
    ),
    "thread": Effect(
        "",
        """
        made = []
        thread = threading.Thread(target=made.append, args=(i,))
        thread.start()
        thread.join()
        """,
        "[made[0], {v}]",
    ),
    "program": Effect(
        "",
        'done = subprocess.run(["echo", str(i)], capture_output=True, text=True, check=True)',
        "[i, done.stdout]",
    ),
    "fork": Effect(
        "",
        "child = os.fork()\nif not child:\n    os._exit(i % 7)\n_, status = os.waitpid(child, 0)",
        "[i, status]",
    ),
    "asyncio": Effect("", "slept = asyncio.run(asyncio.sleep(0, i))", "[slept, {v}]"),
    "prefetch of its own": Effect(
        "", "with seqtools.prefetch(range(i, i + 3), 1) as own:\n    read = list(own)", "[i, read]"
    ),
    "pipeline of its own": Effect("", "", "[i, list(seqtools.smap(abs, range(-3, 0)))]"),
    "sleeps": Effect("", "time.sleep(0.003 * (i % 3))"),
    "file": Effect(
        "",
        "with tempfile.TemporaryFile() as file:\n    file.write(bytes(i))\n    size = file.tell()",
        "[i, size]",
    ),
    "collects": Effect("", "gc.collect(0)"),
    "recursion": Effect("", "def down(n):\n    return n and down(n - 1)\ndown(300)"),
    "default arguments": Effect(
        "def defaults{k}(i, of=[], /, *, more={'a': 1}):\n    return [i, list(of), dict(more)]",
        "",
        "defaults{k}(i)",
    ),
    # text
    "prints": Effect("", 'print("function {k} at", i)', "{v}", ("prints",)),
    "prints parts": Effect(
        "", 'print("part", end=" ")\nprint("of", i, flush=True)', "{v}", ("prints",)
    ),
    "warns": Effect("", 'warnings.warn(f"number {i}")'),
    "logs": Effect("", 'logging.getLogger("program").debug("number %d", i)'),
    # the state of modules
    "decimal context": Effect(
        "decimal.getcontext().prec = 5", "", "[i, decimal.Decimal(1) / 3]", ("sets-contexts",)
    ),
    "warnings filter": Effect(
        'warnings.simplefilter("error", FutureWarning)',
        'warnings.warn("soon", FutureWarning)',
        "{v}",
        ("sets-modules",),
    ),
    "np.seterr": Effect(
        'np.seterr(divide="raise")', "", "[i, np.float64(1) / np.zeros(1)]", ("sets-contexts",)
    ),
    "exception with a cause": Effect("", "", "[i, caused(ValueError(i), KeyError(i))]"),
}
"""All effects, by their names."""

ERRORS: dict[str, str] = {
    "ValueError": "ValueError(i)",
    "IndexError": "IndexError(i)",
    "StopIteration": "StopIteration(i)",
    "KeyError": "KeyError(('a', i))",
    "StopAsyncIteration": "StopAsyncIteration()",
    "own, one argument told": "Failed(i, 'why')",
    "keyword-only": "KeywordOnly(code=i)",
    "slots": "SlottedError(i)",
    "a lock": "LockError(i)",
    "textless": "Textless(i)",
    "falsy": "Falsy(i)",
    "equal": "Equal(i)",
    "notes": "noted(ValueError(i))",
    "group": "ExceptionGroup('both', [ValueError(i), KeyError('k')])",
    "own group": "Grouped('both', [ValueError(i), LockError(i)])",
    "cause": "caused(ValueError(i), KeyError(i))",
    "own IndexError": "IndexLike(i)",
    "of the library": "seqtools.EvaluationError('own')",
    "UnicodeDecodeError": "UnicodeDecodeError('utf8', b'a', 0, 1, 'no')",
    "OSError": "FileNotFoundError(2, 'gone', f'/nowhere/{i}')",
    "surrogate": "ValueError('\\udc80')",
    "array": "ValueError(np.arange(i))",
    "a generator in it": "ValueError(k for k in [i])",
    "recursion": "RecursionError(i)",
    "memory": "MemoryError(i)",
    "assertion": "AssertionError(i)",
    "large": "ValueError('a' * 100_000)",
    "timeout": "TimeoutError(i)",
    "SystemExit": "SystemExit(i)",
    "GeneratorExit": "GeneratorExit(i)",
    "panic": "Panic(i)",
}
"""What functions raise."""
NO_EXCEPTIONS = frozenset({"SystemExit", "GeneratorExit"})
"""Those of them after which an item is still to be read."""
