"""`python -m tests.programs`: run random programs in every engine, and compare them."""

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter

from tests.programs.alone import script
from tests.programs.generating import engines, generate
from tests.programs.minimising import minimise
from tests.programs.program import Engine, Program
from tests.programs.running import Runner, compare

_LINE = 30.0  # seconds between two lines


def main() -> None:
    """Do what the command line says."""
    parser = argparse.ArgumentParser(prog="python -m tests.programs", description=__doc__)
    parser.add_argument(
        "--seconds", type=float, help="60 by default, or only the program of --seed"
    )
    parser.add_argument("--seed", type=int, help="the first program; random by default")
    parser.add_argument("--programs", type=int, help="run as many, however long it takes")
    parser.add_argument(
        "--show", type=int, default=5, help="differences to make small, 5 by default"
    )
    options = parser.parse_args()
    first = random.randrange(1 << 30) if options.seed is None else options.seed
    seconds = options.seconds
    programs = options.programs
    if seconds is None and programs is None:
        seconds, programs = (60.0, None) if options.seed is None else (None, 1)
    print(f"==> programs from seed {first}", flush=True)
    campaign = Campaign(first, seconds, programs, options.show)
    campaign.run()
    print(campaign.summary())
    sys.exit(bool(campaign.found))


class Campaign:
    """Runs programs, one for each core at a time.

    Args:
        first: The first seed; others follow it.
        seconds: How long, if there is an end to the time.
        programs: How many, if there is an end to their number.
        show: How many differences to make small.
    """

    def __init__(self, first: int, seconds: float | None, programs: int | None, show: int) -> None:
        self.found: list[tuple[Program, Engine, str]] = []
        self._next, self._show = first, show
        self._last = None if programs is None else first + programs
        self._began = self._line = time.monotonic()
        self._until = None if seconds is None else self._began + seconds
        self._lock = threading.Lock()
        self._runs: Counter[str] = Counter()
        self._done = 0

    def run(self) -> None:
        """Run programs until the time is over."""
        cores = len(os.sched_getaffinity(0))
        threads = [threading.Thread(target=self._work) for _ in range(cores)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    def _work(self) -> None:
        with Runner() as runner:
            while (seed := self._seed()) is not None:
                program = generate(seed)
                places = engines(program)
                differences = compare(runner, program, places)
                self._note(places)
                for engine, told in differences.items():
                    self._tell(runner, program, engine, told)

    def _seed(self) -> int | None:
        with self._lock:
            now = time.monotonic()
            late = self._until is not None and now > self._until
            if late or self._next == self._last:
                return None
            if now > self._line + _LINE:
                self._line = now
                print(self._state(), flush=True)
            self._next += 1
            return self._next - 1

    def _note(self, places: list[Engine]) -> None:
        with self._lock:
            self._done += 1
            self._runs.update(["inline", *(engine.name for engine in places)])

    def _tell(self, runner: Runner, program: Program, engine: Engine, told: str) -> None:
        with self._lock:
            self.found.append((program, engine, told))
            show = len(self.found) <= self._show
            print(f"\nDIFFERENCE: --seed {program.seed}, {engine}: {told}", flush=True)
        if show:
            small, place, how = minimise(runner, program, engine, told)
            with self._lock:
                print(f"\nmade small:\n{script(small, place, how)}", flush=True)

    def _state(self) -> str:
        runs = ", ".join(f"{count} {name}" for name, count in self._runs.items())
        seconds = time.monotonic() - self._began
        return f"{seconds:5.0f} s: {self._done} programs ({runs}), {len(self.found)} differences"

    def summary(self) -> str:
        """Return what happened."""
        return (
            f"{self._state()}\n{len(self.found)} differences, except those in docs/same-values.md"
        )


if __name__ == "__main__":
    main()
