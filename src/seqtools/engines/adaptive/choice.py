"""How many workers, and whether threads or processes: what `nworkers="auto"` decides.

A pure state machine: it is told what was seen, and says what to have. It knows no engine, no
thread and no clock, and can be tested without any of them.

        FIRST ──▶ ALONE ──▶ SEVERAL ──▶ CHOSEN
                    └───────────────────▲

- `FIRST`: a few items that are not counted. They may import what they need, and their values are
  pickled to see how long that takes.
- `ALONE`: one thread evaluates items. As long as that does, nothing is chosen. If readers wait,
  it follows from what items took how many a second to expect of threads that need the lock of
  the interpreter, and of processes. Where one of these is certain to be best, it is chosen.
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

from seqtools.engines.adaptive.measurements import Observation, TransferCost, sending

MOST_THREADS = 32
"""Threads at most. Arbitrary: more files or requests at a time than most disks and servers
serve any faster."""
_NOT_COUNTED, _ITEMS, _LEAST_SECONDS, _SECONDS = 3, 10, 0.1, 0.2
"""Items that are not counted, and items after them for which one thread is alone, for so many
seconds at least; or seconds of items, for both. The first ones are often slower than all others."""
_SOON, _TRY, _LOOK = 0.01, 0.1, 0.25
"""Seconds between looks: of the first items, where several threads are tried, and of all others."""
_FEW = 4
"""Items without which a look says nothing."""
_MARGIN = 1.15
"""So much better processes must be expected to be. They take long to start and hold a copy of
the pipeline each; nothing that is measured is more exact."""
_SMALL = 1e-4
"""Seconds of an item below which threads hinder each other, whatever they do. Measured: the
lock alone changes hands in 5 to 50 µs."""
_THREAD_COST = 1.3e-6
"""Seconds of processor time that an engine of threads takes for an item. Measured."""
_AHEAD, _MOST_AHEAD = 0.02, 4096
"""Seconds of work ahead for each worker, and most items. As an engine of processes deals."""
_FASTER, _TOGETHER = 1.2, 0.75
"""How much faster threads are than one, and the share of the cores that they could use at a time,
from which it is seen that they do not need the lock of the interpreter."""
_TRIED = 2.0
"""Cores that threads are to use where they are tried."""
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

    FIRST = enum.auto()
    ALONE = enum.auto()
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
        self.phase = Phase.CHOSEN if self.method == "process" else Phase.FIRST
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
        refused = self._refused and f"; {self._refused}"
        if not self._wall and self.method == "thread":
            return f"not yet chosen{refused}"
        verb = "chose" if self.phase is Phase.CHOSEN else "not yet chosen:"
        return f"{verb} {_number(self.nworkers, self.method)}: {self._why}{refused}"

    # Events

    def next_look(self) -> float:
        """Return after how many seconds to tell what was seen."""
        if self.phase is Phase.FIRST:
            return 0.0
        if self.phase is Phase.ALONE and not self._wall:
            return _SOON
        return _TRY if self.phase is Phase.SEVERAL else _LOOK

    def look(self, seen: Observation) -> bool:
        """Decide by what was seen, and return True; return False if more is to be seen first."""
        self._costs = seen.costs
        slow = sum(time.wall for time in seen.times) >= _SECONDS
        if self.phase is Phase.FIRST:
            if len(seen.times) < _NOT_COUNTED and not slow:
                return False
            self.phase = Phase.ALONE
        elif self.phase is Phase.ALONE:
            enough = len(seen.times) >= _ITEMS and seen.seconds >= _LEAST_SECONDS
            if not enough and not slow:
                return False
            self._judge(seen)
        elif max(len(seen.times), seen.delivered) < _FEW:
            return False
        elif self.phase is Phase.SEVERAL:
            self._compare(seen)
        else:
            self._follow(seen)
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

    def _judge(self, seen: Observation) -> None:
        """Decide from what items took one thread."""
        self._wall = max(median(max(t.cpu, t.wall - t.delay) for t in seen.times), 1e-7)
        self._cpu = min(max(median(t.cpu for t in seen.times), 1e-7), self._wall)
        self._why = self._told(self._costs)
        if not seen.starving:
            return
        large = self._wall >= _SMALL
        rate, _ = seen.undisturbed(self.nworkers)
        best = 1 / (self._cpu + _THREAD_COST)  # of threads that need the lock
        if not large:  # such as it is seen here; it is less while other programs have the cores
            best = max(best, rate)
        better = self._expected(seen) > _MARGIN * best
        computing = self._cpu * self.nworkers >= (1 - _WAITS) * self._wall
        more = computing and min(self._cores, self._threads) > 1
        if self._cpu * self._threads <= self._wall:  # nor do all of them together need it always
            self._choose_threads(self._limit(self._cores))
        elif large and (better or more):
            wanted = round(_TRIED * self._wall / self._cpu)
            self._of_one = min(rate, 1 / self._wall)
            self.phase, self.nworkers = Phase.SEVERAL, max(1, min(wanted, self._threads))
        elif better:
            self._choose_processes()
        else:
            self._choose_threads(self._limit(self._cores if large else 1))

    def _compare(self, seen: Observation) -> None:
        """Decide from what several threads have done."""
        if not seen.starving:
            return
        rate, cores = seen.undisturbed(self.nworkers)
        possible = min(self.nworkers * self._cpu / self._wall, self._cores)
        faster = rate > _FASTER * self._of_one
        if faster and cores > _TOGETHER * possible:
            self._why = f"{self._told()} and release the lock of the interpreter"
            self._choose_threads(self._limit(self._cores))
        elif self._expected(seen) > _MARGIN * max(rate, self._of_one):
            self._why = f"{self._told()} and hold the lock of the interpreter"
            self._choose_processes()
        else:
            self._choose_threads(self._limit(self._cores) if faster else 1)

    def _choose_threads(self, cap: int) -> None:
        self.method, self.phase = "thread", Phase.CHOSEN
        self._cap = self.nworkers = cap

    def _choose_processes(self) -> None:
        self.method, self.phase = "process", Phase.CHOSEN
        self.nworkers = self._processes

    def _limit(self, cores: int) -> int:
        """Return how many threads use so many `cores`."""
        others = self._wall / self._cpu if self._waits() else 1.0  # that go on while one waits
        return max(1, min(self._threads, int(cores * others)))

    def _waits(self) -> bool:
        """Return whether items wait rather than compute."""
        return self._cpu < (1 - _WAITS) * self._wall

    def _expected(self, seen: Observation) -> float:
        """Return the items per second to expect of processes, 0 if there can be none."""
        if not self.either or not self._costs:
            return 0.0
        dump, load = sending(self._costs)
        load += seen.read / max(1, seen.delivered)  # and what the reader does with it
        return min(
            self._processes / (self._wall + dump), self._cores / (self._cpu + dump + load), 1 / load
        )

    def _told(self, costs: Sequence[TransferCost] = ()) -> str:
        """Return in words what items are like, and with `costs` what it takes to send them."""
        if self._waits():
            waiting = 1 - self._cpu / self._wall
            return f"items wait {100 * waiting:.0f} % of {_time(self._wall)}"
        sent = f", sending them takes {_time(sum(sending(costs)))}" if costs else ""
        return f"items compute for {_time(self._cpu)}{sent}"

    # What was chosen

    def _follow(self, seen: Observation) -> None:
        """Have as many workers as it takes."""
        least, most = min(2, self._processes), self._processes  # none holds up all others
        if self.method == "thread":
            _, cores = seen.undisturbed(self.nworkers)
            idle = self.measuring and cores < _UNUSED
            if idle and seen.starving and self.nworkers == self._cap:
                self._cap = min(self._threads, 2 * self._cap)
            least, most = 1, self._cap
        reading = max(seen.seconds - seen.waited, 1e-9)
        busy = min(seen.spent / reading, most)
        wanted = min(most, max(least, math.ceil(busy) + 1))
        if wanted > self.nworkers and seen.starving:
            self.nworkers, self._fewer = wanted, 0
        elif wanted <= _LESS * self.nworkers:
            self._fewer += 1
            if self._fewer >= _PATIENCE:
                self.nworkers, self._fewer = wanted, 0
        else:
            self._fewer = 0


def _number(n: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{n} {what}{'' if n == 1 else plural}"


def _time(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"
