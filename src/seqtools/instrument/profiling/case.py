"""Everything known about one profile, and predictions for other settings."""

import math
from statistics import median
from typing import Any

from seqtools.engines.methods import DEFAULT, METHODS
from seqtools.instrument.profiling.figures import Figures, figures
from seqtools.instrument.profiling.iterating import Iterating, iterating
from seqtools.instrument.profiling.measures import Item, Measures, measures
from seqtools.instrument.profiling.model import (
    Costs,
    Prediction,
    Setting,
    pace,
    predict,
    under_lock,
)
from seqtools.instrument.profiling.overlap import Loading, loading
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.small_cache import SmallCache, small_cache
from seqtools.instrument.profiling.tracks import CONSUMER, Recording
from seqtools.instrument.quantities import counted_as, duration

_LATE = 0.001
"""Seconds that a thread waits for a contended lock, at least; it changes hands every 5 ms."""
_LITTLE = 0.1
"""Share of computing below which a stage only waits."""
SOME = 0.3
"""Cores that other programs may use without a mention."""
_MOST_OVERHEAD = 1.3
"""Largest ratio of the measured time to the model's that counts as overhead."""
_FEWEST, _SHORTEST, _SAMPLES = 16, 0.1, 8
"""Fewest items, seconds, and samples of processor times for an estimate."""
_ANOTHER = 0.9
"""What each core after the first adds: they share caches and memory, and those of many virtual
machines share a physical core."""
_MUCH = 5
"""Ratio to the median from which a time stands out. Arbitrary, as are all shares below."""


