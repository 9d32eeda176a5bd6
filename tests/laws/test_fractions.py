"""Parts of a split have no item in common, are as large as they should be, and stay as they are."""

import pickle
from collections import Counter
from decimal import Decimal
from fractions import Fraction
from itertools import chain
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as hs

import seqtools as st
from seqtools._core.order import partition
from seqtools.testing import Probe

N = 1000


def parts_of(n: int, fractions: Any, **options: Any) -> list[list[int]]:
    return [list(part) for part in st.split_fractions(range(n), fractions, 7, **options)]


def part_of(n: int, fractions: Any, **options: Any) -> list[int]:
    """Return the number of the part of each item."""
    parts = parts_of(n, fractions, **options)
    numbers = {item: k for k, part in enumerate(parts) for item in part}
    return [numbers[item] for item in range(n)]


# What is in them


@pytest.mark.parametrize("n", [0, 1, 2, 7, 10, N])
@pytest.mark.parametrize("fractions", [(0.8, 0.1, 0.1), (0.7, 0.3), (1,), (0, 1), (1 / 3,) * 3])
def test_parts_are_disjoint_complete_and_in_order(n: int, fractions: Any) -> None:
    parts = parts_of(n, fractions)
    assert sorted(chain.from_iterable(parts)) == list(range(n))
    assert all(part == sorted(part) for part in parts)
    assert all(
        abs(len(part) - n * fraction) < 1 for part, fraction in zip(parts, fractions, strict=True)
    )


@pytest.mark.parametrize(
    ("n", "fractions", "sizes"),
    [
        (10, (0.8, 0.1, 0.1), [8, 1, 1]),
        (11, (0.8, 0.1, 0.1), [9, 1, 1]),
        (3, (0.5, 0.25, 0.25), [1, 1, 1]),
        (100, (0.29, 0.71), [29, 71]),
        (10, (0.7, 0.1), [7, 1]),
        (10, (0.25, 0.25), [3, 2]),
        (10, (0.0,), [0]),
        (10, (1, 0), [10, 0]),
        (100, [Fraction(1, 3)] * 3, [34, 33, 33]),
        (100, np.array([0.8, 0.1, 0.1], np.float32), [80, 10, 10]),
        (10**6, (1e-6, 1 - 1e-6), [1, 10**6 - 1]),
    ],
)
def test_sizes_are_rounded_by_largest_remainder(n: int, fractions: Any, sizes: list[int]) -> None:
    assert list(map(len, st.split_fractions(range(n), fractions, 7))) == sizes


def test_fractions_that_are_rounded_leave_no_item_out() -> None:
    third = 0.3333333
    assert sum(map(len, st.split_fractions(range(10**7), (third,) * 3, 7))) == 10**7


