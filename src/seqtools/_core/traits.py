"""The properties of a stage that matter to others."""

from typing import NamedTuple


class Traits(NamedTuple):
    """The properties of a stage that matter to others: `_traits` of its class or of itself.

    They describe the stage alone, not the stages upstream, and never change.

    Example:
        >>> from seqtools.extend import LazySequence, Traits
        >>> class Kept(LazySequence[int]):
        ...     _traits = Traits(keeps_items=True)
        >>> Kept._traits.keeps_items, Kept._traits.reads_ahead
        (True, False)
    """

    reads_ahead: bool = False
    """It evaluates items before they are read. Each reader gets a cursor, from `_opened`."""
    acts_on_hints: bool = False
    """It reads the indices of a `_hint` in the background, so that reading items one by one is
    better than in bulk."""
    keeps_items: bool = False
    """It keeps items. One worker should evaluate all items that read the same kept item."""
    iterates: bool = False
    """Its items come from an iterator, which one thread at a time advances: see `_claim`."""
    read_once: bool = False
    """An item may be gone when it is read again."""
    unknown_length: bool = False
    """It may end although its `_size` is `None`, by `EndOfSequence`."""
    draws_apart: bool = False
    """With a seed, each of its items has its own random numbers."""
    elementwise: bool = False
    """Item `i` is made of item `i` of its sources, whose order it keeps. So it has the `blocks` of
    the first one that states some, and its random numbers follow from the same index."""
    sharded: bool = False
    """It has a part of the items of its source, and other ranks have the others."""
    scans: bool = False
    """It has a table, which is made by reading its sources when a length or an item first needs
    it; before that, its length is not asked for to show it. See `_prepare`."""

    recovers: bool = False
    """It catches errors of its sources, and has an item all the same, or reads again."""


NONE = Traits()


def union(one: Traits, other: Traits) -> Traits:
    """Return the traits that `one` or `other` has."""
    if one is other or other is NONE:
        return one
    if one is NONE:
        return other
    return Traits(*map(max, one, other))
