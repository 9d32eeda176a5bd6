"""Executors of `concurrent.futures`, and what behaves like one: loky, MPI, Dask's own."""

import os
import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import BrokenExecutor, CancelledError, Executor
from contextlib import suppress
from multiprocessing import active_children
from typing import Any

from seqtools._core.display.short import short
from seqtools._core.errors import WorkerStartError, summary
from seqtools.engines.cluster import remote
from seqtools.engines.cluster.costs import GRAIN, cost_of
from seqtools.engines.cluster.kinds import (
    EXECUTOR,
    dask_client,
    is_client,
    is_factory,
    shares_memory,
    size_of,
)
from seqtools.engines.cluster.local import LocalPipeline
from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.cluster.transport import BrokenError, LostError, Notify, Place
from seqtools.engines.resource_errors import start_thread

_ALIGNMENT = 16
"""The address of an array is a multiple of this, as that of memory that is allocated."""
_ADVICE = "; with method=lambda: …, a function that makes an executor, another one is made"
_GRAIN_OF_THREADS = 0.005
"""Seconds that a task should take at least in a pool of threads. Arbitrary: nothing is sent."""
_SECONDS = 0.5
"""Seconds that `close` waits for all calls that cannot be recalled. Arbitrary."""

_LINGER = 0.0, 0.01, 0.03, 0.1
"""Seconds for which `close` keeps workers busy with its calls, so that each of them gets one. Tried
one after the other. Arbitrary."""


class ExecutorTransport:
    """An executor, which whoever made it shuts down.

    An executor does not say which worker makes a call. So a place is only a share of it, and a
    worker that does not have the pipeline answers so.

    Args:
        executor: The executor, unless it is made.
        nworkers: The number of places.
        make: Makes the executor, and another one if that breaks. It is shut down at the end.
    """

    directs = isolates = numbered = ends_items = False

    def __init__(
        self,
        executor: Executor | None,
        nworkers: int,
        make: Callable[[], Executor] | None = None,
    ) -> None:
        self._make = make
        self._executor: Any = executor if make is None else _made(make)
        self.title = title(self._executor)
        self.shares_memory = shares_memory(self._executor)
        self._client = dask_client(self._executor)
        self.turns = self._client is None  # its workers may have several threads
        # otherwise Dask takes calls with the same arguments for one
        self._options = {} if self._client is None else {"pure": False}
        cost = cost_of(EXECUTOR, self._executor)
        self.overhead = cost.seconds if cost is not None else 0.0
        self.grain = _GRAIN_OF_THREADS if self.shares_memory else GRAIN
        self._places = [Place() for _ in range(nworkers)]
        self._size: int | None = None  # its workers, if that is known
        self._futures: dict[int, Any] = {}

    def open(self, shipment: Shipment | None, notify: Notify) -> None:
        """Keep what is needed for calls."""
        self._shipment, self._notify = shipment, notify
        self._size = size_of(EXECUTOR, self._executor)

    def places(self) -> Sequence[Place]:
        """Return as many as it has workers."""
        return self._places

    @property
    def spare(self) -> bool:
        """Whether it has, or may have, more workers than places."""
        return self._size is None or self._size > len(self._places)

    def wanted(self) -> int:
        """Return the number of places."""
        return len(self._places)

    def post(self, place: Place, number: int, call: Any, *, payload: bool) -> None:
        """Submit a call."""
        del place
        notify = self._notify
        if call is None:
            return
        arguments: tuple[Any, ...] = (remote.work, call)
        if self.shares_memory:
            arguments = (LocalPipeline.work, *call)
        elif payload and self._shipment is not None:
            arguments += (self._shipment.payload(),)
        try:
            future = self._executor.submit(*arguments, **self._options)
        except RuntimeError as error:  # also `BrokenExecutor`
            notify(number, error)
            return
        self._futures[number] = future
        future.add_done_callback(lambda future: notify(number, (number, future)))

    def answer(self, came: Any) -> Any:
        """Return the result of a future."""
        if isinstance(came, RuntimeError):
            broken = isinstance(came, BrokenExecutor)
            what = "is broken" if broken else "takes no more work"
            raise BrokenError(f"{self.title} {what}: {came}{_ADVICE}") from came
        number, future = came
        self._futures.pop(number, None)
        try:
            raw = future.result()
        except CancelledError as error:
            message = f"{self.title} takes no more work: a call was cancelled"
            raise BrokenError(message) from error
        except BrokenExecutor as error:
            raise BrokenError(f"{self.title} is broken: {error}{_ADVICE}") from error
        except WorkerStartError:  # of a start hook, in a thread
            raise
        except BaseException as error:
            if type(error).__name__ == "KilledWorker":  # of Dask's executor
                raise LostError(summary(error), deaths=2) from error
            if not isinstance(error, Exception):  # the worker was interrupted, between two items
                raise LostError(summary(error), deaths=0) from error
            raise BrokenError(f"{self.title} failed: {summary(error)}") from error
        return raw

    def own(self, part: Any) -> Any:
        """Return a part itself if it can be written to, or a copy."""
        return writable(part)

    def renew(self) -> bool:
        """Make another executor, if there is a function for that."""
        if self._make is None:
            return False
        with suppress(Exception):
            self._executor.shutdown(wait=False)
        self._futures.clear()
        self._executor = _made(self._make)
        return True

    def end(self, place: Place) -> None:
        """Do nothing: an executor cannot end a call."""

    def ship(self, path: str) -> str:
        """Return how to extend the path of the workers."""
        folder = os.path.dirname(path)
        return f"add its folder to the variable PYTHONPATH of the workers, here {folder!r}"

    def news(self) -> list[str]:
        """Return nothing."""
        return []

    def close(self) -> None:
        """Cancel what has not begun, and have the workers forget the pipeline."""
        futures = [*self._futures.values()]
        for future in futures:
            future.cancel()
        # those of other libraries cannot be waited for by `concurrent.futures.wait`
        until = time.monotonic() + _SECONDS
        for future in futures:
            with suppress(BaseException):
                future.exception(timeout=max(0.0, until - time.monotonic()))
        if self._make is not None:
            with suppress(Exception):
                _end(self._executor, [*futures, *self._futures.values()])
                active_children()  # which forgets those that were killed, and closes their pipes
        elif not self.shares_memory:
            with suppress(Exception):  # it may be broken
                self._evict()
        self._futures.clear()

    def _evict(self) -> None:
        """Have each worker forget the pipeline; which one makes a call is its own choice."""
        if self._shipment is None:
            return
        token, reached = self._shipment.token, set[str]()
        if self._client is not None:  # of Dask, which has one worker make all calls that are short
            self._client.run(remote.evict, token)
            return
        # also workers that have not answered yet may have it
        started = getattr(self._executor, "_processes", None)  # a pool may start more later
        workers = len(started or ()) or size_of(EXECUTOR, self._executor) or len(self._places)
        for linger in _LINGER:
            calls = [self._executor.submit(remote.evict, token, linger) for _ in range(workers)]
            reached |= {future.result(timeout=_SECONDS) for future in calls}
            if len(reached) >= workers:
                break


