"""A fingerprint is another one when a value was changed, and a copy shares nothing with it."""

from collections import deque
from dataclasses import dataclass
from typing import Any

import numpy as np

from seqtools.instrument.fingerprints import copied, fingerprint


@dataclass
class Sample:
    pixels: Any
    label: int = 0


def mutable() -> list[tuple[Any, Any]]:
    """Return values, each with what changes it."""
    return [
        ([1, 2], lambda x: x.append(3)),
        ([1, 2], lambda x: x.__setitem__(0, 1.0)),
        ([1, [2]], lambda x: x[1].append(3)),
        ({"a": 1}, lambda x: x.update(b=2)),
        ({1, 2}, lambda x: x.add(3)),
        (([1],), lambda x: x[0].clear()),
        (bytearray(b"ab"), lambda x: x.reverse()),
        (deque([1, 2]), lambda x: x.rotate()),
        (np.zeros(3), lambda x: x.__setitem__(1, 1)),
        (np.zeros((3, 3)).T[::2], lambda x: x.__setitem__((1, 1), 1)),
        (np.array([[1], None], object), lambda x: x[0].append(2)),
        (np.zeros(2, "M8[s]"), lambda x: x.__setitem__(0, 5)),
        (np.zeros(2, "i4,f8"), lambda x: x["f1"].__setitem__(0, 5)),
        (Sample(np.zeros(3)), lambda x: x.pixels.fill(1)),
        (Sample(0), lambda x: setattr(x, "label", 1)),
    ]


def test_every_change_is_seen() -> None:
    for value, change in mutable():
        before = fingerprint(value)
        assert fingerprint(value) == before
        change(value)
        assert fingerprint(value) != before, value


def test_copies_share_nothing_that_can_be_changed() -> None:
    for value, change in mutable():
        if isinstance(value, Sample) or getattr(value, "dtype", None) == np.dtype(object):
            continue  # what is in there is handed on
        copy = copied(value)
        assert type(copy) is type(value)
        before = fingerprint(copy)
        change(value)
        assert fingerprint(copy) == before


def test_what_is_no_change() -> None:
    class Loading(dict[str, int]):
        def values(self) -> Any:
            raise AssertionError

    for value in (float("nan"), np.float64("nan"), [complex("nan")], Loading(a=1), {"a": 1.5}):
        assert fingerprint(value) == fingerprint(value)
    assert fingerprint([float("nan")]) == fingerprint([float("nan")])
    assert fingerprint(np.float64(1)) != fingerprint(np.float64(2))


def test_what_goes_in_circles() -> None:
    value: list[Any] = [1]
    value.append(value)
    before = fingerprint(value)
    value[0] = 2
    assert fingerprint(value) != before
    assert isinstance(copied(value), list)
