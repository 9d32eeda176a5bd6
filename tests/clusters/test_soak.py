"""A short soak; `python -m tests.clusters.soak --seconds 600` is a long one."""

import subprocess
import sys

import pytest

from tests import scripts

LONGEST = 240
"""Seconds for starting all clusters, two rounds on each, and the soak, on a busy machine."""


@pytest.mark.timeout(LONGEST + 30)
def test_soak() -> None:
    """In a process of its own, because there can be one Ray in a process."""
    command = [sys.executable, "-m", "tests.clusters.soak", "--seconds", "15", "--seed", "3"]
    done = subprocess.run(
        command,
        check=False,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=LONGEST,
        env=scripts.environment(),
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " rounds, " in done.stdout
