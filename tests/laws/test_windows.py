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
