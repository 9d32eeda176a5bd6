"""A boolean is not taken for 0 or 1 where an integer is meant: a mask chooses nothing silently."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import EvaluationError
from seqtools.instrument import check, debug

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
    "seed": lambda n: st.prefetch("abc", method="process", seed=n),
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
