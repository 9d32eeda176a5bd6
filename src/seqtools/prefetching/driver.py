"""Between the window, which decides, and an engine, which evaluates."""

import os
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from queue import Empty
from threading import get_ident
from time import perf_counter
from typing import Any

from seqtools.engines.base import END, PAUSE, Engine, here
from seqtools.errors import EndOfSequence, Failure, WorkerStartError
from seqtools.prefetching.cursors import Cursor, Follower, Gatherer
from seqtools.prefetching.idle import FOREVER, watch
from seqtools.prefetching.lending import MISSING, take_back
from seqtools.prefetching.sizes import sample
from seqtools.prefetching.turns import TAKEN, Reception, Turns, Wait
from seqtools.prefetching.window import Window

_BRISK_SECONDS = 0.001
"""Longest time between visits of a reader who is given more each time. Arbitrary: long
against the 5 µs of a visit, short against what a reader notices."""
_PART = 4
"""The window is so many times what is given to a reader at once."""
_PATIENCE = 10.0
"""Seconds to wait for a turn. Arbitrary, long against the start of workers: it takes longer
only where finalizers have threads wait for each other in a circle."""
_SINGLY = (Failure, type(END))
_WAIT: Any = object()
"""Stands for an outcome that is to be waited for."""

_forks = [0]
if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _forks.append(0))


