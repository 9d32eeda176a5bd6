"""The protocol of engines, which evaluate items.

An engine receives *jobs*: indices that belong together. It evaluates them in threads, processes or
elsewhere with a function `get(i)`, and delivers *parts*: the outcomes of consecutive items of a
job. It calls the function `deliver` from its own threads. So no reader has to receive anything, no
signal handler of the user runs in the engine's code, and work continues while the reader is busy.

The outcome of an item is what `get` returns. It is `END` if `get` raises `EndOfSequence`, and
`Failure.caught(error)` if it raises any other `BaseException`: no exception may end a worker. The
reader raises an `EvaluationError` for it, or the error itself if that is a `KeyboardInterrupt`, a
`SystemExit` or a `GeneratorExit`. (All three are in `seqtools.extend`.)

An engine promises:

- Every item of a job that was not cancelled is delivered, a value or an error, even if its worker
  dies. Parts may come in any order, in any size, and twice: the receiver ignores items that have
  arrived already.
- An item is not evaluated twice, except after the death of a worker.
- With a timeout, an item that takes longer is delivered as a `Failure` with an `ItemTimeout` that
  names it, and is not evaluated again. Its worker is replaced. Other items are not affected.
- If it cannot evaluate any item, it delivers a `WorkerStartError`, and must be closed.
- After `close`, none of its workers, threads, file descriptors or shared memory is left, except a
  thread inside user code, which cannot be stopped: it is abandoned and named in a warning, and its
  results are dropped.

It promises neither order nor fairness.
"""

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, Protocol, TypeAlias

from seqtools._core.errors import WorkerStartError

END: Any = type("End", (), {"__repr__": lambda _: "END"})()
"""The outcome of an index after the end of a source without known length."""

PAUSE = 0.5
"""Longest single wait, in seconds. If a Ctrl-C comes just before a call that waits, Python handles
it only after the call."""

AHEAD = 16
"""Items to send as hints, if stages act on hints. Arbitrary: this number was measured."""

here = threading.local()
"""In a thread that is a worker, `here.get` is the function that evaluates items."""

GroupOf: TypeAlias = Callable[[int], tuple[Hashable, range]]
"""Returns the group of an index, `None` if it has none, and a range of indices of that group."""


class Job:
    """Indices that an engine should evaluate.

    Args:
        id: A number that no other job of this process has.
        indices: The items to evaluate: a range, or a sequence of integers, at least one.
        key: Identifies what these items share, such as a file, so that one worker should evaluate
            all jobs with this key; `None` if nothing is known.
        offset: Offset of `indices` in the job of the window: an engine may cut a job into pieces,
            which keep its id.
    """

    __slots__ = ("id", "indices", "key", "offset", "runs", "sent")

    def __init__(
        self,
        id: int,  # noqa: A002 -- that is what it is
        indices: Sequence[int],
        key: Hashable = None,
        offset: int = 0,
    ) -> None:
        self.id, self.indices, self.key, self.offset = id, indices, key, offset
        self.runs: Sequence[Any] = ()
        """The runs that expect its items. For the window only."""
        self.sent = False
        """Whether it was sent to an engine. For the window only."""

    def __repr__(self) -> str:
        """Return its fields."""
        return f"Job({self.id}, {self.indices!r}, {self.key!r})"


class Part:
    """The outcomes of consecutive items of a job.

    Args:
        job: The id of the job.
        offset: Offset of the first of these items in the job.
        outcomes: Values; or, if it `failed`, a single `Failure` or `END`.
        seconds: The time to evaluate them; 0 if it is unknown.
        failed: Whether it is a single outcome that is not a value.
        notes: Functions to be called where the items arrive, once for each evaluation: side
            effects of the evaluation, such as records of logging.
    """

    __slots__ = ("failed", "job", "notes", "offset", "outcomes", "seconds")

    def __init__(  # noqa: PLR0913 -- its fields
        self,
        job: int,
        offset: int,
        outcomes: list[Any],
        seconds: float = 0.0,
        *,
        failed: bool = False,
        notes: Sequence[Callable[[], object]] = (),
    ) -> None:
        self.job, self.offset, self.outcomes = job, offset, outcomes
        self.seconds, self.failed, self.notes = seconds, failed, notes

    def __repr__(self) -> str:
        """Return its fields."""
        failed = ", failed=True" if self.failed else ""
        return f"Part({self.job}, {self.offset}, {self.outcomes!r}{failed})"


Deliver: TypeAlias = Callable[[Part | WorkerStartError | None], None]
"""Receives a part from any thread, at any time, and never waits.

An error means that no item can be evaluated, and `None` that the engine has `news`.
"""


class Engine(Protocol):
    """A place where items are evaluated; `docs/engines.md` has all its duties.

    Any thread and the garbage collector may call each method. In the main thread, an interrupt
    may end a method at any step, and the caller then makes the request again. So each method must
    do its essential change in a single step.
    """

    @property
    def grain(self) -> float:
        """The target duration of a job, in seconds: about ten times the cost of one message.

        Jobs take about this time, once the time of an item is known.
        """

    @property
    def group_of(self) -> GroupOf | None:
        """Returns which items one worker should evaluate together; `None` if it does not matter."""

    @property
    def nworkers(self) -> int:
        """The number of workers, including those that will be started."""

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Accept jobs; evaluate `urgent` ones before all waiting jobs."""

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that no worker has: no reader expects them."""

    def look(self) -> float:
        """Do work that is only necessary while a reader waits, such as checking for timeouts.

        Called by a thread that waits for an item. Returns the seconds until the next call.
        """

    def waited(self, seconds: float) -> None:
        """Note that a reader has waited for `seconds`."""

    def tell(self) -> None:
        """Issue pending warnings, in the thread of a reader."""

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, return after the workers have ended."""

    def busy(self) -> int:
        """Return the number of workers that are evaluating items, as far as known.

        It never waits. A worker that is still starting is not busy.
        """
