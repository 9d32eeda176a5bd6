"""Rows of arrays and tables: what an index gives, or refused."""

import gc
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import EvaluationError, batch, gather
from seqtools._core.sources import read_many

# Rows of an array are what an index gives, however the array lies in memory.

PLAIN = np.arange(24).reshape(6, 4)


class Doubling(np.ndarray[Any, Any]):
    """An array that means something else by an index."""

    def __getitem__(self, key: Any) -> Any:
        return 2 * super().__getitem__(key)


def unaligned() -> Any:
    packed = np.zeros(6, dtype=[("pad", "i1"), ("value", "<f8")])
    packed["value"] = range(6)
    return packed["value"]


ARRAYS = {
    "plain": PLAIN,
    "one dimension": np.arange(6),
    "columns first": np.asfortranarray(PLAIN),
    "every other": np.arange(12)[::2],
    "transposed": np.arange(24).reshape(4, 6).T,
    "other byte order": PLAIN.astype(">i4"),
    "read only": np.broadcast_to(np.arange(4), (6, 4)),
    "objects": np.array([[k, str(k)] for k in range(6)], dtype=object),
    "records": np.array([(k, k / 2) for k in range(6)], dtype="i4,f8"),
    "unaligned": unaligned(),
    "subclass": PLAIN.view(Doubling),
    "masked": np.ma.masked_less(PLAIN, 5),  # type: ignore[no-untyped-call]
}


@pytest.mark.parametrize("name", ARRAYS)
def test_rows(name: str) -> None:
    array = ARRAYS[name]
    for js in ([5, 0, 0, 3], [2], []):
        got, wanted = read_many(array, np.array(js, dtype=np.int64)), array[np.array(js, np.intp)]
        assert type(got) is type(wanted)
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape
        assert got.tolist() == wanted.tolist()
        assert got.flags.writeable
        assert not np.shares_memory(got, array)


def test_rows_of_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", PLAIN)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    got = batch(gather(rows, np.array([5, -6, 3])), 2, collate_fn=lambda x: x)[0]
    assert type(got) is np.ndarray
    assert got.tolist() == PLAIN[[5, 0]].tolist()


@pytest.mark.parametrize("bad", [6, -7, 1 << 40, -(1 << 63)])
def test_rows_that_are_not_there(bad: int) -> None:
    chosen = gather(PLAIN, np.array([0, 1, bad]))
    for read in (chosen.__getitem__, lambda i: batch(chosen, 1)[i]):
        with pytest.raises(EvaluationError, match="out of range for a sequence of length 6"):
            read(2)
    with pytest.raises(EvaluationError) as caught:
        batch(chosen, 3)[0]
    assert caught.value.path[-1].index == 2
    assert list(batch(gather(PLAIN[:, 0], np.array([-1, -6])), 2)) == [[20, 0]]


def test_a_source_that_grew_or_shrank() -> None:
    source = ["a", "b"]
    chosen = gather(source, [0, 1, 2, -1])
    assert chosen[0] == "a"
    with pytest.raises(EvaluationError, match="out of range for a sequence of length 2"):
        chosen[2]
    source.append("c")
    assert list(chosen) == ["a", "b", "c", "c"]
    del source[1:]
    for i in (1, 2):
        with pytest.raises(EvaluationError):
            chosen[i]
    assert [chosen[0], chosen[3]] == ["a", "a"]


# What stands for rows is indexed by row, or refused: never a column, a key, or in no order.


class ArrowTable:
    """Two rows and two columns: an index gives a column, and a loop yields columns."""

    columns = ([1, 2], [3, 4])
    shape = (2, 2)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, k: int) -> list[int]:
        return self.columns[k]

    def to_pylist(self) -> list[dict[str, int]]:
        return [{"x": 1, "y": 3}, {"x": 2, "y": 4}]


class Rows:
    def __getitem__(self, i: int) -> tuple[int, int]:
        return ((1, 3), (2, 4))[i]


class PandasTable:
    """An index gives a column by its label, and a loop yields labels."""

    columns = ("x", "y")
    shape = (2, 2)
    iloc = Rows()

    def __len__(self) -> int:
        return 2

    def __getitem__(self, name: Any) -> list[int]:
        return {0: [1, 2], 1: [3, 4]}[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.columns)


class Series:
    """Labels that are integers, but not positions."""

    iloc = (5, 6)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, label: int) -> int:
        return {1: 5, 0: 6}[label]


