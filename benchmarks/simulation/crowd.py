"""An executor with any number of workers, which are all played by one process.

It receives real calls and returns real answers, but nothing is evaluated for as long as items take:
items move a clock of their own, and the answer is held back until that time has passed. So the
reader, its engine and its messages are those of a thousand workers, on a machine with two
processors.
"""

import heapq
import itertools
import multiprocessing
import threading
import time
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, Future
from multiprocessing.connection import Connection
from typing import Any
from unittest import mock


class Crowd(Executor):
    """So many workers, in one other process."""

    def __init__(self, workers: int) -> None:
        self._max_workers = workers
        self._numbers = itertools.count()
        self._futures: dict[int, Future[Any]] = {}
        context = multiprocessing.get_context("spawn")
        self._connection, theirs = context.Pipe()
        self._process = context.Process(target=play, args=(theirs, workers), daemon=True)
        self._process.start()
        self.pid = self._process.pid or 0
        theirs.close()
        self._thread = threading.Thread(target=self._receive, daemon=True)
        self._thread.start()

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        """Have a function called by a worker."""
        number, future = next(self._numbers), Future[Any]()
        future.set_running_or_notify_cancel()
        self._futures[number] = future
        self._connection.send((number, fn, args, kwargs))
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002 -- as it is
        """End the other process."""
        del wait, cancel_futures
        self._process.terminate()
        self._process.join()
        self._thread.join()
        self._connection.close()

    def _receive(self) -> None:
        while True:
            try:
                number, result = self._connection.recv()
            except (EOFError, OSError):
                return
            self._futures.pop(number).set_result(result)


class Virtual:
    """The clock of items."""

    now = 0.0

    @classmethod
    def read(cls) -> float:
        """Return its time in seconds."""
        return cls.now

    @classmethod
    def sleep(cls, seconds: float) -> None:
        """Move it: one process that slept for a thousand workers would take minutes."""
        cls.now += seconds


class Pass:
    """The function of the pipeline: moves the clock of items, and returns by how much."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __call__(self, i: int) -> float:
        """Return the seconds that the item takes."""
        del i
        Virtual.now += self.seconds
        return self.seconds


def play(connection: Connection, workers: int) -> None:
    """Be so many workers."""
    read, sleep = Virtual.read, Virtual.sleep
    with mock.patch.object(time, "perf_counter", read), mock.patch.object(time, "sleep", sleep):
        _play(connection, workers)


def _play(connection: Connection, workers: int) -> None:
    due: list[tuple[float, int, Any]] = []
    waiting = deque[tuple[int, Any, Any, Any]]()

    def begin() -> None:
        number, call, args, kwargs = waiting.popleft()
        began, before = time.monotonic(), Virtual.now
        result = call(*args, **kwargs)
        heapq.heappush(due, (began + Virtual.now - before, number, result))

    while True:
        left = max(0.0, due[0][0] - time.monotonic()) if due else None
        if connection.poll(left):
            try:
                waiting.append(connection.recv())
            except EOFError:
                return
        while due and due[0][0] <= time.monotonic():
            _, number, result = heapq.heappop(due)
            connection.send((number, result))
        while waiting and len(due) < workers:
            begin()
