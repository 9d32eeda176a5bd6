"""No batches have no items, whatever the size of the last one is said to be."""

from seqtools import unbatch


def test_empty() -> None:
    assert len(unbatch([], 4)) == 0
    assert len(unbatch([], 4, 2)) == 0
    assert list(unbatch([], 4, 2)) == []
