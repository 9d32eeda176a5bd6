"""The base of stages whose items are groups of items, chosen by their lengths."""

from collections.abc import Callable, Sequence
from typing import Any

from seqtools._core import lengths as known_lengths
from seqtools._core import rows
from seqtools._core.checks import check_source
from seqtools._core.display.short import called, short
from seqtools._core.indices import Indices, as_array, as_list
from seqtools._core.overlap import apart
from seqtools._core.resume import plain
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import assign, getter, read_many, size_of
from seqtools._core.spans import ReadsSeveral
from seqtools._core.traits import NONE
from seqtools._core.walk import draw_index_of, is_stage, traits_upstream
from seqtools.tables.given_lengths import as_lengths, length_of
from seqtools.tables.scan import ScanOptions
from seqtools.tables.scanned import Scanned


class Grouped(ReadsSeveral, Scanned[Any]):
    """Groups of items of a sequence; the table has the items of all groups.

    It is one array: the number of groups, the place in the last part at which each group starts,
    and the end of the last one, and the indices of the items of one group after the other.

    Args:
        sequence: The items.
        capacity: The size of a group.
        lengths: A function that returns the length of an item; or an array of the lengths of all;
            or a stage that evaluates them.
        rule: What else a subclass needs to know for grouping.
        collate_fn: Makes an item of the list of a group, unless it is `None`.
        options: How to scan.
    """

    _kept_whole = False  # a file has lengths, of which `_finish` makes the table

    __slots__ = ("_capacity", "_claims", "_collate_fn", "_lengths", "_rule", "_singly", "_traits")

    def __init__(  # noqa: PLR0913, PLR0917 -- those of pack()
        self,
        sequence: Any,
        capacity: int,
        lengths: Any,
        rule: Any,
        collate_fn: Any,
        options: ScanOptions,
    ) -> None:
        self._read_from(sequence)
        self._capacity, self._lengths, self._rule = capacity, lengths, rule
        self._collate_fn = collate_fn
        self._traits = Scanned._traits if callable(lengths) or is_stage(lengths) else NONE
        super().__init__(sequence, options)

    # What a subclass writes

    def _group(self, lengths: Any) -> tuple[Any, Any]:
        """Return the items of all groups, and where each group starts."""
        raise NotImplementedError

    def _taken(self, item: Any) -> Any:
        """Return what a group has of `item`."""
        return item

    # The table

    def _measure(self) -> Callable[[Any], Any]:
        if not callable(self._lengths):
            return _given
        # `len` is what users get who forget `lengths`
        return length_of if self._lengths is len else self._lengths

    def _examined(self) -> Any:
        return self._lengths if is_stage(self._lengths) else self._sequence

    def _scan(self) -> Any:
        return super()._scan() if self._traits.scans else self._finish(self._lengths)

    def kept_as(self) -> str:
        """Return the name for what is in a file."""
        return "lengths"  # a file of these serves for every capacity

    def _tabulate(self, found: Any) -> Any:
        return found

    def _finish(self, kept: Any) -> Any:
        import numpy as np

        found = np.asarray(kept)
        n = size_of(self._sequence)
        if len(found) != n:
            message = (
                f"lengths must have {n} items, as the sequence has, got {len(found)}"
                f"{known_lengths.since_refresh(self)}"
            )
            raise ValueError(message)
        items, starts = self._group(found)
        dtype = "u4" if len(found) < 1 << 32 else "i8"  # half the memory for all but the largest
        return np.concatenate([[len(starts) - 1], starts, items]).astype(dtype)

    def _arrange(self) -> tuple[Any, Any]:
        import numpy as np

        table = np.asarray(self._table())
        count = int(table[0])
        return table[1 : count + 2].astype(np.int64), table[count + 2 :]

    def _size(self) -> int:
        return int(self._table()[0])

    def _items_of(self, i: int) -> Any:
        """Return the indices of the items of group `i`, which ascend."""
        starts, items = self._layout or self._arranged()
        return as_array(items[starts[i] : starts[i + 1]])

    def _all_items_of(self, indices: Indices) -> tuple[Any, Any]:
        """Return the indices of the items of several groups, and how many items each group has."""
        import numpy as np

        starts, items = self._layout or self._arranged()
        groups = as_array(indices)
        first = starts[groups]
        counts = starts[groups + 1] - first
        ends = np.cumsum(counts)
        places = np.repeat(first - (ends - counts), counts) + np.arange(
            ends[-1] if len(ends) else 0
        )
        return as_array(items[places]), counts

    # Reading

    def _get(self, i: int) -> Any:
        return self.made(self._items(self._items_of(i)))

    def _get_many(self, indices: Indices) -> Sequence[Any]:
        if not self._in_bulk():
            return super()._get_many(indices)
        needed, counts = self._all_items_of(indices)
        items = read_many(self._sequence, needed)
        ends = counts.cumsum().tolist()
        return [
            self.made(items[end - count : end])
            for end, count in zip(ends, counts.tolist(), strict=True)
        ]

    def made(self, items: Any) -> Any:
        """Return what users get for a group of `items`."""
        if self._cuts():
            items = [self._taken(item) for item in items]
        if self._collate_fn is None:
            return list(items)
        argument = items  # error paths read it by this name
        return self._collate_fn(argument)

    def _cuts(self) -> bool:
        """Return whether `_taken` may change items."""
        return False

    def _set(self, i: int, value: Any) -> None:
        if self._collate_fn is not None or self._cuts():
            why = "they are made by collate_fn" if self._collate_fn is not None else "they are cut"
            message = f"items of {self._describe()} cannot be assigned: {why}"
            raise TypeError(message)
        name = self._describe()
        rows.check_listed(value, f"item {i} of {name}", "group")
        indices, values = as_list(self._items_of(i)), list(value)
        if len(values) != len(indices):
            message = f"item {i} of {name} has {len(indices)} items, got {len(values)}"
            raise ValueError(message)
        for j, item in zip(indices, apart(self, values), strict=True):
            assign(self._sequence, j, item)

    # What others ask

    def _stand_in(self) -> "Singly":
        measure = self._measure() if callable(self._lengths) else None
        return Singly(self, self._sequence, measure)

    def _sources(self) -> tuple[Any, ...]:
        if is_stage(self._lengths):
            return self._sequence, self._lengths
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        if len(indices) == 1:
            return [(self._sequence, self._items_of(indices[0]))]
        return [(self._sequence, self._all_items_of(indices)[0])]

    def _users(self, number: int, js: Any, n: int) -> Any:
        """Return the groups of these items."""
        import numpy as np

        del n
        if number:  # of lengths, which make no item
            return js[:0]
        starts, items = self._layout or self._arranged()
        return np.searchsorted(starts, np.flatnonzero(np.isin(items, js)), "right") - 1

    def _draw_index(self, i: int) -> int:
        """Return that of the first item, which is in no other group."""
        starts, items = self._layout or self._arranged()
        past = i - (len(starts) - 1)
        j = (size_of(self._sequence) or 0) + past if past >= 0 else int(items[starts[i]])
        of_source = draw_index_of(self._sequence)
        return j if of_source is None else of_source(j)

    def _identity(self) -> Any:
        # which items there are depends on the rank, if the sequence was sharded
        sharded = traits_upstream(self).sharded
        return self._name, self._capacity, self._rule, None if sharded else plain(self._table())

    def _rebuild(self, *sources: Any) -> "Grouped":
        lengths = sources[1] if len(sources) > 1 else self._lengths
        return type(self)(sources[0], self._capacity, lengths, *self._args()[3:])

    def _args(self) -> tuple[Any, ...]:
        given = self._sequence, self._capacity, self._lengths, self._rule
        return *given, self._collate_fn, self._options

    def _describe(self) -> str:
        made = "" if self._collate_fn is None else f"({called(self._collate_fn)})"
        return f"{self._name}{made}"

    def _call(self, options: str) -> str:
        """Return the call that makes this sequence, without its sources."""
        parts = [str(self._capacity)]
        if self._lengths is not len:
            known = callable(self._lengths)
            parts.append(called(self._lengths) if known else "lengths")
        made = "" if self._collate_fn is None else f", collate_fn={called(self._collate_fn)}"
        return f"{self._name}({', '.join(parts)}{options}{made}{self._options})"


