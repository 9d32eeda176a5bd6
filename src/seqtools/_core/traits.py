"""What a stage is, where others have to treat it differently."""

from typing import NamedTuple


class Traits(NamedTuple):
    """What others must know of a stage, besides its items: `_traits` of its class or of itself.

    They hold for the stage alone, not for those that it reads from, and never change.

    Example:
        >>> from seqtools.extend import LazySequence, Traits
        >>> class Kept(LazySequence[int]):
        ...     _traits = Traits(keeps_items=True)
        >>> Kept._traits.keeps_items, Kept._traits.reads_ahead
        (True, False)
    """

    reads_ahead: bool = False
    """It evaluates items before its reader asks. Each reader gets one of its own, by `_opened`."""
    acts_on_hints: bool = False
    """It reads in the background what `_hint` announces, so that reading one by one is better than
    in bulk."""
    keeps_items: bool = False
    """Items are kept after they were read. Those that read the same one belong in one worker."""
    iterates: bool = False
    """Items come from an iterator, which one thread at a time advances. See `_claim`."""
    read_once: bool = False
    """An item may be gone when it is read again."""
    unknown_length: bool = False
    """It ends although its `_size` is `None`, by `EndOfSequence`."""
    draws_apart: bool = False
    """An item has random numbers of its own, where there is a seed."""


NONE = Traits()


def union(one: Traits, other: Traits) -> Traits:
    """Return the traits that one of both has."""
    if one is other or other is NONE:
        return one
    if one is NONE:
        return other
    return Traits(*map(max, one, other))
