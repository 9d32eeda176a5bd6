"""What stages ask of each other, with an answer to all of it that is correct.

This is the protocol; `docs/extending.md` has it as a table. A stage has no other underscored name
that code of another module may use.
"""

from collections.abc import Sequence
from typing import Any, Self

from seqtools._core import fusing, iteration, lengths
from seqtools._core.display.short import called
from seqtools._core.errors import creation_site
from seqtools._core.indices import ENDLESS, Indices, as_list
from seqtools._core.traits import NONE, Traits
from seqtools._core.walk import Summary, is_stage


class Stage:
    """A part of a pipeline, as other parts see it: see `LazySequence`."""

    __slots__ = (
        "__weakref__", "_bound", "_fused", "_known_size", "_layout", "_origin", "_summary",
    )  # fmt: skip

    _is_stage = True
    _name: str | None = None
    """What it is called in messages and by `repr`; with `None`, its class in lower case."""
    _traits: Traits = NONE
    """What others must know of it."""
    _origin: tuple[str, int]
    """File and line where it was made."""

    # Kept by `lengths`, `walk` and `fusing`, each for itself
    _known_size: int | None
    _bound: int  # what indices must be below, 0 as long as the size was not asked for
    _layout: Any  # what `_arrange` returned, once that was asked for
    _summary: Summary | None  # of all that it is read through, once that was asked for
    _fused: fusing.Reader | None  # does what `_get` does in one step, once that was called

    def __new__(cls, *_args: Any, **_kwargs: Any) -> Self:
        """Note where the stage is made, so that subclasses need not call `__init__`."""
        self = object.__new__(cls)
        self._origin = creation_site()
        self._known_size = lengths.UNREAD
        self._bound = 0
        self._fused = self._layout = self._summary = None
        return self

    # What a combinator writes

    def _size(self) -> int | None:
        """Return the number of items, `None` if that is endless or not known."""
        raise NotImplementedError

    def _get(self, i: int) -> Any:
        """Return item `i`, with `0 <= i < size`; the parameter must keep this name."""
        if self._fused is None:
            self._fused = fusing.reader(self)  # of what `_link` says
        return self._fused(self, i)

    # What it may write

    def _link(self) -> fusing.Link | None:
        """Return how an item is made of one item of the only source; write that or `_get`."""
        return None

    def _get_many(self, indices: Indices) -> Sequence[Any]:
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

    def _rebuild(self, *sources: Any) -> Any:
        """Return the same combinator over other `sources`."""
        del sources
        return self

    def _args(self) -> tuple[Any, ...] | None:
        """Return the arguments that make this stage again, for `repr` and pickling."""
        return None

    def _remark(self) -> str:
        """Return what is worth knowing of this stage, which `repr` shows after its arguments."""
        return ""

    def _as_call(self) -> str | None:
        """Return this stage as `repr` names it; with `None`, it is its name and its `_args`."""
        return None

    def _describe(self) -> str:
        """Return a short name for messages, such as `smap(load)`."""
        name = self._name or type(self).__name__.lower()
        arguments = self._args() or ()
        function = next((a for a in arguments if callable(a) and not is_stage(a)), None)
        return f"{name}({called(function)})" if function is not None else name

    def _arrange(self) -> Any:
        """Return what follows from the lengths of sources: something that is true.

        The stage reads it as `self._layout or self._arranged()`.
        """
        raise NotImplementedError

    def _forget(self) -> None:
        """Drop what else is kept of sources, which may have changed: see `Prefetch.refresh`."""

    # What only some stages answer, as their `_traits` say

    def _hint(self, owner: Any, indices: Indices) -> None:
        """Take note that `owner` is going to read `indices`, in that order.

        It replaces what that owner hinted before. A stage that `acts_on_hints` may read
        them in the background; it is never a mistake to do nothing.
        """
        told: list[tuple[Any, Indices]] = []
        for source, js in self._reads(indices):
            if is_stage(source) and not any(source is s and js is j for s, j in told):
                told.append((source, js))
                source._hint(owner, js)

    def _claim(self, indices: Indices) -> None:
        """Have this thread be given `indices`, which ascend, in one turn: it is going to read them.

        Only for a stage that `iterates`. It is never a mistake to do nothing.
        """

    def _peek(self, i: int) -> tuple[Any, ...]:
        """Return item `i` alone if it is kept, else nothing; and keep what is kept as it is.

        Only for a stage that `keeps_items` of its only source.
        """
        raise NotImplementedError

    def _opened(self, indices: Indices) -> Any:
        """Return this stage as one reader of `indices` reads it.

        Each stage upstream that `reads_ahead` is replaced by a cursor of its own, which
        knows from `_reads` what will be asked of it, and stops there.
        """
        return iteration.opened(self, indices)

    # What nobody writes

    def _length(self) -> int | None:
        """Return the size, asked for once, and again after a `refresh`."""
        n = self._known_size
        if n == lengths.UNREAD:
            before = lengths.asked(self)
            n = self._known_size = self._size()
            self._bound = ENDLESS if n is None else n
            if before != lengths.refreshes:  # another thread has refreshed it meanwhile
                lengths.forget((self,))
                return self._length()
        return n

    def _arranged(self) -> Any:
        """Return what `_arrange` returns, and keep it as `_layout` until a `refresh`."""
        before = lengths.asked(self)
        layout = self._layout = self._arrange()
        return layout if before == lengths.refreshes else self._arranged()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the recipe, and where it was made."""
        arguments = self._args()
        if arguments is None:
            return super().__reduce_ex__(protocol)
        return _remade, (type(self), arguments, self._origin)


def _remade(cls: type[Stage], arguments: tuple[Any, ...], origin: tuple[str, int]) -> Any:
    stage = cls(*arguments)
    stage._origin = origin
    return stage
