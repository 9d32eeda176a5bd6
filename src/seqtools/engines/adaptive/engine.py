"""Items are evaluated by one thread first, and then by the workers that were chosen.

        submit ──▶ one thread ──▶ deliver          measured: wall and processor time, pickling
                       │ the choice, once
                       ▼
        submit ──▶ threads, or processes ──▶ deliver     from now on, only their number changes

A `Choice` decides; it knows only numbers. A thread of this engine, the supervisor, gives it
observations, and does what it says. So no interrupt can come in between, and no reader has to wait.

While processes start, the thread continues, so that no reader waits for their start. When one of
them is ready, they get all items that the thread has not begun, and the thread engine is closed
when it has delivered the rest.
"""

import threading
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from time import perf_counter
from typing import Any, TypeAlias

from seqtools._core.errors import WorkerStartError
from seqtools.engines.adaptive.choice import Choice
from seqtools.engines.adaptive.deliveries import LOOK, Deliveries
from seqtools.engines.adaptive.measurements import Observation
from seqtools.engines.adaptive.probe import ThreadMeter, delay
from seqtools.engines.adaptive.supervisor import start_supervisor
from seqtools.engines.base import Deliver, GroupOf, Job
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.wire.shipment import PickledPipeline

MakeThreads: TypeAlias = Callable[[int, ThreadMeter, Deliver], ThreadEngine]
MakeProcesses: TypeAlias = Callable[[int, int, PickledPipeline | None, Deliver], ProcessEngine]

_LONG = 0.2
"""Seconds without an item after which a second thread starts. Arbitrary."""
_NOTICE = 0.01
"""Seconds between checks whether processes are ready. Arbitrary."""
_PATIENCE = 2.0
"""Seconds that `close` waits for processes that are just starting. Arbitrary."""


