"""The one abstraction: a list whose items are computed when they are read."""

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import TYPE_CHECKING, Any, Concatenate, NoReturn, ParamSpec, Self, TypeVar, overload

from seqtools._core import keys, rows
from seqtools._core.checks import check_iterable
from seqtools._core.display.short import short
from seqtools._core.errors import EndOfSequence, is_of_item, reraise
from seqtools._core.indices import ENDLESS, as_array
from seqtools._core.iteration import SequenceIterator, iterate
from seqtools._core.overlap import apart
from seqtools._core.positions import ended, position, positions
from seqtools._core.sources import Source, read_all
from seqtools._core.stage import Stage

if TYPE_CHECKING:
    from seqtools._core.asynchronous import AsyncSequenceIterator

T = TypeVar("T")
R = TypeVar("R")
P = ParamSpec("P")

view_of_slice: Any = None
view_of_several: Any = None
concatenation: Any = None
"""What square brackets and `+` call, set by the modules of these views, which import this one."""


class LazySequence(Stage, Sequence[T]):
    """A sequence whose items are computed when they are read.

    A subclass defines `_size` and `_get`; all other methods have correct defaults, which are
    not always the fastest. Only this class implements `len`, `[]`, iteration, bounds,
    searching and errors. `seqtools.testing.check_laws` tests a subclass.

    A stage is a recipe: its class and `_args()`. Only these are pickled; state that reading
    creates, such as a cache or workers, begins anew after unpickling.

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

    __slots__ = ()

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
        """Return whether there are items; a sequence without length has some."""
        return self._length() != 0

    @overload
    def __getitem__(self, key: int) -> T: ...
    @overload
    def __getitem__(self, key: slice | Iterable[int]) -> "LazySequence[T]": ...
    def __getitem__(self, key: Any) -> Any:
        """Return an item, or a view that computes nothing.

        It is a view of a slice, of the items at the integers of a list or an array, or of those
        where an array of booleans is true.
        """
        if key.__class__ is int and 0 <= key < self._bound:
            i = key  # the common case
        elif isinstance(key, slice):
            return self._slice(key)
        elif key.__class__ is not int and keys.is_several(key):
            return view_of_several(self, key)
        else:
            i = position(self, key)
        try:
            return self._get(i) if self._fused is None else self._fused(self, i)
        except EndOfSequence:
            ended(self, key, i)
        except BaseException as error:
            if not is_of_item(error):
                raise
            reraise(error)

    def __setitem__(self, key: Any, value: Any) -> None:
        """Assign an item, or as many values as a slice, or another key, chooses items."""
        if not isinstance(key, slice):
            if keys.is_several(key):
                self[key][:] = value
            else:
                self._assign(key, position(self, key), value)
            return
        places = self._places(key)
        if places.stop == ENDLESS:
            message = f"an endless slice of {self._describe()} cannot be assigned: give it a stop"
            raise TypeError(message)
        rows.check_listed(value, f"what is assigned to {self._describe()}", "values")
        # All are read before the first is assigned, because they may come from this sequence, and
        # one too many at most, because `value` may be endless.
        values = list(islice(value, len(places) + 1))
        if len(values) != len(places):
            got = "more" if len(values) > len(places) else len(values)
            message = f"{len(places)} items were chosen, so assign as many values, got {got}"
            raise ValueError(message)
        for i, item in zip(places, apart(self, values), strict=True):
            self._assign(i, i, item)

    def __delitem__(self, key: Any) -> NoReturn:
        """Raise `TypeError`: which items there are follows from the sources."""
        message = (
            f"items of {self._describe()} cannot be deleted, got {short(key)}: use "
            "gather(sequence, indexes) for the other items"
        )
        raise TypeError(message)

    def __iter__(self) -> SequenceIterator[T]:
        """Return an iterator that continues after an item that failed."""
        n = self._length()
        return iterate(self, range(ENDLESS if n is None else n))

    def __reversed__(self) -> SequenceIterator[T]:
        """Return an iterator over the items from the last to the first."""
        return iterate(self, range(len(self) - 1, -1, -1))

    def __aiter__(self) -> "AsyncSequenceIterator[T]":
        """Return an iterator for `async for`, which lets other tasks run while an item is awaited.

        Items are evaluated in a thread, one at a time; those that a `prefetch` has ready are
        returned at once. See `contextlib.aclosing` for ending an iteration early.
        """
        from seqtools._core.asynchronous import AsyncSequenceIterator

        return AsyncSequenceIterator(iter(self))

    def __getitems__(self, indices: Iterable[int]) -> list[T]:
        """Return the items at `indices`, read in bulk if possible, for loaders such as torch's."""
        check_iterable(indices, "indices")
        chosen = keys.indices(list(indices), self._length())
        return read_all(self, as_array(chosen)) if chosen else []

    def __add__(self, other: "Source[T]") -> "LazySequence[T]":
        """Return the items of this sequence, then those of `other`: see `concatenate`."""
        if not hasattr(other, "__getitem__") and not hasattr(other, "__iter__"):
            return NotImplemented
        return concatenation((self, other), ("left", "right"))  # type: ignore[no-any-return]

    __array_ufunc__ = None
    """So that `array + p` and `array * p` of numpy are a `TypeError`: they would read all items."""

    # The mixins of Sequence would end at an IndexError of user code.

    def __contains__(self, value: object) -> bool:
        """Return whether an item is, or equals, `value`."""
        return any(item is value or item == value for item in self)

    def index(self, value: Any, start: int = 0, stop: int | None = None) -> int:
        """Return the index of the first item that is, or equals, `value`.

        Raises:
            ValueError: If there is none.
        """
        places = self._places(slice(start, stop))
        for i, item in zip(places, iterate(self, places), strict=False):
            if item is value or item == value:
                return i
        message = f"{short(value)} is not in {self._describe()}"
        raise ValueError(message)

    def count(self, value: Any) -> int:
        """Return how many items are, or equal, `value`."""
        return sum(1 for item in self if item is value or item == value)

    @property
    def blocks(self) -> Any:
        """The numbers of items that are stored together, one for each block, or `None`.

        A stage whose items are made of those of one source has the blocks of that source, if that
        has an attribute `blocks`; slices, concatenations, and items chosen by a mask have what they
        contain of the blocks of their sources. See `shuffle`.
        """
        sources = self._sources() if self._traits.elementwise else ()
        stated = (getattr(source, "blocks", None) for source in sources)
        return next((sizes for sizes in stated if sizes is not None), None)

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
        from seqtools._core.display.tree import tree

        return tree(self)

    def _repr_html_(self) -> str:
        """Return the same for a notebook."""
        from seqtools._core.display.html import html_page

        return html_page(self)

    # Implementation

    def _assign(self, key: Any, i: int, value: Any) -> None:
        try:
            self._set(i, value)
        except EndOfSequence:  # a selector, or the batch of the item, was read
            ended(self, key, i)

    def _places(self, key: slice) -> range:
        """Return the indices that `key` selects."""
        return positions(self, key)

    def _slice(self, key: slice) -> "LazySequence[T]":
        return view_of_slice(self, self._places(key))  # type: ignore[no-any-return]
