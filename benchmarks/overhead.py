"""`make bench WORKLOAD=overhead`: how much longer items take while they are profiled.

Items of some lengths, by one stage, are read with and without a profile in turns; times are
from the first item on, and what is printed is the median of the ratios of turns.
"""

import statistics
import time
from collections.abc import Callable
from contextlib import nullcontext
from typing import Any

import seqtools
from seqtools import instrument

LENGTHS = (1e-3, 1e-4, 1e-5)
"""Seconds that an item takes."""
SECONDS = 0.4
"""For how long one turn reads."""
TURNS = 9
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
            ratios = []
            for turn in range(TURNS):
                times = {}
                for profiled in (False, True) if turn % 2 else (True, False):
                    source = seqtools.smap(function, seqtools.arange(n))
                    p = seqtools.prefetch(source, **options)
                    with instrument.profile(p) if profiled else nullcontext():
                        times[profiled] = read(p, n)
                    p.close()
                ratios.append(times[True] / times[False])
            middle = statistics.median(ratios) - 1
            spread = f"{min(ratios) - 1:+.1%} to {max(ratios) - 1:+.1%}"
            fine = fine and (seconds < _LONG or middle < MOST)
            print(f"items of {seconds * 1e6:6.0f} µs, {name:10} {middle:+.1%}  ({spread})")
    return fine


if __name__ == "__main__":
    run()
