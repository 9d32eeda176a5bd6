"""Every Python example of README.md and docs/ runs and prints what it says.

A fenced block of Python is a session when it has prompts, and a program otherwise. The
blocks of a file run in order and share their names, as they do for who reads it.
"""

import doctest
import logging
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
FILES = sorted(path.relative_to(ROOT) for path in [ROOT / "README.md", *ROOT.glob("docs/**/*.md")])

FENCE = re.compile(
    r"^(?P<mark>```+|:::+)(?P<language>python|pycon)\n(?P<code>.*?)^(?P=mark)$",
    re.MULTILINE | re.DOTALL,
)


def run(text: str, name: str) -> int:
    """Return the number of blocks that ran, or fail with what was printed instead.

    Args:
        text: A document in Markdown.
        name: Its file name, for messages.
    """
    # The names of a script: what it defines can be sent to workers.
    names = {"__name__": "__main__"}
    count = 0
    for count, block in enumerate(FENCE.finditer(text), 1):  # noqa: B007
        line = text.count("\n", 0, block.start("code"))
        if ">>> " in block["code"]:
            _run_session(block["code"], names, name, line)
        else:
            exec(compile("\n" * line + block["code"], name, "exec"), names)  # noqa: S102
    return count


def _run_session(code: str, names: dict[str, str], name: str, line: int) -> None:
    session = doctest.DocTestParser().get_doctest(code, names, name, name, line)
    runner = doctest.DocTestRunner(verbose=False)
    report: list[str] = []
    runner.run(session, out=report.append, clear_globs=False)
    names.update(session.globs)
    if report:
        pytest.fail("".join(report), pytrace=False)


@pytest.fixture
def loggers() -> Iterator[None]:
    """Take away handlers that a page has added: they keep all names of the page."""
    yield
    for logger in logging.root.manager.loggerDict.values():
        if isinstance(logger, logging.Logger):
            logger.handlers.clear()


@pytest.mark.usefixtures("loggers")
@pytest.mark.parametrize("path", FILES, ids=str)
def test_examples(path: Path) -> None:
    run((ROOT / path).read_text(), str(path))


def test_blocks_share_their_names() -> None:
    text = "```python\nx = 1\n```\n\nand\n\n```python\n>>> x + 1\n2\n```\n"
    assert run(text, "sample.md") == 2


def test_wrong_output_is_noticed() -> None:
    with pytest.raises(pytest.fail.Exception, match=r'File "sample.md", line 4'):
        run("# Sample\n\n```pycon\n>>> 1 + 1\n3\n```\n", "sample.md")


def test_wrong_program_is_noticed() -> None:
    with pytest.raises(ZeroDivisionError):
        run("```python\n1 / 0\n```\n", "sample.md")
