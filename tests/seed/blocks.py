"""The code blocks of the document that started the project, and what it says they print."""

import re
import textwrap
from dataclasses import dataclass
from pathlib import Path

DOCUMENT = Path(__file__).parents[3] / "shared" / "seed" / "minibatch_iterator.rst"
"""Where the document lies beside a checkout; the copy of its code serves where it does not."""
COPY = Path(__file__).with_name("minibatch_iterator.txt")

_DIRECTIVE = re.compile(
    r"^\.\. (testcode|testoutput)::\n((?:   :.*\n)*)\n((?:(?:   .*)?\n)+)", re.MULTILINE
)


@dataclass
class Block:
    """A block of code."""

    code: str
    output: str | None = None
    """What it must print, `None` if that depends on the machine."""
    timed: bool = False
    """Whether what it prints is a time."""


def blocks() -> list[Block]:
    """Return the blocks in order, `time.clock` replaced, which Python removed."""
    text = (DOCUMENT if DOCUMENT.exists() else COPY).read_text()
    found: list[Block] = []
    for kind, options, body in _DIRECTIVE.findall(text):
        content = textwrap.dedent(body).strip("\n") + "\n"
        if kind == "testcode":
            found.append(Block(content.replace("time.clock", "time.process_time"), ""))
        else:
            found[-1].timed = "SKIP" in options
            found[-1].output = None if found[-1].timed else content
    return found
