"""Keys in square brackets, `+`, and reads of many items at once, where laws do not reach."""

import sys
from array import array
from collections import deque
from itertools import count
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import EvaluationError, arange, smap
from seqtools.testing import Probe


class Foreign:
    """An array of another library, which numpy can read."""

    def __init__(self, values: Any) -> None:
        self.values = np.asarray(values)

    def __array__(self, dtype: Any = None, copy: Any = None) -> Any:
        return np.array(self.values, dtype, copy=copy)


class OneElement(Foreign):
    """A tensor with one element and one dimension, which torch converts to an index."""

    shape = (1,)

    @property
    def dtype(self) -> Any:
        return self.values.dtype

    def __len__(self) -> int:
        return 1

    def __index__(self) -> int:
        return int(self.values[0])


@pytest.mark.parametrize(
    ("key", "chosen"),
    [
        (range(8, 3, -2), [8, 6, 4]),
        (range(-2, 2), [8, 9, 0, 1]),
        (range(0), []),
        (array("q", [3, 1]), [3, 1]),
        (deque([3, 1]), [3, 1]),
        ([np.int8(3), True + 0], [3, 1]),
        (np.array([3, -1], np.int8), [3, 9]),
        (np.array([3, 1], np.uint64), [3, 1]),
        (np.array([3, 1], object), [3, 1]),
        (np.array([]), []),
        (arange(3), [0, 1, 2]),
        (smap(lambda i: -1 - i, range(3)), [9, 8, 7]),
        (Foreign([3, 1]), [3, 1]),
        (memoryview(np.array([3, 1])), [3, 1]),
        (memoryview(np.arange(10) == 3), [3]),
        (Foreign(np.arange(10) == 3), [3]),
        (OneElement([3]), [3]),
    ],
    ids=count(),
)
def test_integers_choose_items(key: Any, chosen: list[int]) -> None:
    assert list(arange(10)[key]) == chosen
    assert list(arange(10)[::-1][key]) == [9 - i for i in chosen]


def test_a_tensor_of_one_boolean_is_a_mask() -> None:
    assert list(arange(1)[OneElement([True])]) == [0]
    assert list(arange(1)[OneElement([False])]) == []


@pytest.mark.parametrize(
    ("key", "said"),
    [
        (
            (1, 2),
            r"got \(1, 2\): use a list, because numpy takes a tuple for an index of each axis",
        ),
        ("ab", "must be integers, slices, or lists or arrays of integers, got 'ab'"),
        (b"ab", "or arrays of integers, got b'ab'"),
        ({1, 2}, "or arrays of integers, got {1, 2}"),
        ({1: 2}, "or arrays of integers, got {1: 2}"),
        (iter([1]), "or arrays of integers, got <list_iterator"),
        ([1, 2.0], r"indices must be integers, got 2.0 as indices\[1\]"),
        ([[1, 2]], r"indices must be integers, got \[1, 2\] as indices\[0\]"),
        (np.array([1.0]), "indices must be integers, got an array of float64"),
        (np.array(["a"]), "indices must be integers, got an array of <U1"),
        (np.array([[1]]), r"indices must have one dimension, got an array of shape \(1, 1\)"),
        (np.array([1, None]), r"indices must be integers, got None as indices\[1\]"),
    ],
    ids=count(),
)
def test_what_is_no_key(key: Any, said: str) -> None:
    with pytest.raises(TypeError, match=said):
        arange(10)[key]
    with pytest.raises(TypeError, match=said):
        st.gather(list("abcde"), range(5))[key] = "xy"


@pytest.mark.parametrize("kind", [list, np.array, lambda key: range(key[0], key[0] + 3)])
def test_indices_that_do_not_exist(kind: Any) -> None:
    with pytest.raises(IndexError, match=r"^indices\[1\] is 10, out of range for .* of length 10$"):
        arange(10)[kind([9, 10, 11])]
    with pytest.raises(IndexError, match=r"^indices\[0\] is -11, out of range for"):
        arange(10)[kind([-11, -10, -9])]
    with pytest.raises(IndexError, match=r"^indices\[0\] is -1, but a sequence without length has"):
        st.repeat(0)[kind([-1, 0, 1])]


@pytest.mark.parametrize("kind", [list, np.array])
def test_later_changes_of_indices_have_no_effect(kind: Any) -> None:
    key = kind([3, 1])
    chosen = arange(10)[key]
    key[0] = 5
    assert list(chosen) == [3, 1]


def test_numpy_is_not_imported_for_lists(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "numpy", None)  # importing it fails
    letters = list("abcde")
    st.gather(letters, range(5))[[3, -1]] = "XY"
    assert letters == list("abcXY")
    assert [arange(5)[[3, 1]][i] for i in (0, 1)] == [3, 1]


def test_a_prefetch_reads_ahead_along_the_indices() -> None:
    probe = Probe(range(100))
    with st.prefetch(probe, 1, "thread", max_cached=4) as p:
        assert list(p[[70, 3, 5, 70]]) == [70, 3, 5, 70]
    assert sorted(probe.reads) == [3, 5, 70, 70]


