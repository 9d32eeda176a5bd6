"""How many workers, and whether threads or processes: what `nworkers="auto"` decides.

A pure state machine: it is told what was seen, and says what to have. It knows no engine, no
thread and no clock, and can be tested without any of them.

        ALONE ──▶ ONE ──▶ SEVERAL ──▶ CHOSEN
          │        └──────────────────▲
          └───────────────────────────┘

- `ALONE`: one thread evaluates the first items. From what they took follows how many items a
  second to expect of threads that need the lock of the interpreter, and of processes. Where
  threads are certain to do as well, they are chosen.
- `ONE`: that thread goes on for a moment, because the first items are often slower.
- `SEVERAL`: so many threads as would compute on two cores show whether they need the lock.
- `CHOSEN`: threads or processes, which stay what they are. Only their number follows what readers
  take: with r items a second and s seconds for each, r s workers are busy, and one more is
  wanted. Where readers wait, r is what they would take if they did not.

What it guarantees:

- Threads are at most `MOST_THREADS`, and so many that their processor time, as it was
  measured, stays within the usable cores.
- Processes are at most as many as there are usable cores.
- Neither are more than items may be ahead.
"""

import enum
import math
import re
from collections.abc import Sequence
from statistics import median
from typing import Literal, TypeAlias

from seqtools.engines.adaptive.measurements import ItemTime, Observation, TransferCost

MOST_THREADS = 32
"""Threads at most. Arbitrary: more files or requests at a time than most disks and servers
serve any faster."""
_ITEMS, _SECONDS = 10, 0.2
"""Items, or seconds of all of them except the first, for which one thread is alone."""
_LOOK, _TRY = 0.25, 0.1
"""Seconds between looks, and where threads are tried."""
_FEW = 4
"""Items without which a look says nothing."""
_MARGIN = 1.15
"""So much better processes must be expected to be. They take long to start and hold a copy of
the pipeline each; nothing that is measured is more exact."""
_SMALL = 1e-4
"""Seconds of an item below which threads hinder each other, whatever they do. Measured: the
lock alone changes hands in 5 to 50 µs."""
_THREAD_COST, _CONSUMER_COST, _WORKER_COST = 1.3e-6, 2e-6, 2e-6
"""Seconds of processor time that an engine takes for an item that takes none. Measured."""
_BYTES = 3e9
"""Bytes of arrays that a worker copies in a second. Measured."""
_STARVING = 0.1
"""Share of the time that a reader waits, from which more is done for it."""
_AHEAD, _MOST_AHEAD = 0.02, 4096
"""Seconds of work ahead for each worker, and most items. As an engine of processes deals."""
_FASTER, _TOGETHER = 1.2, 0.75
"""How much faster threads are than one, and the share of the cores that they could use at a time,
from which it is seen that they do not need the lock of the interpreter."""
_TRIED = 2.0
"""Cores that threads are to use where they are tried."""
_LEAST = 0.2
"""Share of the time that is taken for ours at least, whatever other programs do."""
_UNUSED = 0.5
"""Cores that threads use together, below which there may be more of them than was thought."""
_WAITS = 0.5
"""Share of an item's time for which it waits, from which that is said of it."""
_LESS = 0.75
"""Share of the workers that must do for some to be let go."""
_PATIENCE = 3
"""Looks in a row that must say so before there are fewer workers."""


Name: TypeAlias = Literal["thread", "process"]


class Phase(enum.Enum):
    """How far a choice is: see the module."""

    ALONE = enum.auto()
    ONE = enum.auto()
    SEVERAL = enum.auto()
    CHOSEN = enum.auto()


