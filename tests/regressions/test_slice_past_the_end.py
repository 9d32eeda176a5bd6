"""A slice past the end is empty, as it is of a list."""

from seqtools import smap


def test_slice_past_the_end() -> None:
    assert list(smap(abs, [1, 2, 3])[5:]) == []
    assert len(smap(abs, [1, 2, 3])[5:9]) == 0
    assert list(smap(abs, [1, 2, 3])[2:99]) == [3]