class Singly(LazySequence[Any]):
    """Groups of one item each, which tell the same mistakes as those that a scan makes."""

    __slots__ = ("_grouped", "_lengths", "_read", "_sequence")

    def __init__(self, grouped: Grouped, sequence: Any, lengths: Any) -> None:
        self._grouped, self._sequence, self._lengths = grouped, sequence, lengths
        self._read = getter(sequence)

    def _size(self) -> int | None:
        return size_of(self._sequence)

    def _get(self, i: int) -> Any:
        argument = self._read(i)  # error paths read it by this name
        if self._lengths is not None:
            self._lengths(argument)
        return self._grouped.made([argument])

    def _describe(self) -> str:
        return self._grouped._describe()

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]

    def _rebuild(self, *sources: Any) -> "Singly":
        return Singly(self._grouped, sources[0], self._lengths)

    def _args(self) -> tuple[Any, ...]:
        return self._grouped, self._sequence, self._lengths


def check_lengths(lengths: Any, options: ScanOptions) -> Any:
    """Return `lengths`: a function, a stage, or an array; raise an error if it is neither."""
    if is_stage(lengths):
        check_source(lengths, "lengths")
        return lengths
    if callable(lengths):
        return lengths
    if isinstance(lengths, str | bytes) or not (
        hasattr(lengths, "__len__") or hasattr(lengths, "shape")
    ):
        message = f"lengths must be a function or an array of integers, got {short(lengths)}"
        raise TypeError(message)
    check_source(lengths, "lengths")
    found = as_lengths(lengths, "give the length of each item")
    if options.table is not None:
        message = (
            "table keeps what a scan finds out, and nothing is scanned if lengths are an array, "
            f"got table={short(options.table)}"
        )
        raise ValueError(message)
    return found


def refuse_longer(lengths: Any, longer: Any, capacity: int, rounded: str, advice: str) -> None:
    """Raise `ValueError` if an item needs more than `capacity`.

    Args:
        lengths: The lengths of all items.
        longer: For each of them, whether it needs more.
        capacity: The most that one may need.
        rounded: How its length was rounded up, for the message.
        advice: What to do.
    """
    if longer.any():
        k = int(longer.argmax())
        more = int(longer.sum()) - 1
        others = f", and {more} more are too long" if more else ""
        message = (
            f"items must fit in capacity = {capacity}, but item {k} has length {lengths[k]}"
            f"{rounded}{others}: {advice}"
        )
        raise ValueError(message)


def _given(length: Any) -> Any:
    return length
