"""`method="dask"`: a cluster that is started here and ended with the prefetch, in silence."""

import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.engines.cluster.dask import DaskTransport
from seqtools.engines.cluster.dask_local import LocalDask
from seqtools.engines.cluster.engine import ClusterEngine
from seqtools.engines.process.launcher import interpreter, meaning
from seqtools.engines.process.nesting import Nesting
from seqtools.testing import check_engine
from tests import scripts
from tests.clusters.test_dask_faults import read_all


def test_the_list_is_the_same() -> None:
    source = seqtools.smap(lambda x: (os.getpid(), np.full(20_000, x)), range(300))
    with seqtools.prefetch(source, 2, "dask") as ready:
        items = list(ready)
        assert [item[1][-1] for item in items] == list(range(300))
        assert len({pid for pid, _ in items}) == 2
        assert os.getpid() not in {pid for pid, _ in items}
        items[0][1][:] = 1
        assert ready[17][1][0] == 17
    for pid in {pid for pid, _ in items}:
        with pytest.raises(ProcessLookupError):
            os.kill(pid, 0)


def test_an_item_kills_its_worker_each_time(tmp_path: Path) -> None:
    deaths = tmp_path / "deaths"

    def kill(i: int) -> int:
        if i == 50:
            with open(deaths, "a", encoding="ascii") as file:
                file.write("x")
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    with seqtools.prefetch(seqtools.smap(kill, range(100)), 2, "dask") as ready:
        found = read_all(ready)
    assert isinstance(found[50], seqtools.WorkerDied)
    assert [x for i, x in enumerate(found) if i != 50] == [i for i in range(100) if i != 50]
    assert len(deaths.read_text(encoding="ascii")) in {3, 4}


def test_its_scheduler_is_killed() -> None:
    def parent(_: int) -> tuple[int, int]:
        return os.getpid(), os.getppid()

    items = iter(seqtools.prefetch(seqtools.smap(parent, range(10_000_000)), 2, "dask"))
    worker, server = next(items)
    scheduler = int(
        Path(f"/proc/{server}/stat").read_text(encoding="ascii").split(")")[1].split()[1]
    )
    os.kill(scheduler, signal.SIGKILL)
    told = "the local cluster of Dask has ended: it was killed by SIGKILL"
    with pytest.raises(seqtools.WorkerStartError, match=told):
        for _ in items:
            pass
    assert worker


def test_it_cannot_be_started(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", [path for path in sys.path if "site-packages" not in path])
    with (
        seqtools.prefetch(range(9), 2, "dask") as ready,
        pytest.raises(seqtools.WorkerStartError, match="no local cluster of Dask could be started"),
    ):
        list(ready)


QUIET = f"""
import sys
sys.path.insert(0, {scripts.SOURCE!r})
import os
import signal
import threading
import seqtools

def item(x):
    if x == 3:
        os.system("sleep 1000 &")
    if x == 50:
        os.kill(os.getpid(), signal.SIGKILL)
    return sys.argv[1], x

# no `if __name__ == "__main__"`: this file is never imported
with seqtools.prefetch(seqtools.smap(item, range(100)), 2, "dask") as ready:
    items = iter(ready)
    for x in range(100):
        try:
            assert next(items) == ("given", x)
        except seqtools.EvaluationError:
            assert x == 50
assert {{thread.name for thread in threading.enumerate()}} <= {{"MainThread", "seqtools-idle"}}
for x in seqtools.prefetch(seqtools.smap(item, range(100)), 2, "dask"):
    if x[1] == 7:
        break
print("well")
"""


def test_a_program_as_users_write_it(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text(QUIET, "ascii")
    done = scripts.run(
        "-W",
        "error",
        str(tmp_path / "program.py"),
        "given",
        env=scripts.environment(TMPDIR=str(tmp_path)),
        cwd=tmp_path,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "well\n", "")
    assert os.listdir(tmp_path) == ["program.py"]


KILLED = f"""
import sys
sys.path.insert(0, {scripts.SOURCE!r})
import os
import signal
import seqtools

items = iter(seqtools.prefetch(seqtools.smap(lambda x: os.getpid(), range(10**7)), 2, "dask"))
print(next(items), flush=True)
os.kill(os.getpid(), signal.SIGKILL)
"""


def test_it_ends_with_a_program_that_is_killed() -> None:
    """The fixture that looks for leaks finds what is left."""
    done = scripts.run("-c", KILLED)
    assert done.returncode == -signal.SIGKILL
    assert int(done.stdout)


def local(get: Any, nworkers: int = 2, **options: Any) -> ClusterEngine:
    cluster = LocalDask(
        nworkers, {}, lambda code, **how: interpreter(code, Nesting(1), **how), meaning
    )
    made = DaskTransport(None, nworkers, cluster=cluster)
    return ClusterEngine(made, None, get, get, **options)


@pytest.mark.parametrize(
    "promise",
    [
        "every item is delivered",
        "errors have their path",
        "closing leaves nothing",
        "an item that ends its worker fails alone",
    ],
)
def test_promises(promise: str) -> None:
    check_engine(local, deaths=True, only=[promise])
