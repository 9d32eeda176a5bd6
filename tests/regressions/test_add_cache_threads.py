"""A cache among threads: one evaluation, no deadlock, no lock held while user code runs."""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, add_cache, smap
from seqtools._core import single_flight
from tests.threads import LONG, elsewhere, together

N = 8


@pytest.fixture
def waiting(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Semaphore]:
    """Count those who have come to wait for what another thread evaluates."""
    arrived = threading.Semaphore(0)
    wait = single_flight._wait

    def counted(other: single_flight._Flight) -> bool:
        arrived.release()
        return wait(other)

    monkeypatch.setattr(single_flight, "_wait", counted)
    yield arrived
    assert single_flight._waits.flights == {}


def come(arrived: threading.Semaphore, count: int) -> None:
    for _ in range(count):
        assert arrived.acquire(timeout=LONG)


@pytest.mark.parametrize("size", [0, 1, 9])
def test_one_evaluation_for_all(waiting: threading.Semaphore, size: int) -> None:
    evaluated = []

    def load(i: int) -> object:
        evaluated.append(i)
        come(waiting, N - 1)
        return object()

    cached = add_cache(smap(load, range(3)), size)
    values = together(*[lambda: cached[1]] * N)
    assert evaluated == [1]
    assert len(set(map(id, values))) == 1
    assert type(values[0]) is object


def test_who_waits_for_one_that_fails_tries_again(waiting: threading.Semaphore) -> None:
    evaluated = []

    def load(i: int) -> int:
        evaluated.append(i)
        if len(evaluated) == 1:
            come(waiting, N - 1)
            raise OSError("only once")
        return i

    cached = add_cache(smap(load, range(3)))
    outcomes = together(*[lambda: cached[1]] * N)
    errors = [outcome for outcome in outcomes if isinstance(outcome, EvaluationError)]
    assert len(errors) == 1
    assert isinstance(errors[0].__cause__, OSError)
    assert sorted(o for o in outcomes if not isinstance(o, EvaluationError)) == [1] * (N - 1)
    assert evaluated == [1, 1]


def test_loaded_by_another_between_the_look_and_the_flight() -> None:
    evaluated = []
    cached = add_cache(smap(evaluated.append, range(3)), 3)
    flights = cached._state[1]

    class Late:
        """Begins a flight when that of another thread has just ended."""

        def get(self, *arguments: Any) -> Any:
            cached._state = cached._state[0], flights
            elsewhere(lambda: cached[1])
            return flights.get(*arguments)

    cached._state = cached._state[0], Late()
    assert cached[1] is None
    assert evaluated == [1]


def test_item_that_needs_itself() -> None:
    cached: LazySequence[int] = add_cache(smap(lambda i: cached[i], range(3)))
    for _ in range(2):  # nothing is left behind
        with pytest.raises(EvaluationError, match="item 1 is needed to make item 1") as caught:
            cached[1]
        assert isinstance(caught.value.__cause__, RecursionError)
        assert [step.index for step in caught.value.path] == [1, 1, 1]


def test_items_that_need_each_other() -> None:
    cached: LazySequence[int] = add_cache(smap(lambda i: cached[1 - i], range(2)))
    with pytest.raises(EvaluationError) as caught:
        cached[0]
    assert isinstance(caught.value.__cause__, RecursionError)


def test_item_that_needs_others() -> None:
    evaluated = []

    def fibonacci(i: int) -> int:
        evaluated.append(i)
        return i if i < 2 else numbers[i - 1] + numbers[i - 2]

    numbers: LazySequence[int] = add_cache(smap(fibonacci, range(30)), 30)
    assert numbers[29] == 514229
    assert sorted(evaluated) == list(range(30))


def test_threads_that_need_what_the_other_evaluates() -> None:
    both_inside = threading.Barrier(2)
    local = threading.local()

    def load(i: int) -> tuple[int, Any]:
        if getattr(local, "inside", False):
            return i, None
        local.inside = True
        both_inside.wait(LONG)
        return i, cached[1 - i]

    cached: LazySequence[tuple[int, Any]] = add_cache(smap(load, range(2)), 2)
    first, second = together(lambda: cached[0], lambda: cached[1])
    # one of them had to evaluate what the other one was at
    assert (first, second) in {
        ((0, (1, None)), (1, (0, (1, None)))),
        ((0, (1, (0, None))), (1, (0, None))),
    }


@pytest.mark.parametrize("mapping", [None, {}], ids=["size", "mapping"])
def test_no_lock_is_held_while_user_code_runs(mapping: dict[int, Any] | None) -> None:
    def load(i: int) -> int:
        if i == 0:
            assert elsewhere(lambda: cached[1]) == 1
            assert elsewhere(lambda: list(cached[1:])) == [1, 2]
        return i

    cached = add_cache(smap(load, range(3)), 3, mapping)
    assert list(cached) == [0, 1, 2]


class Watched(list[Any]):
    """A list that calls a function when an item has been read, before it is handed over."""

    during: Any = None

    def __getitem__(self, i: Any) -> Any:
        value = super().__getitem__(i)
        during, self.during = self.during, None
        if during is not None:
            during()
        return value


@pytest.mark.parametrize("mapping", [None, {}], ids=["size", "mapping"])
def test_assigned_while_it_was_loaded(mapping: dict[int, Any] | None) -> None:
    source = Watched(["old", "old"])
    cached = add_cache(source, 2, mapping)
    source.during = lambda: elsewhere(lambda: cached.__setitem__(0, "new"))
    assert cached[0] == "old"  # it was, when it was read
    assert cached[0] == "new"
    assert cached[0] == "new"


def test_asked_for_after_the_assignment_while_the_old_is_loaded() -> None:
    source = Watched(["old"])
    cached = add_cache(source)
    seen = []

    def during() -> None:
        cached[0] = "new"
        seen.append(elsewhere(lambda: cached[0]))

    source.during = during
    assert cached[0] == "old"
    assert seen == ["new"]
    assert cached[0] == "new"


def test_interrupted_evaluation_leaves_nothing() -> None:
    interrupts = [KeyboardInterrupt()]

    def load(i: int) -> int:
        if interrupts:
            raise interrupts.pop()
        return i

    cached = add_cache(smap(load, range(3)))
    with pytest.raises(KeyboardInterrupt):
        cached[2]
    assert elsewhere(lambda: cached[2]) == 2
