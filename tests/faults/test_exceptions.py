"""An item whose evaluation raises something odd fails alone, in every engine in the same way."""

import asyncio
import functools
import pickle
from collections.abc import Iterator
from typing import Any

import pytest

import seqtools
from seqtools.engines.wire.exceptions import MOST, PickledException
from tests.engines.engines import OPTIONS
from tests.faults import odd

UNSENT = " (the exception itself cannot be sent)"
IN_PROCESS = ("inline", "thread")

ITEMS = [pair for k, name in enumerate(odd.CASES) for pair in ((2 * k, ""), (2 * k + 1, name))]
"""Pairs of an index and the case that it raises: every other one is well."""


@pytest.fixture(params=OPTIONS)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prefetch(engine: str, function: Any, items: Any, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(seqtools.smap(function, items), **OPTIONS[engine], **options)


def outcomes(sequence: Any) -> Iterator[Any]:
    """Yield each item, or in its place the error that was raised for it."""
    items = iter(sequence)
    while True:
        try:
            yield next(items)
        except StopIteration:
            return
        except seqtools.EvaluationError as error:
            yield error


@functools.cache
def all_cases(engine: str) -> list[Any]:
    """Return what comes of `ITEMS`: read once, for all tests."""
    with prefetch(engine, odd.evaluate, ITEMS) as p:
        return list(outcomes(p))


def causes(engine: str) -> dict[str, Any]:
    """Return what reached the reader of each case."""
    return {name: all_cases(engine)[i].__cause__ for i, name in ITEMS if name}


def shape(error: BaseException | None, seen: dict[int, int] | None = None) -> Any:
    """Return all that has to arrive of an exception, also where only its text does."""
    seen = {} if seen is None else seen
    if error is None or id(error) in seen:
        return None if error is None else seen[id(error)]
    seen[id(error)] = len(seen)
    kind, members = type(error).__qualname__, ()
    try:
        text = str(error)
    except RuntimeError:
        text = "<its text cannot be shown>"
    if isinstance(error, BaseExceptionGroup):
        text, members = error.message, error.exceptions
    if text.endswith(UNSENT):
        kind, _, text = text.removesuffix(UNSENT).partition(": ")
    links = (BaseException.__dict__[name].__get__(error) for name in ("__cause__", "__context__"))
    return (
        (kind, text, own_notes(error), BaseException.__suppress_context__.__get__(error)),
        *(shape(link, seen) for link in links),
        *(shape(member, seen) for member in members),
    )


def own_notes(error: BaseException) -> Any:
    notes = getattr(error, "__notes__", [])
    if not isinstance(notes, list):
        return notes
    return [note for note in notes if not note.startswith("in worker process")]


def test_all_others_are_delivered_in_order(engine: str) -> None:
    found = all_cases(engine)
    assert len(found) == len(ITEMS)
    for (i, name), outcome in zip(ITEMS, found, strict=True):
        assert isinstance(outcome, seqtools.EvaluationError) if name else outcome == i


def test_each_error_tells_its_item(engine: str) -> None:
    for error, (i, name) in zip(all_cases(engine), ITEMS, strict=True):
        if name == "EndOfSequence":  # as if the source had ended there
            assert [(step.stage, step.index) for step in error.path] == [("prefetch", i)]
        elif name:
            stages = "prefetch", "smap(evaluate)"
            assert [(step.stage, step.index) for step in error.path] == [(s, i) for s in stages]


def test_what_is_raised_arrives_with_all_that_it_refers_to(engine: str) -> None:
    for name, error in causes(engine).items():
        assert shape(error) == shape(causes("inline")[name]), name


def test_only_what_cannot_be_sent_is_replaced_by_its_text(engine: str) -> None:
    for name, error in causes(engine).items():
        raised = causes("inline")[name]
        in_thread = engine == "auto" and type(error).__qualname__ == type(raised).__qualname__
        if odd.CASES[name].sent or engine in IN_PROCESS or in_thread:
            assert type(error).__qualname__ == type(raised).__qualname__
        else:
            group = isinstance(raised, BaseExceptionGroup)
            assert type(error) is (ExceptionGroup if group else RuntimeError)
            assert UNSENT in str(error)


def test_attributes_arrive(engine: str) -> None:
    found = causes(engine)
    assert found["not made again by its init"].code == 3
    assert found["frozen"].code == 3
    assert found["unsendable in a group of a class"].count == 2
    assert list(found["holds a pipeline"].held) == [0, 1, 2]
    assert found["BrokenPipeError"].filename == "name"


# What is no Exception

ENDS: dict[str, Any] = {
    "SystemExit": SystemExit,
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "CancelledError": asyncio.CancelledError,
    "unsendable SystemExit": lambda code: odd.unsendable(SystemExit(code)),
    "group": lambda code: BaseExceptionGroup(
        "group", [SystemExit(code), odd.unsendable(OSError(1))]
    ),
    "cause": lambda code: odd.with_cause(SystemExit(code), KeyError(1)),
}


def test_what_ends_a_program_is_raised_for_its_item_alone(engine: str) -> None:
    names = [name for end in ENDS for name in ("", end)]

    def evaluate(i: int) -> int:
        if names[i]:
            raise ENDS[names[i]](3)
        return i

    with prefetch(engine, evaluate, range(len(names))) as p:
        for _ in range(2):
            for i, name in enumerate(names):
                if not name:
                    assert p[i] == i
                    continue
                raised = ENDS[name](3)
                with pytest.raises(type(raised)) as caught:
                    p[i]
                assert shape(caught.value) == shape(raised)


# One object


def test_the_same_object_raised_by_two_items(engine: str) -> None:
    def evaluate(i: int) -> int:
        if i % 3 == 1:
            raise odd.SHARED
        return i

    with prefetch(engine, evaluate, range(12)) as p:
        for i, outcome in enumerate(outcomes(p)):
            if i % 3 == 1:
                assert {step.index for step in outcome.path} == {i}
                assert shape(outcome.__cause__) == shape(odd.SHARED)
            else:
                assert outcome == i


def test_a_class_that_is_local_to_a_function(engine: str) -> None:
    class LocalError(Exception):
        pass

    def evaluate(i: int) -> int:
        if i == 1:
            raise odd.with_cause(LocalError(i), LocalError("cause"))
        return i

    with prefetch(engine, evaluate, range(3)) as p:
        first, error, last = outcomes(p)
    assert (first, last) == (0, 2)
    assert shape(error.__cause__) == shape(odd.with_cause(LocalError(1), LocalError("cause")))
    if engine != "fork":  # there, nothing is sent that could be told from a class of the worker
        assert type(error.__cause__) is type(error.__cause__.__cause__) is LocalError


def test_an_exception_that_holds_its_own_pipeline(engine: str) -> None:
    pipelines: list[Any] = []

    def evaluate(i: int) -> int:
        if i == 1:
            raise odd.with_attribute(pipelines, ValueError("held"))
        return i

    pipelines.append(seqtools.smap(evaluate, range(3)))
    pipelines.append(seqtools.prefetch(pipelines[0], **OPTIONS[engine]))
    with pipelines[1] as p:
        first, error, last = outcomes(p)
    pipelines.clear()
    assert (first, last) == (0, 2)
    assert shape(error.__cause__) == shape(ValueError("held"))


# Size


def test_a_huge_argument(engine: str) -> None:
    def evaluate(i: int) -> int:
        if i == 1:
            raise ValueError("x" * 100_000_000)
        return i

    with prefetch(engine, evaluate, range(3)) as p:
        first, error, last = outcomes(p)
    assert (first, last) == (0, 2)
    assert len(error.__cause__.args[0]) == 100_000_000
    assert len(str(error)) < 11_000
    assert "x [... 99990000 characters ...] x" in str(error)
    assert sum(map(len, getattr(error.__cause__, "__notes__", []))) < 40_000


def test_a_chain_without_end_is_cut_where_it_is_far() -> None:
    error: BaseException = ValueError(0)
    for k in range(1, 5000):
        error = odd.with_context(ValueError(k), error)
    given: BaseException | None = arrived(error)
    for k in range(MOST + 1):
        assert isinstance(given, ValueError)
        assert given.args == (4999 - k,)
        given = given.__context__
    assert given is None


def test_groups_in_groups_in_groups() -> None:
    error: Exception = ValueError("innermost")
    for k in range(600):
        error = ExceptionGroup(str(k), [error])
    given: Any = arrived(error)
    for k in reversed(range(600)):
        assert given.message == str(k)
        (given,) = given.exceptions
    assert given.args == ("innermost",)


def test_groups_in_groups_around_one_that_cannot_be_sent() -> None:
    error: Any = odd.unsendable(ValueError("innermost"))
    for k in range(600):
        error = ExceptionGroup(str(k), [error])
    assert str(arrived(error)) == "ExceptionGroup: 599 (1 sub-exception)" + UNSENT


def arrived(error: BaseException) -> BaseException:
    """Return what arrives of `error`."""
    given = pickle.loads(pickle.dumps(PickledException(error, pickle.dumps, pickle.loads)))
    assert isinstance(given, BaseException)
    return given


# What is found out late


@pytest.mark.parametrize("engine", ["process", "spawn", "fork"])
def test_an_exception_that_can_be_loaded_in_the_worker_only(engine: str) -> None:
    def evaluate(i: int) -> int:
        if i == 1:
            raise odd.AtHomeError("text")
        return i

    with prefetch(engine, evaluate, range(3)) as p:
        first, error, last = outcomes(p)
    assert (first, last) == (0, 2)
    assert str(error.__cause__) == "AtHomeError: text" + UNSENT
    assert repr(error.__cause__.__cause__) == "OSError('not here')"
    assert "in evaluate" in error.__cause__.__notes__[0]


def test_no_exception_ends_a_worker() -> None:
    for cls in (odd.PicklingInterruptsError, odd.PicklingExitsError, odd.LoadingInterruptsError):
        assert type(arrived(odd.with_attribute(3, cls("text")))) is cls
    error = odd.unsendable(odd.SpeakingExitsError("text"))
    try:
        assert str(arrived(error)) == "SpeakingExitsError" + UNSENT
    finally:
        odd.SpeakingExitsError.silent = True


def test_a_function_that_does_not_tell_its_name(engine: str) -> None:
    with prefetch(engine, Nameless(), range(3)) as p:
        first, error, last = outcomes(p)
    assert (first, last) == (0, 2)
    assert error.stage == "smap(Nameless)"


class Nameless:
    @property
    def __name__(self) -> str:
        raise RuntimeError("nobody")

    def __call__(self, i: int) -> int:
        if i == 1:
            raise ValueError(i)
        return i


def test_no_exception_ends_a_thread() -> None:
    class LyingError(Exception):
        @property
        def __class__(self) -> Any:
            raise RuntimeError("nothing")

    def evaluate(i: int) -> int:
        if i == 1:
            raise LyingError("text")
        return i

    with prefetch("thread", evaluate, range(3)) as p:
        first, error, last = outcomes(p)
    assert (first, last) == (0, 2)
    assert "LyingError: text" in str(error)


def test_a_start_hook_whose_exception_cannot_be_shown() -> None:
    def hook() -> None:
        raise odd.UnspeakableError

    with prefetch("thread", abs, range(3), start_hook=hook) as p:
        for _ in range(2):
            with pytest.raises(seqtools.WorkerStartError, match="start_hook failed"):
                p[0]
