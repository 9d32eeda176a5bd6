"""Generators of items: what user code does with them changes nothing for other items."""

import os
import pickle
import sys
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, smap
from seqtools._core.chance import item_rng
from seqtools._core.chance.item_rng import ItemRngs
from tests.chance.expected import EXPECTED, N, draw, expected_rng
from tests.children import forked


def pool() -> tuple[ItemRngs, list[Any]]:
    rngs = ItemRngs(7)
    return rngs, rngs._free


def test_a_generator_is_used_again_if_nobody_has_kept_it() -> None:
    rngs, free = pool()
    for i in range(N):
        assert rngs.call(draw, i, (i,)) == EXPECTED[i]
        assert len(free) == 1


KEEPERS: dict[str, Callable[[np.random.Generator], Any]] = {
    "the generator": lambda rng: rng,
    "a method": lambda rng: rng.random,
    "the bit generator": lambda rng: rng.bit_generator,
    "the seed sequence": lambda rng: rng.bit_generator.seed_seq,
    "a container": lambda rng: {"a": [rng]},
    "a generator that has not begun": lambda rng: (rng.random() for _ in range(3)),
    "a partial": lambda rng: partial(draw, rng=rng),
    "its frame": lambda rng: (rng.random(), sys._getframe())[1],
}


@pytest.mark.parametrize("what", KEEPERS)
def test_a_generator_that_is_kept_is_left_alone(what: str) -> None:
    rngs, free = pool()
    keep = KEEPERS[what]
    kept = [rngs.call(keep, i, ()) for i in range(3)]
    assert free == []
    assert rngs.call(draw, 9, (9,)) == EXPECTED[9]
    assert len(free) == 1
    if what == "the generator":
        assert [draw(i, rng) for i, rng in enumerate(kept)] == EXPECTED[:3]
    if what == "the bit generator":
        assert [draw(i, np.random.Generator(b)) for i, b in enumerate(kept)] == EXPECTED[:3]
    if what == "a generator that has not begun":
        assert [next(each) for each in kept] == [expected_rng(7, i).random() for i in range(3)]
    if what == "the seed sequence":
        assert [each.position for each in kept] == [0, 1, 2]


def test_without_reference_counts_none_is_used_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(item_rng, "_counts_references", lambda: False)
    rngs, free = pool()
    assert [rngs.call(draw, i, (i,)) for i in range(N)] == EXPECTED
    assert free == []


def test_children_depend_on_the_item_alone() -> None:
    def spawn(_: Any, rng: np.random.Generator) -> list[float]:
        rng.random()
        return [child.random() for child in [*rng.spawn(2), *rng.spawn(1)]]

    spawned = smap(spawn, range(9), rng=7)
    first = list(spawned)
    assert [spawned[i] for i in range(8, -1, -1)] == first[::-1]
    assert len({x for each in first for x in each}) == 27
    assert list(smap(spawn, range(9), rng=8)) != first
    with seqtools.prefetch(spawned, 2, "process") as ready:
        assert list(ready) == first


def test_generators_of_pickles_continue_where_they_were() -> None:
    def begun(_: Any, rng: np.random.Generator) -> np.random.Generator:
        rng.integers(1 << 20, dtype=np.uint32)
        rng.spawn(1)
        return rng

    kept = smap(begun, range(3), rng=7)
    with seqtools.prefetch(kept, 1, "process") as ready:
        for here, there in zip(kept, ready, strict=True):
            copied = pickle.loads(pickle.dumps(here))
            drawn = [
                (rng.integers(9, dtype=np.uint32), rng.random(), rng.spawn(1)[0].random())
                for rng in (here, there, copied)
            ]
            assert drawn[0] == drawn[1] == drawn[2]


def test_seeds_for_other_libraries() -> None:
    def state(_: Any, rng: np.random.Generator) -> list[int]:
        seeds: Any = rng.bit_generator.seed_seq
        return seeds.generate_state(9).tolist()  # type: ignore[no-any-return]

    states = smap(state, range(5), rng=7)
    assert len(states[0]) == 9
    assert len({tuple(each) for each in states}) == 5
    assert states[3] == states[3]


def test_a_function_that_fails_leaves_nothing_behind() -> None:
    errors = []

    def fail(item: int, rng: np.random.Generator) -> Any:
        drawn = draw(item, rng)
        if item % 3 == 1:
            raise ValueError(drawn)
        return drawn

    failing = smap(fail, range(N), rng=7)
    for i in [*range(N), *range(N)]:
        if i % 3 != 1:
            assert failing[i] == EXPECTED[i]
            continue
        with pytest.raises(EvaluationError) as caught:
            failing[i]
        errors.append(caught.value)  # with its traceback, which has the generator
    assert [each.index for each in errors] == 2 * list(range(1, N, 3))
    assert [str(each.__cause__) for each in errors[:13]] == [str(d) for d in EXPECTED[1::3]]
    assert len(errors) == 2 * 13
    with pytest.raises(EvaluationError, match=r"smap\(fail\)\[1\]"):
        seqtools.batch(failing, 5)[0]


def test_maps_that_read_each_other_and_themselves() -> None:
    def nested(item: int, rng: np.random.Generator) -> Any:
        before = rng.random()
        inner = both[item - 1] if item else None
        return before, inner, rng.random()

    both: Any = smap(nested, range(5), rng=7)

    def wanted(i: int) -> Any:
        rng = expected_rng(7, i)
        return rng.random(), wanted(i - 1) if i else None, rng.random()

    assert [both[i] for i in (4, 0, 2)] == [wanted(i) for i in (4, 0, 2)]


def test_many_threads_at_once() -> None:
    barrier = threading.Barrier(8)
    found: dict[int, Any] = {}

    def meet(item: int, rng: np.random.Generator) -> Any:
        drawn = [rng.random()]
        if item < 8:
            barrier.wait(60)  # eight are inside
        return drawn + rng.random(3).tolist()

    drawn = smap(meet, range(800), rng=7)

    def read(k: int) -> None:
        found[k] = [drawn[i] for i in range(k, 800, 8)]

    threads = [threading.Thread(target=read, args=(k,)) for k in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    for k in range(8):
        assert found[k] == [expected_rng(7, i).random(4).tolist() for i in range(k, 800, 8)]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs os.fork")
def test_a_process_that_is_forked_inside_of_a_call() -> None:
    def fork(item: int, rng: np.random.Generator) -> Any:
        first, wanted = rng.random(), expected_rng(7, item).random(2).tolist()
        there = forked(lambda: [first, rng.random()] == wanted and (item == 2 or mapped[item + 1]))
        return [first, rng.random()] == wanted and there

    mapped: Any = smap(fork, range(3), rng=7)
    assert list(mapped) == [True, True, True]
