"""An item from a worker process is the value at the moment when its function returned it."""

import collections
import enum
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import numpy as np
import pytest

from seqtools import gather, prefetch, smap

N = 60
METHODS = ("template", "spawn")  # with slots for large values, and without


@pytest.fixture(params=METHODS)
def ahead(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Any]]:
    """Read ahead with one worker, which answers in groups; with several, it could be by chance."""
    opened = []

    def read_ahead(source: Any) -> Any:
        opened.append(prefetch(source, 1, "process", start_method=request.param, max_cached=N))
        return opened[-1]

    yield read_ahead
    while opened:
        opened.pop().close()


class Pair(NamedTuple):
    number: int
    array: np.ndarray


class Box:
    def __init__(self, content: Any) -> None:
        self.content = content


class Size(int):
    """An integer that can be changed all the same."""


class Colour(enum.Enum):
    RED = 1


def put(key: Any) -> Callable[[Any, int], None]:
    return lambda target, i: target.__setitem__(key, i)


def put_content(target: Any, i: int) -> None:
    target.content = i


def refill(target: set[int], i: int) -> None:
    target.clear()
    target.add(i)


def ints(n: int) -> np.ndarray:
    return np.zeros(n, int)


EVERYWHERE = slice(None)
# What is filled again and again, how, what of it is returned, and what reads the number in that.
FILLED: dict[str, tuple[Any, Any, Any, Any]] = {
    "small array": (lambda: ints(4), put(EVERYWHERE), None, lambda v: v[3]),
    "large array": (lambda: ints(20_000), put(EVERYWHERE), None, lambda v: v[-1]),
    "a view": (lambda: ints(20_000), put(EVERYWHERE), lambda t: t[5:9], lambda v: v[1]),
    "column": (lambda: ints(20).reshape(5, 4)[:, 1], put(EVERYWHERE), None, lambda v: v[2]),
    "memoryview": (lambda: ints(4), put(EVERYWHERE), lambda t: t.data, lambda v: v[0]),
    "structured": (lambda: np.zeros(3, [("a", int)]), put("a"), None, lambda v: v["a"][0]),
    "dict": (lambda: {"n": 0}, put("n"), None, lambda v: v["n"]),
    "nested list": (lambda: [0], put(0), lambda t: [0, (t,)], lambda v: v[1][0][0]),
    "object": (lambda: Box(0), put_content, None, lambda v: v.content),
    "subclass of int": (lambda: Size(3), put_content, None, lambda v: v.content),
    "bytearray": (lambda: bytearray(8), put(3), None, lambda v: v[3]),
    "counter": (collections.Counter, put("n"), None, lambda v: v["n"]),
    "deque": (lambda: collections.deque([0]), put(0), None, lambda v: v[0]),
    "set": (set, refill, None, lambda v: next(iter(v))),
    "tuple": (lambda: ints(5), put(EVERYWHERE), lambda t: (1, {"x": t}), lambda v: v[1]["x"][2]),
    "named tuple": (lambda: ints(5), put(2), lambda t: Pair(1, t), lambda v: v.array[2]),
}


def test_an_object_that_is_filled_again(ahead: Callable[[Any], Any]) -> None:
    targets = [make() for make, *_ in FILLED.values()]

    def function(k: int) -> Any:
        kind, i = divmod(k, N)
        _, change, returned, _ = parts[kind]
        change(targets[kind], i)
        return targets[kind] if returned is None else returned(targets[kind])

    parts = list(FILLED.values())
    values = list(ahead(smap(function, range(N * len(FILLED)))))

    for k, (kind, (*_, number)) in enumerate(FILLED.items()):
        found = [int(number(value)) for value in values[k * N : (k + 1) * N]]
        assert found == list(range(N)), kind


KEPT: dict[str, Callable[[], Any]] = {
    "small array": lambda: np.full(20, 8.0),
    "large array": lambda: np.full(20_000, 8.0),
    "list": lambda: [8.0],
    "dict of arrays": lambda: {"x": np.full(20, 8.0)},
    "tuple with a list": lambda: (1, [8.0]),
    "object": lambda: Box(8.0),
}


def halve(value: Any) -> float:
    """Change `value` in place; return what it was."""
    if isinstance(value, np.ndarray):
        was = float(value[0])
        value /= 2
        return was
    if isinstance(value, Box):
        was, value.content = value.content, value.content / 2
        return float(was)
    if isinstance(value, tuple):
        return halve(value[1])
    if isinstance(value, dict):
        return halve(value["x"])
    was = value[0]
    value[0] = was / 2
    return float(was)


