"""Evaluates a few items in a worker, which an engine starts as for the prefetch."""

import sys
from collections.abc import Callable, Iterable, Sequence
from itertools import count
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any

from seqtools._core.display.short import cut
from seqtools._core.errors import Failure, ItemTimeout, WorkerDied, WorkerStartError
from seqtools.engines.base import END, Deliver, Engine, Job, Part
from seqtools.engines.dispatch.output_display import show, show_last
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.process.standard_streams import occupy_standard_streams
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.uninterruptible import uninterrupted
from seqtools.engines.wire.handle_kinds import OPENED_THERE
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.flags import check_filters, check_flags
from seqtools.instrument.checking.pickling import place, reason
from seqtools.instrument.checking.random_state import restored_generators
from seqtools.instrument.checking.worker_main import FLAGS, VALUE, ItemReports, Report
from seqtools.instrument.quantities import duration
from seqtools.prefetching.options import Options

_THREADS = "use method='thread'"


_FOR_EACH_THREAD = (
    f"make what only the thread that made it can use {OPENED_THERE}; seqtools.explain cannot show "
    "the error, because it evaluates in your thread"
)


def _is_of_threads(error: BaseException) -> bool:
    """Return whether `error` is that of SQLite for a connection of another thread."""
    sqlite3 = sys.modules.get("sqlite3")
    return (
        sqlite3 is not None
        and isinstance(error, sqlite3.ProgrammingError)
        and "created in a thread" in str(error)
    )


