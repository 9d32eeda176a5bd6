"""What starves the consumer, in words, and what would help by how much."""

from collections.abc import Iterator
from statistics import median
from typing import Any, NamedTuple

from seqtools.instrument.profiling.measures import Figures, Item, Measures, figures, measures
from seqtools.instrument.profiling.model import Costs, Estimate, Setting, predict
from seqtools.instrument.profiling.probes import Stage
from seqtools.instrument.profiling.tracks import Recording
from seqtools.instrument.profiling.words import lasting, share, volume

SHORT, CONSUMER, LOADING, TRANSFER, LOCK, SLOW = (
    "too short to tell",
    "the consumer is the bottleneck",
    "loading is the bottleneck",
    "transfer is the bottleneck",
    "the lock of the interpreter is the bottleneck",
    "one slow item is the bottleneck",
)
"""All verdicts."""

_FEWEST = 8
"""Items from which there is a verdict. Arbitrary, as are all shares below."""
_SHORTEST = 0.02
"""Seconds from which there is one."""
_SERVED = 0.1
"""Share of the time that the consumer may wait and still be the bottleneck."""
_LATE = 0.001
"""Seconds that threads wait for the lock where it is contended; it is handed on every 5 ms."""
_MUCH = 5
"""So many times the median, a time stands out."""
_WORTH = 0.92
"""Share of the time that must be left by a change for it to be worth trying."""
_MOST_THREADS = 32
_WORKERS = (1, 2, 3, 4, 6, 8, 12, 16, 24, 32)


class Advice(NamedTuple):
    """Something to try."""

    text: str
    """What to write, and where."""
    arguments: dict[str, Any]
    """The arguments of the prefetch to change, if it is these."""
    seconds: float
    """Estimate of how long the same items would take."""


class Verdict(NamedTuple):
    """What a profile says."""

    kind: str
    """One of the above."""
    because: list[str]
    """The figures that say so."""
    ceiling: float | None
    """Seconds that the items would take if loading were free; `None` if it is too short to tell."""
    advice: list[Advice]
    """What to try, what helps most first."""


