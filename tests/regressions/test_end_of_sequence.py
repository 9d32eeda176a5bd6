"""The signal by which a source without length ends stays inside, also when items are assigned."""

import pytest

import seqtools
from seqtools import EvaluationError, case, gather, repeat, smap, unbatch, uniter
from seqtools._core.errors import EndOfSequence
from tests.engines.engines import OPTIONS


def test_selector_that_ends() -> None:
    values = [1, 2, 3]
    chosen = case(uniter(iter([0]), cache_size=1), values)
    chosen[0] = 9
    for key in (1, -1, slice(1, None)):
        with pytest.raises(EvaluationError, match="case should have 3 items, but"):
            chosen[key] = [8, 8] if isinstance(key, slice) else 8
    assert values == [9, 2, 3]


def test_without_length() -> None:
    endless = case(uniter(iter([0]), cache_size=1), repeat(1))
    with pytest.raises(IndexError, match="index 1 is past the end of case"):
        endless[1] = 2
    with pytest.raises(IndexError):
        unbatch(uniter(iter([[1]])), 1)[1] = 2
    chosen = gather([1, 2], uniter(iter([1, 0]), cache_size=2))
    chosen[1] = 5
    with pytest.raises(IndexError):
        chosen[2] = 6
    assert list(chosen) == [2, 5]


def test_inside_a_function() -> None:
    letters = uniter(iter("ab"), cache_size=2)
    looked_up = smap(lambda i: letters[i], range(4))
    with pytest.raises(EvaluationError) as caught:
        looked_up[2]
    assert isinstance(caught.value.__cause__, IndexError)
    items = iter(looked_up)
    assert [next(items), next(items)] == ["a", "b"]
    for _ in range(2):
        with pytest.raises(EvaluationError):
            next(items)


@pytest.mark.parametrize("name", OPTIONS)
def test_an_item_that_says_there_is_no_more_ends_nothing_else(name: str) -> None:
    def get(x: int) -> int:
        if x == 5:
            raise EndOfSequence
        return x

    with seqtools.prefetch(seqtools.smap(get, range(40)), **OPTIONS[name]) as p:
        items, found, told = iter(p), [], 0
        while True:
            try:
                found.append(next(items))
            except StopIteration:
                break
            except seqtools.EvaluationError:
                told += 1
        assert found == [x for x in range(40) if x != 5]
        assert told == 1
