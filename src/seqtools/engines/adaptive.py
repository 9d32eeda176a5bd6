"""Items evaluated where they are soonest ready, as far as that can be measured.

        submit ──▶ one thread ──▶ receive          measured: wall and processor time, pickles
                       │ what the plan says
                       ▼
        submit ──▶ threads, or processes ──▶ receive    measured: what is taken, who waits

What to do is decided by a plan, which knows nothing of threads and processes but their
number: see `seqtools.prefetching.auto`. This does it, and tells the plan what it sees.

While processes start, the thread goes on, so that nobody waits for them. When one has
begun, it gets all that the thread has not begun, and the thread ends.
"""

import threading
from collections import deque
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from time import perf_counter, thread_time
from typing import Any, TypeVar

from seqtools.engines.apart import apart
from seqtools.engines.measuring import Plan, Seen
from seqtools.engines.probing import Probe
from seqtools.engines.process import ProcessEngine
from seqtools.engines.shipping import Pickled
from seqtools.engines.thread import ThreadEngine
from seqtools.errors import WorkerStartError

T = TypeVar("T")

_NAP = 0.01
"""Longest wait for the thread at a stretch, while processes start. Arbitrary."""
_LONG = 0.2
"""Seconds without an item after which one of those at work is taken for slow. Arbitrary."""
_MOST_HELD = 1 << 24
"""Bytes of a pickled pipeline that are held in case processes become better. Arbitrary."""


