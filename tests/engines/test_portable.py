"""Systems that lack something: it is switched off, and everything works without it."""

import os
import socket
import subprocess
import sys
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools._core.errors import WorkerStartError
from seqtools.engines.process.spawn import SpawnPool
from tests.engines.fifo import Fifo


def prefetch(source: Any, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(source, 2, "process", **options)


def refused(*_: object, **__: object) -> Any:
    raise PermissionError


def arrays(n: int = 20) -> Any:
    return seqtools.smap(lambda i: np.full(20_000, i), range(n))


def check(p: seqtools.Prefetch[Any]) -> None:
    with p:
        kept = list(p)
        assert all((array == i).all() for i, array in enumerate(kept))
        assert all(a.flags.writeable and a.ctypes.data % 64 == 0 for a in kept)


@pytest.mark.parametrize("how", ["missing", "refused"])
def test_without_memfd(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "missing":
        monkeypatch.delattr(os, "memfd_create")
    else:
        monkeypatch.setattr(os, "memfd_create", refused)
    check(prefetch(arrays()))


@pytest.mark.parametrize("how", ["missing", "refused"])
def test_without_pidfd(how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if how == "missing":
        monkeypatch.delattr(os, "pidfd_open")
    else:
        monkeypatch.setattr(os, "pidfd_open", refused)
    check(prefetch(arrays(), start_method="fork"))  # whose template is without it too


@pytest.mark.parametrize("what", ["fork", "send_fds", "packets"])
def test_without_what_a_template_needs(what: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if what == "fork":
        monkeypatch.delattr(os, "fork")
    elif what == "send_fds":
        monkeypatch.delattr(socket, "send_fds")
    else:
        monkeypatch.setattr(socket, "socketpair", refused)
    p = prefetch(arrays())
    assert p[3][0] == 3
    assert isinstance(p._state.pump._engine._operator.workers.pool, SpawnPool)  # type: ignore[union-attr]
    check(p)


def test_without_fork_there_is_no_start_method_fork(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delattr(os, "fork")
    with pytest.raises(WorkerStartError, match="start_method='fork' needs fork"):
        prefetch(arrays(), start_method="fork")[0]


def test_without_poll_or_epoll(monkeypatch: pytest.MonkeyPatch) -> None:
    import select

    monkeypatch.delattr(select, "epoll")
    check(prefetch(arrays()))


def test_what_is_printed_does_not_get_between_results(capfd: pytest.CaptureFixture[str]) -> None:
    def loud(x: int) -> int:
        sys.stdout.write(f"computing {x}\n")
        subprocess.run([sys.executable, "-c", "print('from a child')"], check=True)
        os.write(1, b"raw\n")
        return x

    with prefetch(seqtools.smap(loud, range(4)), start_method="spawn") as p:
        assert list(p) == [0, 1, 2, 3]
    out, err = capfd.readouterr()
    assert sorted(out.splitlines()) == [f"computing {x}" for x in range(4)]
    assert err.count("from a child") == err.count("raw") == 4


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_a_worker_that_leaves_a_process_behind_is_replaced(
    start_method: str, fifo: Callable[[], Fifo]
) -> None:
    gate = fifo()
    path = str(gate.path)

    def leaves(x: int) -> int:
        if x == 3:
            if os.fork() == 0:  # it has the pipe of its parent open
                os.read(os.open(path, os.O_RDWR), 1)
                os._exit(0)
            os._exit(1)
        return x

    items = iter(prefetch(seqtools.smap(leaves, range(6)), start_method=start_method))
    got = []
    for _ in range(6):
        try:
            got.append(next(items))
        except seqtools.EvaluationError:
            got.append(None)
    assert got == [0, 1, 2, None, 4, 5]
    gate.send(2)


@pytest.mark.parametrize("where", ["hook", "pipeline"])
def test_what_fails_at_the_start_is_told(where: str) -> None:
    class Unloadable:
        def __reduce__(self) -> Any:
            return refused, ()

    def hook() -> None:
        if where == "hook":
            raise ValueError

    item = Unloadable() if where == "pipeline" else 1
    source = seqtools.smap(lambda _: item, range(3))
    failed = "^start_hook" if where == "hook" else "^loading"
    with pytest.raises(WorkerStartError, match=f"{failed} failed in worker process") as caught:
        prefetch(source, start_hook=hook, start_method="spawn")[0]
    story = caught.value.__notes__[0]
    cause = ValueError if where == "hook" else PermissionError
    assert cause.__name__ in story
    assert type(caught.value.__cause__) is cause
