"""A `__getitems__` that is wrong causes a warning, and never gives wrong items."""

import re
import warnings
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import numpy as np
import pytest

import seqtools as st
from seqtools import EvaluationError

X = np.arange(20)
Y = 10 * X


class Pair(NamedTuple):
    x: Any
    y: Any


class Columns(Mapping[str, Any]):
    """A mapping that is no dict, of as many columns as there are rows."""

    def __init__(self, indices: list[int]) -> None:
        self.indices = indices

    def __getitem__(self, key: str) -> Any:
        return X[self.indices]

    def __iter__(self) -> Any:
        return iter("xy")

    def __len__(self) -> int:
        return 2


class Table:
    columns = ("x", "y")
    shape = (2, 2)

    def __len__(self) -> int:
        return 2

    def __getitem__(self, k: int) -> int:
        return k


class Dataset:
    """Rows of two columns; what it returns for several of them is what a test says."""

    def __init__(self, bulk: Callable[[list[int]], Any]) -> None:
        self.bulk = bulk
        self.calls = 0

    def __len__(self) -> int:
        return 20

    def __getitem__(self, i: int) -> tuple[int, int]:
        return int(X[i]), int(Y[i])

    def __getitems__(self, indices: list[int]) -> Any:
        self.calls += 1
        return self.bulk(indices)


def fail(indices: list[int]) -> Any:
    raise LookupError(f"no {indices}")


WRONG: dict[str, tuple[Callable[[list[int]], Any], str]] = {
    "dict": (lambda js: {"x": X[js], "y": Y[js]}, "a list with an item for each index, got dict"),
    "mapping": (Columns, "got Columns"),
    "named tuple": (lambda js: Pair(X[js], Y[js]), "got Pair"),
    "tuple of columns": (lambda js: (X[js], Y[js]), "an item for each index, got 2 for 1"),
    "list of columns": (lambda js: [X[js], Y[js]], "an item for each index, got 2 for 1"),
    "array of columns": (lambda js: np.stack([X[js], Y[js]]), "got 2 for 1"),
    "str": (lambda _: "ab", "got str"),
    "bytes": (lambda _: b"ab", "got bytes"),
    "set": (set, "got set"),
    "table": (lambda _: Table(), "got Table"),
    "iterator": (iter, "got list_iterator"),
    "None": (lambda _: None, "got NoneType"),
    "too few": (lambda js: [(int(X[j]), int(Y[j])) for j in js[1:]], "got 1 for 2"),
    "error": (fail, r"failed with LookupError: no \[0, 1\], but its items can be read"),
}

ROUTES: dict[str, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    "batch": (lambda s: s, lambda row: row),
    "collate_fn": (lambda s: st.smap(tuple, s), lambda row: row),
    "smap": (lambda s: st.smap(max, s), max),
    "smap of several": (lambda s: st.smap(lambda a, b: (a, b), s, s), lambda row: (row, row)),
    "starmap": (lambda s: st.starmap(max, s), max),
    "gather": (lambda s: st.gather(s, range(20)), lambda row: row),
    "slice": (lambda s: st.concatenate([s])[:], lambda row: row),
    "concatenate": (lambda s: st.concatenate([s, s]), lambda row: row),
    "cycle": (st.cycle, lambda row: row),
    "collate": (lambda s: st.collate([s, s]), lambda row: (row, row)),
    "unbatch": (lambda s: st.unbatch(st.batch(s, 2), 2), lambda row: row),
}


@pytest.mark.parametrize("route", ROUTES)
@pytest.mark.parametrize("kind", WRONG)
def test_items_are_right_and_a_warning_says_why_it_takes_longer(kind: str, route: str) -> None:
    bulk, message = WRONG[kind]
    through, of_row = ROUTES[route]
    dataset = Dataset(bulk)
    batches = st.batch(through(dataset), 2)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        assert batches[0] == [of_row(row) for row in (dataset[0], dataset[1])]
        text = str(told[0].message)
        assert batches[1] == [of_row(row) for row in (dataset[2], dataset[3])]
    assert {warning.category.__mro__[1] for warning in told} == {RuntimeWarning}
    assert text.startswith("Dataset.__getitems__ ")
    assert text.endswith("return [self[i] for i in indices] from it, or remove it")
    assert re.search(message, text)
    assert told[0].filename == __file__


def test_the_last_batch_of_two_rows_alone() -> None:
    batches = st.batch(Dataset(WRONG["dict"][0]), 9)
    with pytest.warns(RuntimeWarning, match="got dict"):
        assert batches[2] == [(18, 180), (19, 190)]


def test_one_row_of_one_column() -> None:
    with pytest.warns(RuntimeWarning, match="got 1 for 2"):
        assert st.batch(Dataset(lambda js: [X[js]]), 1)[3] == [(3, 30)]


def test_rows_that_look_like_columns_are_compared_with_one_row() -> None:
    dataset = Dataset(lambda js: [(int(X[j]), int(Y[j])) for j in js])
    assert st.batch(dataset, 2)[3] == [(6, 60), (7, 70)]
    assert dataset.calls == 2
    flat = Dataset(lambda js: [int(X[j]) for j in js])
    assert st.batch(flat, 2)[3] == [6, 7]
    assert flat.calls == 1


def test_an_error_of_an_item_stays_one() -> None:
    class Hole(Dataset):
        def __getitem__(self, i: int) -> tuple[int, int]:
            if i == 5:
                raise LookupError("a hole")
            return super().__getitem__(i)

    dataset = Hole(lambda js: [dataset[j] for j in js])
    batches = st.batch(st.smap(sum, dataset), 4)
    for _ in range(2):
        with pytest.raises(EvaluationError, match="a hole") as caught:
            batches[1]
        assert caught.value.path[-1].index == 5
        calls = dataset.calls
        assert batches[2] == [88, 99, 110, 121]  # still in bulk
        assert dataset.calls == calls + 1


def test_where_warnings_are_errors() -> None:
    batches = st.batch(st.smap(sum, Dataset(fail)), 2)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(EvaluationError, match=r"BulkReadWarning: Dataset\.__getitems__ failed"):
            batches[0]


@pytest.mark.parametrize("wrong", [dict, lambda items: items[1:], set], ids=["dict", "few", "set"])
def test_a_stage_of_the_users(wrong: Callable[[Any], Any]) -> None:
    class Mine(st.LazySequence[Any]):
        def _size(self) -> int:
            return 6

        def _get(self, i: int) -> Any:
            return i, i

        def _get_many(self, indices: Any) -> Any:
            return wrong([self._get(i) for i in indices])

    for stage in (Mine(), st.smap(str, Mine())):
        with pytest.raises(EvaluationError, match=r"_get_many of mine must return a") as caught:
            st.batch(stage, 2, drop_last=True)[0] if wrong is not dict else st.batch(stage, 3)[0]
        assert isinstance(caught.value.__cause__, TypeError)


def test_in_worker_processes() -> None:
    batches = st.batch(Dataset(WRONG["dict"][0]), 2)
    told = pytest.warns(RuntimeWarning, match="must return a list with an item for each index")
    with told, st.prefetch(batches, 2, "process") as ready:
        assert list(ready) == [[dataset_row(2 * k), dataset_row(2 * k + 1)] for k in range(10)]


def dataset_row(i: int) -> tuple[int, int]:
    return int(X[i]), int(Y[i])
