"""Threads that a pipeline starts while it is loaded, and other things that a fork would break.

A fork contains only the thread that calls it. Anything in the child that waits for another thread,
such as a pool that a module has made when it was imported, waits forever. So a process with other
threads must not be forked. Libraries also have threads that Python does not know; these are found
if the system lists them.
"""

import gc
import importlib
import os
import signal
import sys
import threading
import time
import warnings
from contextlib import suppress
from typing import Any, Self

_TASKS = "/proc/self/task"
_ALLOCATORS = frozenset({"jemalloc_bg_thd"})
"""Names of threads of allocators, which handle forks. Tried: pyarrow, which pandas imports, and
polars."""
_REFUSING = (("fsspec.asyn", "AsyncFileSystem"),)
"""Modules and classes whose objects refuse to work in a fork."""
_PATIENCE = 0.05
"""Seconds for a thread that has ended to leave the list of the system. Arbitrary."""
_MOST_NAMES = 4


def others() -> dict[int, str]:
    """Return ids and names of the threads, except the main thread and those of allocators."""
    known = {thread.native_id: thread.name for thread in threading.enumerate()}
    main = os.getpid()
    found = {}
    for thread in _ids():
        if thread != main:
            name = known.get(thread) or _name(thread)
            if name not in _ALLOCATORS:
                found[thread] = name
    return found


def forkable() -> bool:
    """Return whether a fork of this process works.

    This tries a fork if there are threads, because some libraries, such as OpenBLAS, end their
    threads before a fork, and start them again in both processes.
    """
    if refusing():
        return False
    if not others():
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            child = os.fork()
    except OSError:
        return False
    if child == 0:
        os._exit(0)
    os.kill(child, signal.SIGKILL)  # functions that libraries call in a child may hang
    os.waitpid(child, 0)
    deadline = time.monotonic() + _PATIENCE
    while others():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def refusing() -> list[str]:
    """Return the names of classes that have objects which refuse to work in a fork."""
    found: set[str] = set()
    for module, name in _REFUSING:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None:
            found.update(type(obj).__name__ for obj in gc.get_objects() if isinstance(obj, cls))
    return sorted(found)


def _hidden(function: Any) -> Any:
    """Return `function` as a part of `importlib`, which Python leaves out of tracebacks."""
    function.__code__ = function.__code__.replace(co_filename="<frozen importlib._bootstrap>")
    return function


class ThreadWatch:
    """Finds the modules that start threads, among those that are imported in its block.

    If they import each other, the innermost one counts that is not in the standard library.
    """

    def __init__(self) -> None:
        self._importing: list[str] = []
        self._modules: dict[int, str | None] = {}  # by thread

    def __enter__(self) -> Self:
        """Begin."""
        self._modules = dict.fromkeys(_ids())
        bootstrap: Any = getattr(importlib, "_bootstrap", None)
        # called only to load a module that is not imported yet
        self._load = load = getattr(bootstrap, "_load_unlocked", None)
        if load is not None:
            bootstrap._load_unlocked = self._loaded  # noqa: SLF001 -- there is no public place
        return self

    def __exit__(self, *_: object) -> None:
        """End."""
        if self._load is not None:
            importlib._bootstrap._load_unlocked = self._load  # type: ignore[attr-defined] # noqa: SLF001
        self._note()

    def found(self) -> dict[str, list[str]]:
        """Return the names of threads that still run, by the module whose import started them.

        The empty name stands for threads that were started otherwise, such as by an object.
        """
        found: dict[str, list[str]] = {}
        for thread, name in others().items():
            found.setdefault(self._modules.get(thread) or "", []).append(name)
        return found

    def reason(self) -> str:
        """Return the reason why a fork would break the pipeline."""
        reasons = []
        for module, names in self.found().items():
            what = f"importing {module!r}" if module else "loading the pipeline"
            shown = ", ".join(sorted(set(names))[:_MOST_NAMES])
            threads = "a thread" if len(names) == 1 else f"{len(names)} threads"
            reasons.append(f"{what} starts {threads} ({shown}), which a forked process would lack")
        reasons += [f"{name} of the pipeline refuses to work in a fork" for name in refusing()]
        return "; ".join(reasons) or "loading the pipeline starts threads"

    @_hidden
    def _loaded(self, spec: Any) -> Any:
        self._note()
        self._importing.append(spec.name)
        try:
            return self._load(spec)  # type: ignore[misc]
        finally:
            self._note()
            self._importing.pop()

    def _note(self) -> None:
        """Attribute new threads to the module that is being imported."""
        for thread in _ids():
            if thread not in self._modules:
                self._modules[thread] = self._module()

    def _module(self) -> str | None:
        for name in reversed(self._importing):
            if name.partition(".")[0] not in sys.stdlib_module_names:
                return name
        return None


class KnownReasons:
    """Why each worker loads the pipeline itself, which the next start needs to know."""

    reason = ""
    """Empty if it does not, or is not known."""

    def __bool__(self) -> bool:
        """Return whether each worker loads the pipeline."""
        return bool(self.reason)


def _ids() -> list[int]:
    try:
        return [int(thread) for thread in os.listdir(_TASKS)]
    except OSError:  # the system does not tell
        return [thread.native_id or 0 for thread in threading.enumerate()]


def _name(thread: int) -> str:
    with (
        suppress(OSError),
        open(f"{_TASKS}/{thread}/comm", encoding="utf-8", errors="replace") as f,
    ):
        return f.read().strip()
    return "ended"
