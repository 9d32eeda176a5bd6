"""Steps and ends of mixes; the laws of every sequence are in the registry."""

import pickle
from concurrent.futures import ThreadPoolExecutor
from fractions import Fraction
from itertools import count, islice
from threading import Barrier
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import seqtools as st
from seqtools._core.order.proportions import counts_of, period

SMALL = some.lists(some.integers(0, 5), min_size=1, max_size=4)


def endless(k: int) -> Any:
    """Return an endless sequence of pairs of `k` and the index."""
    return _Endless(k)


class _Endless(st.LazySequence[tuple[int, int]]):
    def __init__(self, k: int) -> None:
        self._k = k

    def _size(self) -> None:
        return None

    def _get(self, i: int) -> tuple[int, int]:
        return self._k, i

    def _args(self) -> tuple[int]:
        return (self._k,)


def numbers(k: int, n: int) -> list[tuple[int, int]]:
    return [(k, i) for i in range(n)]


# ends


@given(some.data(), SMALL.filter(any))
def test_where_a_mix_ends(data: some.DataObject, weights: list[int]) -> None:
    sizes = [data.draw(some.integers(1, 9)) for _ in weights]
    sequences = [numbers(k, n) for k, n in enumerate(sizes)]
    made = period(tuple(weights))
    drawn = [0] * len(weights)
    expected = []
    for t in count():
        k, _ = made.locate(t)
        if drawn[k] == sizes[k]:
            break
        expected.append((k, drawn[k]))
        drawn[k] += 1
    first = st.mix(sequences, weights)
    assert list(first) == expected
    assert [first.counts(n) for n in (0, len(first))] == [[0] * len(weights), drawn]

    drawn = [0] * len(weights)
    expected = []
    for t in count():
        if all(m >= n for m, n, weight in zip(drawn, sizes, weights, strict=True) if weight):
            break
        k, _ = made.locate(t)
        expected.append((k, drawn[k] % sizes[k]))
        drawn[k] += 1
    repeated = st.mix(sequences, weights, stop="all")
    assert list(repeated) == expected
    assert repeated.counts(len(repeated)) == drawn


@pytest.mark.parametrize("stop", ["first", "all"])
def test_endless_sequences_do_not_count(stop: Any) -> None:
    mixed = st.mix([numbers(0, 3), endless(1), numbers(2, 2)], [1, 1, 1], stop=stop)
    assert mixed.counts(len(mixed)) == ([3, 3, 2] if stop == "first" else [3, 2, 2])
    with pytest.raises(TypeError, match="has no length"):
        len(st.mix([endless(0), endless(1)], [1, 2], stop=stop))
    # a finite one without a weight does not count either
    with pytest.raises(TypeError, match="has no length"):
        len(st.mix([endless(0), numbers(1, 2)], [1, 0], stop=stop))


def test_a_sequence_that_is_never_read_once() -> None:
    steps = [(0, [1, 1]), (10, [1, 0])]
    assert len(st.mix([numbers(0, 20), numbers(1, 20)], steps)) == 25
    with pytest.raises(TypeError, match="has no length"):
        len(st.mix([numbers(0, 20), numbers(1, 20)], steps, stop="all"))
    with pytest.raises(TypeError, match="has no length"):
        len(st.mix([endless(0), numbers(1, 20)], steps))


# steps

STEPS = some.lists(SMALL.filter(any), min_size=1, max_size=4)


@given(some.data(), some.integers(1, 4), some.sampled_from(["first", "all"]))
def test_a_step_that_is_added_changes_nothing_before_it(
    data: some.DataObject, size: int, stop: Any
) -> None:
    weights = some.lists(some.integers(0, 5), min_size=size, max_size=size).filter(any)
    steps: list[tuple[int, list[int]]] = []
    start = 0
    for each in data.draw(some.lists(weights, min_size=2, max_size=4)):
        steps.append((start, each))
        start += data.draw(some.integers(1, 20))
    sequences = [numbers(k, data.draw(some.integers(1, 15))) for k in range(size)]
    fewer = st.mix(sequences, steps[:-1], stop=stop)
    more = st.mix(sequences, steps, stop=stop)
    position = steps[-1][0]
    before = list(islice(fewer, position))
    after = list(islice(more, position))
    assert after[: len(before)] == before
    if stop == "first":
        assert after == before
    for n in range(len(before) + 1):
        assert fewer.counts(n) == more.counts(n)


