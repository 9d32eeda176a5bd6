"""The engine of a prefetch: started when it is needed, closed when it is not used."""

import sys
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from threading import current_thread, get_ident, main_thread
from time import perf_counter

from seqtools._core.at_fork import renew_in_children
from seqtools._core.errors import WorkerStartError
from seqtools._core.user_exceptions import is_kind
from seqtools.engines.base import Deliver, Engine, Part
from seqtools.engines.dispatch.output_display import said, show, show_last
from seqtools.engines.green_threads import refuse_green
from seqtools.engines.uninterruptible import uninterrupted
from seqtools.prefetching.arrivals import Arrivals
from seqtools.prefetching.ending import Ending, Start, modules_exist
from seqtools.prefetching.idle import FOREVER, watch
from seqtools.prefetching.interruptible_lock import TAKEN, InterruptibleLock
from seqtools.prefetching.reader import Reader
from seqtools.prefetching.sizes import sample
from seqtools.prefetching.status import Status
from seqtools.prefetching.window import Window

MakeEngine = Callable[[Deliver], Engine]

PATIENCE = 10.0
"""Seconds to wait for the lock. Arbitrary, long compared with the start of workers: only finalizers
that make threads wait for each other in a circle take longer."""
RUNS = 4
"""Runs for each worker that keep it at work: one that it evaluates, one that waits there, and two
that were evaluated and not yet read."""
_SOON = 0.1
"""Seconds until the next check of idle workers, if the lock was taken. Arbitrary."""