class Driver(Turns):
    """Serves readers of one prefetch, from any thread.

    One of the waiting readers receives from the engine, the others wait for it. When
    anything but an outcome leaves the engine, such as a `KeyboardInterrupt`, its
    workers are closed and what was pending is asked for again, of a new one. Who was
    interrupted sees to that, and who comes next if that was interrupted too.

    Signal handlers and finalizers, which come in between, may do anything with the
    prefetch: what they read is evaluated on the spot, and what else they ask for is done
    by who was interrupted.
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
        self._window = self._make_window(_SINGLY)
        self._engine: Engine | None = None
        super().__init__()
        self._reception = Reception()
        self._watched = True
        self._used = 0.0  # when an item was read last
        # What was asked for while it was the turn of another, who sees to it
        self._leaving: deque[Cursor] = deque()
        self._closing: deque[bool] = deque()
        self._ending: deque[Engine] = deque()  # engines that are to be closed
        self._forks = len(_forks)

    # What readers ask for

    def open(self, cursor: Cursor) -> None:
        """Begin to serve a reader."""
        if not self._comes_back():  # or else from its first read on
            self._serve(self._window.open, cursor)

    def leave(self, cursor: Cursor) -> None:
        """Serve a reader no more; may be called by the garbage collector at any time."""
        if self._forks == len(_forks):  # what a forked child has of workers is not its own
            self._leaving.append(cursor)
            self._attend()

    def read(self, cursor: Cursor, i: int) -> Any:
        """Return item `i`, and see to it that those behind it are evaluated.

        Raises:
            EndOfSequence: If the source, without known length, has no item `i`.
            EvaluationError: If user code failed.
        """
        return self.settle(i, self.ask(cursor, i))

    def ask(self, cursor: Cursor, i: int) -> Any:
        """Return the outcome of item `i`, for `settle`; what it raises is not about the item."""
        outcome = self._read(cursor, lambda: self._window.take(cursor, i))
        if outcome is MISSING:
            cursor.passed(i)
        return outcome

    def ask_any(self, cursor: Gatherer) -> tuple[int, Any]:
        """Return an index that `cursor` is still to read, and its outcome; as `ask`."""
        i = cursor.indices[cursor.head] if cursor.given is None else cursor.given

        def take() -> Any:
            nonlocal i
            if cursor.given is not None:  # it was interrupted before it was read
                cursor.give_back(cursor.given)
            i, outcome = self._window.take_any(cursor)
            return outcome

        outcome = self._read(cursor, take)
        if outcome is MISSING:
            cursor.passed(i)
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

    def aim(self, cursor: Follower, indices: Sequence[int]) -> None:
        """Evaluate `indices` ahead for a reader, who has said that they come next."""
        if not self._comes_back():  # a hint may be lost
            self._serve(self._aim, cursor, indices)

    def close(self, *, wait: bool = True, forget: bool = False) -> None:
        """End the workers, and with `forget` drop what they evaluated ahead.

        They start again when an item is read.
        """
        if self._forks != len(_forks):
            return
        self._closing.append(forget)
        if self._comes_back():
            return  # who was interrupted sees to it
        try:
            # The garbage collector does not wait: who has the turn sees to it then.
            self._take_turn(self._tidy, seconds=_PATIENCE if wait else 0)
            self._attend()
            self._end(wait=wait)
        except BaseException:
            self._interrupted()
            raise

    def rest(self) -> float | None:
        """End workers that were idle for long; return when to look again, in seconds."""
        timeout = FOREVER if self._idle_timeout is None else self._idle_timeout
        left = self._take_turn(self._idle, timeout, seconds=0)
        if left is TAKEN:
            return timeout  # they are being used
        self._attend()
        self._end()
        return left  # type: ignore[no-any-return]

    # Reading

    def _read(self, cursor: Cursor, take: Callable[[], Any]) -> Any:
        """Return what `take` does; `MISSING` to who may not wait, nor take a turn."""
        seldom = self._forks != len(_forks) or self._reception.wait is not None
        if seldom and self._comes_back():
            return MISSING
        away = perf_counter() - cursor.left
        try:
            outcome = self._serve(self._visit, cursor, take, away)
            if outcome is _WAIT:
                wait = Wait()
                with wait.held:
                    # An interrupt at another `while` leaves Python 3.13 without its `with`.
                    while True:
                        outcome = self._serve(self._visit, cursor, take, away, wait)
                        if outcome is not _WAIT:
                            break
                        self._receive(wait)
        except BaseException:
            cursor.needs = None
            self._interrupted()
            raise
        return MISSING if outcome is TAKEN else outcome

    def _receive(self, wait: Wait) -> None:
        """Wait until something has arrived, and receive it for all readers unless another does."""
        if wait.engine is None:
            with suppress(Empty):
                wait.bell.get(timeout=PAUSE)
        else:
            self._take_turn(self._received, wait, wait.engine.receive())

    def _comes_back(self) -> bool:
        """Return whether this is code that came in between what this thread does in here."""
        if self._forks != len(_forks):
            self._begin()  # in a forked child neither workers nor locks are usable
        reception = self._reception
        return self._my_turn() or (reception.thread == get_ident() and reception.busy())

    def _serve(self, act: Callable[..., Any], *arguments: Any) -> Any:
        result = self._take_turn(act, *arguments, seconds=_PATIENCE)
        if self._leaving or self._closing or not self._watched:
            self._attend()
        return result

    def _interrupted(self) -> None:
        """Have a new engine begin with what is pending, if something escaped from this one."""
        self._take_turn(self._look_after, seconds=0)
        self._attend()
        self._end(wait=False)

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

    def _end(self, *, wait: bool = True) -> None:
        """Close the engines that are not used any more."""
        while self._ending:
            engine = self._ending[0]
            try:
                engine.close(wait=wait)
            except Exception:
                self._ended(engine)
                raise
            self._ended(engine)

    def _ended(self, engine: Engine) -> None:
        with suppress(ValueError):  # another thread has closed it too
            self._ending.remove(engine)
        watch().look()

    # In a turn

    def _look_after(self) -> None:
        """End a reception that was interrupted."""
        if self._reception.lapsed():
            self._drop()

    def _mend(self) -> None:
        self._drop()

    def _drop(self, *, forget: bool = False) -> None:
        """Use this engine no more."""
        if self._engine is not None:
            self._ending.append(self._engine)
        self._engine = None
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
        with suppress(WorkerStartError):  # told to who reads next
            self._note(engine.receive(wait=False))
        if self._window.pending:
            return timeout
        self._ending.append(engine)
        self._engine = None
        return None

    def _started(self) -> Engine:
        if self._engine is None:
            self._engine = self._make_engine()
            self._used = perf_counter()
            self._watched = False
        return self._engine

    def _aim(self, cursor: Follower, indices: Sequence[int]) -> None:
        cursor.aim(indices)
        self._window.aimed()
        self._dispatch(self._started())

    def _visit(
        self, cursor: Cursor, take: Callable[[], Any], away: float, wait: Wait | None = None
    ) -> Any:
        """Return what `take` does, or `_WAIT`, where it is to be waited for in that way.

        It is `MISSING` for a worker, which may not wait for itself.
        """
        if self._reception.wait is not None:
            self._look_after()
        if cursor.back:
            take_back(self._window.ready, cursor)
        outcome = take()
        while outcome is MISSING:
            if getattr(here, "get", None) is self.inline:
                cursor.needs = None
                break
            engine = self._started()
            self._dispatch(engine)
            if not self._reception.busy():
                if self._note(engine.receive(wait=False)):
                    outcome = take()
                    continue
                self._window.starved()
                self._dispatch(engine)
            if wait is not None:
                self._reception.begin(wait, engine)
            return _WAIT
        self._lend(cursor, away)
        if self._engine is not None:
            self._dispatch(self._engine)
        cursor.left = self._used = perf_counter()
        return outcome

    def _received(self, wait: Wait, results: Sequence[tuple[int, Any]]) -> None:
        if self._reception.wait is wait:  # or else its engine was closed meanwhile
            self._note(results)
            self._reception.end()

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
