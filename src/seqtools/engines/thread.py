"""Items evaluated by threads of this process."""

import contextvars
import threading
import time
import warnings
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from itertools import islice, repeat
from queue import Empty, SimpleQueue
from typing import Any

from seqtools.engines.base import AHEAD, END, PAUSE, here
from seqtools.engines.hooks import call_hook
from seqtools.engines.shortage import start_thread
from seqtools.errors import EndOfSequence, Failure, ItemTimeout, WorkerStartError, summary

_PATIENCE = 0.5
"""Seconds to wait for threads that evaluate an item, before they are abandoned."""


class _Desk:
    """Where a thread notes what it evaluates."""

    __slots__ = ("bell", "item", "left", "thread", "timed")

    def __init__(self) -> None:
        self.item: int | None = None
        self.bell: SimpleQueue[None] = SimpleQueue()  # for one that is more than are wanted
        # With a timeout: the same, and when it began. Who removes it may answer for it.
        self.timed: list[tuple[int, float]] = []
        self.left = True  # whether nobody is at it: a thread that was to start did not, so far
        self.thread: threading.Thread

    def answers(self) -> bool:
        """Return whether the thread is to answer; if not, it took too long, and another does."""
        try:
            self.timed.pop()
        except IndexError:
            return False
        return True


class ThreadEngine:
    """Threads that take indices from one queue: the one that is free takes the next."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Callable[..., object] | None = None,
        hints: Any = None,
        timeout: float | None = None,
        probe: Callable[[Callable[[int], Any], int], Any] | None = None,
    ) -> None:
        self.probe = probe
        """Called in place of the function that evaluates items, with that and the index."""
        self._get = get
        self._timeout = timeout
        self._hints = hints
        self._hook = start_hook
        self._queue: deque[int] = deque()
        self._done: deque[tuple[int, Any]] = deque()
        self._fatal: WorkerStartError | None = None
        self._closed = False
        # Of all that wakes a thread, only this is one step to an interrupt.
        self._calls: SimpleQueue[None] = SimpleQueue()  # for workers that rest
        self._resting: list[None] = []  # one for each of them that was not called
        self._arrived: SimpleQueue[None] = SimpleQueue()  # for who receives
        self._receiving = False
        self._abandoned: list[tuple[threading.Thread, int]] = []
        self._nworkers = nworkers
        # by number, noted before their threads start: all of them are told
        self._desks: dict[int, _Desk] = {}

    def _start_missing(self) -> None:
        for number in range(len(self._desks), self._nworkers):
            desk = self._new_desk(number)
            if self._desks.setdefault(number, desk) is desk:  # or else another thread starts it
                start_thread(desk.thread)
                desk.left = False

    def _start(self, number: int) -> None:
        self._desks[number] = desk = self._new_desk(number)
        start_thread(desk.thread)
        desk.left = False

    def _new_desk(self, number: int) -> _Desk:
        desk = _Desk()
        desk.thread = threading.Thread(
            target=contextvars.copy_context().run,
            args=(self._attend, number, desk),
            name=f"seqtools-{number}",
            daemon=True,
        )
        return desk

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others that wait if `first`."""
        # Not before there is something to do: who made this can close it by now.
        if len(self._desks) < self._nworkers:
            self._start_missing()
        if first:
            self._queue.extendleft(reversed(indices))
        else:
            self._queue.extend(indices)
        if self._resting:
            for _ in indices:
                if not self._call():
                    break

    def _call(self) -> bool:
        """Wake a thread that rests, if there is one."""
        try:
            self._resting.pop()
        except IndexError:
            return False
        self._calls.put(None)
        return True

    def resize(self, nworkers: int) -> None:
        """Have so many threads take items from now on; others rest once they end theirs."""
        self._nworkers = nworkers
        for number, desk in list(self._desks.items()):
            if number < nworkers:
                desk.bell.put(None)
        if self._queue:
            self._start_missing()

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that no thread has begun."""
        unwanted = set(indices)
        dropped = set()
        kept = []
        for i in self.withdraw():
            if i in unwanted:
                dropped.add(i)
            else:
                kept.append(i)
        if kept:
            self.submit(kept)
        return dropped

    def withdraw(self) -> list[int]:
        """Return all that no thread has begun, which is not going to come back."""
        withdrawn = []
        while True:  # threads go on taking from the queue meanwhile
            try:
                withdrawn.append(self._queue.popleft())
            except IndexError:
                break
        return withdrawn

    def receive(self, *, wait: bool = True) -> list[tuple[int, Any]]:
        """Return what is done, waiting for at least one item; nothing after `close`.

        While nobody receives, no item is found to take too long.
        """
        done = self._done
        pause = self._expire()
        while wait and not (done or self._closed or self._fatal):
            self._receiving = True  # before it is looked at again: none is missed
            if done or self._closed or self._fatal:
                break
            with suppress(Empty):
                self._arrived.get(timeout=pause)
            pause = self._expire()
        self._receiving = False
        if self._fatal is not None:
            raise self._fatal
        return list(map(deque.popleft, repeat(done, len(done))))

    def nap(self, seconds: float) -> None:
        """Wait for something to receive, for so many seconds at most."""
        self._receiving = True
        if not (self._done or self._closed or self._fatal):
            with suppress(Empty):
                self._arrived.get(timeout=seconds)
        self._receiving = False

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, give threads a moment to end the item they are at."""
        self._closed = True
        self._queue.clear()
        if self._hints is not None:
            self._hints.end()
        self._arrived.put(None)
        desks = list(self._desks.values())
        for desk in desks:
            self._calls.put(None)
            desk.bell.put(None)
        if not wait:
            return
        deadline = time.monotonic() + _PATIENCE
        for desk in desks:
            if desk.thread.ident in {None, threading.get_ident()}:  # it did not start, or is this
                continue
            desk.thread.join(max(0.0, deadline - time.monotonic()))
            if desk.thread.is_alive() and desk.item is not None:
                self._abandoned.append((desk.thread, desk.item))
        for thread, i in self._abandoned:
            if thread.is_alive():
                message = (
                    f"thread {thread.name} is still evaluating item {i} and cannot be stopped: "
                    "it was left to end by itself"
                )
                warnings.warn(message, RuntimeWarning, stacklevel=2)
        self._abandoned.clear()

    def busy(self) -> int:
        """Return how many threads are at an item; one that was abandoned does not count."""
        return sum([desk.item is not None for desk in list(self._desks.values())])

    @property
    def nworkers(self) -> int:
        """The number of threads, whether they have started or not."""
        return self._nworkers

    def _expire(self) -> float:
        """Give up items that take too long; return when to look again, in seconds."""
        pause = PAUSE
        if self._timeout is None:
            return pause
        for number, desk in list(self._desks.items()):
            if desk.left:
                self._start(number)
                continue
            for entry in desk.timed[:1]:
                i, began = entry
                left = began + self._timeout - time.monotonic()
                if left > 0:
                    pause = min(pause, left)
                    continue
                with suppress(ValueError):  # it has ended just now
                    desk.timed.remove(entry)
                    self._abandoned.append((desk.thread, i))
                    self._done.append((i, Failure(self._too_long(i, desk.thread.name))))
                    with suppress(WorkerStartError):  # told by the next look, if it fails again
                        self._start(number)
        return pause

    def _too_long(self, i: int, name: str) -> ItemTimeout:
        return ItemTimeout(
            f"item {i} took longer than timeout={self._timeout:g} seconds in thread {name}, "
            "which cannot be stopped: another one has taken its place"
        )

    def _attend(self, number: int, desk: _Desk) -> None:
        try:
            self._work(number, desk)
        except BaseException as error:  # noqa: BLE001 -- told to who receives next
            # user code is not to blame: what it raises is an outcome
            self._fatal = WorkerStartError(f"thread {desk.thread.name} failed: {error!r}")
            self._fatal.__cause__ = error
            self._arrived.put(None)

    def _work(self, number: int, desk: _Desk) -> None:  # noqa: C901 -- a call more costs each item
        here.get = self._get
        if not self._prepare(number):
            return
        get, queue, done, timed = self._get, self._queue, self._done, self._timeout is not None
        while not self._closed:
            if number >= self._nworkers:
                self._sit_out(number, desk)
                continue
            try:
                i = queue.popleft()
            except IndexError:
                if not self._rest():
                    return
                continue
            desk.item = i
            if timed:
                desk.timed.append((i, time.monotonic()))
            if self._hints is not None:
                self._hint(i)
            outcome: Any
            try:
                probe = self.probe
                outcome = get(i) if probe is None else probe(get, i)
            except EndOfSequence:
                outcome = END
            except BaseException as error:  # noqa: BLE001 -- told to the reader
                outcome = Failure.caught(error)
            if timed and not desk.answers():
                return
            desk.item = None
            done.append((i, outcome))
            del outcome  # the reader alone decides how long a value lives
            if self._receiving:
                self._receiving = False  # once is enough, until it has looked again
                self._arrived.put(None)

    def _prepare(self, number: int) -> bool:
        """Call the start hook, and return whether that went well."""
        try:
            if self._hook is not None:
                call_hook(self._hook, number)
        except BaseException as error:  # noqa: BLE001 -- told to the reader
            told = f"start_hook failed in thread {number}: {summary(error)}"
            self._fatal = WorkerStartError(told)
            self._fatal.__cause__ = error
            self._arrived.put(None)
            return False
        return True

    def _hint(self, i: int) -> None:
        with suppress(RuntimeError):  # the queue changed meanwhile: the next one tells again
            self._hints([i, *islice(self._queue, AHEAD)])

    def _sit_out(self, number: int, desk: _Desk) -> None:
        """Wait until more threads are wanted, or the engine is closed."""
        if self._queue:
            self._call()  # it was woken in place of another
        while number >= self._nworkers and not self._closed:
            desk.bell.get()

    def _rest(self) -> bool:
        """Wait for the queue to be filled; return False if the engine is closed."""
        if not self._closed:
            self._resting.append(None)  # before the queue is looked at again: no call is missed
            if self._queue:
                with suppress(IndexError):  # no other is left: this one was called meanwhile
                    self._resting.pop()
                    return True
            self._calls.get()
        return not self._closed
