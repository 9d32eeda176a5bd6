"""Between the window, which decides, and an engine, which evaluates."""

from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from queue import Empty
from time import perf_counter
from typing import Any

from seqtools.engines.base import END, PAUSE, Engine, here
from seqtools.engines.showing import said, show
from seqtools.errors import EndOfSequence, Failure
from seqtools.prefetching.cursors import Cursor, Follower, Gatherer
from seqtools.prefetching.lending import MISSING, take_back
from seqtools.prefetching.supply import Supply
from seqtools.prefetching.turns import TAKEN, Wait
from seqtools.prefetching.window import Window

_BRISK_SECONDS = 0.001
"""Longest time between visits of a reader who is given more each time. Arbitrary: long
against the 5 µs of a visit, short against what a reader notices."""
_PART = 4
"""The window is so many times what is given to a reader at once."""
_WAIT: Any = object()
"""Stands for an outcome that is to be waited for."""


class Driver(Supply):
    """Serves readers of one prefetch, from any thread.

    One of the waiting readers receives from the engine, the others wait for it.

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
        super().__init__(make_engine, make_window, idle_timeout)
        self.inline = inline

    def open(self, cursor: Cursor) -> None:
        """Begin to serve a reader."""
        if not self._comes_back():  # or else from its first read on
            self._serve(self._window.open, cursor)

    def aim(self, cursor: Follower, indices: Sequence[int]) -> None:
        """Evaluate `indices` ahead for a reader, who has said that they come next."""
        if not self._comes_back():  # a hint may be lost
            self._serve(self._aim, cursor, indices)

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
        if type(outcome) is Failure:
            outcome.throw()
        return outcome

    def _read(self, cursor: Cursor, take: Callable[[], Any]) -> Any:
        """Return what `take` does; `MISSING` to who may not wait, nor take a turn."""
        if self._has_news() and self._comes_back():
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
                        if said:  # now: what is waited for may take long
                            show()
        except BaseException:
            cursor.needs = None
            self._interrupted()
            show()
            raise
        if said:  # before what came behind it is given
            show()
        return MISSING if outcome is TAKEN else outcome

    def _receive(self, wait: Wait) -> None:
        """Wait until something has arrived, and receive it for all readers unless another does."""
        if wait.engine is None:
            with suppress(Empty):
                wait.bell.get(timeout=PAUSE)
        else:
            self._take_turn(self._received, wait, wait.engine.receive())

    # In a turn

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
            if self._engine is None and self._is_left_behind():
                return _WAIT  # for ever
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
