"""Iterators over a prefetch."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from itertools import repeat
from typing import TYPE_CHECKING, Any, TypeVar

from seqtools._core import resume
from seqtools._core.errors import EndOfSequence, original_of, reraise
from seqtools._core.indices import Indices, concatenated, runs, within
from seqtools._core.iteration import Walk
from seqtools._core.positions import ended_early
from seqtools._core.sequence import LazySequence
from seqtools._core.traits import Traits
from seqtools._core.user_exceptions import is_kind
from seqtools._core.walk import draw_index_of, summary, summed
from seqtools.prefetching.interruptible_lock import TAKEN
from seqtools.prefetching.pump import is_end
from seqtools.prefetching.reader import Reader, UnorderedReader
from seqtools.prefetching.run import NOTHING, Run

if TYPE_CHECKING:
    from seqtools.prefetching.sequence import Prefetch

T = TypeVar("T")

_NO_COPY = "cannot pickle or copy an iterator over a prefetch: pickle or copy the prefetch"


class Ordered(LazySequence[T]):
    """A prefetch for one reader that reads given indices in order."""

    __slots__ = ("_prefetch", "_pump", "_reader")

    _name = "prefetch"
    _traits = Traits(read_once=True)
    _kind: type[Reader] = Reader
    in_order = True

    def __init__(self, prefetch: "Prefetch[T]", indices: Indices) -> None:
        self._reader = self._kind(indices)
        self._pump = prefetch._state.pump  # noqa: SLF001 -- of this package
        self._prefetch = prefetch
        self._origin = prefetch._origin
        *_, rank, world = summary(prefetch)
        self._summary = summed(self._traits, ())._replace(rank=rank, world=world)

    def _size(self) -> int | None:
        return self._prefetch._length()

    def open(self) -> None:
        """Give the reader its share of the window now, not at its first read."""
        self._pump.open(self._reader)

    def _get(self, i: int, failed: Run | None = None) -> T | None:
        """Return the item, or raise its error if it `failed`; error paths take `i` from here."""
        if failed is not None:
            self._pump.throw(failed)
            return None
        run = self._reader.cursor.ring[0]
        values = run.values
        if values and not run.failed and run.indices[-len(values)] == i:
            with suppress(IndexError):  # another thread has called refresh()
                return values.popleft()  # type: ignore[no-any-return]
        return self._pump.read(self._reader, i)  # type: ignore[no-any-return]

    def _draw_index(self, i: int) -> int:
        return self._prefetch._draw_index(i)

    @property
    def _keeps_index(self) -> bool:
        return draw_index_of(self._prefetch) is None

    def state(self) -> tuple[int, list[range]]:
        """Return the number of requested indices, and ranges of those that were not read."""
        return self._pump.state(self._reader)

    def attempt(self, walk: "PrefetchWalk") -> Iterator[T]:
        """Yield the next items, until one raises an error or there are no more."""
        pump, reader = self._pump, self._reader
        while (run := pump.next(reader)) is not None:
            if run is TAKEN:
                message = (
                    "cannot iterate over a prefetch in a signal handler or a finalizer that "
                    "interrupted a read of the same prefetch: read it by index here"
                )
                raise RuntimeError(message)
            if not run.failed:
                with suppress(IndexError):  # another thread has called refresh()
                    yield from map(deque.popleft, repeat(run.values, len(run.values)))  # type: ignore[arg-type]
            elif self._passes(run):
                break
        walk.end()

    def is_ready(self) -> bool:
        """Return whether `attempt` yields the next item, or raises its error, without waiting."""
        run = self._reader.cursor.ring[0]
        return bool(run.values and not run.failed) or self._pump.is_ready(self._reader)

    def wait(self) -> bool:
        """Wait until `attempt` need not wait; return whether there is an item."""
        while isinstance(run := self._pump.next(self._reader), Run):
            if self.in_order or not is_end(run):
                return True
            self._end(run)  # earlier items may still arrive
        return False

    def leave(self) -> None:
        """Let a thread that waits return, because nobody wants the item."""
        self._reader.gone = True
        self._reader.wakeup.set()

    def _passes(self, run: Run) -> bool:
        """Raise the error of an item; return whether it is the end of the sequence."""
        i = int(run.indices[0])
        try:
            self._get(i, run)
        except Exception as error:  # noqa: BLE001 -- user code may raise anything
            try:
                if not is_kind(error, EndOfSequence):
                    reraise(error)
                if not self._reader.endless:
                    ended_early(self, i)
            except BaseException as raised:
                if is_kind(raised, Exception) or raised is original_of(error):
                    run.values = NOTHING  # no interrupt can come before `raise`
                raise
            return self._end(run)
        return False  # another thread or a finalizer has just dropped it

    def _end(self, run: Run) -> bool:
        """Note that the source ends at `run`; return whether no items remain."""
        self._pump.finish(self._reader, int(run.indices[0]))
        return True

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied, because it has workers."""
        raise TypeError(_NO_COPY)

    def __del__(self) -> None:
        """Release its share of the window."""
        pump = getattr(self, "_pump", None)
        if pump is not None:  # None if `__init__` was interrupted
            pump.leave(self._reader)


