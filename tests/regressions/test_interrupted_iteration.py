"""An interrupt is nobody's error: the item that was being read is the next one to be read."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from seqtools import LazySequence, add_cache, batch, smap


@pytest.mark.parametrize(
    "through",
    [lambda s: s, lambda s: s[:], lambda s: batch(s, 1), add_cache],
    ids=["nothing", "slice", "batch", "add_cache"],
)
def test_item_is_read_again(through: Callable[[Any], LazySequence[Any]]) -> None:
    interrupts = {1: 2, 3: 1}

    def read(i: int) -> int:
        if interrupts.get(i):
            interrupts[i] -= 1
            raise KeyboardInterrupt
        return i

    items: Iterator[Any] = iter(through(smap(read, range(5))))
    seen, stops = [], 0
    while len(seen) < 5:
        try:
            seen.append(next(items))
        except KeyboardInterrupt:
            stops += 1
    assert [item[0] if isinstance(item, list) else item for item in seen] == [0, 1, 2, 3, 4]
    assert list(items) == []
    assert stops == 3


def test_loop_that_is_left_by_an_interrupt() -> None:
    items = iter(smap(abs, range(4)))

    def consume() -> None:
        for item in items:
            if item == 1:
                raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert list(items) == [2, 3]


@pytest.mark.parametrize("kind", [GeneratorExit, SystemExit])
def test_what_a_function_raises_that_is_no_exception_is_read_again(
    kind: type[BaseException],
) -> None:
    def fatal(i: int) -> int:
        if i == 1:
            raise kind(i)
        return i

    items = iter(smap(fatal, range(3)))
    assert next(items) == 0
    for _ in range(3):
        with pytest.raises(kind):
            next(items)
