"""A function that reads another pipeline fails as one: one error, the whole path, one cause."""

from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, batch, seterr, smap


def fail(x: int) -> int:
    raise ValueError(x)


@pytest.fixture
def inner() -> LazySequence[int]:
    return smap(fail, range(10, 20))


def test_path_goes_on_inside(inner: LazySequence[int]) -> None:
    def look_up(i: int) -> Any:
        return inner[1:][i]

    outer = batch(smap(look_up, range(5)), 2)
    with pytest.raises(EvaluationError) as caught:
        outer[1]
    assert [(step.stage, step.index) for step in caught.value.path] == [
        ("batch", 1),
        ("smap(look_up)", 2),
        ("slice", 2),
        ("smap(fail)", 3),
    ]
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__cause__.args == (13,)
    assert str(caught.value).startswith("item 1 of batch failed: ValueError: 13\n")


def test_iterating_inside(inner: LazySequence[int]) -> None:
    outer = smap(lambda _: sum(inner), range(3))
    with pytest.raises(EvaluationError) as caught:
        list(outer)
    assert [step.index for step in caught.value.path] == [0, 0]
    assert isinstance(caught.value.__cause__, ValueError)


def test_index_past_the_edge_inside() -> None:
    inner = smap(abs, range(3))
    outer = smap(lambda i: inner[i], range(5))
    items = iter(outer)
    assert [next(items), next(items), next(items)] == [0, 1, 2]
    for i in (3, 4):
        with pytest.raises(EvaluationError) as caught:
            next(items)
        assert isinstance(caught.value.__cause__, IndexError)
        assert caught.value.index == i
    assert next(items, "end") == "end"


def test_another_error_from_one_inside(inner: LazySequence[int]) -> None:
    def look_up(i: int) -> int:
        try:
            return inner[i]
        except EvaluationError as error:
            raise KeyError(i) from error

    with pytest.raises(EvaluationError) as caught:
        smap(look_up, range(3))[2]
    assert isinstance(caught.value.__cause__, KeyError)
    assert [step.stage for step in caught.value.path] == ["smap(look_up)"]
    assert isinstance(caught.value.__cause__.__cause__, EvaluationError)


def test_passthrough_inside(inner: LazySequence[int]) -> None:
    outer = smap(lambda i: inner[i], range(3))
    before = seterr("passthrough")
    try:
        with pytest.raises(ValueError, match="12"):
            outer[2]
    finally:
        seterr(before)
