"""By which index random numbers are drawn: never twice by one, and never by two ranks.

`draw_index_of` gives the number that an item of a pipeline stands for. The laws are those that
users see: a slice draws what the whole sequence does, ranks never draw alike, and where the order
is kept, no number depends on how many ranks there are.
"""

import itertools
import pickle
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

import seqtools as st
from seqtools._core.walk import draw_index_of
from seqtools.extend import LazySequence, Traits
from seqtools.instrument import debug, monitor_throughput

SIZE = 24
Build = Callable[[Any], Any]


def same(item: Any) -> Any:
    return item


def numbers(sequence: Any) -> list[int]:
    """Return the number that each item of `sequence` stands for."""
    of_sequence = draw_index_of(sequence)
    return [i if of_sequence is None else of_sequence(i) for i in range(len(sequence))]


def ignore(i: int, value: object) -> None:
    del i, value


KEEPING: dict[str, Build] = {
    "smap": lambda s: st.smap(same, s),
    "add_cache": lambda s: st.add_cache(s, 2),
    "add_cache, many": lambda s: st.add_cache(s, 99),
    "prefetch": lambda s: st.prefetch(s, 2, method="thread"),
    "collate": lambda s: st.collate([s, s]),
    "collate with others": lambda s: st.collate([range(len(s)), s, st.arange(999)[: len(s)]]),
    "switch": lambda s: st.switch([True] * len(s), s, s),
    "case": lambda s: st.case([0] * len(s), s, s),
    "debug": lambda s: debug(s, ignore),
    "monitor_throughput": monitor_throughput,
    "smap of several": lambda s: st.smap(max, s, s),
    "a slice of all": lambda s: s[:] if isinstance(s, LazySequence) else st.smap(same, s)[:],
}
"""Stages that keep the order."""

