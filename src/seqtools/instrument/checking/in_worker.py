"""A few items evaluated by a worker, which says how that went: the side of who checks.

The worker is one of an engine, started as those of the prefetch are, and ended here.
"""

import io
import pickle
import random
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from itertools import count
from queue import Empty, SimpleQueue
from typing import Any

from seqtools._core.display.short import cut
from seqtools._core.errors import Failure, ItemTimeout, WorkerDied, WorkerStartError
from seqtools.engines.base import END, Deliver, Engine, Job
from seqtools.engines.base import Part as Answer
from seqtools.engines.process.background_threads import KnownReasons
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.process.output_display import show, show_last
from seqtools.engines.process.standard_streams import occupy_standard_streams
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.engines.uninterruptible import uninterrupted
from seqtools.engines.wire.pickling import PipelinePickler
from seqtools.instrument.checking.findings import Findings
from seqtools.instrument.checking.in_worker_main import LOADED, VALUE, Report, WorkerCheck
from seqtools.instrument.checking.sending import parts_of, place, reason
from seqtools.instrument.quantities import duration
from seqtools.prefetching.options import Options

Part = tuple[str, str, Any]
"""Where something is, what it is called, and it."""
_THREADS = "use method='thread'"


class WorkerProcessCheck:
    """Evaluates items of what a prefetch reads, in a worker.

    Args:
        prefetch: The prefetch, for the place of findings.
        source: What it reads.
        options: How it does that.
        seconds: For how long an item may take.
        found: Where findings go.
    """

    def __init__(
        self, prefetch: Any, source: Any, options: Options, seconds: float, found: Findings
    ) -> None:
        self._prefetch, self._source, self._options = prefetch, source, options
        self._seconds, self._found = seconds, found
        self._place = place(prefetch)
        self._hangs = False  # an item does

    def processes(self, indices: Sequence[int], *, shares: bool, repeats: bool) -> list[Report]:
        """Return reports about items that a worker process has made; fewer if it is of no use.

        Args:
            indices: Which items.
            shares: Whether the prefetch may have threads too.
            repeats: Whether to look if an item is the same when it is made again.
        """
        options = self._options
        trial = WorkerCheck(self._source, options.seed, shares=shares, repeats=repeats)
        try:
            with self._started(lambda deliver: self._process(trial, deliver)) as engine:
                return self._evaluated(engine, indices, sent=True)
        except WorkerStartError as error:
            self._cannot_start(error)
            return []

    def threads(self, indices: Sequence[int], generators: Iterable[Any]) -> list[Report]:
        """Return reports about items that a thread has made; fewer if it is of no use.

        The `generators`, and those that are global, are afterwards as they were.
        """
        options = self._options
        trial = WorkerCheck(self._source, options.seed, shares=True, repeats=False)
        try:
            with (
                _kept(generators),
                self._started(
                    lambda deliver: ThreadEngine(
                        trial, 1, options.start_hook, None, self._seconds, deliver=deliver
                    )
                ) as engine,
            ):
                return self._evaluated(engine, indices, sent=False)
        except WorkerStartError as error:
            self._add(cut(str(error), 300), "see the traceback of the first read")
            return []

    @contextmanager
    def _started(self, make: Callable[[Deliver], Engine]) -> Iterator["_Asked"]:
        """Have an engine for a while; then it is closed, and what workers print is shown."""
        asked = _Asked(make)
        engine = asked.engine
        try:
            yield asked
        finally:
            # a thread that hangs is not waited for, and not warned of as it is told
            uninterrupted(lambda: engine.close(wait=not self._hangs))
            show_last(wait=True)

    def _process(self, get: Callable[[int], Any], deliver: Deliver) -> Engine:
        occupy_standard_streams()
        hook, start_method = self._options.start_hook, self._options.start_method
        known = KnownReasons(silent=True)  # it is a finding
        return ProcessEngine(
            None, get, 1, hook, start_method, deliver=deliver, timeout=self._seconds, known=known
        )

    def _evaluated(self, engine: "_Asked", indices: Sequence[int], *, sent: bool) -> list[Report]:
        reports: list[Report] = []
        if sent:
            loaded = engine.ask(LOADED)
            if self._options.start_method == "template" and not isinstance(loaded, Failure):
                for told in loaded:
                    self._found.add(*told)
        for i in indices:
            report = engine.ask(i)
            if isinstance(report, Failure):
                self._failed(i, report.error)
                if isinstance(report.error, ItemTimeout | WorkerDied):
                    break  # others are as likely to
                continue
            if report is END or report.ended:
                break
            for told in report.found:
                self._found.add(*told)
            if report.error:
                self._fails(i, report.error)
                continue
            reports.append(report)
            sent = sent and self._sends(engine, i)
        return reports

    def _sends(self, engine: "_Asked", i: int) -> bool:
        """Return whether the value of item `i` comes here, sent as it would be."""
        value = engine.ask(VALUE + i)
        if not isinstance(value, Failure):
            return True
        # "item 1099511627776 cannot be sent from a worker process: …", with our number
        *_, why = reason(value.error).split(f"{VALUE + i} ", 1)
        self._add(f"item {i} {why}", f"return arrays, or what can be pickled, or {_THREADS}")
        return False

    def _failed(self, i: int, error: BaseException) -> None:
        if isinstance(error, ItemTimeout):
            self._hangs = True
            what = f"item {i} is not ready after {duration(self._seconds)}"
            given = self._options.timeout
            if given is not None and given <= self._seconds:
                what += f", which is an error with timeout={given:g}"
            advice = (
                f"seqtools.explain(…, {i}) shows in which stage; check(…, timeout=) waits longer"
            )
            self._add(what, advice)
        elif isinstance(error, WorkerDied):
            *_, how = str(error).split(": ", 1)
            what = f"a worker process dies when it evaluates item {i}: {how}"
            self._add(what, f"seqtools.explain(…, {i}) shows in which stage, and dies too")
        else:
            self._fails(i, reason(error))

    def _fails(self, i: int, why: str) -> None:
        what = f"item {i} fails: {cut(why, 200)}"
        self._add(what, f"seqtools.explain(…, {i}) shows in which stage")

    def _add(self, what: str, advice: str) -> None:
        self._found.add(what, self._place, advice)

    def _cannot_start(self, error: WorkerStartError) -> None:
        """Find out what it is that cannot be loaded, by a worker that loads it part by part."""
        hook = self._options.start_hook
        parts = list(parts_of(self._prefetch, self._source, hook))
        refused = None if self._options.start_method == "fork" else self._refused(parts)
        if refused is None:
            self._add(cut(str(error).partition("\n")[0], 300), f"fix that, or {_THREADS}")
            return
        (where, name, _), why = refused
        what = f"{name} cannot be loaded in worker processes: {why}"
        advice = f"put it where workers can import it, in a folder of sys.path, or {_THREADS}"
        self._found.add(what, where, advice)

    def _refused(self, parts: Sequence[Part]) -> tuple[Part, str] | None:
        """Return the first of `parts` that cannot be loaded, and why."""
        try:
            with self._started(lambda deliver: self._process(_Parts(parts), deliver)) as engine:
                for k, part in enumerate(parts):
                    outcome = engine.ask(k)
                    if isinstance(outcome, Failure):
                        slow = isinstance(outcome.error, ItemTimeout)
                        why = f"it takes more than {duration(self._seconds)}"
                        return part, why if slow else reason(outcome.error)
        except WorkerStartError:  # it is the start hook that fails
            pass
        return None