class WorkerCheck:
    """Evaluates items of a prefetch in a worker.

    Args:
        prefetch: The prefetch.
        source: What it reads.
        options: The options of the prefetch.
        seconds: Most time for an item.
        found: Receives the findings.
    """

    def __init__(
        self, prefetch: Any, source: Any, options: Options, seconds: float, found: Findings
    ) -> None:
        self._source, self._options = source, options
        self._seconds, self._found = seconds, found
        self._place = place(prefetch)
        self._hangs = False  # whether an item took too long
        self._ended = False  # whether the worker has ended
        self._alone = False  # whether the caller's thread evaluates all items, without workers

    def processes(self, indices: Sequence[int], *, shares: bool, repeats: bool) -> list[Report]:
        """Return reports from a worker process; fewer if it cannot go on.

        Args:
            indices: The items to evaluate.
            shares: Whether the prefetch may have threads too.
            repeats: Whether to evaluate items twice and compare.
        """
        options = self._options
        check = self._reports_of(shares=shares, repeats=repeats)
        known = KnownReasons()

        def make(deliver: Deliver) -> Engine:
            occupy_standard_streams()
            hook, start_method = options.start_hook, options.start_method
            made = list[Engine]()
            # not in the main thread, which does not use the fork server
            uninterrupted(
                lambda: made.append(
                    ProcessEngine(
                        *(None, check, 1, hook, start_method),
                        deliver=deliver, timeout=self._seconds, known=known,
                        end_hook=options.end_hook,
                    )
                )
            )  # fmt: skip
            return made[0]

        def loaded() -> None:
            if known and not options.is_cluster:  # each of its workers loads it for itself
                what = f"{known.reason}: so each worker loads the pipeline for itself"
                self._add(what, "import or create that in the function that uses it")

        advice = f"put what it needs where workers can import it, in sys.path, or {_THREADS}"
        return self._evaluated(make, indices, advice, loaded)

    def threads(
        self,
        indices: Sequence[int],
        generators: Iterable[Any],
        *,
        repeats: bool,
        alone: bool = False,
    ) -> list[Report]:
        """Return reports from a thread; fewer if it cannot go on.

        The state of `generators` and of the global random generators is restored.

        Args:
            indices: The items to evaluate.
            generators: Other generators.
            repeats: Whether to evaluate items twice and compare.
            alone: Whether there are no workers.
        """
        options = self._options
        self._alone = alone
        check = self._reports_of(shares=True, repeats=repeats, alone=alone)

        def make(deliver: Deliver) -> Engine:
            return ThreadEngine(
                check, 1, options.start_hook, None, self._seconds,
                end_hook=options.end_hook, deliver=deliver,
            )  # fmt: skip

        with restored_generators(generators):
            return self._evaluated(make, indices, "see the traceback of the first read")

    def _reports_of(self, *, shares: bool, repeats: bool, alone: bool = False) -> ItemReports:
        # so that both evaluations of an item take no longer than one item may
        longest = self._seconds / 3 if repeats else -1.0
        seed = self._options.seed
        return ItemReports(self._source, seed, shares=shares, longest=longest, alone=alone)

    def _evaluated(
        self,
        make: Callable[[Deliver], Engine],
        indices: Sequence[int],
        advice: str,
        loaded: Callable[[], None] | None = None,
    ) -> list[Report]:
        """Return reports from an engine, and report why it cannot go on.

        Args:
            make: Starts the engine.
            indices: The items to evaluate.
            advice: What to do if the engine cannot start.
            loaded: For processes: is called when the worker has loaded the pipeline.
        """
        try:
            engine = _OneByOne(make)
            try:
                if loaded is not None:
                    engine.ask(VALUE)  # returns when the pipeline is loaded
                    loaded()
                reports = self._reports(engine, indices, sent=loaded is not None)
                if loaded is not None and not self._ended:
                    self._check_flags(engine)
                return reports
            finally:
                # without waiting for an item that hangs, which is reported as a finding
                uninterrupted(lambda: engine.engine.close(wait=not self._hangs))
                show_last(wait=True)  # what workers printed
        except WorkerStartError as error:
            self._add(cut(str(error).partition("\n")[0], 300), advice)
            return []

    def _reports(self, engine: "_OneByOne", indices: Sequence[int], *, sent: bool) -> list[Report]:
        reports: list[Report] = []
        failed: dict[str, list[int]] = {}  # items by the reason
        elsewhere: set[str] = set()  # reasons for which they fail only in another thread
        slow, in_thread = False, not sent
        for i in indices:
            began = monotonic()
            report = engine.ask(i)
            slow = slow or monotonic() - began > self._seconds / 3
            if isinstance(report, Failure):
                if isinstance(report.error, ItemTimeout | WorkerDied):
                    self._ended = True
                    self._stopped(i, report.error)
                    break  # other items would probably do the same
                why = reason(report.error)
                failed.setdefault(why, []).append(i)
                if _is_of_threads(report.error):
                    elsewhere.add(why)
                continue
            if report is END:
                break
            self._found.take(report.found)
            self._found.take_differing(report.differing)
            reports.append(report)
            sent = sent and self._sends(engine, i)
        for why, items in failed.items():
            evaluated = in_thread and not slow and not self._ended
            if why in elsewhere or (evaluated and self._is_elsewhere(engine, items[0])):
                if not self._alone:
                    self._failed(items, why, elsewhere=True)
            else:
                self._failed(items, why, elsewhere=False)
        return reports

    def _is_elsewhere(self, engine: "_OneByOne", i: int) -> bool:
        """Return whether item `i`, which has failed in a thread, only fails in another than this.

        It is evaluated in both again, because it could also be one that fails now and then.
        """
        try:
            self._reports_of(shares=True, repeats=False)(i)
        except Exception:  # noqa: BLE001 -- user code may raise anything
            return False
        again = engine.ask(i)
        if not isinstance(again, Failure):
            return False
        self._ended = self._hangs = isinstance(again.error, ItemTimeout)
        return not self._hangs

    def _check_flags(self, engine: "_OneByOne") -> None:
        there = engine.ask(FLAGS)
        if not isinstance(there, Failure):
            check_flags(there, self._place, self._found)
        if self._options.is_cluster:
            check_filters(self._place, self._found)

    def _sends(self, engine: "_OneByOne", i: int) -> bool:
        """Return whether the value of item `i` can be sent back."""
        value = engine.ask(VALUE + i)
        if not isinstance(value, Failure):
            return True
        # the message names the item by our number
        *_, why = reason(value.error).split(f"{VALUE + i} ", 1)
        self._add(f"item {i} {why}", f"return arrays, or what can be pickled, or {_THREADS}")
        return False

    def _failed(self, items: list[int], why: str, *, elsewhere: bool) -> None:
        *first, last = map(str, items)
        which = f"items {', '.join(first)} and {last} fail" if first else f"item {last} fails"
        if elsewhere:
            what, advice = f"{which} only in another thread than yours: {why}", _FOR_EACH_THREAD
        else:
            what, advice = (
                f"{which}: {why}",
                f"seqtools.explain(…, {items[0]}) shows in which stage",
            )
        self._add(what, advice)

    def _stopped(self, i: int, error: ItemTimeout | WorkerDied) -> None:
        explain = f"seqtools.explain(…, {i})"
        if isinstance(error, ItemTimeout):
            self._hangs = True
            what = f"item {i} is not ready after {duration(self._seconds)}"
            given = self._options.timeout
            if given is not None and given <= self._seconds:
                what += f", which is an error with timeout={given:g}"
            self._add(what, f"{explain} shows in which stage; check(…, timeout=) waits longer")
        else:
            *_, how = str(error).split(": ", 1)
            what = f"a worker process dies when it evaluates item {i}: {how}"
            self._add(what, f"{explain} shows in which stage, and dies too")

    def _add(self, what: str, advice: str) -> None:
        self._found.add(what, self._place, advice)


class _OneByOne:
    """An engine that evaluates one item after the other."""

    def __init__(self, make: Callable[[Deliver], Engine]) -> None:
        self._arrived: SimpleQueue[Part | WorkerStartError | None] = SimpleQueue()
        self.engine = make(self._arrived.put)
        self._jobs = count()

    def ask(self, i: int) -> Any:
        """Return the outcome of index `i`.

        Raises:
            WorkerStartError: If the engine cannot evaluate items.
        """
        job, pause = Job(next(self._jobs), [i]), 0.0
        self.engine.submit([job])
        while True:
            try:
                part = self._arrived.get(timeout=pause)
            except Empty:
                pause = self.engine.look()
                continue
            show()
            if isinstance(part, WorkerStartError):
                raise part
            if part is not None and part.job == job.id:
                return part.outcomes[0]
