"""Pipelines that a loop has made are read, sent and shown, or it is said when they are made."""

import pickle
import sys
import warnings
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

import seqtools as st
from seqtools import LazySequence, add_cache, batch, smap
from seqtools._core.walk import nesting

MANY = 5_000


class Counted(list[int]):
    """A list that counts how often its length was asked for."""

    asked = 0

    def __len__(self) -> int:
        Counted.asked += 1
        return super().__len__()


def appended(n: int) -> st.LazySequence[int]:
    made: st.LazySequence[int] = st.concatenate([])
    for k in range(n):
        made = st.concatenate([made, Counted([k])])
    return made


def prepended(n: int) -> st.LazySequence[int]:
    made: st.LazySequence[int] = st.concatenate([])
    for k in reversed(range(n)):
        made = st.concatenate([Counted([k]), made])
    return made


def by_turns(n: int) -> st.LazySequence[int]:
    made: st.LazySequence[int] = st.concatenate([])
    for k in range(n // 2):
        middle = n // 2
        made = st.concatenate([Counted([middle - k - 1]), made, Counted([middle + k])])
    return made


@pytest.mark.parametrize("make", [appended, prepended, by_turns])
def test_concatenations_of_concatenations(make: Callable[[int], st.LazySequence[int]]) -> None:
    Counted.asked = 0
    made = make(MANY)
    assert len(made) == MANY
    assert Counted.asked <= 2 * MANY  # a loop is linear in what it asks
    assert made[MANY - 1] == MANY - 1
    assert list(made) == list(range(MANY))
    assert nesting(made) == 1
    assert len(made._sources()) == MANY
    assert Counted.asked <= 3 * MANY


def test_what_a_concatenation_of_concatenations_can_do() -> None:
    lists = [[0, 1], [2], [], [3, 4]]
    made = st.concatenate([st.concatenate(lists[:2]), st.concatenate([st.concatenate(lists[2:])])])
    assert [line.split()[1] for line in repr(made).splitlines()[1:]] == ["[0,", "[2]", "[]", "[3,"]
    made[2], made[4] = 20, 40
    assert lists == [[0, 1], [20], [], [3, 40]]
    assert [js for _, js in made._reads(range(1, 4))] == [range(1, 2), range(1), range(1)]
    assert list(pickle.loads(pickle.dumps(made))) == [0, 1, 20, 3, 40]
    assert list(st.batch(made, 2)) == [[0, 1], [20, 3], [40]]


def test_lengths_are_asked_again_on_refresh() -> None:
    first, second = [0], [1]
    made = st.concatenate([st.concatenate([first]), st.concatenate([second])])
    with st.prefetch(made, 1) as ready:
        assert list(ready) == [0, 1]
        first.append(5)
        ready.refresh()
        assert list(ready) == [0, 5, 1]


def test_one_with_an_end_that_is_not_known() -> None:
    made = st.concatenate([[0], st.concatenate([[1], st.uniter(iter([2, 3]), cache_size=9)])])
    assert list(made) == [0, 1, 2, 3]
    endless = st.concatenate([[0], st.concatenate([[1], st.repeat(2)])])
    assert list(endless[:4]) == [0, 1, 2, 2]
    with pytest.raises(TypeError, match="has no length"):
        len(endless)
    with pytest.raises(ValueError, match="only the last sequence may be without length"):
        st.concatenate([endless, [5]])


def test_an_error_names_the_item_and_the_stage() -> None:
    def fail(x: int) -> int:
        raise LookupError(x)

    made = st.concatenate([st.concatenate([[0], st.smap(fail, [1])]), [2]])
    with pytest.raises(st.EvaluationError) as caught:
        made[1]
    assert [(s.stage, s.index) for s in caught.value.path] == [
        ("concatenate", 1),
        ("smap(fail)", 0),
    ]


def identity(x: Any) -> Any:
    return x


STAGES: dict[str, Callable[[Any], Any]] = {
    "smap": lambda s: st.smap(identity, s),
    "smap of several": lambda s: st.smap(max, s, [0, 0, 0, 0]),
    "starmap": lambda s: st.starmap(int, st.collate([s])),
    "gather": lambda s: st.gather(s, [3, 2, 1, 0]),
    "cycle": lambda s: st.cycle(s, 4),
    "interleave": lambda s: st.interleave(s)[:],
    "unbatch": lambda s: st.unbatch(st.batch(s, 2), 2),
    "switch": lambda s: st.switch([1] * 4, s, [0] * 4),
    "case": lambda s: st.case([0] * 4, s),
    "cache": lambda s: st.add_cache(s, 1),
    "split": lambda s: st.concatenate(list(st.split(s, 1))),
}


def nested(kind: str) -> tuple[Any, Any]:
    """Return the two deepest pipelines that can be made without a warning."""
    before, deepest = None, [4, 5, 6, 7]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        try:
            for _ in range(MANY):
                before, deepest = deepest, STAGES[kind](deepest)
        except RuntimeWarning:
            return before, deepest
    raise AssertionError("nothing was said")


@pytest.mark.parametrize("kind", STAGES)
def test_what_is_made_without_a_warning_can_be_read(kind: str) -> None:
    before, deepest = nested(kind)
    with pytest.warns(RuntimeWarning, match=r"stages are nested, .* sys.setrecursionlimit\(\)"):
        STAGES[kind](deepest)
    wanted = [4, 5, 6, 7]
    assert sorted(deepest) == wanted
    assert sorted(deepest[i] for i in range(4)) == wanted
    with st.prefetch(before, 2) as ready:
        assert sorted(ready) == wanted
    assert nesting(before) > 90
    copy = pickle.loads(pickle.dumps(deepest))
    assert sorted(copy) == wanted
    assert len(repr(deepest)) > 50


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
@pytest.mark.parametrize("kind", ["cache", "smap", "unbatch"])
def test_in_processes(kind: str, start_method: Any) -> None:
    before, _ = nested(kind)
    with st.prefetch(before, 1, "process", start_method=start_method) as ready:
        assert sorted(ready) == [4, 5, 6, 7]


def test_a_higher_limit_of_recursion_allows_more() -> None:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(10 * before)
    try:
        _, deepest = nested("smap")
        assert nesting(deepest) == before
        assert list(deepest) == [4, 5, 6, 7]
    finally:
        sys.setrecursionlimit(before)


@pytest.mark.filterwarnings("ignore:more than 100 stages are nested")
def test_a_start_hook_can_raise_it_for_workers() -> None:
    made: Any = [0, 1]
    for _ in range(300):
        made = st.add_cache(made)
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(5000)  # to pickle it
    try:
        with st.prefetch(made, 1, "process") as ready, pytest.raises(Exception, match="recursion"):
            list(ready)
        hook = partial(sys.setrecursionlimit, 5000)
        with st.prefetch(made, 1, "process", start_hook=hook) as ready:
            assert list(ready) == [0, 1]
    finally:
        sys.setrecursionlimit(before)


# A source that many stages read from is looked at once, not once on every way to it.


def test_ways_that_double_at_every_stage() -> None:
    sequence: LazySequence[Any] = add_cache([1, 2, 3])
    for _ in range(45):
        sequence = add_cache(smap(max, sequence, sequence), 3)
    batches = batch(sequence, 2)
    assert len(batches) == 2
    assert list(batches) == [[1, 2], [3]]
