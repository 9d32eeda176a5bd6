"""A selector that selects nothing is an error at its item, and not an end."""

import pytest

from seqtools import EvaluationError, case


@pytest.mark.parametrize("wrong", [2, -1, 99])
def test_out_of_range(wrong: int) -> None:
    chosen = case([0, wrong, 1], "abc", "xyz")
    with pytest.raises(EvaluationError, match=rf"selector\[1\] must be from 0 to 1, got {wrong}"):
        chosen[1]
    items = iter(chosen)
    assert next(items) == "a"
    with pytest.raises(EvaluationError) as caught:
        next(items)
    assert isinstance(caught.value.__cause__, IndexError)
    assert list(items) == ["z"]
    with pytest.raises(EvaluationError):
        list(chosen)