def test_operands_of_plus() -> None:
    p = arange(2)
    for other in ([2], (2,), range(2, 3), np.array([2]), arange(2, 3)):
        assert list(p + other) == [0, 1, 2]
    with pytest.raises(
        TypeError, match=r"right must be a sequence, got generator: .*\.uniter\(right\)"
    ):
        p + (i for i in range(3))
    joined = p
    for _ in range(1000):  # a single stage
        joined += [2]
    assert (len(joined), joined[-1]) == (1002, 2)
    grown = [9]
    grown += p
    assert grown == [9, 0, 1]


def test_numpy_does_not_compute_with_sequences() -> None:
    probe = Probe([1, 2])
    for compute in (
        lambda: np.ones(2) + probe,
        lambda: np.float64(2) * probe,
        lambda: np.sqrt(probe),
    ):
        with pytest.raises(TypeError):
            compute()
    assert probe.reads == []
    assert np.asarray(probe).tolist() == [1, 2]


class Rows:
    """A dataset that can read many items at once."""

    def __init__(self) -> None:
        self.calls: list[list[int]] = []

    def __len__(self) -> int:
        return 10

    def __getitem__(self, i: int) -> int:
        return i

    def __getitems__(self, indices: list[int]) -> list[int]:
        self.calls.append(indices)
        return indices


def test_many_items_are_read_by_one_call() -> None:
    rows = Rows()
    p = smap(lambda x: 10 // x, rows)
    assert p.__getitems__([5, -8, np.int64(1)]) == [2, 5, 10]
    assert rows.calls == [[5, 2, 1]]
    with pytest.raises(EvaluationError) as caught:
        p.__getitems__([5, 0])
    assert (caught.value.index, len(caught.value.path)) == (0, 1)
    with pytest.raises(IndexError, match=r"indices\[1\] is 10, out of range"):
        p.__getitems__([1, 10])
    with pytest.raises(IndexError, match="index 3 is past the end"):
        st.uniter(iter(range(3))).__getitems__([1, 3])


def test_many_items_of_a_prefetch_are_read_ahead() -> None:
    probe = Probe(range(100))
    with st.prefetch(probe, 2, "thread") as p:
        assert smap(str, p).__getitems__([50, 3, -1]) == ["50", "3", "99"]
    assert sorted(probe.reads) == [3, 50, 99]


@pytest.mark.parametrize(
    "key",
    [
        1 << 63,
        [1 << 63],
        np.array([(1 << 63) + 1], np.uint64),
        slice(1 << 63, None),
        slice(10**30, None),
        slice(10**30),
        slice(None, None, 1 << 70),
    ],
    ids=lambda key: str(key)[:16] + type(key).__name__,
)
def test_positions_that_cannot_be_are_refused_at_once(key: Any) -> None:
    with pytest.raises(IndexError, match=r"positions must be below 2\*\*63 - 1"):
        st.cycle([1, 2])[key]
    with pytest.raises(IndexError, match=r"positions must be below 2\*\*63 - 1"):
        st.cycle([1, 2])[1 << 62 :][1 << 62 :]
    with pytest.raises(EvaluationError, match=r"indexes\[0\] is 9223372036854775809, out of"):
        list(st.batch(st.gather(st.cycle([1, 2]), np.array([(1 << 63) + 1], np.uint64)), 1))
    assert st.cycle([1, 2])[: (1 << 63) - 1][(1 << 63) - 2] == 1


class Shaped(Foreign):
    """Rows without `len`."""

    def __init__(self, *shape: Any) -> None:
        self.shape = shape

    def __getitem__(self, i: int) -> int:
        return i


@pytest.mark.parametrize(
    ("source", "error", "text"),
    [
        (range(1 << 64), ValueError, r"up to 2\*\*63 - 1 items, but range has more"),
        (Shaped(1 << 64), ValueError, r"up to 2\*\*63 - 1 items, but Shaped has more"),
        (Shaped(None, 2), TypeError, r"got Shaped: its shape \(None, 2\) begins with no"),
        (Shaped(-1), TypeError, r"got Shaped: its shape \(-1,\) begins with no"),
    ],
    ids=["range", "shape", "None", "negative"],
)
def test_lengths_that_cannot_be_are_refused(source: Any, error: type[Exception], text: str) -> None:
    with pytest.raises(error, match=text):
        len(smap(abs, source))
    with pytest.raises(error, match=text):
        st.shuffle(source, seed=1)


def test_what_is_no_list_of_values_or_indices() -> None:
    squares = smap(lambda x: x * x, range(5))
    with pytest.raises(TypeError, match="assigned to gather must be values in order, got int"):
        squares[[3, 1]] = 5
    with pytest.raises(TypeError, match="batch 0 must be values in order, got int"):
        st.batch([1, 2], 2)[0] = 5
    with pytest.raises(TypeError, match="indices must be something to iterate over, got 1"):
        squares.__getitems__(1)
    with pytest.raises(
        TypeError, match=r"items of smap\(.*\) cannot be deleted, got 0: use gather"
    ):
        del squares[0]
