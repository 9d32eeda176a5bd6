"""What ranks read together, and what is refused; the laws of one shard are in the registry."""

import math
import pickle
from itertools import chain, islice
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import seqtools as st
from seqtools.extend import read_many

LENGTHS = some.integers(0, 40)
WORLDS = some.integers(1, 9)


def parts(n: int, world: int, uneven: Any) -> list[list[int]]:
    return [list(st.shard(range(n), rank, world, uneven=uneven)) for rank in range(world)]


@given(LENGTHS, WORLDS)
def test_keep_reads_each_item_once(n: int, world: int) -> None:
    found = parts(n, world, "keep")
    assert sorted(chain.from_iterable(found)) == list(range(n))
    assert max(map(len, found)) - min(map(len, found)) <= 1


@given(LENGTHS, WORLDS)
def test_drop_leaves_out_the_last(n: int, world: int) -> None:
    found = parts(n, world, "drop")
    assert sorted(chain.from_iterable(found)) == list(range(n - n % world))
    assert len(set(map(len, found))) == 1


@given(some.integers(1, 40), WORLDS)
def test_pad_reads_the_first_again(n: int, world: int) -> None:
    found = parts(n, world, "pad")
    expected = list(range(n)) * (world + 1)
    assert sorted(chain.from_iterable(found)) == sorted(expected[: math.ceil(n / world) * world])
    assert len(set(map(len, found))) == 1


@given(some.integers(0, 9), WORLDS)
def test_error_reads_each_item_once(k: int, world: int) -> None:
    found = parts(k * world, world, "error")
    assert sorted(chain.from_iterable(found)) == list(range(k * world))
    assert [len(part) for part in found] == [k] * world


def test_all_ranks_at_a_step_read_neighbours() -> None:
    shards = [st.shard(range(12), rank, 4) for rank in range(4)]
    assert [[part[step] for part in shards] for step in range(3)] == [
        [0, 1, 2, 3], [4, 5, 6, 7], [8, 9, 10, 11],
    ]  # fmt: skip


def test_an_uneven_length_is_refused_with_what_there_is_to_do() -> None:
    told = "10 items cannot be shared evenly by 4 ranks.*uneven='drop' to leave out the last 2"
    with pytest.raises(ValueError, match=told):
        st.shard(range(10), 0, 4)
    with pytest.raises(ValueError, match="'pad' to read the first 2 again, or 'keep'"):
        st.shard(range(10), 3, 4)
    with pytest.raises(ValueError, match="multiple_of=, the number of items of all ranks"):
        st.shard(range(10), 1, 4)


def test_nothing_to_pad_with() -> None:
    with pytest.raises(ValueError, match="an empty sequence has no items to pad with"):
        st.shard([], 0, 4, uneven="pad")


def test_a_sequence_that_ends_unseen_can_only_be_kept() -> None:
    unseen = st.uniter(iter(range(5)))
    for uneven in ("error", "pad", "drop"):
        with pytest.raises(ValueError, match="give it its size, or give shard\\(\\) uneven='keep'"):
            st.shard(unseen, 0, 2, uneven=uneven)  # type: ignore[arg-type]
    assert list(st.shard(unseen, 0, 2, uneven="keep")) == [0, 2, 4]


@pytest.mark.parametrize(
    ("arguments", "error", "told"),
    [
        ((1,), TypeError, "got rank without world: give both, or neither"),
        ((None, 2), TypeError, "got world without rank: give both, or neither"),
        ((2, 2), ValueError, "rank must be from 0 to 1, because world is 2, got 2"),
        ((-1, 2), ValueError, "rank must be from 0 to 1, because world is 2, got -1"),
        ((0, 0), ValueError, "world must be at least 1, got 0"),
        ((0.0, 2), TypeError, "rank must be an integer, got 0.0"),
        ((False, 2), TypeError, "rank must be an integer, got False"),
        ((0, "2"), TypeError, "world must be an integer, got '2'"),
    ],
)
def test_bad_numbers(arguments: tuple[Any, ...], error: type[Exception], told: str) -> None:
    with pytest.raises(error, match=told):
        st.shard(range(4), *arguments)


def test_bad_uneven() -> None:
    with pytest.raises(
        ValueError, match="uneven must be 'error', 'pad', 'drop' or 'keep', got 'w'"
    ):
        st.shard(range(4), 0, 2, uneven="w")  # type: ignore[arg-type]


def test_the_numbers_of_this_process_are_asked_for_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "3")
    part = st.shard(range(6))
    monkeypatch.setenv("RANK", "2")
    copy = pickle.loads(pickle.dumps(part))
    assert list(part) == list(copy) == [1, 4]
    assert "shard(1, world=3" in repr(part)


def test_ranges_stay_ranges() -> None:
    part: Any = st.shard(st.arange(10**12), 3, 4, uneven="pad")
    ((_, js),) = part._reads(range(5, 10**9))
    assert js == range(23, 4 * 10**9 + 3 - 3, 4)
    ((_, js),) = part._reads(np.array([5, 2]))
    assert js.tolist() == [23, 11]


def test_arrays_stay_arrays() -> None:
    table = np.arange(20).reshape(10, 2)
    items = read_many(st.shard(table, 1, 2), range(1, 4))
    assert isinstance(items, np.ndarray)
    assert items.base is not None
    assert items.tolist() == [[6, 7], [10, 11], [14, 15]]


def test_the_length_may_change() -> None:
    data = [1, 2, 3, 4]
    ahead = st.prefetch(data, 2, method="thread")
    part = st.shard(ahead, 1, 2)
    assert list(part) == [2, 4]
    data += [5, 6]
    ahead.refresh()
    assert list(part) == [2, 4, 6]
    data += [7]
    ahead.refresh()
    with pytest.raises(ValueError, match=r"7 items cannot be shared evenly by 2 ranks.*made at"):
        len(part)
    st.close_all()


# another number of ranks


def test_other_numbers_of_ranks_go_on_where_the_last_ones_were() -> None:
    """Each step of all ranks together reads the next items, whatever their number."""
    n = 485
    seen: list[int] = []
    state: Any = None
    for world, steps in [(8, 5), (6, 8), (4, 3), (5, 8), (1, 200), (8, None)]:
        shards = [st.shard(st.arange(n), rank, world, uneven="drop") for rank in range(world)]
        parts = [iter(st.smap(abs, shard)) for shard in shards]
        for part in parts:
            if state is not None:
                part.load_state_dict(pickle.loads(pickle.dumps(state)))
        rows = list(zip(*[islice(part, steps) for part in parts], strict=True))
        seen += chain.from_iterable(rows)
        states = [part.state_dict() for part in parts]
        assert states == [states[0]] * world
        state = states[0]
    assert seen == list(range(484))  # the last of 145 items is left out by 8 ranks


def test_what_is_left_is_padded_with_the_first_items() -> None:
    part = iter(st.shard(range(10), 0, 4, uneven="pad"))
    next(part)
    state = part.state_dict()
    left = []
    for rank in range(4, 7):
        each = st.shard(range(10), rank, 7, uneven="pad")
        again = iter(each)
        again.load_state_dict(state)
        left.append(list(again))
    assert left == [[8], [9], [0]]


def test_what_is_left_must_be_shared_evenly_too() -> None:
    part = iter(st.shard(range(12), 0, 4))
    next(part)
    again = iter(st.shard(range(12), 0, 3))
    told = "12 items, of which the first 4 were read, cannot be shared evenly by 3 ranks"
    with pytest.raises(ValueError, match=told):
        again.load_state_dict(part.state_dict())
