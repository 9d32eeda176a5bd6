"""One exception object that is raised again tells only of the time that it was raised now."""

import threading

import pytest

from seqtools import EvaluationError, add_cache, batch, gather, prefetch, smap
from seqtools._core.errors import Failure

ERROR = ValueError("always the same")


def fail(_: object) -> None:
    raise ERROR


def path(sequence: object, i: int) -> list[tuple[str, int]]:
    with pytest.raises(EvaluationError) as caught:
        sequence[i]  # type: ignore[index]
    assert caught.value.__cause__ is ERROR
    return [(step.stage, step.index) for step in caught.value.path]


def test_raised_twice() -> None:
    stage = smap(fail, range(9))
    for i in (0, 5, 5, 2):
        assert path(stage, i) == [("smap(fail)", i)]
    assert path(batch(stage, 3), 1) == [("batch", 1), ("smap(fail)", 3)]
    assert path(gather(stage, [7]), 0) == [("gather", 0), ("smap(fail)", 7)]
    assert path(stage, 1) == [("smap(fail)", 1)]


def test_raised_again_when_a_batch_is_read_again_singly() -> None:
    stage = batch(add_cache(smap(fail, range(9))), 3)
    for i in (1, 1, 0):
        wanted = [("batch", i), ("add_cache", 3 * i), ("smap(fail)", 3 * i)]
        assert path(stage, i) == wanted


def test_raised_twice_in_one_iteration() -> None:
    items = iter(smap(fail, range(3)))
    for i in range(3):
        with pytest.raises(EvaluationError) as caught:
            next(items)
        assert [step.index for step in caught.value.path] == [i]


def test_raised_twice_inside_of_another_pipeline() -> None:
    inner = smap(fail, range(9))
    outer = smap(lambda i: inner[i + 1], range(8))
    for i in (3, 4):
        assert [index for _, index in path(outer, i)] == [i, i + 1]


def test_raised_by_two_threads_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    both, caught_by = threading.Barrier(2), Failure.caught

    def late(error: BaseException) -> Failure:
        both.wait()  # by now the object has the traceback of whoever raised it last
        return caught_by(error)

    monkeypatch.setattr(Failure, "caught", late)
    with prefetch(smap(fail, range(2)), 2, "thread") as stage:
        for i in range(2):
            with pytest.raises(EvaluationError) as caught:
                stage[i]
            assert caught.value.__cause__ is ERROR
            assert {step.index for step in caught.value.path} == {i}
