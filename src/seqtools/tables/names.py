"""Names of functions and classes that are the same in each run."""

import sys
from functools import partial
from pathlib import PurePath
from typing import Any

_MAIN = {"__main__", "__mp_main__"}
"""Names of the module that was run; the second one is that of `multiprocessing` in its workers."""


def name_of(function: Any) -> str:
    """Return the qualified name of `function`, or of its class.

    The module that was run has the name by which others import it.
    """
    if isinstance(function, partial):
        return f"partial({name_of(function.func)})"
    named = function if hasattr(function, "__qualname__") else type(function)
    module = getattr(named, "__module__", None)
    return f"{module_name(module)}.{named.__qualname__}".lstrip(".")


def module_name(module: Any) -> str:
    """Return `module`, a name, or the name of its file if it is the one that was run."""
    if not isinstance(module, str):
        return ""
    if module not in _MAIN or "__main__" not in sys.modules:
        return module
    run = sys.modules["__main__"]
    spec = getattr(run, "__spec__", None)
    if spec is not None:  # by python -m
        return str(spec.name)
    file = getattr(run, "__file__", None)
    return PurePath(file).stem if isinstance(file, str) else module
