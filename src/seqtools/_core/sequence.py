"""The one abstraction: a list whose items are computed when they are read."""

import operator
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar, overload

from seqtools._core import fusing, rows
from seqtools._core.display.short import called, short
from seqtools._core.errors import (
    EndOfSequence,
    EvaluationError,
    Step,
    WorkerStartError,
    creation_site,
    reraise,
)
from seqtools._core.indices import ENDLESS, Indices, TooManyIndices, as_list, concatenated, within
from seqtools._core.sources import assign, getter, read_many
from seqtools._core.walk import any_upstream, is_stage, nesting, upstream

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

UNREAD = -1
"""The size of a stage that was not asked for it."""

_STRIDE = 30
"""Stages that are pickled within each other. Arbitrary: each takes four calls of up to 1,000."""

_MOST_CURSORS = 64
"""Cursors for one reader. Arbitrary; ways that double at every stage would be too many."""


class LazySequence(Sequence[T]):
    """A sequence whose items are computed when they are read.

    A subclass defines `_size` and `_get`; all other methods have correct defaults, which are
    not always the fastest. Only this class implements `len`, `[]`, iteration, bounds,
    searching and errors. `seqtools.testing.check_laws` tests a subclass.

    A stage is a recipe: its class and `_args()`. Only these are pickled; state from reading
    (a cache, workers) is created again after unpickling.

    Example:
        >>> class Squares(LazySequence[int]):
        ...     def _size(self):
        ...         return 5
        ...
        ...     def _get(self, i):
        ...         return i * i
        >>> squares = Squares()
        >>> list(squares), squares[-1], list(squares[1:3]), 9 in squares
        ([0, 1, 4, 9, 16], 16, [1, 4], True)
    """

    __slots__ = (
        "__weakref__",
        "_bound",
        "_fused",
        "_known_size",
        "_nested",
        "_origin",
        "_seen_cursors",
        "_seen_waits",
    )

    _origin: tuple[str, int]
    _known_size: int | None
    _bound: int  # what indices must be below, 0 as long as the size was not asked for
    _fused: fusing.Reader | None  # does what `_get` does in one step, once that was called
    _nested: int  # how many stages it is read through, 0 as long as nobody asked
    _seen_cursors: int | None
    _seen_waits: bool | None

    _is_stage = True
    _name: str | None = None
    _reads_ahead = False
    _acts_on_hints = False
    _keeps_items = False
    _draws_apart = False
    """Whether an item has random numbers of its own, where there is a seed: see `seeding`."""
    _read_once = False
    _unknown_length = False
    """Whether an item may be there no more when it is read again."""
    _iterates = False
    """Whether items come from an iterator, which one thread at a time advances."""

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Note where the stage is made, so that subclasses need not call `__init__`."""
        self = object.__new__(cls)
        self._origin = creation_site()
        self._known_size = UNREAD
        self._bound = self._nested = 0
        self._fused = self._seen_cursors = self._seen_waits = None
        return self

    # What a combinator writes

    def _size(self) -> int | None:
        """Return the number of items, `None` if that is endless or not known."""
        raise NotImplementedError

    def _get(self, i: int) -> T:
        """Return item `i`, with `0 <= i < size`; the parameter must keep this name."""
        if self._fused is None:
            self._fused = fusing.reader(self)  # of what `_link` says
        return self._fused(self, i)  # type: ignore[no-any-return]

    # What it may write

    def _get_many(self, indices: Indices) -> Sequence[T]:
        """Return the items at `indices`, as a list or an array."""
        return [self._get(i) for i in as_list(indices)]

    def _set(self, i: int, value: Any) -> None:
        """Make `value` item `i`."""
        del i, value
        message = f"items of {self._describe()} cannot be assigned: they are computed"
        raise TypeError(message)

    def _sources(self) -> tuple[Any, ...]:
        """Return the sequences that this one reads from."""
        return ()

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        """Return (source, indices) pairs certain to be read for `indices`, in order of need.

        Nothing is evaluated. What depends on a value is left out. Where a source
        stands several times among `_sources`, so it does here, in the same order.
        """
        del indices
        return []

    def _hint(self, owner: Any, indices: Indices) -> None:
        """Take note that `owner` is going to read `indices`, in that order.

        It replaces what that owner hinted before. A stage that holds values may read
        them in the background; it is never a mistake to do nothing.
        """
        told: list[tuple[Any, Indices]] = []
        for source, js in self._reads(indices):
            if is_stage(source) and not any(source is s and js is j for s, j in told):
                told.append((source, js))
                source._hint(owner, js)

    def _link(self) -> fusing.Link | None:
        """Return how an item is made of one item of the only source; write that or `_get`."""
        return None

    def _claim(self, indices: Indices) -> None:
        """Have this thread be given `indices`, which ascend, in one turn: it is going to read them.

        Only for a stage that `_iterates`. It is never a mistake to do nothing.
        """

    def _ignore_hints(self) -> None:
        """Read nothing in the background from now on."""

    def _peek(self, i: int) -> tuple[T, ...]:
        """Return item `i` alone if it is kept, else nothing; and keep what is kept as it is.

        Only for a stage that has the items of its only source, of which it keeps some.
        """
        raise NotImplementedError

    def _rebuild(self, *sources: Any) -> "LazySequence[T]":
        """Return the same combinator over other `sources`."""
        del sources
        return self

    def _args(self) -> tuple[Any, ...] | None:
        """Return the arguments that make this stage again, for `repr` and pickling."""
        return None

    def _remark(self) -> str:
        """Return what is worth knowing of this stage, which `repr` shows behind its arguments."""
        return ""

    def _as_call(self) -> str | None:
        """Return this stage as `repr` names it; with `None`, it is its name and its `_args`."""
        return None

    # What follows from that

    def _length(self) -> int | None:
        """Return the size, asked for once."""
        n = self._known_size
        if n == UNREAD:
            n = self._known_size = self._size()
            self._bound = ENDLESS if n is None else n
        return n

    def _forget_length(self) -> None:
        """Ask for the size again, here and upstream, where a source may have changed."""
        self._known_size = UNREAD
        self._bound = 0
        for source in self._sources():
            if is_stage(source):
                source._forget_length()
        self._arrange()

    def _arrange(self) -> None:
        """Take what follows from the lengths of sources, where it is kept."""

    def _describe(self) -> str:
        """Return a short name for messages, such as `smap(load)`."""
        name = self._name or type(self).__name__.lower()
        arguments = self._args() or ()
        function = next((a for a in arguments if callable(a) and not is_stage(a)), None)
        return f"{name}({called(function)})" if function is not None else name

    def __len__(self) -> int:
        """Return the number of items.

        Raises:
            TypeError: If the sequence is endless, or its length is not known.
        """
        n = self._length()
        if n is None:
            message = (
                f"{self._describe()} has no length: it is endless, or not known before the end"
            )
            raise TypeError(message)
        return n

    def __bool__(self) -> bool:
        """Return whether there are items; what has no length counts as having some."""
        return self._length() != 0

    @overload
    def __getitem__(self, key: int) -> T: ...
    @overload
    def __getitem__(self, key: slice) -> "LazySequence[T]": ...
    def __getitem__(self, key: Any) -> Any:
        """Return an item, or a slice as a view that computes nothing."""
        if key.__class__ is int and 0 <= key < self._bound:
            i = key  # the common case, by one comparison
        elif isinstance(key, slice):
            return self._slice(key)
        else:
            i = self._place(key)
        try:
            return self._get(i) if self._fused is None else self._fused(self, i)
        except EndOfSequence:
            if self._length() is None:
                raise IndexError(self._outside(key)) from None
            self._ended_early(i)
        except Exception as error:  # noqa: BLE001 -- user code may raise anything
            reraise(error)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign an item, or as many values as a slice has items."""
        if not isinstance(key, slice):
            self._assign(key, self._place(key), value)
            return
        places = self._places(key)
        if places.stop == ENDLESS:
            message = f"an endless slice of {self._describe()} cannot be assigned: give it a stop"
            raise TypeError(message)
        rows.check_listed(value, f"what is assigned to {self._describe()}", "values")
        # All before the first is assigned, because they may be read from here; and no more
        # than it takes to see that there are too many, because they may have no end.
        values = list(islice(value, len(places) + 1))
        if len(values) != len(places):
            got = "more" if len(values) > len(places) else len(values)
            message = f"a slice of {len(places)} items must be assigned as many, got {got}"
            raise ValueError(message)
        for i, item in zip(places, values, strict=True):
            self._assign(i, i, item)

    def __iter__(self) -> Iterator[T]:
        """Return an iterator, which goes on behind an item that failed."""
        n = self._length()
        return _each(self, range(ENDLESS if n is None else n))

    def __reversed__(self) -> Iterator[T]:
        """Return an iterator over the items from the last to the first."""
        return _each(self, range(len(self) - 1, -1, -1))

    # The mixins of Sequence would take an IndexError of user code for the end.

    def __contains__(self, value: object) -> bool:
        """Return whether an item is, or equals, `value`."""
        return any(item is value or item == value for item in self)

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the index of the first item that is, or equals, `value`.

        Raises:
            ValueError: If there is none.
        """
        places = self._places(slice(start, stop))
        for i, item in zip(places, _each(self, places), strict=False):
            if item is value or item == value:
                return i
        message = f"{short(value)} is not in {self._describe()}"
        raise ValueError(message)

    def count(self, value: Any) -> int:
        """Return how many items are, or equal, `value`."""
        return sum(1 for item in self if item is value or item == value)

    def pipe(
        self, function: Callable[Concatenate[Self, P], R], *args: P.args, **kwargs: P.kwargs
    ) -> R:
        """Return `function(self, *args, **kwargs)`, so that stages read left to right.

        Example:
            >>> import seqtools
            >>> list(seqtools.arange(5).pipe(seqtools.batch, 2))
            [[0, 1], [2, 3], [4]]
        """
        return function(self, *args, **kwargs)

    def __repr__(self) -> str:
        """Return the stages as a tree, from this one to its sources; nothing is evaluated."""
        from seqtools._core.display.tree import tree  # only where it is looked at

        return tree(self)

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        from seqtools._core.display.html import html_page

        return html_page(self)

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the recipe, and where it was made."""
        arguments = self._args()
        if arguments is None:
            return super().__reduce_ex__(protocol)
        return _remade, (_milestones(self), type(self), arguments, self._origin)

    # Parts

    def _index(self, key: Any) -> int:
        try:
            return int(operator.index(key))  # a bool is its own index
        except TypeError:
            message = f"indices must be integers or slices, got {short(key)}"
            raise TypeError(message) from None

    def _place(self, key: Any) -> int:
        """Return `key` as an index from 0 on."""
        n = self._length()
        i = given = self._index(key)
        if i < 0 and n is not None:
            i += n
        if i < 0 or (n is not None and i >= n):
            raise IndexError(self._outside(given))
        return i

    def _outside(self, key: Any) -> str:
        n = self._length()
        if n is not None:
            return f"index {key} is out of range for {self._describe()} of length {n}"
        if key < 0:
            return f"{self._describe()} has no length, so no negative indices, got {key}"
        return f"index {key} is past the end of {self._describe()}"

    def _ended_early(self, i: int) -> NoReturn:
        message = (
            f"{self._describe()} should have {self._length()} items, but a source without "
            f"known length ended before item {i}: give that source its size"
        )
        raise EvaluationError(message, (Step(self._describe(), i, *self._origin),)) from None

    def _assign(self, key: Any, i: int, value: Any) -> None:
        try:
            self._set(i, value)
        except EndOfSequence:  # of a selector, or of a batch to put an item into
            if self._length() is None:
                raise IndexError(self._outside(key)) from None
            self._ended_early(i)

    def _places(self, key: slice) -> range:
        """Return the indices that `key` selects."""
        n = self._length()
        if n is not None:
            return range(n)[key]
        start, stop, step = (
            None if k is None else self._index(k) for k in (key.start, key.stop, key.step)
        )
        if step == 0:
            message = "slice step cannot be zero"
            raise ValueError(message)
        if min(start or 0, stop or 0, step or 1) < 0:
            message = f"{self._describe()} has no length, so slices cannot be negative, got {key}"
            raise ValueError(message)
        return range(start or 0, ENDLESS if stop is None else stop, step or 1)

    def _slice(self, key: slice) -> "LazySequence[T]":
        return Slice(self, self._places(key))

    def _cursors(self) -> int:
        """Return how many cursors a reader of its own would have, found out once.

        That is the number of ways to a stage upstream that reads ahead.
        """
        if self._seen_cursors is None:
            sources = [source for source in self._sources() if is_stage(source)]
            ways = sum(source._cursors() for source in sources)
            self._seen_cursors = 1 if self._reads_ahead else ways
        return self._seen_cursors

    def _waits(self) -> bool:
        """Return whether a stage upstream may be reading in the background, found out once."""
        if self._seen_waits is None:
            self._seen_waits = any_upstream(self, "_acts_on_hints")
        return self._seen_waits

    def _opened(self, indices: Indices) -> "LazySequence[T]":
        """Return this stage as one reader of `indices` reads it.

        Each stage upstream that reads ahead is replaced by a cursor of its own, which
        knows from `_reads` what will be asked of it, and stops there.
        """
        if not 0 < self._cursors() <= _MOST_CURSORS:
            return self
        try:
            reads = self._reads(indices)
        except TooManyIndices:
            return self
        sources = self._sources()
        opened = []
        for source in sources:
            k = next((k for k, (read, _) in enumerate(reads) if read is source), None)
            if k is None or not is_stage(source):
                opened.append(source)
            else:
                opened.append(source._opened(reads.pop(k)[1]))
        if all(new is old for new, old in zip(opened, sources, strict=True)):
            return self
        copy = self._rebuild(*opened)
        copy._origin = self._origin
        return copy


