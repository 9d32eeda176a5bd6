"""`make bench WORKLOAD=overhead`: how much longer items take while they are profiled.

Two pipelines of one stage are read by turns, some items of the one and some of the other, and one
of them is profiled. So both are read while the machine is as fast, or as slow, which changes
by a factor of two within seconds where it is shared.
"""

import time
from collections.abc import Callable
from itertools import islice
from statistics import median
from typing import Any

import seqtools
from seqtools import instrument

LENGTHS = (1e-3, 1e-4, 1e-5)
"""Seconds that an item takes."""
SECONDS = 2.0
"""For how long each is read, in all, in a run."""
RUNS = 3
"""Runs of which the median counts: the same pipeline differs from itself by up to 6 % in one."""
TURN = 0.02
"""Seconds of one turn: short against changes of the machine, long against a switch. Behind a turn
of the other pipeline, a profiled one took 38 µs beside the work of the first item and 7 for later
ones, as the caches have lost its code and processor time is asked for; a plain one took 6 and 3.
In turns of 4 ms, which were taken at first, that alone was 1 % of items of 100 µs."""
MOST = 0.03
"""Share that items of 100 µs, and longer ones, may take longer."""
_LONG = 1e-4

WAYS: dict[str, dict[str, Any]] = {
    "inline": {"nworkers": 0},
    "1 thread": {"nworkers": 1, "method": "thread", "max_cached": 4},
    "1 process": {"nworkers": 1, "method": "process", "max_cached": 4},
}


class Spin:
    """A function that computes for so long."""

    def __init__(self, seconds: float) -> None:
        times = []
        for _ in range(200):  # the shortest is the one that nothing disturbed
            began = time.perf_counter()
            sum(range(1000))
            times.append(time.perf_counter() - began)
        self.count = int(1000 * seconds / min(times))

    def __call__(self, i: int) -> int:
        return sum(range(self.count)) + i


def more(function: Callable[[int], int], seconds: float, options: dict[str, Any]) -> float:
    """Return by which share items take longer that are profiled."""
    each = max(4, int(TURN / seconds))
    turns = int(SECONDS / seconds / each / 2)
    n = each * (turns + 1)
    plain, profiled = (
        seqtools.prefetch(seqtools.smap(function, seqtools.arange(n)), **options) for _ in range(2)
    )
    spent = [0.0, 0.0]
    with plain, profiled, instrument.profile(profiled):
        readers = iter(plain), iter(profiled)
        for reader in readers:
            sum(1 for _ in islice(reader, each))
        for turn in range(turns):
            for k in (0, 1) if turn % 2 else (1, 0):
                began = time.perf_counter()
                count = sum(1 for _ in islice(readers[k], each))
                spent[k] += time.perf_counter() - began
                assert count == each
    return spent[1] / spent[0] - 1


def run() -> bool:
    """Measure, print a line for each length and way, and return whether it is little enough."""
    fine = True
    for seconds in LENGTHS:
        function = Spin(seconds)
        shares = [
            [more(function, seconds, options) for options in WAYS.values()] for _ in range(RUNS)
        ]
        for name, found in zip(WAYS, zip(*shares, strict=True), strict=True):
            share = median(found)
            fine = fine and (seconds < _LONG or share < MOST)
            print(
                f"items of {seconds * 1e6:6.0f} µs, {name:10} {share:+.1%} "
                f"({min(found):+.1%} to {max(found):+.1%})",
                flush=True,
            )
    return fine


if __name__ == "__main__":
    run()
