"""Chooses the number of workers, and threads or processes, for `nworkers="auto"`.

It is a pure state machine: it receives observations, and says which workers to have. It uses no
engine, thread or clock, and can be tested without them.

        WARM_UP ──▶ ONE_THREAD ──▶ TRIAL ──▶ CHOSEN
                        └──────────────────────▲

- `WARM_UP`: a few items that do not count. They may import what they need, and their values are
  pickled to measure how long that takes.
- `ONE_THREAD`: one thread evaluates items. As long as no reader waits, nothing is chosen. If
  readers wait, the times of the items tell how many items per second to expect of threads that need
  the interpreter's lock, and of processes. If one of them is certain to be best, it is chosen.
- `TRIAL`: as many threads as would compute on two cores show whether they need the lock.
- `CHOSEN`: threads or processes. From now on, only their number follows the readers: with r items
  per second and s seconds per item, r s workers are busy, and one more is wanted. If readers wait,
  r is the rate that they would have otherwise.

Guarantees:

- There are at most `MOST_THREADS` threads, and their measured processor time does not exceed the
  usable cores.
- There are at most as many processes as usable cores.
- There are at most as many workers as items that may be evaluated ahead.
"""

import enum
import math
import re
from collections.abc import Sequence
from typing import Literal, TypeAlias

from seqtools.engines.adaptive.measurements import Observation, TransferCost, sending

MOST_THREADS = 32
"""The largest number of threads. Arbitrary: few disks and servers answer more requests at a time
faster."""
_WARM_UP_ITEMS, _ITEMS, _LEAST_SECONDS, _SECONDS = 3, 10, 0.1, 0.2
"""Items that do not count; then items that one thread evaluates, during so many seconds at least.
Alternatively, seconds of items, for both phases. The first items are often slower than others."""
_SOON, _TRIAL, _PERIOD = 0.01, 0.1, 0.25
"""Seconds between observations: of the first items, in the trial, and later."""
_FEW = 4
"""An observation needs so many items."""
_MARGIN = 1.15
"""Processes must be expected to be faster by this factor, because they start slowly and each has a
copy of the pipeline; the measurements are not more exact either."""
_SMALL = 1e-4
"""Seconds of an item below which threads always hinder each other. Measured: passing on the
interpreter's lock takes 5 to 50 µs."""
_THREAD_COST = 1.3e-6
"""Seconds of processor time that a thread engine needs for an item. Measured."""
_AHEAD, _MOST_AHEAD = 0.02, 4096
"""Seconds of work ahead for each process, and most items: as the process engine sends them."""
_FASTER, _TOGETHER = 1.2, 0.75
"""Threads do not need the interpreter's lock if they are faster than one thread by this factor, and
use this share of the cores that they could use."""
_TRIAL_CORES = 2.0
"""Cores that threads could use in the trial."""
_UNUSED = 0.5
"""If threads together use fewer cores than this, there may be more threads."""
_WAITING = 0.5
"""Items wait, rather than compute, if they do so for this share of their time."""
_LESS = 0.75
"""The number of workers shrinks if this share of them is enough."""
_PATIENCE = 3
"""It shrinks after so many observations in a row."""


Name: TypeAlias = Literal["thread", "process"]


class Phase(enum.Enum):
    """The phases of a choice: see the module."""

    WARM_UP = enum.auto()
    ONE_THREAD = enum.auto()
    TRIAL = enum.auto()
    CHOSEN = enum.auto()


