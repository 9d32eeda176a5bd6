"""The process that workers are forked from, which may be stopped, hang or be killed itself."""

import os
import signal
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import WorkerStartError
from seqtools.engines.process import timeouts
from seqtools.engines.process.engine import ProcessEngine
from tests import leaks
from tests.engines.fifo import Fifo

MakeFifo = Callable[[], Fifo]
Family = Callable[[], list[int]]
TEMPLATES = pytest.mark.parametrize("start_method", ["template", "fork"])


@pytest.fixture
def family() -> Family:
    """Return a function for the processes that were started by now, each before its own."""
    before = set(leaks.family())
    return lambda: [pid for pid in leaks.family() if pid not in before]


def prefetch(source: Any, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(source, 2, "process", **options)


@TEMPLATES
def test_a_template_that_was_stopped_is_replaced(start_method: str, family: Family) -> None:
    p = prefetch(seqtools.smap(str, range(100)), start_method=start_method, max_cached=4)
    items = iter(p)
    found = [next(items) for _ in range(10)]
    _, template, *workers = family()  # the first one guards them
    os.kill(template, signal.SIGSTOP)
    for worker in workers:
        os.kill(worker, signal.SIGKILL)
    assert [*found, *items] == list(map(str, range(100)))
    assert template not in family()
    p.close()


@TEMPLATES
def test_a_template_that_was_stopped_does_not_keep_from_closing(
    start_method: str, family: Family
) -> None:
    p = prefetch(seqtools.smap(str, range(10)), start_method=start_method)
    assert p[0] == "0"
    os.kill(family()[1], signal.SIGSTOP)
    p.close()
    assert not family()
    assert p[1] == "1"


def test_a_process_that_was_left_behind_does_not_hide_the_end_of_a_template(
    family: Family, fifo: MakeFifo
) -> None:
    gate = fifo()

    def hook() -> None:
        if os.fork() == 0:  # it has all sockets and pipes that the worker has
            gate.wait()
            os._exit(0)

    p = prefetch(seqtools.smap(str, range(50)), start_hook=hook, max_cached=4)
    items = iter(p)
    found = [next(items) for _ in range(5)]
    os.kill(family()[1], signal.SIGKILL)
    assert [*found, *items] == list(map(str, range(50)))
    p.close()
    gate.send(10)  # there were four, as workers were replaced


class _Gated:
    """Waits while it is loaded."""

    def __init__(self, begun: Fifo, gate: Fifo) -> None:
        self.fifos = begun, gate

    def __setstate__(self, state: Any) -> None:
        begun, gate = state["fifos"]
        begun.send()
        gate.wait()

    def __call__(self, x: int) -> int:
        return x


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_an_end_while_the_pipeline_is_being_loaded(
    start_method: str, family: Family, fifo: MakeFifo
) -> None:
    begun = fifo()
    source = seqtools.smap(_Gated(begun, fifo()), range(10))
    engine = ProcessEngine(
        source, source._get, 2, start_method=start_method, deliver=lambda _: None
    )
    begun.wait()
    engine.close()
    assert not family()


def test_workers_outlive_the_thread_that_started_them(family: Family) -> None:
    p = prefetch(seqtools.smap(lambda x: (x, os.getpid()), range(100)), max_cached=4)
    items = iter(p)
    found: list[Any] = []
    first = threading.Thread(target=lambda: found.extend(next(items) for _ in range(5)))
    first.start()
    first.join()
    _, _, *workers = family()
    found += items
    assert [i for i, _ in found] == list(range(100))
    assert {pid for _, pid in found} <= set(workers)
    p.close()


@pytest.mark.parametrize(
    ("start_method", "where"),
    [
        ("template", "hook"),
        ("template", "loading"),
        ("spawn", "hook"),
        ("spawn", "loading"),
        ("fork", "hook"),  # which loads nothing
    ],
)
def test_a_start_that_hangs_is_an_error_where_there_is_a_timeout(
    start_method: str, where: str, fifo: MakeFifo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(timeouts, "_START_SECONDS", 0.5)
    begun, gate = fifo(), fifo()

    def hook() -> None:
        if where == "hook":
            gate.wait()

    source = seqtools.smap(_Gated(begun, gate), range(10)) if where == "loading" else range(10)
    p = prefetch(source, start_hook=hook, timeout=0.1, start_method=start_method)
    with pytest.raises(WorkerStartError, match="not ready after"):
        p[0]
    p.close()


def test_the_end_of_a_template_is_seen_where_it_cannot_be_watched(
    family: Family, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delattr(os, "pidfd_open", raising=False)
    p = prefetch(seqtools.smap(str, range(50)), max_cached=4)
    items = iter(p)
    found = [next(items) for _ in range(5)]
    os.kill(family()[1], signal.SIGKILL)
    assert [*found, *items] == list(map(str, range(50)))
    p.close()


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_a_worker_that_is_stopped_while_it_starts_is_replaced_where_another_has_started(
    start_method: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SEQTOOLS_FAULTS", "worker-loaded:SIGSTOP:2")
    monkeypatch.setenv("SEQTOOLS_FAULTS_LOG", str(tmp_path))
    source = seqtools.smap(str, range(20))
    with prefetch(source, timeout=0.2, start_method=start_method) as p:
        assert list(p) == list(map(str, range(20)))
    assert (tmp_path / "worker-loaded").exists()
