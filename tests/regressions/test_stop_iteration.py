"""StopIteration of a user's function is an error, and ends nothing."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from seqtools import (
    EvaluationError,
    LazySequence,
    add_cache,
    arange,
    batch,
    collate,
    gather,
    seterr,
    smap,
    starmap,
    unbatch,
)


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


def test_in_a_batch_of_batches() -> None:
    nested = unbatch(smap(pairs, arange(3)), 2)
    with pytest.raises(EvaluationError):
        list(nested)
    with pytest.raises(EvaluationError):
        batch(nested, 6)[0]
