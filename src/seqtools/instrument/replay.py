"""Evaluates an item again and prints each stage."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from seqtools._core.display.short import cut, short
from seqtools._core.display.tree import place_of, printable
from seqtools._core.error_path import described
from seqtools._core.errors import EndOfSequence, EvaluationError, is_of_item, summary
from seqtools._core.indices import Indices, is_run
from seqtools._core.positions import ended, position
from seqtools._core.sequence import LazySequence
from seqtools._core.walk import upstream
from seqtools.instrument.inlined import Watched, inlined
from seqtools.instrument.quantities import duration
from seqtools.instrument.user_code import blame, post_mortem

_OF_EACH = 3
"""Items of a stage to print; the others are counted. Arbitrary."""
_MOST_STEPS = 100
"""Items of all stages to print. Arbitrary."""
_VALUE = 72
"""Characters of a value. Arbitrary."""
_NAME = 20, 44
"""Fewest and most characters of a stage with its index. Arbitrary."""


@dataclass(slots=True)
class Read:
    """A read from a stage: one item, or several with one call."""

    stage: str
    """Short description, such as `smap(load)`."""
    index: int
    """Index of the item in that stage, or of the first item."""
    count: int | None = None
    """For a bulk read, the number of items."""
    run: bool = False
    """Whether these items are consecutive."""
    own: float = 0.0
    """Seconds in the stage itself."""
    total: float = 0.0
    """Seconds in the stage and in all that it read."""
    value: Any = None
    """The item, or for a bulk read, all of them."""
    found: str = ""
    """For a cache, whether it had the item."""
    error: BaseException | None = None
    """Why there is no value."""

    @property
    def name(self) -> str:
        """The stage and its items, as in `smap(load)[3]`."""
        if self.count is None:
            return f"{self.stage}[{self.index}]"
        if self.run:
            return f"{self.stage}[{self.index}:{self.index + self.count}]"
        return f"{self.stage}[{self.index} + {self.count - 1:,} more]"


@dataclass(slots=True)
class _Count:
    """Reads from a stage that are not printed."""

    last: Read
    reads: int = 0
    seconds: float = 0.0

    def add(self, other: "_Count") -> None:
        self.last = other.last
        self.reads += other.reads
        self.seconds += other.seconds


@dataclass(slots=True)
class _Frame:
    """A stage that is evaluating."""

    stage: Watched
    read: Read
    began: float
    spent: float = 0.0
    """Seconds in the stages that it reads."""
    counts: dict[int, _Count] = field(default_factory=dict)
    """Reads for it that are not printed, by the id of the stage."""


class Replay:
    """How an item was evaluated; its `str` is the printed text."""

    def __init__(self) -> None:
        self.steps: list[Read] = []
        """The printed reads, in order."""
        self.value: Any = None
        """The item."""
        self.error: BaseException | None = None
        """The exception, if a stage failed."""
        self._lines: list[str] = []
        self._thread = threading.get_ident()
        self._frames: list[_Frame] = []
        self._printed: dict[int, int] = {}
        self._failed: list[_Frame] = []
        self._raised: BaseException | None = None
        self._lost = 0.0  # seconds spent on printing
        self._width = _NAME[0]

    def __str__(self) -> str:
        """Return the printed text."""
        return "\n".join(self._lines)

    def __repr__(self) -> str:
        """Return one line with the result."""
        if not self.steps:
            return "<replay>"
        end = f"failed in {summary(self.error)}" if self.error else short(self.value)
        return cut(f"<replay of {len(self.steps)} steps: {self.steps[-1].name} {end}>", 120)

    # Reading

    def evaluate(self, sequence: LazySequence[Any], given: int, *, debugger: bool) -> None:
        """Evaluate item `given` of `sequence`; see `explain`."""
        i = position(sequence, given)
        longest = max(len(described(stage)) for stage in upstream(sequence))
        self._width = min(max(longest + 14, _NAME[0]), _NAME[1])
        self._print(f"item {i} of {described(sequence)}")
        self._print(f"{'':<{self._width}} {'own':>8} {'total':>8}  value")
        first = inlined(sequence, self)
        try:
            self.value = self.read(first, i)
        except EndOfSequence:
            self._end(sequence, given, i)
        except BaseException as error:
            if not is_of_item(error):
                raise
            self._print_failure(error)
        finally:
            self._thread = -1  # views among the values may be read later
        if self.error is not None and debugger:
            post_mortem(self.error)

    def read(self, stage: Watched, i: int) -> Any:
        """Return `stage.evaluate(i)`."""
        return self._run(stage, Read(stage.name, i), lambda: stage.evaluate(i))

    def read_many(self, stage: Watched, indices: Indices) -> Any:
        """Return `stage.evaluate_many(indices)`."""
        first = int(indices[0]) if len(indices) else 0
        read = Read(stage.name, first, len(indices), is_run(indices))
        return self._run(stage, read, lambda: stage.evaluate_many(indices))

    def _run(self, stage: Watched, read: Read, evaluate: Callable[[], Any]) -> Any:
        if threading.get_ident() != self._thread:
            return evaluate()
        if self._raised is not None:
            self._print("(an item failed, and the stage that reads it goes on)")
            self._raised = None
        lost = self._lost
        frame = _Frame(stage, read, perf_counter())
        self._frames.append(frame)
        try:
            value = evaluate()
        except EndOfSequence:
            raise
        except BaseException as error:
            if (
                is_of_item(error) and error is not self._raised
            ):  # otherwise an inner stage raised it
                self._raised, self._failed = error, list(self._frames)
            raise
        finally:
            ended = perf_counter()
            self._frames.pop()
            total = ended - frame.began - (self._lost - lost)
            if self._frames:
                self._frames[-1].spent += total
            frame.read.total, frame.read.own = total, max(0.0, total - frame.spent)
        frame.read.value, frame.read.found = value, stage.found()
        self._print_or_count(frame)
        self._lost += perf_counter() - ended
        return value

    def _end(self, sequence: LazySequence[Any], given: int, i: int) -> None:
        """Print the error that `sequence[given]` raises after the end of a source."""
        try:
            ended(sequence, given, i)
        except EvaluationError as error:
            self.error = error
            self._print(summary(error))

    # Printing

    def _print_or_count(self, frame: _Frame) -> None:
        """Print a read, or count it for the stage that needs it."""
        key = id(frame.stage.original)
        printed = self._printed.get(key, 0)
        if not self._frames or (printed < _OF_EACH and len(self.steps) < _MOST_STEPS):
            self._printed[key] = printed + 1
            self._print_counts(frame)
            self._print_read(frame.read)
            return
        counts = self._frames[-1].counts
        frame.counts[key] = _Count(frame.read, 1, frame.read.total)
        for other, count in frame.counts.items():
            counts.setdefault(other, _Count(count.last)).add(count)

    def _print_counts(self, frame: _Frame) -> None:
        counts = list(frame.counts.values())
        if len(counts) > _MOST_STEPS:
            reads, seconds = sum(c.reads for c in counts), sum(c.seconds for c in counts)
            self._print_more(f"… {reads:,} more of {len(counts):,} others", seconds)
        else:
            for count in counts:
                if count.reads == 1:
                    self._print_read(count.last)
                else:
                    what = f"… {count.reads:,} more of {count.last.stage}"
                    self._print_more(what, count.seconds)
        frame.counts.clear()

    def _print_more(self, what: str, seconds: float) -> None:
        width = self._width + 9  # without a column for its own time
        self._print(f"{cut(what, width):<{width}} {duration(seconds):>8}")

    def _print_read(self, read: Read) -> None:
        self.steps.append(read)
        value = short(read.value, _VALUE)
        value = f"{read.found}: {value}" if read.found else value
        times = f"{duration(read.own):>8} {duration(read.total):>8}"
        self._print(f"{cut(read.name, self._width):<{self._width}} {times}  {value}")

    def _print_failure(self, error: BaseException) -> None:
        self.error = error
        for frame in self._failed:
            self._print_counts(frame)
        *waiting, failed = [frame.read for frame in self._failed]
        failed.error = error
        self.steps.append(failed)
        reason = cut(summary(error), 3 * _VALUE)
        times = f"{duration(failed.own):>8} {duration(failed.total):>8}"
        self._print(f"{cut(failed.name, self._width):<{self._width}} {times}  failed")
        self._print("")
        self._print(reason)
        code = blame(error)
        if code is not None:
            place = place_of(code.filename, code.lineno or 0)
            self._print(f"  in {code.name}, {place}: {code.line}")
        stage = self._failed[-1].stage.original
        made = f", made at {place_of(*stage._origin)}" if hasattr(stage, "_origin") else ""
        self._print(f"  for {failed.name}{made}")
        if waiting:
            self._print(f"  needed by {', '.join(read.name for read in reversed(waiting))}")

    def _print(self, line: str) -> None:
        self._lines.append(printable(line.rstrip()))
        print(self._lines[-1], flush=True)
