"""MPI is there, with an executor whose processes `mpiexec` has started."""

import subprocess
import sys
from pathlib import Path

from tests import scripts

MPIEXEC = str(Path(sys.executable).with_name("mpiexec"))  # of the package `mpich`

PROGRAM = """\
import os
from mpi4py.futures import MPIPoolExecutor

def process(_):
    return os.getpid()

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        found = set(pool.map(process, range(20)))
        print(len(found) <= 2, os.getpid() in found)
"""


PREFETCH = """\
import os

import seqtools
from mpi4py.futures import MPIPoolExecutor

def process(i):
    if i == 150:
        raise ValueError("this one is wrong")
    return i, os.getpid()

if __name__ == "__main__":
    with MPIPoolExecutor() as pool:
        p = seqtools.prefetch(seqtools.smap(process, range(200)), 2, pool)
        found = list(p[:150])
        print([i for i, _ in found] == list(range(150)), p[-1][0], [i for i, _ in p[40:3:-9]])
        print(os.getpid() in {pid for _, pid in found})
        try:
            p[150]
        except seqtools.EvaluationError as error:
            print(type(error.__cause__).__name__, "prefetch" in str(error), "smap" in str(error))
        items = iter(seqtools.prefetch(seqtools.smap(str, range(50)), 2, pool))
        print(next(items), next(items), items.state_dict()["position"])
        again = iter(seqtools.prefetch(seqtools.smap(str, range(50)), 2, pool))
        again.load_state_dict(items.state_dict())
        print([*again] == [*items])
"""


def run_mpi(program: str, folder: Path) -> str:
    """Return what a program prints that has an `MPIPoolExecutor` of two workers."""
    path = folder / "program.py"
    path.write_text(program)
    done = subprocess.run(
        [MPIEXEC, "-n", "3", sys.executable, "-m", "mpi4py.futures", str(path)],
        check=False,
        capture_output=True,
        env=scripts.environment(PYTHONPATH=scripts.SOURCE),
        stdin=subprocess.DEVNULL,
        text=True,
        timeout=scripts.LONGEST,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def test_tasks_run_in_other_processes(tmp_path: Path) -> None:
    assert run_mpi(PROGRAM, tmp_path) == "True False\n"


def test_a_prefetch_is_the_same_list(tmp_path: Path) -> None:
    said = run_mpi(PREFETCH, tmp_path)
    assert said.splitlines() == [
        "True 199 [40, 31, 22, 13, 4]",
        "False",
        "ValueError True True",
        "0 1 2",
        "True",
    ]
