"""A gather of a gather of a range is arithmetic: nothing is copied, however long they are."""

from seqtools import gather
from seqtools.testing import Probe

MANY = 1 << 40


class Squares:
    """More items than could ever be copied."""

    def __len__(self) -> int:
        return MANY

    def __getitem__(self, i: int) -> int:
        return i * i


def test_nothing_is_copied() -> None:
    backwards = gather(Squares(), range(MANY - 1, -1, -1))
    evens = gather(gather(backwards, range(0, MANY, 2)), range(MANY // 2))
    assert len(evens) == MANY // 2
    assert evens[-1] == 1
    assert list(evens[-2:]) == [9, 1]


def test_what_is_read_of_it_is_stated_as_ranges() -> None:
    source = Squares()
    nested = gather(gather(source, range(MANY)), range(0, MANY, 2))
    inner, reads = nested._reads(range(10, MANY // 2))[0]
    assert reads == range(20, MANY, 2)
    assert isinstance(reads, range)
    assert inner._reads(reads)[0] == (source, reads)


def test_one_item_reads_one() -> None:
    probe = Probe(range(100))
    assert gather(gather(probe, range(99, -1, -1)), range(0, 100, 7))[3] == 78
    assert probe.reads == [78]
