"""`import seqtools` is quick because of what it does not import."""

import subprocess
import sys

PROGRAM = """
import sys
before = set(sys.modules)
import seqtools
print(*set(sys.modules) - before)
"""

SLOW = {"asyncio", "cloudpickle", "multiprocessing", "numpy", "tqdm"}


def imported(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_imports() -> None:
    names = imported(PROGRAM)
    assert "seqtools._core.sequence" in names
    assert not names & SLOW


def test_what_would_be_noticed() -> None:
    assert imported(PROGRAM + "import numpy\nprint(*set(sys.modules) - before)") & SLOW
