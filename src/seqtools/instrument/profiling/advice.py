"""What to try, with the time that the model predicts for it."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from seqtools.engines.methods import DEFAULT, Method, suggested
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.cluster_cost import cluster_cost
from seqtools.instrument.profiling.model import Prediction, predict
from seqtools.instrument.profiling.overlap import Loading

_WORTH = 0.92
"""Ratio of the predicted time to the measured one below which other workers are advised.
Arbitrary, as are all shares below."""
_WORTH_A_LINE = 0.98
"""The same for other advice."""
_LITTLE = 0.1
"""Share of computing below which workers gain nothing from reading ahead meanwhile."""
_HIDDEN = 0.5
"""Share of loading in the background from which a note says so."""
_NEARLY = 1.05
"""Ratio to the shortest time up to which fewer workers are nearly as good."""
_PROCESSES_START = 0.2
"""Seconds for worker processes to start. Arbitrary: 0.1 to 0.2, without imports."""
_MOST_THREADS = 32
_WORKERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Numbers of workers to try, up to the largest number allowed."""


class Advice(NamedTuple):
    """Something to try."""

    text: str
    """What to write, and where."""
    arguments: dict[str, Any]
    """The arguments of the prefetch to change; empty for other advice."""
    seconds: float
    """Predicted time for the same items."""
    note: str = ""
    """A remark on the prediction."""
    start: float | None = None
    """Predicted time until the first item, `None` if it stays as it is."""


def for_loading(case: Case, *, slow_item: bool, transfer: bool) -> Iterator[Advice]:
    """Yield changes that serve the consumer faster.

    Args:
        case: The profile.
        slow_item: Whether the consumer waits for one item.
        transfer: Whether the consumer waits for the transfer of values.
    """
    now = case.measures.seconds
    tried = [] if case.chosen else [*_workers(case, transfer=transfer)]
    if not transfer:
        tried += _larger(case)
    if slow_item:
        tried += _window(case)
    yield from (a for a in tried if a.seconds < _WORTH * now)
    if not (slow_item or transfer):
        tried = [] if case.queued else [*_without_ahead(case)]
        yield from (a for a in [*_overlap(case), *tried] if a.seconds < _WORTH_A_LINE * now)


def of_little_effect(case: Case) -> Iterator[Advice]:
    """Yield the advice about a stage that waits which gains little.

    Without it, users would try it.
    """
    yield from (a for a in _overlap(case) if a.seconds >= _WORTH_A_LINE * case.measures.seconds)


def _best(case: Case, method: str, most: int) -> tuple[int, float]:
    """Return the fewest workers that are nearly as good as the best number, and the time."""
    times: dict[int, Prediction] = {}
    for workers in sorted({*(w for w in _WORKERS if w <= most), most}):
        times[workers] = case.expect_with(method, workers)
    best = min(estimate.total for estimate in times.values())
    workers = next(w for w, estimate in times.items() if estimate.total <= _NEARLY * best)
    return workers, times[workers].seconds


def _workers(case: Case, *, transfer: bool = False, where: str = "") -> Iterator[Advice]:
    method = case.options.get("method", DEFAULT) if case.workers else ""
    for other in suggested():
        same = other.name == method
        if transfer and not other.shares_memory and not case.is_cluster:
            continue
        most = _MOST_THREADS
        if not other.shares_memory:
            most = max(case.recording.cores, case.workers if same else 1)
        workers, seconds = _best(case, other.name, most)
        if same and workers <= case.workers:
            continue
        arguments: dict[str, Any] = {"nworkers": workers}
        if not same:
            arguments["method"] = other.name
        written = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        start = None if same else _start(case, other)
        yield Advice(f"prefetch(…, {written}){where}", arguments, seconds, start=start)


def _larger(case: Case) -> Iterator[Advice]:
    """Yield a larger number of workers of a cluster that pays."""
    if case.is_cluster and not cluster_cost(case):
        most = max(_MOST_THREADS, 4 * case.workers)
        workers, seconds = _best(case, case.options["method"], most)
        if workers > case.workers:
            text = f"prefetch(…, nworkers={workers}), of a cluster that has as many"
            yield Advice(text, {"nworkers": workers}, seconds)


def _start(case: Case, method: Method) -> float | None:
    """Return the time until the first item with another method, `None` if it is about the same."""
    if method.has_start_method == case.uses_processes() and not case.is_cluster:
        return None
    first = case.mean()
    return first + _PROCESSES_START if method.has_start_method else first


def for_consumer(case: Case) -> Iterator[Advice]:
    """Yield a smaller number of workers that is as fast."""
    if case.chosen:
        return
    method = case.options.get("method", DEFAULT)
    current = case.expect(case.setting)
    for workers in range(1, case.workers):
        total, seconds = case.expect_with(method, workers)
        if total <= 1.02 * current.total:
            text = f"prefetch(…, nworkers={workers}) does as well: loading is fast enough"
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


