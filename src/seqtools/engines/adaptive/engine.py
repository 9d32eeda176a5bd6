"""Items evaluated where they are soonest ready, as far as that can be measured.

        submit ──▶ one thread ──▶ deliver          measured: wall and processor time, pickles
                       │ what the plan says
                       ▼
        submit ──▶ threads, or processes ──▶ deliver    measured: what is taken, who waits

What to do is decided by a plan, which knows nothing of threads and processes except their
number: see `seqtools.prefetching.auto`. A thread of this engine, the `EngineSwitch`, tells the plan
what was seen, and does what it says. So no interrupt comes in between, and no reader waits.

While processes start, threads go on, so that nobody waits for them. When one has
begun, it gets all that no thread has begun, and the thread engine is closed when it has delivered
the rest. In the other direction it is the same.
"""

import contextvars
import threading
import weakref
from collections.abc import Callable, Collection, Sequence
from queue import SimpleQueue
from time import perf_counter, thread_time
from typing import Any

from seqtools._core.errors import WorkerStartError, creation_site, reader
from seqtools.engines.adaptive.counting import DeliveryCounter
from seqtools.engines.adaptive.measurements import Plan
from seqtools.engines.adaptive.probe import ThreadMeter
from seqtools.engines.adaptive.switching import STUCK, EngineSwitch
from seqtools.engines.base import Deliver, GroupOf, Job
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.resource_errors import start_thread
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.wire.shipment import PickledPipeline

_LONG = 0.2
"""Seconds without an item after which one of those at work is taken for slow. Arbitrary."""
_PATIENCE = 2.0
"""Seconds to wait for the start of processes that nobody needs any more. Arbitrary."""


class AdaptiveEngine:
    """An engine that becomes what its plan says.

    Args:
        plan: What decides.
        threads: Makes an engine of so many threads, which call a probe.
        processes: Makes an engine of so many processes at most, which begins with so many,
            for a pipeline that is pickled, or is not because it need not be.
        pickled: Pickles the pipeline, before anything of it is used here.
        deliver: Takes what was evaluated.
    """

    def __init__(
        self,
        plan: Plan,
        threads: Callable[[int, ThreadMeter, Deliver], ThreadEngine],
        processes: Callable[[int, int, PickledPipeline | None, Deliver], ProcessEngine],
        pickled: Callable[[], PickledPipeline | None],
        *,
        deliver: Deliver,
    ) -> None:
        self._counter = DeliveryCounter(deliver)
        self._switch = EngineSwitch(plan, threads, processes, pickled, self._counter)
        self._quiet = self._looked = 0.0  # since when nothing came; when a reader looked
        self._items = 0  # that had come then
        self._context = contextvars.copy_context()
        self._context.run(reader.set, creation_site())
        self._free = [None]  # removed by the thread that serves, if several are started
        self._threads: list[threading.Thread] = []

    def __del__(self) -> None:
        """End the workers of an engine that nobody has closed."""
        if hasattr(self, "_threads"):  # or else it was never made
            self.close(wait=False)

    # What an engine does

    @property
    def grain(self) -> float:
        """Seconds of work that are worth a message."""
        return self._switch.work.grain

    @property
    def group_of(self) -> GroupOf | None:
        """Tells which items should be evaluated by the same worker, `None` if that is the same."""
        return self._switch.work.group_of

    @property
    def nworkers(self) -> int:
        """The number of workers by now."""
        return self._switch.work.nworkers

    @property
    def news(self) -> bool:
        """Whether `tell` has something to do."""
        return True in [engine.news for engine in self._switch.engines()]

    def submit(self, ahead: Sequence[Job], urgent: Sequence[Job] = ()) -> None:
        """Take jobs on; those that are `urgent` before all that wait."""
        switch = self._switch
        if switch.closed:
            return
        with switch.lock:  # or else they could come to an engine that is closed just now
            switch.work.submit(ahead, urgent)
        switch.reader_at = threading.get_ident(), thread_time()
        if self._free:
            self._start()

    def cancel(self, ids: Collection[int]) -> None:
        """Do not begin items of these jobs that nobody has begun."""
        for engine in self._switch.engines():
            engine.cancel(ids)

    def look(self) -> float:
        """Attend to what needs a reader that waits."""
        pause = min([_LONG, *[engine.look() for engine in self._switch.engines()]])
        now, items = perf_counter(), self._counter.items
        if items != self._items or now - self._looked > 2 * _LONG:  # or no reader has waited
            self._quiet, self._items = now, items
        elif now - self._quiet >= _LONG:
            self._counter.notes.put(STUCK)
            self._quiet = now
        self._looked = now
        self._counter.ask(now)
        return pause

    def waited(self, seconds: float) -> None:
        """Note that a reader has waited for so long."""
        self._switch.waited += seconds
        self._switch.work.waited(seconds)

    def tell(self) -> None:
        """Warn of what has to be known, in the thread of a reader."""
        for engine in self._switch.engines():
            engine.tell()

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, see to it that workers have gone."""
        switch = self._switch
        switch.closed = True
        self._counter.notes.put(None)
        for engine in switch.engines():
            engine.close(wait=wait)
        if not wait:
            return
        for thread in self._threads:
            if thread.ident not in {None, threading.get_ident()}:
                thread.join(_PATIENCE)  # it closes what it has just made

    def busy(self) -> int:
        """Return how many workers are evaluating something, as far as is known by now."""
        return sum([engine.busy() for engine in self._switch.engines()])

    # The thread that decides

    def _start(self) -> None:
        thread = threading.Thread(
            target=self._context.copy().run,
            # it does not refer to the engine while it waits, so that this can be collected
            args=(_serve, weakref.ref(self._switch), self._counter.notes, self._free),
            name="seqtools-switch",
            daemon=True,
        )
        self._threads.append(thread)
        try:
            start_thread(thread)
        except WorkerStartError as error:
            self._counter.deliver(error)


def _serve(ref: "weakref.ref[EngineSwitch]", notes: SimpleQueue[Any], free: list[None]) -> None:
    """Have a switch deal with notes, until the note is `None`."""
    try:
        free.pop()
    except IndexError:  # another thread does it
        return
    while (note := notes.get()) is not None and (switch := ref()) is not None:
        switch.heed(note)
        del note, switch  # they refer to what belongs to the user
