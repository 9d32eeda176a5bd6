"""Which stage is at work, told while it is: for an item over which a worker has died.

What fails leaves a traceback, what dies does not. So when such an item is evaluated
again, the path to each function of the user's is told before the function is called. That
takes some 20 µs a call, which is why it is not done before there was a death.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

from seqtools._core import errors
from seqtools._core.errors import Step, path_to


def watched(
    get: Callable[[int], Any], tell: Callable[[tuple[Step, ...]], object]
) -> Callable[[int], Any]:
    """Return `get`, made to `tell` the path of each stage that is going to call user code."""

    def watching(i: int) -> Any:
        last: tuple[Step, ...] = ()

        def look(frame: FrameType, event: str, _: object) -> None:
            nonlocal last
            if event == "call":
                path = path_to(frame, end=watching.__code__)
            elif event == "c_call":
                path = path_to(frame, end=watching.__code__, calling=True)
            else:
                return
            if path and path != last:
                last = path
                tell(path)

        errors.singly = True
        sys.setprofile(look)
        try:
            return get(i)
        finally:
            sys.setprofile(None)
            errors.singly = False

    return watching
