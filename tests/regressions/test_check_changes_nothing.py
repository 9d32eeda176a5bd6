"""A check leaves a pipeline as it was, whatever functions keep: it evaluated items in place.

A recipe of the documentation, a handle that is opened when the first item is read in each process,
worked before a check and not after it: the check had opened it, and it could not be sent any more.
"""

import os
import random
import threading
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtools import add_cache, prefetch, smap, uniter
from seqtools.engines.process import fork_server
from seqtools.instrument import check
from seqtools.prefetching.server import close_server
from tests.leaks import descendants
from tests.scripts import is_well, run


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_a_handle_that_each_process_opens(start_method: str, tmp_path: Path) -> None:
    path = tmp_path / "data.db"
    code = f"""
import sqlite3, seqtools
from seqtools.instrument import check

path, start_method = {(str(path), start_method)!r}
handles = {{}}

def row(n):
    if not handles:
        handles["rows"] = sqlite3.connect(path)
    return handles["rows"].execute("values (?)", (n,)).fetchone()

rows = [(n,) for n in range(20)]
pipeline = seqtools.smap(row, range(20))
ready = seqtools.prefetch(pipeline, 2, 'process', start_method=start_method)
found = check(ready)
assert not found, found
assert handles == {{}}
assert list(ready) == rows
ready.close()
assert not check(ready)
assert list(ready) == rows
ready.close()
assert handles == {{}}
print("well")
"""
    assert is_well(run("-c", code))


@pytest.mark.parametrize("options", ["2, 'process'", "'auto'"])
def test_it_leaves_globals_of_a_script(options: str) -> None:
    code = f"""
import seqtools
from seqtools.instrument import check

conn, calls = None, []

def load(n):
    global conn
    conn = conn or open("/dev/null")
    calls.append(n)
    return n

ready = seqtools.prefetch(seqtools.smap(load, range(20)), {options})
assert not check(ready)
assert conn is None and calls == []
assert list(ready) == list(range(20))
ready.close()
print("well")
"""
    assert is_well(run("-c", code))


def test_threads_find_all_as_it_was() -> None:
    own, old = np.random.default_rng(3), random.Random(4)

    def load(n: int) -> Any:
        return n, own.random(), old.random(), random.random(), np.random.random()

    kept = add_cache(smap(load, range(9)), 9)
    data = [np.full(3, n) for n in range(9)]

    def doubled(x: Any) -> Any:
        x *= 2
        return x

    random.seed(1)
    np.random.seed(1)
    expected = load(0)
    random.seed(1)
    np.random.seed(1)
    own, old = np.random.default_rng(3), random.Random(4)
    check(prefetch(kept, 2))
    check(prefetch(smap(doubled, data), 2))
    assert [int(x[0]) for x in data] == list(range(9))
    assert kept[0] == expected


def test_what_is_kept_is_not_changed() -> None:
    def doubled(x: Any) -> Any:
        x *= 2
        return x

    kept = add_cache(smap(lambda n: np.full(3, n), range(9)), 9)
    list(kept)
    [found] = check(prefetch(smap(doubled, kept), 2))
    assert "add_cache" in found.what
    assert [int(x[0]) for x in kept] == list(range(9))


def test_lengths_are_asked_for_again() -> None:
    numbers = [1, 2]
    for method in ("thread", "process"):
        with prefetch(smap(abs, numbers), 2, method) as ready:
            check(ready)
            numbers.append(3)
            assert list(ready) == numbers


def test_an_iterator_is_not_advanced() -> None:
    items = iter(range(5))
    ready = prefetch(smap(abs, uniter(items, size=5)), 2)
    check(ready)
    assert list(ready) == [0, 1, 2, 3, 4]


STAYS = {"seqtools-idle"}


@pytest.mark.parametrize("method", ["thread", "process"])
def test_nothing_runs_any_more(method: str) -> None:
    def running() -> tuple[set[str], list[int]]:
        close_server()  # which stays for other prefetches, and so does what looks after it
        for thread in list(fork_server._shared.preparing):  # it ends when it sees that
            thread.join()
        return {t.name for t in threading.enumerate()} - STAYS, list(descendants(os.getpid()))

    before = running()
    check(prefetch(smap(abs, range(9)), 2, method))
    assert running() == before


lock = threading.Lock()


class Locked:
    def __init__(self) -> None:
        self.lock = "a text"

    def __call__(self, i: int) -> str:
        return self.lock * i


def test_an_attribute_is_no_global_variable_of_the_same_name() -> None:
    assert lock
    assert check(prefetch(smap(Locked(), range(5)), 2, "process")) == []
