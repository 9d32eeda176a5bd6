"""Stages that are compiled into one function fail, stop and go on as each would by itself."""

import math
import signal
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from seqtools import (
    EvaluationError,
    LazySequence,
    add_cache,
    batch,
    gather,
    prefetch,
    seterr,
    smap,
    starmap,
)
from seqtools._core.iteration import Walk


def taken(sequence: LazySequence[Any], i: int) -> Any:
    """Return what an iterator gives for item `i`, whatever happens before."""
    items = iter(sequence)
    for _ in range(i):
        try:
            next(items)
        except EvaluationError:
            continue
    return next(items)


READS: dict[str, Callable[[LazySequence[Any], int], Any]] = {
    "index": lambda s, i: s[i],
    "iteration": taken,
    "backwards": lambda s, i: taken(s[::-1], len(s) - 1 - i),
    "add_cache": lambda s, i: add_cache(s)[i],
    "batch": lambda s, i: batch(s, 1)[i],
    "thread": lambda s, i: prefetch(s, 1)[i],
}

every_read = pytest.mark.parametrize("read", READS.values(), ids=READS)


def path(read: Callable[[], Any]) -> list[tuple[str, int]]:
    """Return the steps of the error of `read`, of the stages that are compiled together."""
    with pytest.raises(EvaluationError) as caught:
        read()
    steps = [(step.stage, step.index) for step in caught.value.path]
    return [step for step in steps if step[0].startswith(("smap", "starmap"))]


class Unlucky:
    """A function that fails at one of its calls."""

    def __init__(self, call: int, error: BaseException) -> None:
        self.left, self.error = call, error

    def __call__(self, x: Any) -> Any:
        self.left -= 1
        if self.left == -1:
            raise self.error
        return x


def repeated(f: Callable[[Any], Any], source: Any, depth: int) -> LazySequence[Any]:
    for _ in range(depth):
        source = smap(f, source)
    return source  # type: ignore[no-any-return]


@pytest.mark.parametrize("depth", [1, 2, 3, 8, 9, 20])
def test_stages_that_share_a_function(depth: int) -> None:
    for k in range(depth):
        unlucky = Unlucky(k, ValueError())
        sequence = repeated(unlucky, range(9), depth)
        assert path(lambda last=sequence: last[5]) == [("smap(Unlucky)", 5)] * (depth - k)  # type: ignore[misc]
        unlucky.left = 2 * depth + k  # two items are read before
        items = iter(sequence)
        assert [next(items), next(items)] == [0, 1]
        assert path(lambda left=items: next(left)) == [("smap(Unlucky)", 2)] * (depth - k)  # type: ignore[misc]
        assert list(items) == [3, 4, 5, 6, 7, 8]


@every_read
def test_functions_without_a_frame(read: Callable[[LazySequence[Any], int], Any]) -> None:
    texts = ["4", "-9", "x", "16"]
    numbers = smap(str, smap(math.sqrt, smap(int, texts)))
    assert path(lambda: read(numbers, 1)) == [("smap(str)", 1), ("smap(sqrt)", 1)]
    assert path(lambda: read(numbers, 2))[2:] == [("smap(int)", 2)]
    assert read(numbers, 3) in ("4.0", ["4.0"])


@every_read
def test_each_stage_where_it_was_made(read: Callable[[LazySequence[Any], int], Any]) -> None:
    a = smap(lambda x: 1 / x, [1, 0, 2])
    b = smap(abs, a)
    c = starmap(max, smap(lambda x: (x, 0), b))
    with pytest.raises(EvaluationError) as caught:
        read(c, 1)
    lines = [step.line for step in caught.value.path]
    assert lines[-4:] == [c._origin[1], c._origin[1], b._origin[1], a._origin[1]]


@every_read
def test_source_that_fails(read: Callable[[LazySequence[Any], int], Any]) -> None:
    class Broken:
        def __len__(self) -> int:
            return 3

        def __getitem__(self, i: int) -> int:
            raise OSError(i)

    broken: Any = Broken()
    assert path(lambda: read(smap(str, smap(abs, broken)), 2)) == [
        ("smap(str)", 2),
        ("smap(abs)", 2),
    ]


