"""A check names what cannot be sent to workers, and where it is."""

import functools
import mmap
import os
import queue
import socket
import sqlite3
import threading
import zipfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import LazySequence, prefetch, smap
from seqtools.instrument import check
from tests.instrument.test_check import wrong


@pytest.fixture
def handles(tmp_path: Path) -> Iterator[dict[str, Any]]:
    path = tmp_path / "data"
    path.write_bytes(b"x" * 100)
    with zipfile.ZipFile(tmp_path / "zip", "w") as archive:
        archive.writestr("a", "b")
    module = type("File", (), {"__module__": "h5py._hl.files", "__reduce__": _refused})
    with (
        path.open() as text,
        path.open("rb") as raw,
        path.open("a") as log,
        closing(socket.socket()) as ends,
        closing(sqlite3.connect(":memory:")) as database,
        zipfile.ZipFile(tmp_path / "zip") as archive,
        mmap.mmap(raw.fileno(), 0, access=mmap.ACCESS_READ) as mapped,
    ):
        yield {
            "an open file": text,
            "an open file ": raw,
            "an open file  ": log,
            "a socket": ends,
            "a connection to SQLite": database,
            "an open archive": archive,
            "a memory map": mapped,
            "a lock": threading.Lock(),
            "a lock ": threading.RLock(),
            "a condition": threading.Condition(),
            "an event": threading.Event(),
            "a queue": queue.Queue(),
            "an open HDF5 file": module(),
        }


def _refused(_: object) -> Any:
    raise TypeError("h5py objects cannot be pickled")


class Holder:
    def __init__(self, value: Any) -> None:
        self.value = value

    def __call__(self, x: int) -> Any:
        return x, self.value

    def method(self, x: int) -> Any:
        return x, self.value


class Slotted:
    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> int:
        return i


class Reopening(Holder):
    """Holds a handle, and leaves it behind when it is pickled."""

    def __getstate__(self) -> dict[str, Any]:
        return {"value": None}


def test_every_kind_of_handle_is_named(handles: dict[str, Any]) -> None:
    for kind, handle in handles.items():
        [what] = wrong(lambda x, held=handle: (x, held))
        assert what.startswith(f"{kind.strip()} (default held of <lambda>) "), kind
        assert "cannot be sent to worker processes: " in what, kind
        [what] = wrong(lambda x, held=handle: (x, held), start_method="fork")
        assert " is inherited by forked workers" in what


def test_handles_are_found_wherever_they_are() -> None:
    lock = threading.Lock()
    for function, where in {
        lambda x: (x, lock): "variable lock of <lambda>",
        functools.partial(pow, mod=lock): "argument mod of partial(pow)",
        functools.partial(lambda x, y: (x, y), lock): "argument 0 of partial(<lambda>)",
        Holder(lock): "attribute value of Holder",
        Holder([1, {"a": (2, lock)}]): "item 1 of ['a'] of item 1 of attribute value of Holder",
        Holder(Slotted(lock)).method: "attribute value of attribute value of the object of method",
    }.items():
        [what] = wrong(function)
        assert what.startswith(f"a lock ({where}) cannot be sent to worker processes: TypeError: ")


def test_a_global_of_a_script_goes_along() -> None:
    names: dict[str, Any] = {"__name__": "__main__", "lock": threading.Lock(), "os": os}
    exec("def load(x):\n    with lock: return os.fspath(x)", names)  # noqa: S102 -- it stands here
    assert wrong(names["load"])[0].startswith("a lock (global lock of load) cannot be sent")


def test_sources_are_looked_into() -> None:
    data = Slotted(threading.Lock())
    for pipeline in (smap(abs, data), seqtools.collate([[1, 2, 3], data]), data):
        [finding] = check(prefetch(pipeline, 1, "process"), items=0)
        assert finding.what.startswith("a lock (attribute value of Slotted) cannot be sent")


@pytest.mark.parametrize("start_method", ["template", "fork"])
def test_what_each_worker_opens_is_advised_and_not_reported(start_method: str) -> None:
    connection = sqlite3.connect(":memory:")
    opened, kept = seqtools.per_worker(sqlite3.connect), threading.local()
    kept.connection = opened(":memory:")
    options: dict[str, Any] = {"method": "process", "start_method": start_method}
    with closing(connection), closing(kept.connection):
        bad = smap(lambda x: (x, connection, kept, opened), range(9))
        [found] = check(prefetch(bad, 1, **options), items=0)
        assert found.what.startswith("a connection to SQLite (variable connection of <lambda>) ")
        assert found.advice == (
            "open it inside the function or, once for each worker, in a function with "
            "@seqtools.per_worker"
        )
        good = smap(lambda x: (x, len(vars(kept)), opened(":memory:").total_changes), range(9))
        assert check(prefetch(good, 1, **options)) == []


def test_who_pickles_itself_knows_what_it_does() -> None:
    assert wrong(Reopening(threading.Lock())) == []
    assert len(wrong(Reopening(threading.Lock()), start_method="fork")) == 1


def test_the_start_hook_is_sent_too() -> None:
    lock = threading.Lock()
    [what] = wrong(abs, start_hook=lambda: lock)
    assert what.startswith("a lock (variable lock of start_hook <lambda>) cannot be sent")


def test_each_stage_is_named_with_its_place() -> None:
    lock = threading.Lock()
    first = smap(lambda x: (x, lock), [1])
    second = smap(abs, first)
    third = smap(lambda x, k=(i for i in "ab"): (x, k), second)
    found = check(prefetch(third, 1, "process"), items=0)
    assert [finding.what.split(" cannot")[0] for finding in found] == [
        "a lock (variable lock of <lambda>)",
        "a generator (default k of <lambda>)",
    ]
    for finding, stage in zip(found, (first, third), strict=True):
        place = f"test_check_handles.py:{stage._origin[1]}"
        assert finding.where.startswith("smap(<lambda>), ")
        assert finding.where.endswith(place)
    assert ["__setstate__" in finding.advice for finding in found] == [True, False]
    report = str(found)
    assert report.startswith("2 findings in 1 prefetch\n\n1. smap(<lambda>), ")
    assert "\n  -> leave it out, or create it inside the function" in report
    shown = found._repr_html_()  # in a notebook
    assert shown.count("<li ") == 2
    assert "<div>a lock (variable lock of &lt;lambda&gt;) cannot be sent" in shown
    assert "2 findings in 1 prefetch" in shown


def test_a_stage_that_refuses_says_why_itself() -> None:
    [finding] = check(prefetch(seqtools.uniter(iter([1])), 1, "process"))
    assert "it cannot start again elsewhere" in finding.what
    assert finding.where.startswith("uniter, ")


class Broken(LazySequence[int]):
    def _args(self) -> tuple[Any, ...]:
        raise ValueError("no")

    def _size(self) -> int:
        return 1

    def _get(self, i: int) -> int:
        return i


def test_a_stage_that_cannot_be_looked_at() -> None:
    [finding] = check(prefetch(Broken(), 1, "process"))
    assert "cannot be sent to worker processes: ValueError: no" in finding.what
