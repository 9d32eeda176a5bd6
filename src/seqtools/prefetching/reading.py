"""A prefetch as one reader sees it."""

from collections import deque
from collections.abc import Iterator
from contextlib import suppress
from itertools import chain, repeat
from operator import itemgetter
from typing import Any, TypeVar

from seqtools.errors import EndOfSequence, WorkerStartError, reraise
from seqtools.indices import ENDLESS, Indices
from seqtools.prefetching.cursors import Cursor, Gatherer
from seqtools.prefetching.driver import Driver
from seqtools.prefetching.lending import MISSING
from seqtools.prefetching.supply import SINGLY
from seqtools.sequence import LazySequence

T = TypeVar("T")

_OUTCOME = itemgetter(1)
_UNKNOWN: Any = object()
"""Stands for an outcome that was not asked for."""


class Reading(LazySequence[T]):
    """A prefetch for one reader, who reads given indices in their order."""

    __slots__ = ("_again", "_cursor", "_driver", "_endless", "_prefetch")

    _name = "prefetch"
    _read_once = True
    _reader: type[Cursor] = Cursor

    def __init__(self, prefetch: LazySequence[T], driver: Driver, indices: Indices) -> None:
        self._cursor = self._reader(indices)
        self._driver = driver
        self._prefetch = prefetch
        self._origin = prefetch._origin
        self._endless = isinstance(indices, range) and indices.stop == ENDLESS
        self._again: int | None = None  # the index that is being read

    def _size(self) -> int | None:
        return self._prefetch._length()

    def open(self) -> None:
        """Have it share the window from now on, and not from its first read."""
        self._driver.open(self._cursor)

    def _get(self, i: int, outcome: Any = _UNKNOWN) -> T:
        """Return the item, of which the outcome may be known; errors tell `i` by this frame."""
        if outcome is _UNKNOWN:
            cursor = self._cursor
            run, back = cursor.run, cursor.back
            if run and not back and cursor.indices[cursor.head - len(run)] == i:
                with suppress(IndexError):  # another thread has called refresh()
                    item = run.popleft()
                    if back is cursor.back and not back:  # nor has it before
                        return item  # type: ignore[no-any-return]
            outcome = self._driver.ask(cursor, i)
        return self._driver.settle(i, outcome)  # type: ignore[no-any-return]

    def __iter__(self) -> Iterator[T]:
        """Return an iterator over the indices given, which goes on behind an item that failed."""
        ended: list[None] = []
        # One generator after the other, as one that raised is finished; there are no more
        # once `ended` has a length. No step of Python lies in between, which an interrupt
        # could end.
        more = iter(ended.__len__, 1)
        return chain.from_iterable(map(self.attempt, more, repeat(ended)))

    def attempt(self, _: int, ended: list[None]) -> Iterator[T]:
        """Yield what comes next, until something is raised or there is no more."""
        cursor, driver = self._cursor, self._driver
        known = False
        try:
            while True:
                if self._again is None:
                    # What was lent is passed on without a step of Python for each item: no
                    # interrupt can come between taking it and giving it.
                    with suppress(IndexError):  # another thread has called refresh()
                        yield from map(deque.popleft, repeat(cursor.run, len(cursor.run)))
                    self._again = cursor.following()
                if self._again is None:
                    break
                i, known = self._again, False
                outcome = driver.ask(cursor, i)
                known = outcome is MISSING or type(outcome) in SINGLY
                item = self._get(i, outcome) if known else outcome
                outcome = self._again = None
                yield item
                del item  # the reader alone decides how long it lives
        except WorkerStartError:  # it is not about this item, which is still to be read
            raise
        except Exception as error:  # user code may raise anything
            if not known:  # nor is what signal handlers raise
                raise
            try:
                self._tell(error, i)
            except Exception:
                self._again = None
                raise
        ended.append(None)

    def _tell(self, error: Exception, i: int) -> None:
        """Raise what the reader is to see of `error` at item `i`, if that is not just the end."""
        if not isinstance(error, EndOfSequence):
            reraise(error)
        if not self._endless:
            self._ended_early(i)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied, which iterators are not that have workers behind them."""
        message = "cannot pickle or copy an iterator over a prefetch: do that with the prefetch"
        raise TypeError(message)

    def __del__(self) -> None:
        """Give the share of the window back."""
        driver = getattr(self, "_driver", None)
        if driver is not None:  # or else it was interrupted before it had any
            driver.leave(self._cursor)


class Gathering(Reading[T]):
    """A prefetch for one reader, who takes items in the order in which they become ready."""

    __slots__ = ()

    _cursor: Gatherer
    _reader = Gatherer

    def attempt(self, _: int, ended: list[None]) -> Iterator[T]:
        """Yield what becomes ready, until something is raised or there is no more."""
        cursor, driver = self._cursor, self._driver
        known = False
        try:
            while True:
                # as in `Reading`
                with suppress(IndexError):
                    lent = map(deque.popleft, repeat(cursor.run, len(cursor.run)))
                    yield from map(_OUTCOME, lent)
                if cursor.given is None and cursor.following() is None:
                    break
                known = False
                i, outcome = driver.ask_any(cursor)
                known = outcome is MISSING or type(outcome) in SINGLY
                item = self._get(i, outcome) if known else outcome
                cursor.given = outcome = None
                yield item
                del item  # the reader alone decides how long it lives
        except WorkerStartError:  # it is about no item
            raise
        except Exception as error:  # user code may raise anything
            if not known:
                raise
            try:
                self._tell(error, i)
            except Exception:
                cursor.given = None
                raise
            cursor.end_at(i)
            cursor.given = None
            return  # others before it are still to come
        ended.append(None)
