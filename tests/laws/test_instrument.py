"""What looks at items as they are read: how often it is called, and what it measures."""

import math
import pickle
import time
from collections.abc import Iterator
from typing import Any

import pytest

from seqtools import EvaluationError, batch, smap
from seqtools.instrument import debug, monitor_throughput


class Clock:
    """A clock that goes on by as much as it is told."""

    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now

    def wait(self, seconds: float) -> float:
        self.now += seconds
        return seconds


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[Clock]:
    clock = Clock()
    with monkeypatch.context() as patch:
        patch.setattr(time, "monotonic", clock)
        patch.setattr(time, "perf_counter", clock)
        yield clock


def test_debug_calls() -> None:
    seen: list[tuple[int, str]] = []
    shown = debug("abcd", lambda i, item: seen.append((i, item)))
    assert (shown[2], shown[-1], list(shown[1:])) == ("c", "d", ["b", "c", "d"])
    assert seen == [(2, "c"), (3, "d"), (1, "b"), (2, "c"), (3, "d")]


def test_debug_calls_in_batches() -> None:
    seen: list[int] = []
    assert list(batch(debug("abc", lambda i, _: seen.append(i)), 2)) == [["a", "b"], ["c"]]
    assert seen == [0, 1, 2]


def test_debug_max_calls() -> None:
    seen: list[int] = []
    shown = debug("abcd", lambda i, _: seen.append(i), max_calls=3)
    assert [list(shown), list(shown)] == [list("abcd")] * 2
    assert seen == [0, 1, 2]
    silent = debug("ab", lambda i, _: seen.append(i), max_calls=0)
    assert list(silent) == ["a", "b"]
    assert seen == [0, 1, 2]


def test_debug_max_rate(clock: Clock) -> None:
    seen: list[int] = []
    shown = debug(range(9), lambda i, _: seen.append(i), max_calls=3, max_rate=2)
    for i in shown:
        assert clock.wait(0.25) * 4 == 1
        del i
    assert seen == [0, 2, 6]


@pytest.mark.parametrize("pause", [0.001, 0.01, 0.05, 0.1])
def test_debug_calls_ten_times_in_a_second(clock: Clock, pause: float) -> None:
    shown: list[int] = []
    watched = debug(range(10**6), lambda i, _: shown.append(i), max_rate=10)
    watched[0]
    while clock.now < 101.005:
        clock.wait(pause)
        watched[1]
    assert len(shown) == 10
    while clock.now < 110:
        clock.wait(pause)
        watched[2]
    assert 85 < len(shown) <= 100


def test_debug_less_than_once_a_second(clock: Clock) -> None:
    shown: list[float] = []
    watched = debug([0], lambda *_: shown.append(clock.now - 100), max_rate=0.25)
    while clock.now < 113:
        watched[0]
        clock.wait(0.5)
    assert shown == [0, 4, 8, 12]


def test_debug_that_fails() -> None:
    def fail(i: int, item: object) -> None:
        raise OSError(i, item)

    with pytest.raises(EvaluationError) as caught:
        debug("abc", fail)[1]
    assert caught.value.__cause__.args == (1, "b")  # type: ignore[union-attr]
    assert caught.value.stage == "debug(fail)"


def test_debug_copies_count_for_themselves() -> None:
    shown = debug("abc", print, max_calls=1)
    shown[0]
    copy = pickle.loads(pickle.dumps(shown))
    assert (shown._state.made, copy._state.made) == (1, 0)


def unread(monitor: Any) -> None:
    for name in ("throughput", "read_delay"):
        with pytest.raises(RuntimeError, match=rf"^{name}\(\) needs an item that was read, "):
            getattr(monitor, name)()


def test_throughput(clock: Clock) -> None:
    monitor = monitor_throughput(smap(clock.wait, [2.0, 4.0, 0.0]))
    unread(monitor)
    assert monitor[0] == 2
    assert (monitor.throughput(), monitor.read_delay()) == (0.5, 2)
    clock.wait(2)  # the consumer is busy
    assert monitor[1] == 4
    assert (monitor.throughput(), monitor.read_delay()) == (0.25, 3)
    monitor.reset()
    unread(monitor)
    assert monitor[2] == 0
    assert math.isnan(monitor.throughput())  # no time has passed
    assert monitor.read_delay() == 0
    copy = pickle.loads(pickle.dumps(monitor_throughput("abc")))
    unread(copy)


def test_failed_reads_are_not_counted(clock: Clock) -> None:
    monitor = monitor_throughput(smap(lambda x: 1 / x, [0]))
    with pytest.raises(EvaluationError):
        monitor[0]
    unread(monitor)
    assert clock.now == 100
