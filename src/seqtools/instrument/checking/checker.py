"""The check of every prefetch in a pipeline."""

from statistics import fmean
from typing import Any

from seqtools._core.lengths import unread
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import size_of
from seqtools._core.walk import is_stage, upstream
from seqtools.engines.cluster.costs import block_of, cost_of
from seqtools.engines.methods import AUTO
from seqtools.instrument.checking.caches import check_caches
from seqtools.instrument.checking.findings import Estimate, Findings
from seqtools.instrument.checking.iterables import check_iterators
from seqtools.instrument.checking.pickling import check_sent, place
from seqtools.instrument.checking.seeds import check_seeds, is_drawing
from seqtools.instrument.checking.sharing import check_drawing, check_shared
from seqtools.instrument.checking.stand_ins import without_scans
from seqtools.instrument.checking.worker import WorkerCheck
from seqtools.instrument.checking.worker_main import Report
from seqtools.instrument.paying import Use, instead, unpaid
from seqtools.instrument.quantities import counted_as, volume
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.memory import usable_memory
from seqtools.prefetching.options import Options

_COMPUTING = 0.8
"""Share of computing from which an item computes all the time. Arbitrary."""


def checked(pipeline: LazySequence[Any], items: int, timeout: float) -> Findings:
    """Return the findings in `pipeline`; see `check`."""
    found = Findings()
    pipeline = without_scans(pipeline)
    stages = list(upstream(pipeline))
    ahead = [each for each in stages if each._traits.reads_ahead and each._args()[1].nworkers]
    in_workers = {id(each) for stage in ahead for each in upstream(stage)}
    with unread(stages):  # so that lengths are not kept, because a list may still grow
        for stage in ahead:
            source, options = stage._args()
            workers = WorkerCheck(stage, source, options, timeout, found)
            _check(stage, workers, _spread(size_of(source), items), found)
        alone = [each for each in stages if id(each) not in in_workers]
        held = len(found)
        for stage in alone:
            check_drawing(stage, found)
        if len(found) == held and any(is_drawing(stage) for stage in alone):
            _check_alone(pipeline, ahead, items, timeout, found)
        check_seeds(stages, found)
        check_caches(stages, found)
    return found


def _check_alone(
    pipeline: LazySequence[Any],
    ahead: list[LazySequence[Any]],
    items: int,
    timeout: float,
    found: Findings,
) -> None:
    """Evaluate items of `pipeline`, the last stages of which draw with a seed, without workers."""
    # what process workers evaluate may open files that cannot be sent any more
    options: list[Options] = [each._args()[1] for each in ahead]  # type: ignore[index]
    if not _is_repeatable(pipeline) or any(each.may_send for each in options):
        return
    workers = WorkerCheck(pipeline, pipeline, Options(1, "thread"), timeout, found)
    indices = _spread(size_of(pipeline), items)
    found.items = len(workers.threads(indices, (), repeats=True, alone=True))


def _check(
    prefetch: LazySequence[Any], workers: WorkerCheck, indices: list[int], found: Findings
) -> None:
    source, options = prefetch._args()  # type: ignore[misc]
    threads, processes = options.may_share_memory, options.may_send
    unsent, shared = Findings(), Findings()
    if processes and options.pickles:
        check_sent(prefetch, source, options, unsent)
    generators = check_shared(prefetch, source, options, shared, unsent)
    if not threads:
        found.take(unsent)
    found.take(shared)
    check_iterators(source, options, found)
    reports: list[Report] = []
    repeats = not generators and _is_repeatable(source)
    if processes and not unsent:
        reports = workers.processes(indices, shares=threads, repeats=repeats)
    elif threads and not _is_read_once(source):
        reports = workers.threads(indices, generators, repeats=repeats)
    estimate = _estimate(place(prefetch), options, reports)
    found.estimates.append(estimate)
    computing = (estimate.computing or 0) >= _COMPUTING
    if threads and computing:
        found.take(unsent)
    _check_window(options, estimate, found)
    cores = usable_cores()
    _check_cost(options, estimate, cores, size_of(source), found)
    cost = cost_of(options.method, options.where)
    is_here = not options.is_cluster or threads or (cost is not None and cost.is_here)
    if is_here and options.nworkers != AUTO and options.nworkers > cores and computing:
        what = (
            f"{counted_as(options.nworkers, 'worker')} for {counted_as(cores, 'usable core')}, and "
            f"items compute {estimate.computing:.0%} of their time"
        )
        found.add(what, estimate.where, f"nworkers={cores}, or None for as many as there are cores")


