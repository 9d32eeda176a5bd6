"""What an engine is: a place where items are evaluated.

An engine is given *jobs*: indices that belong together. It evaluates them in threads,
processes or elsewhere, by a function `get(i)`, and hands over *parts*: the outcomes of consecutive
items of a job. It calls `deliver`, which was given to it, from threads of its own. Nobody has to
receive anything, no signal handler of the user ever runs in its code, and work goes on while the
reader is busy.

The outcome of an item is what `get` returns. It is `END` if `get` raises `EndOfSequence`, and
`Failure.caught(error)` if it raises any other `BaseException`: none of them may end a worker.
(All three are in `seqtools.extend`.)

What an engine promises:

- Every item of a job that was not cancelled is delivered, a value or an error, even if its
  worker dies. Parts may come in any order, in any size, and twice: what has arrived already is
  ignored.
- An item is not evaluated twice, except after the death of a worker.
- With a timeout, an item that takes longer comes as a `Failure` with an `ItemTimeout`, which
  names it, and is not evaluated again. Its worker is replaced. All others come as ever.
- If nothing can be evaluated, it delivers a `WorkerStartError`, and has to be closed.
- After `close` no worker, thread, file descriptor or shared memory of it is left. The exception
  is a thread inside user code, which cannot be stopped: it is abandoned, named in a warning, and
  what it returns is dropped.

It does not promise any order, nor fairness.
"""

import threading
from collections.abc import Callable, Collection, Hashable, Sequence
from typing import Any, Protocol, TypeAlias

from seqtools._core.errors import WorkerStartError

END: Any = type("End", (), {"__repr__": lambda _: "END"})()
"""The outcome of an index after the end of a source without known length."""

PAUSE = 0.5
"""Longest wait at a stretch, in seconds. A Ctrl-C that comes just before a call that waits
is seen by Python only after the call."""

AHEAD = 16
"""Items to tell of beforehand, where stages act on hints. Arbitrary: as many as was measured."""

here = threading.local()
"""In a thread that is a worker: `here.get` is the function by which it evaluates items."""

GroupOf: TypeAlias = Callable[[int], tuple[Hashable, range]]
"""Returns the group of an index, `None` if it has none, and a run of indices of that group."""


class Job:
    """Indices that an engine is asked to evaluate.

    Args:
        id: A number that no other job of this process has.
        indices: What to evaluate: a range, or a sequence of integers, at least one.
        key: What these items share, such as a file, so that one worker should evaluate all jobs
            with this key; `None` if nothing is known.
        offset: Where `indices` begin in the job that the window has asked for: an engine may cut
            a job in pieces, which keep its number.
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
        """Who expects its items. For the window only."""
        self.sent = False
        """Whether an engine has it. For the window only."""

    def __repr__(self) -> str:
        """Return what it asks for."""
        return f"Job({self.id}, {self.indices!r}, {self.key!r})"


class Part:
    """The outcomes of consecutive items of a job.

    Args:
        job: The number of the job.
        offset: Place of the first of these items among the indices of the job.
        outcomes: Values; or a single `Failure` or `END`, where it `failed`.
        seconds: How long it took to evaluate them; 0 if that is not known.
        failed: Whether it is a single outcome that is no value.
        notes: Functions to be called where the items arrive, once for each item that was
            evaluated: what the evaluation did besides, such as records of logging.
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
        """Return what it answers."""
        failed = ", failed=True" if self.failed else ""
        return f"Part({self.job}, {self.offset}, {self.outcomes!r}{failed})"


Deliver: TypeAlias = Callable[[Part | WorkerStartError | None], None]
"""Takes a part from any thread, at any time, and never waits.

It is told that nothing can be evaluated by an error, and by `None` that the engine has `news`.
"""


class Engine(Protocol):
    """A place where items are evaluated; `docs/engines.md` has all that it owes.

    Each method may be called by any thread, and by the garbage collector.
    They are called in the main thread too, where an interrupt may end them at any step. What was
    not taken then is asked for again: so each of them does what matters in a single step.
    """

    @property
    def grain(self) -> float:
        """Seconds of work that are worth a message, some ten times as long as one takes.

        Jobs are about as long, once it is known how long items take.
        """

    @property
    def group_of(self) -> GroupOf | None:
        """Tells which items one worker should evaluate together; `None` if it does not matter."""

    @property
    def nworkers(self) -> int:
        """The number of workers, those included that are still to be started."""

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Take jobs on; those that are `urgent` before all that wait."""

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that no worker was given: nobody expects them."""

    def look(self) -> float:
        """Attend to what needs a reader that waits, such as items that take too long.

        Called by a thread that waits for an item. Returns after how many seconds it should call
        again.
        """

    def waited(self, seconds: float) -> None:
        """Note that a reader has waited for so long."""

    def tell(self) -> None:
        """Warn of what has to be known, in the thread of a reader."""

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, see to it that workers have gone."""

    def busy(self) -> int:
        """Return how many workers are evaluating something, as far as is known by now.

        It waits for nobody. A worker that is still starting is not busy.
        """
