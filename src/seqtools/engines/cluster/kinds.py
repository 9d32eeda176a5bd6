"""What users may pass as `method=` besides a name, and whether it can be used."""

import importlib.util
import os
import sys
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

from seqtools._core.display.short import short

EXECUTOR, THREADS, DASK, RAY = "executor", "thread executor", "dask", "ray"
"""Names of methods: see `engines/methods.py`."""

_NEEDS = {DASK: "distributed", RAY: "ray"}
"""The packages that methods need, which are the extras of this one."""


def kind_of(method: object) -> str | None:
    """Return the name of the method for an object, `None` if it cannot be one.

    A function is taken for a factory of executors.

    Raises:
        TypeError: If it is the class of an executor, or an asynchronous client.
        ValueError: If it was closed.
    """
    from concurrent.futures import Executor  # which takes as long to import as half of the package

    if isinstance(method, type):
        if issubclass(method, Executor):
            name = method.__name__
            message = f"method must be an executor, got its class: give {name}(…), or a function"
            raise TypeError(f"{message} that makes one, such as lambda: {name}(4)")
        if is_client_class(method):
            raise TypeError("method must be a Dask client, got its class: give Client(…)")
        return None
    if _is_dask_cluster(method):
        message = f"method must be a client, got a cluster, {short(method)}: give Client(cluster)"
        raise TypeError(message)
    if is_client(method):
        _check_client(method)
        return DASK
    if _is_like_executor(method):
        if has_ended(method):
            what = f"{short(method)} was shut down, or is broken: give another executor"
            raise ValueError(f"{what}, or a function that makes one")
        client = dask_client(method)
        if client is not None and not getattr(method, "_kwargs", {}).get("workers"):
            _check_client(client)  # which can do more than its executor
            return DASK
        return THREADS if shares_memory(method) else EXECUTOR
    if not callable(method):
        return None
    _check_factory(method)
    return EXECUTOR


def _check_factory(make: Callable[..., object]) -> None:
    """Raise an error if a function cannot be called without arguments.

    Raises:
        TypeError: If it cannot.
    """
    import inspect

    with suppress(ValueError):  # it has no signature
        try:
            inspect.signature(make).bind()
        except TypeError as error:
            message = f"method must be a function without arguments, got {short(make)}: {error}"
            raise TypeError(message) from None


def check_installed(name: str) -> None:
    """Raise an error if a method needs a package that is not installed.

    Raises:
        ImportError: It has the line that installs the package.
    """
    package = _NEEDS.get(name)
    if package is None or package in sys.modules:
        return
    if importlib.util.find_spec(package) is None:
        message = f"method={name!r} needs the package {package}: python -m pip install {package}"
        raise ModuleNotFoundError(message, name=package)


def is_factory(method: object) -> bool:
    """Return whether an object that `kind_of` has named makes executors, and is none."""
    return not _is_like_executor(method)


def shares_memory(executor: object) -> bool:
    """Return whether the workers of an executor are threads of this interpreter."""
    import concurrent.futures
    from concurrent.futures import ThreadPoolExecutor

    interpreters = getattr(concurrent.futures, "InterpreterPoolExecutor", ())
    return isinstance(executor, ThreadPoolExecutor) and not isinstance(executor, interpreters)


def size_of(name: str, where: Any) -> int | None:
    """Return how many items can be evaluated at a time, `None` if that is not known.

    Args:
        name: The name of the method.
        where: The executor or the client, if it is one.
    """
    if name == RAY:
        refuse_ray_client()
        ray = sys.modules.get("ray")
        if ray is not None and ray.is_initialized():
            return max(1, int(ray.cluster_resources().get("CPU", 1)))
        return None
    if where is None:
        return None
    if name == DASK:
        where = dask_client(where) or where
        threads: Mapping[str, int] = where.nthreads()
        return max(1, sum(threads.values()))  # the first may come later
    return _size_of_executor(where)


def refuse_ray_client() -> None:
    """Raise an error if Ray is used through Ray Client, as far as that is known.

    Raises:
        ValueError: If it is.
    """
    address = os.environ.get("RAY_ADDRESS", "")
    client = sys.modules.get("ray.util.client")
    connected = client is not None and client.ray.is_connected()
    if connected or address.startswith("ray://"):
        message = (
            f"method='ray' cannot use Ray Client, {address or 'ray.init(<ray://…>)'}: all items "
            "would go through a single proxy. Run this program on a machine of the cluster, such "
            "as by `ray job submit`, and connect by ray.init()"
        )
        raise ValueError(message)


def has_ended(executor: Any) -> bool:
    """Return whether an executor was shut down, as far as it tells."""
    flags = getattr(executor, "_flags", None)  # of loky
    if flags is not None:
        return bool(getattr(flags, "shutdown", False))
    return any(getattr(executor, name, False) is True for name in ("_shutdown", "_shutdown_thread"))


def _size_of_executor(executor: Any) -> int | None:
    for name in ("_max_workers", "max_workers"):
        found = getattr(executor, name, None)
        if isinstance(found, int) and found > 0:
            return found
    client = dask_client(executor)
    if client is not None:
        return sum(client.nthreads().values()) or None
    found = getattr(executor, "num_workers", None)  # of mpi4py, once it has started
    return found if isinstance(found, int) and found > 0 else None


def dask_client(executor: Any) -> Any:
    """Return the client of an executor of Dask, `None` if it is of another kind."""
    client = getattr(executor, "_client", None)
    return client if is_client(client) else None


def is_client(method: object) -> bool:
    """Return whether an object is a Dask client."""
    return is_client_class(type(method))


def is_client_class(cls: type) -> bool:
    """Return whether a class is that of a Dask client."""
    client = getattr(sys.modules.get("distributed"), "Client", None)
    return client is not None and issubclass(cls, client)


def _is_dask_cluster(method: object) -> bool:
    cluster = getattr(sys.modules.get("distributed.deploy.cluster"), "Cluster", None)
    return cluster is not None and isinstance(method, cluster)


def _check_client(client: Any) -> None:
    if client.asynchronous:
        message = (
            "the Dask client is asynchronous, so nobody can wait for it in this thread: give "
            "Client(…, asynchronous=False)"
        )
        raise TypeError(message)
    if client.status != "running":
        raise ValueError(f"the Dask client is {client.status}: give a client that is connected")


def _is_like_executor(method: Any) -> bool:
    return callable(getattr(method, "submit", None)) and callable(getattr(method, "shutdown", None))