COLUMNS: dict[str, Any] = {
    "arrow": ArrowTable(),
    "pandas": PandasTable(),
    "dict": {0: [1, 2], 1: [3, 4]},
    "set": {1, 2},
}


@pytest.mark.parametrize("kind", [*COLUMNS, "series"])
def test_batches(kind: str) -> None:
    table = {**COLUMNS, "series": Series()}[kind]
    rows: st.LazySequence[Any] = st.unbatch(st.smap(lambda _: table, range(3)), 2)
    message = f"batch 0 must be indexed by row, got {type(table).__name__}: "
    for read in (lambda: rows[1], lambda: st.batch(rows, 4)[0]):
        with pytest.raises(EvaluationError, match=message):
            read()
    with pytest.raises(TypeError, match=message):
        rows[1] = 5


def test_a_later_batch() -> None:
    rows = st.unbatch([[1, 2], np.array([3, 4]), ArrowTable()], 2)
    assert [rows[i] for i in range(4)] == [1, 2, 3, 4]
    with pytest.raises(EvaluationError, match=r"batch 2 must be .*, batch.to_pylist\(\)"):
        rows[4]


def test_the_lines_to_write_instead() -> None:
    def of(line: str, batch: Any) -> list[Any]:
        return list(eval(line, {**vars(st), "batch": batch}))  # noqa: S307 -- what we advise

    assert of("batch.to_pylist()", ArrowTable()) == [{"x": 1, "y": 3}, {"x": 2, "y": 4}]
    assert of("smap(batch.iloc.__getitem__, range(len(batch)))", PandasTable()) == [(1, 3), (2, 4)]
    rows = st.unbatch(st.smap(st.collate, [{"x": [1, 2], "y": [3, 4]}]), 2)  # collate(batch)
    assert list(rows) == [{"x": 1, "y": 3}, {"x": 2, "y": 4}]


@pytest.mark.parametrize("kind", COLUMNS)
def test_arguments(kind: str) -> None:
    items = st.starmap(lambda *a: a, [(1, 2), [3, 4], COLUMNS[kind]])
    message = f"must be arguments in order, got {type(COLUMNS[kind]).__name__}: use "
    reads: tuple[Callable[[], Any], ...] = (
        lambda: items[2],
        lambda: list(items),
        lambda: st.batch(items, 3)[0],
    )
    for read in reads:
        with pytest.raises(EvaluationError, match=message) as caught:
            read()
        assert (caught.value.stage, caught.value.path[-1].index) == ("starmap(<lambda>)", 2)
    assert list(items[:2]) == [(1, 2), (3, 4)]


def test_arguments_of_arguments() -> None:
    pairs = st.starmap(lambda a, b: [b, a], st.starmap(lambda a, b: (b, a), [(1, 2), {1: 2, 3: 4}]))
    outer = st.starmap(lambda *a: a, pairs)
    assert outer[0] == (1, 2)
    with pytest.raises(EvaluationError) as caught:
        outer[1]
    assert [step.stage for step in caught.value.path] == ["starmap(<lambda>)"] * 3
    assert list(st.starmap(max, st.smap(iter, [(1, 2)]))) == [2]


def test_a_loop_does_not_keep_arguments() -> None:
    class Large:
        pass

    pairs = st.smap(lambda _: (Large(), 1), range(2))
    items = iter(st.starmap(lambda large, _: weakref.ref(large), pairs))
    first = next(items)
    gc.collect()
    assert first() is None


@pytest.mark.parametrize("kind", COLUMNS)
def test_what_is_assigned(kind: str) -> None:
    table = COLUMNS[kind]
    message = f"must be values in order, got {type(table).__name__}: use "
    given = ["a", "b"]
    stages: tuple[tuple[Any, Any], ...] = (
        (st.batch(given, 2), 0),
        (st.collate([given, given]), 0),
        (st.gather(given, [0, 1]), slice(0, 2)),
        (st.split(given, 0), 0),
    )
    for stage, key in stages:
        with pytest.raises(TypeError, match=message):
            stage[key] = table
    assert given == ["a", "b"]


@pytest.mark.parametrize("table", [ArrowTable(), PandasTable()], ids=["arrow", "pandas"])
def test_a_loop_over_a_table(table: Any) -> None:
    with pytest.raises(TypeError, match=r"iterable must yield rows, got .*: use "):
        st.uniter(table)
