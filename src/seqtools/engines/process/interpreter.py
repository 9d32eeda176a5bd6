"""Finds the interpreter that worker processes run.

Workers are started as `python -c code`. A program that ignores such arguments, because it is frozen
together with Python or embeds it, would run again from its beginning, start workers again, and so
on without end. So only programs are started that are known to be interpreters.
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
    """Return the path of an interpreter.

    It is `sys.executable`, or else the path that was set by `multiprocessing.set_executable`.

    Raises:
        WorkerStartError: If neither is an interpreter.
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
    """Return the sign that this program was frozen together with Python, if it was."""
    # PyInstaller, cx_Freeze, py2exe, py2app
    frozen = getattr(sys, "frozen", None)
    if frozen:
        return f"sys.frozen is {frozen!r}"
    if getattr(sys, "oxidized", False):
        return "sys.oxidized is set, by PyOxidizer"
    # An interpreter imports a module that was compiled alone, like any other module.
    compiled = getattr(sys.modules.get("__main__"), "__compiled__", None)
    if compiled is not None and getattr(compiled, "standalone", True):
        return "__compiled__ is set, by Nuitka"
    return None


def _is_python(path: str) -> bool:
    """Return whether `path`, or the target of this link, has the name of an interpreter."""
    names = {os.path.basename(path), os.path.basename(os.path.realpath(path))}
    return any(_PYTHON.fullmatch(name) for name in names)


def _named() -> str | None:
    """Return the interpreter that was set in `multiprocessing`, if any."""
    spawn: Any = sys.modules.get("multiprocessing.spawn")
    named = None if spawn is None else spawn.get_executable()
    return os.fsdecode(named) if named else None
