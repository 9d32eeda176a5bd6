"""What to try, with the time that the model predicts for it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from seqtools.engines.methods import DEFAULT, Method, suggested
from seqtools.instrument.profiling.case import SOME, Case
from seqtools.instrument.profiling.cluster_cost import cluster_cost
from seqtools.instrument.profiling.model import Prediction

WORTH = 0.92
"""Ratio of the predicted time to the measured one below which other workers are advised.
Arbitrary, as are all shares below."""
_IDLE = 0.2
"""Share of the workers that are idle from which a larger window may help."""
NEARLY = 1.05
"""Ratio to the shortest time up to which fewer workers are nearly as good."""
_PROCESSES_START = 0.15
"""Seconds for worker processes of a new program to start, without imports. Measured on an idle
machine: see `start` in docs/benchmarks.md."""
_MOST_THREADS = 32
WORKERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Numbers of workers to try, up to the largest number allowed."""


class Advice(NamedTuple):
    """Something to try."""

    text: str
    """What to write, and where."""
    arguments: dict[str, Any]
    """The arguments of the prefetch to change; empty for other advice."""
    seconds: float
    """Predicted time for the same items, after the first one."""
    note: str = ""
    """A remark on the prediction."""
    start: float | None = None
    """Predicted time until the first item, `None` if it stays as it is."""
    pace: float | None = None
    """Predicted time for an item in a long run, `None` if it is that in these `seconds`."""
    bound: bool = False
    """Whether it can only be slower than predicted, by what was not measured."""

    def whole(self, case: Case) -> float:
        """Return the predicted time from the first request to the last item."""
        return (case.measures.start if self.start is None else self.start) + self.seconds

    def gain(self, case: Case) -> float:
        """Return how many times as fast a long run is predicted to be."""
        now = case.measures.seconds
        return now / max(1e-9, self.seconds if self.pace is None else self.pace * case.count)


def for_loading(case: Case, *, slow_item: bool, transfer: bool) -> Iterator[Advice]:
    """Yield changes that serve the consumer faster.

    Args:
        case: The profile.
        slow_item: Whether the consumer waits for one item.
        transfer: Whether the consumer waits for the transfer of values.
    """
    tried = [] if case.chosen else [*_workers(case, transfer=transfer)]
    if not transfer:
        tried += _larger(case)
    tried += _window(case) if slow_item else _wider(case)
    tried = [advice for advice in tried if _pays(case, advice)]
    yield from tried
    if not (tried or slow_item or transfer or (case.crowded and case.recording.others > SOME)):
        yield from _fewer(case)


def _pays(case: Case, advice: Advice) -> bool:
    """Return whether an advice is worth to be given, for these items or for a long run."""
    now = case.measures.start + case.measures.seconds
    return advice.whole(case) < WORTH * now or advice.gain(case) > 1 / WORTH


def _best(case: Case, method: str, most: int) -> tuple[int, Prediction] | None:
    """Return the fewest workers that are nearly as good as the best number, and the times.

    There may be none, as for a loop that needs the cores itself.
    """
    most = min(most, max(1, case.measures.items))
    times: dict[int, Prediction] = {}
    for workers in sorted({*(w for w in WORKERS if w <= most), most}):
        if not case.competes(workers):
            times[workers] = case.expect_with(method, workers)
    best = min((estimate.total for estimate in times.values()), default=0.0)
    return next(((w, e) for w, e in times.items() if e.total <= NEARLY * best), None)


def _workers(case: Case, *, transfer: bool = False, where: str = "") -> Iterator[Advice]:
    """Yield other workers, and only those that gain more than cheaper ones before them."""
    found: list[Advice] = []
    for advice in _of_each_method(case, transfer=transfer, where=where):
        if all(
            advice.whole(case) * NEARLY < cheaper.whole(case)
            or advice.gain(case) > NEARLY * cheaper.gain(case)
            for cheaper in found
        ):
            found.append(advice)
    return iter(found)


