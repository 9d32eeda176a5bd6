"""Any value is told in a line, by what matters of it."""

import functools
from collections import Counter, OrderedDict, deque, namedtuple
from dataclasses import dataclass
from pathlib import PurePosixPath
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seqtools._core.display.short import called, cut, short

Point = namedtuple("Point", "x y")  # noqa: PYI024 -- one as users have it


class Tensor:
    """Looks like one on another device: to look into it would wait for that."""

    shape = (2, 3)
    dtype = "torch.float16"
    device = "cuda:0"

    def __repr__(self) -> str:
        raise AssertionError("it was looked into")


class Table:
    shape = (10, 3)


class Closed:
    @property
    def shape(self) -> tuple[int, ...]:
        raise ValueError("closed")


@dataclass
class Sample:
    image: Any
    label: int
    weight: float = 1.0
    name: str = ""
    more: Any = None


@dataclass
class Own:
    x: int

    def __repr__(self) -> str:
        return "own"


class Nameless:
    @property
    def __name__(self) -> str:
        raise ValueError("no")

    def __call__(self) -> None: ...


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "None"),
        (..., "Ellipsis"),
        (True, "True"),
        (slice(1, 2), "slice(1, 2, None)"),
        (range(10**9), "range(0, 1000000000)"),
        ("a'b", '"a\'b"'),
        (b"abc", "b'abc'"),
        ([], "[]"),
        ((1,), "(1,)"),
        (set(), "set()"),
        (frozenset(), "frozenset()"),
        ({1}, "{1}"),
        (frozenset({1}), "frozenset({1})"),
        (deque([1, 2]), "deque([1, 2])"),
        ({}, "{}"),
        ({"a": 1}, "{'a': 1}"),
        (OrderedDict(a=[1, 2]), "{'a': [1, 2]}"),
        (Counter("aab"), "{'a': 2, 'b': 1}"),
        (Point(1, [2]), "Point(x=1, y=[2])"),
        ([[Point(1, 2)]], "[[Point(…)]]"),
        (
            Sample(np.zeros((2, 2)), 3),
            "Sample(image=ndarray (2, 2) float64: [[0.0, 0.0], [0.0, 0.0…",
        ),
        (Own(1), "own"),
        (np.float32(0.5), "0.5"),
        (np.array(3), "3"),
        (np.arange(3), "ndarray (3,) int64: [0, 1, 2]"),
        (np.array(["a", "b"]), "ndarray (2,) <U1"),
        (np.zeros((0, 3)), "ndarray (0, 3) float64"),
        (Tensor(), "Tensor (2, 3) float16 cuda:0"),
        (Table(), "Table (10, 3)"),
        (Closed(), "<Closed: its repr raises ValueError>"),
        (SimpleNamespace(a=1), "namespace(a=1)"),
        (PurePosixPath("a/b"), "PurePosixPath('a/b')"),
        (len, "len"),
        (dict, "dict"),
        (functools.partial(functools.partial(round, 1), 2), "partial(round)"),
        (Nameless(), "Nameless"),
        (object(), "<object>"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_value(value: Any, told: str) -> None:
    assert short(value) == told


def test_fewer_items_are_shown_where_they_are_long() -> None:
    words = [letter * 20 for letter in "abcdef"]
    assert short(words, 200).endswith("dddddddddddddddddddd', … 2 more]")
    assert short(words, 80) == f"['{'a' * 20}', '{'b' * 20}', … 4 more]"
    assert short(words, 40) == f"['{'a' * 20}', … 5 more]"
    assert short(words, 20) == "['aaaaaaaaaaaaaaaaa…"


def test_what_cannot_be_printed_is_left_out() -> None:
    assert cut("a\tb\n  c\x1b[1m \udc80", 99) == "a b c [1m"
    assert cut("x" * 10, 10) == "x" * 10
    assert cut("x" * 11, 10) == "x" * 9 + "…"
    assert called(lambda: None) == "<lambda>"
