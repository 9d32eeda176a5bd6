"""`debug` and `monitor_throughput` under every engine."""

import math
import os
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools.instrument import debug, monitor_throughput
from tests.engines.engines import OPTIONS
from tests.engines.shown import lines_of, say, shown

Prefetched = Callable[..., seqtools.Prefetch[Any]]
IN_THIS_PROCESS = {"inline", "thread"}


# with "auto" it may be here and there
@pytest.fixture(params=[name for name in OPTIONS if name != "auto"])
def engine(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def prefetched(engine: str) -> Prefetched:
    return lambda source, **more: seqtools.prefetch(source, **OPTIONS[engine] | more)


def one(engine: str) -> dict[str, int]:
    """Return the options of the same engine with one worker, where it has any."""
    return {} if engine == "inline" else {"nworkers": 1}


def test_its_function_is_called_where_the_item_is_read(engine: str, prefetched: Prefetched) -> None:
    source = debug(range(40), lambda i, value: say(i, value, os.getpid()))
    with shown() as out, prefetched(source) as p:
        for x in p:
            # what is said of an item is there before the item
            assert any(line.startswith(f"{x} {x} ") for line in lines_of(out))
    lines = [line.split() for line in lines_of(out)]
    assert sorted(int(i) for i, _, _ in lines) == list(range(40))
    pids = {int(pid) for _, _, pid in lines}
    assert (os.getpid() in pids) == (engine in IN_THIS_PROCESS)


@pytest.mark.parametrize("most", [0, 3])
def test_at_most_so_many_calls_in_each_process(
    most: int, engine: str, prefetched: Prefetched
) -> None:
    source = debug(range(60), lambda i, _: say(i), max_calls=most)
    with shown() as out, prefetched(source) as p:
        assert list(p) == list(range(60))
    lines = lines_of(out)
    assert len(lines) == len(set(lines))
    processes = 1 if engine in IN_THIS_PROCESS else 2
    assert most <= len(lines) <= most * processes


def test_at_most_so_many_calls_a_second(engine: str, prefetched: Prefetched) -> None:
    source = debug(range(60), lambda i, _: say(i), max_rate=1e-6)
    with shown() as out, prefetched(source, **one(engine)) as p:
        assert list(p) == list(range(60))
    assert lines_of(out) == ["0"]


def test_throughput_after_a_prefetch_is_that_of_its_reader(prefetched: Prefetched) -> None:
    with prefetched(seqtools.smap(abs, range(50))) as p:
        monitor = monitor_throughput(p)
        assert list(monitor) == list(range(50))
        assert 0 < monitor.throughput() < math.inf
        assert 0 < monitor.read_delay() < math.inf
        monitor.reset()
        with pytest.raises(RuntimeError, match="needs an item that was read"):
            monitor.read_delay()


def test_throughput_before_a_prefetch_is_seen_in_this_process(
    engine: str, prefetched: Prefetched
) -> None:
    monitor = monitor_throughput(range(50))
    with prefetched(monitor) as p:
        assert list(p) == list(range(50))
    assert monitor._state.reads == (50 if engine in IN_THIS_PROCESS else 0)
