"""Switches off each branch that repairs something, in turn: a test has to notice.

        python -m tests.faults.mutants [NAME ...]

A mutant is a copy of the package in which one thing was changed. The tests that it names are
run on it, and if all of them pass, that branch could be deleted and nobody would know.
"""

import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

from tests.faults.mutations import MUTANTS, Mutant

ROOT = Path(__file__).parents[2]
PACKAGE = ROOT / "src" / "seqtools"
SECONDS = 300
"""How long the tests of a mutant may take; many hang, and are ended one by one by pytest."""


def made(mutant: Mutant, folder: Path) -> None:
    """Copy the package to `folder`, and change there what `mutant` says.

    Raises:
        LookupError: If what it changes is not there exactly once.
    """
    shutil.copytree(PACKAGE, folder / "seqtools", ignore=shutil.ignore_patterns("__pycache__"))
    file = folder / "seqtools" / mutant.file
    text = file.read_text()
    if text.count(mutant.old) != 1:
        message = f"{mutant.name}: {mutant.file} has {text.count(mutant.old)} times {mutant.old!r}"
        raise LookupError(message)
    file.write_text(text.replace(mutant.old, mutant.new))


def notices(mutant: Mutant) -> tuple[bool, str]:
    """Return whether a test fails on `mutant`, and which."""
    with tempfile.TemporaryDirectory() as folder:
        made(mutant, Path(folder))
        command = [sys.executable, "-m", "pytest", "-x", "-q", "-p", "no:cacheprovider"]
        command += ["-o", "timeout=20", "-o", "faulthandler_timeout=40", "--tb=no"]
        command += [f"tests/{test}" for test in mutant.tests]
        environment = os.environ | {"PYTHONPATH": folder, "SEQTOOLS_MUTANT": folder}
        process = subprocess.Popen(
            command,
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )
        try:
            said, _ = process.communicate(timeout=SECONDS)
        except subprocess.TimeoutExpired:
            said = "the tests took too long"
        _kill_all(f"SEQTOOLS_MUTANT={folder}".encode())
        process.wait()
        told = [line for line in said.splitlines() if line.startswith(("FAILED", "ERROR"))]
        return process.returncode != 0, told[0] if told else said.strip()[-200:]


def _kill_all(mark: bytes) -> None:
    """Kill what a mutant has left behind."""
    for name in filter(str.isdigit, os.listdir("/proc")):
        with suppress(OSError):
            if mark in Path(f"/proc/{name}/environ").read_bytes().split(b"\0"):
                os.kill(int(name), signal.SIGKILL)


def main(names: list[str]) -> int:
    """Return how many mutants no test notices."""
    chosen = [m for m in MUTANTS if not names or any(name in m.name for name in names)]
    survivors = []
    began = time.monotonic()
    with ThreadPoolExecutor(max(2, len(os.sched_getaffinity(0)))) as pool:
        for mutant, (noticed, told) in zip(chosen, pool.map(notices, chosen), strict=True):
            print(f"{'noticed ' if noticed else 'SURVIVES'}  {mutant.name}: {told}", flush=True)
            if not noticed:
                survivors.append(mutant)
    took = time.monotonic() - began
    print(f"{len(chosen)} mutants, {len(survivors)} that no test notices, {took:.0f} s")
    return len(survivors)


if __name__ == "__main__":
    sys.exit(min(1, main(sys.argv[1:])))
