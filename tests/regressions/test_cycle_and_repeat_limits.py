"""A limit of 0 is a limit, and 1 is one; nothing cannot be repeated."""

import pytest

from seqtools import cycle, repeat


def test_no_turn() -> None:
    assert list(cycle([1, 2], 0)) == []
    assert list(cycle([], 0)) == []
    assert list(repeat("v", 0)) == []


def test_once() -> None:
    assert list(repeat("v", 1)) == ["v"]
    assert list(cycle([1, 2], 1)) == [1]


@pytest.mark.parametrize("limit", [3, None])
def test_nothing_to_repeat(limit: int | None) -> None:
    with pytest.raises(ValueError, match="empty sequence"):
        cycle([], limit)


def test_negative_limits() -> None:
    with pytest.raises(ValueError, match="limit must be at least 0, got -1"):
        cycle([1], -1)
    with pytest.raises(ValueError, match="times must be at least 0, got -1"):
        repeat(1, -1)


def test_assigning_one_assigns_all() -> None:
    values = repeat("v", 3)
    values[1] = "w"
    assert list(values) == ["w", "w", "w"]
    turns = cycle([1, 2], 5)
    turns[4] = 3
    assert list(turns) == [3, 2, 3, 2, 3]