def test_parts_are_drawn_at_random() -> None:
    items = np.array(parts_of(40_000, (0.25, 0.75))[0])
    # each tenth of the sequence has a tenth of the part
    counts = np.bincount(items // 4000)
    assert abs(counts - 1000).max() < 5 * 1000**0.5
    assert abs(np.bincount(items % 7) - 10_000 / 7).max() < 5 * (10_000 / 7) ** 0.5
    other = list(st.split_fractions(range(40_000), (0.25, 0.75), 8)[0])
    assert abs(len({*other} & {*items.tolist()}) - 2500) < 5 * 2500**0.5


def test_golden_values() -> None:
    """They never change, or items that were tested on become those that are trained on."""
    parts = st.split_fractions(range(10**6), (0.8, 0.1, 0.1), ("run", 7))
    assert [list(part[:4]) for part in parts] == [[1, 2, 3, 6], [0, 4, 5, 11], [24, 25, 27, 38]]


# Labels

labels = hs.lists(hs.integers(0, 6), max_size=60)
weights = hs.lists(hs.integers(0, 12), min_size=1, max_size=5).filter(any)


@given(labels, weights)
def test_each_label_is_split_in_the_fractions(given_labels: list[int], given: list[int]) -> None:
    fractions = [Fraction(w, sum(given)) for w in given]
    n = len(given_labels)
    numbers = part_of(n, fractions, stratify=given_labels)
    for label, count in Counter(given_labels).items():
        for k, fraction in enumerate(fractions):
            here = sum(x == label and p == k for x, p in zip(given_labels, numbers, strict=True))
            assert abs(here - count * fraction) < 1
    plain = parts_of(n, fractions)
    for k, part in enumerate(plain):
        assert abs(numbers.count(k) - len(part)) <= 1


def test_one_label_is_as_none() -> None:
    assert parts_of(N, (0.7, 0.2), stratify=["x"] * N) == parts_of(N, (0.7, 0.2))


def test_every_item_a_label_of_its_own() -> None:
    sizes = list(map(len, parts_of(N, (0.7, 0.2), stratify=range(N))))
    assert sizes == [700, 200]


@given(labels, weights)
def test_groups_stay_together(groups: list[int], given: list[int]) -> None:
    fractions = [Fraction(w, sum(given)) for w in given]
    numbers = part_of(len(groups), fractions, groups=groups)
    assert len(set(zip(groups, numbers, strict=True))) == len(set(groups))
    largest = max(Counter(groups).values(), default=0)
    for k, fraction in enumerate(fractions):
        assert abs(numbers.count(k) - len(groups) * fraction) <= largest + 1


@pytest.mark.parametrize("kind", ["stratify", "groups"])
@pytest.mark.parametrize(
    "make",
    [
        np.array,
        tuple,
        lambda x: st.smap(np.int64, x),
        lambda x: [np.array(label) for label in x],
        lambda x: [f"label {label}" for label in x],
        lambda x: [(label, None) for label in x],
    ],
    ids=["array", "tuple", "lazy", "arrays without dimension", "strings", "tuples"],
)
def test_labels_of_every_kind_are_the_same(kind: str, make: Any) -> None:
    numbers = [i * i % 7 for i in range(100)]
    made = make(numbers)
    assert parts_of(100, (0.6, 0.4), **{kind: made}) == parts_of(100, (0.6, 0.4), **{kind: numbers})


def test_labels_are_read_when_it_is_split_and_items_are_not() -> None:
    items, given = Probe(range(20)), Probe([k % 3 for k in range(20)])
    train, _ = st.split_fractions(items, (0.5, 0.5), 7, stratify=given)
    assert sorted(given.reads) == list(range(20))
    assert items.reads == []
    assert items.reads == [train[0]]
    assert len(given.reads) == 20


# When items are appended


@pytest.mark.parametrize("kind", ["", "stratify", "groups"])
def test_nearly_all_keep_their_part_when_items_are_appended(kind: str) -> None:
    before, after = 20_000, 22_000
    given = np.random.default_rng(0).integers(0, 700, after)

    def split(n: int) -> np.ndarray[Any, Any]:
        return np.array(part_of(n, (0.8, 0.1, 0.1), **({kind: given[:n] % 10} if kind else {})))

    if kind == "groups":
        one, other = (np.array(part_of(n, (0.8, 0.2), groups=given[:n])) for n in (before, after))
    else:
        one, other = split(before), split(after)
    moved = (one != other[:before]).sum()
    assert moved < 200


# As stages


def test_mappings_have_names() -> None:
    parts = st.split_fractions(range(10), {"train": 0.8, "test": 0.2}, 7)
    assert {name: list(part) for name, part in parts.items()} == dict(
        zip(("train", "test"), parts_of(10, (0.8, 0.2)), strict=True)
    )
    assert parts["test"]._as_call() == "split_fractions({'train': 0.8, 'test': 0.2}, 7)['test']"


def test_its_repr_is_short_and_replays_the_call() -> None:
    _, test = st.split_fractions(range(10**5), (0.8, 0.2), 7, stratify=[1] * 10**5)
    assert (
        test._as_call() == "split_fractions((0.8, 0.2), 7, stratify=[1, 1, 1, 1, … 99,996 more])[1]"
    )
    assert len(repr(test)) < 400


@pytest.mark.parametrize("method", ["thread", "process"])
def test_parts_in_workers_and_after_pickling(method: Any) -> None:
    _, part = st.split_fractions(range(5000), (0.3, 0.7), 7)
    items = list(part)
    assert list(pickle.loads(pickle.dumps(part))) == items
    with st.prefetch(part, 2, method) as p:
        assert list(p) == items
        assert [p[-1], p[17]] == [items[-1], items[17]]


def test_states_tell_splits_apart() -> None:
    splits = [
        st.split_fractions(range(100), (0.5, 0.5), 7),
        st.split_fractions(range(100), (0.5, 0.5), 8),
        st.split_fractions(range(100), (0.5, 0.5), 7, groups=[i // 10 for i in range(100)]),
    ]
    states = [repr(part._identity()) for parts in splits for part in parts]
    assert len(set(states)) == 6
    again = st.split_fractions(range(100), (0.5, 0.5), 7, stratify=[0] * 100)  # the same parts
    assert [repr(part._identity()) for part in again] == states[:2]


def test_indices_are_small() -> None:
    _, part = st.split_fractions(range(10_000), (0.5, 0.5), 7)
    assert len(pickle.dumps(part)) < 4 * len(part) + 1000


def test_parts_state_how_many_of_each_block_they_have() -> None:
    class Stored:
        blocks = (30, 0, 50, 20)

        def __len__(self) -> int:
            return 100

        def __getitem__(self, i: int) -> int:
            return i

    parts: Any = st.split_fractions(Stored(), (0.6, 0.4), 7)
    for part in parts:
        ends = np.searchsorted(list(part), [30, 30, 80, 100])
        assert list(part.blocks) == np.diff(ends, prepend=0).tolist()
        run = st.shuffle(part, 7, blocks=True, open_blocks=1)
        assert sorted(run) == list(part)
        numbers = np.searchsorted([30, 80], list(run), side="right")
        assert (np.diff(numbers) != 0).sum() == 2  # one block after the other
    plain: Any = st.split_fractions(range(9), (0.5, 0.5), 7)[0]
    assert plain.blocks is None


def test_random_numbers_are_keyed_as_of_a_slice() -> None:
    _, part = st.split_fractions(range(100), (0.5, 0.5), 7)
    assert [part._draw_index(i) for i in range(len(part))] == list(part)
    assert part._draw_index(len(part)) > list(part)[-1]
    sliced: Any = st.split_fractions(st.smap(abs, range(100))[50:], (0.5, 0.5), 7)[0]
    assert [sliced._draw_index(i) for i in range(len(sliced))] == list(sliced)


def test_a_refresh_that_makes_it_too_short() -> None:
    items = list(range(10))
    with st.prefetch(items, 1) as p:
        train, test = st.split_fractions(p, (0.5, 0.5), 7)
        kept = list(train)
        items.append(10)
        p.refresh()
        assert list(train) == kept
        del items[5:]
        p.refresh()
        for part in (train, test):
            if max(part._args()[1]) >= 5:
                with pytest.raises(ValueError, match=r"that has 5 since .*: split it again, for"):
                    len(part)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"fractions": 0.8}, TypeError, r"must be numbers such as \(0.8, 0.2\), got 0.8"),
        ({"fractions": ()}, TypeError, "fractions must be numbers such as"),
        ({"fractions": {}}, TypeError, "fractions must be numbers such as"),
        ({"fractions": "ab"}, TypeError, "fractions must be numbers, got 'a'"),
        ({"fractions": (True, 0.5)}, TypeError, "fractions must be numbers, got True"),
        ({"fractions": (Decimal("0.5"),)}, TypeError, "fractions must be numbers, got Decimal"),
        ({"fractions": (0.5, -0.1)}, ValueError, "fractions must be from 0 to 1, got -0.1"),
        ({"fractions": (80, 20)}, ValueError, "fractions must be from 0 to 1, got 80"),
        ({"fractions": (float("nan"),)}, ValueError, "fractions must be from 0 to 1, got nan"),
        ({"fractions": (0.8, 0.3)}, ValueError, r"sum to at most 1, got \[0.8, 0.3\], whose sum"),
        ({"seed": 1.5}, TypeError, "seed must be"),
        ({"seed": None}, TypeError, "seed must be"),
        ({"sequence": st.repeat(0)}, TypeError, "needs a sequence with a length: slice it first"),
        ({"sequence": iter("a")}, TypeError, "sequence must be a sequence"),
        ({"stratify": "abc"}, ValueError, "stratify must have a label for each of 5 items, .* 3"),
        ({"groups": st.repeat(0)}, ValueError, "groups must have .* 5 items, got no length"),
        ({"groups": [[1]] * 5}, TypeError, r"groups\[0\] must be hashable, .* got \[1\]"),
        ({"stratify": [float("nan")] * 5}, ValueError, "stratify must be labels, got nan"),
        ({"stratify": 5}, TypeError, "stratify must be a sequence"),
        ({"stratify": "aabbc", "groups": "aabbc"}, ValueError, "takes stratify or groups, got bot"),
    ],
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        st.split_fractions(
            **{"sequence": range(5), "fractions": (0.5, 0.5), "seed": 7, **arguments}
        )


def test_hashes_of_indices_are_never_equal() -> None:
    keys = partition._keys(10**6, 7)
    assert len(np.unique(keys)) == 10**6
