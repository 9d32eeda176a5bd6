"""Items in random order, epoch after epoch."""

import os
from collections.abc import Sequence
from typing import Any, TypeVar
from zlib import crc32

from seqtools._core import blocks as blocked
from seqtools._core.chance.seeds import Seed
from seqtools._core.checks import check_count, check_seed, check_source
from seqtools._core.display.short import short
from seqtools._core.indices import ENDLESS, Indices
from seqtools._core.lengths import since_refresh
from seqtools._core.order.epochs import Epochs, mixing, shuffled, shuffled_blocks
from seqtools._core.ranks import current
from seqtools._core.rearrangement import Rearrangement
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, size_of

T = TypeVar("T")

_SEED_BYTES = 6
"""Bytes of a seed that is drawn: a number that JSON and spreadsheets keep exactly."""

_OPEN = 32
"""Blocks that are in use at once by default. Arbitrary: few files, and batches that are mixed."""


class Shuffle(Rearrangement[T]):
    """Items of a sequence in random order, epoch after epoch."""

    __slots__ = ("_blocks", "_epochs", "_multiple_of", "_open_blocks", "_original", "_seed")

    def __init__(  # noqa: PLR0913, PLR0917 -- those of `shuffle`, for pickling
        self,
        sequence: Any,
        seed: Seed,
        epochs: int | None,
        multiple_of: int,
        blocks: Any,
        open_blocks: int,
    ) -> None:
        super().__init__(sequence)
        self._seed, self._epochs, self._multiple_of = seed, epochs, multiple_of
        self._blocks, self._open_blocks = blocks, open_blocks
        self._original = sequence

    def _arrange(self) -> Epochs:
        n = size_of(self._sequences[0])
        if n is None:
            message = "shuffle() needs a sequence with a length: slice it first"
            raise TypeError(message + since_refresh(self))
        length = n // self._multiple_of * self._multiple_of
        if n and not length:
            message = f"multiple_of={self._multiple_of} leaves nothing of an epoch of {n} items"
            raise ValueError(message + since_refresh(self))
        if not n and self._epochs is None:
            message = "shuffle() of an empty sequence has no items to repeat: give it epochs=1"
            raise ValueError(message + since_refresh(self))
        total = length * (self._epochs or 1)
        if total >= ENDLESS:
            message = f"{total} items are too many for a sequence: use epochs=None"
            raise ValueError(message + since_refresh(self))
        sizes = self._sizes(n)
        if sizes is None:
            return shuffled(n, length, self._seed)
        return shuffled_blocks(sizes, length, self._seed, self._open_blocks)

    def _sizes(self, n: int | None) -> Any:
        """Return the sizes of the blocks, `None` without; raise `ValueError` if they do not fit."""
        if self._blocks is None or self._blocks is False:
            return None
        sizes = self._stated() if self._blocks is True else self._blocks
        total = int(sizes.sum())
        if total != n:
            message = f"blocks must have as many items as the sequence, {n}, got {total}"
            raise ValueError(message + since_refresh(self))
        return sizes

    def _stated(self) -> Any:
        """Return the sizes of the blocks that the source states; raise `ValueError` without."""
        for source in (self._sequences[0], self._original):
            stated = getattr(source, "blocks", None)
            sizes = None if stated is None else blocked.as_sizes(stated)
            if sizes is not None:
                return sizes
        has = "none" if stated is None else f"blocks={short(stated)}"
        message = (
            f"blocks=True needs a source that states sizes, but {type(source).__name__} has {has}: "
            f"give the sizes{since_refresh(self)}"
        )
        raise ValueError(message)

    def _size(self) -> int | None:
        epochs: Epochs = self._layout or self._arranged()
        return None if self._epochs is None else epochs.length * self._epochs

    def _locate(self, i: int) -> tuple[int, int]:
        return 0, (self._layout or self._arranged()).at(i)

    def _get(self, i: int) -> T:
        return self._getters[0]((self._layout or self._arranged()).at(i))  # type: ignore[no-any-return]

    def _runs(self, indices: Indices) -> list[tuple[int, Indices]]:
        return [(0, (self._layout or self._arranged()).at_many(indices))]

    def _users(self, number: int, js: Any, n: int) -> Any:
        del number
        return (self._layout or self._arranged()).where(js, n)

    def _identity(self) -> Any:
        sizes = self._sizes(size_of(self._sequences[0]))
        blocks = None
        if sizes is not None:  # the order depends on each of them
            blocks = self._open_blocks, crc32(sizes.astype("<i8").tobytes())
        return "shuffle", self._seed, self._epochs, self._multiple_of, blocks

    def _rebuild(self, *sources: Any) -> "Shuffle[T]":
        copy = Shuffle[T](sources[0], *self._args()[1:])
        copy._original = self._original  # what a reader has for a source may state no blocks
        return copy

    def _args(self) -> tuple[Any, ...]:
        return (
            self._sequences[0],
            self._seed,
            self._epochs,
            self._multiple_of,
            self._blocks,
            self._open_blocks,
        )

    def _as_call(self) -> str:
        shown = [repr(self._seed)]
        if self._epochs != 1:
            shown.append(f"epochs={self._epochs}")
        if self._multiple_of != 1:
            shown.append(f"multiple_of={self._multiple_of}")
        if self._blocks is not None:
            plain = isinstance(self._blocks, bool)
            shown.append(f"blocks={self._blocks if plain else short(self._blocks.tolist())}")
        if self._open_blocks != _OPEN:
            shown.append(f"open_blocks={self._open_blocks}")
        return f"shuffle({', '.join(shown)})"

    def _remark(self) -> str:
        sizes = self._sizes(size_of(self._sequences[0]))
        return "" if sizes is None else mixing(sizes, self._open_blocks)


