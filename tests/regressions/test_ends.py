"""What user code raises ends no loop: no IndexError, Stop(Async)Iteration, nor an end of ours."""

import asyncio
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seqtools
from seqtools import (
    EvaluationError,
    LazySequence,
    add_cache,
    arange,
    batch,
    case,
    collate,
    gather,
    repeat,
    seterr,
    smap,
    starmap,
    unbatch,
    uniter,
)
from seqtools._core.errors import EndOfSequence
from tests.engines.engines import OPTIONS

# An IndexError of a user's function does not end a loop, nor a search, as Sequence's would.


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


# StopIteration of a user's function is an error, and ends nothing.


def stop_at_one(i: int) -> int:
    return next(iter([] if i == 1 else [i]))


def pairs(i: int) -> list[int]:
    return [stop_at_one(i), i]


STAGES: dict[str, Callable[[], LazySequence[Any]]] = {
    "smap": lambda: smap(stop_at_one, arange(3)),
    "starmap": lambda: starmap(stop_at_one, [(0,), (1,), (2,)]),
    "slice": lambda: smap(stop_at_one, arange(9))[:3],
    "batch": lambda: batch(smap(stop_at_one, arange(3)), 1),
    "collate_fn": lambda: batch([0, 1, 2], 1, collate_fn=lambda b: stop_at_one(b[0])),
    "collate": lambda: collate([smap(stop_at_one, arange(3)), "abc"]),
    "add_cache": lambda: add_cache(smap(stop_at_one, arange(3))),
    "gather": lambda: gather(smap(stop_at_one, arange(3)), [0, 1, 2]),
}


@pytest.mark.parametrize("name", STAGES)
@pytest.mark.parametrize("mode", ["wrap", "passthrough"])
def test_iteration_goes_on(name: str, mode: str) -> None:
    before = seterr(mode)
    try:
        sequence = STAGES[name]()
        items: Iterator[Any] = iter(sequence)
        next(items)
        with pytest.raises(EvaluationError) as caught:
            next(items)
        assert isinstance(caught.value.__cause__, StopIteration)
        next(items)
        assert list(items) == []
        with pytest.raises(EvaluationError):
            list(sequence)
        with pytest.raises(EvaluationError):
            sequence[1]
    finally:
        seterr(before)


# StopAsyncIteration would do the same to `async for`.


def stop_async_at_one(i: int) -> int:
    if i == 1:
        raise StopAsyncIteration("mine")
    return i


@pytest.mark.parametrize("name", [None, *OPTIONS])
@pytest.mark.parametrize("mode", ["wrap", "passthrough"])
def test_async_iteration_goes_on(name: str | None, mode: str) -> None:
    async def read(p: LazySequence[int]) -> list[Any]:
        items, found = aiter(p), []
        while True:
            try:
                found.append(await anext(items))
            except StopAsyncIteration:
                return found
            except EvaluationError as error:
                found.append(type(error.__cause__))

    before = seterr(mode)
    try:
        mapped = smap(stop_async_at_one, arange(4))
        if name is None:
            found = asyncio.run(read(mapped))
        else:
            with seqtools.prefetch(mapped, **OPTIONS[name]) as p:
                found = asyncio.run(read(p))
    finally:
        seterr(before)
    assert found == [0, StopAsyncIteration, 2, 3]


def test_in_a_batch_of_batches() -> None:
    nested = unbatch(smap(pairs, arange(3)), 2)
    with pytest.raises(EvaluationError):
        list(nested)
    with pytest.raises(EvaluationError):
        batch(nested, 6)[0]


# The signal by which a source without length ends stays inside, also when items are assigned.


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


# A selector that selects nothing is an error at its item, and not an end.


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
