"""`make soak` itself: a moment of it."""

import subprocess
import sys

from tests.faults.harness.growth import SLACK, Holding, growth
from tests.faults.harness.repeating import PIPELINES


def test_a_moment_of_it() -> None:
    command = [sys.executable, "-m", "tests.faults.soak", "--seconds=2", "--seed=3"]
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=100)
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    lines = done.stdout.splitlines()
    assert lines[0] == f"==> {len(PIPELINES)} pipelines for 2 s, seed 3"
    assert lines[-1] == "0 defects"


def test_growth_is_from_the_first_third_to_the_last() -> None:
    held = [Holding(k, 10.0 * k, 0.0, 5, 7, 3 + (k > 5)) for k in range(9)]
    assert growth(held) == dict.fromkeys(SLACK, 0) | {"memory": 60.0, "processes": 1}
