"""Windows beyond the laws of every sequence: arrays, errors, and what is refused."""

from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools._core.indices import TooManyIndices


def test_windows_of_an_array_are_views() -> None:
    table = np.arange(12).reshape(6, 2)
    window = st.windows(table, 3)[1]
    assert isinstance(window, np.ndarray)
    assert np.shares_memory(window, table)
    assert window.tolist() == table[1:4].tolist()
    through = st.windows(st.concatenate([table]), 2)[0]
    assert isinstance(through, np.ndarray)
    assert np.shares_memory(through, table)


@pytest.mark.parametrize("sequence", [(1, 2, 3), "abc", range(3), [1, 2, 3]])
def test_other_windows_are_lists(sequence: Any) -> None:
    assert st.windows(sequence, 2)[1] == list(sequence[1:])
    assert type(st.windows(sequence, 2)[1]) is list


def test_an_error_names_the_item() -> None:
    broken = st.windows(st.smap(lambda x: 1 // x, [2, 1, 0, 1]), 2)
    assert broken[0] == [0, 1]
    with pytest.raises(st.EvaluationError) as caught:
        broken[1]
    assert [(step.stage, step.index) for step in caught.value.path] == [
        ("windows", 1),
        ("smap(<lambda>)", 2),
    ]


def test_what_is_read_is_known_without_a_list() -> None:
    source = st.arange(10**9)
    ((read, js),) = st.windows(source, 5, 5)._reads(range(3, 10**8))
    assert read is source
    assert js == range(15, 5 * 10**8)
    ((_, js),) = st.windows(source, 3, 2)._reads(range(1, 3))
    assert np.asarray(js).tolist() == [2, 3, 4, 4, 5, 6]
    with pytest.raises(TooManyIndices):
        st.windows(source, 3, 2)._reads(range(10**8))


def test_what_is_refused() -> None:
    with pytest.raises(ValueError, match="size must be at least 1, got 0"):
        st.windows("abc", 0)
    with pytest.raises(ValueError, match="step must be at least 1, got 0"):
        st.windows("abc", 1, 0)
    with pytest.raises(TypeError, match=r"size must be an integer, got 2\.0"):
        st.windows("abc", 2.0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="sequence must be a sequence, got int"):
        st.windows(3, 1)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cannot be assigned, because windows may overlap"):
        st.windows([1, 2], 1)[0] = [3]


class Dataset:
    """Squares, of which item 7 may be missing, that count the calls."""

    def __init__(self, *, broken: bool = False) -> None:
        self.calls, self.broken = 0, broken

    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> int:
        return self.__getitems__([i])[0]

    def __getitems__(self, js: list[int]) -> list[int]:
        self.calls += 1
        if self.broken and 7 in js:
            raise KeyError(7)
        return [j * j for j in js]


TABLE = np.arange(40).reshape(20, 2)
SOURCES: dict[str, Any] = {
    "list": list(range(20)),
    "tuple": tuple(range(20)),
    "range": range(20),
    "string": "abcdefghijklmnopqrst",
    "array": TABLE,
    "array backwards": TABLE[::-1],
    "masked array": np.ma.masked_greater(TABLE, 30),
    "records": TABLE.astype([("a", "i4"), ("b", "f8")]),
    "dataset": Dataset(),
    "function": st.smap(abs, range(20)),
    "array, gathered": st.gather(TABLE, range(19, -1, -1)),
    "arrays end to end": st.concatenate([TABLE[:10], TABLE[10:]]),
    "array and list": st.smap(abs, st.concatenate([np.arange(10), list(range(10))])),
    "cached": st.add_cache(st.smap(abs, range(20)), 5),
    "iterator": st.uniter(range(20), 20),
}


@pytest.mark.parametrize("step", [1, 3, 5])
@pytest.mark.parametrize("name", SOURCES)
def test_windows_are_the_same_singly_and_in_bulk(name: str, step: int) -> None:
    windows = st.windows(SOURCES[name], 3, step)
    n = len(windows)
    for indices in (range(n), range(n - 1, -1, -2), np.array([2, 0, 2]), range(1, 2), range(0)):
        singly, bulk = [windows[int(i)] for i in indices], list(windows._get_many(indices))
        assert list(map(type, singly)) == list(map(type, bulk))
        assert repr(singly) == repr(bulk)


def test_several_windows_are_read_by_one_call() -> None:
    data = Dataset()
    got = list(st.batch(st.windows(data, 3, 2), 9, collate_fn=list))
    assert got == [[[j * j for j in range(i, i + 3)] for i in range(0, 18, 2)]]
    assert data.calls == 1


def test_several_windows_of_an_array_are_views() -> None:
    assert all(np.shares_memory(window, TABLE) for window in st.windows(TABLE, 3)._get_many([4, 1]))


def test_an_error_among_several_windows_names_the_item() -> None:
    batches = st.batch(st.windows(Dataset(broken=True), 3, 2), 2)
    assert batches[0] == [[0, 1, 4], [4, 9, 16]]
    with pytest.raises(st.EvaluationError) as caught:
        batches[1]
    assert [(step.stage, step.index) for step in caught.value.path] == [
        ("batch", 1),
        ("windows", 3),
    ]


def test_a_list_that_has_become_shorter_is_no_shorter_window() -> None:
    data = list(range(6))
    windows = st.windows(data, 3)
    assert len(windows) == 4
    del data[5:]
    with pytest.raises(IndexError):
        windows._get_many(range(4))
