"""An error says what the function was given, in every engine the same, and evaluates nothing."""

import operator
import os
import signal
from collections.abc import Iterator
from functools import lru_cache, partial
from pathlib import PurePosixPath
from typing import Any, NoReturn

import numpy as np
import pytest

import seqtools
from seqtools import add_cache, batch, gather, shuffle, smap, starmap
from tests.engines.engines import OPTIONS


def fail(*_: object) -> NoReturn:
    raise ValueError


def fail_one(x: object, y: int = 0) -> NoReturn:
    raise ValueError(x, y)


def rebind(x: object) -> NoReturn:
    x = repr(x)
    raise ValueError(x)


def fill(x: list[int]) -> NoReturn:
    x.append(4)
    raise ValueError


def draw(x: object, rng: Any) -> NoReturn:
    raise ValueError(x, rng)


@lru_cache
def cached(x: object) -> NoReturn:
    raise ValueError(x)


class Load:
    def __init__(self, x: object = None) -> None:
        if x is not None:
            raise ValueError

    def __call__(self, x: object, *more: object) -> NoReturn:
        raise ValueError(x, more)

    def load(self, x: object) -> NoReturn:
        raise ValueError(x)


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError


class Exiting:
    def __repr__(self) -> str:
        raise SystemExit


NAMES = ["img_0.jpg", "img_1.jpg"]
DEEP = f"/mnt/{'folder/' * 30}7.JPEG"
COMPUTED = smap(operator.itemgetter(0), [(name,) for name in NAMES])
"""The same, which a read has to compute."""

CASES: dict[str, tuple[Any, str]] = {
    "a computed item": (smap(fail_one, COMPUTED), "'img_1.jpg'"),
    "any number of arguments": (smap(fail, COMPUTED), "'img_1.jpg'"),
    "in a row": (smap(fail_one, smap(str.upper, smap(str, NAMES))), "'IMG_1.JPG'"),
    "an object": (smap(Load(), COMPUTED), "'img_1.jpg'"),
    "a method": (smap(Load().load, COMPUTED), "'img_1.jpg'"),
    "a class": (smap(Load, COMPUTED), "'img_1.jpg'"),
    "partial": (smap(partial(fail_one, "folder"), COMPUTED), "'img_1.jpg'"),
    "lru_cache": (smap(cached, COMPUTED), "'img_1.jpg'"),
    "compiled": (smap(int, NAMES), "'img_1.jpg'"),
    "compiled, reordered": (smap(int, gather(NAMES, [0, 1])[::-1][::-1]), "'img_1.jpg'"),
    "compiled, shuffled": (smap(int, shuffle(NAMES[1:] * 2, 1)), "'img_1.jpg'"),
    "compiled, computed": (smap(int, COMPUTED), ""),
    "several": (smap(divmod, [3, 4], [0, 0]), "4, 0"),
    "several, drawing": (smap(draw, COMPUTED, rng=1), "'img_1.jpg'"),
    "starmap": (starmap(divmod, [(1, 0), [2, 0]]), "2, 0"),
    "starmap, drawing": (starmap(fail_one, [(1, 0), (2, 0)], seed=1), "2, 0"),
    "starmap of many": (starmap(max, [range(9), [*range(9), ""]]), "0, 1, 2, 3, … 6 more"),
    "starmap of no arguments": (starmap(fail, [(), {"x": 1}]), ""),
    "collate_fn": (batch(COMPUTED, 1, collate_fn=fail_one), "['img_1.jpg']"),
    "an array": (smap(fail_one, np.zeros((2, 100, 3))), "ndarray (100, 3) float64"),
    "rebound": (smap(rebind, [1, 2]), "2"),
    "changed": (smap(fill, [[], [1, 2, 3]]), "[1, 2, 3, 4]"),
    "no repr": (smap(fail_one, [0, Odd()]), "<Odd: its repr raises RuntimeError>"),
    "no repr at all": (smap(Load, [0, Exiting()]), ""),
    "long": (
        starmap(fail, [(), ["x" * 1000] * 4]),
        ", ".join([f"'{'x' * 9}…{'x' * 16}'"] * 4),
    ),
    "a line": (smap(fail_one, ["", "x" * 118]), f"'{'x' * 118}'"),
    "a path": (smap(fail_one, ["", DEEP]), f"'/mnt/{'folder/' * 4}…/{'folder/' * 10}7.JPEG'"),
    "a path object": (
        smap(fail_one, ["", PurePosixPath(DEEP)]),
        f"PurePosixPath('/mnt/{'folder/' * 2}…/{'folder/' * 9}7.JPEG')",
    ),
    "paths": (
        starmap(fail, [(), (DEEP, DEEP)]),
        ", ".join([f"'/mnt/{'folder/' * 2}…/{'folder/' * 4}7.JPEG'"] * 2),
    ),
    "a path in a tuple": (
        smap(fail_one, [(), (DEEP, 3)]),
        f"('/mnt/{'folder/' * 4}…/{'folder/' * 10}7.JPEG', 3)",
    ),
    "a path in a dict": (
        smap(fail_one, [{}, {"path": DEEP, "a": 1, "b": 2, "c": 3, "d": 4, "e": 5}]),
        (
            f"{{'path': '/mnt/{'folder/' * 2}…/{'folder/' * 4}7.JPEG', "
            "'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5}"
        ),
    ),
    "a large dict": (
        smap(fail_one, [{}, dict.fromkeys(range(100, 140), 0)]),
        f"{{{', '.join(f'{n}: 0' for n in range(100, 113))}, … 27 more}}",
    ),
    "a source that fails": (smap(fail_one, smap(fail_one, add_cache(NAMES))), "'img_1.jpg'"),
}


