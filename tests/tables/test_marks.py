"""Marks of functions and of what they hold: what changes them, and what does not."""

import copy
import datetime as dt
import os
import re
import subprocess
import sys
import threading
from collections import Counter
from dataclasses import dataclass
from decimal import Decimal
from functools import cached_property, lru_cache, partial, partialmethod, update_wrapper
from operator import attrgetter, itemgetter, methodcaller
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import pytest

from seqtools.tables.code_marks import mark_of
from seqtools.tables.value_marks import _MOST, _RUN, Reader


def with_code(body: str, before: str = "", **names: Any) -> Any:
    """Return a function `f` with this body, in a module of its own."""
    made: dict[str, Any] = {"__name__": "a_module", **names}
    exec(f"{before}\ndef f(x, more=1):\n    return {body}", made)  # noqa: S102 -- text of the test
    return made["f"]


def holding(*held: Any) -> Any:
    """Return a function with these values in its closure."""
    return lambda x: x in held


def above(least: Any) -> Any:
    return lambda x: x > least


@dataclass(slots=True)
class Slotted:
    least: int

    def __call__(self, x: int) -> bool:
        return x > self.least


class Value:
    def __init__(self, value: Any) -> None:
        self.value = value


class Whole(int):
    """An integer of its own class."""


class Lazy:
    """Opens a file when it is first called."""

    def __init__(self) -> None:
        self.file: Any = None

    def __call__(self, x: int) -> bool:
        if self.file is None:
            self.file = open(os.devnull)  # noqa: SIM115 -- as users do
        return x > 1


def itself() -> list[Any]:
    found: list[Any] = [1]
    found.append(found)
    return found


def in_a_dict() -> dict[str, Any]:
    found: dict[str, Any] = {"a": 1}
    found["me"] = found
    return found


class TestTheSame:
    def test_code(self) -> None:
        assert mark_of(with_code("x + 1")) == mark_of(with_code("x + 1"))
        assert mark_of(abs) == mark_of(abs) != mark_of(len)

    def test_in_each_run(self) -> None:
        program = """
from functools import partial
from seqtools.tables.code_marks import mark_of
class C:
    def __init__(self): self.k = {"a": 1}; self.me = self; self.words = {"x", "y", "zz"}
    def __call__(self, x): return x in {"a", "b", "c", "d"}
many = {str(k) for k in range(1000)}
print(mark_of(lambda x: x in {"a", "b", "c", "d"}), mark_of(C()), mark_of(partial(C(), k=2)))
print(mark_of(many.__contains__), mark_of({*many, 1}.__contains__))
vocab = {k: 1 for k in many}
print(mark_of(vocab.get), mark_of([vocab].count), mark_of({(k,): C() for k in many}.get))
"""
        seen = {
            subprocess.run(
                [sys.executable, "-c", program],
                check=True,
                capture_output=True,
                env={**os.environ, "PYTHONHASHSEED": seed},
            ).stdout
            for seed in ("1", "2", "3")
        }
        assert len(seen) == 1

    @pytest.mark.parametrize(
        ("one", "other"),
        [
            (partial(max, key=1, default=2), partial(max, default=2, key=1)),
            (holding(*[Value(1)] * 2), holding(Value(1), Value(1))),
            (holding(itself()), holding(itself())),
            (holding(in_a_dict()), holding(in_a_dict())),
            (holding("ab", "ab"), holding("ab", "".join("ab"))),
            (holding(threading.Lock()), holding(threading.Lock())),
            (holding(np.float64(0.5)), holding(np.float64(0.5))),
            (holding({"a": 1, "b": 2}), holding({"b": 2, "a": 1})),
            (holding([[{"a": 1, "b": 2}]]), holding([[{"b": 2, "a": 1}]])),
            (holding({1: [2], None: 3}), holding({None: 3, 1: [2]})),
            (holding({Path("a"): 1, "b": 2}), holding({"b": 2, Path("a"): 1})),
            (holding(Counter("ab")), holding(Counter("ba"))),
            (holding({"a": Value(1), "b": 2}), holding({"b": 2, "a": Value(1)})),
        ],
        ids=[
            "keywords",
            "shared",
            "a circle",
            "a dict",
            "texts",
            "locks",
            "numpy",
            "order",
            "order in lists",
            "mixed keys",
            "paths",
            "counter",
            "objects",
        ],
    )
    def test_equal_values(self, one: Any, other: Any) -> None:
        assert mark_of(one) == mark_of(other) == mark_of(copy.deepcopy(one))

    def test_an_object_that_has_opened_its_file(self) -> None:
        lazy = Lazy()
        before = mark_of(lazy)
        lazy(1)
        assert lazy.file is not None
        assert mark_of(lazy) == before
        lazy.file.close()

    def test_counters_in_the_module_do_not_count(self) -> None:
        text = "def g():\n    global n\n    n += 1"
        one, other = [with_code("g()", f"n = {n}\n{text}") for n in (0, 7)]
        assert mark_of(one) == mark_of(other)

    def test_attributes_with_the_name_of_a_global_do_not_count(self) -> None:
        assert mark_of(with_code("x.count", count=1)) == mark_of(with_code("x.count", count=2))

    def test_code_of_any_object_may_fail(self) -> None:
        class Odd:
            def __getattr__(self, name: str) -> Any:
                raise ValueError(name)

            def __reduce_ex__(self, protocol: Any) -> Any:
                raise RuntimeError(protocol)

        assert mark_of(holding(Odd())) == mark_of(holding(Odd()))


