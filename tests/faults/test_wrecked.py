"""User code that writes to the pipes of its worker, closes them, or puts others in their place."""

import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools._core.errors import WorkerDied, WorkerStartError
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import SlotPlace
from tests.engines.driven import Driven
from tests.faults import wrecking

METHODS = ["template", "spawn", "fork"]

_WRECKS: dict[str, Callable[[int], object]] = {
    "a word": lambda fd: os.write(fd, b"hello"),
    "zeros": lambda fd: os.write(fd, bytes(10_000)),
    "noise": lambda fd: os.write(fd, os.urandom(3000)),
    "the begin of a message": lambda fd: os.write(
        fd, result_messages.RESULT.pack(1, 0, 0, 3, 0.0, 0, 4)
    ),
    "closed": os.close,
    "nothing in its place": wrecking.put_nothing,
}


def wrecks_for(start_method: str) -> dict[str, Callable[[int], object]]:
    names = list(_WRECKS)
    if start_method == "spawn":  # its workers take long to start
        names = ["noise", "closed"]
    return {name: _WRECKS[name] for name in names}


def prefetch(get: Any, n: int, start_method: str, nworkers: int = 2, **more: Any) -> Any:
    source = seqtools.smap(get, range(n))
    return seqtools.prefetch(source, nworkers, "process", start_method=start_method, **more)


def outcomes(p: Any) -> list[Any]:
    with p:
        items, found = iter(p), []
        for _ in range(len(p)):
            try:
                found.append(next(items))
            except seqtools.EvaluationError as error:
                found.append(error.__cause__)
    return found


