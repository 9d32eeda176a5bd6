"""Another item in place of one that fails."""

from collections.abc import Iterable, Sequence
from typing import Any, TypeVar

from seqtools._core import keys
from seqtools._core.catching import Caught, check_caught, is_caught, read_together
from seqtools._core.checks import WHERE, check_iterable, check_source, is_bool, is_number
from seqtools._core.display.short import called, short
from seqtools._core.errors import TooManyBadItems, original_of
from seqtools._core.failed_items import FailureLog, Failures, failed_item, log_of
from seqtools._core.indices import Indices, as_array, as_list
from seqtools._core.lengths import since_refresh
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, ends_unseen, getter, size_of
from seqtools._core.traits import Traits
from seqtools._core.walk import is_stage

T = TypeVar("T")

IN_A_ROW = 10
"""So many consecutive items that fail are no exception to the rule. Arbitrary."""
FEW = 10
"""So many items may fail in any case. Arbitrary."""
_BITS = 1 << 27
"""Items that are told apart when they are counted: 16 MB. Of a longer sequence, items that are
this far apart count as one, so that fewer may fail."""


class Substitute(LazySequence[T]):
    """The items of a sequence, each the first good one from its index on."""

    __slots__ = ("_apart", "_banned", "_most", "_on", "_read", "_sequence", "_state")

    _traits = Traits(elementwise=True, recovers=True)

    def __init__(
        self,
        sequence: Any,
        banned: "Banned",
        on: tuple[type[BaseException], ...],
        most: float,
        mark: bytes | None = None,
    ) -> None:
        self._sequence, self._banned, self._on, self._most = sequence, banned, on, most
        self._read = getter(sequence)
        self._apart: Any = None  # what items are read from that replace others, if another source
        self._state = _State(FailureLog() if mark is None else log_of(mark))

    def _size(self) -> int | None:
        n: int | None = (self._layout or self._arranged())[0]
        return n

    def _arrange(self) -> tuple[int | None]:
        n: int | None = size_of(self._sequence)
        if n and self._banned.after(0) >= n:
            message = f"substitute() has no item left: all {n} are banned by indices"
            raise ValueError(message + since_refresh(self))
        return (n,)

    @property
    def failures(self) -> Failures:
        """The items of the source that could not be read so far, here and in workers."""
        return self._state.log.failures()

    def _get(self, i: int) -> T:
        first = j = self._place(i) if self._banned.indices else i
        last: BaseException | None = None
        for in_a_row in range(IN_A_ROW):
            if in_a_row:
                j = self._place(j + 1)
                if j == first:
                    message = (
                        f"substitute() has no good item: all {in_a_row} that are not banned fail"
                    )
                    raise TooManyBadItems(message) from last
            try:
                item = self._read(j) if not in_a_row else self._read_apart(j)
            except BaseException as error:
                if not is_caught(error, self._on):
                    raise
                self._note(j, error)
                last = original_of(error)
            else:
                self._state.count(j)
                return item  # type: ignore[no-any-return]
        message = (
            f"substitute() found {IN_A_ROW} items in a row that fail, from item {first} on: repair "
            f"them, or ban them by indices=\n{self.failures}"
        )
        raise TooManyBadItems(message) from last

    def _read_apart(self, j: int) -> Any:
        """Return item `j` of the source, for which its reader must not give up those it expects."""
        if self._apart is None:
            return self._read(j)
        return getter(self._apart._opened(range(j, j + 1)))(j)

    def _place(self, i: int) -> int:
        """Return the first index from `i` on that is not banned, in the circle of all items."""
        (n,) = self._layout or self._arranged()
        j = self._banned.after(i)
        return self._banned.after(0) if n is not None and j >= n else j

    def _note(self, j: int, error: BaseException) -> None:
        """Note that item `j` of the source has failed.

        Raises:
            TooManyBadItems: If that makes too many.
        """
        state = self._state
        failed = failed_item(j, error)
        failed = failed._replace(path=failed.path[1:])  # from the source on
        state.log.add(failed)
        state.failed.add(j)
        bad, good = len(state.failed), state.delivered
        if bad > max(FEW, self._most * good):
            message = (
                f"substitute() may replace {FEW} items, or most={self._most:g} of the {good} "
                f"different items that were delivered in this process, and {bad} have failed: "
                f"repair them, ban them by indices=, or give a higher most=\n{self.failures}"
            )
            raise TooManyBadItems(message) from failed.error

    def _get_many(self, indices: Indices) -> Sequence[T]:
        js = self._places_of(indices)
        items = read_together(self, self._sequence, js)
        if items is None:
            return [self._get(i) for i in as_list(indices)]
        for j in as_list(js):
            self._state.count(j)
        return items

    def _places_of(self, indices: Indices) -> Indices:
        """Return `_place` of all `indices`."""
        if not self._banned.indices:
            return indices
        places: Indices = as_array([self._place(i) for i in as_list(indices)])
        return places

    def _set(self, i: int, value: Any) -> None:
        assign(self._sequence, self._place(i), value)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        # others are read only if these fail
        return [(self._sequence, self._places_of(indices))]

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        # whether others fail is not known before they are read
        js = self._places_of(indices)
        if self._state.log:
            js = as_array([self._good_place(j) for j in as_list(js)])
        return [(self._sequence, js, False), (self._sequence, None, False)]

    def _good_place(self, j: int) -> int:
        """Return the first index from `j` on that is neither banned nor known to fail."""
        log = self._state.log
        for _ in range(IN_A_ROW):
            if j not in log:
                break
            j = self._place(j + 1)
        return j

    def _users(self, number: int, js: Any, n: int) -> Any:
        """Return those that are not banned, and the banned ones that they replace."""
        del number, n
        banned = self._banned.indices
        places = {i: self._place(i) for i in banned}
        wanted = set(as_list(js))
        return as_array(
            sorted((wanted - set(banned)) | {i for i, j in places.items() if j in wanted})
        )

    def _identity(self) -> None:
        return None  # a run that failed may go on with what repairs it

    def _repairs(self) -> Any:
        return self._banned.indices or None

    def _rebuild(self, *sources: Any) -> "Substitute[T]":
        copy = Substitute[T](sources[0], self._banned, self._on, self._most, self._state.log.mark)
        copy._state = self._state
        return copy

    def _over(self, *sources: Any) -> "Substitute[T]":
        copy = self._rebuild(*sources)
        if is_stage(self._sequence):
            apart = self._sequence if self._apart is None else self._apart
            copy._apart = apart  # noqa: SLF001 -- of this class
        return copy

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._banned, self._on, self._most, self._state.log.mark

    def _as_call(self) -> str:
        shown = []
        if self._banned.indices:
            shown.append(short(self._banned.indices))
        if self._on != (Exception,):
            names = ", ".join(map(called, self._on))
            shown.append(f"on={names}" if len(self._on) == 1 else f"on=({names})")
        if self._most != 0.01:  # noqa: PLR2004 -- the default of `substitute`
            shown.append(f"most={self._most:g}")
        return f"substitute({', '.join(shown)})"

    def _remark(self) -> str:
        """Return how many items were replaced."""
        n = len(self.failures)
        return f"{n} item{'' if n == 1 else 's'} failed" if n else ""