class WithLimit:
    """A decorator with an argument of its own."""

    def __init__(self, function: Any, limit: int) -> None:
        update_wrapper(self, function)
        self.limit = limit

    def __call__(self, x: int) -> bool:
        return x > self.limit


class Answers:
    """Has any attribute."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") and name != "__wrapped__":
            raise AttributeError(name)
        return len


class NotPickled:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __getstate__(self) -> Any:
        raise TypeError


class MadeBy:
    """Is pickled by a function that holds what it needs."""

    def __init__(self, make: Any) -> None:
        self.make = make

    def __reduce__(self) -> Any:
        return self.make, ()


class Words(set[str]):
    pass


class Signal(np.ndarray):  # type: ignore[type-arg]
    pass


def with_attribute(value: Any, rate: int) -> Any:
    value.rate = rate
    return value


def signal(rate: int) -> Any:
    return with_attribute(np.arange(3).view(Signal), rate)


def after_many(body: str) -> Any:
    """Return a function that holds more than is looked at, before other code."""
    return with_code(
        f"{body} or many", f"def h(v):\n    def f(x): return v is None or {body}\n    return f"
    ).__globals__["h"]([Value(k) for k in range(_MOST)])


DIFFERENT = {
    "code after many": (after_many("x > 1"), after_many("x > 3")),
    "a class decorator": (WithLimit(abs, 1), WithLimit(abs, 2)),
    "any attribute": (holding(Answers(1)), holding(Answers(2))),
    "keys": (holding({1: 1}.keys()), holding({2: 1}.keys())),
    "values": (holding({1: 1}.values()), holding({1: 2}.values())),
    "proxy": (holding(MappingProxyType({1: 1})), holding(MappingProxyType({1: 2}))),
    "memoryview": (holding(memoryview(b"a")), holding(memoryview(b"b"))),
    "not pickled": (holding(NotPickled(1)), holding(NotPickled(2))),
    "made by partial": (holding(MadeBy(partial(max, 1))), holding(MadeBy(partial(max, 2)))),
    "made by a method": (holding(MadeBy(Value(1).__eq__)), holding(MadeBy(Value(2).__eq__))),
    "made by a lambda": (holding(MadeBy(lambda: 1)), holding(MadeBy(lambda: 2))),
    "own set": (
        holding(with_attribute(Words("a"), 1)),
        holding(with_attribute(Words("a"), 2)),
    ),
    "own array": (holding(signal(1)), holding(signal(2))),
    "huge integer": (above(10**5000), above(10**5000 + 1)),
    "huge global": (with_code("x > LIM", LIM=10**5000), with_code("x > LIM", LIM=10**5001)),
    "constant": (lambda x: x + 1, lambda x: x + 2),
    "name": (lambda x: x.real, lambda x: x.imag),
    "default": (lambda x, k=1: x + k, lambda x, k=2: x + k),
    "keyword": (lambda x, *, k=1: x + k, lambda x, *, k=2: x + k),
    "inner": (lambda x: [y + 1 for y in x], lambda x: [y + 2 for y in x]),
    "partial": (partial(max, 1), partial(max, 2)),
    "set constant": (lambda x: x in {1, 2}, lambda x: x in {1, 3}),
    "complex": (lambda x: x + 1j, lambda x: x + 2j),
    "closure": (above(1), above(2)),
    "type": (above(1), above(1.0)),
    "bool": (above(1), above(True)),  # noqa: FBT003
    "integer": (above(Whole(1)), above(Whole(2))),
    "float64": (above(np.float64(0.5)), above(np.float64(0.9))),
    "float32": (above(np.float32(0.5)), above(np.float32(0.9))),
    "int8": (above(np.int8(1)), above(np.int16(1))),
    "datetime64": (above(np.datetime64("2020")), above(np.datetime64("2021"))),
    "unit": (above(np.datetime64("2020")), above(np.datetime64("2020-01"))),
    "no dimension": (above(np.array(1.0)), above(np.array(2.0))),
    "array": (holding(np.arange(1000)), holding(np.r_[0:500, 7, 501:1000])),
    "shape": (holding(np.zeros((2, 3))), holding(np.zeros((3, 2)))),
    "objects": (holding(np.array([Value(1)])), holding(np.array([Value(2)]))),
    "end of a list": (holding([*range(1000)]), holding([*range(999), 7])),
    "long list": (holding([*range(2 * _RUN)]), holding([*range(2 * _RUN - 1), 7])),
    "list in a list": (holding([[1], [2, 3]]), holding([[1, 2], [3]])),
    "dict": (holding(dict.fromkeys(range(100))), holding(dict.fromkeys([*range(99), 7]))),
    "dict of sets": (holding({"k": {1}}), holding({"k": {2}})),
    "dict of functions": (holding({"k": above(1)}), holding({"k": above(2)})),
    "set": ({1, 2}.__contains__, {3}.__contains__),
    "pattern": (re.compile("a").search, re.compile("b").search),
    "method of a dict": ({1: 1}.get, {2: 1}.get),
    "method of a number": ((2).__lt__, (1).__lt__),
    "method of a text": ("a".startswith, "a".endswith),
    "itemgetter": (itemgetter("a"), itemgetter("b")),
    "attrgetter": (attrgetter("a"), attrgetter("b")),
    "methodcaller": (methodcaller("a"), methodcaller("b")),
    "path": (holding(Path("a")), holding(Path("b"))),
    "decimal": (above(Decimal(1)), above(Decimal(2))),
    "date": (above(dt.date(2020, 1, 1)), above(dt.date(2021, 1, 1))),
    "bytearray": (holding(bytearray(b"a")), holding(bytearray(b"b"))),
    "slots": (Slotted(1), Slotted(2)),
    "method with slots": (Slotted(1).__call__, Slotted(2).__call__),
    "attribute": (partial(max, Value(1)), partial(max, Value(2))),
    "cached": (lru_cache(above(1)), lru_cache(above(2))),
    "a global": (with_code("x > LIM", LIM=1), with_code("x > LIM", LIM=2)),
    "a global tuple": (with_code("x in SOME", SOME=(1, 2)), with_code("x in SOME", SOME=(1, 3))),
    "a global text": (with_code("x + ROOT", ROOT="a"), with_code("x + ROOT", ROOT="b")),
    "a global of numpy": (
        with_code("x > LIM", LIM=np.float32(1)),
        with_code("x > LIM", LIM=np.float32(2)),
    ),
    "a global in a lambda": (
        with_code("[LIM for y in x]", LIM=1),
        with_code("[LIM for y in x]", LIM=2),
    ),
    "a function by name": (
        with_code("g(x)", "def h(x): return x\ndef g(x): return h(x)"),
        with_code("g(x)", "def h(x): return -x\ndef g(x): return h(x)"),
    ),
    "a constant of one": (
        with_code("g(x)", "LIM = 1\ndef g(x): return x > LIM"),
        with_code("g(x)", "LIM = 2\ndef g(x): return x > LIM"),
    ),
    "a cached function by name": (
        with_code("g(x)", "from functools import cache\n@cache\ndef g(x): return x"),
        with_code("g(x)", "from functools import cache\n@cache\ndef g(x): return -x"),
    ),
    "a class by name": (
        with_code("C().g(x)", "class C:\n    def g(self, x): return x"),
        with_code("C().g(x)", "class C:\n    def g(self, x): return -x"),
    ),
    "errors that are caught": (
        with_code("g(x)", "def g(x):\n    try: return 1 / x\n    except KeyError: return 0"),
        with_code("g(x)", "def g(x):\n    try: return 1 / x\n    except ValueError: return 0"),
    ),
}


@pytest.mark.parametrize("what", DIFFERENT)
def test_differ(what: str) -> None:
    one, other = DIFFERENT[what]
    assert mark_of(one) != mark_of(other)
    assert mark_of(one) == mark_of(one)


def made_class(body: str) -> Any:
    made: dict[str, Any] = {
        "__name__": "a_module",
        "np": np,
        "lru_cache": lru_cache,
        "partialmethod": partialmethod,
        "CachedProperty": cached_property,
    }
    exec(f"class C:\n    {body}", made)  # noqa: S102 -- text of the test
    return made["C"]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("def __init__(self, x): self.x = x", "def __init__(self, x): self.x = -x"),
        ("least = 1", "least = 2"),
        ("p = property(lambda self: 1)", "p = property(lambda self: 2)"),
        ("s = staticmethod(lambda: 1)", "s = staticmethod(lambda: 2)"),
        ("c = CachedProperty(lambda self: 1)", "c = CachedProperty(lambda self: 2)"),
        ("m = lru_cache(lambda self: 1)", "m = lru_cache(lambda self: 2)"),
        ("m = partialmethod(max, 1)", "m = partialmethod(max, 2)"),
        ("some = 1, 2", "some = 1, 3"),
        ("some = frozenset({1})", "some = frozenset({2})"),
        ("least = np.float32(1)", "least = np.float32(2)"),
        ("class D: least = 1", "class D: least = 2"),
    ],
)
def test_a_class_counts_with_its_code(one: str, other: str) -> None:
    assert mark_of(made_class(one)) == mark_of(made_class(one)) != mark_of(made_class(other))
    assert mark_of(made_class(one)() if "init" not in one else made_class(one)(1)) != mark_of(
        made_class(other)() if "init" not in one else made_class(other)(1)
    )


def test_an_enum_counts_with_its_values() -> None:
    marks = [
        mark_of(with_code("E(x)", f"from enum import Enum\nclass E(Enum): A = {k}")) for k in "112"
    ]
    assert marks[0] == marks[1] != marks[2]


def test_a_function_by_name_counts_after_many() -> None:
    many = [Value(k) for k in range(_MOST)]
    marks = []
    for k in "112":
        made = with_code("x", f"def g(x, more={k}): return x\ndef h(v): return lambda x: g(x) in v")
        marks.append(mark_of(made.__globals__["h"](many)))
    assert marks[0] == marks[1] != marks[2]


def test_constants_are_shown_and_texts_are_not() -> None:
    mark = mark_of(with_code("x > LIM and x != ROOT", LIM=50, ROOT="a secret"))
    assert mark.constants["LIM"] == "50"
    assert "secret" not in str(mark)


def test_what_is_looked_at_is_limited() -> None:
    reader = Reader("")
    reader.mark([Value(k) for k in range(200_000)])
    assert len(reader._known) < 100_000
    deep: list[Any] = []
    for _ in range(10_000):
        deep = [deep, Value(1)]
    assert mark_of(holding(deep)) == mark_of(holding(deep))
    wide: list[Any] = [1]
    for _ in range(60):
        wide = [wide, wide]
    assert mark_of(holding(wide)) == mark_of(holding(wide))
