"""`collate_arrays` gives what `numpy.stack` gives, place by place, in memory of its own."""

from collections import OrderedDict, UserDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Any, NamedTuple

import numpy as np
import pytest

import seqtools
from seqtools import collate_arrays
from seqtools._core import allocator

LARGE = 100_000  # bytes, more than what plain memory is used for


@pytest.fixture
def slots(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[bytearray]]:
    """Stand for the memory of a worker; gives what was taken of it."""
    taken: list[bytearray] = []

    def allocate(nbytes: int) -> bytearray:
        taken.append(bytearray(nbytes + 4096))  # a slot is of some size that is enough
        return taken[-1]

    monkeypatch.setattr(allocator, "allocate", allocate)
    yield taken
    assert all(len(slot) >= LARGE for slot in taken)


def same(given: Any, expected: Any) -> None:
    assert type(given) is type(expected)
    assert given.dtype == expected.dtype
    np.testing.assert_array_equal(given, expected)


def rows(dtype: Any, *shape: int, n: int = 3) -> list[np.ndarray]:
    size = int(np.prod(shape))
    return [(np.arange(size) + k).astype(dtype).reshape(shape) for k in range(n)]


class Tagged(np.ndarray):
    """A class of a user."""


class First(np.ndarray):
    """A class of a user which results have too."""

    __array_priority__ = 1.0


ARRAYS = {
    "small": rows("f4", 2, 3),
    "large": rows("f4", 100, 200),
    "bytes": rows("u1", 300, 300),
    "bool": rows("?", 5),
    "complex": rows("c16", 4),
    "one": rows("i8", 7, n=1),
    "no rows": rows("i8", 0, 5),
    "no columns": rows("i8", 5, 0),
    "no dimensions": rows("i4"),
    "big-endian": rows(">i4", 30, 1000),
    "datetime64": rows("M8[s]", 30_000),
    "strings": rows("U30", 1000),
    "structured": [np.ones(9000, [("x", "f8"), ("y", ">i4")]) for _ in range(3)],
    "Fortran order": [np.asfortranarray(a) for a in rows("f8", 100, 100)],
    "strided": [a[::2, ::-1] for a in rows("f8", 200, 100)],
    "read-only": [np.broadcast_to(np.float32(k), (100, 100)) for k in range(3)],
    "two dtypes": [*rows("f4", 100, 100), *rows("i8", 100, 100)],
    "two widths of strings": [*rows("S3", 4), *rows("S5", 4)],
    "objects": [np.array([None, "a", 3], object) for _ in range(3)],
    "of a class": [a.view(Tagged) for a in rows("f8", 10, 10)],
    "of a class that goes first": [a.view(First) for a in rows("f8", 10, 10)],
}


@pytest.mark.parametrize("name", ARRAYS)
def test_arrays_are_stacked(name: str) -> None:
    items = ARRAYS[name]
    for given in (items, tuple(items), {0: items}[0]):
        same(collate_arrays(given), np.stack(items))


@pytest.mark.parametrize("name", ARRAYS)
def test_large_arrays_are_written_in_a_slot(name: str, slots: list[bytearray]) -> None:
    items = ARRAYS[name]
    result = collate_arrays(items)
    same(result, np.stack(items))
    assert [np.shares_memory(result, np.frombuffer(slot, np.uint8)) for slot in slots] == (
        [True] if result.nbytes >= LARGE else []
    )


