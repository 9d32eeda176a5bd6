"""The example that finds, replaces and lists bad files."""

from pathlib import Path

import pytest

from tests.scripts import run

SCRIPT = Path(__file__).parents[2] / "examples" / "bad_files.py"


@pytest.mark.timeout(120)
def test_found_replaced_and_listed(tmp_path: Path) -> None:
    done = run(str(SCRIPT), "--folder", str(tmp_path), timeout=100)
    assert done.returncode == 0, done.stderr
    lines = [line.strip() for line in done.stdout.splitlines()]
    assert "302.jpg: UnidentifiedImageError" in lines
    assert "440.jpg: WorkerDied" in lines
    assert "replaced while reading: [57, 181, 302, 440]" in lines
    assert "25 batches, and all have 20 images" in lines
    assert lines[-1] == "the batches are the same, and no worker has died"
