"""The example that is killed and resumed comes to the same weights, bit for bit."""

import ast
import re
import signal
from pathlib import Path

import pytest

from tests.scripts import run

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "digits.py"
SHORT = ("--epochs", "3", "--least-accuracy", "0.8")  # of 44 steps each; a checkpoint every 40


def train(folder: Path, *options: str, code: int = 0) -> str:
    """Return what the example prints, run with `options` until it ends with `code`."""
    done = run(str(SCRIPT), "--folder", str(folder), *SHORT, *options, timeout=50)
    assert done.returncode == code, done.stderr
    return str(done.stdout)


def weights(printed: str) -> str:
    (digest,) = re.findall(r"^weights (\w{16})$", printed, re.MULTILINE)
    return str(digest)


@pytest.mark.timeout(120)
def test_killed_and_resumed(tmp_path: Path) -> None:
    train(tmp_path, "--resume", code=1)  # from nothing
    expected = train(tmp_path)

    train(tmp_path, "--kill-at", "10", code=-signal.SIGKILL)
    assert not (tmp_path / "checkpoint.npz").exists()
    killed = train(tmp_path, "--kill-at", "100", code=-signal.SIGKILL)
    assert re.findall(r"^epoch (\d)", killed, re.MULTILINE) == ["0", "1"]
    resumed = train(tmp_path, "--resume", "--nworkers", "1")
    assert "resumed at step 80\n" in resumed
    assert weights(resumed) == weights(expected)
    assert resumed.splitlines()[1:3] == expected.splitlines()[1:3]  # the accuracies of two epochs

    finished = train(tmp_path, "--resume", "--nworkers", "0")  # inline
    assert "resumed at step 120\n" in finished
    assert weights(finished) == weights(expected)


def functions(text: str) -> dict[str, str]:
    """Return the functions of a program without annotations and docstrings."""
    found: dict[str, str] = {}
    for node in ast.parse(text).body:
        if isinstance(node, ast.FunctionDef):
            if ast.get_docstring(node):
                del node.body[0]
            node.returns = None
            for argument in node.args.args:
                argument.annotation = None
            found[node.name] = ast.unparse(node)
    return found


def test_the_page_shows_the_functions_of_the_example() -> None:
    page = (ROOT / "docs" / "training.md").read_text()
    blocks = re.findall(r"^```python\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    shown, there = functions("".join(blocks)), functions(SCRIPT.read_text())
    common = {"load", "augment", "make_run"}
    assert common <= shown.keys()
    assert {name: shown[name] for name in common} == {name: there[name] for name in common}
