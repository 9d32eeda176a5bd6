"""Programs that run into a limit of the system, for tests that run each in a process of its own.

Each takes its limit, is told what is missing, gets it back, and reads on from where it was.
"""

import mmap
import os
import resource
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np

import seqtools
from seqtools._core.errors import EvaluationError, WorkerStartError
from seqtools.engines.process import fork_server

MB = 1 << 20


@contextmanager
def limited(kind: int, most: int) -> Iterator[None]:
    """Have a limit, which is as it was at the end."""
    soft, hard = resource.getrlimit(kind)
    resource.setrlimit(kind, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(kind, (soft, hard))


def address_space(more: int) -> int:
    """Return what this process takes of it, and `more` bytes."""
    pages = int(Path("/proc/self/statm").read_text().split()[0])
    return pages * mmap.PAGESIZE + more


def prefetch(source: Any, start_method: str, **options: Any) -> seqtools.Prefetch[Any]:
    if start_method == "thread":
        return seqtools.prefetch(source, 2, "thread", **options)
    made = seqtools.prefetch(source, 2, "process", start_method=start_method, **options)
    while fork_server._shared.preparing:  # which has descriptors, and lets go of them
        time.sleep(0.005)
    return made


@contextmanager
def no_descriptor_left() -> Iterator[None]:
    """Have all descriptors in use."""
    taken = []
    with limited(resource.RLIMIT_NOFILE, 64):
        try:
            with suppress(OSError):
                while True:
                    taken.append(os.open(os.devnull, os.O_RDONLY))
            yield
        finally:
            for fd in taken:
                os.close(fd)


def refused(items: Iterator[Any]) -> str:
    """Return what is said in place of an item, which is the same the next time."""
    told = set()
    for _ in range(2):
        try:
            next(items)
        except WorkerStartError as error:
            told.add(str(error))
    assert len(told) == 1, told
    return told.pop()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


# Descriptors


def descriptors_at_the_start(start_method: str) -> None:
    p = prefetch(seqtools.smap(abs, range(100)), start_method)
    assert p[3] == 3  # what is opened once, by imports, is open by now
    p.close()
    before = open_descriptors()
    items = iter(p)
    with no_descriptor_left():
        message = refused(items)
    assert "limit of open files, `ulimit -n`, close some, or use fewer workers" in message, message
    assert list(items) == list(range(100))
    p.close()
    assert open_descriptors() == before


def descriptors_before_anything_is_imported(start_method: str) -> None:
    items = iter(prefetch(seqtools.smap(abs, range(100)), start_method))
    with no_descriptor_left():
        assert "`ulimit -n`" in refused(items)
    assert list(items) == list(range(100))


# Memory


def one_large(i: int) -> Any:
    """Return 30 small values, and a large one among them."""
    return bytes(300 * MB) if i == 5 else np.full(10_000, i)


def _little_memory() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (address_space(400 * MB), resource.RLIM_INFINITY))


def memory_for_a_value(start_method: str, where: str) -> None:
    hook = _little_memory if where == "worker" else None
    p = prefetch(seqtools.smap(one_large, range(30)), start_method, max_cached=3, start_hook=hook)
    items = iter(p)
    if where == "consumer":
        assert not next(items).any()
    if where != "worker":
        _little_memory()
    expected = range(1 if where == "consumer" else 0, 30)
    failed = {}
    for i in expected:
        try:
            assert (next(items) == i).all()
        except EvaluationError as error:
            failed[i] = error
    (error,) = failed.values()
    assert isinstance(error.__cause__, MemoryError), error
    if where != "both":  # or else it may be that it could not even be made
        assert f"item {error.index} cannot be " in str(error), error
    assert list(failed) == [error.index] == [5]
    assert list(items) == []
    p.close()


def memory_for_workers(start_method: str) -> None:
    import seqtools.engines.process.engine

    p = prefetch(seqtools.smap(abs, range(100)), start_method)
    items = iter(p)
    # The system library keeps the stacks of some threads that have ended, for the next ones.
    over = threading.Event()
    waiting = [threading.Thread(target=over.wait) for _ in range(8)]
    for thread in waiting:
        thread.start()
    with limited(resource.RLIMIT_AS, address_space(3 * MB)):
        message = refused(items)
    over.set()
    for thread in waiting:
        thread.join()
    assert "`ulimit -v`" in message, message
    assert list(items) == list(range(100))
    p.close()


# Files


def size_of_the_pipeline(start_method: str) -> None:
    array = np.arange(3 * MB)
    p = prefetch(seqtools.smap(lambda i: int(array[i]), range(100)), start_method)
    items = iter(p)
    with limited(resource.RLIMIT_FSIZE, 4 * MB):
        message = refused(items)
    assert "no file for the 25.2 MB of the pipeline could be written" in message
    assert "`ulimit -f`" in message
    assert list(items) == list(range(100))
    p.close()


def size_of_values(start_method: str) -> None:
    resource.setrlimit(resource.RLIMIT_FSIZE, (4 * MB, resource.RLIM_INFINITY))
    with prefetch(seqtools.smap(lambda i: np.full(MB, i), range(10)), start_method) as p:
        for i, value in enumerate(p):
            assert (value == i).all()


if __name__ == "__main__":
    name, *arguments = sys.argv[1:]
    globals()[name](*arguments)
