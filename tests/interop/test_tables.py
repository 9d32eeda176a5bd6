"""Tables of pandas, polars and Arrow: a row is a row in every stage, or it is refused."""

import re
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import EvaluationError

COLUMNS = {"x": [1, 2, 5], "y": [3, 4, 6]}
ROWS = [(1, 3), (2, 4), (5, 6)]


def _arrow() -> Any:
    arrow = pytest.importorskip("pyarrow", reason="pyarrow is not installed: see `make interop`")
    return arrow.table(COLUMNS)


def _frame(name: str) -> Any:
    module = pytest.importorskip(name, reason=f"{name} is not installed: see `make interop`")
    return module.DataFrame(COLUMNS)


TABLES: dict[str, Callable[[], Any]] = {
    "arrow": _arrow,
    "record batch": lambda: _arrow().to_batches()[0],
    "pandas": lambda: _frame("pandas"),
    "polars": lambda: _frame("polars"),
}

STAGES: dict[str, Callable[[Any], Any]] = {
    "unbatch": lambda table: st.unbatch(st.smap(lambda _: table, range(2)), 3)[1],
    "starmap": lambda table: st.starmap(lambda *a: a, st.smap(lambda _: table, range(2)))[1],
    "batch": lambda table: st.batch(table, 2),
    "uniter": st.uniter,
    "collate_arrays": st.collate_arrays,
    "assigned": lambda table: st.batch([1, 2], 2).__setitem__(0, table),
}


def row(given: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in (given.values() if isinstance(given, dict) else given))


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("name", TABLES)
def test_refused_with_a_line_that_gives_rows(name: str, stage: str) -> None:
    table = TABLES[name]()
    with pytest.raises((TypeError, EvaluationError)) as caught:
        STAGES[stage](table)
    text = str(caught.value).splitlines()[0]
    line = text.rpartition("use ")[2].removeprefix("the list of its rows, ")
    (called,) = set(re.findall(r"\b(sequence|iterable|items|item|batch)\b", line))
    rows = eval(line, {**vars(st), called: table})  # noqa: S307 -- what we advise
    assert [row(rows[k]) for k in range(len(rows))] == ROWS


def test_a_dataset_that_returns_a_table_for_several_rows() -> None:
    table = _arrow()

    class Dataset:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> Any:
            return row(table.slice(i, 1).to_pylist()[0])

        def __getitems__(self, indices: list[int]) -> Any:
            return table.take(indices)

    with pytest.warns(RuntimeWarning, match="an item for each index, got Table"):
        assert list(st.batch(Dataset(), 2)) == [ROWS[:2], ROWS[2:]]


def test_columns() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: see `make interop`")
    labelled = pandas.Series([5, 6], index=[1, 0])
    with pytest.raises(EvaluationError, match=r"use batch.to_numpy\(\)"):
        st.unbatch([labelled], 2)[0]
    polars = pytest.importorskip("polars", reason="polars is not installed: see `make interop`")
    column = polars.Series([0.1, 0.2], dtype=polars.Float32)
    assert st.batch(column, 2)[0] == list(column)
    kept = st.batch(column.to_numpy(), 2, collate_fn=st.collate_arrays)[0]
    assert kept.dtype == np.float32
    assert list(st.gather("abc", polars.Series([2, 0], dtype=polars.UInt32))) == ["c", "a"]
    with pytest.raises(TypeError, match=r"use numpy.flatnonzero\(mask\)"):
        st.gather("ab", polars.Series([True, False]))