def test_without_room_in_a_slot_memory_is_plain(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[int] = []
    monkeypatch.setattr(allocator, "allocate", asked.append)
    items = ARRAYS["large"]
    same(collate_arrays(items), np.stack(items))
    assert asked == [3 * 100 * 200 * 4]


@pytest.mark.parametrize("nbytes", [0, 1, 100, 1 << 20])
def test_plain_memory_is_writable_and_aligned(nbytes: int) -> None:
    memory = np.frombuffer(allocator.empty(nbytes), np.uint8) if nbytes else np.empty(0, np.uint8)
    assert memory.nbytes == nbytes
    memory[:] = 1
    if nbytes:
        assert memory.ctypes.data % allocator.ALIGNMENT == 0


def test_masks_are_kept() -> None:
    items = [np.ma.masked_array([1, 2], [True, False]), np.ma.masked_array([3, 4])]
    result = collate_arrays(items)
    assert result.mask.tolist() == [[True, False], [False, False]]
    assert collate_arrays(items[0]).mask.tolist() == [True, False]


class Colour(IntEnum):
    RED = 1


@pytest.mark.parametrize(
    "items",
    [
        [1, 2],
        [1, 2.5],
        [True, False],
        [1, 2j],
        [Colour.RED, 5],
        [np.float32(1), np.float32(2)],
        [np.float32(1), 2],
        [np.datetime64(3, "s")],
        [np.str_("a"), np.str_("bcd")],
        list(np.ones(2, [("x", "f4")])),
    ],
    ids=repr,
)
def test_numbers_are_put_in_an_array(items: list[Any]) -> None:
    same(collate_arrays(items), np.asarray(items))


@pytest.mark.parametrize("items", [["a", "b"], [b"a"], [None, "a"], [object, len]], ids=repr)
def test_what_is_no_number_is_put_in_a_list(items: list[Any]) -> None:
    result = collate_arrays(items)
    assert result == items
    assert result is not items


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass(frozen=True)
class Sample:
    image: np.ndarray
    label: int
    size: int = field(init=False, default=0)

    def __post_init__(self) -> None:
        assert self.image.ndim == 1


@dataclass(slots=True)
class Slotted:
    x: int


def test_containers_are_kept() -> None:
    items = [
        {
            "tuple": (k, [k, f"{k}"]),
            "pair": Pair(k, np.full(2, k)),
            "sample": Sample(np.full(3, k), k),
            "slotted": Slotted(k),
            "empty": {},
        }
        for k in range(2)
    ]
    result = collate_arrays(items)
    assert list(result) == ["tuple", "pair", "sample", "slotted", "empty"]
    assert type(result["tuple"]) is tuple
    assert result["tuple"][0].tolist() == [0, 1]
    assert result["tuple"][1][1] == ["0", "1"]
    assert type(result["pair"]) is Pair
    assert result["pair"].right.tolist() == [[0, 0], [1, 1]]
    assert type(result["sample"]) is Sample
    assert result["sample"].image.shape == (2, 3)
    assert result["sample"].size.tolist() == [0, 0]
    assert result["slotted"].x.tolist() == [0, 1]
    assert result["empty"] == {}


@pytest.mark.parametrize("kind", [dict, OrderedDict, UserDict])
def test_mappings_become_dicts_in_the_order_of_the_first(kind: Any) -> None:
    result = collate_arrays([kind(b=1, a=2), kind(a=3, b=4)])
    assert {key: value.tolist() for key, value in result.items()} == {"b": [1, 4], "a": [2, 3]}
    assert list(result) == ["b", "a"]
    assert type(result) is dict


def test_an_array_stands_for_its_rows_and_is_copied(slots: list[bytearray]) -> None:
    for array in (
        np.arange(50_000.0).reshape(100, 500),
        np.arange(50_000, dtype=">i4").reshape(100, 500)[::2, ::-1],
        np.zeros((0, 3)),
        np.zeros((2, 2)).view(First),
    ):
        result = collate_arrays(array)
        same(result, np.stack(list(array)) if len(array) and type(array) is np.ndarray else array)
        assert not np.shares_memory(result, array)
    assert len(slots) == 2  # the first two are large
    objects = np.array(["a", None], object)
    assert collate_arrays(objects) == ["a", None]


def test_any_sequence_is_taken() -> None:
    assert collate_arrays(range(3)).tolist() == [0, 1, 2]
    assert collate_arrays(seqtools.smap(float, [1, 2])).tolist() == [1.0, 2.0]


A = np.zeros((2, 2))
PAD = ": use functools.partial(collate_arrays, pad=0) to fill them up"
ALIKE = "items must be alike to be combined, but item "
REFUSED = [
    ([], ValueError, "collate_arrays() needs at least one item, got none"),
    (
        [{"image": A}, {"image": A}, {"image": A}, {"image": A[:1]}],
        ValueError,
        ALIKE + "3 ['image'] has shape (1, 2), and item 0 ['image'] has shape (2, 2)" + PAD,
    ),
    ([1, 2.5, None], TypeError, ALIKE + "2 is of type NoneType, and item 0 is of type int"),
    (
        [(1, A), (1, 5)],
        TypeError,
        ALIKE + "1 [1] is of type int, and item 0 [1] is of type ndarray",
    ),
    ([[1, 2], [1, 2, 3]], ValueError, ALIKE + "1 has length 3, and item 0 has length 2"),
    ([(1,), Pair(1, 2)], TypeError, ALIKE + "1 is of type Pair, and item 0 is of type tuple"),
    (
        [{"a": 1, "b": 2}, {"a": 1, "c": 2}],
        ValueError,
        ALIKE + "1 has keys ['a', 'c'], and item 0 has keys ['a', 'b']",
    ),
    (
        [Sample(A[0], 1), Slotted(1)],
        TypeError,
        ALIKE + "1 is of type Slotted, and item 0 is of type Sample",
    ),
    (
        [{"s": Sample(A[0], 1)}, {"s": Sample(A.ravel(), 1)}],
        ValueError,
        ALIKE + "1 ['s'].image has shape (4,), and item 0 ['s'].image has shape (2,)" + PAD,
    ),
]


@pytest.mark.parametrize(("items", "error", "message"), REFUSED, ids=[m for *_, m in REFUSED])
def test_items_that_differ_are_named(items: list[Any], error: Any, message: str) -> None:
    with pytest.raises(error) as caught:
        collate_arrays(items)
    assert str(caught.value) == message


@pytest.mark.parametrize("method", ["thread", "process"])
def test_batches_of_a_prefetch(method: Any) -> None:
    images = seqtools.smap(lambda k: {"image": np.full((50, 60), k), "label": k}, range(10))
    batches = seqtools.batch(images, 4, collate_fn=collate_arrays)
    with seqtools.prefetch(batches, 2, method) as ready:
        found = list(ready)
    assert [batch["image"].shape for batch in found] == [(4, 50, 60), (4, 50, 60), (2, 50, 60)]
    assert np.concatenate([batch["label"] for batch in found]).tolist() == list(range(10))
    for batch in found:
        assert (batch["image"] == batch["label"][:, None, None]).all()
        batch["image"][:] = 0