@given(some.data(), some.integers(1, 4))
def test_each_step_goes_on_where_the_sequences_are(data: some.DataObject, size: int) -> None:
    weights = some.lists(some.integers(0, 5), min_size=size, max_size=size).filter(any)
    given_weights = data.draw(some.lists(weights, min_size=1, max_size=4))
    lengths = [data.draw(some.integers(1, 20)) for _ in given_weights]
    starts = [sum(lengths[:p]) for p in range(len(lengths))]
    made = st.mix([endless(k) for k in range(size)], [*zip(starts, given_weights, strict=True)])
    drawn = [0] * size
    expected = []
    for each, length in zip(given_weights, lengths, strict=True):
        share = period(counts_of(map(Fraction, each)))
        for t in range(length):
            k, _ = share.locate(t)
            expected.append((k, drawn[k]))
            drawn[k] += 1
    n = sum(lengths)
    assert list(islice(made, n)) == expected
    assert made._get_many(range(n)) == expected
    assert made._get_many(np.arange(n - 1, -1, -1)) == expected[::-1]
    assert made.counts(n) == drawn


def test_names_may_come_later() -> None:
    steps = [(0, {"x": 1}), (3, {"x": 1, "y": 1})]
    mixed = st.mix({"x": "xxxxx", "y": "yyy"}, steps)
    assert "".join(mixed) == "xxxxyxy"
    assert mixed.counts(4) == {"x": 4, "y": 0}


def test_counts_of_an_endless_mix() -> None:
    mixed = st.mix([endless(0), endless(1)], [0.7, 0.3])
    assert mixed.counts(10**12) == [7 * 10**11, 3 * 10**11]


def test_copies_and_later_changes_of_the_weights() -> None:
    weights: Any = [(0, [1, 1]), (4, [1, 0])]
    mixed = st.mix(["abcdef", "uvwxyz"], weights)
    before = list(mixed)
    weights[1][1][0] = weights[0][1][0] = 0
    assert list(pickle.loads(pickle.dumps(mixed))) == before == list(mixed[:])


def test_threads_may_make_the_table_at_once() -> None:
    mixed = st.mix([range(10**6), range(10**6)], [30_000, 35_535])
    barrier = Barrier(4)

    def read(_: int) -> list[int]:
        barrier.wait()
        return [mixed[i] for i in range(100)]

    with ThreadPoolExecutor(4) as pool:
        found = list(pool.map(read, range(4)))
    assert found == [found[0]] * 4


def test_arrays_are_read_at_once() -> None:
    class Dataset:
        def __init__(self) -> None:
            self.asked: list[list[int]] = []

        def __len__(self) -> int:
            return 50

        def __getitem__(self, i: int) -> int:
            raise AssertionError

        def __getitems__(self, indices: list[int]) -> list[int]:
            self.asked.append(indices)
            return indices

    one, other = Dataset(), Dataset()
    (batch,) = st.batch(st.mix([one, other], [1, 1])[:6], 6)
    assert batch == [0, 0, 1, 1, 2, 2]
    assert one.asked == other.asked == [[0, 1, 2]]


def test_arrays_make_an_array_where_one_holds_them() -> None:
    def read(*sequences: Any) -> Any:
        (batch,) = st.batch(st.mix(sequences, [1, 1])[:4], 4, collate_fn=lambda items: items)
        return batch

    whole = read(np.arange(6).reshape(3, 2), np.arange(10, 16).reshape(3, 2))
    assert isinstance(whole, np.ndarray)
    assert whole.tolist() == [[0, 1], [10, 11], [2, 3], [12, 13]]
    mixed = read(np.arange(3), np.arange(3.5))
    assert [type(item) for item in mixed] == [np.int64, np.float64] * 2
    assert type(read(np.arange(3), [5, 6, 7])) is list
    assert [len(item) for item in read(np.ones((3, 2)), np.ones((3, 4)))] == [2, 4, 2, 4]


# what is refused


