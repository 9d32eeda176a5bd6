"""What to try, and what that would do by the model."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from seqtools.engines.methods import DEFAULT, suggested
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.model import Prediction, predict
from seqtools.instrument.profiling.overlap import Loading

_WORTH = 0.92
"""Share of the time that must be left by a change for it to be worth trying. Arbitrary."""
_WORTH_A_LINE = 0.98
"""The same where it only takes another number, or a line."""
_LITTLE = 0.1
"""Share of their time that workers may compute and still gain nothing by what is read meanwhile."""
_HIDDEN = 0.5
"""Share of loading in the background from which it is said to be there."""
_NEARLY = 1.05
"""So many times the shortest time is nearly as good, with fewer workers. Arbitrary."""
_MOST_THREADS = 32
_WORKERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)
"""Numbers of workers that are tried, as far as there may be so many."""


class Advice(NamedTuple):
    """Something to try."""

    text: str
    """What to write, and where."""
    arguments: dict[str, Any]
    """The arguments of the prefetch to change, if it is these."""
    seconds: float
    """Estimate of how long the same items would take."""
    note: str = ""
    """What else there is to know of the estimate."""


def for_loading(case: Case, *, lonely: bool, transfer: bool) -> Iterator[Advice]:
    """Yield what serves the consumer faster.

    Args:
        case: The profile.
        lonely: Whether it waits for one item.
        transfer: Whether it waits for values on their way from processes.
    """
    now = case.measures.seconds
    tried = [] if case.chosen else [*_workers(case, transfer=transfer)]
    if lonely:
        tried += _window(case)
    yield from (a for a in tried if a.seconds < _WORTH * now)
    if not (lonely or transfer):
        tried = [] if case.queued else [*_without_ahead(case)]
        yield from (a for a in [*_overlap(case), *tried] if a.seconds < _WORTH_A_LINE * now)


def for_waiting(case: Case) -> Iterator[Advice]:
    """Yield what gains little, but is what to think of where loading is seen to wait."""
    yield from (a for a in _overlap(case) if a.seconds >= _WORTH_A_LINE * case.measures.seconds)


def _best(case: Case, method: str, most: int) -> tuple[int, float]:
    """Return the fewest workers that are nearly as good as any number, and the time."""
    times: dict[int, Prediction] = {}
    for workers in sorted({*(w for w in _WORKERS if w <= most), most}):
        times[workers] = case.expect(*case.setting_of(method, workers))
    best = min(estimate.total for estimate in times.values())
    workers = next(w for w, estimate in times.items() if estimate.total <= _NEARLY * best)
    return workers, times[workers].seconds


def _workers(case: Case, *, transfer: bool) -> Iterator[Advice]:
    method = case.options.get("method", DEFAULT)
    cores = case.recording.cores
    for other in suggested():
        same = other.name == method
        if transfer and not other.shares_memory:
            continue
        most = _MOST_THREADS
        if not other.shares_memory:
            most = max(cores, case.workers if same else 1)
        workers, seconds = _best(case, other.name, most)
        if same and workers <= case.workers:
            continue
        arguments: dict[str, Any] = {"nworkers": workers}
        if not same:
            arguments["method"] = other.name
        said = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        yield Advice(f"prefetch(…, {said})", arguments, seconds)


def for_consumer(case: Case) -> Iterator[Advice]:
    """Yield what does as well with less."""
    if case.chosen:
        return
    method = case.options.get("method", DEFAULT)
    current = case.expect(case.setting)
    for workers in range(1, case.workers):
        total, seconds = case.expect(*case.setting_of(method, workers))
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
    """Have a stage that waits read ahead, so that workers compute meanwhile."""
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
    if loading.figure.stage.kind == "uniter":  # threads go through it in turns
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
    """Return for how long all workers would wait for what so many threads of each read ahead."""
    used = max(0.0, case.measures.busy * case.measures.seconds - loading.missed)
    workers = max(1, case.workers) / max(1, len(loading.different))  # of each process
    use = used / workers / max(1, loading.reads)  # between two items that one of them needs
    return max(0.0, loading.figure.mean / readers - use) * loading.reads * workers


def _gaining(case: Case, gain: float) -> float:
    """Return how long it would take if workers waited that much less for what is loaded.

    The most that is gained is what they waited. They compute meanwhile, for which there must be
    cores, or the lock.
    """
    m, loading = case.measures, case.loading
    most = loading.missed if loading is not None else 0.0
    left = m.seconds - min(most, max(0.0, gain)) / max(1, case.workers)
    computing = sum(item.computing for item in case.items)
    cores = 1.0 if case.locked else case.recording.cores
    return max(left, min(m.seconds, max(computing / cores, case.iterating.seconds)))


def _note(case: Case, loading: Loading) -> str:
    """Return what there is to know of an estimate of what reading ahead gains."""
    notes = ["loading is read ahead in the background already"] * (loading.hidden > _HIDDEN)
    notes += ["less certain, as others compute on the same cores"] * case.crowded
    return "; ".join(notes)


def _without_ahead(case: Case) -> Iterator[Advice]:
    """Have no worker read ahead what another one is going to read, if that computes."""
    if not case.options.get("readahead", False):
        return
    again = sum(
        f.everywhere * (1 - f.different / f.calls) * f.computing
        for f in case.figures
        if f.ahead and f.computing is not None
    )
    seconds = case.measures.seconds - again / max(1, case.workers)
    yield Advice("prefetch(…, readahead=False)", {"readahead": False}, seconds)


def for_later(case: Case) -> Iterator[Advice]:
    """Keep what takes longest, which helps those only who read it again."""
    main = case.main_stage()
    total = sum(f.own for f in case.figures if f.stage.kind != "prefetch")
    if main is None or not total:
        return
    left = 1 - main.own / total
    items = [i._replace(waiting=i.waiting * left, computing=i.computing * left) for i in case.items]
    seconds = predict(items, case.costs, case.setting).seconds * case.overhead
    if seconds < _WORTH * case.measures.seconds:
        text = (
            f"where it is read again: keep what {main.stage.name} returns, by add_cache or on disk"
        )
        yield Advice(text, {}, seconds)


def for_inline(case: Case) -> Iterator[Advice]:
    """Yield how to read a pipeline ahead that is not."""
    inline = any(stage.kind == "prefetch" for stage in case.recording.stages)
    where = "in place of nworkers=0" if inline else "after all of it"
    for method in suggested():
        most = _MOST_THREADS if method.shares_memory else case.recording.cores
        workers, seconds = _best(case, method.name, most)
        if seconds < _WORTH * case.measures.seconds:
            arguments = {"nworkers": workers, "method": method.name}
            text = f"prefetch(…, nworkers={workers}, method={method.name!r}) {where}"
            yield Advice(text, arguments, seconds)
