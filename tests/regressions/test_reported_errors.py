"""How errors are reported: as the current context says, each time anew."""

import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from seqtools import EvaluationError, add_cache, batch, gather, prefetch, seterr, smap
from seqtools._core.errors import Failure
from tests.threads import elsewhere

# How errors are reported is set for the current context, and for no other.


@pytest.fixture(autouse=True)
def setting() -> Iterator[None]:
    before = seterr()
    yield
    seterr(before)


def error_of(sequence: Any) -> type[Exception]:
    with pytest.raises(Exception) as caught:  # noqa: PT011 -- which one is what is asked
        sequence[0]
    return caught.type


BAD = smap(lambda x: 1 / x, [0, 1, 0, 2])


def test_modes() -> None:
    assert seterr() == "wrap"
    assert error_of(BAD) is EvaluationError
    assert seterr("passthrough") == "wrap"
    assert error_of(BAD) is ZeroDivisionError
    assert error_of(batch(BAD, 2)) is ZeroDivisionError
    assert seterr() == "passthrough"
    assert seterr(evaluation="wrap") == "passthrough"
    assert error_of(BAD) is EvaluationError


def test_wrong_mode() -> None:
    with pytest.raises(ValueError, match="evaluation must be 'wrap' or 'passthrough', got 'raise'"):
        seterr("raise")
    assert seterr() == "wrap"


def test_context() -> None:
    context = copy_context()
    assert context.run(seterr, "passthrough") == "wrap"
    assert context.run(error_of, BAD) is ZeroDivisionError
    assert error_of(BAD) is EvaluationError


def test_iterator_reports_as_its_reader_wants() -> None:
    items, context = iter(BAD), copy_context()
    context.run(seterr, "passthrough")
    with pytest.raises(EvaluationError):
        next(items)
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        context.run(next, items)
    assert list(items) == [0.5]


def test_new_threads_have_a_context_of_their_own() -> None:
    seterr("passthrough")
    in_thread = copy_context()
    assert elsewhere(lambda: in_thread.run(error_of, BAD)) is ZeroDivisionError
    elsewhere(lambda: seterr("wrap"))
    assert seterr() == "passthrough"


def test_what_is_no_evaluation_is_raised_as_it_is() -> None:
    for mode in ("wrap", "passthrough"):
        seterr(mode)
        with pytest.raises(IndexError):
            BAD[4]
        with pytest.raises(TypeError):
            BAD["0"]


# One exception object that is raised again tells only of the time that it was raised now.

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
