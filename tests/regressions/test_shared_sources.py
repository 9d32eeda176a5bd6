"""A source that many stages read from is looked at once, not once on every way to it."""

from typing import Any

from seqtools import LazySequence, add_cache, batch, smap


def test_ways_that_double_at_every_stage() -> None:
    sequence: LazySequence[Any] = add_cache([1, 2, 3])
    for _ in range(45):
        sequence = add_cache(smap(max, sequence, sequence), 3)
    batches = batch(sequence, 2)
    assert len(batches) == 2
    assert list(batches) == [[1, 2], [3]]