class Choice:
    """Which workers to have, according to observations."""

    def __init__(self, method: Name | None, cores: int, max_cached: int | None = None) -> None:
        """Start without observations.

        Args:
            method: The kind of workers, `None` if it is to be chosen too.
            cores: The number of usable cores.
            max_cached: The number of items that may be evaluated ahead, if it is limited.
        """
        ahead = MOST_THREADS if max_cached is None else max_cached
        self._threads, self._cores = min(MOST_THREADS, ahead), cores
        self.most_processes = min(cores, max(1, ahead))
        """The largest number of processes."""
        self.both_possible = method is None and self.most_processes > 1
        """Whether workers may be threads or processes."""
        self.method: Name = method or "thread"
        """The current kind of workers."""
        self.nworkers = self.most_processes if self.method == "process" else 1
        self.phase = Phase.CHOSEN if self.method == "process" else Phase.WARM_UP
        self._wall = self._cpu = 0.0  # of an item
        self._cap = self._threads
        self._costs: tuple[TransferCost, ...] = ()
        self._surplus = 0  # observations in a row with too many workers
        self._rate_of_one = 0.0  # items per second of one thread
        self._reason = f"{_number(self.nworkers, 'core')} may be used"
        self._refusal = ""

    @property
    def undecided(self) -> bool:
        """Whether threads or processes are still to be chosen."""
        return self.both_possible and self.phase is not Phase.CHOSEN

    @property
    def measuring(self) -> bool:
        """Whether threads measure each item, which takes half a microsecond."""
        return self.method == "thread" and (self.phase is not Phase.CHOSEN or self._wall >= _SMALL)

    def room(self) -> tuple[int, int]:
        """Return the number of items ahead that all workers need to be busy.

        And the number that is better for small items, because messages then have many of them.
        """
        small = self.method == "process" and self._wall
        better = self.nworkers * _AHEAD / self._wall if small else 0.0
        return 2 * self.nworkers, int(min(better, _MOST_AHEAD))

    def remark(self) -> str:
        """Return what was chosen, and why."""
        refusal = self._refusal and f"; {self._refusal}"
        if not self._wall and self.method == "thread":
            return f"not yet chosen{refusal}"
        verb = "chose" if self.phase is Phase.CHOSEN else "not yet chosen:"
        return f"{verb} {_number(self.nworkers, self.method)}: {self._reason}{refusal}"

    # Events

    def period(self) -> float:
        """Return the seconds until the next call of `decide`."""
        if self.phase is Phase.WARM_UP:
            return 0.0
        if self.phase is Phase.ONE_THREAD and not self._wall:
            return _SOON
        return _TRIAL if self.phase is Phase.TRIAL else _PERIOD

    def decide(self, seen: Observation) -> bool:
        """Decide and return True; return False if the observation is to be continued."""
        self._costs = seen.costs
        slow = sum(time.wall for time in seen.times) >= _SECONDS
        if self.phase is Phase.WARM_UP:
            if len(seen.times) < _WARM_UP_ITEMS and not slow:
                return False
            self.phase = Phase.ONE_THREAD
        elif self.phase is Phase.ONE_THREAD:
            enough = len(seen.times) >= _ITEMS and seen.seconds >= _LEAST_SECONDS
            if not enough and not slow:
                return False
            self._choose_by_one_thread(seen)
        elif max(len(seen.times), seen.delivered) < _FEW:
            return False
        elif self.phase is Phase.TRIAL:
            self._choose_by_trial(seen)
        else:
            self._adjust_number(seen)
        return True

    def stuck(self) -> None:
        """Note that a reader waits, and that nothing was delivered for long.

        A slow item must not delay all others.
        """
        if self.method == "thread":
            self.nworkers = max(self.nworkers, min(2, self._threads))

    def refuse(self, why: str) -> None:
        """Note that processes are impossible."""
        short = re.sub(r", made at .*?:\d+,", "", why.split("; ", maxsplit=1)[0])
        self.both_possible, self._refusal = False, f"no processes, because {short}"
        if self.method == "process":
            self._choose_threads(self._limit(1))  # they need the interpreter's lock

    # Choosing

    def _choose_by_one_thread(self, seen: Observation) -> None:
        """Decide by the times of items in one thread."""
        self._wall, self._cpu = seen.typical_item()
        self._reason = self._description(self._costs)
        if not seen.starving:
            return
        large = self._wall >= _SMALL
        rate, _ = seen.undisturbed(self.nworkers)
        best = 1 / (self._cpu + _THREAD_COST)  # of threads that need the lock
        if not large:  # the measured rate is lower while other programs use the cores
            best = max(best, rate)
        better = self._expected() > _MARGIN * best
        computing = self._cpu * self.nworkers >= (1 - _WAITING) * self._wall
        more = computing and min(self._cores, self._threads) > 1
        if self._cpu * self._threads <= self._wall:  # all threads together rarely need the lock
            self._choose_threads(self._limit(self._cores))
        elif large and (better or more):
            wanted = round(_TRIAL_CORES * self._wall / self._cpu)
            self._rate_of_one = min(rate, 1 / self._wall)
            self.phase, self.nworkers = Phase.TRIAL, max(1, min(wanted, self._threads))
        elif better:
            self._choose_processes()
        else:
            self._choose_threads(self._limit(self._cores if large else 1))

    def _choose_by_trial(self, seen: Observation) -> None:
        """Decide by the rate of several threads."""
        if not seen.starving:
            return
        rate, cores = seen.undisturbed(self.nworkers)
        possible = min(self.nworkers * self._cpu / self._wall, self._cores)
        faster = rate > _FASTER * self._rate_of_one
        if faster and cores > _TOGETHER * possible:
            self._reason = f"{self._description()} and release the lock of the interpreter"
            self._choose_threads(self._limit(self._cores))
        elif self._expected() > _MARGIN * max(rate, self._rate_of_one):
            self._reason = f"{self._description()} and hold the lock of the interpreter"
            self._choose_processes()
        else:
            self._choose_threads(self._limit(self._cores) if faster else 1)

    def _choose_threads(self, cap: int) -> None:
        self.method, self.phase = "thread", Phase.CHOSEN
        self._cap = self.nworkers = cap

    def _choose_processes(self) -> None:
        self.method, self.phase = "process", Phase.CHOSEN
        self.nworkers = self.most_processes

    def _limit(self, cores: int) -> int:
        """Return how many threads use so many `cores`."""
        per_core = self._wall / self._cpu if self._waits() else 1.0
        return max(1, min(self._threads, int(cores * per_core)))

    def _waits(self) -> bool:
        """Return whether items wait rather than compute."""
        return self._cpu < (1 - _WAITING) * self._wall

    def _expected(self) -> float:
        """Return the items per second to expect of processes, 0 if they are impossible."""
        if not self.both_possible or not self._costs:
            return 0.0
        dump, load = sending(self._costs)
        return min(
            self.most_processes / (self._wall + dump),
            self._cores / (self._cpu + dump + load),
            1 / load,
        )

    def _description(self, costs: Sequence[TransferCost] = ()) -> str:
        """Describe items, and with `costs` the time to send them."""
        if self._waits():
            waiting = 1 - self._cpu / self._wall
            return f"items wait {100 * waiting:.0f} % of {_time(self._wall)}"
        sent = f", sending them takes {_time(sum(sending(costs)))}" if costs else ""
        return f"items compute for {_time(self._cpu)}{sent}"

    def _adjust_number(self, seen: Observation) -> None:
        """Have as many workers as the readers need."""
        least, most = (
            min(2, self.most_processes),
            self.most_processes,
        )  # so that no item delays all others
        if self.method == "thread":
            _, cores = seen.undisturbed(self.nworkers)
            idle = self.measuring and cores < _UNUSED
            if idle and seen.starving and self.nworkers == self._cap:
                self._cap = min(self._threads, 2 * self._cap)
            least, most = 1, self._cap
        reading = max(seen.seconds - seen.waited, 1e-9)
        busy = min(seen.spent / reading, most)
        wanted = min(most, max(least, math.ceil(busy) + 1))
        self._surplus = self._surplus + 1 if wanted <= _LESS * self.nworkers else 0
        if (wanted > self.nworkers and seen.starving) or self._surplus >= _PATIENCE:
            self.nworkers, self._surplus = wanted, 0


def _number(n: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{n} {what}{'' if n == 1 else plural}"


def _time(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"
