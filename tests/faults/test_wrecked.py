"""User code that writes to the pipes of its worker, closes them, or puts others in their place."""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools._core.errors import WorkerDied, WorkerStartError
from tests.faults import wrecking

METHODS = ["template", "spawn", "fork"]

_WRECKS: dict[str, Callable[[int], object]] = {
    "a word": lambda fd: os.write(fd, b"hello"),
    "zeros": lambda fd: os.write(fd, bytes(10_000)),
    "closed": os.close,
    "nothing in its place": wrecking.put_nothing,
}


def wrecks_for(start_method: str) -> dict[str, Callable[[int], object]]:
    names = list(_WRECKS)
    if start_method == "spawn":  # its workers take long to start
        names = ["zeros", "closed"]
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
def test_an_item_that_returns_in_a_forked_child_as_well_leaves_no_process(
    start_method: str,
) -> None:
    def get(x: int) -> int:
        if x == 3:
            os.fork()
        return x

    assert outcomes(prefetch(get, 40, start_method, max_cached=2)) == list(range(40))


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


def test_what_is_printed_past_python_is_no_damage(capfd: pytest.CaptureFixture[str]) -> None:
    def get(x: int) -> int:
        os.write(1, b"hello\n")
        return x

    assert outcomes(prefetch(get, 5, "spawn")) == list(range(5))
    assert capfd.readouterr().err == "hello\n" * 5


# Where a worker starts


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
        pytest.raises(WorkerStartError, match=r"start_hook failed .*ééé"),
    ):
        p[0]
