"""All that is known of a profile, and what would be under other settings."""

import math
from statistics import median
from typing import Any

from seqtools.engines.methods import METHODS
from seqtools.instrument.profiling.figures import Figures, figures
from seqtools.instrument.profiling.iterating import Iterating, iterating
from seqtools.instrument.profiling.measures import Item, Measures, measures
from seqtools.instrument.profiling.model import Costs, Prediction, Setting, predict
from seqtools.instrument.profiling.overlap import Loading, loading
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import CONSUMER, Recording

_LATE = 0.001
"""Seconds that threads wait for the lock where it is contended; it is handed on every 5 ms."""
_LITTLE = 0.1
"""Share of its time that a stage may compute and still be one that waits."""
SOME = 0.3
"""Cores that others may use without being in the way."""
_MOST_OVERHEAD = 1.3
"""Largest factor of what the model leaves out that is taken for an overhead."""
_MUCH = 5
"""So many times the median, a time stands out. Arbitrary, as are all shares below."""


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
        given = self.options.get("nworkers", 0)
        self.chosen: bool = not isinstance(given, int)
        """Whether the number of workers is the choice of the prefetch."""
        self.workers: int = lanes if self.chosen else given
        threads = recording.pool(self.prefetch) if self.prefetch else []
        self.threads: bool = bool(threads) and all(
            t.pid == recording.lanes(CONSUMER)[0].pid for t in threads
        )
        self.locked: bool = self.threads and self._is_locked(len(threads))
        self.crowded: bool = self._is_crowded()
        """Whether workers wait for a processor that is theirs."""
        self.items: list[Item] = self._items()
        # Who waits for the lock while it uses an item is kept waiting by workers too, or by the
        # thread that takes over what has come meanwhile.
        computing = m.used * m.use_computing
        self.used: float = computing if self.locked else max(computing, m.used - m.beside)
        self.waited: float = m.waited + m.used - self.used
        part = computing / self.used if self.used else 1.0
        self.costs = Costs(m.send, m.load, self.used / self.count, part)
        seen = max((capacity for _, _, capacity, _ in m.fill), default=0)  # 0 before the start
        window = self.options.get("max_cached") or seen or max(10, 2 * self.workers)
        self.setting = Setting(
            self.workers,
            window,
            max(1.0, recording.cores - recording.others),
            self.locked,
            self.options.get("ordered", True),
        )
        self.adaptive: bool = self.options.get("max_cached") is None
        modelled = predict(self.items, self.costs, self.setting).seconds
        # Of others that take the cores, the model knows too little to be that close.
        most = math.inf if self.crowded else _MOST_OVERHEAD
        self.iterating: Iterating = iterating(recording)
        """What no number of workers goes through any faster."""
        self.overhead: float = min(most, max(0.9, m.seconds / modelled)) if modelled else 1.0
        """What the model leaves out, as a factor."""
        waiter = self.waiter()
        self.loading: Loading | None = (
            loading(recording, self.prefetch, self.figures, waiter)
            if self.prefetch and waiter
            else None
        )
        """What is loaded, and who waits for that, if a stage waits for long."""

    def _is_crowded(self) -> bool:
        m, cores = self.measures, self.recording.cores
        free = cores - self.recording.others
        computing = sum(item.computing for item in m.served)
        time = computing + sum(item.waiting for item in m.served)
        full = m.processor + self.recording.others > 0.8 * cores
        return full and self.workers > free + SOME and computing > _LITTLE * time

    def _is_locked(self, threads: int) -> bool:
        """Return whether workers, which are threads, wait for the lock of the interpreter."""
        m = self.measures
        in_workers = sum(i.computing for i in m.served) * self.count / max(1, len(m.served))
        if in_workers < max(0.4 * m.seconds, m.used * m.use_computing):
            return False
        kept = m.used * (1 - m.use_computing) > m.seconds / 2 and m.busy > 0.6 * threads
        return m.late > _LATE or kept

    @property
    def queued(self) -> bool:
        """Whether workers wait for a processor, or for the lock."""
        return self.locked or self.crowded

    def may_queue(self, figure: Figures) -> bool:
        """Return whether a stage computes so much that it may have waited for a processor."""
        return self.queued and (figure.computing or 0.0) >= _LITTLE

    def _items(self) -> list[Item]:
        """Return what workers did, without waits for the processor or the lock."""
        if self.queued:
            return [item._replace(waiting=0.0) for item in self.measures.served]
        return self.measures.served

    def expect(self, setting: Setting, costs: Costs | None = None) -> Prediction:
        """Return how long it would take by the model, and what the model leaves out."""
        total, seconds = predict(self.items, costs or self.costs, setting)
        # what it leaves out of transfer is not there where there is none
        same = self.crowded or costs is None or costs.send == self.costs.send
        factor = self.overhead if same else min(1.0, self.overhead)
        least = self.iterating.seconds
        return Prediction(max(least, total * factor), max(least, seconds * factor))

    def setting_of(self, method: str, workers: int) -> tuple[Setting, Costs]:
        """Return how it would be read with other workers."""
        window = max(self.setting.window, 2 * workers) if self.adaptive else self.setting.window
        setting = self.setting._replace(workers=workers, window=window)
        if not METHODS[method].shares_memory:
            return setting._replace(locked=False), self.costs
        # Whether functions give the lock up is not known unless threads were seen to compute
        # side by side.
        free = self.threads and self.measures.processor > 1.2  # noqa: PLR2004
        return setting._replace(locked=not free), self.costs._replace(send=0.0, load=0.0)

    def slow_item(self) -> Item | None:
        """Return the one item that the consumer waited for, if it is one."""
        m = self.measures
        if m.longest is None or self.prefetch is None:
            return None
        times = [item.took for item in m.served]
        _, waited = m.longest
        slowest = max(m.served, key=lambda item: item.took)
        if waited < m.waited / 2 or slowest.took < _MUCH * median(times):
            return None
        # The rest would not keep the consumer waiting.
        others = sorted(times)[:-1]
        return slowest if slowest.took > _MUCH * others[int(0.9 * len(others))] else None

    def main_stage(self) -> Figures | None:
        """Return the stage with the longest own time, except a prefetch, which only waits."""
        ahead = {stage.number for stage in self.recording.prefetches()}
        others = [f for f in self.figures if f.calls and f.stage.number not in ahead]
        return max(others, key=lambda f: f.own, default=None)

    def waiter(self) -> Figures | None:
        """Return the stage with a function of the user's that waits longest, if that is long."""
        waits = {
            f.stage.number: f.everywhere * (1 - f.computing)
            for f in self.figures
            if f.computing is not None
            and (not f.stage.sources or f.stage.name != f.stage.kind)  # a function is named
        }
        if self.queued:
            waits = {n: w for n, w in waits.items() if not self.may_queue(self.figures[n])}
        number = max(waits, key=lambda number: waits[number], default=None)
        if number is None or waits[number] < 0.15 * self.measures.seconds:
            return None
        return self.figures[number]

    def mean(self) -> float:
        """Return how long a worker is at an item on the average."""
        served = self.measures.served
        return sum(i.took for i in served) / max(1, len(served))