class Rearrangement(LazySequence[T]):
    """A stage whose items are items of its sources, in another order.

    A subclass writes `_locate`, and `_runs` where whole blocks can be located at once.
    """

    __slots__ = ("_getters", "_sequences")

    def __init__(self, *sequences: Any) -> None:
        self._sequences = sequences
        self._getters = tuple([getter(sequence) for sequence in sequences])

    def _locate(self, i: int) -> tuple[int, int]:
        """Return the number of the source that has item `i`, and the index there."""
        raise NotImplementedError

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        """Return `indices` located, those that follow each other in a source together."""
        runs: list[tuple[int, list[int]]] = []
        for i in as_list(indices):
            k, j = self._locate(i)
            if not runs or runs[-1][0] != k:
                runs.append((k, []))
            runs[-1][1].append(j)
        return list(runs)

    def _get(self, i: int) -> T:
        k, j = self._locate(i)
        return self._getters[k](j)  # type: ignore[no-any-return]

    def _get_many(self, indices: Indices) -> Sequence[T]:
        parts = [read_many(self._sequences[k], js) for k, js in self._runs(indices)]
        return parts[0] if len(parts) == 1 else _joined(parts)

    def _set(self, i: int, value: Any) -> None:
        k, j = self._locate(i)
        assign(self._sequences[k], j, value)

    def _sources(self) -> tuple[Any, ...]:
        return self._sequences

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        parts: dict[int, list[Indices]] = {}
        for k, js in self._runs(indices):
            parts.setdefault(k, []).append(js)
        return [(self._sequences[k], concatenated(parts[k])) for k in sorted(parts)]


