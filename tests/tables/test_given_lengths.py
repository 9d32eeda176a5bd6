"""Lengths of items: each one is an integer that fits, wherever it comes from."""

import re
from collections import UserDict
from decimal import Decimal
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
import pytest

import seqtools as st
from seqtools._core.display.short import short
from seqtools.tables.given_lengths import as_lengths

MOST = 2**63 - 1

NO_INTEGERS: list[Any] = [
    True, np.bool_(1), 2.7, 2.0, np.float32(2), Decimal("1.9"), Fraction(3, 2), "1", None, [1],
]  # fmt: skip


def in_object_array(items: list[Any]) -> Any:
    array = np.empty(len(items), object)
    array[:] = items
    return array


@pytest.mark.parametrize("make", [list, tuple, in_object_array])
@pytest.mark.parametrize("bad", NO_INTEGERS, ids=repr)
def test_each_one_is_an_integer(bad: Any, make: Any) -> None:
    says = re.escape(f"lengths must be integers, got {short(bad)} at index 1: give the length of")
    with pytest.raises(TypeError, match=says):
        st.pack("abc", 4, make([2, bad, 3]))
    with pytest.raises(TypeError, match="at index 1: give the number of items of each inner"):
        st.flatten(["ab", "c", "def"], make([2, bad, 3]))


@pytest.mark.parametrize(
    ("lengths", "says"),
    [
        ([2, 2**70, 3], f"at most 2**63 - 1, got {2**70} at index 1"),
        ([2, 3, -(2**70)], f"at least 0, got {-(2**70)} at index 2"),
        ([2, np.int8(-1), 3], "at least 0, got -1 at index 1"),
        ([2, np.uint64(MOST + 6), 3], f"at most 2**63 - 1, got {MOST + 6} at index 1"),
        (np.array([2, MOST + 6, 3], "u8"), f"at most 2**63 - 1, got {MOST + 6} at index 1"),
        (np.array([2, 3, -4], "i1"), "at least 0, got -4 at index 2"),
    ],
)
def test_each_one_fits(lengths: Any, says: str) -> None:
    with pytest.raises(ValueError, match=re.escape(f"lengths must be {says}: give")):
        st.batch_by_length("abc", 8, lengths)


@pytest.mark.parametrize(
    "given",
    [
        [1, 2, MOST],
        (1, np.int8(2), np.uint64(MOST)),
        np.array([1, 2, MOST], object),
        np.array([1, 2, MOST], "u8"),
        range(1, 4),
        np.array([1, 2, 3], "u1"),
        [],
        np.array([]),
    ],
)
def test_integers_of_all_kinds_are_kept(given: Any) -> None:
    found = as_lengths(given, "")
    assert found.dtype == np.int64
    assert found.tolist() == [int(each) for each in given]


def test_rounding_up_does_not_overflow() -> None:
    for lengths in ([MOST, 1], np.array([1, MOST - 3])):
        with pytest.raises(ValueError, match="items must fit in capacity = 8"):
            st.batch_by_length(["aa", "b"], 8, lengths)
    with pytest.raises(ValueError, match=r"items must fit in capacity = 15, but item 0 .* of 8"):
        st.batch_by_length(["a"], 15, [9])
    assert list(st.batch_by_length(["a", "b"], MOST, [MOST - 7, 1])) == [["a"], ["b"]]
    assert list(st.pack(["a", "b"], MOST, [MOST, 0], longer="cut")) == [["a", "b"]]


@pytest.mark.parametrize("n", [2**63, 10**30])
def test_numbers_that_do_not_fit_are_refused(n: int) -> None:
    says = re.escape(f"must be at most 2**63 - 1, got {n}")
    with pytest.raises(ValueError, match=f"capacity {says}"):
        st.pack("ab", n, longer="cut")
    with pytest.raises(ValueError, match=f"capacity {says}"):
        st.batch_by_length("ab", n)
    with pytest.raises(ValueError, match=f"multiple_of {says}"):
        st.batch_by_length("ab", 8, multiple_of=n)


@pytest.mark.parametrize("nworkers", [0, 1])
def test_a_length_that_does_not_fit_is_an_error_of_item_and_stage(nworkers: int) -> None:
    packs = st.pack("ab", 8, lambda x: 2**63 if x == "b" else 1, nworkers=nworkers)
    with pytest.raises(st.EvaluationError, match="item 1 of pack failed: ValueError") as caught:
        len(packs)
    assert f"the length of an item must be at most 2**63 - 1, got {2**63}" in str(caught.value)
    assert caught.value.path[0].file == __file__
    lengths = st.smap(int, [1, 2**63])
    with pytest.raises(st.EvaluationError, match="item 1 of flatten failed: ValueError"):
        len(st.flatten(["a", "b"], lengths))


def test_a_sum_that_does_not_fit_is_refused() -> None:
    big = range(2**62)
    assert len(st.flatten([big, range(2**62 - 1)])) == MOST
    with pytest.raises(ValueError, match=r"a sequence can have up to 2\*\*63 - 1 items, but"):
        len(st.flatten([big] * 2))
    with pytest.raises(ValueError, match=r"a sequence can have up to 2\*\*63 - 1 items, but"):
        st.flatten([big] * 5, [2**62] * 5)


class Record(NamedTuple):
    tokens: Any
    label: int


@pytest.mark.parametrize(
    ("record", "access"),
    [
        ({"ids": "abc", "label": 0}, "item['ids']"),
        (UserDict(ids="abc"), "item['ids']"),
        (Record("abc", 0), "item.tokens"),
    ],
)
@pytest.mark.parametrize("group", [st.pack, st.batch_by_length])
def test_len_of_a_record_counts_its_fields_and_is_refused(
    group: Any, record: Any, access: str
) -> None:
    with pytest.raises(st.EvaluationError, match=r"item 0 of .* failed: TypeError") as caught:
        len(group([record] * 3, 4096))
    assert f"use lengths=, such as lengths=lambda item: len({access})" in str(caught.value)
    assert len(group([record] * 3, 8, [3] * 3)) == (2 if group is st.pack else 3)


def test_a_check_tells_it_without_a_scan() -> None:
    found = st.instrument.check(st.prefetch(st.pack([{"ids": "abc"}] * 9, 8), 1))
    assert any("use lengths=" in str(each) for each in found)