class AdaptiveEngine:
    """An engine that becomes what its plan says.

    Args:
        plan: What decides.
        threads: Makes an engine of so many threads, which call a probe.
        processes: Makes an engine of so many processes at most, which begins with so many,
            for a pipeline that is pickled, or is not as it need not be.
        pickled: Pickles the pipeline, before anything of it is used here.
    """

    def __init__(
        self,
        plan: Plan,
        threads: Callable[[int, Probe], ThreadEngine],
        processes: Callable[[int, int, Pickled | None], ProcessEngine],
        pickled: Callable[[], Pickled | None],
    ) -> None:
        self._plan = plan
        self._make_threads, self._make_processes = threads, processes
        self._lock = threading.RLock()  # the garbage collector may close at any point
        self._closed = self._looking = False
        self._made: list[ThreadEngine | ProcessEngine] = []  # all of them are to be closed
        self._thread: ThreadEngine | None = None
        self._process: ProcessEngine | None = None
        self._pickled: Pickled | None = None
        # Each is changed by one thread at a time, but not both by the same.
        self._accepted = self._returned = 0
        self._fewer = max(1, plan.most - 1)  # processes beside a thread
        self._left = 0  # items to come from the engine that ends, where there are two
        if plan.method == "process":
            self._begin(plan.nworkers)
        elif plan.either:
            try:
                self._pickled = pickled()
            except WorkerStartError as error:
                plan.refuse(str(error))
        self._probe = Probe([] if self._pickled is None else self._pickled.by_value)
        if not plan.either:
            self._probe.weighs = 0
        if plan.method == "thread":
            self._thread = self._made_threads()
        self._work: ThreadEngine | ProcessEngine = self._thread or self._process  # type: ignore[assignment]
        self._begin_looking()

    # What an engine does

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others that wait if `first`."""
        with self._lock:
            self._accepted += len(indices)
            self._work.submit(indices, first=first)

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that no worker was given."""
        with self._lock:
            dropped = self._work.cancel(indices)  # the other one has none that wait
            self._accepted -= len(dropped)
            return dropped

    def receive(self, *, wait: bool = True) -> list[tuple[int, Any]]:
        """Return what is done, waiting for at least one item; nothing after `close`."""
        began = perf_counter()
        results = self._received(wait=wait)
        self._returned += len(results)
        now = perf_counter()
        if wait:
            self._waited += now - began
        self._taken += len(results)
        if self._thread is None or self._process is None:  # or else there is nothing to decide
            self._look(now)
        return results

    def close(self, *, wait: bool = True) -> None:
        """Stop all work; with `wait`, see to it that workers have gone."""
        with self._lock:
            self._closed = True
            self._pickled = None
        for engine in self._made:
            engine.close(wait=wait)

    def busy(self) -> int:
        """Return how many workers are evaluating something, as far as is known by now."""
        return sum(
            [engine.busy() for engine in (self._thread, self._process) if engine is not None]
        )

    @property
    def nworkers(self) -> int:
        """The number of workers by now."""
        return self._work.nworkers

    def _received(self, *, wait: bool) -> list[tuple[int, Any]]:
        while True:
            thread, process = self._thread, self._process
            if thread is None:
                return self._work.receive(wait=wait)
            results = thread.receive(wait=False)
            if process is not None:
                results += self._received_beside(results, thread, process)
            if results or not wait or self._closed:
                return results
            began = perf_counter()
            thread.nap(_LONG if process is None else _NAP)
            if perf_counter() - began >= _LONG:
                self._plan.stuck()
                self._follow()

    # Two engines at a time

    def _received_beside(
        self, results: list[tuple[int, Any]], thread: ThreadEngine, process: ProcessEngine
    ) -> list[tuple[int, Any]]:
        """Return what processes have done, beside threads, whose results are there already."""
        try:
            others = process.receive(wait=False)
        except WorkerStartError as error:
            if self._work is process or self._left:
                raise
            self._process = None
            apart(process.close)
            self._plan.refuse(str(error))
            self._follow()
            return []
        if self._left:
            self._left -= len(results if self._work is process else others)
            if not self._left:
                self._end_other()
        elif self._work is thread and process.begun:
            self._move(process, len(results) + len(others))
        return others

    def _move(self, engine: ThreadEngine | ProcessEngine, received: int) -> None:
        """Have `engine` do what is not begun, and the other one end when it has done the rest.

        Args:
            engine: What goes on.
            received: Items that were received and are still to be returned.
        """
        with self._lock:
            rest = self._work.withdraw()
            self._work = engine
            engine.submit(rest)
            self._left = self._accepted - self._returned - received - len(rest)
        if not self._left:
            self._end_other()

    def _end_other(self) -> None:
        """Close the engine that has nothing to do any more."""
        thread, process = self._thread, self._process
        if self._work is process:
            self._thread = None
            apart(thread.close)  # type: ignore[union-attr]
        else:
            self._process = None
            apart(process.close)  # type: ignore[union-attr]
        self._work.resize(self._plan.nworkers)
        self._begin_looking()

    def _begin(self, nworkers: int) -> None:
        """Start processes."""
        try:
            process = self._make_processes(self._plan.most, nworkers, self._pickled)
        except WorkerStartError as error:
            if not self._plan.either:
                raise
            self._plan.refuse(str(error))
            return
        self._pickled = None
        with self._lock:
            self._made.append(process)
            self._process = process
        if self._closed:  # who wanted it was interrupted
            process.close(wait=False)

    def _made_threads(self) -> ThreadEngine:
        # no more at a time than there may be, while processes end
        nworkers = 1 if self._process is not None else self._plan.nworkers
        thread = self._make_threads(nworkers, self._probe)
        if not self._plan.measuring:
            thread.probe = None
        self._made.append(thread)
        return thread

    # Looking

    def _begin_looking(self) -> None:
        self._waited, self._taken, self._since = 0.0, 0, perf_counter()
        self._reader, self._read = threading.get_ident(), thread_time()
        self._spent, self._answered = 0.0, 0
        if self._process is not None:
            self._spent, self._answered = self._process.spent, self._process.answered

    def _look(self, now: float) -> None:
        """Tell the plan what was seen, when it is time, and do what it says."""
        if self._looking or self._closed:
            return
        self._looking = True  # until it is done, so that no signal handler does it as well
        try:
            if (self._plan.method == "process") != (self._process is not None):
                self._follow()  # it could not at once
            elif now - self._since >= self._plan.next_look():
                self._plan.look(self._seen(now))
                self._begin_looking()
                self._follow()
        finally:
            self._looking = False

    def _seen(self, now: float) -> Seen:
        read = thread_time() - self._read if self._reader == threading.get_ident() else 0.0
        seen = Seen(now - self._since, self._waited, self._taken, read)
        if self._process is not None:
            return seen._replace(
                spent=self._process.spent - self._spent,
                answered=self._process.answered - self._answered,
                deaths=self._process.deaths,
            )
        probe = self._probe
        if probe.refused is not None and self._plan.either:
            self._plan.refuse(probe.refused)
        return seen._replace(times=_drained(probe.times), costs=_drained(probe.costs))

    def _follow(self) -> None:
        """Have the workers that the plan says."""
        plan, thread, process = self._plan, self._thread, self._process
        if thread is None and process is not None:
            if plan.method == "process":
                process.resize(plan.nworkers)
                return
            # with one thread, no more at a time than there may be
            process.resize(self._fewer)
            if process.size <= self._fewer:
                self._thread = thread = self._made_threads()
                self._move(thread, 0)
        elif thread is not None and plan.method == "process" and process is None:
            thread.resize(1)
            # with that one, no more at a time than there may be
            if thread.busy() <= 1:
                self._fewer = max(1, plan.most - 1)
                apart(lambda: self._begin(self._fewer))
                if self._process is None:  # there can be none
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
