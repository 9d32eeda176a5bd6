"""The Ray that this process is connected to: that of the user, or one that is ours.

There can be one at a time in a process. If it is ours, all prefetches share it, and the last one
that is closed ends it. What Ray would print about deaths, the errors of items say.
"""

import logging
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.cluster.kinds import refuse_ray_client
from seqtools.engines.cluster.transport import BrokenError
from seqtools.engines.resource_errors import start_thread

_SETTINGS = {
    "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",  # items may use all devices, as in local processes
    "RAY_USAGE_STATS_ENABLED": "0",  # otherwise Ray sends them, and prints that it does
}
"""Variables of the environment while a Ray is started, unless they are set."""
_LONGEST_END = 20.0
"""Seconds to wait for the end of a Ray that is ours. Arbitrary: it takes 2."""


class RayConnection:
    """A use of the connection of this process.

    Args:
        identity: See `_identity`.
        is_local: Whether Ray was started for the prefetches of this process.
        release: Called at the end of this use.
    """

    def __init__(
        self, identity: str, *, is_local: bool = False, release: Callable[[], object] = lambda: None
    ) -> None:
        self.is_local = is_local
        self._identity, self._release = identity, release
        self._released = False

    @property
    def holds(self) -> bool:
        """Whether this process is still connected, to the same Ray."""
        return bool(self._identity) and _identity() == self._identity

    def release(self) -> None:
        """End the connection if it is ours, and nobody else uses it."""
        if not self._released:
            self._released = True
            self._release()


def connect(num_cpus: int) -> RayConnection:
    """Return the connection of this process, to RAY_ADDRESS or a local Ray unless there is one.

    Args:
        num_cpus: The processors that a Ray has that is started.

    Raises:
        BrokenError: If that is not possible.
        WorkerStartError: If no thread can be started.
    """
    try:
        refuse_ray_client()
    except ValueError as error:
        raise BrokenError(str(error)) from error
    while True:
        with _lock:
            owner = _owner[0] if _owner else None
            if owner is None or (owner.started.is_set() and not owner.holds):
                if identity := _identity():
                    return RayConnection(identity)
                owner = _Owner(num_cpus)
                owner.start()
                _owner[:] = [owner]
            if not owner.ending.is_set():
                owner.users += 1
                break
        owner.ended.wait()
    try:
        owner.started.wait()
    except BaseException:
        owner.release()
        raise
    if owner.error is not None:
        owner.release()
        raise owner.error
    return RayConnection(owner.identity, is_local=owner.is_local, release=owner.release)


_lock = threading.Lock()


class _Owner:
    """A connection that is ours, in a thread that makes it and ends it.

    The kernel ends the processes of a Ray with the thread that has started them, because Ray asks
    it to. And Ray leaves the handlers of signals alone in another thread than the main one.
    """

    def __init__(self, num_cpus: int) -> None:
        address = os.environ.get("RAY_ADDRESS", "")
        self.is_local = address in {"", "local"}
        self._options: dict[str, Any] = {"address": "auto"}
        self._what = f"RAY_ADDRESS={address} cannot be connected to"
        if self.is_local:
            self._options = {"address": "local", "num_cpus": num_cpus, "include_dashboard": False}
            self._what = "a local Ray cannot be started"
        self.users = 0
        self.identity = ""
        self.error: BrokenError | None = None
        self.started, self.ending, self.ended = (
            threading.Event(),
            threading.Event(),
            threading.Event(),
        )

    @property
    def holds(self) -> bool:
        """Whether this process still has this connection."""
        return bool(self.identity) and _identity() == self.identity

    def start(self) -> None:
        """Begin to connect."""
        start_thread(threading.Thread(target=self._run, name="seqtools-ray", daemon=True))

    def release(self) -> None:
        """Note that there is one user less; after the last one, wait for the end."""
        with _lock:
            self.users -= 1
            if self.users:
                return
            self.ending.set()
        self.ended.wait(_LONGEST_END)

    def _run(self) -> None:
        import ray

        try:
            with _quietly(), _settings():
                ray.init(configure_logging=False, log_to_driver=False, **self._options)
            self.identity = _identity()
            _silence(silent=True)
        except BaseException as error:  # noqa: BLE001 -- raised where it was asked for
            self.error = BrokenError(f"{self._what}: {summary(error)}")
            self.error.__cause__ = error
        self.started.set()
        self.ending.wait()
        with suppress(Exception), _quietly():
            if self.holds or self.error is not None:  # it may have been connected to half
                ray.shutdown()
        with _lock:
            if _owner == [self]:
                _owner.clear()
                _silence(silent=False)
        self.ended.set()


_owner: list[_Owner] = []
"""That of the connection of this process, if it is ours."""


def _identity() -> str:
    """Return what names the connection of this process, empty if there is none."""
    ray = sys.modules.get("ray")
    if ray is None or not ray.is_initialized():
        return ""
    try:
        return str(ray.get_runtime_context().get_worker_id())
    except Exception:  # noqa: BLE001 -- it was ended at this moment
        return ""


@contextmanager
def _quietly() -> Iterator[None]:
    """Have Ray log nothing but errors."""
    logger = logging.getLogger("ray")
    before = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(before)


@contextmanager
def _settings() -> Iterator[None]:
    added = {name: value for name, value in _SETTINGS.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


_PRINTS = "print_to_stdstream"
_printing: list[Any] = []


def _silence(*, silent: bool) -> None:
    """Have Ray print nothing about workers that have died; it does so in spite of its options."""
    worker = sys.modules.get("ray._private.worker")
    if silent and not _printing and hasattr(worker, _PRINTS):
        _printing.append(getattr(worker, _PRINTS))
        setattr(worker, _PRINTS, _print_nothing)
    elif not silent and _printing:
        setattr(worker, _PRINTS, _printing.pop())


def _print_nothing(*_: object, **__: object) -> None:
    """Take the place of a function of Ray that prints."""
