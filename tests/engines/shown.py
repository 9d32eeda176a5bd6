"""A standard output to print to, and to look at."""

import contextlib
import io
from collections.abc import Iterator
from typing import Any


@contextlib.contextmanager
def shown(stream: Any = None) -> Iterator[Any]:
    """Give `stream`, or one in memory, which is the standard output of this process meanwhile."""
    with contextlib.redirect_stdout(io.StringIO() if stream is None else stream) as out:
        yield out


def say(*words: object, end: str = "\n", flush: bool = False) -> None:
    """Print `words`, which in a test is no leftover."""
    print(*words, end=end, flush=flush)  # noqa: T201


def lines_of(out: io.StringIO) -> list[str]:
    """Return what was printed, all of it whole lines."""
    text = out.getvalue()
    assert not text or text.endswith("\n")
    return text.splitlines()
