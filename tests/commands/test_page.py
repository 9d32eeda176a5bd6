"""What docs/seeing.md and README.md show is what is printed, save for the times."""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqtools.__main__ import main

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "seeing.md").read_text()
README = (ROOT / "README.md").read_text()


def blocks(text: str, language: str) -> list[str]:
    return re.findall(rf"^```{re.escape(language)}\n(.*?)^```$", text, re.MULTILINE | re.DOTALL)


def timeless(text: str) -> list[str]:
    return re.sub(r" +[\d.]+ (µs|ms|s)\b", " TIME", text).split("\n")


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "train.py").write_text(blocks(PAGE, "python")[0])
    yield tmp_path
    for name in set(sys.modules) - before:
        if name == "train":
            del sys.modules[name]


@pytest.mark.parametrize(
    ("number", "status", "command"),
    [
        (0, 0, "show train.py:ready"),
        (1, 0, "explain train.py:ready 2"),
        (2, 1, "explain train.py:samples 137"),
        (4, 0, "show train.py:samples --format mermaid"),
    ],
)
def test_the_page_shows_what_is_printed(
    number: int, status: int, command: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(command.split()) == status
    assert timeless(capsys.readouterr().out) == timeless(blocks(PAGE, "text")[number])


def test_the_page_shows_the_tree_of_a_notebook(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["show", "train.py:ready", "--format", "html"]) == 0
    [shown] = blocks(PAGE, "{raw} html")
    assert capsys.readouterr().out.replace(f"{folder}/", "") == shown


def test_the_drawing_of_the_readme_is_that_of_the_page(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "train.py:ready", "--format", "mermaid"]) == 0
    [drawn] = blocks(README, "mermaid")
    assert capsys.readouterr().out == drawn