class Case:
    """Everything known about one profile."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.figures: list[Figures] = figures(recording)
        self.measures: Measures = measures(recording)
        prefetches = recording.prefetches()
        self.prefetch: Stage | None = prefetches[0] if prefetches else None
        self.options: dict[str, Any] = self.prefetch.options if self.prefetch else {}
        m = self.measures
        self.count = max(1, m.items - 1)
        pool = recording.pool(self.prefetch) if self.prefetch else []
        given = self.options.get("nworkers", 0)
        self.chosen: bool = not isinstance(given, int)
        """Whether the prefetch chooses its number of workers."""
        self.workers: int = len(pool) if self.chosen else given
        self.threads: bool = bool(pool) and all(
            t.process == recording.tracks_of(CONSUMER)[0].process for t in pool
        )
        self.locked: bool = self.threads and self._is_locked(len(pool))
        """Whether workers wait for the lock of the interpreter."""
        self.cores: int = recording.cores + sum(bool(track.machine) for track in pool)
        """Cores that are known: of this machine, and one for each worker on another."""
        self.full: bool = self._is_full()
        """Whether all cores are in use."""
        self.crowded: bool = self._is_crowded()
        """Whether workers wait for a processor."""
        self.items: list[Item] = self._items()
        # While the consumer uses an item, it may wait for the lock because workers, or the thread
        # that receives values, have it. That time counts as waiting.
        computing = m.used * m.use_computing
        self.used: float = computing if self.locked else max(computing, m.used - m.received_aside)
        self.waited: float = m.waited + m.used - self.used
        part = (computing + m.used * m.helpers) / self.used if self.used else 1.0
        self.costs = Costs(m.send, m.load, self.used / self.count, part)
        window = max((fill.capacity for fill in m.fill), default=0)  # 0 before the start
        self.setting = Setting(
            self.workers,
            self.options.get("max_cached") or window or max(10, 2 * self.workers),
            self._free(self.cores),
            max(float(self.locked), self._held()) if self.threads else 0.0,
            self.options.get("ordered", True),
        )
        self.iterating: Iterating = iterating(recording)
        seen = self.items if self.workers or self.crowded else m.served
        modelled = predict(seen, self.costs, self.setting).seconds
        # The model knows too little of other programs to be close when they use the cores.
        most = math.inf if self.crowded else _MOST_OVERHEAD
        self.overhead: float = min(most, max(0.9, m.seconds / modelled)) if modelled else 1.0
        """The measured time divided by the model's."""
        waiter = self.waiter()
        self.small: SmallCache | None = small_cache(recording)
        """The cache that reads items again because it is too small, if there is one."""
        self.loading: Loading | None = None
        """The stage that loads, if one waits for long."""
        if self.prefetch and waiter:
            self.loading = loading(recording, self.prefetch, self.figures, waiter)

    def _items(self) -> list[Item]:
        """Return what workers would take for the items if each had a processor and the lock."""
        m = self.measures
        if self.queued:  # then waiting times are not times of the items
            return [item._replace(waiting=0.0) for item in m.served]
        # libraries use one thread in a worker process
        return [i._replace(computing=i.computing + m.item_helpers * i.took) for i in m.served]

    @property
    def too_short(self) -> str:
        """Why there are no estimates, in words; empty if there are."""
        m = self.measures
        if m.items < _FEWEST or m.seconds < _SHORTEST:
            return f"it has only {counted_as(m.items, 'item')}, in {duration(m.seconds)}"
        if m.samples < _SAMPLES:
            return f"processor times were measured of only {counted_as(m.samples, 'item')}"
        return ""

    @property
    def shares_cores(self) -> bool:
        """Whether the loop may take longer because of loading, which uses the same cores."""
        return self.workers > 0 and (self.queued or self.competes(1))

    @property
    def loop_cores(self) -> float:
        """Number of cores that the loop uses while it uses an item.

        If it has to wait for them, these are the cores on which it computes when it does.
        """
        m = self.measures
        mean = m.use_computing + m.helpers
        return max(mean, mean / m.use_computing) if self.full and m.helpers else mean

    def competes(self, workers: int) -> bool:
        """Return whether so many workers would take cores from a loop with threads of its own.

        Such threads wait for each other. If one of them has to wait for a core, all do, and many
        compute while they wait, so that the loop can take many times as long. This is not
        estimated.
        """
        m = self.measures
        if not m.helpers or m.used < _LITTLE * m.seconds:
            return False
        took = sum(item.took for item in self.items)
        computing = sum(item.computing for item in self.items) / took if took else 0.0
        needed, cores = workers * computing, self.cores - self.recording.others
        return needed > SOME and self.loop_cores + needed > cores + SOME

    def uses_processes(self) -> bool:
        """Return whether a prefetch of the pipeline has worker processes."""
        methods = [METHODS.get(stage.options["method"]) for stage in self.recording.prefetches()]
        return any(method is not None and method.has_start_method for method in methods)

    def _free(self, cores: int) -> float:
        """Return how many times as much as one core all do that other programs leave.

        The loop has at least those on which it was seen.
        """
        m = self.measures
        left = max(cores - self.recording.others, m.use_computing + m.helpers)
        return 1.0 + _ANOTHER * max(0.0, left - 1.0)

    def _is_full(self) -> bool:
        m = self.measures
        helped = m.used * m.helpers / m.seconds if m.seconds else 0.0
        return m.processor + helped + self.recording.others > 0.8 * self.cores

    def _is_crowded(self) -> bool:
        m = self.measures
        free = self.cores - self.recording.others
        computing = sum(item.computing for item in m.served)
        time = computing + sum(item.waiting for item in m.served)
        evaluating = max(1, self.workers)  # without workers, the consumer does
        return self.full and evaluating > free + SOME and computing > _LITTLE * time

    def _is_locked(self, threads: int) -> bool:
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

    def expect(self, setting: Setting, costs: Costs | None = None) -> Prediction:
        """Return the time that the model predicts, corrected by what it left out so far."""
        total, seconds = predict(self.items, costs or self.costs, setting)
        # the overhead of transfer disappears with the transfer
        same = self.crowded or costs is None or costs.send == self.costs.send
        factor = self.overhead if same else min(1.0, self.overhead)
        least, locked = self.iterating.seconds, self.under_lock(setting, costs)
        return Prediction(
            max(least, locked, total * factor),
            max(least, locked - (total - seconds), seconds * factor),
        )

    def under_lock(self, setting: Setting, costs: Costs | None = None) -> float:
        """Return how long threads of this process have the lock, the least time for all items."""
        return under_lock(self.items, costs or self.costs, setting)

    def expect_with(self, method: str, workers: int) -> Prediction:
        """Return the time that the model predicts with other workers."""
        setting, costs = self.setting_of(method, workers)
        if self.crowded or not self.is_cluster or METHODS[method].is_cluster:
            return self.expect(setting, costs)
        # the overhead of the cluster disappears with it
        total, seconds = predict(self.items, costs, setting)
        return Prediction(max(self.iterating.seconds, total), max(self.iterating.seconds, seconds))

    def pace_with(self, method: str, workers: int) -> float:
        """Return the predicted time for an item in a long run with other workers."""
        setting, costs = self.setting_of(method, workers)
        same = self.crowded or costs.send == self.costs.send
        factor = self.overhead if same else min(1.0, self.overhead)
        least = max(
            self.iterating.seconds / self.count,
            self.under_lock(setting, costs) / max(1, len(self.items)),
        )
        # the first item takes longer, once
        return max(least, pace(self.items[1:] or self.items, costs, setting) * factor)

    @property
    def is_cluster(self) -> bool:
        """Whether a cluster evaluates the items."""
        method = METHODS.get(self.options.get("method", ""))
        return method is not None and method.is_cluster

    def needs_window(self, method: str, workers: int) -> bool:
        """Return whether a given `max_cached` is too small for these workers, if they are new."""
        given = self.options.get("max_cached")
        new = workers > self.workers or method != self.options.get("method", DEFAULT)
        return given is not None and new and workers > given

    def setting_of(self, method: str, workers: int) -> tuple[Setting, Costs]:
        """Return the setting and costs with other workers."""
        window = self.setting.window
        if self.options.get("max_cached") is None or self.needs_window(method, workers):
            window = max(window, 2 * workers)
        setting = self.setting._replace(workers=workers, window=window)
        cores = self.setting.cores
        if METHODS[method].is_cluster and self.cores > self.recording.cores:
            cores += workers - self.workers  # each comes with a core
        elif not METHODS[method].is_cluster:
            cores = self._free(self.recording.cores)
        setting = setting._replace(cores=cores)
        if not METHODS[method].shares_memory:
            costs, tried = self.costs, self.recording.transfer
            if tried is not None and not (costs.send or costs.load):
                costs = costs._replace(send=tried.send, load=tried.load)
            return setting._replace(locked=0.0), costs
        return setting._replace(locked=self._held()), self.costs._replace(send=0.0, load=0.0)

    def _held(self) -> float:
        """Return the share of computing for which threads would need the lock."""
        m = self.measures
        if m.locked is not None and not self.recording.one_at_a_time:
            return m.locked
        # Functions release the lock only if threads were seen to compute at the same time.
        return float(not (self.threads and m.processor > 1.2))  # noqa: PLR2004

    def slow_item(self) -> Item | None:
        """Return the item that alone kept the consumer waiting, if there is one."""
        m = self.measures
        if m.longest is None or self.prefetch is None:
            return None
        times = [item.took for item in m.served]
        _, waited = m.longest
        slowest = max(m.served, key=lambda item: item.took)
        if waited < m.waited / 2 or slowest.took < _MUCH * median(times):
            return None
        others = sorted(times)[:-1]
        return slowest if slowest.took > _MUCH * others[int(0.9 * len(others))] else None

    def rows_of(self, item: Item) -> str:
        """Return from which rows an item of the prefetch is made, as the end of a sentence."""
        rows = self.recording.made_from(self.prefetch, item.index) if self.prefetch else ""
        return f", made from {rows}" if rows else ""

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
            and (not f.stage.sources or f.stage.name != f.stage.kind)  # it names a function
            and not self.may_queue(f)
        }
        number = max(waits, key=lambda number: waits[number], default=None)
        if number is None or waits[number] < 0.15 * self.measures.seconds:
            return None
        return self.figures[number]

    def mean(self) -> float:
        """Return the mean time of a worker for an item."""
        served = self.measures.served
        return sum(i.took for i in served) / max(1, len(served))
