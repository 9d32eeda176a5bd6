"""How errors are reported is set for the current context, and for no other."""

from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from seqtools import EvaluationError, batch, seterr, smap
from tests.regressions.threads import elsewhere


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
