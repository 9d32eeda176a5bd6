"""Warnings of an engine, which a reader issues."""

import warnings
from collections import deque
from typing import Any

from seqtools._core.errors import creation_site

_shown: dict[Any, Any] = {}
"""What `warnings` needs to show a warning once for each line."""


class PendingWarnings(deque[str]):
    """Warnings that were not issued yet."""

    def tell(self) -> None:
        """Issue them, in the thread of a reader."""
        while self:
            message = self.popleft()
            warnings.warn_explicit(message, RuntimeWarning, *creation_site(), registry=_shown)