@pytest.mark.parametrize("start_method", METHODS)
def test_an_item_that_wrecks_its_pipe_fails_alone(start_method: str) -> None:
    ours, wrecks = wrecking.inodes(), wrecks_for(start_method)
    acts = list(wrecks.values())

    def get(x: int) -> Any:
        if x % 3 == 2:
            for fd in wrecking.channels(ours):
                acts[x // 3](fd)
        return np.full(20_000, x) if x % 3 == 1 else x

    found = outcomes(prefetch(get, 3 * len(wrecks), start_method))
    for x, (name, act) in enumerate(wrecks.items()):
        outcome = found[3 * x + 2]
        assert isinstance(outcome, WorkerDied), name
        assert f"item {3 * x + 2}: " in str(outcome)
        damaged = "its data was damaged: " in str(outcome)
        assert damaged == (act not in {os.close, wrecking.put_nothing}), name
    assert found[::3] == list(range(0, len(found), 3))
    assert all((value == 3 * x + 1).all() for x, value in enumerate(found[1::3]))


@pytest.mark.parametrize("start_method", METHODS)
@pytest.mark.parametrize("wreck", [os.close, wrecking.put_nothing])
def test_an_item_that_wrecks_all_descriptors_fails_alone(
    start_method: str, wreck: Callable[[int], object]
) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> int:
        if x == 3:
            for fd in wrecking.everything(ours):
                wreck(fd)
        return x

    found = outcomes(prefetch(get, 6, start_method))
    assert isinstance(found.pop(3), WorkerDied)
    assert found == [0, 1, 2, 4, 5]


@pytest.mark.parametrize("start_method", METHODS)
@pytest.mark.parametrize("wreck", [os.close, wrecking.put_nothing])
def test_an_item_that_wrecks_the_pipe_of_tasks_costs_no_other(
    start_method: str, wreck: Callable[[int], object]
) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> int:
        if x == 3:
            for fd in wrecking.channels(ours, os.O_WRONLY):
                wreck(fd)
        return x

    found = outcomes(prefetch(get, 20, start_method, nworkers=1, max_cached=1))
    outcome = found.pop(3)  # its worker may have told it before it saw that it has no more to do
    assert outcome == 3 or isinstance(outcome, WorkerDied)
    assert found == [0, 1, 2, *range(4, 20)]


@pytest.mark.parametrize("start_method", METHODS)
def test_an_item_that_wrecks_its_pipe_once_is_evaluated_again(
    start_method: str, tmp_path: Path
) -> None:
    ours, wrecks = wrecking.inodes(), list(wrecks_for(start_method).values())

    def get(x: int) -> int:
        mark = tmp_path / str(x)
        if x < len(wrecks) and not mark.exists():
            mark.touch()
            for fd in wrecking.channels(ours):
                wrecks[x](fd)
        return x

    assert outcomes(prefetch(get, 9, start_method, nworkers=1)) == list(range(9))


@pytest.mark.parametrize("start_method", METHODS)
def test_an_item_that_returns_in_a_forked_child_as_well_leaves_no_process(
    start_method: str,
) -> None:
    def get(x: int) -> int:
        if x == 3:
            os.fork()
        return x

    found = outcomes(prefetch(get, 40, start_method, max_cached=2))
    outcome = found.pop(3)  # it comes twice
    assert outcome == 3 or isinstance(outcome, WorkerDied)
    assert found == [0, 1, 2, *range(4, 40)]


@pytest.mark.parametrize("start_method", METHODS)
def test_a_thread_that_talks_for_ever_makes_nothing_wrong(start_method: str) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> np.ndarray[Any, Any]:
        if x == 4:
            for fd in wrecking.channels(ours):
                wrecking.talk_for_ever(fd)
        return np.full(2000, x)  # longer than what a pipe takes in one piece

    found = outcomes(prefetch(get, 40, start_method))
    died = [x for x, outcome in enumerate(found) if isinstance(outcome, WorkerDied)]
    # its words may also be between those about an item that its worker is given next
    assert len(died) <= 1
    assert all((value == x).all() for x, value in enumerate(found) if x not in died)


_LIES = {
    "the rest of another task": wrecking.answer(result_messages.REST, 0, behind=1),
    "the rest of a task that was not begun": wrecking.answer(result_messages.REST, 0),
    "ready again": wrecking.answer(result_messages.READY, 0),
    "unable, too late": wrecking.answer(result_messages.UNABLE, 0, pickle.dumps(("no", ""))),
    "of another block": wrecking.answer(result_messages.VALUES, 1, pickle.dumps([0]), behind=1),
    "more items than asked for": wrecking.answer(result_messages.VALUES, 9, pickle.dumps([0] * 9)),
    "where there is no memory": wrecking.answer(
        result_messages.VALUES, 1, SlotPlace(99, 1 << 50, 5)
    ),
    "more than there is memory": wrecking.answer(
        result_messages.VALUES, 1, SlotPlace(1 << 60, 1 << 20, 0)
    ),
    "in a slot that is free": wrecking.answer(result_messages.VALUES, 1, SlotPlace(99, 1 << 20, 5)),
    "in a slot that there is not": wrecking.answer(
        result_messages.VALUES, 1, SlotPlace(99, 1 << 20, 1 << 21)
    ),
}


@pytest.mark.parametrize("lie", _LIES.values(), ids=_LIES)
def test_a_worker_that_answers_what_cannot_be_is_replaced(lie: Callable[[int], object]) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> int:
        if x == 0:
            for fd in wrecking.channels(ours):
                lie(fd)
        return x

    first, *others = outcomes(prefetch(get, 5, "fork", nworkers=1))
    assert isinstance(first, WorkerDied)
    assert "its data was damaged" in str(first)
    assert others == [1, 2, 3, 4]


_NO_VALUES = {
    "too many": wrecking.answer(result_messages.VALUES, 1, pickle.dumps([1, 2])),
    "no list": wrecking.answer(result_messages.VALUES, 1, pickle.dumps(5)),
    "no pickle": wrecking.answer(result_messages.VALUES, 1, b"noise"),
    "nothing": wrecking.answer(result_messages.VALUES, 1, b""),
    "no error": wrecking.answer(result_messages.FAILURE, 1, pickle.dumps(5)),
    "no pickle of an error": wrecking.answer(result_messages.FAILURE, 1, b"noise"),
}


@pytest.mark.parametrize("lie", _NO_VALUES.values(), ids=_NO_VALUES)
def test_a_value_that_is_none_fails_alone(lie: Callable[[int], object]) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> int:
        if x == 0:
            for fd in wrecking.channels(ours):
                lie(fd)
        return x

    first, *others = outcomes(prefetch(get, 5, "fork", nworkers=1))
    assert isinstance(first, TypeError)
    assert "item 0 cannot be loaded from a worker process" in str(first)
    assert others == [1, 2, 3, 4]


@pytest.mark.parametrize(
    "lie",
    [
        wrecking.answer(result_messages.VALUES, 1, pickle.dumps([0]), times=2),
        wrecking.answer(result_messages.VALUES, 1, pickle.dumps([0, 1])),
    ],
    ids=["twice", "too many"],
)
def test_an_item_comes_back_once_whatever_its_worker_sends(lie: Callable[[int], object]) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> int:
        if x == 0:
            for fd in wrecking.channels(ours):
                lie(fd)
        return x

    engine = Driven(lambda d: ProcessEngine(None, get, 1, start_method="fork", deliver=d))
    for i in range(3):
        engine.submit([i])
        outcome = engine.collect(1)[i]
        assert outcome == i or isinstance(outcome.error, TypeError)
    engine.close()


def test_a_place_where_there_is_no_memory_for_values_is_found_out() -> None:
    def get(x: int) -> int:
        if x == 0:
            for fd in wrecking.channels(set()):
                wrecking.answer(result_messages.VALUES, 1, SlotPlace(99, 1 << 20, 0))(fd)
        return x

    first, *others = outcomes(prefetch(get, 5, "spawn", nworkers=1))
    assert "its data was damaged" in str(first)
    assert others == [1, 2, 3, 4]


def test_what_is_printed_past_python_is_no_damage(capfd: pytest.CaptureFixture[str]) -> None:
    def get(x: int) -> int:
        os.write(1, b"hello\n")
        return x

    assert outcomes(prefetch(get, 5, "spawn")) == list(range(5))
    assert capfd.readouterr().err == "hello\n" * 5


# Where a worker starts


@pytest.mark.parametrize("start_method", METHODS)
@pytest.mark.parametrize("wreck", ["a word", "closed"])
def test_a_start_hook_that_wrecks_once_costs_nothing(
    start_method: str, wreck: str, tmp_path: Path
) -> None:
    ours, act = wrecking.inodes(), _WRECKS[wreck]

    def hook() -> None:
        if not (tmp_path / "done").exists():
            (tmp_path / "done").touch()
            for fd in wrecking.channels(ours):
                act(fd)

    p = prefetch(abs, 5, start_method, nworkers=1, start_hook=hook)
    assert outcomes(p) == list(range(5))


@pytest.mark.parametrize("start_method", METHODS)
def test_a_start_hook_that_wrecks_each_time_is_an_error_of_starting(start_method: str) -> None:
    ours = wrecking.inodes()

    def hook() -> None:
        for fd in wrecking.channels(ours):
            os.write(fd, b"hello")

    with (
        prefetch(abs, 5, start_method, nworkers=1, start_hook=hook) as p,
        pytest.raises(WorkerStartError, match="die before they evaluate anything"),
    ):
        p[0]


@pytest.mark.parametrize("start_method", ["template", "fork"])
def test_an_error_of_starting_of_any_length_is_told(start_method: str) -> None:
    def hook() -> None:
        raise RuntimeError("é" * 1_000_000)

    with (
        prefetch(abs, 5, start_method, start_hook=hook) as p,
        pytest.raises(WorkerStartError, match=r"start_hook or loading failed .*ééé"),
    ):
        p[0]
