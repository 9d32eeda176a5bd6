"""Sources that are refused, with the line to write instead; stages that are written in a row."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import arange, batch, gather, smap
from seqtools.instrument import debug, monitor_throughput
from seqtools.testing.subject import normal
from tests.laws.registry import ROWS, Row

# What is no sequence is refused when a stage is made, with the line to write instead.


class Rows:
    """Rows of a table by their positions."""

    def __init__(self, rows: list[Any]) -> None:
        self.rows = rows

    def __getitem__(self, i: int) -> Any:
        return self.rows[i]


class Table:
    """A DataFrame, as far as it looks like a sequence: its items are columns."""

    columns = ("x", "y")
    shape = (2, 2)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, name: str) -> list[int]:
        raise KeyError(name)


class PandasTable(Table):
    @property
    def iloc(self) -> Rows:
        return Rows([(1, 2), (3, 4)])


class PolarsTable(Table):
    def rows(self) -> list[tuple[int, int]]:
        return [(1, 2), (3, 4)]


class ArrowTable(Table):
    def to_pylist(self) -> list[dict[str, int]]:
        return [{"x": 1, "y": 2}, {"x": 3, "y": 4}]


class Series:
    """What is indexed by label, as a column of a DataFrame is."""

    iloc = Rows([5, 6])

    def __len__(self) -> int:
        return 2

    def __getitem__(self, label: str) -> int:
        raise KeyError(label)

    def to_numpy(self) -> np.ndarray:
        return np.array([5, 6])


class Stream:
    """Can be iterated, and that is all."""

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2])


class Unending:
    def __getitem__(self, i: int) -> int:
        return i


REFUSED: list[tuple[Any, list[str], list[Any]]] = [
    ({"a": 1, "b": 2}, ["list(sequence.values())"], [1, 2]),
    ({"a": 1, "b": 2}, ["list(sequence.items())"], [("a", 1), ("b", 2)]),
    ({3, 1, 2}, ["sorted(sequence)", "list(sequence)"], [1, 2, 3]),
    (frozenset([1]), ["sorted(sequence)", "list(sequence)"], [1]),
    ({"a": 1}.keys(), ["sorted(sequence)", "list(sequence)"], ["a"]),
    ({"a": 1}.values(), ["list(sequence)", "uniter(sequence)"], [1]),
    (Stream(), ["list(sequence)", "uniter(sequence)"], [1, 2]),
    (
        PandasTable(),
        ["smap(sequence.iloc.__getitem__, range(len(sequence)))"],
        [(1, 2), (3, 4)],
    ),
    (PolarsTable(), ["sequence.rows()"], [(1, 2), (3, 4)]),
    (ArrowTable(), ["sequence.to_pylist()"], [{"x": 1, "y": 2}, {"x": 3, "y": 4}]),
    (Series(), ["sequence.to_numpy()"], [5, 6]),
]


@pytest.mark.parametrize(("source", "lines", "items"), REFUSED)
def test_what_to_write_instead(source: Any, lines: list[str], items: list[Any]) -> None:
    with pytest.raises(TypeError) as caught:
        st.smap(str, source)
    said = str(caught.value)
    assert said.startswith(f"sequence must be a sequence, got {type(source).__name__}: ")
    for line in lines:
        assert line in said
        written = eval(line, {**vars(st), "sequence": source})  # noqa: S307 -- what we advise
        assert list(st.smap(lambda item: item, written)) == items


class IterableDataset:
    """That of torch: it has a `[]` that fails, and users may give it a length."""

    __module__ = "torch.utils.data.dataset"

    def __getitem__(self, i: int) -> Any:
        raise NotImplementedError


class Lines(IterableDataset):
    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])


class Columns:
    """An iterable whose `[]` is by name, and that does not know its length."""

    def __getitem__(self, name: str) -> Any:
        raise KeyError(name)

    def __iter__(self) -> Iterator[int]:
        return iter([1, 2, 3])


@pytest.mark.parametrize("make", [lambda: iter([1, 2, 3]), Lines, Columns])
@pytest.mark.parametrize("line", ["list(sequence)", "seqtools.uniter(sequence)"])
def test_iterables(make: Callable[[], Any], line: str) -> None:
    source = make()
    with pytest.raises(TypeError, match=f"got {type(source).__name__}: .*use") as caught:
        st.smap(str, source)
    assert line in str(caught.value)
    written = eval(line, {"seqtools": st, "sequence": source})  # noqa: S307 -- what we advise
    assert list(st.smap(str, written)) == ["1", "2", "3"]


class Array:
    """An array that has a shape and no length, as those of zarr."""

    def __init__(self, values: Any) -> None:
        self._values = np.asarray(values)
        self.shape = self._values.shape

    def __getitem__(self, i: int) -> Any:
        return self._values[i]


FINITE = [
    row
    for row in ROWS
    if row.length == "known"
    and all(
        not callable(values) and np.asarray(values or (), object).ndim == 1
        for values in row.sources
    )
    and "slice" not in row.name
    and "LazySequence" not in row.name
]


@pytest.mark.parametrize("row", FINITE, ids=lambda row: row.name)
def test_arrays_without_length(row: Row) -> None:
    arrays = [Array(np.array(values, object)) for values in row.sources]
    wanted = [normal(item) for item in row.expected(*map(list, row.sources))]
    assert [normal(item) for item in row.build(*arrays)] == wanted


def test_arrays_without_length_in_batches_and_workers() -> None:
    array = Array([[1, 2], [3, 4], [5, 6]])
    assert list(st.unbatch([Array([1, 2]), Array([3])], 2, 1)) == [1, 2, 3]
    with st.prefetch(array, 2, "process") as ahead:
        assert [each.tolist() for each in ahead[::-1]] == [[5, 6], [3, 4], [1, 2]]
    assert [each.tolist() for each in st.loader(array)] == [[1, 2], [3, 4], [5, 6]]
    with pytest.raises(TypeError, match="got Array: it has no dimension to index"):
        st.smap(abs, Array(1.0))


@pytest.mark.parametrize(
    ("source", "reason"),
    [
        (3, "it has no items"),
        (None, "it has no items"),
        (Unending(), "it has no length: give its class a __len__"),
        (np.array(3), "it has no dimension to index"),
    ],
)
def test_what_cannot_be_helped(source: Any, reason: str) -> None:
    with pytest.raises(TypeError, match=f"must be a sequence, got .*: {reason}"):
        st.smap(str, source)


def test_data_frame() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: users may have it")
    frame = pandas.DataFrame({"x": [1, 2], "y": [3, 4]})
    with pytest.raises(TypeError, match="sequence must be a sequence, got DataFrame: use smap"):
        st.batch(frame, 2)
    with pytest.raises(TypeError, match=r"got Series: .* use sequence.to_numpy\(\)"):
        st.batch(frame["x"], 2)
    rows = st.smap(frame.iloc.__getitem__, range(len(frame)))
    assert [list(row) for row in rows] == [[1, 3], [2, 4]]


MAKERS: dict[str, Callable[[Any], Any]] = {
    "smap": lambda s: st.smap(str, s),
    "smap, second": lambda s: st.smap(max, [1], s),
    "starmap": lambda s: st.starmap(max, s),
    "gather": lambda s: st.gather(s, [0]),
    "gather, indexes": lambda s: st.gather([1], s),
    "cycle": st.cycle,
    "interleave": lambda s: st.interleave([1], s),
    "switch, condition": lambda s: st.switch(s, [1], [1]),
    "switch, x": lambda s: st.switch([1], s, [1]),
    "switch, y": lambda s: st.switch([1], [1], s),
    "case, selector": lambda s: st.case(s, [1]),
    "case, value": lambda s: st.case([0], s),
    "collate": lambda s: st.collate([[1], s]),
    "collate, mapping": lambda s: st.collate({"x": s}),
    "concatenate": lambda s: st.concatenate([s]),
    "batch": lambda s: st.batch(s, 2),
    "unbatch": lambda s: st.unbatch(s, 2),
    "split": lambda s: st.split(s, 0),
    "add_cache": st.add_cache,
    "prefetch": st.prefetch,
    "debug": lambda s: debug(s, print),
    "monitor_throughput": monitor_throughput,
}


@pytest.mark.parametrize("source", [{"a": 1}, {1}, iter([1])], ids=["dict", "set", "iterator"])
@pytest.mark.parametrize("name", MAKERS)
def test_by_every_function(name: str, source: Any) -> None:
    with pytest.raises(TypeError, match="must be a sequence, got "):
        MAKERS[name](source)


@pytest.mark.parametrize(
    "source",
    ["abc", b"abc", (1, 2), range(3), np.zeros(3), memoryview(b"abc"), bytearray(3), []],
    ids=lambda source: type(source).__name__,
)
def test_sequences_of_python_and_numpy_are_not_refused(source: Any) -> None:
    assert list(st.smap(lambda item: item, source)) == list(source)


# Stages read left to right with `pipe`.


def shifted(sequence: object, by: int) -> object:
    return smap(lambda x: x + by, sequence)  # type: ignore[arg-type]


def test_pipe() -> None:
    assert list(arange(5).pipe(batch, 2)) == [[0, 1], [2, 3], [4]]
    assert list(arange(5).pipe(batch, 2, drop_last=True)) == [[0, 1], [2, 3]]
    assert list(arange(9)[1:].pipe(gather, [3, 0]).pipe(shifted, by=10)) == [14, 11]
    assert arange(3).pipe(len) == 3