@pytest.mark.parametrize(
    ("sequences", "weights", "error", "told"),
    [
        ([], [], ValueError, "needs at least one sequence"),
        (["ab", "cd"], [1], ValueError, "weights must be one for each of 2 sequences, got 1"),
        (["ab", "cd"], [0, 0], ValueError, "weights must not all be 0"),
        (["ab", "cd"], [1, -1], ValueError, r"weights\[1\] must be at least 0, got -1"),
        (["ab", "cd"], [1, "1"], TypeError, r"weights\[1\] must be a number from 0, got '1'"),
        (["ab", "cd"], [1, True], TypeError, r"weights\[1\] must be a number from 0, got True"),
        (["ab", "cd"], [1, None], TypeError, r"weights\[1\] must be a number from 0, got None"),
        (["ab", "cd"], [1, float("nan")], TypeError, "must be a number from 0, got nan"),
        (["ab", "cd"], [float("inf"), 1], TypeError, "must be a number from 0, got inf"),
        (["ab", "cd"], [1, 1e-12], ValueError, r"weights\[1\] must be 0 or at least 1/1073741824"),
        (["ab", ""], [1, 1], ValueError, r"sequences\[1\] is empty"),
        (["ab", 3], [1, 1], TypeError, r"sequences\[1\] must be a sequence, got int"),
        (["ab", "cd"], {"x": 1}, TypeError, "weights must be a list, as sequences has no names"),
        ({"x": "ab"}, [1], TypeError, r"weights must be a dict, as sequences is one, got \[1\]"),
        ({"x": "ab"}, {"y": 1}, ValueError, r"must have the names \['x'\], got \['y'\]"),
        ({"x": "ab", "y": ""}, {"x": 1}, ValueError, r"must have the names \['x', 'y'\]"),
        ({"x": "ab", "y": ""}, {"x": 1, "y": 1}, ValueError, r"sequences\['y'\] is empty"),
        (["ab"], [(1, [1])], ValueError, r"weights\[0\]\[0\] must be 0, where the first step"),
        (["ab"], [(0, [1]), (0, [1])], ValueError, r"weights\[1\]\[0\] must be above 0, got 0"),
        (["ab"], [(0.0, [1])], TypeError, r"weights\[0\]\[0\] must be an integer, got 0.0"),
        (["ab"], [(0, [1], 2)], ValueError, "must be a pair of a position and weights"),
        (["ab", "cd"], 3, TypeError, "weights must be a list of numbers, got 3"),
        (["ab", "cd"], "12", TypeError, "weights must be a list of numbers, got '12'"),
        (["ab", "cd"], [(0, [1, 1]), 7], ValueError, "must be a pair of a position and weights"),
        (["ab", "cd"], [(1, 2)], ValueError, "must be a pair of a position and weights"),
        (["ab"], [(0, [0])], ValueError, r"weights\[0\]\[1\] must not all be 0"),
        ({"x": "ab"}, [(0, {"x": 1, "z": 1})], ValueError, "must have the names"),
        ({"x": "ab", "y": "cd"}, [(0, {"x": 1})], ValueError, "weights have no 'y'"),
    ],
)
def test_bad_weights(sequences: Any, weights: Any, error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        st.mix(sequences, weights)


def test_bad_stop() -> None:
    with pytest.raises(ValueError, match="stop must be 'first' or 'all', got 'last'"):
        st.mix(["ab"], [1], stop="last")  # type: ignore[arg-type]


def test_a_sequence_that_ends_unseen() -> None:
    unseen = st.uniter(iter(range(5)))
    with pytest.raises(ValueError, match=r"where sequences\[1\] ends: give it its size"):
        st.mix([range(9), unseen], [1, 1])
    assert len(st.mix([range(9), unseen], [1, 0])) == 9


def test_bad_counts() -> None:
    mixed = st.mix(["abc"], [1])
    for n in (-1, 4):
        with pytest.raises(ValueError, match=f"n must be from 0 to 3, .*, got {n}"):
            mixed.counts(n)
    with pytest.raises(TypeError, match="n must be an integer"):
        mixed.counts(1.0)  # type: ignore[arg-type]
    with pytest.raises(ValueError, match="n must be from 0, got -1"):
        st.mix([endless(0)], [1]).counts(-1)


def test_a_state_is_of_the_proportions_and_not_of_how_they_are_written() -> None:
    def mixed(weights: Any) -> Any:
        return st.mix({"x": range(99), "y": range(99)}, weights)

    iterator = iter(mixed({"x": 0.2, "y": 0.8}))
    first = list(islice(iterator, 10))
    again = iter(mixed({"y": Fraction(4), "x": 1}))
    again.load_state_dict(iterator.state_dict())
    assert [*first, *again] == list(mixed({"x": 0.2, "y": 0.8}))
    other = iter(mixed({"x": Fraction(1, 3), "y": Fraction(2, 3)}))
    with pytest.raises(ValueError, match="another pipeline, which differs first in mix"):
        other.load_state_dict(iterator.state_dict())


def test_a_run_goes_on_by_number_after_a_step_was_added() -> None:
    def mixed(*later: Any) -> Any:
        return st.mix([st.cycle("abc"), st.cycle("xyz")], [(0, [2, 1]), *later])

    iterator = iter(mixed())
    first = list(islice(iterator, 5))
    changed = mixed((8, [0, 1]))
    again = iter(changed)
    with pytest.raises(ValueError, match=r"differs first in mix: .* load the integer 5"):
        again.load_state_dict(iterator.state_dict())
    again.load_state_dict(5)
    assert [*first, *islice(again, 9)] == list(changed[:14])
    assert list(changed[:8]) == list(mixed()[:8]) != list(changed[6:14])
