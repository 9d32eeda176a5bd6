"""`collate_arrays(pad=…)` fills up arrays of several shapes, and changes nothing else."""
# ruff: noqa: E501 -- messages are whole, so that they are found

import pickle
from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draw
from hypothesis.extra import numpy as arrays

import seqtools
from seqtools import collate_arrays


def plain(result: Any) -> Any:
    """Return `result` with lists in place of arrays."""
    if isinstance(result, dict):
        return {key: plain(value) for key, value in result.items()}
    if isinstance(result, tuple):
        return tuple(map(plain, result))
    return result.tolist() if isinstance(result, np.ndarray) else result


@given(
    draw.integers(1, 3).flatmap(
        lambda n: draw.lists(arrays.arrays("i4", arrays.array_shapes(min_dims=n, max_dims=n)))
    ),
    draw.integers(1, 5),
)
def test_values_are_where_the_mask_is_true(items: list[Any], multiple_of: int) -> None:
    if not items:
        return
    before = [item.copy() for item in items]
    values, mask = collate_arrays(items, pad=-7, multiple_of=multiple_of, mask=True)
    assert values.dtype == np.int32
    assert mask.dtype == bool
    assert mask.shape == values.shape
    largest = [max(sizes) for sizes in zip(*(item.shape for item in items), strict=True)]
    for axis, (size, longest) in enumerate(zip(values.shape[1:], largest, strict=True)):
        differs = len({item.shape[axis] for item in items}) > 1
        assert size == (
            -(-longest // multiple_of) * multiple_of if differs or not axis else longest
        )
    for item, kept, row, real in zip(items, before, values, mask, strict=True):
        np.testing.assert_array_equal(item, kept)
        np.testing.assert_array_equal(row[tuple(map(slice, item.shape))], item)
        assert row[real].tolist() == item.ravel().tolist()
        assert (row[~real] == -7).all()


def test_other_axes_are_padded_where_they_differ() -> None:
    items = [{"image": np.ones((2, n, 4)), "label": n} for n in (1, 3)]
    result = collate_arrays(items, pad=0, multiple_of=8, mask=True)
    assert list(result) == ["image", "image_mask", "label"]
    assert result["image"].shape == (2, 8, 8, 4)
    assert result["image_mask"].sum(axis=(1, 2, 3)).tolist() == [8, 24]
    assert result["label"].tolist() == [1, 3]


def forms(make: Any, items: Any) -> set[str]:
    """Return the forms of all batches of some of `items`: keys, and the types and axes of values.

    The length of the first axis of a value is there as the remainder by 4.
    """

    def form(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: form(each) for key, each in value.items()}
        if isinstance(value, tuple | list):
            return type(value).__name__, [form(each) for each in value]
        return value.dtype, value.ndim, value.shape[1:2] and value.shape[1] % 4

    batches = [[a, b] for a in items for b in items] + [[a] for a in items]
    return {repr(form(make(each))) for each in batches}


OF_LENGTH: dict[str, Any] = {
    "array": lambda n: np.ones(n, "i4"),
    "dict": lambda n: {"t": np.ones(n), "box": np.zeros(4), "label": n, "of": np.float32(n)},
    "tuple": lambda n: (np.ones(n, "i4"), n),
    "list": lambda n: [np.ones((n, 2)), np.array(n)],
    "named tuple": lambda n: Pair(np.ones(n, "i4"), {"x": np.ones((2, n))}),
}
"""Items of which an array has this length."""


@pytest.mark.parametrize("item", OF_LENGTH)
@pytest.mark.parametrize(
    "options", [{"mask": True}, {"multiple_of": 4}, {"multiple_of": 4, "mask": True}]
)
def test_all_batches_have_the_same_form(item: str, options: Any) -> None:
    lengths = (1, 4, 5) if "multiple_of" in options else (1, 5, 9)
    make = partial(collate_arrays, pad=0, **options)
    assert len(forms(make, [OF_LENGTH[item](n) for n in lengths])) == 1


def test_a_mask_is_there_also_where_nothing_differs() -> None:
    alike = [{"t": A, "n": 1}, {"t": A, "n": 2}]
    result = collate_arrays(alike, pad=0, mask=True, multiple_of=4)
    assert plain(result) == {
        "t": [[1, 2, 0, 0]] * 2, "t_mask": [[True, True, False, False]] * 2, "n": [1, 2],
    }  # fmt: skip
    assert plain(collate_arrays([(A, 1)], pad=0, mask=True)) == (([[1, 2]], [[True] * 2]), [1])


def test_a_value_for_all_need_only_fit_where_it_fills_up() -> None:
    items = [{"t": np.arange(n), "image": np.ones((3, 2), "u1")} for n in (1, 2)]
    result = collate_arrays(items, pad=-100, mask=True)
    assert result["image"].tolist() == np.ones((2, 3, 2)).tolist()
    assert result["image_mask"].all()
    with pytest.raises(ValueError, match=r"items \['image'\] have uint8, got -100"):
        collate_arrays(items, pad=-100, multiple_of=2)


def test_without_options_only_what_differs_is_padded() -> None:
    masked = np.ma.masked_array([1, 2], [True, False])
    result = collate_arrays([{"x": masked, "y": A}, {"x": masked, "y": B}], pad=0)
    assert isinstance(result["x"], np.ma.MaskedArray)
    assert result["y"].tolist() == PADDED


def test_a_mapping_names_what_is_padded_also_where_nothing_differs() -> None:
    make = partial(collate_arrays, pad={"tokens": 0, "labels": -100}, multiple_of=4, mask=True)
    for lengths in ((3, 3), (1, 3), (2,)):
        items = [
            {"tokens": np.ones(n, "i4"), "labels": np.ones(n, "i4"), "x": np.ones(3)}
            for n in lengths
        ]
        result = make(items)
        assert list(result) == ["tokens", "tokens_mask", "labels", "labels_mask", "x"]
        for key, pad in (("tokens", 0), ("labels", -100)):
            assert result[key].tolist() == [[1] * n + [pad] * (4 - n) for n in lengths]
            assert result[f"{key}_mask"].sum(axis=1).tolist() == list(lengths)
        assert result["x"].shape == (len(lengths), 3)
    with pytest.raises(ValueError, match=r"item 1 \['x'\] has shape \(2,\), and item 0"):
        make([{"tokens": np.ones(2), "labels": np.ones(2), "x": np.ones(n)} for n in (3, 2)])


class Pair(NamedTuple):
    left: Any
    right: Any


@dataclass
class Sample:
    x: Any
    y: int


A, B = np.array([1, 2]), np.array([3])
PADDED, MASK = [[1, 2], [3, 0]], [[True, True], [True, False]]


@pytest.mark.parametrize(
    ("items", "pad", "expected"),
    [
        ([(A, 1), (B, 2)], 0, (((PADDED), MASK), [1, 2])),
        ([(A, 1), (B, 2)], {0: 0}, (((PADDED), MASK), [1, 2])),
        ([Pair(A, 1), Pair(B, 2)], 0, Pair((PADDED, MASK), [1, 2])),
        ([Pair(A, 1), Pair(B, 2)], {"left": 0}, Pair((PADDED, MASK), [1, 2])),
        ([Pair(2, A), Pair(2, B)], {1: 0}, Pair([2, 2], (PADDED, MASK))),
        ([{"a": {"b": A}}, {"a": {"b": B}}], {"a": {"b": 0}}, {"a": {"b": PADDED, "b_mask": MASK}}),
        ([{"a": (A,)}, {"a": (B,)}], 0, {"a": ((PADDED, MASK),)}),
        ([{3: A}, {3: B}], 0, {3: PADDED, "3_mask": MASK}),
    ],
    ids=repr,
)
def test_places_of_masks(items: Any, pad: Any, expected: Any) -> None:
    assert plain(collate_arrays(items, pad=pad, mask=True)) == expected


def test_arrays_of_objects_can_be_filled_with_none() -> None:
    items = [{"x": np.array(["a", 1], object)}, {"x": np.array(["b"], object)}]
    assert collate_arrays(items, pad={"x": None})["x"].tolist() == [["a", 1], ["b", None]]


def test_dataclasses() -> None:
    result = collate_arrays([Sample(A, 1), Sample(B, 2)], pad={"x": 0}, mask=True)
    assert plain(result.x) == (PADDED, MASK)
    assert result.y.tolist() == [1, 2]


def test_rows_of_an_array_are_treated_as_items() -> None:
    rows = np.ones((2, 3), "f4")
    assert collate_arrays(rows, pad=0, multiple_of=4).tolist() == [[1, 1, 1, 0]] * 2
    assert collate_arrays(list(rows), pad=0, multiple_of=4).tolist() == [[1, 1, 1, 0]] * 2


@pytest.mark.parametrize(
    ("dtype", "pad"),
    [
        ("u1", 255),
        ("i8", -100),
        ("i4", 2.0),
        ("f4", 0.1),
        ("f4", 0),
        ("f8", float("nan")),
        ("f2", float("inf")),
        ("?", False),
        ("?", 0),
        ("c8", 1j),
        ("U3", "ab"),
        ("M8[s]", np.datetime64("NaT")),
        ("O", None.__class__),
        (">i4", 7),
    ],
)
def test_pads_that_fit(dtype: str, pad: Any) -> None:
    items = [np.zeros(n, dtype) for n in (2, 1)]
    result = collate_arrays(items, pad=pad)
    expected = np.array([0], object) if dtype == "O" else np.zeros(1, dtype)
    expected[0] = pad
    assert result.dtype == np.result_type(np.dtype(dtype))
    np.testing.assert_array_equal(result[1, 1], expected[0])


@pytest.mark.parametrize(
    ("dtype", "pad"),
    [
        ("u1", -1),
        ("u1", 256),
        ("i4", 0.5),
        ("i8", 2**64),
        ("i4", float("nan")),
        ("?", 2),
        ("f8", 2**53 + 1),
        ("f4", 1e300),
        ("f4", 1j),
        ("i4", "a"),
        ("U3", 0),
        ("U1", "ab"),
        ("M8[s]", 0),
        ("i4", [0, 1]),
    ],
)
def test_pads_that_do_not_fit_are_refused(dtype: str, pad: Any) -> None:
    items = [{"x": np.zeros(n, dtype)} for n in (2, 1)]
    with pytest.raises(ValueError, match=r"pad must be a value that the dtype can hold, .*\['x'\]"):
        collate_arrays(items, pad=pad)


REFUSED: list[tuple[Any, dict[str, Any], Any, str]] = [
    (
        [A, B],
        {"multiple_of": 8},
        ValueError,
        "pad must be given with multiple_of or mask, got None: use pad=0",
    ),
    (
        [A, B],
        {"mask": True},
        ValueError,
        "pad must be given with multiple_of or mask, got None: use pad=0",
    ),
    (
        [{"t": [1, 2]}, {"t": [3, 4]}],
        {"pad": {"t": 0}, "mask": True},
        TypeError,
        "pad names ['t'], but items have [1, 2] there: only arrays are padded, so convert by numpy.array",
    ),
    ([A, B], {"pad": 0, "mask": 1}, TypeError, "mask must be True or False, got 1"),
    ([A, B], {"pad": 0, "multiple_of": 0}, ValueError, "multiple_of must be at least 1, got 0"),
    (
        [A, B],
        {"pad": {"x": 0}},
        TypeError,
        "pad must be one value for an array of int64, got {'x': 0}",
    ),
    (
        [{"x": A}, {"x": B}],
        {"pad": {"y": 0}},
        ValueError,
        "pad has the key 'y', but items have ['x']",
    ),
    (
        [Pair(A, 1), Pair(B, 2)],
        {"pad": {"x": 0}},
        ValueError,
        "pad has the key 'x', but items have ['left', 'right']",
    ),
    (
        [{"x": np.array([None])}, {"x": np.array([None, "a"])}],
        {},
        ValueError,
        "items must be alike to be combined, but item 1 ['x'] has shape (2,), and item 0 ['x'] has shape (1,): use functools.partial(collate_arrays, pad=0) to fill them up, or pad={key: None} where they are in dicts",
    ),
    (
        [{"x": A, "x_mask": 1}, {"x": B, "x_mask": 1}],
        {"pad": 0, "mask": True},
        ValueError,
        "mask=True adds 'x_mask', but items have this key: rename it",
    ),
    (
        [A, A.reshape(1, 2)],
        {"pad": 0},
        ValueError,
        "items must be alike to be combined, but item 1 has shape (1, 2), and item 0 has shape (2,)",
    ),
    (
        [[1, 2], [3]],
        {"pad": 0},
        ValueError,
        "items must be alike to be combined, but item 1 has length 1, and item 0 has length 2: only arrays are padded, so convert by numpy.array",
    ),
    (
        [np.ma.masked_array([1, 2]), B],
        {"pad": 0},
        TypeError,
        "only plain arrays are padded, but items are of MaskedArray: use numpy.asarray on them, or no pad",
    ),
]


@pytest.mark.parametrize(("items", "options", "error", "message"), REFUSED)
def test_what_cannot_be_padded_is_refused(
    items: Any, options: Any, error: Any, message: str
) -> None:
    with pytest.raises(error) as caught:
        collate_arrays(items, **options)
    assert str(caught.value) == message


def tokens(n: int) -> dict[str, Any]:
    return {"tokens": np.full(n * 10_000, n, "i4"), "label": n}


@pytest.mark.parametrize("method", ["thread", "process"])
def test_batches_of_a_prefetch(method: Any) -> None:
    collate_fn = partial(collate_arrays, pad={"tokens": -1}, multiple_of=8, mask=True)
    assert pickle.loads(pickle.dumps(collate_fn)).keywords == collate_fn.keywords
    batches = seqtools.batch(seqtools.smap(tokens, [1, 2, 3]), 2, collate_fn=collate_fn)
    with seqtools.prefetch(batches, 2, method) as ready:
        first, last = ready
    assert first["tokens"].shape == (2, 20_000)
    assert first["tokens_mask"].sum(axis=1).tolist() == [10_000, 20_000]
    assert (first["tokens"][0, 10_000:] == -1).all()
    assert last["tokens"].shape == (1, 30_000)