def _made(make: Callable[[], Any]) -> Any:
    """Return the executor that a function of the user makes.

    Raises:
        WorkerStartError: If it makes something else, or fails.
    """
    try:
        made = make()
    except Exception as error:
        message = f"{short(make)}, which was given as method, failed: {summary(error)}"
        raise WorkerStartError(message) from error
    if is_client(made):
        message = f"{short(make)}, which was given as method, made a Dask client: give the client"
        raise WorkerStartError(message)
    if is_factory(made):
        message = f"{short(make)}, which was given as method, must return an executor, got"
        raise WorkerStartError(f"{message} {short(made)}")
    return made


def _end(executor: Any, futures: list[Any]) -> None:
    """Shut an executor down that is ours; end worker processes that do not come to an end.

    An idle worker may never do so: if another one was killed that held the lock of their queue, and
    the pool is shut down before it has noticed that.
    """
    running = [future for future in futures if not future.done()]
    processes = [*(getattr(executor, "_processes", None) or {}).values()]
    if not processes:
        executor.shutdown(wait=not running)
        return
    ending = threading.Thread(target=executor.shutdown, name="seqtools-shutdown", daemon=True)
    start_thread(ending)
    ending.join(0.0 if running else _SECONDS)
    if ending.is_alive():
        for process in processes:
            process.kill()
        ending.join()


def title(executor: Any) -> str:
    """Return how an executor is called in messages."""
    return f"the {type(executor).__name__.lstrip('_')}"


def writable(part: Any) -> Any:
    """Return memory that arrays may lie in and be assigned to: `part` itself, or a copy."""
    if isinstance(part, bytes):
        return part
    import numpy as np

    array = np.asarray(part)
    if array.flags.writeable and not array.ctypes.data % _ALIGNMENT:
        return part
    return np.array(array, copy=True)