class Case:
    """All that is known of a profile."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.figures: list[Figures] = figures(recording)
        self.measures: Measures = measures(recording)
        prefetches = recording.prefetches()
        self.prefetch: Stage | None = prefetches[0] if prefetches else None
        self.options: dict[str, Any] = self.prefetch.options if self.prefetch else {}
        m = self.measures
        self.count = max(1, m.items - 1)
        lanes = len(recording.pool(self.prefetch)) if self.prefetch else 0
        chosen = self.options.get("nworkers", 0)
        self.workers: int = chosen if isinstance(chosen, int) else lanes
        threads = recording.pool(self.prefetch) if self.prefetch else []
        self.threads: bool = bool(threads) and all(
            t.pid == recording.lanes("consumer")[0].pid for t in threads
        )
        self.locked: bool = self.threads and self._is_locked(len(threads))
        all_computed = recording.others + m.processor
        self.crowded: bool = (
            self.workers > recording.cores - recording.others
            and all_computed > 0.8 * recording.cores
        )
        """Whether workers wait for a processor that is theirs."""
        self.items: list[Item] = self._items()
        # Who waits for the lock while it uses an item is kept waiting by workers too, or by the
        # thread that takes over what has come meanwhile.
        computing = m.used * m.use_computing
        self.used: float = computing if self.locked else max(computing, m.used - m.beside)
        self.waited: float = m.waited + m.used - self.used
        part = computing / self.used if self.used else 1.0
        self.costs = Costs(m.send, m.load, self.used / self.count, part)
        window = self.options.get("max_cached") or max(
            (capacity for _, _, capacity, _ in m.fill), default=max(10, 2 * self.workers)
        )
        self.setting = Setting(
            self.workers,
            window,
            max(1.0, recording.cores - recording.others),
            self.locked,
            self.options.get("ordered", True),
        )
        self.adaptive: bool = self.options.get("max_cached") is None
        modelled = predict(self.items, self.costs, self.setting).seconds
        self.overhead: float = min(1.3, max(0.9, m.seconds / modelled)) if modelled else 1.0
        """What the model leaves out, as a factor."""

    def _is_locked(self, threads: int) -> bool:
        """Return whether workers, which are threads, wait for the lock of the interpreter."""
        m = self.measures
        in_workers = sum(i.computing for i in m.served) * self.count / max(1, len(m.served))
        if in_workers < max(0.4 * m.seconds, m.used * m.use_computing):
            return False
        kept = m.used * (1 - m.use_computing) > m.seconds / 2 and m.busy > 0.6 * threads
        return m.late > _LATE or kept

    def _items(self) -> list[Item]:
        """Return what workers did, without waits for the processor or the lock."""
        if self.locked or self.crowded:
            return [item._replace(waiting=0.0) for item in self.measures.served]
        return self.measures.served

    def expect(self, setting: Setting, costs: Costs | None = None) -> Estimate:
        """Return how long it would take by the model, and what the model leaves out."""
        total, seconds = predict(self.items, costs or self.costs, setting)
        # what it leaves out of transfer is not there where there is none
        same = costs is None or costs.send == self.costs.send
        factor = self.overhead if same else min(1.0, self.overhead)
        return Estimate(total * factor, seconds * factor)

    def setting_of(self, method: str, workers: int) -> tuple[Setting, Costs]:
        """Return how it would be read with other workers."""
        window = max(self.setting.window, 2 * workers) if self.adaptive else self.setting.window
        setting = self.setting._replace(workers=workers, window=window)
        if method == "process":
            return setting._replace(locked=False), self.costs
        # Whether functions give the lock up is not known unless threads were seen to compute
        # side by side.
        free = self.threads and self.measures.processor > 1.2  # noqa: PLR2004
        return setting._replace(locked=not free), self.costs._replace(send=0.0, load=0.0)


def judge(case: Case) -> Verdict:
    """Return what a profile says."""
    kind = _kind(case)
    because = list(_because(case, kind))
    if kind == SHORT:
        return Verdict(kind, because, None, [])
    ceiling = min(case.used, case.measures.seconds)
    advice = sorted(_advice(case, kind), key=lambda a: a.seconds)
    return Verdict(kind, because, ceiling, [*advice, *_again(case)])


def _kind(case: Case) -> str:
    m = case.measures
    if m.items < _FEWEST or m.seconds < _SHORTEST or not m.served:
        return SHORT
    if not case.prefetch:
        return CONSUMER if m.waited < _SERVED * m.seconds else LOADING
    if case.waited < _SERVED * m.seconds:
        return CONSUMER
    if slow_item(case) is not None:
        return SLOW
    evaluation = sum(i.waiting + i.computing for i in m.served) / len(m.served)
    if m.send + m.load > evaluation:
        return TRANSFER
    return LOCK if case.locked and case.workers > 1 else LOADING


def slow_item(case: Case) -> Item | None:
    """Return the one item that the consumer waited for, if it is one."""
    m = case.measures
    if m.longest is None or case.prefetch is None:
        return None
    times = [item.waiting + item.computing for item in m.served]
    _, waited = m.longest
    slowest = max(m.served, key=lambda item: item.waiting + item.computing)
    took = slowest.waiting + slowest.computing
    if waited < m.waited / 2 or took < _MUCH * median(times):
        return None
    # The rest would not keep the consumer waiting.
    others = sorted(times)[:-1]
    return slowest if took > _MUCH * others[int(0.9 * len(others))] else None


def _because(case: Case, kind: str) -> Iterator[str]:
    m = case.measures
    if kind == SHORT:
        yield (
            f"{m.items} items in {m.seconds:.3f} s were measured: from {_FEWEST} items and "
            f"{_SHORTEST} s on, figures mean something"
        )
        return
    part = min(1.0, case.waited / m.seconds)
    yield f"your loop waited {share(part)} of the time, and used the other {share(1 - part)}"
    main = main_stage(case)
    if case.recording.others > 0.3:  # noqa: PLR2004
        cores = f"{case.recording.others:.1f} of {case.recording.cores} cores"
        yield f"other programs computed on {cores}"
    if case.prefetch:
        busy = share(min(1.0, m.busy / max(1, case.workers)))
        number = "1 worker was" if case.workers == 1 else f"{case.workers} workers were"
        yield f"{number} busy {busy} of it"
    if main is not None and kind != TRANSFER:
        yield f"most of their time is in {main.stage.name}: {_nature(main)}"
    if kind == TRANSFER:
        yield (
            f"to hand over an item takes {lasting(m.send + m.load)}, to evaluate it "
            f"{lasting(_mean(case))}; it has {volume(m.size)}"
        )
    elif kind == LOCK:
        yield (
            f"all threads together computed on {m.processor:.1f} cores, and one that could go on "
            f"waited {lasting(m.late)} for the lock of the interpreter"
        )
    elif kind == SLOW and (slow := slow_item(case)) is not None:
        yield (
            f"item {slow.index} took {lasting(slow.waiting + slow.computing)}, others "
            f"{lasting(median(i.waiting + i.computing for i in m.served))}"
        )


def _nature(figure: Figures) -> str:
    part = figure.computing
    if part is None:
        return "too short to say whether it computes or waits"
    if part > 0.7:  # noqa: PLR2004
        return f"it computes ({share(part)} of its time)"
    if part < 0.3:  # noqa: PLR2004
        return f"it waits, as for files or a network ({share(1 - part)} of its time)"
    return f"it computes in {share(part)} of its time, and waits in the rest"


def main_stage(case: Case) -> Figures | None:
    """Return the stage in which workers spend most of their time.

    Where they wait for what is being read ahead for a cache, it is the stage behind that.
    """
    ahead = {stage.number for stage in case.recording.prefetches()}
    spent = {f.stage.number: f.own - f.own_ahead for f in case.figures if f.calls}
    for figure in case.figures:
        if figure.stage.kind == "add_cache" and figure.computing is not None:
            waited = spent.get(figure.stage.number, 0.0) * (1 - figure.computing)
            for number in figure.stage.sources:
                if number in spent:
                    spent[number] += waited
                    spent[figure.stage.number] -= waited
    others = [f for f in case.figures if f.stage.number in spent.keys() - ahead]
    return max(others, key=lambda f: spent[f.stage.number], default=None)


def _advice(case: Case, kind: str) -> Iterator[Advice]:
    if case.prefetch is None:
        yield from _prefetch_it(case)
        return
    current = case.measures.seconds
    if kind == CONSUMER:
        yield from _fewer(case)
        return
    tried: list[Advice] = []
    tried += _workers(case, kind)
    if kind == SLOW:
        tried += _window(case)
    if kind == LOADING and not case.crowded:
        tried += _overlap(case)
    yield from (a for a in tried if a.seconds < _WORTH * current)


def _best(case: Case, method: str, most: int) -> tuple[int, float]:
    """Return the fewest workers that are nearly as good as any number, and the time."""
    times: dict[int, Estimate] = {}
    for workers in sorted({*(w for w in _WORKERS if w <= most), most}):
        times[workers] = case.expect(*case.setting_of(method, workers))
    best = min(estimate.total for estimate in times.values())
    workers = next(w for w, estimate in times.items() if estimate.total <= 1.05 * best)
    return workers, times[workers].seconds


def _workers(case: Case, kind: str) -> Iterator[Advice]:
    method = case.options.get("method", "thread")
    cores = case.recording.cores
    for other in ("thread", "process"):
        if kind == TRANSFER and other == "process":
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


def _fewer(case: Case) -> Iterator[Advice]:
    method = case.options.get("method", "thread")
    current = case.expect(case.setting)
    for workers in range(1, case.workers):
        total, seconds = case.expect(*case.setting_of(method, workers))
        if total <= 1.02 * current.total:
            text = f"prefetch(…, nworkers={workers}) does as well: loading is fast enough"
            yield Advice(text, {"nworkers": workers}, max(seconds, case.measures.seconds))
            return


def _window(case: Case) -> Iterator[Advice]:
    slow = slow_item(case)
    if slow is None:
        return
    took = slow.waiting + slow.computing
    pace = max(case.costs.use, 1e-6, _mean(case) / max(1, case.workers))
    size = case.setting.window
    wanted = 2 * max(size, int(took / pace))
    if wanted <= len(case.measures.served) * 2 and wanted > size:
        seconds = case.expect(case.setting._replace(window=wanted)).seconds
        yield Advice(f"prefetch(…, max_cached={wanted})", {"max_cached": wanted}, seconds)
    if case.setting.ordered:
        seconds = case.expect(case.setting._replace(ordered=False)).seconds
        yield Advice("prefetch(…, ordered=False)", {"ordered": False}, seconds)


def _overlap(case: Case) -> Iterator[Advice]:
    """Have a stage that waits read ahead while workers compute."""
    main = max(
        (f for f in case.figures if f.computing is not None and f.calls and _has_function(f)),
        key=lambda f: f.own * (1 - (f.computing or 0.0)),
        default=None,
    )
    if main is None or main.computing is None:
        return
    waits = main.own * (1 - main.computing)
    m = case.measures
    computing = sum(item.computing for item in case.items)
    workers = max(1, case.workers)
    if waits < 0.15 * m.seconds or computing < 0.1 * workers * m.seconds:
        return
    scale = case.count / max(1, len(m.served))
    floor = max(computing * scale / min(workers, case.recording.cores), case.used)
    cache = next(
        (
            s
            for s in case.recording.stages
            if s.kind == "add_cache" and main.stage.number in s.sources and not s.options["given"]
        ),
        None,
    )
    where = main.stage.name
    if cache is not None:
        size = max(4, 2 * cache.options["cache_size"])
        text = f"add_cache(…, {size}) behind {where}: it is read ahead while workers compute"
        yield Advice(text, {}, max(floor, waits / workers))
    ahead = 2
    text = f"prefetch(…, {ahead}, method='thread') behind {where}: it waits while workers compute"
    yield Advice(text, {}, max(floor, waits / workers / ahead))


def _has_function(figure: Figures) -> bool:
    """Return whether code of the user's is called there: the name tells it."""
    return not figure.stage.sources or figure.stage.name != figure.stage.kind


def _again(case: Case) -> Iterator[Advice]:
    """Keep what takes longest, which helps those only who read it again."""
    main = main_stage(case)
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


def _prefetch_it(case: Case) -> Iterator[Advice]:
    for method, most in (("thread", _MOST_THREADS), ("process", case.recording.cores)):
        workers, seconds = _best(case, method, most)
        if seconds < _WORTH * case.measures.seconds:
            arguments = {"nworkers": workers, "method": method}
            text = f"prefetch(…, nworkers={workers}, method={method!r}) behind all of it"
            yield Advice(text, arguments, seconds)


def _mean(case: Case) -> float:
    served = case.measures.served
    return sum(i.waiting + i.computing for i in served) / max(1, len(served))
