"""A check names draws that no seed determines, and a seed that determines too many."""

import random
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence, add_cache, batch, collate, gather, prefetch, smap, starmap
from seqtools.instrument import check


def draw(item: Any, rng: np.random.Generator) -> Any:
    return item, rng.random()


def permuted(items: Any, rng: np.random.Generator) -> Any:
    return list(rng.permutation(items))


def jumble(item: Any) -> Any:
    return item, random.random(), np.random.random()


def plain(item: Any) -> Any:
    return item


def found_in(pipeline: Any, **options: Any) -> list[str]:
    return [f"{each.where.split(',')[0]}: {each.what}" for each in check(pipeline, **options)]


# Draws without a seed


@pytest.mark.parametrize("method", ["thread", "process"])
def test_draws_from_global_generators(method: str) -> None:
    for function in (lambda _: random.random(), lambda _: np.random.randn(), jumble):
        source = smap(plain, smap(function, smap(plain, range(9))))
        [found] = check(prefetch(batch(source, 2), 2, method))
        assert found.where.startswith("smap(")
        assert "plain" not in found.where
        assert found.what.startswith("it draws from the global random generators without a seed: ")
        assert ("depends on timing" in found.what) == (method == "thread")
        assert "rng=0" in found.advice
        assert "seed=0" in found.advice


def test_each_stage_that_draws_is_named() -> None:
    class Source:
        def __len__(self) -> int:
            return 9

        def __getitem__(self, i: int) -> float:
            return random.random()

    pipeline = smap(jumble, add_cache(smap(plain, Source()), 2))
    drawn = found_in(prefetch(pipeline, 2, "process"))
    assert sorted(each.partition(":")[0] for each in drawn) == ["Source", "smap(jumble)"]


class Jittered(LazySequence[Any]):
    """Draws before it reads."""

    def __init__(self, sequence: Any) -> None:
        self.sequence = sequence

    def _size(self) -> int:
        return len(self.sequence)

    def _get(self, i: int) -> Any:
        random.random()
        return self.sequence[i]

    def _sources(self) -> tuple[Any, ...]:
        return (self.sequence,)

    def _rebuild(self, sequence: Any) -> "Jittered":
        return Jittered(sequence)

    def _args(self) -> tuple[Any, ...]:
        return (self.sequence,)


def test_a_stage_that_draws_before_it_reads_is_the_one_that_is_named() -> None:
    [found] = found_in(prefetch(smap(plain, Jittered(smap(plain, range(9)))), 1))
    assert found.startswith("jittered: it draws")


@pytest.mark.parametrize("method", ["thread", "process"])
def test_draws_with_a_seed_are_fine(method: str) -> None:
    source = seqtools.arange(9)
    for stage in (
        smap(jumble, source, seed=1),
        smap(draw, source, rng=1),
        smap(draw, smap(jumble, source, seed=("a", 1)), rng=1, seed=2),
        smap(lambda _: random.Random(3).random(), source),
        smap(lambda _: np.random.default_rng(3).random(), source),
    ):
        assert found_in(prefetch(batch(smap(plain, add_cache(stage, 2)), 2), 2, method)) == []
    ahead = prefetch(smap(jumble, smap(plain, source)), 2, "process", seed=1)
    assert found_in(ahead) == []
    assert found_in(prefetch(smap(plain, ahead), 2, method)) == []


def test_generators_of_this_process_are_as_before() -> None:
    before = random.getstate(), repr(np.random.get_state())
    assert check(prefetch(smap(jumble, range(9)), 2, "thread"))
    assert (random.getstate(), repr(np.random.get_state())) == before


# One seed twice


def test_a_seed_twice_in_a_chain() -> None:
    first = smap(draw, range(9), rng=7)
    [found] = check(smap(plain, smap(draw, smap(plain, first), rng=7)))
    assert found.where.startswith("smap(draw)")
    assert found.what.startswith("rng=7 is also the seed of smap(draw), test_check_seeds.py:")
    assert found.what.endswith("from which it reads: for one item, both draw the same numbers")
    assert found.advice == "rng=(7, 'again'), or another seed"

    pairs = starmap(lambda a, b, rng: (a, b, rng), smap(draw, range(9), rng="a"), rng="a")
    assert [each.partition(" is")[0] for each in found_in(pairs)] == ["starmap(<lambda>): rng='a'"]

    both = prefetch(smap(jumble, smap(jumble, range(9), seed=(1, 2)), seed=(1, 2)), 2)
    assert "smap(jumble): seed=(1, 2) is also" in found_in(both, items=0)[0]


def test_a_seed_of_a_prefetch_and_a_map() -> None:
    [found] = found_in(prefetch(smap(jumble, range(9), seed=1), 2, "process", seed=1), items=0)
    assert found.startswith("prefetch: seed=1 is also the seed of smap(jumble)")
    inner = prefetch(smap(jumble, range(9)), 2, "process", seed=1)
    [found] = found_in(smap(jumble, inner, seed=1), items=0)
    assert found.startswith("smap(jumble): seed=1 is also the seed of prefetch")


def test_a_seed_twice_where_positions_stay() -> None:
    first = smap(draw, range(9), rng=7)
    for between in (first[3:], first[::-2], seqtools.shard(first, 1, 3), add_cache(first), first):
        [found] = found_in(smap(draw, between, rng=7))
        assert found.endswith("for one item, both draw the same numbers")
        # which is true
        assert all(outer == inner[1] for inner, outer in smap(draw, between, rng=7))
    pairs = smap(lambda x, y, rng: (x[1], y[1], rng.random()), first[1:], first[:-1], rng=7)
    [found] = found_in(pairs)
    assert all(x == outer != y for x, y, outer in pairs)


@pytest.mark.parametrize("group", [batch, seqtools.windows])
def test_a_seed_twice_where_items_are_grouped(group: Any) -> None:
    grouped = smap(draw, group(smap(draw, range(9), rng=7), 2), rng=7)
    [found] = found_in(grouped)
    what = "an item draws the same numbers as the first of the items that it is made of"
    assert found.endswith(what)
    assert all(outer == inner[0][1] != inner[1][1] for inner, outer in list(grouped)[:4])


def test_a_seed_twice_where_items_are_reordered() -> None:
    first = smap(draw, range(9), rng=7)
    for between in (
        seqtools.shuffle(first, 3),
        gather(first, [8, 7, 6, 5]),
        seqtools.concatenate([range(3), first]),
        seqtools.unbatch(smap(permuted, batch(range(9), 3), rng=7), 3),
        batch(seqtools.shuffle(first, 3), 2),
    ):
        assert found_in(smap(draw, between, rng=7)) == []
    backwards = seqtools.arange(9)[::-1]
    assert found_in(smap(lambda x, y, rng: (x, y, rng.random()), backwards, first, rng=7)) == []


def test_seeds_that_may_be_the_same() -> None:
    images, masks = smap(draw, range(9), rng=7), smap(draw, range(9), rng=7)
    for pipeline in (
        collate([images, masks]),
        smap(lambda x, y: (x, y), images, masks),
        collate([images, images]),
        smap(draw, images, rng=(7, 1)),
        smap(draw, images, rng="7"),
        smap(jumble, images, seed=7),
        smap(draw, range(9), rng=7, seed=7),
        prefetch(images, 2, "process", seed=7),
        prefetch(smap(plain, prefetch(images, 2)), 2),
        smap(draw, seqtools.shuffle(seqtools.shuffle(images, 7), 7), rng=1),
    ):
        assert found_in(pipeline) == []
