"""A repr is short, whatever it is of, and evaluates nothing."""

import re
from itertools import product

import numpy as np
import pytest

from seqtools import add_cache, batch, case, collate, concatenate, interleave, repeat, smap, split
from seqtools.testing import Probe
from seqtools.testing.reading import COLUMNS, LINES


def lines_of(sequence: object) -> list[str]:
    lines = repr(sequence).splitlines()
    assert len(lines) <= LINES
    assert max(map(len, lines)) <= COLUMNS
    return lines


def test_many_sources() -> None:
    lists = [[i] for i in range(1000)]
    for many in (
        concatenate(lists),
        interleave(*lists),
        smap(max, *lists),
        case(repeat(0, 1), *lists),
        collate(lists),
        collate(dict(enumerate(lists))),
    ):
        lines = lines_of(many)
        assert len(lines) in {7, 8}  # a selector has a line of its own
        assert lines[-1].split() in (["└─", "…", "995", "more"], ["└─", "…", "996", "more"])
    few = lines_of(concatenate([[1], "ab"]))
    assert [line.split()[1] for line in few[1:]] == ["[1]", "'ab'"]


@pytest.mark.filterwarnings("ignore:more than 100 stages are nested")
def test_ways_that_double_at_every_stage() -> None:
    sequence = smap(abs, [1])
    for _ in range(50):
        sequence = smap(max, sequence, sequence)
    for _ in range(2):
        assert lines_of(sequence)[-1].startswith("… ")
    deep = smap(abs, [1])
    for _ in range(500):
        deep = batch(deep, 1)
    lines = lines_of(deep)
    assert len(lines) == LINES
    assert lines[-1] == "… 402 more stages"


def test_large_sources() -> None:
    for large in (list(range(10**5)), "x" * 10**5, np.zeros(10**5), dict.fromkeys(range(10**5))):
        assert len(repr(repeat(large))) < 200
        assert len(repr(add_cache([1], cache={0: large}))) < 300


def test_slices_show_what_selects_the_same() -> None:
    probe = Probe("abcde")
    ends = [None, *range(-6, 7)]
    for start, stop, step in product(ends, ends, [None, 2, -1, -3]):
        part = probe[start:stop:step]
        shown = repr(part).split()[0].removeprefix("slice")
        assert eval(f"list('abcde'){shown}") == list(part)  # noqa: S307 -- made here
    assert repr(repeat(1)[2:]).startswith("slice[2:]  ")
    assert repr(repeat(1)[:5:2][1:]).startswith("slice[2:6:2]  ")


def test_equal_parts_are_not_shown_as_cuts() -> None:
    assert lines_of(split(range(6), parts=3))[0].startswith("split(parts=3)  ")
    assert lines_of(split(range(6), 2))[0].startswith("split(2)  ")


def test_nothing_is_evaluated() -> None:
    probe = Probe(range(5))
    lines = lines_of(batch(smap(abs, probe)[1:], 2, collate_fn=sum))
    assert [re.split("   +[0-9]", line)[0].strip() for line in lines] == [
        "batch(2, collate_fn=sum)",
        "└─ slice[1:5]",
        "└─ smap(abs)",
        "└─ probe([0, 1, 2, 3, … 1 more])",
    ]
    assert probe.reads == []