class _Parts:
    """Loads what is sent, part by part, where an engine evaluates items."""

    def __init__(self, parts: Sequence[Part]) -> None:
        self._pickled = [_pickled(part) for _, _, part in parts]

    def __call__(self, k: int) -> None:
        data, buffers = self._pickled[k]
        pickle.loads(data, buffers=buffers)  # noqa: S301 -- of this program


def _pickled(part: Any) -> tuple[bytes, list[bytes]]:
    file, buffers = io.BytesIO(), list[pickle.PickleBuffer]()
    PipelinePickler(file, buffers).dump(part)
    return file.getvalue(), [buffer.raw().tobytes() for buffer in buffers]


class _Asked:
    """An engine that is asked for one item after the other."""

    def __init__(self, make: Callable[[Deliver], Engine]) -> None:
        self._arrived: SimpleQueue[Answer | WorkerStartError | None] = SimpleQueue()
        self.engine = make(self._arrived.put)
        self._jobs = count()

    def ask(self, i: int) -> Any:
        """Return what becomes of index `i`.

        Raises:
            WorkerStartError: If nothing can be evaluated.
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


@contextmanager
def _kept(generators: Iterable[Any]) -> Iterator[None]:
    """Have random generators be as they were, those that are global and those that are given."""
    restored: list[tuple[Callable[[Any], object], Any]] = [(random.setstate, random.getstate())]
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        restored.append((numpy.random.set_state, numpy.random.get_state()))
    if torch is not None:
        restored.append((torch.set_rng_state, torch.get_rng_state()))
    restored += [pair for each in generators for pair in _state(each)]
    try:
        yield
    finally:
        for put, state in restored:
            put(state)


def _state(generator: Any) -> Iterator[tuple[Callable[[Any], object], Any]]:
    """Yield how to set the state of a generator, and the state that it has."""
    bits = getattr(generator, "bit_generator", generator)  # of numpy
    if hasattr(bits, "state"):
        yield partial(setattr, bits, "state"), bits.state
        return
    for get, put in (("get_state", "set_state"), ("getstate", "setstate")):
        if hasattr(bits, get) and hasattr(bits, put):
            yield getattr(bits, put), getattr(bits, get)()