class Slice(Rearrangement[T]):
    """Items of a sequence at the places of a range, as a view."""

    __slots__ = ("_range",)

    def __init__(self, sequence: Any, places: range) -> None:
        super().__init__(sequence)
        self._range = places

    def _size(self) -> int | None:
        return None if self._range.stop == ENDLESS else len(self._range)

    def _locate(self, i: int) -> tuple[int, int]:
        return 0, self._range[i]

    def _link(self) -> fusing.Link:
        return fusing.PLACED, self._range, self._sequences[0]

    _get = LazySequence._get

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        return [(0, within(self._range, indices))]

    def _slice(self, key: slice) -> LazySequence[T]:
        places = self._places(key)
        inner = within(self._range, places)
        if places.stop == ENDLESS:
            inner = range(inner[0], ENDLESS, inner.step)  # type: ignore[attr-defined]
        return Slice(self._sequences[0], inner)  # type: ignore[arg-type]

    def _rebuild(self, *sources: Any) -> "Slice[T]":
        return Slice(sources[0], self._range)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences[0], self._range

    def _as_call(self) -> str:
        """Return the slicing that makes this view."""
        places = self._range or range(0)  # an empty one can begin before the first item
        stop = places.stop if places.stop >= 0 else None
        text = f"{places.start}:{'' if stop in (None, ENDLESS) else stop}"
        if places.step != 1:
            text += f":{places.step}"
        return f"slice[{text}]"


