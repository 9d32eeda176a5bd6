"""Hints, owners and threads of others: what reaches the stages, and who keeps whom."""

import gc
import os
import select
import socket
import subprocess
import sys
import threading
import time
import types
import weakref
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import WorkerStartError
from seqtools.engines import uninterruptible
from seqtools.engines.green_threads import refuse_green
from seqtools.prefetching.server import close_server
from tests.engines.engines import OPTIONS
from tests.threads import LONG

# What a worker is told comes next reaches every stage as a range or an array.


@pytest.mark.parametrize("engine", OPTIONS)
def test_reading_a_gather_with_a_stride(engine: str) -> None:
    kept = seqtools.add_cache(range(100), 2)
    turned = seqtools.gather(kept, list(range(99, -1, -1)))
    with seqtools.prefetch(turned, **OPTIONS[engine]) as p:
        assert list(p[::7]) == list(range(99, -1, -7))


# A stage that reads some of its sources did not tell the others that nothing was to be read any
# more:
# their threads stayed for as long as the pipeline.


@pytest.mark.parametrize(
    "joined",
    [
        seqtools.concatenate,
        lambda kept: seqtools.interleave(*kept),
        lambda kept: seqtools.mix(kept, [3, 1]),
        lambda kept: seqtools.case([0, 1] * 50, *kept),
        lambda kept: seqtools.gather(kept[0], seqtools.smap(int, range(100))),
    ],
    ids=["concatenate", "interleave", "mix", "case", "gather"],
)
def test_threads_of_caches_end_with_their_reader(joined: Callable[[Any], Any]) -> None:
    kept = [seqtools.add_cache(seqtools.smap(abs, range(100)), 5) for _ in range(2)]
    with seqtools.prefetch(joined(kept), 2, max_cached=8) as p:
        for k in (0, 30, 60):
            assert next(iter(p[k:])) == joined(kept)[k]
    deadline = time.monotonic() + LONG
    while any(thread.name == "seqtools-reader" for thread in threading.enumerate()):
        assert time.monotonic() < deadline, "a thread of a cache stays"
        time.sleep(0.01)
    assert kept  # which are still there


# An object that has its own prefetch was kept for ever, by the threads of the workers.


class Loader:
    """Reads ahead what it loads itself."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.items = seqtools.prefetch(seqtools.smap(self.load, range(100)), **options)

    def load(self, i: int) -> int:
        return i * i


@pytest.mark.parametrize("name", OPTIONS)
def test_an_owner_is_collected_and_its_workers_end(name: str) -> None:
    before = set(threading.enumerate())
    loader = Loader(OPTIONS[name])
    assert list(loader.items[:5]) == [0, 1, 4, 9, 16]
    assert loader.items[7] == 49
    gone = weakref.ref(loader)
    del loader
    while gone() is not None:  # a worker that has just evaluated an item may still refer to it
        gc.collect()
    close_server()  # which stays, for other prefetches
    for thread in set(threading.enumerate()) - before:
        if thread.name != "seqtools-idle":
            thread.join(20)
            assert not thread.is_alive(), thread


#
# Programs in which gevent or eventlet has replaced threads: reading waited for ever.
#
# These are fakes, which show what the real ones show: where what they have replaced comes from.

Replace = Callable[..., None]
PLACES = {
    "threading": (threading, "get_ident"),
    "socket": (socket, "socket"),
    "select": (select, "select"),
    "subprocess": (subprocess, "Popen"),
    "os.fork": (os, "fork"),
    "os.read": (os, "read"),
    "os.waitpid": (os, "waitpid"),
}


@pytest.fixture(params=["gevent", "eventlet"])
def library(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def replace(library: str, monkeypatch: pytest.MonkeyPatch) -> Replace:
    """Return a function that has the library put something in the place of an attribute."""
    monkeypatch.setitem(sys.modules, library, types.ModuleType(library))

    def replaced(place: Any, name: str) -> None:
        original = getattr(place, name)
        members = {"__module__": f"{library}.inner", "__call__": lambda _, *a: original(*a)}
        monkeypatch.setattr(place, name, type(name, (), members)())

    return replaced


@pytest.mark.parametrize("what", PLACES)
@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_processes_are_refused(
    what: str, start_method: str, library: str, replace: Replace
) -> None:
    before = seqtools.prefetch(range(9), 2, "process", start_method=start_method)
    replace(*PLACES[what])
    told = f"because {library} has replaced {what}: use"
    with pytest.raises(WorkerStartError, match=told):
        seqtools.prefetch(range(9), 2, "process", start_method=start_method)
    with pytest.raises(WorkerStartError, match=f"{library} has replaced"):
        before[0]


@pytest.mark.parametrize("nworkers", [2, "auto"])
def test_threads_are_refused_where_what_they_wait_for_is_not_replaced(
    nworkers: Any, library: str, replace: Replace
) -> None:
    before = seqtools.prefetch(range(9), nworkers)
    replace(threading, "get_ident")
    for read in (lambda: before[0], lambda: seqtools.prefetch(range(9), nworkers)):
        with pytest.raises(WorkerStartError, match=f"{library} has replaced threads.*before seqto"):
            read()
    assert list(seqtools.prefetch(range(9), 0)) == list(range(9))


def test_threads_are_used_where_all_is_replaced(replace: Replace) -> None:
    replace(threading, "get_ident")
    replace(uninterruptible, "SimpleQueue")
    refuse_green(processes=False)
    with pytest.raises(WorkerStartError):
        refuse_green(processes=True)


@pytest.mark.usefixtures("replace")
def test_a_library_that_has_replaced_nothing() -> None:
    for method in ("thread", "process"):
        with seqtools.prefetch(range(9), 2, method) as p:
            assert list(p) == list(range(9))


def test_others_may_replace_what_they_like(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(subprocess, "Popen", type("Popen", (subprocess.Popen,), {}))
    with seqtools.prefetch(range(9), 2, "process") as p:
        assert list(p) == list(range(9))