class Choice:
    """What workers to have, by what was seen."""

    def __init__(self, method: Name | None, cores: int, max_cached: int | None = None) -> None:
        """Begin with nothing known.

        Args:
            method: What workers are, `None` if that is to be chosen too.
            cores: Cores that may be used.
            max_cached: Items that may be ahead, if that is limited.
        """
        ahead = MOST_THREADS if max_cached is None else max_cached
        self._threads, self._processes = min(MOST_THREADS, ahead), min(cores, max(1, ahead))
        self._cores = cores
        self.either = method is None and self._processes > 1
        """Whether there may be threads, and processes as well."""
        self.method: Name = method or "thread"
        """What workers are by now."""
        self.nworkers = self._processes if self.method == "process" else 1
        self.phase = Phase.CHOSEN if self.method == "process" else Phase.ALONE
        self._wall = self._cpu = 0.0  # of an item
        self._cap = self._threads
        self._costs: tuple[TransferCost, ...] = ()
        self._fewer = 0  # looks in a row that said so
        self._of_one = 0.0  # items a second, by one thread
        self._why = f"{_number(self.nworkers, 'core')} may be used"
        self._refused = ""

    @property
    def most(self) -> int:
        """Workers at most, of the method chosen."""
        return self._processes if self.method == "process" else self._threads

    @property
    def open(self) -> bool:
        """Whether threads or processes are still to be chosen."""
        return self.either and self.phase is not Phase.CHOSEN

    @property
    def measuring(self) -> bool:
        """Whether threads measure items one by one, which costs half a microsecond for each."""
        return self.method == "thread" and (self.phase is not Phase.CHOSEN or self._wall >= _SMALL)

    def room(self) -> tuple[int, int]:
        """Return how many items must be ahead for all workers to have something to do.

        And how many it is good to have, if they are small: then messages have many of them.
        """
        small = self.method == "process" and self._wall
        good = self.nworkers * _AHEAD / self._wall if small else 0.0
        return 2 * self.nworkers, int(min(good, _MOST_AHEAD))

    def remark(self) -> str:
        """Return what was chosen, and why."""
        if self.phase is Phase.ALONE:
            return "not yet chosen"
        verb = "chose" if self.phase is Phase.CHOSEN else "not yet chosen:"
        workers = _number(self.nworkers, self.method)
        return f"{verb} {workers}: {self._why}{self._refused and f'; {self._refused}'}"

    # Events

    def next_look(self) -> float:
        """Return after how many seconds to tell what was seen."""
        if self.phase is Phase.CHOSEN:
            return _LOOK
        return 0.0 if self.phase is Phase.ALONE else _TRY

    def look(self, seen: Observation) -> bool:
        """Decide by what was seen, and return True; return False if more is to be seen first."""
        self._costs = seen.costs
        if self.phase is Phase.ALONE:
            others = seen.times[1:]  # the first one may import what it needs
            if len(others) < _ITEMS - 1 and sum(time.wall for time in others) < _SECONDS:
                return False
            self._judge(others)
        elif max(len(seen.times), seen.delivered) < _FEW:
            return False
        elif self.phase is Phase.CHOSEN:
            self._follow(seen)
        elif seen.times and _starving(seen):  # or else one thread does
            self._try(seen)
        return True

    def stuck(self) -> None:
        """Take note that a reader waits, and that nothing has come for long.

        An item may be so slow that it must not hold up all others.
        """
        if self.method == "thread":
            self.nworkers = max(self.nworkers, min(2, self._threads))

    def refuse(self, why: str) -> None:
        """Take note that there can be no processes."""
        short = re.sub(r", made at .*?:\d+,", "", why.split("; ", maxsplit=1)[0])
        self.either, self._refused = False, f"no processes, as {short}"
        if self.method == "process":
            self._choose_threads(self._limit(1))  # of which only one at a time has the lock

    # Choosing

    def _judge(self, times: Sequence[ItemTime]) -> None:
        """Decide from what the first items took."""
        self._know(times)
        self._why = self._told(self._costs)
        large = self._wall >= _SMALL
        computing = self._cpu * self.nworkers >= (1 - _WAITS) * self._wall
        may_be_better = self._expected(0.0) > _MARGIN / (self._cpu + _THREAD_COST)
        may_be_more = large and computing and min(self._cores, self._threads) > 1
        if self._cpu * self._threads <= self._wall:  # all of them need the lock less than always
            self._choose_threads(self._limit(self._cores))
        elif may_be_better or may_be_more:
            self.phase, self.nworkers = Phase.ONE, 1
            if len(times) * self._wall > _TRY:
                self._try_several(1 / self._wall)
        else:
            self._choose_threads(self._limit(self._cores if large else 1))

    def _try_several(self, of_one: float) -> None:
        """Try threads, of which one alone evaluates so many items a second."""
        wanted = round(_TRIED * self._wall / self._cpu)
        self._of_one = of_one
        self.phase, self.nworkers = Phase.SEVERAL, max(1, min(wanted, self._threads))

    def _try(self, seen: Observation) -> None:
        """Decide from what threads have done that were tried."""
        # other programs are there for a while only: what would it be without them?
        delay = sum(time.delay for time in seen.times)
        own = seen.seconds * max(_LEAST, 1 - delay / (self.nworkers * seen.seconds))
        rate = max(len(seen.times), seen.delivered) / own
        if self.phase is Phase.ONE:
            self._know(seen.times)  # the first ones, which are often slower, are over
            self._of_one = min(rate, 1 / self._wall)  # a second thread may have come
            if self._wall >= _SMALL:
                self._try_several(self._of_one)
                return
        self._why = self._told(self._costs)
        possible = min(self.nworkers * self._cpu / self._wall, self._cores)
        together = sum(time.cpu for time in seen.times) / own
        faster = rate > _FASTER * self._of_one
        expected = self._expected(seen.read / max(1, seen.delivered))
        if faster and together > _TOGETHER * possible:
            self._why = f"{self._told()} and release the lock of the interpreter"
            self._choose_threads(self._limit(self._cores))
        elif expected > _MARGIN * max(rate, self._of_one):
            self._choose_processes()
        else:
            self._choose_threads(self._limit(self._cores) if faster else 1)

    def _know(self, times: Sequence[ItemTime]) -> None:
        """Take note of what items take."""
        self._wall = max(median(max(t.cpu, t.wall - t.delay) for t in times), 1e-7)
        self._cpu = min(max(median(t.cpu for t in times), 1e-7), self._wall)

    def _choose_threads(self, cap: int) -> None:
        self.method, self.phase = "thread", Phase.CHOSEN
        self._cap = self.nworkers = cap

    def _choose_processes(self) -> None:
        if self._wall >= _SMALL:
            self._why = f"{self._told()} and hold the lock of the interpreter"
        self.method, self.phase = "process", Phase.CHOSEN
        self.nworkers = self._processes

    def _limit(self, cores: int) -> int:
        """Return how many threads use so many `cores`."""
        others = self._wall / self._cpu if self._waits() else 1.0  # that go on while one waits
        return max(1, min(self._threads, int(cores * others)))

    def _waits(self) -> bool:
        """Return whether items wait rather than compute."""
        return self._cpu < (1 - _WAITS) * self._wall

    def _expected(self, read: float) -> float:
        """Return the items per second to expect of processes, 0 if there can be none.

        Args:
            read: Processor time that the reader takes for each.
        """
        if not self.either or not self._costs:
            return 0.0
        dump, load = _sending(self._costs)
        load += read
        return min(
            self._processes / (self._wall + dump), self._cores / (self._cpu + dump + load), 1 / load
        )

    def _told(self, costs: Sequence[TransferCost] = ()) -> str:
        """Return in words what items are like, and with `costs` what it takes to send them."""
        if self._waits():
            waiting = 1 - self._cpu / self._wall
            return f"items wait {100 * waiting:.0f} % of {_time(self._wall)}"
        sent = f", sending them takes {_time(sum(_sending(costs)))}" if costs else ""
        return f"items compute for {_time(self._cpu)}{sent}"

    # What was chosen

    def _follow(self, seen: Observation) -> None:
        """Have as many workers as it takes."""
        least, most = min(2, self._processes), self._processes  # none holds up all others
        if self.method == "thread":
            used = sum(time.cpu for time in seen.times)
            idle = bool(seen.times) and used < _UNUSED * seen.seconds
            if idle and _starving(seen) and self.nworkers == self._cap:
                self._cap = min(self._threads, 2 * self._cap)
            least, most = 1, self._cap
        reading = max(seen.seconds - seen.waited, 1e-9)
        busy = min(seen.spent / reading, most)
        wanted = min(most, max(least, math.ceil(busy) + 1))
        if wanted > self.nworkers and _starving(seen):
            self.nworkers, self._fewer = wanted, 0
        elif wanted <= _LESS * self.nworkers:
            self._fewer += 1
            if self._fewer >= _PATIENCE:
                self.nworkers, self._fewer = wanted, 0
        else:
            self._fewer = 0


def _starving(seen: Observation) -> bool:
    return seen.waited > _STARVING * seen.seconds


def _sending(costs: Sequence[TransferCost]) -> tuple[float, float]:
    """Return the seconds that an item takes to be sent by a worker, and to be received."""
    dump = median(cost.dump + cost.nbytes / _BYTES for cost in costs)
    return dump + _WORKER_COST, median(cost.load for cost in costs) + _CONSUMER_COST


def _number(n: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{n} {what}{'' if n == 1 else plural}"


def _time(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"
