"""Negative indices of `arange` count from the end, and there is nothing past it."""

import pytest

from seqtools import arange


def test_edges() -> None:
    numbers = arange(5)
    assert numbers[-1] == 4
    for outside in (5, 7, -6):
        with pytest.raises(IndexError, match=f"index {outside} is out of range"):
            numbers[outside]


def test_step_of_nothing() -> None:
    with pytest.raises(ValueError, match="step must not be 0"):
        arange(0, 5, 0)
