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
from seqtools.sequence import LazySequence

T = TypeVar("T")

_OUTCOME = itemgetter(1)


class Reading(LazySequence[T]):
    """A prefetch for one reader, who reads given indices in their order."""

    __slots__ = ("_again", "_cursor", "_driver", "_endless", "_prefetch")

    _name = "prefetch"
    _read_once = True

    def __init__(self, prefetch: LazySequence[T], driver: Driver, indices: Indices) -> None:
        self._prefetch = prefetch
        self._origin = prefetch._origin
        self._driver = driver
        self._cursor = Cursor(indices)
        self._endless = isinstance(indices, range) and indices.stop == ENDLESS
        self._again: int | None = None  # an index that was interrupted while it was read

    def _size(self) -> int | None:
        return self._prefetch._length()

    def open(self) -> None:
        """Have it share the window from now on, and not from its first read."""
        self._driver.open(self._cursor)

    def _get(self, i: int) -> T:
        cursor = self._cursor
        run = cursor.run
        if run and cursor.indices[cursor.head - len(run)] == i:
            with suppress(IndexError):  # another thread has called refresh()
                return run.popleft()  # type: ignore[no-any-return]
        return self._driver.read(cursor, i)  # type: ignore[no-any-return]

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
        cursor = self._cursor
        i, reading = -1, False
        try:
            while True:
                if self._again is None:
                    # What was lent is passed on without a step of Python for each item: no
                    # interrupt can come between taking it and giving it.
                    with suppress(IndexError):  # another thread has called refresh()
                        yield from map(deque.popleft, repeat(cursor.run, len(cursor.run)))
                following = self._following()
                if following is None:
                    break
                i, reading = following, True
                item = self._get(i)
                self._again, reading = None, False
                yield item
                del item  # the reader alone decides how long it lives
        except EndOfSequence:
            self._check_end(i)
        except WorkerStartError:  # it is not about this item, which is still to be read
            raise
        except Exception as error:  # noqa: BLE001 -- user code may raise anything
            self._again = None
            reraise(error)
        except BaseException:  # an interrupt is nobody's error: the item is still to be read
            if reading:
                self._again = i
            raise
        ended.append(None)

    def _following(self) -> int | None:
        """Return the index to read next, `None` at the end."""
        if self._again is not None:
            return self._again
        cursor = self._cursor
        return cursor.indices[cursor.head] if cursor.head < len(cursor.indices) else None

    def _check_end(self, i: int) -> None:
        if not self._endless:
            self._ended_early(i)

    def __del__(self) -> None:
        """Give the share of the window back."""
        self._driver.leave(self._cursor)


class Gathering(Reading[T]):
    """A prefetch for one reader, who takes items in the order in which they become ready."""

    __slots__ = ("_outcome",)

    _cursor: Gatherer

    def __init__(self, prefetch: LazySequence[T], driver: Driver, indices: range) -> None:
        super().__init__(prefetch, driver, indices)
        self._cursor = Gatherer(indices)
        self._outcome: Any = None

    def _get(self, i: int) -> T:
        """Return the item that was found; errors tell its index by this frame."""
        outcome, self._outcome = self._outcome, None
        return self._driver.settle(i, outcome)  # type: ignore[no-any-return]

    def attempt(self, _: int, ended: list[None]) -> Iterator[T]:
        """Yield what becomes ready, until something is raised or there is no more."""
        cursor = self._cursor
        i, reading = -1, False
        try:
            while True:
                # as in `Reading`
                with suppress(IndexError):
                    lent = map(deque.popleft, repeat(cursor.run, len(cursor.run)))
                    yield from map(_OUTCOME, lent)
                if cursor.ended:
                    break
                cursor.given, i, reading = None, -1, True
                i, self._outcome = self._driver.read_any(cursor)
                item = self._get(i)
                if cursor.given is None:  # it was evaluated here
                    cursor.got(i)
                reading = False
                yield item
                del item  # the reader alone decides how long it lives
        except EndOfSequence:
            self._check_end(i)
            cursor.end_at(i)
            return  # others before it are still to come
        except WorkerStartError:  # it is about no item
            raise
        except Exception as error:  # noqa: BLE001 -- user code may raise anything
            if cursor.given is None and i >= 0:
                cursor.got(i)
            reraise(error)
        except BaseException:  # an interrupt is nobody's error: the item is still to be read
            if reading and cursor.given is not None:
                cursor.give_back(cursor.given)
            raise
        ended.append(None)
