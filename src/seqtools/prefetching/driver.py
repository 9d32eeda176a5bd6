"""Between the window, which decides, and an engine, which evaluates."""

import os
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

from seqtools.engines.base import END, Engine
from seqtools.errors import EndOfSequence, Failure
from seqtools.prefetching.window import MISSING, Cursor, Window

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
        self, make_engine: Callable[[], Engine], inline: Callable[[int], Any], capacity: int
    ) -> None:
        self._make_engine = make_engine
        self.inline = inline
        self._capacity = capacity
        self._begin()

    def _begin(self) -> None:
        self._forks = len(_forks)
        self._window = Window(self._capacity)
        self._engine: Engine | None = None
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._receiving = False
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
            finally:
                self._lock.release()

    def read(self, cursor: Cursor, i: int) -> Any:
        """Return item `i`, and see to it that those behind it are evaluated.

        Raises:
            EndOfSequence: If the source, without known length, has no item `i`.
            EvaluationError: If user code failed.
        """
        if self._forks != len(_forks):
            self.open(cursor)
        with self._lock:
            outcome = self._window.take(cursor, i)
            while outcome is MISSING:
                engine = self._engine
                if engine is not None and engine.owns_this_thread():
                    break  # no worker may wait for what only itself might evaluate
                self._step(cursor)
                outcome = self._window.take(cursor, i)
            if self._engine is not None:
                self._dispatch(self._engine)
        if outcome is MISSING:
            cursor.needs = None
            return self.inline(i)
        if outcome is END:
            self._window.ended(i)
            raise EndOfSequence
        if isinstance(outcome, Failure):
            outcome.throw()
        return outcome

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

    def _step(self, cursor: Cursor) -> None:
        """Receive outcomes, or wait for another thread that does; the lock is held."""
        try:
            engine = self._engine
            if engine is None:
                engine = self._engine = self._make_engine()
            self._dispatch(engine)
            if self._receiving:
                self._changed.wait()
                return
            self._receiving = True
            self._lock.release()
            try:
                results = engine.receive()
            finally:
                self._lock.acquire()
                self._receiving = False
                self._changed.notify_all()
            if engine is self._engine:
                self._window.received(results)
        except BaseException:
            cursor.needs = None
            engine, self._engine = self._engine, None
            self._window.reset()
            if engine is not None:
                engine.close(wait=False)
            raise

    def _dispatch(self, engine: Engine) -> None:
        while self._leaving:
            self._window.close(self._leaving.popleft())
        unwanted, urgent, ahead = self._window.plan()
        if unwanted:
            self._window.cancelled(engine.cancel(unwanted))
            if not ahead:  # there may be room now
                _, more, ahead = self._window.plan()
                urgent += more
        if urgent:
            engine.submit(urgent, first=True)
        if ahead:
            engine.submit(ahead)
