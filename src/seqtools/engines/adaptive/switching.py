"""Having the engine that a plan says: starting it, handing jobs over, and closing the other one.

All of this is done by one thread, which deals with one note after the other.
"""

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import perf_counter
from typing import Any, TypeAlias, TypeVar

from seqtools._core.errors import WorkerStartError
from seqtools.engines.adaptive.counting import LOOK, DeliveryCounter
from seqtools.engines.adaptive.measurements import Observation, Plan
from seqtools.engines.adaptive.probe import ThreadMeter
from seqtools.engines.base import Deliver
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.wire.shipment import PickledPipeline

T = TypeVar("T")
Either: TypeAlias = ThreadEngine | ProcessEngine

STUCK: Any = type("Stuck", (), {"__repr__": lambda _: "STUCK"})()
"""Says that a reader waits, and that nothing has come for long."""
IDLE: Any = type("Idle", (), {"__repr__": lambda _: "IDLE"})()
"""Says that the process engine that is to end has nothing to do any more."""

_NOTICE = 0.01
"""Seconds after which to look whether processes have begun, at most. Arbitrary."""
_MOST_HELD = 1 << 24
"""Bytes of a pickled pipeline that are held in case processes become better. Arbitrary."""


class EngineSwitch:
    """The engines that there are, and which of them is at work.

    Args:
        plan: What decides.
        threads: Makes an engine of so many threads, which call a probe.
        processes: Makes an engine of so many processes at most, which begins with so many.
        pickled: Pickles the pipeline, before anything of it is used here.
        counter: Counts what engines deliver, and has the notes.
    """

    def __init__(
        self,
        plan: Plan,
        threads: Callable[[int, ThreadMeter, Deliver], ThreadEngine],
        processes: Callable[[int, int, PickledPipeline | None, Deliver], ProcessEngine],
        pickled: Callable[[], PickledPipeline | None],
        counter: DeliveryCounter,
    ) -> None:
        self.lock = threading.RLock()
        """Of what is at work: with it, the engine at work is not going to be closed."""
        self.closed = False
        self.waited = 0.0
        """Seconds for which readers have waited."""
        self.reader_at = (0, 0.0)
        """A thread that reads, and its processor time at that moment."""
        self._plan, self._counter = plan, counter
        self._make_threads, self._make_processes = threads, processes
        self.thread: ThreadEngine | None = None
        self.process: ProcessEngine | None = None
        self._ending: Either | None = None  # the engine that is not at work any more
        self._pickled: PickledPipeline | None = None
        self._fewer = max(1, plan.most - 1)  # processes beside a thread
        if plan.method == "process":
            self._begin(plan.nworkers)
        elif plan.either:
            try:
                self._pickled = pickled()
            except WorkerStartError as error:
                plan.refuse(str(error))
        self._probe = ThreadMeter([] if self._pickled is None else self._pickled.by_value)
        if not plan.either:
            self._probe.weighs = 0
        if self.process is None:
            self.thread = self._made_threads()
        self.work: Either = self.thread or self.process  # type: ignore[assignment]
        """The engine that jobs are submitted to."""
        counter.starting = False
        self._begin_looking()

    def engines(self) -> list[Either]:
        """Return the engines that there are."""
        return [engine for engine in (self.thread, self.process) if engine is not None]

    def heed(self, note: Any) -> None:
        """Deal with a note.

        It is LOOK, STUCK or IDLE, or jobs that a process engine gives back, or why processes
        could not start.
        """
        if self.closed:
            return
        if isinstance(note, WorkerStartError):
            self._refused(note)
        elif isinstance(note, list):
            self.work.submit(note)
        elif note is STUCK:
            if self.thread is self.work and self.process is None:
                self._plan.stuck()
                self._follow()
        elif note is IDLE:
            if self._ending is self.process:
                self._end()
        else:
            assert note is LOOK  # noqa: S101 -- there are no others
            self._counter.looked()
            self._look()

    # Two engines at a time

    def _refused(self, error: WorkerStartError) -> None:
        process = self.process
        if self.work is process or process is None:  # threads have nothing any more
            self._counter.deliver(error)
            return
        self.process = None
        self._counter.starting = False
        process.close()
        self._plan.refuse(str(error))
        self._follow()

    def _move(self, engine: Either) -> None:
        """Have `engine` do what is not begun, and the other one end when it has done the rest."""
        counter = self._counter
        counter.starting = False
        with self.lock:  # nobody submits anything to the other one from now on
            self._ending, self.work = self.work, engine
        if isinstance(self._ending, ThreadEngine):
            self._ending.withdraw(engine.submit)
        else:
            self._ending.withdraw(counter.notes.put)  # by a thread of its own
        self._end_if_idle()

    def _end_if_idle(self) -> None:
        """Close the engine that is not at work, if it has nothing to do any more."""
        ending, notes = self._ending, self._counter.notes
        if isinstance(ending, ThreadEngine):
            if ending.idle:
                self._end()
        elif ending is not None:
            ending.ask(lambda idle: notes.put(IDLE) if idle else None)

    def _end(self) -> None:
        ending, self._ending = self._ending, None
        if self.thread is ending:
            self.thread = None
        else:
            self.process = None
        if ending is not None:
            ending.close()
        with suppress(WorkerStartError):  # then there are fewer
            self.work.resize(self._plan.nworkers)
        self._begin_looking()

    def _begin(self, nworkers: int) -> None:
        """Start processes."""
        self._counter.starting = True
        try:
            process = self._make_processes(
                self._plan.most, nworkers, self._pickled, self._counter.from_processes
            )
        except WorkerStartError as error:
            if not self._plan.either:
                raise
            self._plan.refuse(str(error))
            return
        self._pickled = None
        self.process = process
        if self.closed:  # meanwhile
            process.close()

    def _made_threads(self) -> ThreadEngine:
        # no more at a time than there may be, while processes end
        nworkers = 1 if self.process is not None else self._plan.nworkers
        thread = self._make_threads(nworkers, self._probe, self._counter.from_threads)
        if not self._plan.measuring:
            thread.probe = None
        if self.closed:  # meanwhile
            thread.close()
        return thread

    # Looking

    def _begin_looking(self) -> None:
        now = perf_counter()
        self._since, self._waited, self._items = now, self.waited, self._counter.items
        self._read = self.reader_at
        self._spent, self._answered = 0.0, 0
        if self.process is not None:
            self._spent, self._answered = self.process.spent, self.process.answered
        self._counter.due = now + self._plan.next_look()

    def _look(self) -> None:
        """Tell the plan what was seen, when it is time, and do what it says."""
        now, process = perf_counter(), self.process
        if self._ending is not None:
            self._end_if_idle()
        elif self.thread is not None and process is not None:
            if process.begun:
                self._move(process)
            else:
                self._counter.due = now + _NOTICE
        elif (self._plan.method == "process") != (process is not None):
            self._follow()  # it could not at once
        elif now - self._since >= self._plan.next_look():
            self._plan.look(self._seen(now))
            self._begin_looking()
            self._follow()

    def _seen(self, now: float) -> Observation:
        (thread, began), (same, ended) = self._read, self.reader_at
        read = ended - began if thread == same else 0.0
        items = self._counter.items - self._items
        seen = Observation(now - self._since, self.waited - self._waited, items, read)
        if self.process is not None:
            return seen._replace(
                spent=self.process.spent - self._spent,
                answered=self.process.answered - self._answered,
                deaths=self.process.deaths,
            )
        probe = self._probe
        if probe.refused is not None and self._plan.either:
            self._plan.refuse(probe.refused)
        return seen._replace(times=_drained(probe.times), costs=_drained(probe.costs))

    def _follow(self) -> None:
        """Have the workers that the plan says."""
        plan, thread, process = self._plan, self.thread, self.process
        if thread is None and process is not None:
            if plan.method == "process":
                process.resize(plan.nworkers)
                return
            # with one thread, no more at a time than there may be
            process.resize(self._fewer)
            if process.size <= self._fewer:
                self.thread = thread = self._made_threads()
                self._move(thread)
        elif thread is not None and plan.method == "process" and process is None:
            thread.resize(1)
            # with that one, no more at a time than there may be
            if thread.busy() <= 1:
                self._fewer = max(1, plan.most - 1)
                self._begin(self._fewer)
                if self.process is None:  # there can be none
                    self._follow()
        elif thread is not None:
            if not plan.measuring:
                thread.probe = None
            if self._pickled is not None and self._pickled.nbytes > _MOST_HELD:
                self._pickled = None  # it would have to be pickled again
            self._probe.look_within(plan.next_look())
            with suppress(WorkerStartError):  # then there are fewer
                thread.resize(plan.nworkers)


def _drained(notes: deque[T]) -> tuple[T, ...]:
    """Return what is in `notes`, to which threads go on adding."""
    return tuple(notes.popleft() for _ in range(len(notes)))
