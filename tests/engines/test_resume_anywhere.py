"""A run goes on from every position, with other workers than those that saved it."""

import json
import random
from collections.abc import Callable, Iterator
from itertools import cycle, islice
from typing import Any

import numpy as np
import pytest

import seqtools

N = 150
ENGINES: dict[str, tuple[int, str]] = {
    "inline": (0, "thread"),
    "1 thread": (1, "thread"),
    "2 threads": (2, "thread"),
    "4 threads": (4, "thread"),
    "1 process": (1, "process"),
    "2 processes": (2, "process"),
    "4 processes": (4, "process"),
}
PIPELINES = 3
NEXT = 3
"""Items that each engine reads after a position; one engine reads the rest after each eighth."""


def noisy(x: Any, rng: np.random.Generator) -> Any:
    return x + rng.random()


def drawn(x: Any) -> Any:
    return x + random.random() + np.random.random()


def summed(window: Any) -> float:
    return float(np.sum(window))


def pipeline(number: int) -> Any:
    """Return one of `PIPELINES` pipelines of `N` numbers; together they have all stages."""
    chance = random.Random(7)
    steps: list[Callable[[Any], Any]] = [
        lambda s: seqtools.shuffle(s, 3, epochs=2, multiple_of=3),
        lambda s: seqtools.shuffle(s, "x", blocks=[7] * (len(s) // 7) + [len(s) % 7]),
        lambda s: seqtools.smap(noisy, s, rng=(7, "noise")),
        lambda s: seqtools.smap(drawn, s, seed=5),
        lambda s: seqtools.add_cache(s, 5),
        lambda s: seqtools.mix([s, seqtools.smap(noisy, s, rng=1)], [3, 1], stop="all"),
        lambda s: seqtools.smap(summed, seqtools.windows(s, 3)),
        lambda s: seqtools.smap(summed, seqtools.batch(seqtools.cycle(s, 2 * len(s)), 2)),
        lambda s: seqtools.interleave(s, s[::-1]),
        lambda s: seqtools.split_fractions(s, (0.9,), 1)[0],
        lambda s: seqtools.shard(seqtools.cycle(s, 3 * len(s)), 1, 3),
        lambda s: seqtools.unbatch(seqtools.batch(seqtools.cycle(s, len(s) // 8 * 16), 8), 8),
    ]
    chance.shuffle(steps)
    stage: Any = seqtools.smap(float, seqtools.arange(600))
    for step in steps[number::PIPELINES]:
        stage = step(stage)
    return seqtools.cycle(stage, N) if len(stage) < N else stage[:N]


@pytest.fixture(params=range(PIPELINES))
def run(request: pytest.FixtureRequest) -> Any:
    return pipeline(request.param)


@pytest.fixture
def engines(run: Any) -> Iterator[list[Any]]:
    made = [seqtools.prefetch(run, n, method, max_cached=4) for n, method in ENGINES.values()]
    yield [*made, run]
    for each in made:
        each.close()


@pytest.mark.one_of(3)
@pytest.mark.timeout(120)  # 50,000 items, some of which seed the global generators
def test_every_engine_goes_on_from_every_position(run: Any, engines: list[Any]) -> None:
    want = list(run)
    assert len(want) == N
    saving = [iter(each) for each in engines]
    whole = cycle(range(len(engines)))
    for k in range(N + 1):
        position = {json.dumps(each.state_dict()) for each in saving}
        assert len(position) == 1  # whoever saved it
        state = json.loads(position.pop())
        reads_all = next(whole)
        for number, engine in enumerate(engines):
            again = iter(engine)
            again.load_state_dict(state)
            rest = N if number == reads_all and k % 8 == 0 else NEXT
            assert list(islice(again, rest)) == want[k : k + rest]
        following = want[k] if k < N else None
        assert {next(each, None) for each in saving} == {following}