def _estimate(where: str, options: Options, reports: list[Report]) -> Estimate:
    """Return the estimate from a few items."""
    known = [report.size for report in reports if report.size is not None]
    size = round(fmean(known)) if known and len(known) == len(reports) else None
    window = min(_window(options), _room(options, size))
    timed = reports[1:] or reports  # the first may include imports
    if not timed:
        return Estimate(where, 0, window, size, None, None)
    seconds = fmean(report.seconds for report in timed)
    computed = fmean(report.computed for report in timed)
    return Estimate(where, len(reports), window, size, seconds, min(1.0, computed / seconds))


def _check_cost(
    options: Options, estimate: Estimate, cores: int, n: int | None, found: Findings
) -> None:
    """Report a cluster that cannot be faster than workers on this machine, for `n` items."""
    cost = cost_of(options.method, options.where)
    seconds, computing = estimate.seconds, estimate.computing
    if cost is None or seconds is None or computing is None or options.nworkers == AUTO:
        return
    window = _window(options)
    if options.max_cached is None and estimate.size is not None:
        window = max(window, options.most_on_cluster(estimate.size))
    window = min(window, _room(options, estimate.size))
    block = block_of(seconds, options.nworkers, window, cost)
    if n is not None:
        block = max(1, min(block, n // (2 * options.nworkers)))
    what = unpaid(Use(seconds, block, options.nworkers, computing), cores, cost)
    if what:
        found.add(what, estimate.where, instead(computing))


def _is_read_once(source: Any) -> bool:
    """Return whether items that are read now would be missing later."""
    stages = upstream(source) if is_stage(source) else ()
    return any(stage._traits.read_once and not stage._traits.reads_ahead for stage in stages)


def _is_repeatable(source: Any) -> bool:
    """Return whether an item is there again after it was read."""
    stages = upstream(source) if is_stage(source) else ()
    return not _is_read_once(source) and not any(stage._traits.iterates for stage in stages)


def _spread(n: int | None, count: int) -> list[int]:
    if n is None:
        return list(range(count))
    return sorted({k * (n - 1) // max(1, count - 1) for k in range(min(count, n))})


def _window(options: Options) -> int:
    return options.first if options.max_cached is None else options.max_cached


def _room(options: Options, size: int | None) -> int:
    """Return how many items fit into the bytes of the window."""
    limit = usable_memory() // 10 if options.max_bytes is None else options.max_bytes
    return max(1, limit // max(1, size or 1))


def _check_window(options: Options, estimate: Estimate, found: Findings) -> None:
    workers, window = options.nworkers, _window(options)
    if workers == AUTO:  # it chooses no more than the window has room for
        return
    if window < workers:
        size = counted_as(window, "item")
        what = f"a window of {size} keeps only {window} of {workers} workers busy"
        advice = f"max_cached={2 * workers}, or nworkers={window}"
        found.add(what, estimate.where, advice)
    elif estimate.window < workers and estimate.size is not None:
        what = (
            f"items of {volume(estimate.size)}: max_bytes has room for {estimate.window} of them, "
            f"and keeps only {estimate.window} of {workers} workers busy"
        )
        needed = float(f"{1.05 * 2 * workers * estimate.size:.1e}")
        advice = f"max_bytes={needed:.0f}, smaller items, or fewer workers"
        found.add(what, estimate.where, advice)
