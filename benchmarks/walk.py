"""Draw the walk of one index, from `for x in prefetch(p)` to user code and back.

    python -m benchmarks.walk [thread | process] [microseconds of an item]

Counts the calls of functions of the package for an item, when reading is under way: in the
consumer, in threads of the engine, and in the worker. An item of 2,000 µs is a job by itself,
which is the longest way. Shorter items share a job, and so the calls for it.
"""

import json
import os
import sys
import tempfile
import threading
import time
from collections import Counter
from functools import partial
from typing import Any

import seqtools

_PACKAGE = os.path.dirname(seqtools.__file__) + os.sep
SECONDS = 1.0
"""Of reading that are counted, and as many before."""


class Walk:
    """Counts calls in all threads of this process, between `begin` and `end`."""

    def __init__(self) -> None:
        self.calls: Counter[tuple[str, str, str]] = Counter()
        self.on = False
        threading.setprofile(self._called)
        sys.setprofile(self._called)

    def _called(self, frame: Any, event: str, _: Any) -> None:
        if self.on and event == "call" and frame.f_code.co_filename.startswith(_PACKAGE):
            code = frame.f_code
            if code.co_name.startswith("<"):  # part of a function
                return
            name = threading.current_thread().name
            who = "consumer" if name == "MainThread" else name.rstrip("-0123456789")
            module = code.co_filename[len(_PACKAGE) : -len(".py")]
            self.calls[who, module, code.co_qualname] += 1

    def rows(self) -> list[tuple[str, str, str, int]]:
        """Return who, module, function, and how often it was called."""
        return [(*key, n) for key, n in self.calls.items()]


walk: Walk | None = None


def hook(folder: str) -> None:
    """Count in this worker too."""
    global walk, stored_in
    walk, stored_in = Walk(), folder


stored_in = ""


def item(i: int, seconds: float, many: int) -> int:
    """Take some time; a worker stores what it has counted when `2 * many` items are evaluated."""
    if seconds:
        time.sleep(seconds)
    if walk is not None:
        walk.on = many <= i < 2 * many
        if i == 2 * many:
            with open(os.path.join(stored_in, str(os.getpid())), "w", encoding="utf-8") as file:
                json.dump(walk.rows(), file)
    return i


def counted(method: str, seconds: float, many: int) -> list[tuple[str, str, str, int]]:
    """Return the calls for `many` items."""
    here = Walk()
    with tempfile.TemporaryDirectory() as folder:
        evaluate = partial(item, seconds=seconds, many=many)
        p = seqtools.prefetch(
            seqtools.smap(evaluate, range(3 * many)),
            method=method,
            nworkers=1,
            start_hook=partial(hook, folder) if method == "process" else None,
        )
        for i, value in enumerate(p):
            assert i == value
            here.on = many <= i < 2 * many
        sys.setprofile(None)
        rows = here.rows()
        for name in os.listdir(folder):
            with open(os.path.join(folder, name), encoding="utf-8") as file:
                rows += [("worker process", *row[1:]) for row in json.load(file)]
    return rows


def main(method: str = "thread", microseconds: str = "2000") -> None:
    """Read, and print the walk."""
    seconds = float(microseconds) / 1e6
    many = max(200, round(SECONDS / max(seconds, 2e-5)))
    rows = counted(method, seconds, many)
    often = many // 2 if seconds > 1e-3 else many // 1000  # of each job
    for who in dict.fromkeys(row[0] for row in rows):
        print(f"\n{who}")
        modules: dict[str, list[str]] = {}
        for _, module, function, n in (row for row in rows if row[0] == who and row[3] >= often):
            modules.setdefault(module, []).append(f"{function.rpartition('.')[2]} {n / many:.2f}")
        for module, functions in modules.items():
            print(f"  {module}: {', '.join(functions)}")
    calls = sum(row[3] for row in rows) / many
    print(f"\n{method}, {microseconds} µs: {calls:.1f} calls an item")


if __name__ == "__main__":
    main(*sys.argv[1:])
