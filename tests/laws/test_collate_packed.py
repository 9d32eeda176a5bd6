"""`collate_packed` puts tokens end to end, and says which belong to which item."""
# ruff: noqa: E501 -- messages are whole, so that they are found

from functools import partial
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draw

import seqtools
from seqtools import collate_packed

ITEMS = draw.lists(draw.lists(draw.integers(-9, 9), max_size=5), min_size=1)


@given(ITEMS, draw.none() | draw.integers(0, 9))
def test_items_are_found_again_by_their_segment(items: list[list[int]], more: int | None) -> None:
    total = sum(map(len, items))
    capacity = None if more is None else max(total + more, 1)
    result = collate_packed([np.array(item, "i2") for item in items], capacity, pad=-10)
    assert list(result) == ["tokens", "segment_ids", "positions"]
    assert {array.shape for array in result.values()} == {
        (total if capacity is None else capacity,)
    }
    for k, item in enumerate(items):
        here = result["segment_ids"] == k + 1
        assert result["tokens"][here].tolist() == item
        assert result["positions"][here].tolist() == list(range(len(item)))
    assert (result["segment_ids"][total:] == 0).all()
    assert (result["positions"][total:] == 0).all()
    assert (result["tokens"][total:] == -10).all()
    assert (np.diff(result["segment_ids"][:total]) >= 0).all()


def test_each_key_of_dicts_is_put_end_to_end() -> None:
    items = [{"x": [1, 2], "y": np.array([0.5, 1.5], "f4")}, {"y": np.ones(1, "f4"), "x": (3,)}]
    result = collate_packed(items, 4, pad={"y": -1})
    assert list(result) == ["x", "y", "segment_ids", "positions"]
    assert result["x"].tolist() == [1, 2, 3, 0]
    assert result["y"].tolist() == [0.5, 1.5, 1.0, -1.0]
    assert result["segment_ids"].tolist() == [1, 1, 2, 0]


def test_dtypes() -> None:
    result = collate_packed([[], np.array([1], "u2"), []])
    assert result["tokens"].dtype == np.uint16
    assert result["segment_ids"].tolist() == [2]
    assert {result[key].dtype for key in ("segment_ids", "positions")} == {np.dtype("i4")}
    assert collate_packed([[]], 2)["tokens"].dtype == np.int64
    assert collate_packed([["ab"], ["c"]])["tokens"].tolist() == ["ab", "c"]
    assert collate_packed(np.eye(2))["tokens"].tolist() == [1, 0, 0, 1]
    with pytest.raises(TypeError, match="items have no dtype in common"):
        collate_packed([np.array([1]), np.array(["a"])])


REFUSED: list[tuple[Any, dict[str, Any], Any, str]] = [
    ([], {}, ValueError, "collate_packed() needs at least one item, got none"),
    ([{}], {}, ValueError, "items must have a key with tokens, got empty dicts"),
    (
        [[1, 2], [3]],
        {"capacity": 2},
        ValueError,
        "items must fit in capacity = 2, but 2 items have 3 tokens",
    ),
    ([[1]], {"capacity": 0}, ValueError, "capacity must be at least 1, got 0"),
    ([[1], 5], {}, TypeError, "item 1 must have one dimension, got 5"),
    ([[1], "ab"], {}, TypeError, "item 1 must be an array or a list of tokens, got 'ab'"),
    ([[1], [[1, 2], [3]]], {}, TypeError, "item 1 must have one dimension, got [[1, 2], [3]]"),
    ([{"x": np.eye(2)}], {}, TypeError, "item 0 ['x'] must have one dimension, got shape (2, 2)"),
    (
        [{"x": [1]}, {"y": [1]}],
        {},
        ValueError,
        "items must be alike to be combined, but item 1 has keys ['y'], and item 0 has keys ['x']",
    ),
    (
        [{"x": [1]}, [1]],
        {},
        TypeError,
        "items must be alike to be combined, but item 1 is of type list, and item 0 is of type dict",
    ),
    (
        [{"x": [1], "y": []}],
        {},
        ValueError,
        "keys of an item must have one length, but item 0 ['y'] has 0 values, and ['x'] has 1",
    ),
    (
        [{"positions": [1]}],
        {},
        ValueError,
        "collate_packed() adds 'positions', but items have this key: rename it",
    ),
    ([[1]], {"pad": {"x": 1}}, ValueError, "pad has the key 'x', but items have ['tokens']"),
    (
        [[1]],
        {"pad": 0.5, "capacity": 2},
        ValueError,
        "pad must be a value that the dtype can hold, but items have int64, got 0.5: use another value, or pad={key: value} for each key",
    ),
]


@pytest.mark.parametrize(("items", "options", "error", "message"), REFUSED)
def test_what_cannot_be_packed_is_refused(
    items: Any, options: Any, error: Any, message: str
) -> None:
    with pytest.raises(error) as caught:
        collate_packed(items, **options)
    assert str(caught.value) == message


@pytest.mark.parametrize("method", ["thread", "process"])
def test_packs_of_a_prefetch(method: Any) -> None:
    items = [np.full(n, n) for n in (3, 20_000, 1)]
    packs = seqtools.batch(items, 2, collate_fn=partial(collate_packed, capacity=30_000))
    with seqtools.prefetch(packs, 2, method) as ready:
        first, last = ready
    assert first["tokens"][:4].tolist() == [3, 3, 3, 20_000]
    assert first["segment_ids"][[2, 3, 20_002, 20_003]].tolist() == [1, 2, 2, 0]
    assert last["tokens"].shape == (30_000,)
