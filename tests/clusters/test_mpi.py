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
