"""Functions that were registered for the end of a process: by `atexit`, and finalizers.

A process of ours ends by `os._exit`, because it must not run what it has inherited: a finalizer of
the consumer would delete a temporary directory that the consumer still uses. So a worker forgets
what it has inherited, and calls what was registered since.
"""

import atexit
import logging
import sys
import weakref
from typing import Any

# The standard library has no other names for these, which multiprocessing uses too.
_finalize: Any = weakref.finalize
_handlers: list[Any] = getattr(logging, "_handlerList")  # noqa: B009
_clear, _run = getattr(atexit, "_clear"), getattr(atexit, "_run_exitfuncs")  # noqa: B009


def forget_inherited() -> None:
    """Forget the functions of the process from which this one was forked."""
    _clear()
    vars(_finalize)["_registry"].clear()
    _finalize._registered_with_atexit = False  # noqa: SLF001 -- the next finalizer does that again
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        vars(util)["_finalizer_registry"].clear()
    _handlers.clear()  # their buffers are of that process, too
    atexit.register(logging.shutdown)


def run_exit_functions() -> None:
    """Call the functions that were registered since, the last one first.

    An error in one of them is printed. Children that `multiprocessing` has started are not waited
    for: others end them.
    """
    util: Any = sys.modules.get("multiprocessing.util")
    if util is not None:
        atexit.unregister(vars(util)["_exit_function"])  # it would wait for children
    _run()
    if util is not None:
        vars(util)["_run_finalizers"]()
