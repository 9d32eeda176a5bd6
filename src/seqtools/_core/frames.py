"""The frames that threads are running."""

import gc
import sys
from types import FrameType


def current_frames() -> dict[int, FrameType]:
    """Return the frame that each thread runs now, by the number of the thread.

    Before Python 3.12, this could wait for itself forever if objects were collected in the middle
    of it: https://github.com/python/cpython/issues/106883.
    """
    if sys.version_info >= (3, 12) or not gc.isenabled():
        return sys._current_frames()  # noqa: SLF001 -- documented under this name
    gc.disable()
    try:
        return sys._current_frames()  # noqa: SLF001
    finally:
        gc.enable()
