"""An IndexError of a user's function does not end a loop, nor a search, as Sequence's would."""

from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, batch, seterr, smap


def second(text: str) -> str:
    return text[1]


@pytest.fixture
def seconds() -> LazySequence[str]:
    return smap(second, ["ab", "c", "de"])


def test_iteration(seconds: LazySequence[str]) -> None:
    items = iter(seconds)
    assert next(items) == "b"
    with pytest.raises(EvaluationError):
        next(items)
    assert list(items) == ["e"]


@pytest.mark.parametrize("mode", ["wrap", "passthrough"])
def test_nothing_is_cut_off(seconds: LazySequence[str], mode: str) -> None:
    error: Any = EvaluationError if mode == "wrap" else IndexError
    before = seterr(mode)
    try:
        for read in (list, tuple, set, max, lambda s: "e" in s, lambda s: s.index("e")):
            with pytest.raises(error):
                read(seconds)
        with pytest.raises(error):
            seconds.count("e")
        with pytest.raises(error):
            list(reversed(seconds))
        with pytest.raises(error):
            list(batch(seconds, 2))
    finally:
        seterr(before)


def test_found_before_the_error(seconds: LazySequence[str]) -> None:
    assert "b" in seconds
    assert seconds.index("b") == 0
    assert seconds.index("e", -1) == 2
