"""The engine of a prefetch: started when it is needed, and given up when it was interrupted."""

import os
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from threading import current_thread, get_ident, main_thread
from time import perf_counter
from typing import Any

from seqtools.engines.apart import apart
from seqtools.engines.base import END, Engine
from seqtools.engines.green import refuse_green
from seqtools.engines.showing import show_last
from seqtools.errors import Failure, WorkerStartError
from seqtools.prefetching.cursors import Cursor
from seqtools.prefetching.idle import FOREVER, watch
from seqtools.prefetching.load import Load
from seqtools.prefetching.sizes import sample
from seqtools.prefetching.turns import TAKEN, Reception, Turns
from seqtools.prefetching.window import Window

_PATIENCE = 10.0
"""Seconds to wait for a turn. Arbitrary, long against the start of workers: it takes longer
only where finalizers have threads wait for each other in a circle."""
_SOON = 0.1
"""Seconds until the workers are looked after again that could not be. Arbitrary."""
SINGLY = (Failure, type(END))
"""Types of outcomes that are no values."""

_forks = [0]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(0))


class _Birth:
    """An engine that is being made, perhaps for somebody who was interrupted."""

    def __init__(self, make: Callable[[], Engine]) -> None:
        self._make = make
        self.engine: Engine | None = None
        self.wanted = True

    def take_place(self) -> None:
        """Make it, and close it if it is not wanted any more."""
        self.engine = engine = self._make()
        if not self.wanted:
            engine.close(wait=False)


