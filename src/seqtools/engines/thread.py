"""Items evaluated by threads of this process."""

import contextvars
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

from seqtools.engines.base import AHEAD, END, PAUSE, here
from seqtools.engines.hooks import call_hook
from seqtools.errors import EndOfSequence, Failure, WorkerStartError

_PATIENCE = 0.5
"""Seconds to wait for threads that evaluate an item, before they are abandoned."""


class ThreadEngine:
    """Threads that take indices from one queue: the one that is free takes the next."""

    def __init__(
        self,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Callable[..., object] | None = None,
        hints: Any = None,
    ) -> None:
        self._get = get
        self._hints = hints
        self._hook = start_hook
        self._queue: deque[int] = deque()
        self._done: deque[tuple[int, Any]] = deque()
        self._fatal: WorkerStartError | None = None
        self._closed = False
        self._awake = threading.Condition(threading.Lock())  # of workers, for the queue
        self._idle = 0
        self._called = False
        self._arrived = threading.Event()  # of who receives
        self._receiving = False
        self._doing: list[int | None] = [None] * nworkers
        self._threads = [
            threading.Thread(
                target=contextvars.copy_context().run,
                args=(self._work, number),
                name=f"seqtools-{number}",
                daemon=True,
            )
            for number in range(nworkers)
        ]
        for thread in self._threads:
            thread.start()

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others that wait if `first`."""
        if first:
            self._queue.extendleft(reversed(indices))
        else:
            self._queue.extend(indices)
        if self._idle and not self._called:
            self._called = True  # once is enough, until they have woken
            with self._awake:
                self._awake.notify_all()

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that no thread has begun."""
        unwanted = set(indices)
        dropped = set()
        kept = []
        while True:  # threads go on taking from the queue meanwhile
            try:
                i = self._queue.popleft()
            except IndexError:
                break
            if i in unwanted:
                dropped.add(i)
            else:
                kept.append(i)
        if kept:
            self.submit(kept)
        return dropped

    def receive(self) -> list[tuple[int, Any]]:
        """Return what is done, waiting for at least one item; nothing after `close`."""
        done = self._done
        if not done:
            self._receiving = True  # before the queue is looked at again: none is missed
            while not (done or self._closed or self._fatal):
                self._arrived.wait(PAUSE)
                self._arrived.clear()
            self._receiving = False
        if self._fatal is not None:
            raise self._fatal
        results = []
        while done:
            results.append(done.popleft())
        return results

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, give threads a moment to end the item they are at."""
        self._closed = True
        self._queue.clear()
        if self._hints is not None:
            self._hints.end()
        self._arrived.set()
        with self._awake:
            self._awake.notify_all()
        if not wait:
            return
        deadline = time.monotonic() + _PATIENCE
        for number, thread in enumerate(self._threads):
            if thread.ident == threading.get_ident():
                continue
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                message = (
                    f"thread {thread.name} is still evaluating item {self._doing[number]} and "
                    "cannot be stopped: it was left to end by itself"
                )
                warnings.warn(message, RuntimeWarning, stacklevel=2)

    def _work(self, number: int) -> None:
        here.get = self._get
        try:
            if self._hook is not None:
                call_hook(self._hook, number)
        except BaseException as error:  # noqa: BLE001 -- told to the reader
            self._fatal = WorkerStartError(f"start_hook failed in thread {number}: {error!r}")
            self._fatal.__cause__ = error
            self._arrived.set()
            return
        get, queue, done = self._get, self._queue, self._done
        while not self._closed:
            try:
                i = queue.popleft()
            except IndexError:
                if not self._rest():
                    return
                continue
            self._doing[number] = i
            if self._hints is not None:
                self._hint(i)
            outcome: Any
            try:
                outcome = get(i)
            except EndOfSequence:
                outcome = END
            except BaseException as error:  # noqa: BLE001 -- told to the reader
                outcome = Failure.caught(error)
            self._doing[number] = None
            done.append((i, outcome))
            del outcome  # the reader alone decides how long a value lives
            if self._receiving and not self._arrived.is_set():
                self._arrived.set()

    def _hint(self, i: int) -> None:
        with suppress(RuntimeError):  # the queue changed meanwhile: the next one tells again
            self._hints([i, *islice(self._queue, AHEAD)])

    def _rest(self) -> bool:
        """Wait for the queue to be filled; return False if the engine is closed."""
        with self._awake:
            # Before the queue is looked at again, so that no call is missed: who calls has
            # filled the queue before, and gets the lock only when this thread waits.
            self._idle += 1
            self._called = False
            try:
                while not self._queue and not self._closed:
                    self._awake.wait()
                    self._called = False
            finally:
                self._idle -= 1
        return not self._closed
