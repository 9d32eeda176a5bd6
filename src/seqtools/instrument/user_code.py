"""Finds the user's code that raised an exception."""

import functools
import os
import sysconfig
from collections.abc import Iterator
from traceback import FrameSummary
from types import TracebackType

from seqtools._core.error_path import is_ours

_LIBRARIES = (f"{os.sep}site-packages{os.sep}", f"{os.sep}dist-packages{os.sep}")


def blame(error: BaseException) -> FrameSummary | None:
    """Return the innermost line of user code in the traceback of `error`, if there is one."""
    links = _users(error)
    if not links:
        return None
    code = links[-1].tb_frame.f_code
    return FrameSummary(code.co_filename, links[-1].tb_lineno, code.co_qualname)


def post_mortem(error: BaseException) -> None:
    """Open `pdb` for `error` in the innermost frame of user code, or else where it was raised."""
    import pdb  # noqa: T100 -- asked for

    trace: TracebackType | None = None
    for link in reversed(_users(error)):
        trace = TracebackType(trace, link.tb_frame, link.tb_lasti, link.tb_lineno)
    pdb.post_mortem(trace or error.__traceback__)


def _users(error: BaseException) -> list[TracebackType]:
    """Return the frames from the pipeline's call of user code to the innermost user code.

    There are none if the pipeline called a compiled function or a library.
    """
    links = list(_links(error))
    ours = [k for k, link in enumerate(links) if is_ours(link.tb_frame.f_code.co_filename)]
    after = links[ours[0] :] if ours else links
    begun = [k for k, link in enumerate(after) if is_users(link.tb_frame.f_code.co_filename)]
    return after[begun[0] : begun[-1] + 1] if begun else []


def _links(error: BaseException) -> Iterator[TracebackType]:
    link = error.__traceback__
    while link is not None:
        yield link
        link = link.tb_next


def is_users(file: str) -> bool:
    """Return whether code in `file` is the user's: not ours, a library's or Python's."""
    installed = file.startswith(_installed()) or any(part in file for part in _LIBRARIES)
    return not installed and not is_ours(file)


@functools.cache
def _installed() -> tuple[str, ...]:
    """Return the folders of Python and of installed packages."""
    paths = sysconfig.get_paths()
    names = ("stdlib", "platstdlib", "purelib", "platlib")
    return ("<frozen ", *(paths[name] + os.sep for name in names))