class Supply(Turns):
    """A window, and an engine that evaluates what it plans, for as long as nothing escapes.

    When anything but an outcome leaves the engine, such as a `KeyboardInterrupt`, its
    workers are closed, and what was pending is asked for again, of a new one. Who was
    interrupted sees to that, and who comes next if that was interrupted too.
    """

    def __init__(
        self,
        make_engine: Callable[[], Engine],
        make_window: Callable[[Collection[type]], Window],
        idle_timeout: float | None,
    ) -> None:
        self._make_engine = make_engine
        self._make_window = make_window
        self._idle_timeout = idle_timeout
        self._begin()

    def _begin(self) -> None:
        super().__init__()
        self._window = self._make_window(SINGLY)
        self._engine: Engine | None = None
        self._birth: _Birth | None = None  # of the next one
        self._reception = Reception()
        self._watched = True  # it is known that there are workers
        self._over = False  # the prefetch is gone, or the program ends
        self._used = 0.0  # when an item was read last
        # What was asked for while it was the turn of another, who sees to it
        self._leaving: deque[Cursor] = deque()
        self._closing: deque[bool] = deque()
        self._ending: deque[Engine] = deque()  # engines that are to be closed
        self._forks = len(_forks)

    # From outside

    def leave(self, cursor: Cursor) -> None:
        """Serve a reader no more; may be called by the garbage collector at any time."""
        # when the program ends, modules may be gone; what a forked child has is not its own
        if _forks and self._forks == len(_forks):
            self._leaving.append(cursor)
            self._attend()

    def close(self, *, wait: bool = True, forget: bool = False) -> None:
        """End the workers, and with `forget` drop what they evaluated ahead.

        They start again when an item is read. The end of the prefetch, or of the program,
        does not `wait` for what others do.
        """
        if self._forks != len(_forks):
            return
        self._over = self._over or not wait
        self._closing.append(forget)
        if self._comes_back():
            return  # who was interrupted sees to it
        try:
            self._take_turn(self._tidy, seconds=_PATIENCE if wait else 0)
            self._attend()
            self._end(wait=wait)
            show_last(wait=wait)
        except BaseException:
            self._interrupted()
            raise

    def rest(self) -> float | None:
        """End workers that were idle for long; return when to look again, in seconds."""
        timeout = FOREVER if self._idle_timeout is None else self._idle_timeout
        left = self._take_turn(self._idle, timeout, seconds=0)
        if left is TAKEN:
            return min(timeout, _SOON)  # they are being used, or are being ended just now
        self._attend()
        self._end()
        return left  # type: ignore[no-any-return]

    def load(self) -> Load:
        """Return how far ahead it is and who works, without waiting for a turn."""
        engine = self._engine
        if engine is None or self._forks != len(_forks):
            return Load()
        window = self._window
        return Load(*window.fill(), window.capacity, engine.busy(), engine.nworkers)

    # Between turns

    def _has_news(self) -> bool:
        """Return whether `_comes_back` has to be asked before a turn; that is seldom."""
        return self._reception.wait is not None or self._forks != len(_forks)

    def _comes_back(self) -> bool:
        """Return whether this is code that came in between what this thread does in here."""
        if self._forks != len(_forks):
            self._begin()  # in a forked child neither workers nor locks are usable
        reception = self._reception
        return self._my_turn() or (reception.thread == get_ident() and reception.busy())

    def _serve(self, act: Callable[..., Any], *arguments: Any) -> Any:
        """Return what `act` does in a turn, or `TAKEN`; then do what others have asked for."""
        result = self._take_turn(act, *arguments, seconds=_PATIENCE)
        if self._leaving or self._closing or not self._watched:
            self._attend()
        return result

    def _attend(self) -> None:
        """See to what was asked for while it was somebody's turn."""
        while self._leaving or self._closing:
            closing = bool(self._closing)
            if self._take_turn(self._tidy, seconds=0) is TAKEN:
                return  # who has it does this afterwards
            if closing:
                self._end(wait=False)
        if not self._watched:
            self._watched = watch().add(self, timed=self._idle_timeout is not None)

    def _interrupted(self) -> None:
        """Do at once what the next turn would begin with, and end what it would leave."""
        self._take_turn(self._look_after, seconds=0)
        self._attend()
        self._end(wait=False)

    def _end(self, *, wait: bool = True) -> None:
        """Close the engines that are not used any more."""
        while self._ending:
            engine = self._ending[0]
            try:
                apart(lambda engine=engine: engine.close(wait=wait))  # type: ignore[misc]
            except Exception:
                self._ended(engine)
                raise
            self._ended(engine)

    def _ended(self, engine: Engine) -> None:
        with suppress(ValueError):  # another thread has closed it too
            self._ending.remove(engine)
        watch().look()

    def _is_left_behind(self) -> bool:
        """Return whether the program has ended but for this thread, a daemon."""
        return self._over and not main_thread().is_alive() and current_thread() is not main_thread()

    # In a turn

    def _mend(self) -> None:
        self._drop()

    def _look_after(self) -> None:
        """End a reception that was interrupted."""
        if self._reception.lapsed():
            self._drop()

    def _drop(self, *, forget: bool = False) -> None:
        """Use this engine no more."""
        if self._engine is not None:
            self._ending.append(self._engine)
        if self._birth is not None:  # its start was interrupted
            self._birth.wanted = False
            if self._birth.engine is not None:
                self._ending.append(self._birth.engine)
        self._engine = self._birth = None
        self._reception.end()
        self._window.reset(forget=forget)

    def _tidy(self) -> None:
        """Do what others have asked for."""
        while self._closing:
            self._drop(forget=self._closing[0])
            self._closing.popleft()
        if self._engine is not None:
            self._dispatch(self._engine)
        self._let_go()

    def _let_go(self) -> None:
        while self._leaving:
            self._window.close(self._leaving[0])
            self._leaving.popleft()

    def _idle(self, timeout: float) -> float | None:
        engine = self._engine
        if engine is None:
            return None
        left = timeout if self._reception.busy() else self._used + timeout - perf_counter()
        if left > 0:
            return left
        # told to who reads next; and there is nobody here to whom a warning can be an error
        with suppress(WorkerStartError, RuntimeWarning):
            self._note(engine.receive(wait=False))
        if self._window.pending:
            return timeout
        self._ending.append(engine)
        self._engine = None
        return None

    def _started(self) -> Any:
        if self._engine is None:
            refuse_green(processes=False)
            self._birth = birth = _Birth(self._make_engine)
            apart(birth.take_place)
            self._engine = birth.engine
            self._birth = None
            self._used = perf_counter()
            self._watched = False
        return self._engine

    def _note(self, results: Sequence[tuple[int, Any]]) -> bool:
        """Take note of what arrived, and return whether anything did."""
        if results:
            self._window.received(results)
            self._window.weighed(sample(results))
        return bool(results)

    def _dispatch(self, engine: Engine) -> None:
        self._let_go()
        window = self._window
        unwanted, urgent, ahead = window.plan()
        if unwanted:
            window.cancelled(engine.cancel(unwanted))
        if urgent:
            engine.submit(urgent, first=True)
        if ahead:
            engine.submit(ahead)
