"""What to try, and what that would do by the model."""

from collections.abc import Iterator
from typing import Any, NamedTuple

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.measures import Figures
from seqtools.instrument.profiling.model import Estimate, predict
from seqtools.instrument.profiling.probes import Stage

_WORTH = 0.92
"""Share of the time that must be left by a change for it to be worth trying. Arbitrary."""
_WORTH_A_LINE = 0.98
"""The same where it only takes another number, or a line."""
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
    if not (lonely or transfer or case.locked or case.crowded):
        tried = [*_overlap(case), *_without_ahead(case)]
        yield from (a for a in tried if a.seconds < _WORTH_A_LINE * now)


def _best(case: Case, method: str, most: int) -> tuple[int, float]:
    """Return the fewest workers that are nearly as good as any number, and the time."""
    times: dict[int, Estimate] = {}
    for workers in sorted({*(w for w in _WORKERS if w <= most), most}):
        times[workers] = case.expect(*case.setting_of(method, workers))
    best = min(estimate.total for estimate in times.values())
    workers = next(w for w, estimate in times.items() if estimate.total <= 1.05 * best)
    return workers, times[workers].seconds


def _workers(case: Case, *, transfer: bool) -> Iterator[Advice]:
    method = case.options.get("method", "thread")
    cores = case.recording.cores
    for other in ("thread", "process"):
        if transfer and other == "process":
            continue
        most = (
            max(cores, case.workers if other == method else 1)
            if other == "process"
            else _MOST_THREADS
        )
        workers, seconds = _best(case, other, most)
        if other == method and workers <= case.workers:
            continue
        arguments: dict[str, Any] = {"nworkers": workers}
        if other != method:
            arguments["method"] = other
        said = ", ".join(f"{name}={value!r}" for name, value in arguments.items())
        yield Advice(f"prefetch(…, {said})", arguments, seconds)


def for_consumer(case: Case) -> Iterator[Advice]:
    """Yield what does as well with less."""
    if case.chosen:
        return
    method = case.options.get("method", "thread")
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
    took = slow.waiting + slow.computing
    pace = max(case.costs.use, 1e-6, case.mean() / max(1, case.workers))
    size = case.setting.window
    wanted = 2 * max(size, int(took / pace))
    if wanted <= len(case.measures.served) * 2 and wanted > size:
        seconds = case.expect(case.setting._replace(window=wanted)).seconds
        yield Advice(f"prefetch(…, max_cached={wanted})", {"max_cached": wanted}, seconds)
    if case.setting.ordered:
        seconds = case.expect(case.setting._replace(ordered=False)).seconds
        yield Advice("prefetch(…, ordered=False)", {"ordered": False}, seconds)


def _overlap(case: Case) -> Iterator[Advice]:
    """Have a stage that waits read ahead, so that workers compute meanwhile."""
    waiter = case.waiter()
    if waiter is None or waiter.computing is None:
        return
    m, workers = case.measures, max(1, case.workers)
    computing = sum(item.computing for item in case.items)
    if computing < 0.1 * workers * m.seconds:
        return
    # what the first items wait for, belongs to the start
    without = m.seconds - sum(item.waiting for item in case.items[workers:]) / workers
    waits = waiter.own * (1 - waiter.computing) / workers
    where = waiter.stage.name
    cache = next((s for s in case.recording.stages if _keeps(s, waiter)), None)
    if cache is not None:
        size = max(4, 2 * cache.options["cache_size"])
        text = f"add_cache(…, {size}) behind {where}, which is read ahead as far as there is room"
        yield Advice(text, {}, max(without, waits))
    text = f"prefetch(…, 2, method='thread') behind {where}, which waits while workers compute"
    yield Advice(text, {}, max(without, waits / 2))


def _without_ahead(case: Case) -> Iterator[Advice]:
    """Have no worker read ahead what another one is going to read, if that computes."""
    if not case.options.get("readahead", False):
        return
    again = sum(
        f.own * (1 - f.different / f.calls) * f.computing
        for f in case.figures
        if f.ahead and f.computing is not None
    )
    seconds = case.measures.seconds - again / max(1, case.workers)
    yield Advice("prefetch(…, readahead=False)", {"readahead": False}, seconds)


def _keeps(stage: Stage, waiter: Figures) -> bool:
    """Return whether this is a cache of what `waiter` returns, whose size can be changed."""
    is_cache = stage.kind == "add_cache" and waiter.stage.number in stage.sources
    return is_cache and not stage.options["given"]


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
    for method, most in (("thread", _MOST_THREADS), ("process", case.recording.cores)):
        workers, seconds = _best(case, method, most)
        if seconds < _WORTH * case.measures.seconds:
            arguments = {"nworkers": workers, "method": method}
            text = f"prefetch(…, nworkers={workers}, method={method!r}) behind all of it"
            yield Advice(text, arguments, seconds)