@every_read
@pytest.mark.parametrize("mode", ["wrap", "passthrough"])
def test_stop_iteration_of_each_stage(
    read: Callable[[LazySequence[Any], int], Any], mode: str
) -> None:
    before = seterr(mode)
    try:
        for k in range(4):
            functions = [abs, abs, abs, abs]
            functions[k] = lambda x: next(iter([x] if x != 2 else []))
            sequence: Any = range(4)
            for f in functions:
                sequence = smap(f, sequence)
            assert len(path(lambda last=sequence: read(last, 2))) == 4 - k  # type: ignore[misc]
            assert read(sequence, 3) in (3, [3])
    finally:
        seterr(before)


N = 6
places = st.lists(st.integers(0, N - 1), min_size=N, max_size=N)
links = st.tuples(st.sampled_from([smap, starmap]), st.none() | st.just("slice") | places)


@given(st.lists(links, min_size=1, max_size=10), st.data())
def test_path_through_any_chain(chain: list[tuple[Any, Any]], data: st.DataObject) -> None:
    failing = data.draw(st.integers(0, len(chain) - 1))
    sequence: Any = [(i,) for i in range(N)]
    stages: list[tuple[str, Callable[[int], int]]] = []  # and which item they need for theirs
    for k, (make, rearranged) in enumerate(chain):

        def f(x: Any, fails: bool = k == failing, item: bool = make is starmap) -> Any:
            if fails:
                raise ValueError
            return (x,) if item else x

        sequence = make(f, sequence)
        if k == failing:
            stages = []  # those before it have given their item
        stages.append((f"{make.__name__}(f)", lambda i: i))
        if rearranged == "slice":
            sequence = sequence[::-1]
            stages.append(("slice", lambda i: N - 1 - i))
        elif rearranged:
            sequence = gather(sequence, rearranged)
            stages.append(("gather", rearranged.__getitem__))
    items: Iterator[Any] = iter(sequence)
    for i in range(N):
        wanted, j = [], i
        for stage, needs in reversed(stages):
            wanted.append((stage, j))
            j = needs(j)
        for read in (lambda i=i: sequence[i], lambda: next(items)):
            with pytest.raises(EvaluationError) as caught:
                read()
            assert [(step.stage, step.index) for step in caught.value.path] == wanted


def test_interrupt_in_each_stage() -> None:
    for k in range(3):
        functions: list[Any] = [abs, abs, abs]
        functions[k] = Unlucky(1, KeyboardInterrupt())
        sequence: Any = range(4)
        for f in functions:
            sequence = smap(f, sequence)
        items = iter(sequence)
        assert next(items) == 0
        with pytest.raises(KeyboardInterrupt):
            next(items)
        assert list(items) == [1, 2, 3]


def test_interrupt_in_a_function_without_a_frame() -> None:
    signals = [0, signal.SIGINT, 0]
    items = iter(smap(repr, smap(signal.raise_signal, signals)))
    assert next(items) == "None"
    with pytest.raises(KeyboardInterrupt):
        next(items)
    signals[1] = 0  # it is the next one to be read, and raises none now
    assert list(items) == ["None", "None"]


def test_interrupt_of_the_reader_loses_nothing() -> None:
    items = iter(smap(abs, smap(abs, range(4))))
    seen = []

    def consume() -> None:
        for item in items:
            seen.append(item)
            if item == 1:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        consume()
    assert seen + list(items) == [0, 1, 2, 3]


def test_interrupt_between_two_items() -> None:
    walk: Any = Walk(smap(abs, smap(abs, range(4))), range(4))
    assert list(walk.step(walk)) == []  # it is opened
    first = walk.step(walk)
    assert next(first) == 0
    with pytest.raises(KeyboardInterrupt):
        first.throw(KeyboardInterrupt)  # as a signal that is noticed where a generator goes on
    assert list(walk.step(walk)) == [1, 2, 3]


def test_sequence_that_reads_itself() -> None:
    def below(i: int) -> int:
        return numbers[i - 1] + 1 if i else 1 // i

    numbers: LazySequence[int] = smap(below, smap(int, range(5)))
    with pytest.raises(EvaluationError) as caught:
        numbers[2]
    both = ("smap(below)", 2), ("smap(below)", 1), ("smap(below)", 0)
    assert tuple((step.stage, step.index) for step in caught.value.path) == both
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
