"""A cache among threads: one evaluation, no deadlock, no lock held while user code runs."""

import threading
from contextlib import suppress
from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, add_cache, smap
from seqtools._core import single_flight
from seqtools.combinators import cache
from seqtools.combinators.cache import _Recent
from tests.faults.intruders import Intruder, everywhere, interrupt
from tests.threads import LONG, come, elsewhere, together

N = 8
FILES = (str(single_flight.__file__), str(cache.__file__))


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


@pytest.mark.parametrize("error", [OSError, SystemExit, KeyboardInterrupt, GeneratorExit])
def test_what_a_leader_raises_is_told_to_nobody_else(
    waiting: threading.Semaphore, error: type[BaseException]
) -> None:
    evaluated = []

    def load(i: int) -> int:
        evaluated.append(i)
        if len(evaluated) == 1:
            come(waiting, N - 1)
            raise error
        return i

    cached = add_cache(smap(load, range(3)))
    outcomes = together(*[lambda: cached[1]] * N)
    failed = [outcome for outcome in outcomes if isinstance(outcome, BaseException)]
    assert len(failed) == 1
    assert isinstance(failed[0].__cause__ or failed[0], error)
    assert outcomes.count(1) == N - 1
    assert evaluated == [1, 1]
    assert not cached._state[1]._active


def test_loaded_by_another_between_the_look_and_the_flight() -> None:
    evaluated = []
    cached = add_cache(smap(evaluated.append, range(3)), 3)
    flights = cached._state[1]

    class Late:
        """Begins a flight when that of another thread has just ended."""

        def get(self, *arguments: Any) -> Any:
            cached._state = cached._state[0], flights, cached._state[2]
            elsewhere(lambda: cached[1])
            return flights.get(*arguments)

    cached._state = cached._state[0], Late(), cached._state[2]
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


@pytest.mark.parametrize("room", [0, 2])
def test_an_interrupt_at_any_moment_leaves_nothing_behind(room: int) -> None:
    def read(intruder: Intruder) -> None:
        cached = add_cache(smap(abs, range(3)), room)
        with suppress(KeyboardInterrupt), intruder:
            cached[2]
        assert elsewhere(lambda: cached[2]) == 2
        assert cached[2] == 2
        assert 2 not in cached._state[1]

    came = [each.came for each in everywhere(read, interrupt, where=FILES, each_time=True)]
    assert sum(came) > 10


class Reader(int):
    """A key that, compared with another, has the first item read: as another thread may do."""

    store: _Recent

    def __ne__(self, other: object) -> bool:
        self.store.get(0, None)
        return int(self) != other

    __hash__ = int.__hash__


def test_a_hit_while_another_thread_looks_for_what_to_drop() -> None:
    Reader.store = store = _Recent(3)
    for key in range(3):
        store.put(key, str(key))
    store.put(Reader(3), "3")
    kept = [key for key in range(4) if store.get(key, None) == str(key)]
    assert len(kept) == 3
    assert 3 in kept
