"""The protocol of stages, with correct defaults.

`docs/extending.md` has it as a table. Code of other modules uses no other underscored name of a
stage.
"""

from collections.abc import Sequence
from typing import Any, Self

from seqtools._core import fusing, iteration, lengths
from seqtools._core.display.short import called
from seqtools._core.errors import creation_site
from seqtools._core.indices import ENDLESS, Indices, as_list
from seqtools._core.resume import plain
from seqtools._core.traits import NONE, Traits
from seqtools._core.walk import (
    Summary,
    draw_index_of,
    is_stage,
    summary,
    traits_upstream,
    upstream,
)


class Stage:
    """A part of a pipeline as other parts see it; `LazySequence` is its only direct subclass."""

    __slots__ = (
        "__weakref__", "_bound", "_fused", "_known_size", "_layout", "_origin", "_summary",
    )  # fmt: skip

    _is_stage = True
    _name: str | None = None
    """Its name in messages and in `repr`; `None` means the name of its class in lower case."""
    _traits: Traits = NONE
    """Its properties that matter to others."""
    _origin: tuple[str, int]
    """File and line where it was made."""

    # State of the modules `lengths`, `walk` and `fusing`
    _known_size: int | None
    _bound: int  # all indices are below this; 0 until the size is known
    _layout: Any  # the result of `_arrange`, `None` until it is needed
    _summary: Summary | None  # the result of `walk.summary`, `None` until it is needed
    _fused: fusing.Reader | None  # the compiled `_get`, `None` until it is needed

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
        """Return item `i`, with `0 <= i < size`; error paths read the parameter by this name."""
        if self._fused is None:
            self._fused = fusing.reader(self)
        return self._fused(self, i)

    # What it may write

    def _link(self) -> fusing.Link | None:
        """Return how an item is made from one item of the only source; write this or `_get`."""
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
        """Return (source, indices) pairs that are certain to be read for `indices`, in that order.

        This evaluates nothing, and leaves out reads that depend on values. A source that occurs
        several times in `_sources` occurs as often here, in the same order.
        """
        del indices
        return []

    def _made_from(self, indices: Indices) -> list[tuple[Any, Indices | None, bool]]:
        """Return (source, indices, certain) for the items from which `indices` are made.

        This evaluates nothing. `certain` means that these items are read when those at `indices`
        are. Sources of which values decide what is read are stated too: with the indices that would
        be read, `None` if they are not known, and `False`. So are those that an item reads later,
        because it is a lazy sequence. It is for who asks where an item comes from, and leaves out
        lists of indices, which are no data.
        """
        reads = self._reads(indices)
        certain = {id(source) for source, _ in reads}
        others = indices if self._traits.elementwise else None
        return [(source, js, True) for source, js in reads] + [
            (source, others, False) for source in self._sources() if id(source) not in certain
        ]

    def _users(self, number: int, js: Any, n: int) -> Any:
        """Return the indices below `n` that are certain to read one of `js` of a source.

        It is the inverse of `_reads`, and of what items that are lazy sequences read later. `None`,
        as here, means that `_reads` has to be searched.

        Args:
            number: The number of the source in `_sources`.
            js: An array of integers that ascend.
            n: At most the length.

        Returns:
            An array of integers in any order, in which repetitions and larger ones do no harm.
        """
        del number, js, n
        return None

    def _draw_index(self, i: int) -> int:
        """Return the number that stands for item `i` where random numbers are drawn.

        It is the index of the item as if nothing upstream had been sliced or sharded, so that a
        slice draws what the whole sequence does, and ranks never draw alike. It is an index here
        if this stage reorders items; then each rank has numbers of its own. No two items have the
        same. `i` may be past the end: a shard that is padded draws there.
        """
        if self._traits.elementwise:
            of_sources = draw_index_of(self)
            return i if of_sources is None else of_sources(i)
        known = self._summary or summary(self)
        return known.rank + known.world * i

    def _identity(self) -> Any:
        """Return what says that an iterator of another run can go on with this stage: see `resume`.

        It is plain, and leaves out the sources. `None` means that items are those of the source.
        """
        return self._name or type(self).__name__.lower(), plain(self._args(), self._sources())

    def _repairs(self) -> Any:
        """Return what an `_identity` of `None` leaves out and a kept table depends on, if anything.

        These are items that are left out, and values in place of items that fail.
        """
        return None

    def _passed(self, i: int) -> int | None:
        """Return how many items of each source are passed after the first `i` items of this stage.

        `None` means that this is not known.
        """
        return i if self._traits.elementwise else None

    @property
    def _keeps_index(self) -> bool:
        """Whether `_draw_index` is as defined here."""
        return type(self)._draw_index is Stage._draw_index

    def _rebuild(self, *sources: Any) -> Any:
        """Return the same combinator over other `sources`."""
        del sources
        return self

    def _over(self, *sources: Any) -> Any:
        """Return the same combinator over `sources` with the same items as its own.

        Other than by `_rebuild`, what was found out about the items stays known.
        """
        return self._rebuild(*sources)

    def _args(self) -> tuple[Any, ...] | None:
        """Return the arguments that make this stage again, for `repr` and pickling."""
        return None

    def _remark(self) -> str:
        """Return a remark that `repr` shows after the arguments."""
        return ""

    def _as_call(self) -> str | None:
        """Return the call that `repr` shows; `None` means the name and `_args`."""
        return None

    def _describe(self) -> str:
        """Return a short name for messages, such as `smap(load)`."""
        name = self._name or type(self).__name__.lower()
        arguments = self._args() or ()
        function = next((a for a in arguments if callable(a) and not is_stage(a)), None)
        return f"{name}({called(function)})" if function is not None else name

    def _arrange(self) -> Any:
        """Return what the stage derives from the lengths of its sources; it must be true.

        The stage reads it as `self._layout or self._arranged()`.
        """
        raise NotImplementedError

    def _forget(self) -> None:
        """Drop other state that depends on sources, which have changed: see `Prefetch.refresh`."""

    # What only stages with certain `_traits` implement

    def _prepare(self) -> None:
        """Make the table of a stage that `scans`, for which it may read all of its sources.

        `prefetch` calls this in the consumer before workers get the stage.
        """

    def _is_scanned(self) -> bool:
        """Return whether a stage that `scans` has its table."""
        return True

    def _scan_time(self) -> tuple[int, float]:
        """Return when a scan here has ended, by `perf_counter_ns`, and the seconds that it took."""
        return 0, 0.0

    def _scans_again(self) -> bool:
        """Return whether each run of the program has to scan for a stage that `scans`."""
        return False

    def _stand_in(self) -> Any:
        """Return a stage with items like those of this one, which `scans`, but without a table.

        It reads as little as possible, so that the pipeline can be tried without a scan.
        """
        return self

    def _hint(self, owner: Any, indices: Indices) -> None:
        """Note that `owner` is going to read `indices`, in that order, and nothing else.

        A stage that `acts_on_hints` may read them in the background. A stage may ignore a hint.
        """
        hinted: list[tuple[Any, Indices]] = []
        # the end of a hint reaches all sources, also those that would not be read
        none: Indices = range(0)
        reads = self._reads(indices) if len(indices) else [(s, none) for s in self._sources()]
        for source, js in reads:
            if is_stage(source) and not any(source is s and js is j for s, j in hinted):
                hinted.append((source, js))
                source._hint(owner, js)

    def _claim(self, indices: Indices) -> None:
        """Reserve the items at `indices`, which ascend, for this thread, which reads them next.

        Only for a stage that `iterates`. It may do nothing.
        """

    def _peek(self, i: int) -> tuple[Any, ...]:
        """Return a tuple of item `i` if it is kept, else an empty one; change nothing.

        Only for a stage that `keeps_items` of its only source.
        """
        raise NotImplementedError

    def _opened(self, indices: Indices) -> Any:
        """Return this stage for one reader of `indices`.

        A cursor replaces each stage upstream that `reads_ahead`. It knows from `_reads` which
        items will be read.
        """
        return iteration.opened(self, indices)

    # What subclasses do not override

    def _length(self) -> int | None:
        """Return the size, which is read once, and again after a `refresh`."""
        n = self._known_size
        if n == lengths.UNREAD:
            before = lengths.asked(self)
            n = self._known_size = self._size()
            self._bound = ENDLESS if n is None else n
            if before != lengths.refreshes:  # another thread has called refresh()
                lengths.forget((self,))
                return self._length()
        return n

    def _arranged(self) -> Any:
        """Return the result of `_arrange`, and keep it as `_layout` until a `refresh`."""
        before = lengths.asked(self)
        layout = self._layout = self._arrange()
        return layout if before == lengths.refreshes else self._arranged()

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Pickle the class, the arguments, and the place where the stage was made."""
        arguments = self._args()
        if arguments is None:
            return super().__reduce_ex__(protocol)
        return remade, (type(self), arguments, self._origin)


def prepare(sequence: Any) -> None:
    """Make the tables of `sequence` and of the stages upstream that scan, those upstream first."""
    if traits_upstream(sequence).scans:
        for stage in upstream(sequence):
            if stage._traits.scans:
                stage._prepare()


def remade(cls: type[Stage], arguments: tuple[Any, ...], origin: tuple[str, int]) -> Any:
    """Return the stage of a pickle."""
    stage = cls(*arguments)
    stage._origin = origin
    return stage