class Banned:
    """Indices that are not read, and for each the next one that is."""

    __slots__ = ("_next", "indices")

    def __init__(self, indices: Iterable[int]) -> None:
        self.indices = sorted(set(indices))
        """In ascending order."""
        self._next: dict[int, int] = {}
        for j in reversed(self.indices):
            self._next[j] = self._next.get(j + 1, j + 1)

    def after(self, i: int) -> int:
        """Return the first index from `i` on that is not among them."""
        return self._next.get(i, i)

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the indices alone."""
        return Banned, (self.indices,)


class _State:
    """What was counted in this process, and the log of failed items."""

    __slots__ = ("_seen", "delivered", "failed", "log")

    def __init__(self, log: FailureLog) -> None:
        self.log = log
        self.failed: set[int] = set()
        """Items that failed in this process."""
        self.delivered = 0
        """The number of items that were read in this process, each counted once; about, because
        threads count without a lock."""
        self._seen = bytearray()

    def count(self, j: int) -> None:
        """Count item `j`, unless it was counted before."""
        place, bit = (j % _BITS) >> 3, 1 << (j & 7)
        seen = self._seen
        n = len(seen)  # which another thread may change
        if place >= n:
            seen.extend(bytes(place - n + n // 2 + 8))
        if not seen[place] & bit:
            seen[place] |= bit
            self.delivered += 1


def substitute(
    sequence: Source[T],
    indices: Iterable[int] = (),
    *,
    on: Caught = Exception,
    most: float = 0.01,
) -> "Substitute[T]":
    """Return `sequence`, with the next good item in place of each item that fails.

    Item `i` is the first of items `i`, `i + 1`, `i + 2`, … of `sequence` that can be read; after
    the last item comes the first. So the length, the order, batches and the parts of ranks stay
    as they are, and an item depends neither on the engine nor on what was read before. Nothing is
    remembered: an item that fails is read again each time, until it is among `indices`. Put `retry`
    before this if errors come and go. Assigning to an item assigns to the first one from there on
    that is not among `indices`.

    Its attribute `failures` lists the items that failed so far, here and in workers, at most 1,000
    of them: see `Failures`.

    Args:
        sequence: The items. After a `prefetch`, also items that kill their worker or exceed the
            `timeout` are replaced.
        indices: Items that are never read, such as the `indices` of `failures`.
        on: The exceptions to catch, as for `retry`.
        most: How many items may fail for each item that was delivered, from 0 to 1. Two numbers
            are compared: of the different items of `sequence` that have failed, and of those that
            were delivered, good ones only. A failure is an error that lists all of them if it makes
            the first number more than 10, and more than `most` times the second; or if it is the
            10th in a row. Each worker process counts its own items.

    Raises:
        IndexError: If one of `indices` is not in `sequence`.
        TypeError: If `sequence` is not a sequence, or another argument is of a wrong type.
        ValueError: If all items are banned, `most` is not from 0 to 1, or it is not known where
            `sequence` ends.

    Example:
        >>> from seqtools import smap
        >>> numbers = substitute(smap(int, ["1", "two", "3", "four"]))
        >>> list(numbers)
        [1, 3, 3, 1]
        >>> numbers.failures.indices
        [1, 3]
        >>> list(substitute(smap(int, ["1", "two", "3", "four"]), numbers.failures.indices))
        [1, 3, 3, 1]
    """
    check_source(sequence)
    if ends_unseen(sequence):
        message = (
            "substitute() needs to know where the sequence ends, because after the last item comes "
            "the first: give it its size, or use recover()"
        )
        raise ValueError(message)
    check_iterable(indices, "indices")
    if getattr(indices, "shape", None) == ():
        message = f"indices must be integers in a list or an array, got {short(indices)}"
        raise TypeError(message)
    given = list(indices)
    if keys.is_mask(indices) or any(map(is_bool, given)):
        message = f"indices must be integers, got a mask: {WHERE}"
        raise TypeError(message)
    banned = Banned(map(int, keys.indices(given, size_of(sequence))))
    if not is_number(most):
        message = f"most must be a number, got {short(most)}"
        raise TypeError(message)
    if not 0 <= most <= 1:
        message = f"most must be from 0 to 1, got {most}"
        raise ValueError(message)
    result = Substitute[T](sequence, banned, check_caught(on), float(most))
    result._length()
    return result
