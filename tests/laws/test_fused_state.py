"""Reading stages that are compiled into one function leaves nothing behind."""

import gc
import pickle
import traceback
import weakref
from collections.abc import Iterator
from functools import partial
from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, prefetch, smap, uniter


class Thing:
    """Something that can be referred to weakly."""


@pytest.fixture
def _no_collector() -> Iterator[None]:
    gc.disable()
    yield
    gc.enable()


@pytest.mark.usefixtures("_no_collector")
def test_a_stage_that_was_read_ends_with_its_last_user() -> None:
    source: Any = smap(abs, [1, -2])
    stage = smap(abs, source)[::-1]
    assert stage[0] == 2
    assert list(stage) == [2, 1]
    refs = weakref.ref(stage), weakref.ref(source)
    del stage, source
    assert [ref() for ref in refs] == [None, None]


@pytest.mark.usefixtures("_no_collector")
def test_an_iterator_keeps_no_item() -> None:
    items = iter(smap(lambda x: x, smap(lambda _: Thing(), range(3))))
    last = weakref.ref(next(items))
    assert last() is None
    rest = [weakref.ref(thing) for thing in items]
    assert [ref() for ref in rest] == [None, None]


@pytest.mark.usefixtures("_no_collector")
def test_an_iterator_that_is_left() -> None:
    stage = smap(lambda x: x, smap(abs, range(3)))
    items = iter(stage)
    next(items)
    ref = weakref.ref(stage)
    del stage
    assert next(items) == 1
    del items
    assert ref() is None


def test_copies_of_what_was_read() -> None:
    stage = smap(str, smap(abs, [1, -2]))[::-1]
    unread = pickle.dumps(stage)
    assert list(stage) == ["2", "1"]
    assert stage[0] == "2"
    assert pickle.dumps(stage) == unread
    assert list(pickle.loads(unread)) == ["2", "1"]


def test_items_that_are_assigned_on_the_way() -> None:
    source = [1, 2, 3]
    items = iter(smap(str, smap(abs, source)))
    assert next(items) == "1"
    source[1] = -7
    assert next(items) == "7"
    view = smap(lambda x: x, source)[:]
    assert view[1] == -7
    source[1] = 5
    assert view[1] == 5


def test_source_that_becomes_shorter() -> None:
    source = [1, 2, 3, 4]
    items = iter(smap(str, smap(abs, source)))
    assert next(items) == "1"
    del source[2:]
    assert next(items) == "2"
    for i in (2, 3):
        with pytest.raises(EvaluationError) as caught:
            next(items)
        assert [step.index for step in caught.value.path] == [i, i]
        assert isinstance(caught.value.__cause__, IndexError)
    assert next(items, None) is None


def test_source_that_becomes_longer() -> None:
    source = [1, 2]
    stage = smap(str, smap(abs, source))
    items = iter(stage)
    assert next(items) == "1"
    source += [3, 4]
    assert list(items) == ["2"]
    assert list(stage) == ["1", "2"]


def test_source_that_ends_unseen() -> None:
    assert list(smap(str, smap(abs, uniter(iter([1, -2]))))) == ["1", "2"]
    with pytest.raises(IndexError, match="past the end"):
        smap(str, smap(abs, uniter(iter([1, -2]))))[2]
    with pytest.raises(EvaluationError, match="should have 3 items"):
        list(smap(str, smap(abs, uniter(iter([1, -2]), size=3))))


def test_a_reader_of_its_own_for_each_iterator() -> None:
    ahead = prefetch(range(5), 1)
    stage = smap(str, smap(abs, ahead))
    assert list(zip(stage, stage, strict=True)) == [(str(i), str(i)) for i in range(5)]
    assert [stage[4], stage[0]] == ["4", "0"]


def test_a_stage_made_while_one_is_read() -> None:
    made: LazySequence[Any] = smap(partial(smap, abs), [[-1]])[0]
    assert made._origin[0] == __file__
    assert list(made) == [1]


def test_the_story_is_told_without_source_lines() -> None:
    def fail(x: int) -> float:
        return 1 / x

    with pytest.raises(EvaluationError) as caught:
        list(smap(str, smap(fail, [0])))
    story = "".join(traceback.format_exception(caught.value))
    assert "return 1 / x" in story
    assert "<fused by seqtools>" in story


def test_a_class_that_says_neither() -> None:
    class Half(LazySequence[int]):
        def _size(self) -> int:
            return 1

    with pytest.raises(EvaluationError) as caught:
        Half()[0]
    assert isinstance(caught.value.__cause__, NotImplementedError)
