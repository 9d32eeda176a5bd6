"""Counting does not end at 2³¹."""

import numpy as np
import pytest

from seqtools import batch, concatenate, cycle, gather, interleave, split

MANY = 1 << 40


def test_interleave() -> None:
    pair = interleave(range(MANY), range(0, -MANY, -1))
    assert len(pair) == 2 * MANY
    assert pair[MANY + 1] == -(MANY // 2)
    assert pair[-1] == -MANY + 1
    assert pair._reads(np.array([MANY]))[0][1].tolist() == [MANY // 2]  # type: ignore[attr-defined]


def test_concatenate() -> None:
    ends = concatenate([range(MANY), range(MANY), "z"])
    assert len(ends) == 2 * MANY + 1
    assert (ends[MANY - 1], ends[MANY], ends[-1]) == (MANY - 1, 0, "z")
    assert ends._get_many(range(2 * MANY - 1, 2 * MANY + 1)) == [MANY - 1, "z"]
    assert ends._get_many(np.array([2 * MANY, MANY])) == ["z", 0]


def test_others() -> None:
    assert cycle("abc", MANY)[-1] == "abc"[(MANY - 1) % 3]
    assert cycle("abc")[MANY] == "abc"[MANY % 3]
    assert batch(range(MANY), 1 << 20)[-1][-1] == MANY - 1
    assert gather(range(MANY), np.array([MANY - 1]))[0] == MANY - 1
    assert split(range(MANY), 1)[1][-1] == MANY - 1
    assert list(interleave(range(MANY))[MANY - 1 :]) == [MANY - 1]


def test_longer_than_a_length_can_be() -> None:
    ends = concatenate([range(1 << 62), range(1 << 62)])
    assert ends[1 << 62] == 0
    with pytest.raises(OverflowError):
        len(ends)