def _of_each_method(case: Case, *, transfer: bool, where: str) -> Iterator[Advice]:
    """Yield the best number of workers of each method: that of now first, then threads."""
    method = case.options.get("method", DEFAULT) if case.workers else ""
    for other in sorted(suggested(), key=lambda e: (e.name != method, not e.shares_memory)):
        same = other.name == method
        if transfer and not other.shares_memory and not case.is_cluster:
            continue
        most = _MOST_THREADS
        if not other.shares_memory:
            most = max(case.recording.cores, case.workers if same else 1)
        best = _best(case, other.name, most)
        if best is None or (same and best[0] <= case.workers):
            continue
        workers, estimate = best
        arguments: dict[str, Any] = {"nworkers": workers}
        if not same:
            arguments["method"] = other.name
        if case.needs_window(other.name, workers):
            arguments["max_cached"] = 2 * workers
        written = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        start = None if same else _start(case, other, estimate)
        pace = case.pace_with(other.name, workers)
        text = f"prefetch(…, {written}){where}"
        yield Advice(text, arguments, estimate.seconds, start=start, pace=pace)


def _larger(case: Case) -> Iterator[Advice]:
    """Yield a larger number of workers of a cluster that pays."""
    if case.is_cluster and not cluster_cost(case):
        most = max(_MOST_THREADS, 4 * case.workers)
        best = _best(case, case.options["method"], most)
        if best is not None and best[0] > case.workers:
            text = f"prefetch(…, nworkers={best[0]}), of a cluster that has as many"
            yield Advice(text, {"nworkers": best[0]}, best[1].seconds)


def _start(case: Case, method: Method, estimate: Prediction) -> float | None:
    """Return the time until the first item with another method, `None` if it is about the same."""
    if method.has_start_method == case.uses_processes() and not case.is_cluster and case.workers:
        return None
    first = max(case.mean(), estimate.first)
    if method.has_start_method:
        return first + _PROCESSES_START + case.recording.imports
    return first


def for_consumer(case: Case) -> Iterator[Advice]:
    """Yield a smaller number of workers that is as fast."""
    if not case.chosen:
        yield from _fewer(case, ": loading is fast enough")


def _fewer(case: Case, why: str = "") -> Iterator[Advice]:
    """Yield the smallest number of workers that is as fast as the present one."""
    if case.chosen:
        return
    method = case.options.get("method", DEFAULT)
    current = case.expect(case.setting)
    for workers in range(1, case.workers):
        total, seconds = case.expect_with(method, workers)
        if total <= 1.02 * current.total:
            text = f"prefetch(…, nworkers={workers}) does as well{why}"
            yield Advice(text, {"nworkers": workers}, max(seconds, case.measures.seconds))
            return


def _window(case: Case) -> Iterator[Advice]:
    slow = case.slow_item()
    if slow is None:
        return
    pace = max(case.costs.use, 1e-6, case.mean() / max(1, case.workers))
    size = case.setting.window
    wanted = 2 * max(size, int(slow.took / pace))
    if wanted <= len(case.measures.served) * 2 and wanted > size:
        seconds = case.expect(case.setting._replace(window=wanted)).seconds
        yield Advice(f"prefetch(…, max_cached={wanted})", {"max_cached": wanted}, seconds)
    if case.setting.ordered:
        seconds = case.expect(case.setting._replace(ordered=False)).seconds
        yield Advice("prefetch(…, ordered=False)", {"ordered": False}, seconds)


def _wider(case: Case) -> Iterator[Advice]:
    """Yield a larger window where the user's one leaves workers idle."""
    size, wanted = case.setting.window, 2 * case.workers
    idle = case.workers - case.measures.busy
    if case.options.get("max_cached") is not None and size < wanted and idle > _IDLE * case.workers:
        wider = case.setting._replace(window=wanted)
        text = f"prefetch(…, max_cached={wanted}), so that fewer workers wait for room"
        yield Advice(text, {"max_cached": wanted}, case.expect(wider).seconds)


def for_inline(case: Case) -> Iterator[Advice]:
    """Yield a prefetch for a pipeline that has none with workers."""
    inline = any(stage.kind == "prefetch" for stage in case.recording.stages)
    tried = _workers(case, where=" in place of nworkers=0" if inline else " after all of it")
    yield from (a for a in tried if _pays(case, a))
