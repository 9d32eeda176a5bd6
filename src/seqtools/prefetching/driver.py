"""Between the window, which decides, and an engine, which evaluates."""

import os
import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any

from seqtools.engines.base import END, PAUSE, Engine, here
from seqtools.errors import EndOfSequence, Failure, WorkerStartError
from seqtools.prefetching.cursors import Cursor, Follower, Gatherer
from seqtools.prefetching.idle import FOREVER, watch
from seqtools.prefetching.lending import MISSING
from seqtools.prefetching.sizes import sample
from seqtools.prefetching.window import Window

_BRISK_SECONDS = 0.001
"""Longest time between visits of a reader who is given more each time. Arbitrary: long
against the 5 µs of a visit, short against what a reader notices."""
_PART = 4
"""The window is so many times what is given to a reader at once."""
_SINGLY = (Failure, type(END))

_forks = [0]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(0))


class Driver:
    """Serves readers of one prefetch, from any thread.

    One of the waiting readers receives from the engine, the others wait for it. When
    anything but an outcome leaves the engine, such as a `KeyboardInterrupt`, its
    workers are closed and what was pending is asked for again, of a new one.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        make_window: Callable[[Collection[type]], Window],
        inline: Callable[[int], Any],
        idle_timeout: float | None,
    ) -> None:
        self._make_engine = make_engine
        self._idle_timeout = idle_timeout
        self._make_window = make_window
        self.inline = inline
        self._begin()

    def _begin(self) -> None:
        self._forks = len(_forks)
        self._window = self._make_window(_SINGLY)
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._receiving = False
        self._used = 0.0  # when an item was read last
        self._leaving: deque[Cursor] = deque()

    def open(self, cursor: Cursor) -> None:
        """Begin to serve a reader."""
        if self._forks != len(_forks):
            self._begin()  # in a forked child neither workers nor locks are usable
        with self._lock:
            self._window.open(cursor)

    def leave(self, cursor: Cursor) -> None:
        """Serve a reader no more; may be called by the garbage collector at any time."""
        self._leaving.append(cursor)
        if self._lock.acquire(blocking=False):  # else who holds it sees to it
            try:
                if self._engine is not None:
                    self._dispatch(self._engine)
            except BaseException:
                self._discard()
                raise
            finally:
                self._lock.release()

    def read(self, cursor: Cursor, i: int) -> Any:
        """Return item `i`, and see to it that those behind it are evaluated.

        Raises:
            EndOfSequence: If the source, without known length, has no item `i`.
            EvaluationError: If user code failed.
        """
        return self.settle(i, self._read(cursor, lambda: self._window.take(cursor, i)))

    def read_any(self, cursor: Gatherer) -> tuple[int, Any]:
        """Return an index that `cursor` is still to read, and what `settle` needs of it."""
        i = -1

        def take() -> Any:
            nonlocal i
            i, outcome = self._window.take_any(cursor)
            return outcome

        outcome = self._read(cursor, take)
        return i, outcome

    def settle(self, i: int, outcome: Any) -> Any:
        """Return the value of item `i`, or raise what its outcome says.

        Raises:
            EndOfSequence: If the source, without known length, has no item `i`.
            EvaluationError: If user code failed.
        """
        if outcome is MISSING:
            return self.inline(i)
        if outcome is END:
            self._window.ended(i)
            raise EndOfSequence
        if isinstance(outcome, Failure):
            outcome.throw()
        return outcome

    def _read(self, cursor: Cursor, take: Callable[[], Any]) -> Any:
        if self._forks != len(_forks):
            self._begin()
        with self._lock:
            try:
                return self._await(cursor, take)
            except BaseException:
                cursor.needs = None
                self._discard()
                raise

    def aim(self, cursor: Follower, indices: Sequence[int]) -> None:
        """Evaluate `indices` ahead for a reader, who has said that they come next."""
        with self._lock:
            try:
                cursor.aim(indices)
                self._window.aimed()
                self._dispatch(self._started())
            except BaseException:
                self._discard()
                raise

    def close(self, *, wait: bool = True, forget: bool = False) -> None:
        """End the workers, and with `forget` drop what they evaluated ahead.

        They start again when an item is read.
        """
        if self._forks != len(_forks):
            return
        with self._lock:
            engine, self._engine = self._engine, None
            self._window.reset(forget=forget)
        if engine is not None:
            engine.close(wait=wait)
            watch().look()

    def rest(self) -> float | None:
        """End workers that were idle for long; return when to look again, in seconds."""
        timeout = FOREVER if self._idle_timeout is None else self._idle_timeout
        if not self._lock.acquire(blocking=False):
            return timeout  # they are being used
        try:
            engine = self._engine
            if engine is None:
                return None
            left = timeout if self._receiving else self._used + timeout - perf_counter()
            if left > 0:
                return left
            with suppress(WorkerStartError):  # told to who reads next
                self._note(engine.receive(wait=False))
            if self._window.pending:
                return timeout
            self._engine = None
        finally:
            self._lock.release()
        engine.close()
        return None

    def _started(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
            self._used = perf_counter()
            watch().add(self, timed=self._idle_timeout is not None)
        return self._engine

    def _await(self, cursor: Cursor, take: Callable[[], Any]) -> Any:
        """Return what `take` does, `MISSING` to a worker only, which may not wait for itself."""
        away = perf_counter() - cursor.left
        outcome = take()
        while outcome is MISSING:
            if getattr(here, "get", None) is self.inline:
                cursor.needs = None
                break
            engine = self._started()
            self._dispatch(engine)
            if self._receiving:
                self._changed.wait(PAUSE)
            elif not self._note(engine.receive(wait=False)):
                self._window.starved()
                self._dispatch(engine)
                self._receive(engine)
            outcome = take()
        self._lend(cursor, away)
        if self._engine is not None:
            self._dispatch(self._engine)
        cursor.left = self._used = perf_counter()
        return outcome

    def _lend(self, cursor: Cursor, away: float) -> None:
        """Have a reader who comes again and again take several items at a time.

        What it has taken and not read is not yet replaced, so it is a part of the window
        only, and nothing to one who takes time for each item.
        """
        part = self._window.capacity // _PART
        if away > _BRISK_SECONDS:
            cursor.brisk //= 2
        elif cursor.brisk < part:
            cursor.brisk = 2 * cursor.brisk + 1
        if cursor.brisk > 1:
            self._window.lend(cursor, min(cursor.brisk, part))

    def _receive(self, engine: Engine) -> None:
        """Wait for outcomes, without the lock, on behalf of all readers."""
        self._receiving = True
        try:
            self._lock.release()
            results = engine.receive()
        finally:
            self._lock.acquire()
            self._receiving = False
            self._changed.notify_all()
        if engine is self._engine:
            self._note(results)

    def _note(self, results: Sequence[tuple[int, Any]]) -> bool:
        """Take note of what arrived, and return whether anything did."""
        if results:
            self._window.received(results)
            self._window.weighed(sample(results))
        return bool(results)

    def _discard(self) -> None:
        """Have a new engine begin with what is pending: something escaped from this one."""
        engine, self._engine = self._engine, None
        self._window.reset()
        if engine is not None:
            engine.close(wait=False)
            watch().look()

    def _dispatch(self, engine: Engine) -> None:
        while self._leaving:
            self._window.close(self._leaving.popleft())
        window = self._window
        unwanted, urgent, ahead = window.plan()
        if unwanted:
            window.cancelled(engine.cancel(unwanted))
        if urgent:
            engine.submit(urgent, first=True)
        if ahead:
            engine.submit(ahead)