class AdaptiveEngine:
    """An engine that becomes what is chosen.

    Args:
        choice: Decides.
        threads: Makes a thread engine, given a number of threads and a probe.
        processes: Makes a process engine, given the largest number and the first number of
            processes, and the pickled pipeline; with `None`, the engine pickles it itself.
        pickled: Pickles the pipeline, before anything of it is used here.
        deliver: Takes what was evaluated.

    Raises:
        WorkerStartError: If there can be no workers.
    """

    def __init__(
        self,
        choice: Choice,
        threads: MakeThreads,
        processes: MakeProcesses,
        pickled: Callable[[], PickledPipeline],
        *,
        deliver: Deliver,
    ) -> None:
        self._choice, self._make_processes = choice, processes
        self._deliveries = Deliveries(deliver)
        self._lock = threading.RLock()  # who holds it knows that `_current` stays the same
        self._closed = False
        self._thread: ThreadEngine | None = None
        self._process: ProcessEngine | None = None
        self._pickled: PickledPipeline | None = None
        self._waited = 0.0  # seconds that readers waited
        self._submitted = 0.0  # when items were submitted last
        try:
            if choice.method == "process":
                self._process = self._made_processes(choice.nworkers)
            elif choice.undecided:
                self._pickled = pickled()
        except WorkerStartError as error:
            if not choice.both_possible:
                raise
            choice.refuse(str(error))
        self._probe = ThreadMeter([] if self._pickled is None else self._pickled.by_value)
        if not choice.undecided:
            self._probe.to_pickle = 0
        if self._process is None:
            self._thread = threads(choice.nworkers, self._probe, self._deliveries.from_threads)
        self._current: ThreadEngine | ProcessEngine = self._thread or self._process  # type: ignore[assignment]
        self._begin_period()
        self._resize()
        try:
            self._supervisor = start_supervisor(self._handle, self._deliveries.notes)
        except WorkerStartError:
            for engine in self._engines():
                engine.close()
            raise

    def __del__(self) -> None:
        """End the workers of an engine that nobody has closed."""
        if hasattr(self, "_supervisor"):  # otherwise, `__init__` has failed
            self.close(wait=False)

    # The methods of an engine

    @property
    def grain(self) -> float:
        """Seconds of work that are worth a message."""
        return self._current.grain

    @property
    def group_of(self) -> GroupOf | None:
        """Tells which items the same worker should evaluate, `None` if that does not matter."""
        return self._current.group_of

    @property
    def nworkers(self) -> int:
        """The current number of workers."""
        return self._current.nworkers

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""
        return True in [engine.news for engine in self._engines()]

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Accept jobs; evaluate `urgent` ones before all waiting jobs."""
        if self._closed:
            return
        with self._lock:  # otherwise, the supervisor could close the engine that gets them
            self._current.submit(ahead, urgent)
        self._submitted = perf_counter()

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that no worker has begun."""
        for engine in self._engines():
            engine.cancel(ids)

    def look(self) -> float:
        """Do what has to be done while a reader waits; return the seconds until the next call."""
        pause = min([_LONG, *[engine.look() for engine in self._engines()]])
        self._deliveries.wake_if_due(perf_counter())
        return pause

    def waited(self, seconds: float) -> None:
        """Note that a reader has waited for `seconds`."""
        self._waited += seconds
        self._current.waited(seconds)

    def tell(self) -> None:
        """Show warnings, in the thread of a reader."""
        for engine in self._engines():
            engine.tell()

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, wait until workers have ended."""
        self._closed = True
        self._deliveries.notes.put(None)
        for engine in self._engines():
            engine.close(wait=wait)
        if wait and self._supervisor is not threading.current_thread():
            self._supervisor.join(_PATIENCE)  # it closes processes that it is just starting

    def busy(self) -> int:
        """Return how many workers evaluate something, as far as this process knows."""
        return sum([engine.busy() for engine in self._engines()])

    def _engines(self) -> list[ThreadEngine | ProcessEngine]:
        return [engine for engine in (self._thread, self._process) if engine is not None]

    # The supervisor

    def _handle(self, note: Any) -> None:
        """Handle a note: `LOOK`, or the error of processes that could not start."""
        if self._closed:
            return
        if note is not LOOK:
            self._refused(note)
            return
        now, thread, process, choice = perf_counter(), self._thread, self._process, self._choice
        moving = thread is not None and choice.method == "process"
        self._deliveries.due = now + (_NOTICE if moving else choice.period())
        if thread is not None and process is not None:
            if self._current is process:
                self._end_threads(thread, process)
            elif process.begun:
                self._hand_over(thread, process)
        elif thread is not None and moving:
            self._begin_processes(thread)
        elif self._is_stuck(now):
            choice.stuck()
            self._resize()
        else:
            counted = self._deliveries.items, self._deliveries.spent
            if choice.decide(self._observation(now, *counted)):
                self._begin_period(counted)  # what was delivered meanwhile belongs to the next one
                self._resize()

    def _is_stuck(self, now: float) -> bool:
        """Return whether the only thread has delivered nothing for long."""
        quiet = now - max(self._deliveries.last, self._submitted)
        thread = self._thread
        return thread is not None and thread.nworkers == 1 and thread.busy() > 0 and quiet >= _LONG

    def _begin_period(self, counted: tuple[int, float] | None = None) -> None:
        deliveries, now = self._deliveries, perf_counter()
        items, spent = counted or (deliveries.items, deliveries.spent)
        self._before = now, self._waited, items, spent, self._delay()
        self._probe.times.clear()
        deliveries.due = now + self._choice.period()

    def _observation(self, now: float, items: int, spent: float) -> Observation:
        """Return what was measured in this period, until so many items were delivered."""
        began, waited, items_before, spent_before, delayed = self._before
        probe = self._probe
        if probe.refused is not None and self._choice.undecided:
            self._choice.refuse(probe.refused)
        return Observation(
            max(now - began, 1e-9),
            self._waited - waited,
            items - items_before,
            spent - spent_before,
            max(0.0, self._delay() - delayed),
            tuple(probe.times.copy()),  # in one step, because threads append to it
            tuple(probe.costs),
        )

    def _delay(self) -> float:
        """Return the seconds for which no core was free for threads that exist now."""
        return 0.0 if self._thread is None else delay(self._thread.native_ids())

    def _resize(self) -> None:
        """Have as many workers as were chosen."""
        choice, thread = self._choice, self._thread
        if thread is None:
            self._current.resize(choice.nworkers)
            return
        if choice.method == "process":
            self._begin_processes(thread)
            return
        if not choice.undecided:
            self._pickled = None  # it can be large
        thread.work.probe = self._probe if choice.measuring else None
        with suppress(WorkerStartError):  # then there are fewer
            thread.resize(choice.nworkers)

    # From threads to processes

    def _made_processes(self, nworkers: int) -> ProcessEngine:
        pickled, self._pickled = self._pickled, None
        deliver = self._deliveries.from_processes
        return self._make_processes(self._choice.most_processes, nworkers, pickled, deliver)

    def _begin_processes(self, thread: ThreadEngine) -> None:
        """Start processes as soon as only one thread is busy."""
        self._deliveries.due = perf_counter() + _NOTICE
        with suppress(WorkerStartError):  # the engine reports it if it matters
            thread.resize(1)
        if thread.busy() > 1:
            return
        self._deliveries.starting = True
        try:
            # Together with that thread, there are no more workers than allowed.
            process = self._process = self._made_processes(max(1, self._choice.nworkers - 1))
        except WorkerStartError as error:
            self._refused(error)
            return
        if self._closed:  # meanwhile
            process.close()

    def _refused(self, error: WorkerStartError) -> None:
        """Continue with threads, if the thread engine still exists."""
        process, self._deliveries.starting = self._process, False
        if self._current is process:
            self._deliveries.deliver(error)
            return
        self._process = None
        if process is not None:
            process.close()
        self._choice.refuse(str(error))
        self._begin_period()
        self._resize()

    def _hand_over(self, thread: ThreadEngine, process: ProcessEngine) -> None:
        """Give processes what the thread has not begun."""
        self._deliveries.starting = False
        with self._lock:  # from now on, nobody submits anything to the thread
            self._current = process
        process.submit(thread.withdraw())

    def _end_threads(self, thread: ThreadEngine, process: ProcessEngine) -> None:
        """Close the thread engine, if it has delivered the rest."""
        if not thread.idle:
            return
        self._thread = None
        thread.close()
        process.resize(self._choice.nworkers)
        self._begin_period()
