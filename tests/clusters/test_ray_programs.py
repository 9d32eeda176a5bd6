"""Programs that start a Ray of their own, or have one started."""

import subprocess
import sys
from typing import Any

import pytest

from tests import scripts

SHARED = """
import os, ray, seqtools, signal, threading, time
if __name__ == "__main__":
    assert not ray.is_initialized()
    first = seqtools.prefetch(seqtools.smap(abs, range(-50, 0)), 2, "ray")
    second = seqtools.prefetch(seqtools.smap(abs, range(-50, 0)), 3, "ray")
    assert list(zip(first, second)) == [(i, i) for i in range(50, 0, -1)]
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL
    first.close()
    assert ray.is_initialized()
    assert list(second) == list(range(50, 0, -1))
    second.close()
    assert not ray.is_initialized()
    while threading.active_count() > 1:
        time.sleep(0.01)

    def die(i):
        os._exit(1)

    third = seqtools.prefetch(seqtools.smap(die, range(1)), 1, "ray")
    try:
        third[0]
    except seqtools.EvaluationError as error:
        assert isinstance(error.__cause__, seqtools.WorkerDied), error.__cause__
    else:
        raise AssertionError
    # left open
"""


SHUT_DOWN = """
import ray, seqtools
if __name__ == "__main__":
    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    with seqtools.prefetch(seqtools.smap(abs, range(100_000)), method="ray") as ready:
        items = iter(ready)
        assert next(items) == 0
        ray.shutdown()
        try:
            list(items)
        except seqtools.WorkerStartError as error:
            assert str(error).startswith("Ray was shut down"), error
        else:
            raise AssertionError
        ray.init(num_cpus=1, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
        assert list(ready) == list(range(100_000))
    assert ray.is_initialized()
"""
HIDDEN = """
import os, sys
sys.path.insert(0, "hidden")
import helpers, ray, seqtools
if __name__ == "__main__":
    with seqtools.prefetch(seqtools.smap(helpers.double, range(9)), 1, "ray") as ready:
        assert list(ready) == [2 * i for i in range(9)]
    os.environ["RAY_ADDRESS"] = "ray://127.0.0.1:1"
    try:
        seqtools.prefetch([1], 1, "ray")
    except ValueError as error:
        assert "cannot use Ray Client, ray://127.0.0.1:1: all items would" in str(error)
    else:
        raise AssertionError
"""


@pytest.mark.parametrize("text", [SHARED, SHUT_DOWN, HIDDEN], ids=["shared", "shut down", "hidden"])
def test_programs_with_a_ray_of_their_own(text: str, tmp_path: Any) -> None:
    program = tmp_path / "program.py"
    program.write_text(text)
    (tmp_path / "hidden").mkdir()
    (tmp_path / "hidden" / "helpers.py").write_text("def double(i): return 2 * i")
    done = subprocess.run(
        [sys.executable, str(program)],
        cwd=tmp_path,
        env=scripts.environment(RAY_ADDRESS=None),
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert (done.stdout, done.stderr, done.returncode) == ("", "", 0)
