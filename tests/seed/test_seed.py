"""The document that started the project runs as written."""

import ast
import contextlib
import io
import re
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.seed.blocks import COPY, DOCUMENT, Block, blocks

BLOCKS = blocks()
BATCHES = [list(range(200)) * 9 + list(range(10))]
BATCHES = [BATCHES[0][i : i + 64] for i in range(0, 1810, 64)]
"""What the three timed reads must give, by hand."""


@pytest.fixture(scope="module")
def document() -> dict[str, Any]:
    """The namespace of the document, which looks like that of a script to pickle."""
    return {"__name__": "__main__", "seen": [], "run": set()}


def remembered(code: str) -> str:
    """Return `code` with what its loop over batches reads put into `seen`."""
    tree = ast.parse(code)
    for node in ast.walk(tree):
        if isinstance(node, ast.For):
            node.body = ast.parse("seen.append(batch)").body
    return ast.unparse(tree)


def run(number: int, code: str, document: dict[str, Any]) -> None:
    document["run"].add(number)
    exec(compile(code, f"block {number}", "exec"), document)  # noqa: S102 -- the document


@pytest.mark.timeout(60)  # ten files of half a second, and nine seconds of work: as written
@pytest.mark.parametrize("number", range(len(BLOCKS)))
def test_block(number: int, document: dict[str, Any]) -> None:
    block: Block = BLOCKS[number]
    printed = io.StringIO()
    document["seen"].clear()
    for k, earlier in enumerate(BLOCKS[:number]):  # where another process ran these
        if k not in document["run"] and not earlier.timed:
            run(k, earlier.code, document)
    code = remembered(block.code) if block.timed else block.code
    with contextlib.redirect_stdout(printed):
        run(number, code, document)
    if block.timed:
        assert document["seen"] == BATCHES
        assert re.fullmatch(r"\w+ read took [\d.]+\"\n", printed.getvalue())
    else:
        assert printed.getvalue() == block.output


def test_all_blocks_are_found() -> None:
    assert len(BLOCKS) == 12
    assert sum(block.timed for block in BLOCKS) == 3
    assert [block.output for block in BLOCKS].count("") == 7


def test_the_copy_is_the_document() -> None:
    if not DOCUMENT.exists():
        pytest.skip("the document is not beside this checkout: its copy is what was run")
    original = [line.strip() for line in DOCUMENT.read_text().splitlines()]
    copied = [line.strip() for line in COPY.read_text().splitlines()]
    assert [line for line in copied if line not in original] == []


@pytest.mark.timeout(60)
def test_as_a_script_without_a_guard(tmp_path: Path) -> None:
    """The whole document at top level, except the two reads that take ten seconds each.

    Its items take a tenth of their time: how long they take is as written in `test_block`.
    """
    kept = [block.code for block in BLOCKS if not block.timed] + [BLOCKS[-1].code]
    written = "\n".join(kept)
    assert written.count("t1 < 0.005:") == 1
    script = tmp_path / "minibatch_iter.py"
    script.write_text(written.replace("t1 < 0.005:", "t1 < 0.0005:"))
    done = subprocess.run(
        [sys.executable, "-W", "error", str(script)],
        capture_output=True,
        text=True,
        timeout=50,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("1810\n8\n9\nloading file 9 ...\n8\nloading file 9 ...\n9\n")
    assert "multiprocessing read took" in done.stdout