def _overlap(case: Case) -> Iterator[Advice]:
    """Yield ways to read a stage that waits ahead, so that workers compute meanwhile."""
    loading, m = case.loading, case.measures
    computing = sum(item.computing for item in case.items)
    if loading is None or computing < _LITTLE * max(1, case.workers) * m.seconds:
        return
    where, note = loading.figure.stage.name, _note(case, loading)
    size = loading.cache.options["cache_size"] if loading.cache is not None else 0
    ahead = case.options.get("readahead", True)
    alone = _gaining(case, loading.missed - _missed(case, loading, 1))
    if size > 1 and not ahead:
        text = f"prefetch(…, readahead=True): caches after {where} are read ahead then"
        yield Advice(text, {"readahead": True}, alone, note)
    if loading.again and (size or not loading.kept):
        most = max(2, *loading.different.values())
        repeats = 1 - sum(loading.different.values()) / loading.reads
        text = f"add_cache(…, cache_size={most}) after {where}, which reads items again"
        yield Advice(text, {}, _gaining(case, loading.missed * repeats), note)
    elif size == 1 and ahead:
        text = f"add_cache(…, cache_size=4) after {where}, to have some of it read ahead"
        yield Advice(text, {}, alone, note)
    threads = 0
    if loading.inner is not None:
        threads = len(case.recording.pool(loading.inner)) // max(1, len(loading.different))
    if loading.figure.stage.kind == "uniter":  # only one thread at a time iterates
        numbers = [] if threads else [1]
    else:
        numbers = [n for n in _WORKERS if n > max(1, threads)]
    if numbers:
        times = {n: _gaining(case, loading.missed - _missed(case, loading, n)) for n in numbers}
        n = next(n for n in numbers if times[n] <= _NEARLY * min(times.values()))
        if threads:
            text = f"prefetch(…, nworkers={n}) where {where} is read ahead already"
        else:
            text = (
                f"prefetch(…, nworkers={n}, method='thread') right after {where}, inside the other"
            )
        yield Advice(text, {}, times[n], note)


def _missed(case: Case, loading: Loading, readers: int) -> float:
    """Return the total time that workers would wait if each had so many `readers` in threads."""
    used = max(0.0, case.measures.busy * case.measures.seconds - loading.missed)
    workers = max(1, case.workers) / max(1, len(loading.different))  # in each process
    use = used / workers / max(1, loading.reads)  # time of a worker between two items of it
    return max(0.0, loading.figure.mean / readers - use) * loading.reads * workers


def _gaining(case: Case, gain: float) -> float:
    """Return the time if workers waited `gain` seconds less for the stage that loads.

    They cannot gain more than they waited, and computing needs cores, or the lock.
    """
    m, loading = case.measures, case.loading
    most = loading.missed if loading is not None else 0.0
    left = m.seconds - min(most, max(0.0, gain)) / max(1, case.workers)
    computing = sum(item.computing for item in case.items)
    cores = 1.0 if case.locked else case.cores
    return max(left, min(m.seconds, max(computing / cores, case.iterating.seconds)))


def _note(case: Case, loading: Loading) -> str:
    """Return a remark on the prediction of what reading ahead gains."""
    notes = ["loading is read ahead in the background already"] * (loading.hidden > _HIDDEN)
    notes += ["less certain, as others compute on the same cores"] * case.crowded
    return "; ".join(notes)


def _without_ahead(case: Case) -> Iterator[Advice]:
    """Turn reading ahead off if workers compute ahead what other workers compute too."""
    if not case.options.get("readahead", False):
        return
    again = sum(
        f.everywhere * (1 - len(f.indices) / f.calls) * f.computing
        for f in case.figures
        if f.ahead and f.computing is not None
    )
    seconds = case.measures.seconds - again / max(1, case.workers)
    yield Advice("prefetch(…, readahead=False)", {"readahead": False}, seconds)


def for_repeated_reading(case: Case) -> Iterator[Advice]:
    """Keep the results of the slowest stage, which only helps if they are read again."""
    main = case.main_stage()
    total = sum(f.own for f in case.figures if f.stage.kind != "prefetch")
    if main is None or not total:
        return
    left = 1 - main.own / total
    items = [i._replace(waiting=i.waiting * left, computing=i.computing * left) for i in case.items]
    seconds = predict(items, case.costs, case.setting).seconds * case.overhead
    if seconds < _WORTH * case.measures.seconds:
        text = f"if it is read again: keep what {main.stage.name} returns, by add_cache or on disk"
        yield Advice(text, {}, seconds)


def for_inline(case: Case) -> Iterator[Advice]:
    """Yield a prefetch for a pipeline that has none with workers."""
    inline = any(stage.kind == "prefetch" for stage in case.recording.stages)
    tried = _workers(case, where=" in place of nworkers=0" if inline else " after all of it")
    yield from (a for a in tried if a.seconds < _WORTH * case.measures.seconds)
