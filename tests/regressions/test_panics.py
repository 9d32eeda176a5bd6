"""What is no `Exception`, and no interrupt either, is the error of an item like any other."""

import asyncio
import sys
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import seqtools
from tests.engines.engines import OPTIONS

Panic = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
"""As the class that each package compiled by PyO3 has; nobody can import it."""


class Halt(BaseException):
    pass


@pytest.fixture
def rust(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have a package that raises these panics."""
    package = ModuleType("rust")
    package.PanicException = Panic  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "rust", package)


def panic(x: int) -> int:
    if x in {1, 2, 4}:
        error = type("PanicException", (BaseException,), {"__module__": "pyo3_runtime"})
        raise error(f"index {x} out of bounds")
    return x


def outcomes(items: Iterator[Any]) -> Iterator[Any]:
    while True:
        try:
            yield next(items)
        except StopIteration:
            return
        except Exception as error:  # noqa: BLE001 -- as users write it
            yield str(error).partition("\n")[0]


@pytest.fixture(params=OPTIONS)
def engine(request: pytest.FixtureRequest) -> dict[str, Any]:
    return OPTIONS[str(request.param)]


FAILED = "PanicException: index {} out of bounds"


def test_a_loop_skips_a_panic(engine: dict[str, Any]) -> None:
    with seqtools.prefetch(seqtools.smap(panic, range(6)), **engine) as p:
        found = [*outcomes(iter(p))]
        with pytest.raises(seqtools.EvaluationError) as caught:
            p[4]
    failed = [f"item {i} of prefetch failed: {FAILED.format(i)}" for i in range(6)]
    assert found == [0, failed[1], failed[2], 3, failed[4], 5]
    cause = caught.value.__cause__
    assert (type(cause).__name__, type(cause).__module__) == ("PanicException", "pyo3_runtime")
    assert str(cause) == "index 4 out of bounds"
    assert [(step.stage, step.index) for step in caught.value.path[1:]] == [("smap(panic)", 4)]


def test_a_panic_is_named_in_a_batch(engine: dict[str, Any]) -> None:
    batches = seqtools.batch(seqtools.smap(panic, range(6)), 3)
    with (
        seqtools.prefetch(batches, **engine) as p,
        pytest.raises(seqtools.EvaluationError) as caught,
    ):
        p[1]
    assert (caught.value.stage, caught.value.path[-1].index) == ("smap(panic)", 4)


def test_a_panic_as_it_is(engine: dict[str, Any]) -> None:
    before = seqtools.seterr("passthrough")
    try:
        with seqtools.prefetch(seqtools.smap(panic, range(6)), **engine) as p:
            items, seen = iter(p), []
            while len(seen) < 6:
                try:
                    seen.append(next(items))
                except BaseException as error:  # noqa: BLE001 -- it is no exception
                    seen.append(f"{type(error).__name__}: {error}")
    finally:
        seqtools.seterr(before)
    assert seen == [0, FAILED.format(1), FAILED.format(2), 3, FAILED.format(4), 5]


def test_inline_and_by_other_readers() -> None:
    panics = seqtools.smap(panic, range(6))
    failed = f"item 4 of smap(panic) failed: {FAILED.format(4)}"
    assert [*outcomes(iter(panics))][3:] == [3, failed, 5]
    with pytest.raises(seqtools.EvaluationError):
        panics[1]
    assert isinstance(seqtools.explain(panics, 1).error, BaseException)

    def generate() -> Iterator[int]:
        yield 0
        yield panic(1)

    with pytest.raises(seqtools.EvaluationError):
        seqtools.batch(seqtools.uniter(generate()), 2)[0]


@pytest.mark.usefixtures("rust")
def test_the_class_of_the_package_arrives() -> None:
    def fail(_: int) -> None:
        raise sys.modules["rust"].PanicException("gone")

    def hook() -> None:
        package = ModuleType("rust")
        package.PanicException = type(  # type: ignore[attr-defined]
            "PanicException", (BaseException,), {"__module__": "pyo3_runtime"}
        )
        sys.modules["rust"] = package

    failing = seqtools.smap(fail, range(2))
    with (
        seqtools.prefetch(failing, 1, "process", start_hook=hook) as p,
        pytest.raises(seqtools.EvaluationError) as caught,
    ):
        p[0]
    assert type(caught.value.__cause__) is Panic
    assert "in fail" in caught.value.__cause__.__notes__[0]


ENDS: dict[str, Callable[[], BaseException]] = {
    "CancelledError": asyncio.CancelledError,
    "own": lambda: Halt("now"),
    "group": lambda: BaseExceptionGroup("group", [Halt("now"), OSError(1)]),
}


@pytest.mark.parametrize("end", ENDS.values(), ids=ENDS)
def test_in_workers_all_is_of_the_item_that_is_no_interrupt(
    engine: dict[str, Any], end: Callable[[], BaseException]
) -> None:
    def fail(x: int) -> int:
        if x == 1:
            error = end()
            raise error
        return x

    mapped = seqtools.smap(fail, range(3))
    with seqtools.prefetch(mapped, **engine) as p:
        items = iter(p)
        assert next(items) == 0
        if not engine.get("nworkers", 1):  # it may be meant for code around the reader
            for _ in range(2):
                with pytest.raises(type(end())):
                    next(items)
            return
        with pytest.raises(seqtools.EvaluationError) as caught:
            next(items)
        assert next(items) == 2
    assert type(caught.value.__cause__) is type(end())
    assert caught.value.path[-1][:2] == ("smap(fail)", 1)
