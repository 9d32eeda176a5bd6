"""The program that worker processes are: it has to be Python, and nothing else.

What is started as workers is given code to run, as `python -c code`. A program that takes no
notice of that, such as one that was frozen together with Python, or one that embeds
it, would do what it always does, start workers too, and so on. So nothing is started of which it
is not known that it is an interpreter; and to start it in order to find out is what must not be.
"""

import os
import re
import sys
from typing import Any

from seqtools._core.errors import WorkerStartError

_PYTHON = re.compile(
    r".*(python|pypy|graalpy|hython|mayapy)w?[\d.]*[dmt]{0,2}([-_](dbg|debug|c|d|intel64))?(\.exe)?",
    re.IGNORECASE,
)
"""Names of interpreters, such as python3.13t, pythonw.exe, python3-dbg, pypy-c, and pvpython."""


def executable() -> str:
    """Return the path of the interpreter that this process is.

    That is `sys.executable`, or if this is no interpreter, what was set by
    `multiprocessing.set_executable`.

    Raises:
        WorkerStartError: If neither is one.
    """
    refused = _refused()
    if refused is None:
        return sys.executable
    named = _named()
    if named is not None and named != sys.executable and os.path.exists(named):
        return named
    message = (
        f"worker processes cannot start: {refused}; use method='thread', or start_method='fork' "
        "where this system has it, or name a Python of the same version that has the same "
        "packages: multiprocessing.set_executable('/path/of/python')"
    )
    raise WorkerStartError(message)


def _refused() -> str | None:
    """Return why `sys.executable` must not be started; `None` if it may be."""
    path: Any = sys.executable
    frozen = _frozen()
    if frozen is not None:
        return f"this is a frozen program ({frozen}), and {path!r} would run it again"
    if not path:
        return f"the interpreter is unknown, because sys.executable is {path!r}"
    if _is_python(path):
        return None
    return f"sys.executable is {path!r}, which seems to be a program that embeds Python"


def _frozen() -> str | None:
    """Return what marks this as a program that was frozen together with Python."""
    # PyInstaller, cx_Freeze, py2exe, py2app
    frozen = getattr(sys, "frozen", None)
    if frozen:
        return f"sys.frozen is {frozen!r}"
    if getattr(sys, "oxidized", False):
        return "sys.oxidized is set, by PyOxidizer"
    # A module that was compiled alone is imported by an interpreter as any other.
    compiled = getattr(sys.modules.get("__main__"), "__compiled__", None)
    if compiled is not None and getattr(compiled, "standalone", True):
        return "__compiled__ is set, by Nuitka"
    return None


def _is_python(path: str) -> bool:
    """Return whether `path`, or what it is a link to, has the name of an interpreter."""
    names = {os.path.basename(path), os.path.basename(os.path.realpath(path))}
    return any(_PYTHON.fullmatch(name) for name in names)


def _named() -> str | None:
    """Return the interpreter that the user has named, if there is one."""
    spawn: Any = sys.modules.get("multiprocessing.spawn")  # or nobody has named one
    named = None if spawn is None else spawn.get_executable()
    return os.fsdecode(named) if named else None
