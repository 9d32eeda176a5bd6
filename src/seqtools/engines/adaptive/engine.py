"""Items evaluated by one thread first, and then by the workers that were chosen.

        submit ──▶ one thread ──▶ deliver          measured: wall and processor time, pickles
                       │ the choice, once
                       ▼
        submit ──▶ threads, or processes ──▶ deliver     only their number changes from here on

A `Choice` decides, which knows nothing of threads and processes except their number. A thread of
this engine, the supervisor, tells it what was seen, and does what it says. So no interrupt comes
in between, and no reader waits.

While processes start, the thread goes on, so that nobody waits for them. When one of them has
begun, they get all that the thread has not begun, and the thread engine is closed when it has
delivered the rest.
"""

import contextvars
import threading
import weakref
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from queue import SimpleQueue
from time import perf_counter, thread_time
from typing import Any, TypeAlias

from seqtools._core.errors import WorkerStartError, creation_site, reader
from seqtools.engines.adaptive.choice import Choice
from seqtools.engines.adaptive.deliveries import LOOK, Deliveries
from seqtools.engines.adaptive.measurements import Observation
from seqtools.engines.adaptive.probe import OFTEN_ENOUGH, ThreadMeter
from seqtools.engines.base import Deliver, GroupOf, Job
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.resource_errors import start_thread
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.wire.shipment import PickledPipeline

MakeThreads: TypeAlias = Callable[[int, ThreadMeter, Deliver], ThreadEngine]
MakeProcesses: TypeAlias = Callable[[int, int, PickledPipeline | None, Deliver], ProcessEngine]

_LONG = 0.2
"""Seconds without an item after which one of those at work is taken for slow. Arbitrary."""
_NOTICE = 0.01
"""Seconds after which to look whether processes have begun, at most. Arbitrary."""
_PARTS = 5
"""How often threads look in the time between two decisions for how long no core was free."""
_PATIENCE = 2.0
"""Seconds to wait for the start of processes that nobody needs any more. Arbitrary."""


