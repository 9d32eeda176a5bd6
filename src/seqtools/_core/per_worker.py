"""Resources that each worker has for itself."""

import atexit
import functools
import os
import threading
import types
import warnings
import weakref
from collections.abc import Callable
from threading import get_ident
from typing import Any, Generic, ParamSpec, TypeVar

from seqtools._core.checks import check_function
from seqtools._core.display.short import called, short
from seqtools._core.errors import is_exit

P = ParamSpec("P")
R = TypeVar("R")

_inherited: list[dict[Any, Any]] = []
"""What a forked process has from its parent, which may still use it. It is never closed here."""


def per_worker(function: Callable[P, R]) -> Callable[P, R]:
    """Return `function` with a memory of its own in each worker: it opens something once in each.

    The first call in a worker calls `function`; further calls there with equal arguments return
    the same object. A worker is a thread, of any process: that of a prefetch with threads, each
    thread that evaluates items in a worker process, and your own thread where there are no
    workers. So the object is used by one thread only, is never sent to another process, and is not
    inherited by a forked one.

    When a thread ends, as those of a prefetch do when it is closed, the `close` method of what it
    opened is called, if there is one, and so it is for the main thread of a process that ends. A
    process that ends calls nothing for its other threads, and one that is killed nothing at all:
    commit or flush what the function of an item writes. If the returned function itself is deleted
    before the threads end, as one that was made in another function, `close` is called at once, in
    the thread that deletes it: define it at the top of a module for what only its own thread may
    close.

    As a method, it opens something for each instance, and `close` is called when the instance is
    deleted, in the thread that deletes it: keep the instance as long as what it opened is used.
    If the resource refers to the instance, or the class has `__slots__` without `__weakref__`, the
    instance is kept until the thread ends.

    Args:
        function: Opens the resource. It takes hashable arguments or none, and can be a method. If
            it raises, nothing is kept, and the next call tries again.

    Raises:
        TypeError: If `function` cannot be called, or is async: a coroutine can be awaited only
            once.

    Warns:
        RuntimeWarning: When it opens something whose `close` is async, which is never called.

    Example:
        >>> import sqlite3
        >>> from seqtools import prefetch, smap
        >>> @per_worker
        ... def database(path):
        ...     return sqlite3.connect(path)
        >>> def square(x):
        ...     return database(":memory:").execute("select ? * ?", (x, x)).fetchone()[0]
        >>> with prefetch(smap(square, range(4)), nworkers=2, method="thread") as ready:
        ...     list(ready)
        [0, 1, 4, 9]
    """
    check_function(function, "function")
    if _is_async(function):
        message = (
            f"per_worker() needs a function that returns what it opens, got {short(function)}, "
            "which is async: use a plain function, which runs what it awaits in an event loop that "
            "it keeps, as by loop.run_until_complete"
        )
        raise TypeError(message)
    return _PerWorker(function)


class _PerWorker(Generic[P, R]):
    __wrapped__: Callable[P, R]

    def __init__(self, function: Callable[P, R]) -> None:
        functools.update_wrapper(self, function)
        self._here = threading.local()
        self._is_method = False
        self._of_instances = _OfInstances()

    def __call__(self, /, *args: P.args, **kwargs: P.kwargs) -> R:
        here, key_args = self._here, args
        if self._is_method and args:
            own = self._of_instances.get(args[0])
            if own is not None:
                here, key_args = own, args[1:]  # type: ignore[assignment]
        resources: _Resources | None = getattr(here, "resources", None)
        if resources is None or resources.process != os.getpid():
            resources = here.resources = _Resources()
        opened = resources.opened
        try:
            key = key_args, frozenset(kwargs.items())
            if key in opened:
                return opened[key]  # type: ignore[no-any-return] # as this function returned it
        except TypeError:
            _check_hashable(self, [*key_args, *kwargs.values()])
            raise
        resource = opened[key] = self.__wrapped__(*args, **kwargs)
        if _closes_async(resource):
            _warn_of_async_close(self, resource)
        return resource

    def __get__(self, obj: Any, _: type | None = None) -> Any:
        """Return a method of `obj`, as a function in a class does."""
        if obj is None:
            return self
        self._is_method = True
        return types.MethodType(self, obj)

    def __reduce__(self) -> str | tuple[Any, ...]:
        """Pickle it as functions are pickled: by its name, or by value if a worker has none."""
        return getattr(self, "__qualname__", None) or (_PerWorker, (self.__wrapped__,))


