"""Bad arguments are refused when a stage is made, or an item assigned, with what was given."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools._core.indices import LIMIT, TooManyIndices
from seqtools.instrument import debug, progress

ITEMS = [1, 2, 3, 4]

REFUSED: list[tuple[Callable[[], Any], type[Exception], str]] = [
    (lambda: st.smap(3, ITEMS), TypeError, "f must be a function, got 3"),
    (lambda: st.smap(abs), ValueError, "needs at least one sequence: smap(f, sequence)"),
    (lambda: st.starmap("max", ITEMS), TypeError, "f must be a function, got 'max'"),
    (lambda: st.arange(0, 3, 0.0), ValueError, "step must not be 0"),
    (lambda: st.gather(ITEMS, range(2, 5)), IndexError, "indexes[2] is 4, out of range"),
    (lambda: st.gather(ITEMS, range(-5, 0)), IndexError, "indexes[0] is -5, out of range"),
    (lambda: st.gather(st.repeat(1), range(-1, 3)), IndexError, "sequence of unknown length"),
    (lambda: st.cycle(ITEMS, 1.5), TypeError, "limit must be an integer, got 1.5"),
    (lambda: st.repeat(1, "2"), TypeError, "times must be an integer, got '2'"),
    (st.interleave, TypeError, "needs at least one sequence"),
    (lambda: st.case([0]), TypeError, "needs at least one sequence to choose from"),
    (lambda: st.collate([]), ValueError, "needs at least one sequence"),
    (lambda: st.collate({}), ValueError, "needs at least one sequence"),
    (lambda: st.collate([[1], 2]), TypeError, "sequences[1] must be a sequence, got int"),
    (lambda: st.collate({"x": 2}), TypeError, "sequences['x'] must be a sequence, got int"),
    (lambda: st.concatenate([[1], 2]), TypeError, "sequences[1] must be a sequence, got int"),
    (lambda: st.concatenate({"ab": [1]}), TypeError, "sequences must be a sequence, got dict"),
    (lambda: st.concatenate(st.cycle([[1]])), ValueError, "a list of sequences that ends, got an"),
    (lambda: st.concatenate(iter([[1]])), TypeError, "sequences must be a sequence, got list_it"),
    (lambda: st.collate(iter([[1]])), TypeError, "sequences must be a sequence, got list_iterat"),
    (lambda: st.batch(ITEMS, 0), ValueError, "k must be at least 1, got 0"),
    (lambda: st.batch(ITEMS, 2.0), TypeError, "k must be an integer, got 2.0"),
    (lambda: st.batch(ITEMS, 2, collate_fn=[]), TypeError, "collate_fn must be a function, got []"),
    (lambda: st.unbatch([ITEMS], 0), ValueError, "batch_size must be at least 1, got 0"),
    (lambda: st.unbatch([ITEMS], 4, -1), ValueError, "last_batch_size must be at least 0, got -1"),
    (lambda: st.unbatch([ITEMS], 4, 5), ValueError, "at most batch_size = 4, got 5"),
    (lambda: st.split(ITEMS, 2), ValueError, "2 cuts make 3 equal parts, but 4 items"),
    (lambda: st.split(range(9), 3), ValueError, "not divisible: use parts=3 for 3 parts"),
    (
        lambda: st.split(range(10), parts=3),
        ValueError,
        "10 items are not divisible by 3: give positions, such as split(x, [4, 7])",
    ),
    (
        lambda: st.split(range(10), parts=6),
        ValueError,
        "10 items are not divisible by 6: give positions, such as split(x, [p * 10 // 6 for p in",
    ),
    (lambda: st.split(ITEMS), TypeError, "needs either edges or parts=, got neither: use split("),
    (lambda: st.split(ITEMS, 1, parts=2), TypeError, "needs either edges or parts=, got both"),
    (lambda: st.split(ITEMS, parts=0), ValueError, "parts must be at least 1, got 0"),
    (
        lambda: st.split(ITEMS, 0.5),
        TypeError,
        "got 0.5: for parts by fractions, use spl",
    ),
    (
        lambda: st.split(ITEMS, (0.8, 0.2)),
        TypeError,
        "got 0.8: for parts by fractions, use",
    ),
    (
        lambda: st.split(ITEMS, {"a": 0.8}),
        TypeError,
        ": for parts by fractions, use split_",
    ),
    (lambda: st.concatenate([1], 2), TypeError, "sequences[1] must be a sequence, got int"),
    (lambda: st.interleave([[1], 2]), TypeError, "sequences[1] must be a sequence, got int"),
    (
        lambda: st.concatenate(st.repeat(1), [2]),
        ValueError,
        "length, got one as sequences[0]",
    ),
    (lambda: st.split(ITEMS, -1), ValueError, "edges must be at least 0, got -1"),
    (lambda: st.split(ITEMS, [3, 1]), ValueError, "increasing order, from 0 to 4, got [3, 1]"),
    (lambda: st.split(ITEMS, [-1]), ValueError, "increasing order, from 0 to 4, got [-1]"),
    (lambda: st.split(ITEMS, [5]), ValueError, "increasing order, from 0 to 4, got [5]"),
    (lambda: st.split(ITEMS, [(0, 5)]), ValueError, "0 <= start <= stop <= 4, got (0, 5)"),
    (lambda: st.split(ITEMS, [(2, 1)]), ValueError, "0 <= start <= stop <= 4, got (2, 1)"),
    (lambda: st.split(ITEMS, [(-1, 1)]), ValueError, "0 <= start <= stop <= 4, got (-1, 1)"),
    (lambda: st.split(ITEMS, [(0, 1, 2)]), ValueError, "a part is a (start, stop)"),
    (lambda: st.split(ITEMS, [1.5]), TypeError, "a cut must be an integer, got 1.5"),
    (lambda: st.split(ITEMS, "3"), TypeError, "edges must be a number of cuts, or their pos"),
    (lambda: st.split(ITEMS, ["3"]), TypeError, "a cut must be an integer, got '3'"),
    (lambda: st.split(st.repeat(1), 2), TypeError, "needs a sequence with a length"),
    (lambda: st.add_cache(ITEMS, -1), ValueError, "cache_size must be at least 0, got -1"),
    (lambda: st.uniter(3), TypeError, "iterable must be something to iterate over, got 3"),
    (lambda: st.uniter(ITEMS, -1), ValueError, "cache_size must be at least 0, got -1"),
    (lambda: st.uniter(ITEMS, 0, 0), ValueError, "n_parallel must be at least 1, got 0"),
    (lambda: st.uniter(ITEMS, size=-1), ValueError, "size must be at least 0, got -1"),
    (lambda: debug(ITEMS, 3), TypeError, "func must be a function, got 3"),
    (lambda: debug(ITEMS, print, -1), ValueError, "max_calls must be at least 0, got -1"),
    (lambda: debug(ITEMS, print, 1, 0), ValueError, "max_rate must be positive, got 0"),
    (lambda: debug(ITEMS, print, 1, "a"), TypeError, "max_rate must be a number or None, got 'a'"),
    (lambda: progress(3), TypeError, "sequence must be a sequence, got int"),
    (lambda: progress(ITEMS, color="red"), TypeError, "no option 'color': those of tqdm are"),
    (lambda: progress(ITEMS, qqq=1), TypeError, "'qqq': those of tqdm are ['ascii', "),
    (lambda: progress(ITEMS, iterable=[]), TypeError, "no option 'iterable'"),
    (lambda: progress(ITEMS, gui=True), TypeError, "no option 'gui'"),
    (lambda: st.SerializableFunc(3), TypeError, "function must be a function, got 3"),
]


@pytest.mark.parametrize(
    ("make", "error", "message"), REFUSED, ids=[f"{k}: {m}" for k, (_, _, m) in enumerate(REFUSED)]
)
def test_refused(make: Callable[[], Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error) as caught:
        make()
    assert message in str(caught.value)


NUMBERS = [np.int64(2), np.uint8(2), np.array(2)]


@pytest.mark.parametrize("two", NUMBERS, ids=lambda n: type(n).__name__)
def test_integers_of_numpy_are_integers(two: Any) -> None:
    assert list(st.batch(ITEMS, two)) == [[1, 2], [3, 4]]
    assert list(st.cycle(ITEMS, two)) == [1, 2]
    assert list(st.repeat("v", two)) == ["v", "v"]
    assert list(st.unbatch([[1, 2]], two, two)) == [1, 2]
    assert list(st.arange(two)) == [0, 1]
    assert type(st.arange(two)[1]) is int


def test_numbers_that_would_overflow_in_numpy() -> None:
    assert st.arange(np.int8(0), np.int8(100), np.int8(50))[-1] == 50
    assert st.arange(np.int8(100), 300)[199] == 299


@pytest.mark.parametrize("value", [{"x": 1}, {"x": 1, "y": 2, "z": 3}, {"x": 1, "z": 2}])
def test_assigned_dict_of_other_keys(value: dict[str, int]) -> None:
    x, y = [0], [0]
    with pytest.raises(ValueError, match=r"an item has the keys \['x', 'y'\], got "):
        st.collate({"x": x, "y": y})[0] = value
    assert (x, y) == ([0], [0])


@pytest.mark.parametrize("value", [(), (1,), (1, 2, 3)])
def test_assigned_tuple_of_another_length(value: tuple[int, ...]) -> None:
    x, y = [0], [0]
    with pytest.raises(ValueError, match=f"an item has 2 parts, got {len(value)}"):
        st.collate([x, y])[0] = value
    assert (x, y) == ([0], [0])


@pytest.mark.parametrize(
    "source", ["abc", (1, 2), range(3), b"abc"], ids=lambda s: type(s).__name__
)
def test_assigned_to_what_cannot_be(source: Any) -> None:
    name = type(source).__name__
    with pytest.raises(TypeError, match=f"items of {name} cannot be assigned"):
        st.cycle(source)[0] = source[0]


def test_computed_items_say_so() -> None:
    with pytest.raises(TypeError, match=r"items of smap\(abs\) cannot be assigned: they are comp"):
        st.batch(st.smap(abs, ITEMS), 2)[0] = [1, 2]


def test_indices_that_are_too_many_to_be_written_out() -> None:
    """What is stated of them is nothing, which `prefetch` understands; reading goes on."""
    turns, runs = st.cycle(ITEMS), st.batch(st.repeat(0), 1000)
    for stated in (
        lambda: turns._reads(range(LIMIT + 2)),
        lambda: runs._reads(range(0, LIMIT, 2)),
        lambda: st.interleave(turns, turns)._reads(range(1, LIMIT * 2, 1)),
    ):
        with pytest.raises(TooManyIndices):
            stated()
    assert turns[LIMIT + 1] == 2
    assert turns._reads(range(1, 3)) == [(ITEMS, range(1, 3))]


def test_a_function_for_drop_last_is_refused() -> None:
    with pytest.raises(
        TypeError, match=r"drop_last must be True or False, got sum: use collate_fn="
    ):
        st.batch(range(4), 2, sum)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match=r"drop_last must be True or False, got 'yes'$"):
        st.batch(range(4), 2, "yes")  # type: ignore[arg-type]
    assert list(st.batch(range(5), 2, np.True_)) == [[0, 1], [2, 3]]  # type: ignore[arg-type]


def test_a_function_that_needs_an_rng_is_given_none_without_a_seed() -> None:
    def by_position(x: int, rng: Any) -> Any:
        return x, rng

    def by_name(x: int, *, rng: Any) -> Any:
        return x, rng

    def optional(x: int, rng: Any = None) -> Any:
        return x, rng

    for f in (by_position, by_name):
        with pytest.raises(TypeError, match=r"needs an argument rng: .* a seed, such as rng=7"):
            st.smap(f, range(3))
    with pytest.raises(TypeError, match="needs an argument rng"):
        st.starmap(by_name, [(1,)])
    assert list(st.smap(optional, range(2))) == [(0, None), (1, None)]
    assert list(st.smap(by_position, range(1), "a")) == [(0, "a")]
    assert list(st.starmap(by_position, [(1, 2)])) == [(1, 2)]


def test_sequences_to_mix_are_a_list() -> None:
    with pytest.raises(
        TypeError, match=r"mix\(\) needs a list of sequences, mix\(\[x, y\], weights"
    ):
        st.mix(st.arange(3), [1, 2])  # type: ignore[arg-type]
