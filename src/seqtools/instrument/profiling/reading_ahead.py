"""Advice to read a stage that waits ahead, while workers compute."""

from collections.abc import Iterator
from typing import Any

from seqtools.instrument.profiling.advice import NEARLY, WORKERS, Advice
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.overlap import Loading

_WORTH_A_LINE = 0.98
"""Ratio of the predicted time to the measured one below which the advice gains something.
Arbitrary, as are all shares below."""
_LITTLE = 0.1
"""Share of computing below which workers gain nothing from reading ahead meanwhile, and of waiting
for the lock below which it does not count."""
_HIDDEN = 0.5
"""Share of loading in the background from which a note says so."""
_CONTENDED = 0.5
"""Share of the time that threads have the lock from which others wait for it for long."""
_HANDED_OVER = 0.005
"""Seconds after which a thread that computes gives up the lock: the default of Python."""
_WAITS_FOR_LOCK = (
    "a thread that reads ahead may wait 5 ms for the lock of the interpreter each time that it "
    "needs it, because workers compute"
)


def for_waiting(case: Case) -> Iterator[Advice]:
    """Yield changes of what is read ahead inside the prefetch that gain something.

    What may wait for the lock is left out where there is no estimate of more workers, which gain
    as much without such waiting.
    """
    tried = [] if case.queued else [*_without_ahead(case)]
    alone = case.crowded or case.chosen
    ahead = [a for a in _overlap(case) if not (a.bound and alone)]
    little = _WORTH_A_LINE * case.measures.seconds
    yield from (a for a in [*ahead, *tried] if a.seconds < little)


def of_little_effect(case: Case) -> Iterator[Advice]:
    """Yield the advice about a stage that waits which gains little.

    Without it, users would try it.
    """
    yield from (a for a in _overlap(case) if a.seconds >= _WORTH_A_LINE * case.measures.seconds)


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
        yield _ahead(case, text, alone, note, {"readahead": True})
    if loading.again and not loading.kept:
        most = max(2, *loading.different.values())
        repeats = 1 - sum(loading.different.values()) / loading.reads
        text = f"add_cache(…, cache_size={most}) after {where}, which reads items again"
        yield _ahead(case, text, _gaining(case, loading.missed * repeats), note)
    elif size == 1 and ahead and case.small is None:
        text = f"add_cache(…, cache_size=4) after {where}, to have some of it read ahead"
        yield _ahead(case, text, alone, note)
    threads = 0
    if loading.inner is not None:
        threads = len(case.recording.pool(loading.inner)) // max(1, len(loading.different))
    if loading.figure.stage.kind == "uniter":  # only one thread at a time iterates
        numbers = [] if threads else [1]
    else:
        numbers = [n for n in WORKERS if n > max(1, threads)]
    if numbers:
        times = {n: _gaining(case, loading.missed - _missed(case, loading, n)) for n in numbers}
        n = next(n for n in numbers if times[n] <= NEARLY * min(times.values()))
        if threads:
            text = f"prefetch(…, nworkers={n}) where {where} is read ahead already"
        else:
            text = (
                f"prefetch(…, nworkers={n}, method='thread') right after {where}, inside the other"
            )
        yield _ahead(case, text, times[n], note)


def _ahead(
    case: Case, text: str, seconds: float, note: str, arguments: dict[str, Any] | None = None
) -> Advice:
    """Return the advice to have another thread read ahead.

    Threads that compute give up the lock only if they wait for something, or another thread has
    waited for the lock for 5 ms. The thread that reads ahead needs it several times for each item,
    so workers may run out of items. For how long is not known: the predicted time is a bound,
    unless what is read is so little, as of few large files, that such waiting is too.
    """
    waited = case.loading.reads * _HANDED_OVER if case.loading is not None else 0.0
    contended = case.under_lock(case.setting) > _CONTENDED * seconds and waited > _LITTLE * seconds
    note = "; ".join(filter(None, [note, _WAITS_FOR_LOCK * contended]))
    return Advice(text, arguments or {}, seconds, note, bound=contended)


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
    least = max(computing / case.cores, case.under_lock(case.setting), case.iterating.seconds)
    return max(left, min(m.seconds, least))


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
