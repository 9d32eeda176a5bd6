"""Classes and functions that travel by value come back as the consumer's own."""

import dataclasses
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seqtools


def prefetch(source: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(source, 2, "process")


@pytest.fixture(autouse=True)
def by_value(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this module look like a script: nobody else can import it."""
    monkeypatch.delitem(sys.modules, __name__)


class Plain:
    label = "as shipped"

    def __init__(self, x: int) -> None:
        self.x = x


@dataclasses.dataclass
class Record:
    x: int
    label = "as shipped"


class Unusual(Exception):  # noqa: N818 -- as users name them
    """An exception that cannot be made again from its `args`."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


def local_class() -> type:
    class Local:
        label = "as shipped"

        def __init__(self, x: int) -> None:
            self.x = x

    return Local


Redefined = local_class()


class Proxy:
    """A class that names another as that of its instances, and uses itself for that."""

    other: type = int

    @property
    def __class__(self) -> Any:
        return Proxy.other if Proxy is type(self) else super().__class__


class Constant:
    __class__ = Proxy  # type: ignore[assignment]


class Lie(Exception):  # noqa: N818 -- as above
    @property
    def __class__(self) -> Any:
        return KeyError


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_a_class_that_defines_its_class_is_sent(start_method: Any) -> None:
    options: Any = {"nworkers": 1, "method": "process", "start_method": start_method}

    def get(x: int) -> Any:
        if x == 2:
            raise Lie("so")
        made = Proxy() if x else Constant()
        return type(made), made.__class__, type(type(made))  # `pickle` refuses such an instance

    with seqtools.prefetch(seqtools.smap(get, range(3)), **options) as p:
        assert p[0] == (Constant, Proxy, type)
        assert p[1] == (Proxy, int, type)
        with pytest.raises(seqtools.EvaluationError) as caught:
            p[2]
    assert type(caught.value.__cause__) is Lie


@pytest.mark.parametrize("cls", [Plain, Record, Redefined])
def test_a_class_that_changed_after_it_was_shipped_stays_as_it_is(cls: Any) -> None:
    p = prefetch(seqtools.smap(cls, range(40)))
    items = iter(p)
    next(items)
    cls.label = "changed since"
    try:
        assert {value.label for value in items} == {"changed since"}
        assert cls.label == "changed since"
    finally:
        cls.label = "as shipped"


def test_classes_and_functions_themselves() -> None:
    def function() -> None:
        pass

    p = prefetch(seqtools.smap(lambda _: (Plain, function, {"key": Record}), range(2)))
    for a, b, c in p:
        assert a is Plain
        assert b is function
        assert c["key"] is Record


def test_exceptions() -> None:
    def fail(x: int) -> int:
        raise Unusual(x, "of all things")

    with pytest.raises(seqtools.EvaluationError) as caught:
        prefetch(seqtools.smap(fail, range(3)))[2]
    error = caught.value.__cause__
    assert type(error) is Unusual
    assert error.code == 2
    assert str(error) == "2: of all things"
    assert "in fail" in error.__notes__[0]


def test_an_exception_that_cannot_be_sent_is_told_in_words() -> None:
    def fail(x: int) -> int:
        error = ValueError("broken")
        error.handle = (y for y in [x])  # type: ignore[attr-defined]
        raise error

    with pytest.raises(seqtools.EvaluationError) as caught:
        prefetch(seqtools.smap(fail, range(3)))[2]
    assert isinstance(caught.value.__cause__, RuntimeError)
    assert "ValueError: broken (the exception itself cannot be sent)" in str(caught.value)


def outcomes(p: Any) -> Iterator[Any]:
    items = iter(p)
    for _ in range(len(p)):
        try:
            yield next(items)
        except seqtools.EvaluationError as error:
            yield str(error.__cause__)


def test_a_class_made_in_the_worker_is_an_error_of_its_item() -> None:
    def make(x: int) -> Any:
        class Made:
            pass

        return Made() if x == 1 else x

    first, second, third = outcomes(prefetch(seqtools.smap(make, range(3))))
    assert (first, third) == (0, 2)
    assert second.startswith("item 1 cannot be sent from a worker process")
    assert "created in a worker cannot be sent" in second


@pytest.mark.parametrize("n", [3, 200])
def test_a_value_that_cannot_be_pickled_is_an_error_of_its_item(n: int) -> None:
    p = prefetch(seqtools.smap(lambda x: (y for y in "a") if x == 1 else x, range(n)))
    found = list(outcomes(p))
    assert "item 1 cannot be sent from a worker process: generator" in found.pop(1)
    assert found == [0, *range(2, n)]


class Poisoned:
    def __reduce__(self) -> Any:
        return _poison, ()


def _poison() -> None:
    raise OSError("not here")


@pytest.mark.parametrize("n", [3, 200])
def test_a_value_that_cannot_be_loaded_is_an_error_of_its_item(n: int) -> None:
    p = prefetch(seqtools.smap(lambda x: Poisoned() if x == 1 else x, range(n)))
    found = list(outcomes(p))
    assert "item 1 cannot be loaded from a worker process: OSError: not here" in found.pop(1)
    assert found == [0, *range(2, n)]


def test_one_object_in_several_items_is_one_within_a_message_at_least() -> None:
    shared = [1]
    p = prefetch(seqtools.smap(lambda _: (shared, shared), range(3)))
    assert all(a is b for a, b in p)


class Guarded:
    lock = threading.Lock()


lock = threading.Lock()


@pytest.mark.parametrize(
    ("function", "where"),
    [
        (lambda _: Guarded(), "(in Guarded: lock)"),
        (lambda _: lock, "(in <lambda>: lock)"),
    ],
    ids=["class", "function"],
)
def test_what_cannot_be_sent_is_named(function: Callable[[int], Any], where: str) -> None:
    with pytest.raises(seqtools.WorkerStartError) as caught:
        prefetch(seqtools.smap(function, range(3)))[0]
    assert f"cannot pickle '_thread.lock' object {where}; hold it in an object" in str(caught.value)
