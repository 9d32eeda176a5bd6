"""`make bench WORKLOAD=overhead`: how much longer items take while they are profiled.

Items of some lengths, by one stage, are read with and without a profile in turns; times are
from the first item on, and the shortest of all turns are compared, as what else runs on the
machine only makes them longer.
"""

import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import seqtools
from seqtools import instrument

LENGTHS = (1e-3, 1e-4, 1e-5)
"""Seconds that an item takes."""
SECONDS = 0.2
"""For how long one turn reads."""
TURNS = 15
MOST = 0.03
"""Share that items of 100 µs, and longer ones, may take longer."""
_LONG = 1e-4


def spin(seconds: float) -> Callable[[int], int]:
    """Return a function that takes so long, which is found out by counting."""
    count = 1000
    began = time.perf_counter()
    sum(range(100_000))
    per_loop = (time.perf_counter() - began) / 100_000
    for _ in range(20):
        count = max(1, int(seconds / per_loop))
        began = time.perf_counter()
        for _ in range(20):
            sum(range(count))
        per_loop = (time.perf_counter() - began) / 20 / count
    return _Spin(count)


class _Spin:
    def __init__(self, count: int) -> None:
        self.count = count

    def __call__(self, i: int) -> int:
        return sum(range(self.count)) + i


WAYS: dict[str, dict[str, Any]] = {
    "inline": {"nworkers": 0},
    "1 thread": {"nworkers": 1, "method": "thread"},
    "1 process": {"nworkers": 1, "method": "process"},
}


def read(p: Any, n: int) -> float:
    """Return the seconds from the first item on."""
    items = iter(p)
    next(items)
    began = time.perf_counter()
    count = 1 + sum(1 for _ in items)
    took = time.perf_counter() - began
    assert count == n
    return took


def run() -> bool:
    """Measure, print a line for each length and way, and return whether it is little enough."""
    fine = True
    for seconds in LENGTHS:
        function = spin(seconds)
        n = int(SECONDS / seconds)
        for name, options in WAYS.items():
            times: dict[bool, list[float]] = {True: [], False: []}
            for _ in range(TURNS):
                for profiled in (False, True):
                    p = seqtools.prefetch(seqtools.smap(function, seqtools.arange(n)), **options)
                    with instrument.profile(p) if profiled else nullcontext():
                        times[profiled].append(read(p, n))
                    p.close()
            more = min(times[True]) / min(times[False]) - 1
            fine = fine and (seconds < _LONG or more < MOST)
            print(f"items of {seconds * 1e6:6.0f} µs, {name:10} {more:+.1%}")
    return fine


if __name__ == "__main__":
    run()
