"""States of ranks: another number of ranks goes on where all of them have been."""

import json
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pytest

import seqtools

WORLDS = (8, 6, 4, 1)
TOGETHER = 24
"""Items of all ranks at a step: a multiple of each of `WORLDS`."""


def plus(x: Any) -> Any:
    return x + 1


def batches_of_a_shard(x: Any, rank: int, world: int) -> Any:
    mine = seqtools.smap(plus, seqtools.shard(x, rank, world, uneven="drop"))
    return seqtools.batch(mine, TOGETHER // world, drop_last=True)


def shard_of_batches(x: Any, rank: int, world: int) -> Any:
    return seqtools.shard(seqtools.batch(seqtools.smap(plus, x), 3), rank, world, uneven="drop")


def cached(x: Any, rank: int, world: int) -> Any:
    mine = seqtools.add_cache(seqtools.shard(x, rank, world, uneven="drop"), 50)
    both = seqtools.collate([mine, seqtools.shard(x, rank, world, uneven="drop")])
    return seqtools.batch(seqtools.starmap(lambda a, b: (a + b) // 2 + 1, both), TOGETHER // world)


def of_a_slice(x: Any, rank: int, world: int) -> Any:
    return batches_of_a_shard(
        seqtools.smap(plus, seqtools.gather(x, range(len(x))))[5:], rank, world
    )


PIPELINES = [batches_of_a_shard, shard_of_batches, cached, of_a_slice]


def in_order(step: Sequence[Any], build: Any) -> list[Any]:
    """Return the items of all ranks at a step in the order before they were sharded."""
    if build is shard_of_batches:
        return [item for batch in step for item in batch]
    return [item for items in zip(*step, strict=True) for item in items]


@pytest.mark.parametrize("build", PIPELINES)
@pytest.mark.parametrize("prefetched", [False, True])
def test_ranks_may_become_more_or_fewer(build: Callable[..., Any], prefetched: bool) -> None:
    x = range(1000)
    got: list[int] = []
    state: Any = None
    for steps, world in zip((3, 5, 2, 7), WORLDS, strict=True):
        ranks = [build(x, rank, world) for rank in range(world)]
        if prefetched:
            ranks = [seqtools.prefetch(each, 1, max_cached=2) for each in ranks]
        iterators = [iter(each) for each in ranks]
        if state is not None:
            for each in iterators:
                each.load_state_dict(state)
        for _ in range(steps):
            got += in_order([next(each) for each in iterators], build)
        states = [json.loads(json.dumps(each.state_dict())) for each in iterators]
        assert all(each == states[0] for each in states)  # that of one rank serves all
        state = states[0]
        counts = {len(list(each)) for each in iterators}
        assert len(counts) == 1
        seqtools.close_all()
    first = 7 if build is of_a_slice else 1
    assert got == list(range(first, first + len(got)))


@pytest.mark.parametrize("build", PIPELINES)
def test_items_draw_by_the_same_index_with_any_number_of_ranks(build: Callable[..., Any]) -> None:
    x = range(1000)
    iterator = iter(build(x, 0, 8))
    next(iterator)
    state = iterator.state_dict()

    def drawn(world: int) -> set[int]:
        found: list[int] = []
        for rank in range(world):
            iterator = iter(build(x, rank, world))
            iterator.load_state_dict(state)
            found += [iterator._walk.target.stage._draw_index(i) for i in range(2)]
        assert len(set(found)) == len(found)
        return set(found)

    if build is shard_of_batches:
        assert drawn(2) < drawn(4) < drawn(8)
    else:
        assert min(drawn(8)) == min(drawn(6)) == min(drawn(1))


def test_an_item_draws_the_same_numbers_whatever_ranks_have_read_it() -> None:
    def noisy(x: int, rng: np.random.Generator) -> float:
        return x + rng.random()

    def of_rank(rank: int, world: int) -> Any:
        mine = seqtools.shard(
            seqtools.shuffle(range(1000), 7, epochs=3), rank, world, uneven="drop"
        )
        return seqtools.batch(seqtools.smap(noisy, mine, rng=7), TOGETHER // world)

    want = list(seqtools.smap(noisy, seqtools.shuffle(range(1000), 7, epochs=3), rng=7))
    got: list[float] = []
    state: Any = 0
    for world in WORLDS:
        iterators = [iter(of_rank(rank, world)) for rank in range(world)]
        for each in iterators:
            each.load_state_dict(state)
        for _ in range(5):
            got += in_order([next(each) for each in iterators], of_rank)
        state = iterators[-1].state_dict()
    assert got == want[: len(got)]


def test_caches_keep_nothing_of_other_ranks() -> None:
    def cached_part(world: int) -> Any:
        mine = seqtools.shard(range(60), 0, world)
        return seqtools.smap(plus, seqtools.add_cache(seqtools.smap(plus, mine), 60))

    iterator = iter(cached_part(4))
    for _ in range(6):
        next(iterator)
    other = cached_part(3)
    list(other)  # its cache is full now
    again = iter(other)
    again.load_state_dict(iterator.state_dict())
    assert [next(again) for _ in range(4)] == [26, 29, 32, 35]


def test_what_is_left_over_may_be_treated_in_another_way() -> None:
    iterator = iter(seqtools.shard(range(24), 0, 4))
    next(iterator)
    again = iter(seqtools.shard(range(24), 0, 3, uneven="drop"))
    with pytest.raises(ValueError, match=r"cannot be shared evenly by 3 ranks: .* uneven='drop'"):
        iter(seqtools.shard(range(24), 0, 3)).load_state_dict(iterator.state_dict())
    again.load_state_dict(iterator.state_dict())
    assert list(again) == [4, 7, 10, 13, 16, 19]


def test_the_number_of_ranks_may_change_where_steps_do_not_divide() -> None:
    x = range(64 * 4 * 10)
    iterator = iter(seqtools.batch(seqtools.shard(x, 0, 4), 64))
    for _ in range(3):
        next(iterator)
    state = iterator.state_dict()
    assert state["position"] % (8 * 64) != 0
    starts = []
    for rank in range(8):
        again = iter(seqtools.batch(seqtools.shard(x, rank, 8), 64))
        again.load_state_dict(state)
        starts.append(next(again)[0])
    assert starts == list(range(768, 776))


@pytest.mark.parametrize("uneven", ["drop", "keep", "pad"])
@pytest.mark.parametrize("size", [1, 2])
def test_states_hold_at_the_end_and_for_ranks_without_items(uneven: Any, size: int) -> None:
    def part(rank: int, world: int) -> Any:
        return seqtools.batch(seqtools.shard(range(11), rank, world, uneven=uneven), size)

    for position in (*range(12), 11):
        for world in (1, 2, 3, 4, 5, 12):
            for rank in range(world):
                iterator = iter(part(rank, world))
                iterator.load_state_dict(position)
                assert iterator.state_dict()["position"] == position
                again = iter(part(0, 1))
                again.load_state_dict(iterator.state_dict())
                assert next(again, [None])[0] == (position if position < 11 else None)


def test_a_state_counts_what_was_read_after_ranks_have_changed() -> None:
    def part(rank: int, world: int, size: int) -> Any:
        return seqtools.batch(seqtools.shard(range(11), rank, world, uneven="drop"), size)

    got: list[int] = []
    state: Any = 0
    for world, size, steps in ((1, 3, 1), (5, 4, 1), (1, 2, 5)):
        iterators = [iter(part(rank, world, size)) for rank in range(world)]
        for each in iterators:
            each.load_state_dict(state)
        for _ in range(steps):
            got += [item for each in iterators for item in next(each, [])]
        state = iterators[0].state_dict()
    assert got == list(range(11))


def test_what_is_left_of_a_rank_without_order_is_for_the_same_ranks() -> None:
    def of_rank(world: int) -> Any:
        return seqtools.prefetch(
            seqtools.smap(plus, seqtools.shard(range(60), 1, world)), 2, ordered=False
        )

    state = iter(of_rank(3)).state_dict() | {"position": 9, "of": 20, "world": 3, "left": [[4, 7]]}
    again = iter(of_rank(3))
    again.load_state_dict(state)
    assert again.state_dict() == state
    assert sorted(again) == [2 + 3 * k for k in (4, 5, 6, *range(9, 20))]
    with pytest.raises(ValueError, match="a run of 3 ranks, this one has 4"):
        iter(of_rank(4)).load_state_dict(state)
    with pytest.raises(
        ValueError, match=r"first in smap\(plus\)$"
    ):  # an integer would count all ranks
        iter(seqtools.smap(plus, seqtools.smap(plus, of_rank(3)))).load_state_dict(state)
    with pytest.raises(ValueError, match=r"prefetch\(ordered=False\)"):
        iter(seqtools.smap(plus, seqtools.shard(range(60), 1, 3))).load_state_dict(state)
    seqtools.close_all()


def test_stages_that_share_sources_are_looked_at_once() -> None:
    stage: Any = seqtools.shard(range(8), 0, 2)
    for _ in range(40):  # 2**40 paths
        stage = seqtools.add_cache(seqtools.smap(max, stage, stage))
    iterator = iter(stage)
    next(iterator)
    assert iterator.state_dict()["position"] == 2


def test_an_integer_counts_items_of_all_ranks_as_a_state_does() -> None:
    iterator = iter(batches_of_a_shard(range(1000), 1, 4))
    for _ in range(3):
        next(iterator)
    for world in WORLDS:
        by_state, by_number = (iter(batches_of_a_shard(range(1000), 0, world)) for _ in "ab")
        by_state.load_state_dict(iterator.state_dict())
        by_number.load_state_dict(3 * TOGETHER)
        assert list(by_state) == list(by_number)


def test_the_end_is_the_end_for_any_number_of_ranks() -> None:
    x = range(47)
    iterator = iter(batches_of_a_shard(x, 1, 2))
    list(iterator)
    state = iterator.state_dict()
    whole = iter(seqtools.batch(seqtools.shard(x, 0, 2, uneven="pad"), 12))
    list(whole)
    for world in (1, 2, 3):
        again = iter(batches_of_a_shard(x, 0, world))
        again.load_state_dict(state)
        assert list(again) == []
    assert whole.state_dict()["position"] == 47


@pytest.mark.parametrize(
    "build",
    [
        lambda x, rank, world: seqtools.gather(seqtools.shard(x, rank, world), [2, 0, 1]),
        lambda x, rank, world: seqtools.shard(x, rank, world)[1:],
        lambda x, rank, world: seqtools.batch(seqtools.cycle(seqtools.shard(x, rank, world)), 3),
        lambda x, rank, world: seqtools.add_cache(seqtools.shard(x, rank, world), cache={}),
        lambda x, rank, world: seqtools.collate(
            [seqtools.shard(x, rank, world), seqtools.arange(len(x) // world)]
        ),
        lambda x, rank, world: seqtools.shard(seqtools.shard(x, rank, world), 0, 2),
    ],
    ids=["gather", "slice", "cycle", "cache of the user", "beside what is whole", "twice"],
)
def test_where_items_are_reordered_the_ranks_must_stay_the_same(build: Callable[..., Any]) -> None:
    x = range(48)
    iterator = iter(build(x, 1, 4))
    next(iterator)
    state = json.loads(json.dumps(iterator.state_dict()))
    again = iter(build(x, 3, 4))
    again.load_state_dict(state)
    assert next(again) == build(x, 3, 4)[1]
    other = iter(build(x, 1, 6))
    with pytest.raises(ValueError, match=r"the state is of a run of \d+ ranks, this one has \d+"):
        other.load_state_dict(state)
    assert next(other) == build(x, 1, 6)[0]


def test_closing_a_prefetch_closes_what_is_read_in_its_place() -> None:
    def made(world: int) -> Any:
        mine = seqtools.shard(range(480), 0, world, uneven="drop")
        return seqtools.prefetch(seqtools.batch(seqtools.smap(plus, mine), 3), 1)

    with made(4) as ready:
        iterator = iter(ready)
        next(iterator)
        state = iterator.state_dict()
    with made(5) as ready:
        iterator = iter(ready)
        iterator.load_state_dict(state)
        assert next(iterator) == [13, 18, 23]
        (copy,) = ready._state.copies
        assert copy._state.pump._engine is not None
    assert copy._state.pump._engine is None
    assert next(iterator) == [28, 33, 38]
    ready.refresh()
    assert copy._state.pump._engine is None
    assert next(iterator) == [43, 48, 53]
    ready.close()
