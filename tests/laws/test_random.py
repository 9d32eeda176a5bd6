"""Random pipelines give what plain lists give, whichever way they are read or assigned."""

import pickle
from typing import Any

import numpy as np
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from seqtools.testing.relations import index_sets
from seqtools.testing.subject import normal
from tests.laws.pipelines import STAGES, Pipeline, pipelines


@st.composite
def keys(draw: st.DrawFn, n: int) -> slice:
    """Return a strategy for slices of a sequence of `n` items."""
    edge = st.none() | st.integers(-n - 2, n + 2)
    return slice(draw(edge), draw(edge), draw(st.sampled_from([None, 1, 2, 3, -1, -2, -3])))


@given(pipelines(), st.data())
def test_reading(pipeline: Pipeline, data: st.DataObject) -> None:
    items, sequence = pipeline.expected(), pipeline.build()
    n = len(items)
    assert len(sequence) == n
    order = data.draw(st.permutations(range(-n, n)))
    assert [normal(sequence[i]) for i in order] == [items[i] for i in order]
    assert normal(sequence) == items
    assert [normal(item) for item in reversed(sequence)] == items[::-1]
    key, again = data.draw(keys(n)), data.draw(keys(n))
    assert normal(sequence[key]) == items[key]
    assert normal(sequence[key][again]) == items[key][again]
    for many in (key.indices(n), again.indices(n)):
        assert normal(list(pipeline.build()._get_many(range(*many)))) == [
            items[i] for i in range(*many)
        ]


@given(pipelines())
def test_bulk_reading(pipeline: Pipeline) -> None:
    items = pipeline.expected()
    for _, many in index_sets(len(items)):
        assert normal(list(pipeline.build()._get_many(many))) == [items[i] for i in many]


@given(pipelines())
def test_pickled_copies(pipeline: Pipeline) -> None:
    items, sequence = pipeline.expected(), pipeline.build()
    copy = pickle.loads(pickle.dumps(sequence))
    assert normal(copy) == items
    assert repr(copy) == repr(sequence)
    assert normal(sequence) == items
    assert normal(pickle.loads(pickle.dumps(sequence))) == items


@given(pipelines())
def test_rebuilding(pipeline: Pipeline) -> None:
    sequence = pipeline.build()
    copy = sequence._rebuild(*sequence._sources())
    assert type(copy) is type(sequence)
    assert normal(copy) == pipeline.expected()


@given(pipelines(assignable=True), st.data())
def test_assignment(pipeline: Pipeline, data: st.DataObject) -> None:
    items, source = pipeline.expected(), pipeline.source()
    sequence, cells = pipeline.build(source), list(range(pipeline.size))
    for turn in range(1, 4):
        places: Any = []
        if items and data.draw(st.booleans()):
            i = data.draw(st.integers(-len(items), len(items) - 1))
            sequence[i], places = changed(items[i], cells, turn), [items[i]]
        else:
            key = data.draw(keys(len(items)))
            sequence[key], places = [changed(item, cells, turn) for item in items[key]], items[key]
        # the list that there would be: what was assigned is in the cells now
        assert source == cells
        assert normal(sequence) == filled(items, cells), places


def changed(item: Any, cells: list[int], turn: int) -> Any:
    """Return `item` with new values for the cells that it is made of, and set these."""

    def renewed(j: int) -> int:
        cells[j] = 1000 * turn + j
        return cells[j]

    return _mapped(item, renewed)


def filled(item: Any, cells: list[int]) -> Any:
    """Return `item` with what is in the cells now."""
    return _mapped(item, cells.__getitem__)


def _mapped(item: Any, f: Any) -> Any:
    if isinstance(item, dict):
        return {key: _mapped(part, f) for key, part in item.items()}
    if isinstance(item, list | tuple):
        return type(item)(_mapped(part, f) for part in item)
    return item if item == -1 else f(item)


def test_each_stage_is_drawn() -> None:
    seen: set[str] = set()

    @settings(max_examples=500, phases=[Phase.generate])
    @given(pipelines())
    def draw(pipeline: Pipeline) -> None:
        seen.update(name for name, _ in pipeline.stages)

    draw()
    assert seen == set(STAGES)


def test_arrays_are_compared_by_their_items() -> None:
    assert normal([np.array([1, 2])]) == [[1, 2]]