class _OfInstances:
    """What threads have opened for instances of a class, as long as these exist.

    An instance is told by its identity: one that is equal may exist longer.
    """

    def __init__(self) -> None:
        self._found: dict[int, tuple[weakref.ref[Any], threading.local]] = {}

    def get(self, instance: object) -> threading.local | None:
        """Return what is kept for `instance`; `None` if it cannot be referred to weakly."""
        found = self._found.get(id(instance))
        if found is None:
            number, all_found = id(instance), self._found

            def forget(reference: Any) -> None:
                if all_found.get(number, (None,))[0] is reference:
                    del all_found[number]  # which closes what threads have opened

            try:
                new = weakref.ref(instance, forget), threading.local()
            except TypeError:
                return None
            found = self._found.setdefault(number, new)  # another thread may have been first
        return found[1]


def _is_async(function: object) -> bool:
    """Return whether a call of `function` makes a coroutine, and does not only return one."""
    import inspect

    call = type(function).__call__ if callable(function) else None
    return any(map(inspect.iscoroutinefunction, (function, call)))


def _closes_async(resource: Any) -> bool:
    try:
        return _is_async(resource.close)
    except Exception:  # noqa: BLE001 -- it has no such method, or is code of users
        return False


def _warn_of_async_close(function: Any, resource: object) -> None:
    message = (
        f"close() of what {called(function)}() opens is async, so per_worker cannot call it, got "
        f"{short(resource)}: return an object whose close() runs it, as by loop.run_until_complete"
    )
    warnings.warn(message, RuntimeWarning, stacklevel=3)


def _check_hashable(function: Any, arguments: list[Any]) -> None:
    for each in arguments:
        try:
            hash(each)
        except TypeError:
            message = (
                f"arguments of {called(function)}() must be hashable because it is per_worker, got "
                f"{short(each)}: {_advice(type(each))}"
            )
            raise TypeError(message) from None


def _advice(kind: type) -> str:
    if getattr(kind, "__hash__", None) is None and hasattr(kind, "__dataclass_fields__"):
        return (
            f"declare {kind.__name__} with @dataclass(eq=False), or with @dataclass(frozen=True) "
            "if all its fields are hashable"
        )
    return "give it what tells resources apart, such as a path"


class _Resources:
    """What one thread has opened; it exists as long as the thread."""

    def __init__(self) -> None:
        self.process, self.thread = os.getpid(), get_ident()
        self.opened: dict[Any, Any] = {}
        _of_all_threads.add(self)
        if self.process not in _processes:
            _processes.add(self.process)
            atexit.register(_close_those_of_this_thread)

    def __del__(self) -> None:
        if self.process == os.getpid():
            self.close()
        else:
            _inherited.append(self.opened)

    def close(self) -> None:
        """Close all, the last one first, and forget them: each is closed once."""
        while self.opened:
            _, resource = self.opened.popitem()
            try:
                ended = resource.close()
                if type(ended) is types.CoroutineType:  # which was told when it was opened
                    ended.close()
            except BaseException as error:  # it has no such method, or cannot be closed
                if is_exit(error):
                    raise


_of_all_threads: weakref.WeakSet[_Resources] = weakref.WeakSet()
_processes: set[int] = set()
"""Processes that close what their main thread has opened when they end."""


def _close_those_of_this_thread() -> None:
    """Close what this thread has opened: others may still use theirs."""
    here = os.getpid(), get_ident()
    for resources in list(_of_all_threads):
        if (resources.process, resources.thread) == here:
            resources.close()