class Lifecycle(InterruptibleLock):
    """A window, and an engine that evaluates the jobs of the window while readers exist.

    Args:
        make_engine: Starts an engine that delivers to the given function.
        make_window: Returns an empty window.
        idle_timeout: Seconds without work after which an engine is closed.
    """

    def __init__(
        self,
        make_engine: MakeEngine,
        make_window: Callable[[], Window],
        idle_timeout: float | None,
    ) -> None:
        self._make_engine = make_engine
        self._make_window = make_window
        self._idle_timeout = idle_timeout
        self.ending = Ending()
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """Begin without workers; a forked child cannot use the workers and locks of its parent."""
        # kept, because finalizers of engines and values of the parent must not run in a child
        self._of_parent = dict(self.__dict__)
        super().__init__()
        self.window = self._make_window()
        self._arrivals = Arrivals()
        self._engine: Engine | None = None
        self._late: Engine | None = None  # an engine that was started after `Ending.end`
        self._start: Start | None = None  # of the next engine
        self._watched = True  # the idle watch knows that there are workers
        self._used = 0.0  # the time of the last read
        self._failure: WorkerStartError | None = None
        """Why no more items can be evaluated, for a reader that has read what was finished."""
        # Requests made while another thread held the lock, which handles them afterwards
        self._leaving: deque[Reader] = deque()
        self._closing: deque[bool] = deque()
        self._ended: deque[Engine] = deque()  # engines that are to be closed
        self._enders: set[int] = set()  # threads that are closing them
        self._left: Engine | None = None  # what the idle watch has seen among them
        self._notes: deque[Part] = deque()  # parts whose notes must be called
        self.ending.renew()

    # From outside

    def leave(self, reader: Reader) -> None:
        """Stop serving a reader; the garbage collector may call this at any time."""
        if modules_exist:
            self._leaving.append(reader)
            self._attend()

    def close(self, *, wait: bool = True, forget: bool = False) -> None:
        """End the workers, and with `forget` drop what they evaluated ahead.

        They start again when an item is read.
        """
        self._closing.append(forget)
        if self._my_turn():
            return  # the interrupted turn does this when it ends
        self._take_turn(self._tidy, seconds=PATIENCE if wait else 0)
        self._attend(wait=wait)
        self._call_notes()
        show_last(wait=wait)

    def rest(self) -> float | None:
        """End workers after the idle timeout; return the seconds until the next check."""
        timeout = FOREVER if self._idle_timeout is None else self._idle_timeout
        if self._is_being_closed():
            return min(timeout, _SOON)
        left: float | None = self._take_turn(self._idle, timeout, seconds=0)
        if left is TAKEN:
            return min(timeout, _SOON)  # workers are in use, or are being ended
        self._attend(wait=True)
        return left

    def _is_being_closed(self) -> bool:
        """Return whether another thread closes an engine, or is about to: its caller is warned.

        An engine that is still there at the next check was left by a thread that was interrupted.
        """
        before, self._left = self._left, next(iter([*self._ended]), None)
        return self._left is not None and bool(self._enders or self._left is not before)

    def load(self) -> Status:
        """Return the fill of the window and the busy workers, without waiting for the lock."""
        engine = self._engine
        if engine is None:
            return Status()
        ready, pending = self.window.fill()
        parts = [part for part in list(self._arrivals.parts) if isinstance(part, Part)]
        arrived = min(pending, sum([len(part.outcomes) for part in parts]))
        capacity = self.window.capacity.items
        return Status(ready + arrived, pending - arrived, capacity, engine.busy(), engine.nworkers)

    # Between turns

    def _serve(self, act: Callable[..., object], *arguments: object) -> object:
        """Return what `act` returns in a turn, or `TAKEN`; then handle the requests of others."""
        try:
            result = self._take_turn(act, *arguments, seconds=PATIENCE)
        except BaseException as error:
            self._attend()
            if is_kind(error, WorkerStartError):  # items arrived before it
                self._call_notes()
            if said:  # output that was printed before it
                show()
            raise
        if self._leaving or self._closing or self._ended or not self._watched:
            self._attend()
        if self._notes:
            self._call_notes()
        return result

    def _call_notes(self) -> None:
        """Call the notes that arrived with items, before the items are read."""
        while self._notes:
            for note in self._notes.popleft().notes:
                note()

    def _attend(self, *, wait: bool = False) -> None:
        """Handle requests made during a turn, and close engines that are not used any more."""
        while self._leaving or self._closing:
            if self._take_turn(self._tidy, seconds=0) is TAKEN:
                return  # the thread that holds the lock does this afterwards
        if self._ended and not self._my_turn():
            self._end(wait=wait)
        if not self._watched and not sys.is_finalizing():
            self._watched = watch().add(self, timed=self._idle_timeout is not None)

    def _end(self, *, wait: bool) -> None:
        """Close the engines that are not used any more."""
        wait = wait and not sys.is_finalizing()  # then no other thread ends
        self._enders.add(get_ident())
        try:
            while self._ended:
                engine = self._ended[0]
                try:
                    uninterrupted(lambda engine=engine: engine.close(wait=wait))  # type: ignore[misc]
                finally:
                    with suppress(ValueError):  # another thread has closed it too
                        self._ended.remove(engine)
                    watch().look()
        finally:
            self._enders.discard(get_ident())

    def _is_left_behind(self) -> bool:
        """Return whether the program has ended, and this thread is a daemon that remains."""
        return (
            self.ending.over
            and not main_thread().is_alive()
            and current_thread() is not main_thread()
        )

    # In a turn

    def _mend(self) -> None:
        start, self._start = self._start, None
        if start is not None:  # this start was interrupted
            start.wanted = False
            if start.engine is not None:
                self._ended.append(start.engine)
        self.window.mend()

    def _drop(self, *, forget: bool = False) -> None:
        """Stop using this engine; the items that it has finished are kept, unless `forget`."""
        if not forget:
            self._give_out()
        self._failure = None
        if self._engine is not None:
            self._ended.append(self._engine)
        arrivals, self._arrivals = self._arrivals, Arrivals()
        self._engine = None
        self.window.reset(forget=forget)
        arrivals.wake()

    def _tidy(self) -> None:
        """Handle the requests of other threads."""
        while self._closing:
            self._drop(forget=self._closing[0])
            self._closing.popleft()
        self._let_go()
        if self._engine is not None:
            self._dispatch(self._engine)

    def _let_go(self) -> None:
        while self._leaving:
            self.window.close(self._leaving[0])
            self._arrivals.leave(self._leaving[0])
            self._leaving.popleft()

    def _idle(self, timeout: float) -> float | None:
        closed = self.ending.over and self._engine is not self._late
        if self._engine is None or closed:
            return None
        left = self._used + timeout - perf_counter()
        if left > 0:
            return left
        self._give_out()
        if self.window.jobs or self._arrivals.parts:
            return timeout
        self._drop()
        return None

    def _started(self) -> Engine:
        """Return the engine, which is started if there is none.

        Raises:
            WorkerStartError: If the last one could not go on; the next call starts another one.
        """
        failure, self._failure = self._failure, None
        if failure is not None:
            raise failure
        if self.ending.over and self._engine is not None and self._engine is not self._late:
            self._drop()  # it is closed
        if self._engine is None:
            refuse_green(processes=False)
            deliver = self._arrivals.deliver
            self._start = start = Start(lambda: self._make_engine(deliver))
            uninterrupted(start.finish)
            engine = start.engine
            assert engine is not None  # noqa: S101 -- says so to the type checker
            if self.ending.over:
                self._late = engine
            self.ending.add(engine)
            self._engine = engine
            self._start = None
            self._used = perf_counter()
            self._watched = False
        return self._engine

    def _give_out(self) -> None:
        """Distribute the parts that have arrived to the runs that expect them.

        A part is removed from the queue after that; distributing it again does no harm. If no
        worker can evaluate items, the engine is dropped.
        """
        parts, window = self._arrivals.parts, self.window
        last: Part | None = None
        while parts:
            part = parts[0]
            if not isinstance(part, Part):
                parts.clear()
                self._drop()
                self._failure = part
                return
            known = self._notes and self._notes[-1] is part  # after an interrupt here
            if part.notes and not known and window.expects(part):
                self._notes.append(part)
            window.arrived(part)
            last = part
            parts.popleft()
        if last is not None and not last.failed:
            window.weighed(sample(last.outcomes))

    def _dispatch(self, engine: Engine) -> None:
        """Submit the next jobs to `engine`."""
        if self._leaving:
            self._let_go()
        window, cutter = self.window, self.window.cutter
        window.nworkers, cutter.grain = engine.nworkers, engine.grain
        cutter.use(engine.group_of)
        if cutter.seconds:
            window.capacity.fill_workers(
                int(RUNS * engine.nworkers * engine.grain / cutter.seconds)
            )
        unwanted, ahead, urgent = window.plan()
        if unwanted:
            engine.cancel(unwanted)
        if ahead or urgent:
            engine.submit(ahead, urgent)
            window.sent([*urgent, *ahead])
        elif unwanted:
            window.sent(())
