"""Exceptions of users whose classes do anything, or that are raised again and again."""

import traceback
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

import seqtools
from seqtools import EvaluationError, batch, prefetch, recover, retry, smap, substitute

# No class of the user's makes a stage fail that handles the exception.


class KeepsFramesError(Exception):
    def with_traceback(self, _: object) -> NoReturn:
        raise RuntimeError("not mine")


class FixedError(Exception):
    def __setattr__(self, name: str, _: object) -> NoReturn:
        raise AttributeError(name)


class HidesChainError(Exception):
    @property
    def __cause__(self) -> NoReturn:  # type: ignore[override]
        raise RuntimeError("no cause")

    __context__ = __traceback__ = __notes__ = __cause__  # type: ignore[assignment]


class LyingError(Exception):
    @property
    def __class__(self) -> Any:
        raise RuntimeError("no class")


class HidesMembersError(ExceptionGroup[Exception]):
    @property
    def exceptions(self) -> NoReturn:
        raise RuntimeError("no members")


def nested() -> BaseException:
    error: Exception = ValueError("innermost")
    for _ in range(3000):
        error = ExceptionGroup("group", [error])
    return error


ODD: dict[str, Callable[[], BaseException]] = {
    "keeps frames": KeepsFramesError,
    "fixed": FixedError,
    "hides its chain": HidesChainError,
    "lies": LyingError,
    "hides members": lambda: HidesMembersError("group", [ValueError()]),
    "nested groups": nested,
}


class Load:
    """Raise the exception of this name for item 2."""

    def __init__(self, name: str) -> None:
        self.name = name

    def __call__(self, x: int) -> int:
        if x == 2:
            error = ODD[self.name]()
            raise error
        return x


@pytest.fixture(params=["inline", "thread", "process"])
def engine(request: pytest.FixtureRequest) -> Callable[[Any], Any]:
    if request.param == "inline":
        return lambda sequence: prefetch(sequence, 0)
    return lambda sequence: prefetch(sequence, 1, request.param)


@pytest.mark.parametrize("name", ODD)
@pytest.mark.parametrize("after", [False, True], ids=["in workers", "after workers"])
def test_items_are_replaced(engine: Callable[[Any], Any], name: str, after: bool) -> None:
    expected = {
        lambda s: recover(retry(s, 2), default=-1): [0, 1, -1, 3],
        lambda s: recover(s, handler=lambda _, i: -i): [0, 1, -2, 3],
        substitute: [0, 1, 3, 3],
        lambda s: smap(sum, batch(substitute(s), 2)): [1, 6],
    }
    items = smap(Load(name), range(4))
    for replaced, outcome in expected.items():
        with engine(items) if after else engine(replaced(items)) as ready:
            assert list(replaced(ready) if after else ready) == outcome


@pytest.mark.parametrize("name", ODD)
def test_the_error_of_an_item_is_raised(engine: Callable[[Any], Any], name: str) -> None:
    with engine(smap(Load(name), range(4))) as ready:
        for read in (lambda: ready[2], lambda: list(ready)):
            with pytest.raises(EvaluationError) as caught:
                read()
            assert caught.value.path[-1].index == 2


# An exception object that is raised again and again does not grow.

ONE = ValueError("the same object")


def raise_one(x: int) -> int:
    if x:
        raise ONE
    return x


MANY = 300


def frames_of_one() -> int:
    return len([*traceback.walk_tb(ONE.__traceback__)])


def read_all(sequence: Any) -> None:
    for i in range(MANY):
        try:
            sequence[i]
        except EvaluationError as error:
            assert [(step.stage, step.index) for step in error.path][-1] == ("smap(raise_one)", i)  # noqa: PT017


def iterate(sequence: Any) -> None:
    iterator = iter(sequence)
    for i in range(MANY):
        try:
            next(iterator)
        except EvaluationError as error:
            assert [(step.stage, step.index) for step in error.path][-1] == ("smap(raise_one)", i)  # noqa: PT017


@pytest.mark.parametrize(
    "replaced",
    [
        lambda s: s,
        lambda s: retry(s, 1),
        lambda s: recover(s, default=0),
        lambda s: recover(s, handler=lambda *_: 0),
        lambda s: recover(retry(s, 2), default=0),
        lambda s: recover(smap(lambda i: s[i], range(MANY)), handler=lambda *_: 0),
    ],
    ids=["plain", "once", "default", "handler", "retry", "nested"],
)
@pytest.mark.parametrize("where", ["inline", "in threads", "after threads"])
@pytest.mark.parametrize("read", [read_all, iterate], ids=["by index", "by an iterator"])
def test_frames_do_not_accumulate(
    where: str, replaced: Callable[[Any], Any], read: Callable[[Any], None]
) -> None:
    ONE.__traceback__ = None
    items = smap(raise_one, [1] * MANY)
    if where == "inline":
        read(replaced(items))
    elif where == "in threads":
        with prefetch(replaced(items), 1) as ready:  # two would raise the same object at a time
            read(ready)
    else:
        with prefetch(items, 1) as ready:
            read(replaced(ready))
    assert frames_of_one() < 120


def test_the_setting_of_errors_does_not_matter() -> None:
    ONE.__traceback__ = None
    before = seqtools.seterr("passthrough")
    try:
        with prefetch(smap(raise_one, [1] * MANY), 1) as ready:
            for i in range(MANY):
                with pytest.raises(ValueError, match="the same object"):
                    ready[i]
    finally:
        seqtools.seterr(before)
    assert frames_of_one() < 120


def test_frames_of_other_code_stay() -> None:
    """Such as those of a thread whose error a future raises again."""

    def deep(n: int) -> NoReturn:
        if n:
            deep(n - 1)
        raise KeyError("deep")

    def again(_: int) -> NoReturn:
        try:
            deep(200)
        except KeyError as caught:
            error = caught
        raise error

    with pytest.raises(EvaluationError) as caught:
        smap(again, [1])[0]
    assert caught.value.__cause__ is not None
    names = [
        frame.f_code.co_name for frame, _ in traceback.walk_tb(caught.value.__cause__.__traceback__)
    ]
    assert names.count("deep") == 201
