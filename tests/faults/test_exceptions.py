"""An item whose evaluation raises fails alone, in every engine with the same exception."""

import dataclasses
import functools
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import pytest

import seqtools
from seqtools._core.errors import EndOfSequence, summary
from seqtools.engines.wire import exceptions
from tests.engines.engines import OPTIONS

UNSENT = " (the exception itself cannot be sent)"


class UnusualError(Exception):
    """One that cannot be made again from its `args`."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    code: int


class UnspeakableError(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no words")

    __repr__ = __str__


class PicklingExitsError(Exception):
    def __reduce__(self) -> NoReturn:
        sys.exit(3)


class LoadingFailsError(Exception):
    def __reduce__(self) -> Any:
        return int, ("no number",)


def unsendable(error: BaseException) -> BaseException:
    error.held = threading.Lock()  # type: ignore[attr-defined]
    return error


def noted(error: BaseException, *notes: str) -> BaseException:
    for note in notes:
        error.add_note(note)
    return error


def chained(outer: BaseException, inner: BaseException) -> NoReturn:
    try:
        raise inner
    except type(inner) as error:
        raise outer from error


def during(outer: BaseException, inner: BaseException, *, shown: bool = True) -> NoReturn:
    try:
        raise inner
    except type(inner):
        if shown:
            raise outer  # noqa: B904 -- the context is what it is about
        raise outer from None


def circle() -> BaseException:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__context__ = second, first
    return first


def of_another_pipeline() -> NoReturn:
    try:
        seqtools.smap(lambda x: 1 // x, range(3))[0]
    except seqtools.EvaluationError as error:
        raise ValueError("outer") from error
    raise AssertionError


def recursion() -> Any:
    return recursion()


def made_here() -> BaseException:
    class MadeError(Exception):
        pass

    return MadeError("here")


SENT: dict[str, Callable[[], BaseException]] = {
    "plain": lambda: ValueError("plain"),
    "not made again by its init": lambda: UnusualError(3, "of all things"),
    "frozen": lambda: chained(FrozenError(3), KeyError("inner")),
    "text raises": lambda: UnspeakableError("text"),
    "notes": lambda: noted(ValueError("text"), "a note", "another"),
    "cause": lambda: chained(ValueError("outer"), noted(KeyError("inner"), "a note")),
    "context": lambda: during(ValueError("outer"), KeyError("inner")),
    "hidden context": lambda: during(ValueError("outer"), KeyError("inner"), shown=False),
    "cause of another pipeline": of_another_pipeline,
    "circle": circle,
    "group": lambda: ExceptionGroup("group", [ValueError(1), noted(KeyError(2), "a note")]),
    "StopIteration": lambda: StopIteration(3),
    "StopAsyncIteration": lambda: StopAsyncIteration(3),
    "IndexError": lambda: IndexError("mine"),
    "EndOfSequence": EndOfSequence,
    "BrokenPipeError": lambda: BrokenPipeError(32, "mine", "name"),
    "UnicodeDecodeError": lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "mine"),
    "RecursionError": recursion,
    "MemoryError": MemoryError,
}
REPLACED: dict[str, Callable[[], BaseException]] = {
    "unsendable": lambda: unsendable(ValueError("text")),
    "unsendable with a cause": lambda: chained(unsendable(ValueError("outer")), KeyError("inner")),
    "unsendable in a group": lambda: ExceptionGroup("group", [unsendable(ValueError(1))]),
    "class made by the item": made_here,
    "pickling exits": lambda: PicklingExitsError("text"),
    "loading fails": lambda: LoadingFailsError("text"),
}
CASES = SENT | REPLACED
ITEMS = [pair for k, name in enumerate(CASES) for pair in ((2 * k, ""), (2 * k + 1, name))]
"""Pairs of an index and the case that it raises: every other one is well."""


def evaluate(item: tuple[int, str]) -> int:
    """Return the first of `item`, or raise the case that the second one names."""
    i, name = item
    if name:
        error = CASES[name]()
        raise error
    return i


@pytest.fixture(params=OPTIONS)
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def prefetch(engine: str, function: Any, items: Any, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(seqtools.smap(function, items), **OPTIONS[engine], **options)


def outcomes(sequence: Any) -> Iterator[Any]:
    """Yield each item, or in its place the error that was raised for it."""
    items = iter(sequence)
    for _ in range(len(sequence)):
        try:
            yield next(items)
        except seqtools.EvaluationError as error:
            yield error


@functools.cache
def all_cases(engine: str) -> list[Any]:
    """Return what comes of `ITEMS`: read once, for all tests."""
    with prefetch(engine, evaluate, ITEMS) as p:
        return list(outcomes(p))


def shape(error: BaseException | None, seen: tuple[int, ...] = ()) -> Any:
    """Return all that has to arrive of an exception."""
    if error is None or id(error) in seen:
        return error is None
    seen = (*seen, id(error))
    notes = [n for n in getattr(error, "__notes__", []) if not n.startswith("in worker process")]
    links = error.__cause__, error.__context__, *getattr(error, "exceptions", ())
    told = summary(error), notes, error.__suppress_context__
    return type(error).__qualname__, told, [shape(link, seen) for link in links]


def test_an_item_that_raises_fails_alone_and_is_named(engine: str) -> None:
    for outcome, (i, name) in zip(all_cases(engine), ITEMS, strict=True):
        if not name:
            assert outcome == i
            continue
        stages = ["prefetch", "smap(evaluate)"]
        if name == "EndOfSequence":  # as if the source had ended there
            stages.pop()
        assert [(step.stage, step.index) for step in outcome.path] == [(s, i) for s in stages]


def test_what_is_raised_arrives_with_causes_contexts_and_notes(engine: str) -> None:
    for raised, found, (_, name) in zip(all_cases("inline"), all_cases(engine), ITEMS, strict=True):
        if name in SENT:
            assert shape(found.__cause__) == shape(raised.__cause__), name


def test_what_cannot_be_sent_is_replaced_by_its_text(engine: str) -> None:
    for raised, found, (_, name) in zip(all_cases("inline"), all_cases(engine), ITEMS, strict=True):
        if name in REPLACED:
            expected, error = raised.__cause__, found.__cause__
            if engine in {"inline", "thread", "auto"} and type(error) is not RuntimeError:
                assert shape(error) == shape(expected), name
            else:
                assert type(error) is RuntimeError
                assert str(error) == summary(expected) + UNSENT
                assert shape(error.__cause__) == shape(expected.__cause__)


def test_attributes_arrive(engine: str) -> None:
    found = {name: all_cases(engine)[i].__cause__ for i, name in ITEMS if name}
    assert found["not made again by its init"].code == found["frozen"].code == 3
    assert found["BrokenPipeError"].filename == "name"


ENDS: dict[str, Callable[[], BaseException]] = {
    "SystemExit": lambda: SystemExit(3),
    "KeyboardInterrupt": KeyboardInterrupt,
    "GeneratorExit": GeneratorExit,
    "group": lambda: BaseExceptionGroup("group", [SystemExit(3), OSError(1)]),
}


def test_what_ends_a_program_is_raised_for_its_item_alone(engine: str) -> None:
    names = [name for end in ENDS for name in ("", end)]

    def evaluate(i: int) -> int:
        if names[i]:
            end = ENDS[names[i]]()
            raise end
        return i

    with prefetch(engine, evaluate, range(len(names))) as p:
        for _ in range(2):
            for i, name in enumerate(names):
                if not name:
                    assert p[i] == i
                    continue
                raised = ENDS[name]()
                with pytest.raises(type(raised)) as caught:
                    p[i]
                assert shape(caught.value) == shape(raised)


def test_a_long_argument(engine: str) -> None:
    def evaluate(i: int) -> int:
        if i == 1:
            raise ValueError("x" * 10_000_000)
        return i

    with prefetch(engine, evaluate, range(3)) as p:
        first, error, last = outcomes(p)
    assert (first, last) == (0, 2)
    assert len(error.__cause__.args[0]) == 10_000_000
    assert "x [... 9990000 characters ...] x" in str(error)
    assert len(str(error)) < 11_000
    assert sum(map(len, getattr(error.__cause__, "__notes__", []))) < 40_000


def arrived(error: BaseException) -> Any:
    """Return what arrives of `error`."""
    return exceptions.loaded(exceptions.pickled(error, pickle.dumps), pickle.loads)


def test_a_cause_that_cannot_be_sent_is_replaced_by_its_text() -> None:
    error, cause = ValueError("outer"), unsendable(KeyError("inner"))
    error.__cause__, cause.__context__ = cause, OSError("innermost")
    given = arrived(error)
    assert shape(given.__cause__.__context__) == shape(cause.__context__)
    assert repr(given) == repr(error)
    assert repr(given.__cause__) == repr(RuntimeError("KeyError: 'inner'" + UNSENT))


def test_a_chain_without_end_is_cut_where_it_is_far() -> None:
    error: BaseException = ValueError(0)
    for k in range(1, 5000):
        outer = ValueError(k)
        outer.__context__, error = error, outer
    given: BaseException | None = arrived(error)
    for k in range(exceptions.MOST + 1):
        assert isinstance(given, ValueError)
        assert given.args == (4999 - k,)
        given = given.__context__
    assert given is None


class Nameless:
    @property
    def __name__(self) -> str:
        raise RuntimeError("nobody")

    def __call__(self, i: int) -> int:
        raise ValueError(i)


def test_a_function_that_does_not_tell_its_name(engine: str) -> None:
    with prefetch(engine, Nameless(), range(3)) as p:
        assert {error.stage for error in outcomes(p)} == {"smap(Nameless)"}


def test_no_exception_ends_a_thread() -> None:
    class LyingError(Exception):
        @property
        def __class__(self) -> Any:
            raise RuntimeError("nothing")

    def evaluate(_: int) -> int:
        raise LyingError("text")

    with prefetch("thread", evaluate, range(3)) as p:
        assert all("LyingError: text" in str(error) for error in outcomes(p))


def test_a_start_hook_whose_exception_cannot_be_shown() -> None:
    def hook() -> None:
        raise UnspeakableError

    with (
        prefetch("thread", abs, range(3), start_hook=hook) as p,
        pytest.raises(seqtools.WorkerStartError, match="start_hook failed"),
    ):
        p[0]
