"""How many workers, and whether threads or processes: what `nworkers="auto"` decides.

A pure state machine: it is told what was seen, and says what to have. It knows no engine, no
thread and no clock, and can be tested without any of them.

It begins with one thread, which evaluates the first items alone. From what they took it says
how many items a second to expect of

- threads that need the lock of the interpreter: as many as wait at a time, but no more than
  one core computes;
- processes: as many as there are cores, but for what it takes to send the values.

Threads are chosen unless processes are better by that. Where they are, and items are not too
small, two threads show at first whether the lock is needed at all.

From then on it follows what readers take: with r items a second and s seconds for each, r s workers
are busy, and one more is wanted. Where readers wait, r is what they would take if they
did not.

What it guarantees:

- Threads are at most `MOST_THREADS`, and so many that their processor time, as it was
  measured, stays within the usable cores.
- Processes are at most as many as there are usable cores.
- Neither are more than items may be ahead.
"""

import math
import re
from collections.abc import Sequence
from statistics import median
from typing import Any, Literal

from seqtools.engines.adaptive.measurements import ItemTime, Observation, TransferCost

MOST_THREADS = 32
"""Threads at most. Arbitrary: more files or requests at a time than most disks and servers
serve any faster."""
_ITEMS, _SECONDS = 10, 0.2
"""Items, or seconds of them, for which one thread is alone."""
_LOOK, _TRY = 0.25, 0.1
"""Seconds between looks, and where two threads are tried."""
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
_FASTER, _SLOWER = 1.2, 0.95
"""So many times the items a second that tell two threads from one, and processes from them."""
_MORE, _ONE = 1.5, 1.3
"""Cores that two threads use, where items compute all the time, from which it is seen that they
do not need the lock of the interpreter, and those up to which they may be held up by it."""
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

Method = Literal["thread", "process"]


