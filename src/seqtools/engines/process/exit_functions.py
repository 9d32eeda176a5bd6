"""Functions that were registered for the end of a process: by `atexit`, and finalizers.

A process of ours ends by `os._exit`, because it must not run what it has inherited: a finalizer of
the consumer would delete a temporary directory that the consumer still uses. So it forgets what it
has inherited, and calls what was registered since.
"""

import atexit
import logging
import sys
import weakref


def forget_inherited() -> None:
    """Forget the functions that the process has registered from which this one was forked."""
    atexit._clear()  # noqa: SLF001 -- as multiprocessing does
    finalize: type = weakref.finalize
    finalize._registry.clear()  # type: ignore[attr-defined]
    finalize._registered_with_atexit = False  # type: ignore[attr-defined] # by the next finalizer
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        util._finalizer_registry.clear()
    logging._handlerList.clear()  # type: ignore[attr-defined] # noqa: SLF001 -- it would flush them
    atexit.register(logging.shutdown)


def run_exit_functions() -> None:
    """Call the functions that were registered since, the last one first.

    An error in one of them is printed. Children that `multiprocessing` has started are not waited
    for: others end them.
    """
    util = sys.modules.get("multiprocessing.util")
    if util is not None:
        atexit.unregister(util._exit_function)  # it would wait for children
    atexit._run_exitfuncs()  # noqa: SLF001 -- as multiprocessing does
    if util is not None:
        util._run_finalizers()
