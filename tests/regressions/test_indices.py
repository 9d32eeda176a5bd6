"""Indices and counts: of any type, large, at the edges, and none where a mask was given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import (
    EvaluationError,
    arange,
    batch,
    concatenate,
    cycle,
    gather,
    interleave,
    repeat,
    smap,
    split,
)
from seqtools.instrument import check, debug
from seqtools.testing import Probe

# A slice past the end is empty, as it is of a list.


def test_slice_past_the_end() -> None:
    assert list(smap(abs, [1, 2, 3])[5:]) == []
    assert len(smap(abs, [1, 2, 3])[5:9]) == 0
    assert list(smap(abs, [1, 2, 3])[2:99]) == [3]


# An index reaches functions as an `int`, in whatever type it was given.


@pytest.mark.parametrize("key", [1, True, np.int8(1), np.uint64(1), np.array(1)], ids=repr)
def test_index(key: object) -> None:
    seen: list[object] = []
    assert debug("abc", lambda i, _: seen.append(i))[key] == "b"  # type: ignore[call-overload]
    assert seen == [1]
    assert type(seen[0]) is int


@pytest.mark.parametrize("key", [1.0, "1", None, (1,), np.float64(1), np.array(1.0)], ids=repr)
def test_no_index(key: object) -> None:
    with pytest.raises(
        TypeError, match="must be integers, slices, or lists or arrays of integers, got "
    ):
        smap(abs, [0, 1])[key]  # type: ignore[call-overload]


# Counting does not end at 2³¹.

MANY = 1 << 40


def test_interleave() -> None:
    pair = interleave(range(MANY), range(0, -MANY, -1))
    assert len(pair) == 2 * MANY
    assert pair[MANY + 1] == -(MANY // 2)
    assert pair[-1] == -MANY + 1
    assert pair._reads(np.array([MANY]))[0][1].tolist() == [MANY // 2]  # type: ignore[attr-defined]


def test_concatenate() -> None:
    ends = concatenate([range(MANY), range(MANY), "z"])
    assert len(ends) == 2 * MANY + 1
    assert (ends[MANY - 1], ends[MANY], ends[-1]) == (MANY - 1, 0, "z")
    assert ends._get_many(range(2 * MANY - 1, 2 * MANY + 1)) == [MANY - 1, "z"]
    assert ends._get_many(np.array([2 * MANY, MANY])) == ["z", 0]


def test_others() -> None:
    assert cycle("abc", MANY)[-1] == "abc"[(MANY - 1) % 3]
    assert cycle("abc")[MANY] == "abc"[MANY % 3]
    assert batch(range(MANY), 1 << 20)[-1][-1] == MANY - 1
    assert gather(range(MANY), np.array([MANY - 1]))[0] == MANY - 1
    assert split(range(MANY), 1)[1][-1] == MANY - 1
    assert list(interleave(range(MANY))[MANY - 1 :]) == [MANY - 1]


def test_longer_than_a_length_can_be() -> None:
    ends = concatenate([range(1 << 62), range(1 << 62)])
    assert ends[1 << 62] == 0
    with pytest.raises(OverflowError):
        len(ends)


# A boolean is not taken for 0 or 1 where an integer is meant: a mask chooses nothing silently.

MASK = [True, False, True]
FLAT = r"use numpy.flatnonzero\(mask\)"


class Dtype:
    """That of a column of booleans, which is no dtype of numpy."""

    def __str__(self) -> str:
        return "Boolean"


class Column(list[bool]):
    dtype = Dtype()


@pytest.mark.parametrize(
    "mask",
    [
        MASK,
        tuple(MASK),
        np.array(MASK),
        list(np.array(MASK)),
        np.array(MASK, object),
        np.array(MASK, bool).view(np.ma.MaskedArray),
        Column(MASK),
    ],
    ids=["list", "tuple", "array", "list of numpy", "objects", "masked", "column"],
)
def test_mask_for_indexes(mask: Any) -> None:
    with pytest.raises(TypeError, match=f"indexes must be integers, got .*: {FLAT}"):
        st.gather("abc", mask)
    assert list(st.gather("abc", np.flatnonzero(mask))) == ["a", "c"]


READ: dict[str, Callable[[Any], Any]] = {
    "singly": lambda s: s[1],
    "in a loop": list,
    "in bulk": lambda s: st.batch(s, 3)[0],
    "assigned": lambda s: s.__setitem__(1, "x"),
}


@pytest.mark.parametrize("how", READ)
@pytest.mark.parametrize(
    "indexes",
    [
        [0, True, 2],
        (0, np.True_, 2),
        st.smap(lambda i: i == 1, range(3)),
        st.smap(lambda i: np.bool_(i == 1), range(3)),
    ],
    ids=["list", "tuple", "lazy", "lazy, of numpy"],
)
def test_boolean_found_when_it_is_read(indexes: Any, how: str) -> None:
    chosen = st.gather(list("abc"), indexes)
    wanted = TypeError if how == "assigned" else EvaluationError
    with pytest.raises(
        wanted, match=rf"indexes\[\d\] must be an integer, got (True|False): {FLAT}"
    ):
        READ[how](chosen)


def test_hints_do_not_take_them_either() -> None:
    chosen = st.gather(st.smap(str, range(3)), [0, True, 2])
    assert [source for source, _ in chosen._reads(range(3))] == [[0, True, 2]]


@pytest.mark.parametrize("mask", [MASK, np.array(MASK)], ids=["list", "array"])
def test_mask_for_a_selector(mask: Any) -> None:
    with pytest.raises(TypeError, match=r"selector must be integers, got .*: use switch\(mask"):
        st.case(mask, "abc", "xyz")
    lazy = st.case(st.smap(bool, mask), "abc", "xyz")
    with pytest.raises(EvaluationError, match=r"selector\[0\] must be an integer, got True: use"):
        lazy[0]
    assert list(st.switch(mask, "abc", "xyz")) == ["a", "y", "c"]


def test_mask_for_cuts() -> None:
    with pytest.raises(TypeError, match=f"a cut must be an integer, got False: {FLAT}"):
        st.split("abc", [False, True])
    with pytest.raises(TypeError, match=f"a part must be an integer, got False: {FLAT}"):
        st.split("abc", [(False, True)])  # type: ignore[list-item]


COUNTS: dict[str, Callable[[Any], Any]] = {
    "k": lambda n: st.batch("abc", n),
    "batch_size": lambda n: st.unbatch(["abc"], n),
    "last_batch_size": lambda n: st.unbatch(["abc"], 3, n),
    "limit": lambda n: st.cycle("abc", n),
    "times": lambda n: st.repeat("a", n),
    "edges": lambda n: st.split("abcd", n),
    "cache_size": lambda n: st.add_cache("abc", n),
    "cache_size ": lambda n: st.uniter("abc", n),
    "n_parallel": lambda n: st.uniter("abc", n_parallel=n),
    "size": lambda n: st.uniter("abc", size=n),
    "nworkers": lambda n: st.prefetch("abc", n),
    "max_cached": lambda n: st.prefetch("abc", max_cached=n),
    "max_bytes": lambda n: st.prefetch("abc", max_bytes=n),
    "max_calls": lambda n: debug("abc", print, n),
    "items": lambda n: check(st.smap(str, "abc"), items=n),
}


@pytest.mark.parametrize("value", [True, np.True_], ids=["bool", "numpy"])
@pytest.mark.parametrize("name", COUNTS)
def test_count(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=f"^{name.strip()} must be an integer, got True$"):
        COUNTS[name](value)


def test_an_index_may_be_a_boolean_as_in_a_list() -> None:
    assert st.smap(str, "abc")[True] == "b"


# Negative indices of `arange` count from the end, and there is nothing past it.


def test_edges() -> None:
    numbers = arange(5)
    assert numbers[-1] == 4
    for outside in (5, 7, -6):
        with pytest.raises(IndexError, match=f"index {outside} is out of range"):
            numbers[outside]


def test_step_of_nothing() -> None:
    with pytest.raises(ValueError, match="step must not be 0"):
        arange(0, 5, 0)


# A limit of 0 is a limit, and 1 is one; nothing cannot be repeated.


def test_no_turn() -> None:
    assert list(cycle([1, 2], 0)) == []
    assert list(cycle([], 0)) == []
    assert list(repeat("v", 0)) == []


def test_once() -> None:
    assert list(repeat("v", 1)) == ["v"]
    assert list(cycle([1, 2], 1)) == [1]


@pytest.mark.parametrize("limit", [3, None])
def test_nothing_to_repeat(limit: int | None) -> None:
    with pytest.raises(ValueError, match="empty sequence"):
        cycle([], limit)


def test_negative_limits() -> None:
    with pytest.raises(ValueError, match="limit must be at least 0, got -1"):
        cycle([1], -1)
    with pytest.raises(ValueError, match="times must be at least 0, got -1"):
        repeat(1, -1)


def test_assigning_one_assigns_all() -> None:
    values = repeat("v", 3)
    values[1] = "w"
    assert list(values) == ["w", "w", "w"]
    turns = cycle([1, 2], 5)
    turns[4] = 3
    assert list(turns) == [3, 2, 3, 2, 3]


# A gather of a gather of a range is arithmetic: nothing is copied, however long they are.


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