@pytest.fixture(params=OPTIONS)
def engine(request: pytest.FixtureRequest) -> dict[str, Any]:
    return OPTIONS[str(request.param)]


def told(sequence: Any) -> list[str]:
    """Return what the steps of the error of item 1 say."""
    with pytest.raises(seqtools.EvaluationError) as caught:
        sequence[1]
    steps = caught.value.path
    given = steps[-1].called_with
    said = f", called with {given}, made at " if given else ", made at "
    assert (said in str(caught.value)) is bool(steps)
    return [step.called_with for step in steps]


def test_inline() -> None:
    found = {name: told(sequence)[-1] for name, (sequence, _) in CASES.items()}
    expected = {name: given for name, (_, given) in CASES.items()}
    # what was changed is changed again when it is read again
    assert found == expected


def test_in_iteration() -> None:
    sequence = smap(fail_one, COMPUTED)
    items = iter(sequence)
    for name in NAMES:
        with pytest.raises(seqtools.EvaluationError) as caught:
            next(items)
        assert caught.value.path[-1].called_with == repr(name)


def test_in_engines(engine: dict[str, Any]) -> None:
    names = [name for name in CASES if name != "changed"]
    pipelines = [CASES[name][0] for name in names]
    with seqtools.prefetch(smap(operator.itemgetter(1), pipelines), **engine) as p:
        for i, name in enumerate(names):
            with pytest.raises(seqtools.EvaluationError) as caught:
                p[i]
            assert caught.value.path[-1].called_with == CASES[name][1]
    with (
        seqtools.prefetch(batch(smap(fail_one, COMPUTED), 2), **engine) as p,
        pytest.raises(seqtools.EvaluationError) as caught,
    ):
        p[0]
    assert [step.called_with for step in caught.value.path] == ["", "", "'img_0.jpg'"]


def test_a_source_that_fails_is_no_call() -> None:
    class Files:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> NoReturn:
            raise OSError(i)

    assert told(smap(fail_one, Files())) == [""]
    assert told(smap(fail_one, starmap(fail, Files()))) == ["", ""]


def test_nothing_is_evaluated() -> None:
    read: list[object] = []

    class Watched:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> str:
            read.append(i)
            return "x"

    def arguments() -> Iterator[int]:
        read.append("argument")
        yield 1

    assert told(smap(int, Watched())) == [""]
    assert told(smap(int, gather("xx", smap(lambda _: read.append(2) or 1, "xx")))) == [""]  # type: ignore[func-returns-value]
    assert told(starmap(fail, [None, arguments()])) == [""]
    assert read == [1, 2, "argument"]


def test_of_a_pipeline_in_a_function() -> None:
    inner = smap(fail_one, range(10, 20))
    assert told(batch(smap(lambda i: inner[i + 3], range(5)), 1)) == ["", "1", "14"]


def test_the_item_at_which_a_worker_dies() -> None:
    def die(name: str) -> None:
        if name == NAMES[1]:
            os.kill(os.getpid(), signal.SIGKILL)

    with (
        seqtools.prefetch(smap(die, COMPUTED), 1, "process") as p,
        pytest.raises(seqtools.EvaluationError) as caught,
    ):
        p[1]
    assert isinstance(caught.value.__cause__, seqtools.WorkerDied)
    assert caught.value.path[-1].called_with == "'img_1.jpg'"