def _each(sequence: LazySequence[T], indices: range) -> Iterator[T]:
    """Return an iterator over the items at `indices`, read by a reader of their own.

    A generator that raised is finished, so there is one after the other, and `chain`
    goes from one to the next without a step of Python for each item.
    """
    walk = _Walk(sequence, indices)
    # An interrupt between two generators would end it: there is no step of Python there.
    return chain.from_iterable(
        map(operator.call, iter(partial(getattr, walk, "step"), None), repeat(walk))
    )


class _Walk:
    """How far an iterator has come, and what it does about errors."""

    __slots__ = ("_indices", "_sequence", "positions", "step")

    def __init__(self, sequence: LazySequence[Any], indices: range) -> None:
        self._sequence = sequence
        self._indices = indices
        self.positions: Iterator[int] = iter(indices)
        # What reads on, given this; it does not refer to it, or it would be garbage.
        self.step: Callable[[Any], Iterator[Any]] | None = _Walk.begin

    def begin(self) -> Iterator[Any]:
        """Open the sequence, and yield nothing."""
        opened = self._sequence._opened(self._indices)
        self.step = partial(fusing.loop(opened), opened)
        yield from ()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied, as iterators are."""
        message = (
            "cannot pickle or copy an iterator over a lazy sequence: do that with the sequence"
        )
        raise TypeError(message)

    def over(self, error: BaseException, i: int) -> bool:
        """Return whether `error` at `i` is the end; if not, it is to be raised as it is."""
        if isinstance(error, EndOfSequence):
            if self._indices.stop != ENDLESS:
                self._sequence._ended_early(i)
            self.step = None
        elif isinstance(error, WorkerStartError):  # not about this item, which is still to be read
            self.positions = chain((i,), self.positions)
        elif isinstance(error, Exception):
            reraise(error)
        elif fusing.was_reading(error):
            # an interrupt is nobody's error: the item is still to be read
            self.positions = chain((i,), self.positions)
        return self.step is None


def _milestones(stage: LazySequence[Any]) -> tuple[Any, ...]:
    """Return stages that `stage` is read through, no two of them far apart, the first ones first.

    They are pickled before it, so that pickling does not go into all of them at once.
    """
    if nesting(stage) <= _STRIDE:
        return ()
    before = upstream(stage)
    return tuple(each for each in before if not each._nested % _STRIDE and each is not stage)


def _remade(
    milestones: tuple[Any, ...],
    cls: type[LazySequence[T]],
    arguments: tuple[Any, ...],
    origin: tuple[str, int],
) -> Any:
    del milestones
    stage = cls(*arguments)
    stage._origin = origin
    return stage


def _joined(parts: Iterable[Any]) -> list[Any]:
    return [item for part in parts for item in part]