def shuffle(  # noqa: PLR0913 -- all but two by name
    sequence: Source[T],
    seed: Seed | None,
    *,
    epochs: int | None = 1,
    multiple_of: int = 1,
    blocks: Sequence[int] | bool | None = None,
    open_blocks: int = _OPEN,
) -> LazySequence[T]:
    """Return the items of `sequence` in random order, once in each epoch.

    Each epoch has an order of its own. Item `i` depends only on `i`, the seed, the length and the
    other arguments: it is the same on every platform, in every version, and whatever was read
    before. Nothing is kept in memory that grows with the length. Assigning to an item assigns to
    `sequence`.

    Args:
        sequence: A sequence with a length.
        seed: An integer, a string, or a tuple of these. With `None`, a seed is drawn, which `repr`
            shows.
        epochs: The number of epochs, end to end; with `None`, there is no end.
        multiple_of: Divides the length of each epoch: what remains of the sequence is left out,
            other items in each epoch. With the size of a batch, no batch has items of two epochs.
        blocks: Sizes of the blocks in which items are stored, such as the rows of each file: at
            most `open_blocks` of them are in use at once, and each of them once in an epoch. With
            `True`, the source states them by its attribute `blocks`. With `False`, items are read
            in any order from a source that states blocks.
        open_blocks: Blocks that are shuffled together; the more, the better items are mixed.

    Raises:
        TypeError: If `sequence` is not a sequence or has no length, or an argument is of a wrong
            type.
        ValueError: If `multiple_of` leaves nothing, `blocks` do not fit the sequence, `sequence`
            states blocks and `blocks` is `None`, there are more than 2**63 items, an empty sequence
            is to be endless, or `seed` is `None` where several ranks run, because each would draw
            one of its own.

    Example:
        >>> list(shuffle("abcdef", 7))
        ['e', 'b', 'f', 'd', 'c', 'a']
        >>> run = shuffle("abcdef", 7, epochs=90, multiple_of=4)
        >>> len(run), list(run[:4]), list(run[-4:])
        (360, ['e', 'b', 'f', 'd'], ['d', 'f', 'c', 'a'])
    """
    check_source(sequence)
    if seed is None:
        seed = _drawn()
    seed = check_seed(seed)
    epochs = None if epochs is None else check_count(epochs, 1, "epochs")
    multiple_of = check_count(multiple_of, 1, "multiple_of")
    open_blocks = check_count(open_blocks, 1, "open_blocks")
    if blocks is None:
        stated = blocked.of(sequence)
        if stated is not None:
            message = (
                f"items of the sequence are stored in {len(stated)} blocks: use blocks=True to "
                "read each block once in an epoch, or blocks=False for any order"
            )
            raise ValueError(message)
    elif not isinstance(blocks, bool):
        given = blocked.as_sizes(blocks)
        if given is None:
            message = f"blocks must be sizes from 0 up, True or False, got {short(blocks)}"
            raise TypeError(message)
        blocks = given
    result = Shuffle[T](sequence, seed, epochs, multiple_of, blocks, open_blocks)
    result._length()
    return result


def _drawn() -> int:
    """Return a seed from the operating system."""
    rank, world = current()
    if world > 1:
        message = (
            f"each of {world} ranks would draw another seed, got seed=None in rank {rank}: "
            "give all of them the same"
        )
        raise ValueError(message)
    return int.from_bytes(os.urandom(_SEED_BYTES), "little")