class AdaptiveEngine:
    """An engine that becomes what is chosen.

    Args:
        choice: Decides.
        threads: Makes an engine of so many threads, which call a probe.
        processes: Makes an engine of so many processes at most, which begins with so many,
            for a pipeline that is pickled, or is not because it need not be.
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
        self._lock = threading.RLock()  # with it, the engine at work stays the same
        self._closed = False
        self._thread: ThreadEngine | None = None
        self._process: ProcessEngine | None = None
        self._pickled: PickledPipeline | None = None
        self._waited = 0.0  # for which readers have
        self._submitted = 0.0  # when that was done last
        self._stuck = False  # it is to be told
        self._reader_at = (0, 0.0)  # a thread that reads, and its processor time at that moment
        try:
            if choice.method == "process":
                self._process = self._made_processes(choice.nworkers)
            elif choice.open:
                self._pickled = pickled()
        except WorkerStartError as error:
            if not choice.either:
                raise
            choice.refuse(str(error))
        self._probe = ThreadMeter([] if self._pickled is None else self._pickled.by_value)
        if not choice.open:
            self._probe.weighs = 0
        if self._process is None:
            self._thread = threads(choice.nworkers, self._probe, self._deliveries.from_threads)
        self._work: ThreadEngine | ProcessEngine = self._thread or self._process  # type: ignore[assignment]
        self._begin_looking()
        self._resize()
        self._supervisor = self._started()

    def __del__(self) -> None:
        """End the workers of an engine that nobody has closed."""
        if hasattr(self, "_supervisor"):  # or else it was never made
            self.close(wait=False)

    # What an engine does

    @property
    def grain(self) -> float:
        """Seconds of work that are worth a message."""
        return self._work.grain

    @property
    def group_of(self) -> GroupOf | None:
        """Tells which items should be evaluated by the same worker, `None` if that is the same."""
        return self._work.group_of

    @property
    def nworkers(self) -> int:
        """The number of workers by now."""
        return self._work.nworkers

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""
        return True in [engine.news for engine in self._engines()]

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Take jobs on; those that are `urgent` before all that wait."""
        if self._closed:
            return
        with self._lock:  # or else they could come to an engine that is closed just now
            self._work.submit(ahead, urgent)
        self._reader_at = threading.get_ident(), thread_time()
        self._submitted = perf_counter()

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that nobody has begun."""
        for engine in self._engines():
            engine.cancel(ids)

    def look(self) -> float:
        """Attend to what needs a reader that waits."""
        pause = min([_LONG, *[engine.look() for engine in self._engines()]])
        now, thread = perf_counter(), self._thread
        if thread is not None and thread is self._work and thread.nworkers == 1:
            quiet = now - max(self._deliveries.last, self._submitted)
            if quiet >= _LONG and not self._stuck:
                self._stuck = True
                self._deliveries.notes.put(LOOK)
        self._deliveries.ask(now)
        return pause

    def waited(self, seconds: float) -> None:
        """Note that a reader has waited for so long."""
        self._waited += seconds
        self._work.waited(seconds)

    def tell(self) -> None:
        """Warn of what has to be known, in the thread of a reader."""
        for engine in self._engines():
            engine.tell()

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, see to it that workers have gone."""
        self._closed = True
        self._deliveries.notes.put(None)
        for engine in self._engines():
            engine.close(wait=wait)
        if wait and self._supervisor is not threading.current_thread():
            self._supervisor.join(_PATIENCE)  # it closes what it has just made

    def busy(self) -> int:
        """Return how many workers are evaluating something, as far as is known by now."""
        return sum([engine.busy() for engine in self._engines()])

    def _engines(self) -> list[ThreadEngine | ProcessEngine]:
        """Return the engines that there are."""
        return [engine for engine in (self._thread, self._process) if engine is not None]

    # The supervisor

    def _started(self) -> threading.Thread:
        """Start the thread that does what is below, and return it."""
        context = contextvars.copy_context()
        context.run(reader.set, creation_site())
        thread = threading.Thread(
            target=context.run,
            # it does not refer to the engine while it waits, so that this can be collected
            args=(_supervise, weakref.ref(self), self._deliveries.notes),
            name="seqtools-supervisor",
            daemon=True,
        )
        try:
            start_thread(thread)
        except WorkerStartError:
            for engine in self._engines():
                engine.close()
            raise
        return thread

    def _heed(self, note: Any) -> None:
        """Deal with a note: `LOOK`, or why processes could not start."""
        if self._closed:
            return
        self._deliveries.looked()
        if note is not LOOK:
            self._refused(note)
            return
        now, thread, process, choice = perf_counter(), self._thread, self._process, self._choice
        if thread is not None and process is not None:
            if self._work is process:
                self._end_threads(thread, process)
            elif process.begun:
                self._hand_over(thread, process)
            self._deliveries.due = now + _NOTICE
        elif thread is not None and choice.method == "process":
            self._begin_processes(thread)
        elif self._stuck:
            self._stuck = False
            choice.stuck()
            self._resize()
        elif now >= self._deliveries.due:
            self._deliveries.due = now + choice.next_look()
            if choice.look(self._seen(now)):
                self._begin_looking()
                self._resize()

    def _begin_looking(self) -> None:
        deliveries, now = self._deliveries, perf_counter()
        self._before = now, self._waited, deliveries.items, deliveries.spent, self._reader_at
        self._probe.times.clear()
        deliveries.due = now + self._choice.next_look()

    def _seen(self, now: float) -> Observation:
        """Return what was seen since that began."""
        began, waited, items, spent, (reader_then, read) = self._before
        reader_now, read_now = self._reader_at
        deliveries, probe = self._deliveries, self._probe
        if probe.refused is not None and self._choice.open:
            self._choice.refuse(probe.refused)
        return Observation(
            max(now - began, 1e-9),
            self._waited - waited,
            deliveries.items - items,
            deliveries.spent - spent,
            read_now - read if reader_now == reader_then else 0.0,
            tuple(probe.times.copy()),  # in one step: threads go on adding
            tuple(probe.costs),
        )

    def _resize(self) -> None:
        """Have as many workers as were chosen."""
        choice, thread = self._choice, self._thread
        if thread is None:
            self._work.resize(choice.nworkers)
            return
        if choice.method == "process":
            self._begin_processes(thread)
            return
        if not choice.open:
            self._pickled = None  # it can be large
        alone = choice.nworkers == 1
        self._probe.interval = OFTEN_ENOUGH if alone else choice.next_look() / _PARTS
        thread.probe = self._probe if choice.measuring else None
        with suppress(WorkerStartError):  # then there are fewer
            thread.resize(choice.nworkers)

    # From threads to processes

    def _made_processes(self, nworkers: int) -> ProcessEngine:
        pickled, self._pickled = self._pickled, None
        return self._make_processes(
            self._choice.most, nworkers, pickled, self._deliveries.from_processes
        )

    def _begin_processes(self, thread: ThreadEngine) -> None:
        """Start processes, as soon as there is one thread beside them."""
        with suppress(WorkerStartError):  # told by the engine, if it is needed
            thread.resize(1)
        if thread.busy() > 1:
            self._deliveries.due = perf_counter() + _NOTICE
            return
        self._deliveries.starting = True
        try:
            # with that thread, no more at a time than there may be
            process = self._process = self._made_processes(max(1, self._choice.nworkers - 1))
        except WorkerStartError as error:
            self._refused(error)
            return
        if self._closed:  # meanwhile
            process.close()

    def _refused(self, error: WorkerStartError) -> None:
        """Go on with threads, if there still are some."""
        process, self._deliveries.starting = self._process, False
        if self._work is process:
            self._deliveries.deliver(error)
            return
        self._process = None
        if process is not None:
            process.close()
        self._choice.refuse(str(error))
        self._begin_looking()
        self._resize()

    def _hand_over(self, thread: ThreadEngine, process: ProcessEngine) -> None:
        """Have processes do what the thread has not begun."""
        self._deliveries.starting = False
        with self._lock:  # nobody submits anything to the thread from now on
            self._work = process
        process.submit(thread.withdraw())

    def _end_threads(self, thread: ThreadEngine, process: ProcessEngine) -> None:
        """Close the thread engine, if it has delivered the rest."""
        if not thread.idle:
            return
        self._thread = None
        thread.close()
        process.resize(self._choice.nworkers)
        self._begin_looking()


def _supervise(ref: "weakref.ref[AdaptiveEngine]", notes: SimpleQueue[Any]) -> None:
    """Have an engine deal with notes, until the note is `None`."""
    while (note := notes.get()) is not None and (engine := ref()) is not None:
        engine._heed(note)  # noqa: SLF001 -- ours
        del note, engine  # they refer to what belongs to the user
