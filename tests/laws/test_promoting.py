"""`collate_arrays` keeps every value of every dtype beside every other one, or says which not."""

from decimal import Decimal
from enum import IntEnum
from fractions import Fraction
from itertools import product
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtools import collate_arrays

BIG = 2**53 + 1
DTYPES = [
    *(
        "?",
        "i1",
        "i2",
        "i4",
        "i8",
        "u1",
        "u2",
        "u4",
        "u8",
        ">i8",
        "f2",
        "f4",
        "f8",
        "g",
        "c8",
        "c16",
    ),
    *("M8[D]", "M8[s]", "M8[ns]", "m8[D]", "m8[ns]", "m8", "U2", "U5", "S2", "S5", "O", "V3", "V5"),
    "i4,f4",
    "i8,f4",
]


def extremes(dtype: Any) -> list[Any]:
    """Return values at the edges of `dtype`, as an array each."""
    dtype = np.dtype(dtype)
    kind = dtype.kind
    values: list[Any] = [0, 1]
    if kind in "iu":
        limits = np.iinfo(dtype)
        values += [limits.min, limits.max, limits.max - 1, *([BIG] if dtype.itemsize == 8 else [])]
    elif kind in "fc":
        limits = np.finfo(dtype)
        values += [limits.min, limits.max, limits.tiny, -0.0, np.nan, np.inf, 0.1]
    elif kind in "mM":
        missing = np.array(["NaT"], dtype)
        return [np.array([v], "i8").view(dtype) for v in (0, 1, -1, 400_000, 2**62)] + [missing]
    elif kind in "US":
        values = ["", "a", "é" if kind == "U" else "b"]
    elif kind == "O":
        values = [None, 2**70, "a"]
    elif kind == "V":
        return [np.zeros(1, dtype), np.frombuffer(b"\1" * dtype.itemsize, dtype)]
    return [np.array([value], dtype) for value in values]


def meaning(array: Any) -> str:
    """Return what values of `array` are, so that no value of one is taken for another."""
    kind = array.dtype.kind
    return "number" if kind in "iufc" else kind


def exact(array: Any) -> Any:
    """Return the value of `array`, of one item, as something that Python compares exactly."""
    (value,) = array.ravel()
    kind = array.dtype.kind
    if kind == "c":
        return exact(array.real), exact(array.imag)
    if kind == "f":
        return Fraction(*value.as_integer_ratio()) if np.isfinite(value) else str(value)
    if kind in "mM":
        unit = np.datetime_data(array.dtype)[0]
        per = {"D": 86_400 * 10**9, "s": 10**9, "ns": 1}
        # what has no unit is no time at all
        count = int(array.view("i8").item())
        return "missing" if np.isnat(value) else (count * per[unit] if unit in per else value)
    return value.item() if isinstance(value, np.generic) else value


def same(item: Any, made: Any) -> bool:
    """Return whether `made` has the value of `item`, and is as much a number, a date or a text."""
    value, got = exact(item), exact(made)
    if isinstance(got, tuple) and not isinstance(value, tuple):
        value = value, 0
    return bool(value == got) and meaning(item) == meaning(made)


def attempt(items: list[Any]) -> tuple[Any, str]:
    """Return what `collate_arrays` makes, or what it says."""
    try:
        return collate_arrays(items), ""
    except (TypeError, ValueError) as error:
        return None, str(error)


# One test for each dtype: with one for each pair, running the tests takes longer than what they do.


@pytest.mark.parametrize("one", DTYPES)
def test_every_pair_of_dtypes(one: str) -> None:
    for other in DTYPES:
        check_pair_of_dtypes(one, other)


def check_pair_of_dtypes(one: str, other: str) -> None:
    together = 0
    for a, b in product(extremes(one), extremes(other)):
        made, message = attempt([a, b])
        if made is None:
            assert message.startswith(("items have no dtype in common", "items must keep"))
            assert ": convert them to one dtype first" in message
            continue
        together += 1
        assert made.shape == (2, 1)
        assert same(a, made[0]), (a, b, made)
        assert same(b, made[1]), (a, b, made)
        if a.dtype.kind in "iu" and b.dtype.kind in "iu":
            assert made.dtype.kind in "iu"
    alike = meaning(extremes(one)[0]) == meaning(extremes(other)[0])
    assert alike or not together, other
    if one == other:
        assert together == len(extremes(one)) ** 2


@pytest.mark.parametrize("one", DTYPES)
def test_every_pair_of_scalars(one: str) -> None:
    for other in DTYPES:
        check_pair_of_scalars(one, other)


def check_pair_of_scalars(one: str, other: str) -> None:
    tried = 0
    for a, b in product(extremes(one), extremes(other)):
        if a.dtype.hasobject or b.dtype.hasobject:
            continue
        made, message = attempt([{"x": a[0]}, {"x": b[0]}])
        tried += 1
        if made is None:
            assert "['x']" in message
            continue
        assert same(a, made["x"][:1]), (a, b, made)
        assert same(b, made["x"][1:]), (a, b, made)
    assert tried or "O" in {one, other}


class Colour(IntEnum):
    RED = 1


python_numbers = (
    st.booleans()
    | st.integers(-(2**65), 2**65)
    | st.sampled_from([BIG, -BIG, 2**63, 2**63 - 1, 2**64 - 1, 2**64, Colour.RED])
    | st.floats(allow_nan=False)
    | st.complex_numbers(allow_nan=False)
    | st.sampled_from([np.int8(-1), np.uint64(2**64 - 1), np.float32(0.1), np.int64(BIG), np.True_])
)