REORDERING: dict[str, Build] = {
    "gather": lambda s: st.gather(s, range(len(s) - 1, -1, -1)),
    "gather, some twice": lambda s: st.gather(s, [0, 0, *range(len(s))]),
    "cycle": lambda s: st.cycle(s, 2 * len(s) + 1),
    "concatenate": lambda s: st.concatenate([s, s]),
    "interleave": lambda s: st.interleave(s, s),
    "interleave with others": lambda s: st.interleave(range(5), s, st.arange(9)[3:]),
    "mix": lambda s: st.mix([s, st.arange(9)[3:], s], [3, 1, 1], stop="all"),
    "split": lambda s: st.split(s, [len(s) // 3, len(s) // 2]),
    "unbatch": lambda s: st.unbatch(st.smap(lambda x: [x, x], s), 2),
    "batch": lambda s: st.batch(s, 3),
    "windows": lambda s: st.windows(s, 3, 2),
    "compress": lambda s: st.compress(s, [i % 3 > 0 for i in range(len(s))]),
    "batch and unbatch": lambda s: st.unbatch(st.batch(s, 2), 2, 2 - len(s) % 2),
    "shuffle": lambda s: st.shuffle(s, 7),
    "shuffle, epochs": lambda s: st.shuffle(s, 7, epochs=3),
    "split_fractions": lambda s: st.split_fractions(s, [0.3, 0.7], seed=7)[1],
    "slice": lambda s: st.smap(same, s)[1::2],
    "slice backwards": lambda s: st.smap(same, s)[::-1],
}
"""Stages after which items have other indices."""

ALL = KEEPING | REORDERING
UNEVEN = ("error", "pad", "drop", "keep")


@pytest.fixture(autouse=True)
def ended() -> Any:
    yield
    st.close_all()


@pytest.mark.parametrize("name", KEEPING)
def test_stages_that_keep_the_order_keep_the_numbers(name: str) -> None:
    assert numbers(KEEPING[name](range(SIZE))) == list(range(SIZE))
    part = st.smap(same, range(SIZE))[3::2]
    assert numbers(KEEPING[name](part)) == list(range(SIZE))[3::2]
    assert numbers(KEEPING[name](st.shard(range(SIZE), 2, 3))) == list(range(SIZE))[2::3]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize(
    "key", [slice(2, None), slice(1, 5), slice(None, None, 3), slice(9, 2, -2)]
)
def test_a_slice_draws_what_the_whole_does(name: str, key: slice) -> None:
    whole = ALL[name](st.smap(same, range(SIZE)))
    assert numbers(whole[key]) == numbers(whole)[key]
    assert numbers(st.add_cache(whole[key])[1:]) == numbers(whole)[key][1:]


@pytest.mark.parametrize("name", ALL)
def test_no_number_occurs_twice(name: str) -> None:
    for source in (st.smap(same, range(SIZE)), st.smap(same, range(SIZE))[::-2], range(SIZE)):
        found = numbers(ALL[name](source))
        assert len(set(found)) == len(found)


@pytest.mark.parametrize("after", ALL)
@pytest.mark.parametrize("uneven", UNEVEN)
def test_ranks_never_draw_alike(after: str, uneven: Any) -> None:
    world = 3
    for before, build in ALL.items():
        whole = build(range(SIZE))
        if uneven == "error":
            whole = whole[: len(whole) // world * world]
        drawn = [
            number
            for rank in range(world)
            for number in numbers(ALL[after](st.shard(whole, rank, world, uneven=uneven)))
        ]
        assert len(set(drawn)) == len(drawn), before
        assert min(drawn, default=0) >= 0, before


@pytest.mark.parametrize("after", KEEPING)
def test_no_number_depends_on_the_world_where_the_order_is_kept(after: str) -> None:
    for before, build in ALL.items():
        whole = build(range(SIZE))
        for world in (1, 2, 5):
            for rank in range(world):
                part = KEEPING[after](st.shard(whole, rank, world, uneven="keep"))
                assert numbers(part) == numbers(whole)[rank::world], before


@pytest.mark.parametrize("after", ALL)
def test_ranks_of_ranks(after: str) -> None:
    drawn = [
        number
        for outer, inner in itertools.product(range(2), range(3))
        for number in numbers(ALL[after](st.shard(st.shard(range(SIZE), outer, 2), inner, 3)))
    ]
    assert len(set(drawn)) == len(drawn)


@pytest.mark.parametrize("after", ALL)
def test_ranks_of_ranks_with_reordering_between(after: str) -> None:
    drawn = [
        number
        for outer, inner in itertools.product(range(2), range(3))
        for number in numbers(
            ALL[after](st.shard(st.gather(st.shard(range(SIZE), outer, 2), range(12)), inner, 3))
        )
    ]
    assert len(set(drawn)) == len(drawn)


def test_what_is_sharded_in_two_ways_has_a_number_for_each_combination() -> None:
    drawn = []
    for one, other in itertools.product(range(2), range(3)):
        parts = [st.shard(range(SIZE), one, 2), st.shard(range(SIZE), other, 3)]
        drawn += numbers(st.concatenate(parts))
    assert len(set(drawn)) == len(drawn)


def test_numbers_stay_small_where_many_sequences_are_sharded_alike() -> None:
    parts = [st.shard(range(64), 63, 64) for _ in range(50)]
    assert numbers(st.concatenate(parts))[-1] == 63 + 64 * 49


@pytest.mark.parametrize("order", [1, -1])
def test_what_is_sharded_decides_among_sequences_side_by_side(order: int) -> None:
    drawn = []
    for rank in range(2):
        part = st.shard(range(SIZE), rank, 2)
        others = st.smap(same, range(SIZE))[5:17]
        drawn += numbers(st.smap(max, *[part, others][::order]))
    assert sorted(drawn) == list(range(SIZE))


def test_an_item_that_is_padded_draws_anew_each_time() -> None:
    shards = [st.shard(st.smap(same, range(9))[3:5], rank, 5, uneven="pad") for rank in range(5)]
    assert [list(shard) for shard in shards] == [[3], [4], [3], [4], [3]]
    assert [numbers(shard) for shard in shards] == [[3], [4], [5], [6], [7]]
    shards = [st.shard(st.smap(same, range(9))[4:2:-1], rank, 5, uneven="pad") for rank in range(5)]
    assert [numbers(shard) for shard in shards] == [[4], [3], [5], [6], [7]]


def test_a_reader_of_a_prefetch_draws_as_reading_by_index_does() -> None:
    """Readers have a copy of the pipeline, in which a cursor replaces each prefetch."""
    for name, after in REORDERING.items():
        ahead = st.prefetch(st.shard(range(SIZE), 1, 2), 2, method="thread")
        whole = after(ahead)
        opened = whole._opened(range(len(whole)))
        assert numbers(opened) == numbers(whole), name
    ahead = st.prefetch(st.arange(SIZE), 2, method="thread")
    whole = st.smap(max, ahead, st.arange(2 * SIZE)[SIZE:])
    opened = whole._opened(range(len(whole)))
    assert opened is not whole
    assert numbers(opened) == numbers(whole) == list(range(SIZE, 2 * SIZE))


@pytest.mark.parametrize("name", ALL)
def test_numbers_travel(name: str) -> None:
    if name in ("debug", "unbatch"):  # the latter has a lambda
        pytest.skip("its function is not pickled by reference")
    whole = ALL[name](st.shard(range(SIZE), 1, 2))
    assert numbers(pickle.loads(pickle.dumps(whole))) == numbers(whole)


class Part(LazySequence[int]):
    """A shard as a user may write one."""

    _traits = Traits(sharded=True)

    def __init__(self, sequence: Any, rank: int, world: int) -> None:
        self.sequence, self.rank, self.world = sequence, rank, world

    def _size(self) -> int:
        return len(self.sequence) // self.world

    def _get(self, i: int) -> int:
        return int(self.sequence[self.rank + self.world * i])

    def _sources(self) -> tuple[Any, ...]:
        return (self.sequence,)


@pytest.mark.parametrize("after", ALL)
def test_a_shard_of_a_user(after: str) -> None:
    drawn = [
        number for rank in range(2) for number in numbers(ALL[after](Part(range(24), rank, 2)))
    ]
    assert len(set(drawn)) == len(drawn)


def drawn(item: object, rng: Any) -> int:
    del item
    return int(rng.integers(1 << 62))


@pytest.mark.parametrize("before", ALL)
def test_what_a_function_draws(before: str) -> None:
    whole = ALL[before](range(SIZE))
    expected = list(st.smap(drawn, whole, rng=7))
    for world in (2, 3):
        shards = [st.shard(whole, rank, world, uneven="keep") for rank in range(world)]
        parts = [list(st.smap(drawn, shard, rng=7)) for shard in shards]
        assert parts == [expected[rank::world] for rank in range(world)]
    again = [list(st.smap(drawn, st.shuffle(shard, 7), rng=7)) for shard in shards]
    assert len({each for part in again for each in part}) == len(expected)
    assert list(st.smap(drawn, st.smap(same, whole)[5:], rng=7)) == expected[5:]


def test_what_a_function_draws_of_padded_items() -> None:
    shards = [st.shard(range(5), rank, 4, uneven="pad") for rank in range(4)]
    found = [each for shard in shards for each in st.smap(drawn, shard, rng=7)]
    assert len(set(found)) == 8


STAGES = some.lists(some.sampled_from(sorted({*ALL, "shard"})), min_size=1, max_size=5)


@settings(max_examples=60, deadline=None)
@given(some.lists(STAGES, min_size=2, max_size=2), some.sampled_from(UNEVEN[1:]))
def test_random_pipelines(stages: list[list[str]], uneven: Any) -> None:
    """All over all ranks of all shards are different, whatever stands before, between and after."""
    before, after = stages

    def built(ranks: tuple[int, ...]) -> Any:
        sequence: Any = st.arange(13)
        left = iter(ranks)
        for name in [*before, "shard", *after]:
            if not len(sequence):
                return sequence
            if name == "shard":
                sequence = st.shard(sequence, next(left), 2, uneven=uneven)
            else:
                sequence = ALL[name](sequence)
        return sequence

    shards = [*before, "shard", *after].count("shard")
    found: list[int] = []
    for ranks in itertools.product(range(2), repeat=shards):
        found += numbers(built(ranks))
    assert len(set(found)) == len(found)
    assert min(found, default=0) >= 0
