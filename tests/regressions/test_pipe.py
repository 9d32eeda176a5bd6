"""Stages read left to right with `pipe`."""

from seqtools import arange, batch, gather, smap


def shifted(sequence: object, by: int) -> object:
    return smap(lambda x: x + by, sequence)  # type: ignore[arg-type]


def test_pipe() -> None:
    assert list(arange(5).pipe(batch, 2)) == [[0, 1], [2, 3], [4]]
    assert list(arange(5).pipe(batch, 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(arange(9)[1:].pipe(gather, [3, 0]).pipe(shifted, by=10)) == [14, 11]
    assert arange(3).pipe(len) == 3
