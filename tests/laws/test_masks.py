"""Masks: in square brackets and for `compress`, what is refused, and what is assigned."""

import pickle
from typing import Any

import numpy as np
import pytest

import seqtools as st

MASK = [True, False, True, False, True]
ARRAY = np.array(MASK)


class Column:
    """An array of booleans of another library, whose dtype is not that of numpy."""

    dtype = "boolean"

    def __init__(self, values: Any) -> None:
        self.values, self.shape = values, values.shape

    def __len__(self) -> int:
        return len(self.values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, dtype, copy=copy)


@pytest.fixture
def letters() -> list[str]:
    return list("abcde")


@pytest.mark.parametrize("mask", [ARRAY, Column(ARRAY)], ids=["array", "column"])
def test_a_mask_in_square_brackets(letters: list[str], mask: Any) -> None:
    lazy = st.gather(letters, range(5))
    assert list(lazy[mask]) == list("ace")
    assert list(lazy[mask][1:]) == list("ce")
    assert list(lazy[::-1][mask]) == list("eca")
    assert list(pickle.loads(pickle.dumps(lazy[mask]))) == list("ace")
    lazy[mask] = "XYZ"
    assert letters == list("XbYdZ")
    with pytest.raises(ValueError, match="3 items were chosen, so assign as many values, got 2"):
        lazy[mask] = "XY"
    lazy[mask] = lazy[mask][::-1]
    assert letters == list("ZbYdX")


def test_nothing_is_read_by_a_mask() -> None:
    def fail(_: object) -> None:
        raise AssertionError

    assert len(st.smap(fail, range(5))[ARRAY]) == 3
    assert len(st.compress(st.smap(fail, range(5)), MASK)) == 3


def test_an_array_of_a_mask_is_an_array() -> None:
    (batch,) = st.batch(st.compress(np.arange(5), MASK), 3, collate_fn=lambda items: items)
    assert isinstance(batch, np.ndarray)
    assert batch.tolist() == [0, 2, 4]


def test_another_length_is_refused() -> None:
    for mask in (MASK, np.array(MASK)):
        with pytest.raises(ValueError, match="mask must have 4 items, as the sequence has, got 5"):
            st.compress("abcd", mask)
    with pytest.raises(ValueError, match="mask must have 4 items, as the sequence has, got 5"):
        st.arange(4)[ARRAY]


@pytest.mark.parametrize(
    ("mask", "told"),
    [
        ([1, 0, 1, 0, 1], r"mask\[0\] must be True or False, got 1: .* or gather\("),
        ([True, False, None, True, True], r"mask\[2\] must be True or False, got None"),
        (np.array([1, 0, 1, 0, 1]), "must be booleans, got an array of int64: use mask != 0, or g"),
        (np.ones((5, 2), bool), r"must have one dimension, got an array of shape \(5, 2\)"),
        (np.array([True])[0], "mask must be a sequence"),
        (3, "mask must be a sequence, got int"),
        ({True, False}, "mask must be a sequence, got set"),
    ],
)
def test_what_is_no_mask(mask: Any, told: str) -> None:
    with pytest.raises(TypeError, match=told):
        st.compress("abcde", mask)


def test_only_arrays_are_masks_in_square_brackets() -> None:
    lazy = st.arange(5)
    ambiguous = r"got booleans, which in a list are ambiguous: use numpy.array\(mask\), or seqtools"
    for key in (MASK, [np.True_], [0, True], np.array(MASK, object)):
        with pytest.raises(TypeError, match=ambiguous):
            lazy[key]
    with pytest.raises(TypeError, match="must have one dimension"):
        lazy[np.ones((5, 1), bool)]
    assert lazy[True] == 1  # as of a list
    assert list(st.arange(0)[np.array([], bool)]) == []


def test_an_endless_mask_is_refused() -> None:
    with pytest.raises(ValueError, match="mask must end, got an endless sequence"):
        st.compress("abcde", st.repeat(value=True))


def test_a_mask_is_read_once() -> None:
    mask = [True, False]
    chosen = st.compress("ab", mask)
    mask[1] = True
    assert list(chosen) == ["a"]
    assert list(st.compress("ab", st.uniter(iter([False, True])))) == ["b"]


def test_the_length_may_not_change() -> None:
    data = list("abcde")
    ahead = st.prefetch(data, 2, method="thread")
    chosen = ahead[ARRAY]
    assert list(chosen) == list("ace")
    data.append("f")
    ahead.refresh()
    with pytest.raises(ValueError, match=r"mask must have 6 items, .*, got 5, for .*, made at"):
        len(chosen)
    st.close_all()


def test_errors_have_a_path() -> None:
    broken = st.smap(lambda x: 1 // x, [3, 0])[np.array([False, True])]
    with pytest.raises(st.EvaluationError) as caught:
        broken[0]
    assert [(step.stage, step.index) for step in caught.value.path] == [
        ("compress", 0),
        ("smap(<lambda>)", 1),
    ]


def test_it_shows_how_many() -> None:
    assert "compress[3 of 5]" in repr(st.arange(5)[ARRAY])
