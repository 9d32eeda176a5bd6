"""A repr is short, whatever it is of, and evaluates nothing."""

from itertools import product

import numpy as np

from seqtools import add_cache, batch, case, collate, concatenate, interleave, repeat, smap
from seqtools.testing import Probe


def test_many_sources() -> None:
    lists = [[i] for i in range(1000)]
    for many in (
        concatenate(lists),
        interleave(*lists),
        smap(max, *lists),
        case([0], *lists),
        collate(lists),
        collate(dict(enumerate(lists))),
    ):
        assert len(repr(many)) < 400
    assert repr(concatenate([[1], "ab"])) == "concatenate([[1], 'ab'])"
    assert repr(concatenate(lists)).endswith(", [7], ...])")


def test_ways_that_double_at_every_stage() -> None:
    sequence = smap(abs, [1])
    for _ in range(50):
        sequence = smap(max, sequence, sequence)
    for _ in range(2):
        assert len(repr(sequence)) < 4000
    deep = smap(abs, [1])
    for _ in range(500):
        deep = batch(deep, 1)
    assert repr(deep).startswith("batch(batch(")
    assert "batch(...)" in repr(deep)
    assert repr(smap(abs, batch([1], 2))) == "smap(abs, batch([1], 2))"


def test_large_sources() -> None:
    for large in (list(range(10**5)), "x" * 10**5, np.zeros(10**5), dict.fromkeys(range(10**5))):
        assert len(repr(repeat(large))) < 200
        assert len(repr(add_cache([1], cache={0: large}))) < 200


def test_slices_show_what_selects_the_same() -> None:
    probe = Probe("abcde")
    ends = [None, *range(-6, 7)]
    for start, stop, step in product(ends, ends, [None, 2, -1, -3]):
        part = probe[start:stop:step]
        assert eval(repr(part), {"probe": list}) == list(part)  # noqa: S307 -- made here
    assert repr(repeat(1)[2:]) == "repeat(1)[2:]"
    assert repr(repeat(1)[:5:2][1:]) == "repeat(1)[2:6:2]"


def test_nothing_is_evaluated() -> None:
    probe = Probe(range(5))
    text = repr(batch(smap(abs, probe)[1:], 2, collate_fn=sum))
    assert text == "batch(smap(abs, probe([0, 1, 2, 3, 4]))[1:5], 2, False, None, sum)"
    assert probe.reads == []