class Unordered(Ordered[T]):
    """A prefetch for one reader that takes items in the order in which they become ready."""

    __slots__ = ()

    _kind = UnorderedReader
    in_order = False

    def _end(self, run: Run) -> bool:
        super()._end(run)
        return False  # earlier items may still arrive


class PrefetchWalk(Walk):
    """The position of an iterator over a prefetch.

    Most items need no step of Python code, so that no interrupt can come between taking an item
    and returning it. Nothing is evaluated before the first item is requested.

    A *position* is the number of an index among those that the iterator reads.
    """

    __slots__ = ("_following", "_kind", "_number", "_reading")

    def __init__(self, stage: Any, indices: range, kind: type[Ordered[Any]]) -> None:
        super().__init__(stage, indices)
        self._following: Ordered[Any] | None = None  # the next part, if a thread waits for it
        self._kind = kind
        self._number = 0
        """The number of the part that it reads."""
        self._reading = self._opened(0)

    def _opened(self, number: int) -> Ordered[Any]:
        """Return a reader of a part, which has its share of the window from now on."""
        skipped = number < self._last
        indices = within(self._indices_of_target(), self._skipped()) if skipped else self._left()
        reading = self._kind(self.target.stage, indices)
        reading.open()
        return reading

    def begin(self, number: int = 0) -> Iterator[Any]:
        """Begin to read a part, and yield nothing."""
        if number != self._number:
            self._reading, self._number = self._following or self._opened(number), number
        self.step = self._reading.attempt
        yield from ()

    def is_ready(self) -> bool:
        """Return whether the iterator returns the next item, or raises its error, at once."""
        return self._reading.is_ready()

    def wait(self) -> None:
        """Wait until the next step of the iterator need not wait."""
        if not self._reading.wait() and self._number < self._last:
            self._following = self._following or self._opened(self._last)
            self._following.wait()

    def leave(self) -> None:
        """Let a thread that waits return, because nobody goes on with the iterator."""
        for reading in (self._reading, self._following):
            if reading is not None:
                reading.leave()

    def load_state_dict(self, state: Any) -> None:
        """Go on from the position in `state`."""
        super().load_state_dict(state)
        self._reading = self._opened(0)

    @property
    def _last(self) -> int:
        """The number of the part that begins at the position of the target."""
        return 1 if self.target.left else 0

    def _skipped(self) -> Indices:
        """Return the positions before that of the target that are read first."""
        return concatenated([range(*ends) for ends in self.target.left])

    def _position(self) -> int:
        return self.target.position + self._reading.state()[0]

    def end(self) -> None:
        """Go on with the next part, if there is one."""
        n = self._number + 1
        # one assignment, because an interrupt may come after it
        self.step = partial(PrefetchWalk.begin, number=n) if n <= self._last else None

    def state_dict(self) -> dict[str, Any]:
        """Return the state of the iterator."""
        position = self.target.position
        requested, unread = self._reading.state()
        if self._number < self._last:
            skipped = self._skipped()
            parts = [skipped[each.start : each.stop] for each in unread]
            left = [ends for part in [*parts, skipped[requested:]] for ends in _ends(part)]
        else:
            left = [(position + each.start, position + each.stop) for each in unread]
            position += requested
        now = resume.Target(self.target.stage, position)
        return resume.state_of(
            self._stage, self._indices, now, None if self._kind.in_order else left
        )

    def _check_left(self, target: resume.Target) -> None:
        if self._kind.in_order:
            super()._check_left(target)


def _ends(positions: Indices) -> list[tuple[int, int]]:
    """Return the start and stop of each run of consecutive positions."""
    return [(run.start, run.stop) for run in runs(positions)] if len(positions) else []
