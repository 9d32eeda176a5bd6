"""What an engine leaves is told from what other programs hold."""

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from multiprocessing.shared_memory import SharedMemory

import pytest

from seqtools.testing import holding
from tests import leaks

ORPHAN = """\
import os, sys
from multiprocessing import resource_tracker
from multiprocessing.shared_memory import SharedMemory

if os.fork():
    os._exit(0)  # so that the other one is no descendant of whoever has started this
memory = SharedMemory(sys.argv[1], create=True, size=10)
print(flush=True)
sys.stdin.read()
memory.close()
memory.unlink()
resource_tracker._resource_tracker._stop()
"""


@contextmanager
def memory_of_another_program(name: str) -> Iterator[None]:
    with subprocess.Popen(
        [sys.executable, "-c", ORPHAN, name], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdout
        process.wait()
        assert process.stdout.readline() == b"\n"
        yield
        process.communicate()  # closes the input, at which the other one ends


@pytest.fixture(autouse=True)
def _no_grace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(holding, "GRACE", 0.0)


def test_memory_of_others_is_not_left() -> None:
    name = f"{leaks.LEFT}{os.getpid()}-others"
    before = holding.held()
    with memory_of_another_program(name):
        found = holding.held() - before
        assert f"shared memory {name}" in found
        assert not [each for each in holding.left(before) if "memory" in each]


def test_memory_of_this_program_is_left() -> None:
    before = holding.held()
    memory = SharedMemory(f"{leaks.LEFT}{os.getpid()}-own", create=True, size=10)
    try:
        assert f"shared memory {memory.name}" in holding.left(before)
    finally:
        memory.close()
        memory.unlink()
    assert holding.left(before) == []