@given(st.lists(python_numbers, min_size=1, max_size=5))
def test_numbers_of_python_are_kept_or_refused(items: list[Any]) -> None:
    made, _ = attempt(items)
    if made is None:
        return
    booleans = {isinstance(item, bool | np.bool_) for item in items}
    assert len(booleans) == 1
    for item, value in zip(items, made, strict=True):
        given_, got = item.item() if isinstance(item, np.generic) else item, value.item()
        assert given_ == got  # exact between int, float and complex of Python
    whole = all(isinstance(item, int | np.integer) for item in items)
    assert not whole or made.dtype.kind in "iub"


KEPT = [
    ([2**63, 1], "u8"),
    ([2**63, 2**64 - 1], "u8"),
    ([np.uint64(2**63), 1], "u8"),
    ([1, 2.5], "f8"),
    ([2**53, 2.5], "f8"),
    ([np.float32(1), 2], "f8"),
    ([np.int8(1), np.int16(300)], "i2"),
    ([np.uint8(1), -1], "i8"),
    ([np.float16(1), np.int16(300)], "f4"),
    ([1, 2j], "c16"),
    ([Colour.RED, 5], "i8"),
    ([np.datetime64(1, "D"), np.datetime64(1, "s")], "M8[s]"),
    ([np.datetime64("NaT"), np.datetime64(1, "s")], "M8[s]"),
    ([np.True_, False], "?"),
    ([np.str_("a"), np.str_("bcd")], "U3"),
]


@pytest.mark.parametrize(("items", "dtype"), KEPT, ids=repr)
def test_kept(items: list[Any], dtype: str) -> None:
    made = collate_arrays(items)
    assert made.dtype == np.dtype(dtype)
    assert made.tolist() == [np.array(item, dtype).tolist() for item in items]


NO_DTYPE = "items at ['x'] have no dtype in common that keeps their values, got "
KEEP = "items must keep their values, but item 1 ['x'] has "
NOT_CONVERTED = KEEP + "9007199254740993, which cannot be converted to their common dtype "
REFUSED: list[tuple[list[Any], type[Exception], str]] = [
    ([True, 3], TypeError, NO_DTYPE + "bool in item 0, int64 in item 1"),
    ([0.5, np.True_], TypeError, NO_DTYPE + "float64 in item 0, bool in item 1"),
    ([2**63, -1], TypeError, NO_DTYPE + "uint64 in item 0, int64 in item 1"),
    ([np.uint64(1), np.int64(1)], TypeError, NO_DTYPE + "uint64 in item 0, int64 in item 1"),
    ([1, 2**64], ValueError, KEEP + "18446744073709551616, which does not fit in 64 bits"),
    ([0.5, 10**400], ValueError, KEEP),
    (
        [0.5, BIG],
        ValueError,
        NOT_CONVERTED + "float64",
    ),
    (
        [np.float32(1), BIG],
        ValueError,
        NOT_CONVERTED + "float64",
    ),
    (
        [1j, BIG],
        ValueError,
        NOT_CONVERTED + "complex128",
    ),
    ([np.int64(1), np.str_("a")], TypeError, NO_DTYPE + "int64 in item 0, <U1 in item 1"),
    ([np.bytes_(b"a"), np.str_("a")], TypeError, NO_DTYPE + "|S1 in item 0, <U1 in item 1"),
    ([np.bytes_(b"b"), np.bytes_(b"a\0")], ValueError, KEEP + r"b'a\x00', which ends with zeros"),
    ([np.str_("b"), np.str_("a\0")], ValueError, KEEP),
    ([np.datetime64(1, "ns"), np.datetime64("3000")], ValueError, KEEP),
    ([np.timedelta64(1, "s"), np.timedelta64(5)], ValueError, KEEP),
    ([np.timedelta64(1, "s"), 5], TypeError, NO_DTYPE),
    ([np.timedelta64(1, "M"), np.timedelta64(1, "s")], TypeError, NO_DTYPE),
    ([np.array([1]), np.array(["a"])], TypeError, NO_DTYPE + "int64 in item 0, <U1 in item 1"),
    ([np.array([1]), np.array([None])], TypeError, NO_DTYPE + "int64 in item 0, object in item 1"),
    ([np.array([0.5, 1]), np.array([1, BIG])], ValueError, KEEP + "9007199254740993, which"),
]


@pytest.mark.parametrize(("items", "error", "message"), REFUSED, ids=repr)
def test_refused(items: list[Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        collate_arrays([{"x": item} for item in items])
    assert str(caught.value).startswith(message)
    assert ": convert them to " in str(caught.value)


@pytest.mark.parametrize(
    "items",
    [[1, None], [0.5, Decimal("0.1")], [1, "a"], [np.float32(1), Fraction(1)]],
    ids=["None", "Decimal", "str", "Fraction"],
)
def test_numbers_beside_what_is_none(items: list[Any]) -> None:
    with pytest.raises(TypeError, match="items must be alike to be combined, but item 1"):
        collate_arrays(items)


def test_masked_arrays_and_records_keep_what_they_are() -> None:
    masked = np.ma.masked_array([1, BIG], [False, True])
    with pytest.raises(ValueError, match="must keep their values"):
        collate_arrays([masked, np.array([0.5, 1])])
    swapped = np.zeros(1, [("a", ">i4")])
    assert collate_arrays([swapped, np.zeros(1, [("a", "<i4")])]).dtype == [("a", "<i4")]
