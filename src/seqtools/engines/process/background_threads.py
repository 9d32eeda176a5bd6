"""Threads that a pipeline starts while it is loaded, and what else a fork would break of it.

A fork takes along the one thread that calls it. What waits in the child for another one, such
as a pool that a module has made when it was imported, waits for ever. So a process that has
other threads is not to be forked from.

Those of Python are not all: libraries have threads that Python does not know. They are found
where the system lists them.
"""

import gc
import importlib
import os
import signal
import sys
import threading
import time
import warnings
from collections import deque
from contextlib import suppress
from typing import Any, Self

from seqtools._core.errors import creation_site

_TASKS = "/proc/self/task"
_ALLOCATORS = frozenset({"jemalloc_bg_thd"})
"""Names of threads that give memory back, for allocators that see to forks. Tried: those of
pyarrow, which pandas imports too, and of polars."""
_REFUSING = (("fsspec.asyn", "AsyncFileSystem"),)
"""Modules and classes whose objects refuse to work in a fork of the process that made them."""
_PATIENCE = 0.05
"""Seconds for a thread that has ended to leave the list of the system. Arbitrary."""
_MOST_NAMES = 4


def others() -> dict[int, str]:
    """Return the threads except the main one and those of allocators: their ids and names."""
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
    """Return whether a fork of this process, from its main thread, lacks nothing.

    It lacks other threads. Some libraries, such as OpenBLAS, end their threads when there is a
    fork, and start them again in both processes: so one is tried.
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
    os.kill(child, signal.SIGKILL)  # what is called in a child by others may wait for ever
    os.waitpid(child, 0)
    deadline = time.monotonic() + _PATIENCE
    while others():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.001)
    return True


def refusing() -> list[str]:
    """Return names of classes of which there are objects that work in no fork of this process."""
    found: set[str] = set()
    for module, name in _REFUSING:
        cls = getattr(sys.modules.get(module), name, None)
        if cls is not None:
            found.update(type(obj).__name__ for obj in gc.get_objects() if isinstance(obj, cls))
    return sorted(found)


class ThreadWatch:
    """Finds the modules that start threads, among those that are imported within.

    Of modules that import each other, it is the innermost one that is not of the standard
    library.
    """

    def __init__(self) -> None:
        self._importing: list[str] = []
        self._modules: dict[int, str | None] = {}  # by thread
        self._thread = 0

    def __enter__(self) -> Self:
        """Begin."""
        self._thread = threading.get_ident()
        self._modules = dict.fromkeys(_ids())
        bootstrap: Any = getattr(importlib, "_bootstrap", None)
        # what is called to load a module that is not there yet, and only then
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
        """Return names of threads by the module that has started them.

        They are those that are still there. Under the empty name are those that no module has
        started when it was imported, but perhaps an object when it was loaded.
        """
        found: dict[str, list[str]] = {}
        for thread, name in others().items():
            found.setdefault(self._modules.get(thread) or "", []).append(name)
        return found

    def reason(self) -> str:
        """Return in words why a fork would break what was loaded."""
        reasons = []
        for module, names in self.found().items():
            what = f"importing {module!r}" if module else "loading the pipeline"
            shown = ", ".join(sorted(set(names))[:_MOST_NAMES])
            threads = "a thread" if len(names) == 1 else f"{len(names)} threads"
            reasons.append(f"{what} starts {threads} ({shown}), which a forked process would lack")
        reasons += [f"{name} of the pipeline refuses to work in a fork" for name in refusing()]
        return "; ".join(reasons) or "loading the pipeline starts threads"

    def _loaded(self, spec: Any) -> Any:
        if threading.get_ident() != self._thread:  # a module may be imported in any thread
            return self._load(spec)  # type: ignore[misc]
        self._note()
        self._importing.append(spec.name)
        try:
            return self._load(spec)  # type: ignore[misc]
        finally:
            self._note()
            self._importing.pop()

    def _note(self) -> None:
        """Take note of threads that are new: what is being imported has started them."""
        for thread in _ids():
            if thread not in self._modules:
                self._modules[thread] = self._module()

    def _module(self) -> str | None:
        for name in reversed(self._importing):
            if name.partition(".")[0] not in sys.stdlib_module_names:
                return name
        return None


class KnownReasons:
    """Why workers load a pipeline for themselves, from one start of them to the next."""

    def __init__(self) -> None:
        self.reason = ""
        """What a worker has found first, empty if there is nothing."""
        self._untold: deque[str] = deque()

    def __bool__(self) -> bool:
        """Return whether they do."""
        return bool(self.reason)

    @property
    def news(self) -> bool:
        """Whether there is something to warn of."""
        return bool(self._untold)

    def add(self, reason: str) -> None:
        """Take what a worker has found; the others find the same."""
        if not self.reason:
            self.reason = reason
            self._untold.append(reason)

    def warn(self) -> None:
        """Warn the reader, who is the caller, of what was not told yet."""
        while self._untold:
            message = (
                f"{self._untold.popleft()}, so each worker process loads the pipeline itself, "
                "which takes more time and memory: to load it once, import or create that in "
                "the function that uses it"
            )
            warnings.warn_explicit(message, RuntimeWarning, *creation_site(), registry=_warned)


_warned: dict[Any, Any] = {}  # what `warnings` needs to warn once where it is told to


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