def test_the_same_object_as_several_items(ahead: Callable[[Any], Any]) -> None:
    data = [make() for make in KEPT.values()]
    items = ahead(gather(data, [k // N for k in range(N * len(data))]))

    assert [halve(item) for item in items] == [8.0] * len(items)
    for k in range(len(data)):
        assert halve(items[k * N]) == 8.0, "the worker keeps what it had"


def test_one_object_twice_within_an_item_arrives_as_one(ahead: Callable[[Any], Any]) -> None:
    def twice(i: int) -> Any:
        inner = [i]
        array = np.full(3, i)
        return {"a": inner, "b": inner, "c": [array, array]}

    def circle(i: int) -> Any:
        loop: list[Any] = [i]
        loop.append(loop)
        return loop

    for value in ahead(smap(twice, range(N))):
        assert value["a"] is value["b"]
        assert value["c"][0] is value["c"][1]
    for value in ahead(smap(circle, range(N))):
        assert value[1] is value


def test_a_list_that_its_function_goes_on_to_fill(ahead: Callable[[Any], Any]) -> None:
    seen: list[int] = []

    def so_far(i: int) -> list[int]:
        seen.append(i)
        return seen

    for i, value in enumerate(ahead(smap(so_far, range(N)))):
        assert value == list(range(i + 1))


def test_what_is_plain_is_sent_as_it_is(ahead: Callable[[Any], Any]) -> None:
    values = [
        1, 1 << 80, -0.0, float("inf"), 2j, True, None, "text", "\ud800", b"bytes", (),
        (1, ("a", None)), np.float64(0.1), np.int8(3), np.str_("name"), np.bool_(0),
        np.datetime64("2020-01-01", "s"),
        [], {}, [[1.5], {"k": (2, [3])}], {1: "a", (2, 3): b"b"}, Colour.RED, Pair(1, np.arange(2)),
        np.zeros((0, 3), "f4"), np.array(5), np.arange(6, dtype=">i2"), np.array([True, False]),
        np.asfortranarray(np.arange(6.0).reshape(2, 3)), np.arange(8)[::-2], np.array(["a", "bc"]),
        np.array([1, None], object), np.array(["2020-01-01"], "M8[D]"),
    ]  # fmt: skip

    arrived = list(ahead(smap(values.__getitem__, range(len(values)))))

    for value, other in zip(values, arrived, strict=True):
        assert type(other) is type(value)
        assert repr(other) == repr(value)
        if isinstance(value, np.ndarray | np.generic):
            assert other.dtype == value.dtype
        if isinstance(value, np.ndarray):
            assert other.shape == value.shape
            assert other.flags.writeable == value.flags.writeable


def test_a_small_read_only_array_stays_so(ahead: Callable[[Any], Any]) -> None:
    def fixed(i: int) -> Any:
        array = np.full(3, i)
        array.flags.writeable = False
        return [array, np.full(3, i)]

    for closed, opened in ahead(smap(fixed, range(9))):
        assert not closed.flags.writeable
        assert opened.flags.writeable


class Bomb:
    """Can be pickled, and not be loaded where `armed` says."""

    def __init__(self, i: int) -> None:
        self.i = i

    def __setstate__(self, state: dict[str, int]) -> None:
        self.__dict__ = state
        if self.i % 7 == 3:
            message = f"no {self.i}"
            raise ValueError(message)


def test_an_item_that_cannot_be_loaded_fails_alone(
    ahead: Callable[[Any], Any], tmp_path: Any
) -> None:
    log = tmp_path / "evaluated"

    def logged(i: int) -> Any:
        with open(log, "a") as file:
            file.write(f"{i}\n")
        return Bomb(i) if i % 7 == 3 else [i]

    items = iter(ahead(smap(logged, range(N))))
    outcomes = []
    for _ in range(N):
        try:
            outcomes.append(next(items)[0])
        except Exception as error:  # noqa: BLE001 -- whatever it is, it is looked at
            outcomes.append(str(error))

    for i, outcome in enumerate(outcomes):
        if i % 7 == 3:
            assert f"item {i} cannot be loaded from a worker process: ValueError: no {i}" in outcome
        else:
            assert outcome == i
    assert sorted(map(int, log.read_text().split())) == list(range(N)), "each is evaluated once"


def test_an_item_that_cannot_be_sent_fails_alone(ahead: Callable[[Any], Any]) -> None:
    def odd(i: int) -> Any:
        return (k for k in range(3)) if i % 5 == 2 else {"i": i}

    items = iter(ahead(smap(odd, range(N))))
    for i in range(N):
        if i % 5 == 2:
            with pytest.raises(Exception, match=f"item {i} cannot be sent from a worker process"):
                next(items)
        else:
            assert next(items) == {"i": i}
