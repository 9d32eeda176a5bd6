"""What workers give is what plain lists give, for random pipelines and every engine."""

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import seqtools
from seqtools.testing.subject import normal
from tests.engines.engines import OPTIONS
from tests.laws.pipelines import Pipeline, pipelines

# Each example starts workers: fewer of them than where a list is all there is.
EXAMPLES = {"inline": 40, "thread": 40, "process": 10, "spawn": 5, "fork": 10, "auto": 10}


@pytest.mark.parametrize("engine", OPTIONS)
def test_random_pipelines(engine: str) -> None:
    @settings(max_examples=EXAMPLES[engine])
    @given(pipelines(), st.integers(1, 12), st.data())
    def check(pipeline: Pipeline, max_cached: int, data: st.DataObject) -> None:
        items = pipeline.expected()
        n = len(items)
        with seqtools.prefetch(
            pipeline.build(), **OPTIONS[engine], max_cached=max_cached
        ) as sequence:
            assert normal(sequence) == items
            order = data.draw(st.lists(st.integers(-n, n - 1), max_size=8) if n else st.just([]))
            assert [normal(sequence[i]) for i in order] == [items[i] for i in order]
            key = slice(*(data.draw(st.none() | st.integers(-n, n)) for _ in range(2)))
            assert normal(sequence[key]) == items[key]
            assert normal(seqtools.batch(sequence, 3)) == [items[i : i + 3] for i in range(0, n, 3)]

    check()


@pytest.mark.parametrize("engine", OPTIONS)
def test_prefetch_in_the_middle(engine: str) -> None:
    @settings(max_examples=EXAMPLES[engine])
    @given(pipelines(), st.integers(0, 4))
    def check(pipeline: Pipeline, before: int) -> None:
        stages = pipeline.stages
        first, then = (
            replace(pipeline, stages=part) for part in (stages[:before], stages[before:])
        )
        with seqtools.prefetch(first.build(), **OPTIONS[engine]) as middle:
            assert normal(then.build(middle)) == pipeline.expected()

    check()
