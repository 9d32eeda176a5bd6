"""`inverse=` of maps: an assigned value becomes an item of the source."""

from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import smap, starmap


def test_an_assigned_value_is_what_inverse_makes_of_it() -> None:
    meters = np.array([1.0, 2.0, 3.0])
    feet = smap(lambda x: x * 4, meters, inverse=lambda x: x / 4)
    feet[-1] = 20
    feet[:2] = [4 * 7, 4 * 9]
    assert meters.tolist() == [7, 9, 5]
    assert list(feet) == [28, 36, 20]


def test_through_other_stages() -> None:
    data = list(range(6))
    squares = smap(lambda x: x + 1, data, inverse=lambda x: x - 1)
    batches = seqtools.batch(seqtools.gather(squares, [5, 4, 3, 2, 1, 0]), 2)
    batches[0] = [60, 50]
    assert data == [0, 1, 2, 3, 49, 59]


def test_several_sequences_get_one_value_each() -> None:
    a, b = [1, 2], [3, 4]
    sums = smap(lambda x, y: x + y, a, b, inverse=lambda v: (v, 0))
    sums[:] = [8, 9]
    assert (a, b) == ([8, 9], [0, 0])


@pytest.mark.parametrize(
    ("returned", "error", "message"),
    [
        ((1,), ValueError, r"inverse of smap\(f\) must return 2 values, one for each .*, got 1"),
        ((1, 2, 3), ValueError, "must return 2 values, one for each sequence, got 3"),
        ({1: 2, 3: 4}, TypeError, "must be values in order, got dict"),
        (5, TypeError, r"what inverse of smap\(f\) returns must be values in order, got int"),
    ],
)
def test_too_few_values_change_nothing(returned: Any, error: type[Exception], message: str) -> None:
    def f(x: int, y: int) -> int:
        return x + y

    a, b = [1, 2], [3, 4]
    with pytest.raises(error, match=message):
        smap(f, a, b, inverse=lambda _: returned)[0] = 9
    assert (a, b) == ([1, 2], [3, 4])


def test_arguments_in_tuples() -> None:
    pairs = [(1, 2), (3, 4)]
    swapped = starmap(lambda x, y: (y, x), pairs, inverse=lambda pair: (pair[1], pair[0]))
    swapped[1] = (8, 9)
    assert pairs == [(1, 2), (9, 8)]
    assert swapped[1] == (8, 9)


def test_errors_of_inverse_come_as_they_are_and_change_nothing() -> None:
    def fail(value: int) -> int:
        raise KeyError(value)

    data = [1, 2]
    mapped = smap(abs, data, inverse=fail)
    with pytest.raises(KeyError, match="7"):
        mapped[0] = 7
    with pytest.raises(KeyError, match="7"):
        mapped[:] = [7, 8]
    assert data == [1, 2]


def test_without_inverse_the_message_says_so() -> None:
    data = [1, 2]
    for mapped in (
        smap(abs, data),
        smap(max, data, data),
        starmap(max, [(1, 2), (3, 4)]),
        smap(lambda _, rng: rng, data, rng=1),
    ):
        with pytest.raises(TypeError, match=r"map\(.*\) cannot be assigned: .*; give inverse="):
            mapped[0] = 3
    with pytest.raises(TypeError, match="items of range cannot be assigned"):
        smap(abs, range(3), inverse=abs)[0] = 1
    with pytest.raises(TypeError, match="inverse must be a function, got 5"):
        smap(abs, data, inverse=5)  # type: ignore[call-overload]


def test_the_repr_and_pickles_have_it() -> None:
    mapped = smap(abs, [1, 2], inverse=abs, rng=None)
    assert repr(mapped).startswith("smap(abs, inverse=abs) ")
    assert repr(smap(abs, [1, 2])).startswith("smap(abs) ")
    assert repr(starmap(lambda *_, **__: 0, [()], seed=("a", 1), rng=-2, inverse=abs)).startswith(
        "starmap(<lambda>, rng=-2, seed=('a', 1), inverse=abs) "
    )
