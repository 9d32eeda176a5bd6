"""The part of a sequence that one rank of a distributed run reads."""

from typing import Any, Literal, TypeAlias, TypeVar, get_args

from seqtools._core import blocks, fusing, ranks
from seqtools._core.checks import as_index, check_count, check_source
from seqtools._core.choices import check_choice
from seqtools._core.indices import ENDLESS, Indices, modulo, within
from seqtools._core.lengths import since_refresh
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, ends_unseen, size_of
from seqtools._core.traits import Traits
from seqtools._core.walk import draw_index_of

T = TypeVar("T")

Uneven: TypeAlias = Literal["error", "pad", "drop", "keep"]
"""What to do with a length that is no multiple of the number of ranks."""


class Shard(Rearrangement[T]):
    """Every item of which the index leaves the same remainder."""

    __slots__ = ("_all", "_start", "_uneven", "rank", "world")

    _traits = Traits(sharded=True)

    rank: int
    """The rank that reads these items."""
    world: int
    """The number of ranks."""

    def __init__(
        self, sequence: Any, rank: int, world: int, uneven: Uneven, start: int = 0
    ) -> None:
        super().__init__(sequence)
        self.rank, self.world, self._uneven = rank, world, uneven
        self._start = start  # the items before were read by other numbers of ranks
        self._all = range(start + rank, ENDLESS, world)  # the places, were the source endless

    def _arrange(self) -> tuple[int | None]:
        """Return the length of the source; raise `ValueError` if it cannot be shared."""
        n, world = size_of(self._sequences[0]), self.world
        if n is not None and (n - self._start) % world and self._uneven == "error":
            several = f"{n} items" if not self._start else f"{n} items, of which the first "
            several += f"{self._start} were read," if self._start else ""
            message = (
                f"a sequence of {several} cannot be shared evenly by {world} ranks: give shard() "
                f"uneven='drop' to leave out the last {(n - self._start) % world}, 'pad' to read "
                f"the first {(self._start - n) % world} again, or 'keep' if counts may differ by "
                "one; or shuffle with multiple_of=, the number of items of all ranks at a step"
            )
            raise ValueError(message + since_refresh(self))
        if n == 0 and self._uneven == "pad":
            message = "an empty sequence has no items to pad with"
            raise ValueError(message + since_refresh(self))
        return (n,)

    def _size(self) -> int | None:
        (n,) = self._layout or self._arranged()
        if n is None:
            return None
        left = n - self._start
        if self._uneven == "pad":
            return -(-left // self.world)  # type: ignore[no-any-return]
        if self._uneven == "drop":
            return left // self.world  # type: ignore[no-any-return]
        return len(range(self.rank, left, self.world))

    def _locate(self, i: int) -> tuple[int, int]:
        j = self._start + self.rank + self.world * i
        if self._uneven == "pad":
            (n,) = self._layout or self._arranged()
            return 0, j if n is None else j % n
        return 0, j

    def _link(self) -> fusing.Link | None:
        return None if self._uneven == "pad" else (fusing.PLACED, self._all, self._sequences[0])

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        (n,) = self._layout or self._arranged()
        js = within(self._all, indices)
        return [(0, js if n is None or self._uneven != "pad" else modulo(js, n))]

    def _users(self, number: int, js: Any, n: int) -> Any:
        if self._uneven == "pad":  # the first ones are read again
            return super()._users(number, js, n)
        ahead = js - self._all.start
        return (ahead // self.world)[(ahead >= 0) & (ahead % self.world == 0)]

    def _draw_index(self, i: int) -> int:
        """Return that of the item before it was sharded; each time it is read again has its own."""
        j = self._start + self.rank + self.world * i
        of_source = draw_index_of(self._sequences[0])
        return j if of_source is None else of_source(j)

    @property
    def even(self) -> bool:
        """Whether all ranks have the same number of items."""
        (n,) = self._layout or self._arranged()
        return self._uneven != "keep" or n is None or (n - self._start) % self.world == 0

    @property
    def blocks(self) -> Any:
        """The numbers of items of this rank in each block of the source."""
        sizes = None if self._uneven == "pad" else blocks.of(self._sequences[0])
        return None if sizes is None else blocks.dealt(sizes, self._all[: self._length()])

    def _identity(self) -> str:
        return "shard"  # another run may have other ranks, and leave out or read again other items

    def _passed(self, i: int) -> int:
        """Return how many items of the source all ranks have passed after `i` of their items."""
        (n,) = self._layout or self._arranged()
        if n is None:
            return self._start + i * self.world
        left = n - self._start
        most = left // self.world if self._uneven == "drop" else -(-left // self.world)
        return min(self._start + min(i, most) * self.world, n)  # type: ignore[no-any-return]

    def _from(self, k: int) -> "Shard[T]":
        """Return the shard for which all ranks have passed `k` items of the source."""
        return Shard(self._sequences[0], self.rank, self.world, self._uneven, k)

    def _rebuild(self, *sources: Any) -> "Shard[T]":
        return Shard(sources[0], self.rank, self.world, self._uneven, self._start)

    def _args(self) -> tuple[Any, ...]:
        start = (self._start,) if self._start else ()
        return self._sequences[0], self.rank, self.world, self._uneven, *start


def shard(
    sequence: Source[T],
    rank: int | None = None,
    world: int | None = None,
    *,
    uneven: Uneven = "error",
) -> LazySequence[T]:
    """Return the items of `sequence` that rank `rank` of `world` ranks reads.

    They are items `rank`, `rank + world`, `rank + 2 * world` and so on, so that each item is read
    by one rank, and all ranks at a step read neighbours. Nothing is copied, and assigning to an
    item assigns to `sequence`. An endless sequence has endless shards.

    Random numbers that later stages draw depend on the index of the item in `sequence`, not on its
    index here: no two ranks draw the same, and as long as the stages keep the order, an item gets
    the same numbers however many ranks there are. After a stage that reorders the items of a rank,
    they depend on `world` too.

    Args:
        sequence: The items that all ranks read together, in the same order on each of them.
        rank: The number of this rank, from 0.
        world: The number of ranks. Without `rank` and `world` they are those of this process:
            those of `torch.distributed`, JAX or mpi4py if these are initialized; else of the
            variables `RANK` and `WORLD_SIZE`, which torchrun and accelerate set, or those of MPI;
            else of a Slurm step that srun started; else 0 of 1. They are asked for here, once:
            the stage keeps the numbers wherever it is sent.
        uneven: What to do if the length is no multiple of `world`. `"error"` refuses it. `"pad"`
            reads items from the beginning again, `"drop"` leaves out the last ones, so that all
            ranks have equally many. With `"keep"` the first ranks have one more than the others,
            so that nothing is read twice or left out.

    Raises:
        TypeError: If `sequence` is not a sequence, only one of `rank` and `world` is given, or
            one is no integer.
        ValueError: If `rank` is not from 0 to `world - 1`; if the length is uneven, or not known
            where it matters; if an empty sequence should be padded; or if an environment variable
            is no such number.

    Example:
        >>> list(shard("abcdef", 1, 3))
        ['b', 'e']
        >>> [list(shard("abcde", rank, 2, uneven="pad")) for rank in range(2)]
        [['a', 'c', 'e'], ['b', 'd', 'a']]
    """
    check_source(sequence)
    check_choice(uneven, "uneven", get_args(Uneven))
    rank, world = _checked(rank, world)
    if uneven != "keep" and ends_unseen(sequence):
        message = (
            "shard() needs to know where the sequence ends, so that all ranks have equally many "
            "items: give it its size, or give shard() uneven='keep'"
        )
        raise ValueError(message)
    result = Shard[T](sequence, rank, world, uneven)
    result._length()
    return result


def _checked(rank: int | None, world: int | None) -> tuple[int, int]:
    """Return both as integers, asking for them if neither is given."""
    if rank is None and world is None:
        return ranks.current()
    if rank is None or world is None:
        given, missing = ("rank", "world") if world is None else ("world", "rank")
        message = (
            f"shard() needs rank and world together, got {given} without {missing}: give both, or "
            "neither to use those of this process"
        )
        raise TypeError(message)
    world = check_count(world, 1, "world")
    r = as_index(rank, "rank")
    if not 0 <= r < world:
        message = f"rank must be from 0 to {world - 1}, because world is {world}, got {r}"
        raise ValueError(message)
    return r, world
