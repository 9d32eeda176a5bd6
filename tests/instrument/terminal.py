"""A terminal in memory, and the bars that are open."""

import io
from typing import Any

from tqdm.std import tqdm


class Terminal(io.StringIO):
    """A file that bars take for a terminal."""

    def isatty(self) -> bool:
        return True

    def shown(self) -> list[str]:
        """Return what was on the line of the bar, one after the other."""
        return [text for text in self.getvalue().split("\r") if text.strip()]


def bars() -> list[Any]:
    """Return the bars that are open."""
    return list(getattr(tqdm, "_instances", ()))