class Choice:
    """What workers to have, by what was seen."""

    def __init__(self, method: Method | None, cores: int, max_cached: int | None = None) -> None:
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
        self.method: Method = "process" if method == "process" else "thread"
        self.nworkers = self._processes if self.method == "process" else 1
        self.measuring = self.method == "thread"
        """Whether items are to be measured one by one."""
        self._alone = self.measuring  # the first items are being measured
        self._trying = False  # two threads at a time
        self._wall = self._cpu = 0.0  # of an item alone
        self._cap = self._threads
        self._seen = Observation(0.0, 0.0, 0)
        self._fewer = self._better = self._worse = 0  # looks in a row that said so
        self._of_one = 0.0  # items a second, by one thread
        self._tried, self._to_beat = 1, 0.0  # threads, and the items a second that they made
        self._why = f"{_number(self.nworkers, 'core')} may be used"
        self._refused = ""

    @property
    def most(self) -> int:
        """Workers at most, with the method chosen."""
        return self._processes if self.method == "process" else self._threads

    def room(self) -> tuple[int, int]:
        """Return how many items must be ahead for all workers to have something to do.

        And how many it is good to have, if they are small: then messages have many of them.
        """
        apart = self.method == "process" and self._wall
        good = self.nworkers * _AHEAD / self._wall if apart else 0.0
        return 2 * self.nworkers, int(min(good, _MOST_AHEAD))

    def remark(self) -> str:
        """Return what was chosen, and why."""
        if self._alone:
            return "not yet chosen"
        workers = _number(self.nworkers, self.method)
        return f"chose {workers}: {self._why}{self._refused and f'; {self._refused}'}"

    # Events

    def next_look(self) -> float:
        """Return after how many seconds to tell what was seen."""
        return 0.0 if self._alone else _TRY if self._trying else _LOOK

    def look(self, seen: Observation) -> None:
        """Take note of what was seen, and decide."""
        self._seen = seen = _sum(self._seen, seen)
        if self._alone:
            if len(seen.times) < _ITEMS and sum(wall for wall, _, _ in seen.times) < _SECONDS:
                return
            self._judge(seen)
        elif max(len(seen.times), seen.answered) < _FEW:
            return
        elif self.method == "thread":
            if self.measuring and seen.times:
                self._compare(seen)
        elif seen.answered and self._prove(seen):
            self._follow(seen, seen.spent / seen.answered)
        self._seen = Observation(0.0, 0.0, 0, costs=seen.costs)

    def stuck(self) -> None:
        """Take note that a reader waits, and that nothing has come for long.

        An item may be so slow that it must not hold up all others.
        """
        if self.method == "thread":
            self.nworkers = max(self.nworkers, min(self.nworkers + 1, 2, self._threads))

    def refuse(self, why: str) -> None:
        """Take note that there can be no processes."""
        short = re.sub(r", made at .*?:\d+,", "", why.split("; ", maxsplit=1)[0])
        self.either, self._refused = False, f"no processes, as {short}"
        if self.method == "process" or self._trying:
            self._have_threads(self._limit(self._cores))

    # Parts

    def _judge(self, seen: Observation) -> None:
        """Decide from what the first items took."""
        self._know(seen.times[1:] or seen.times)  # the first one may import what it needs
        self._alone = False
        self._why = self._told(seen.costs)
        large = self._wall >= _SMALL
        rate = min(self._threads / self._wall, 1 / (self._cpu + _THREAD_COST))
        better = self._expected(seen._replace(read=0.0)) > _MARGIN * rate
        if better or (large and not self._waits() and min(self._cores, self._threads) > 1):
            self._have_threads(1)
            self._trying = self.measuring = True
            if len(seen.times) * self._wall > _TRY:
                self._have_two(1 / self._wall)
        else:
            self._have_threads(self._limit(self._cores if large else 1))

    def _know(self, times: Sequence[ItemTime]) -> None:
        """Take note of what items take."""
        self._wall = max(median(max(t.cpu, t.wall - t.delay) for t in times), 1e-7)
        self._cpu = min(max(median(t.cpu for t in times), 1e-7), self._wall)

    def _have_two(self, alone: float) -> None:
        """Try two threads, where one alone has evaluated so many items a second."""
        self._of_one, self.nworkers = alone, 2

    def _try(self, seen: Observation, rate: float, cores: float) -> None:
        """Decide from how many items a second threads evaluate, on so many cores."""
        if self.nworkers == 1:
            self._know(seen.times)  # the first ones, which are often slower, are over
            if self._wall >= _SMALL:
                self._have_two(rate)
                return
        self._why = self._told(seen.costs)
        alone = self._of_one if self.nworkers > 1 else rate
        expected = self._expected(seen)
        if rate > _FASTER * alone and cores > _MORE * self._cpu / self._wall:
            self._why = f"{self._told()} and release the lock of the interpreter"
            self._have_threads(self._limit(self._cores))
        elif expected > _MARGIN * max(rate, alone):
            self._to_beat = rate
            self._have_processes()
        elif rate > _FASTER * alone:
            self._have_threads(self._limit(self._cores))
        else:
            self._have_threads(1)

    def _compare(self, seen: Observation) -> None:
        """Look whether threads do what was expected of them."""
        starving = seen.waited > _STARVING * seen.seconds
        wall, used, delay = (sum(part) for part in zip(*seen.times, strict=True))
        spent = max(used, wall - delay)
        # other programs are there for a while only: what would it be without them?
        own = seen.seconds * max(_LEAST, 1 - delay / (self.nworkers * seen.seconds))
        cores, rate = used / own, max(len(seen.times), seen.taken) / own
        if self._trying:
            if starving:
                self._try(seen, rate, cores)
            return
        reached = max(rate, self._of_one)  # where one thread did better, none are needed
        locked = starving and cores < _ONE and self._expected(seen) > _MARGIN * reached
        self._better = self._better + 1 if locked else 0
        if self._better > 1:
            self._to_beat = rate
            self._have_processes()
            return
        waits = used / spent < 1 - _WAITS and cores < _UNUSED
        if starving and waits and self.nworkers == self._cap:
            self._cap = min(self._threads, 2 * self._cap)
        self._follow(seen, spent / len(seen.times))

    def _prove(self, seen: Observation) -> bool:
        """Look whether processes are as good as threads were; return False if they are not."""
        if not self.either or seen.deaths or seen.waited <= _STARVING * seen.seconds:
            return True  # what has killed a worker must not be evaluated in a thread
        if seen.taken > self._to_beat * seen.seconds:
            self._to_beat = self._worse = 0
        elif seen.taken < _SLOWER * self._to_beat * seen.seconds:
            self._worse += 1
        if self._worse < _PATIENCE:
            return True
        self.either = False
        self._refused = "processes were slower"
        self._have_threads(self._tried)
        return False

    def _follow(self, seen: Observation, seconds: float) -> None:
        """Have as many workers as it takes, where an item takes so many `seconds`."""
        least, most = 1, self._cap
        if self.method == "process":
            least, most = min(2, self._processes), self._processes  # none holds up all others
        reading = max(seen.seconds - seen.waited, 1e-9)
        wanted = max(least, min(most, math.ceil(min(seen.taken / reading * seconds, most)) + 1))
        wanted = min(wanted, most)
        if wanted > self.nworkers and seen.waited > _STARVING * seen.seconds:
            self.nworkers, self._fewer = wanted, 0
        elif wanted <= _LESS * self.nworkers:
            self._fewer += 1
            if self._fewer >= _PATIENCE:
                self.nworkers, self._fewer = wanted, 0
        else:
            self._fewer = 0

    def _have_threads(self, cap: int) -> None:
        self.method, self._trying = "thread", False
        self._cap = self.nworkers = cap
        self.measuring = self._wall >= _SMALL

    def _have_processes(self) -> None:
        if self._wall >= _SMALL:
            self._why = f"{self._told()} and hold the lock of the interpreter"
        else:
            self._why = self._told()
        self._tried, self._worse = self.nworkers, 0
        self.method, self._trying, self.measuring = "process", False, False
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
        if not self.either or not seen.costs:
            return 0.0
        dump, load = _sending(seen.costs)
        load += seen.read / max(1, seen.taken)  # and what the reader does with it
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


def _sending(costs: Sequence[TransferCost]) -> tuple[float, float]:
    """Return the seconds that an item takes to be sent by a worker, and to be received."""
    dump = median(cost.dump + cost.nbytes / _BYTES for cost in costs)
    return dump + _WORKER_COST, median(cost.load for cost in costs) + _CONSUMER_COST


def _sum(first: Observation, second: Observation) -> Observation:
    parts: list[Any] = [a + b for a, b in zip(first, second, strict=True)]  # type: ignore[operator]
    return Observation(*parts)


def _number(n: int, what: str) -> str:
    plural = "es" if what.endswith("s") else "s"
    return f"{n} {what}{'' if n == 1 else plural}"


def _time(seconds: float) -> str:
    for unit, name in ((1.0, "s"), (1e-3, "ms")):
        if seconds >= unit:
            return f"{seconds / unit:.3g} {name}"
    return f"{seconds * 1e6:.3g} µs"
