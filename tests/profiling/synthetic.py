"""Recordings of what never happened: pages written by hand, in milliseconds."""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from seqtools._core.recording import CORES, FILL, LATE, LOAD, SEND, SIZE, USE, WAIT, Recorder
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.tracks import Recording

PREFETCH, SOURCE = 0, 1
HOME = 100
"""Number of the process of the consumer."""


def stages(**options: Any) -> list[Stage]:
    """Return those of `prefetch(smap(load, …), **options)`."""
    given = {"nworkers": 2, "method": "thread", "max_cached": 10, "ordered": True, **options}
    return [
        Stage(PREFETCH, "prefetch", "prefetch", ("a.py", 2), (SOURCE,), given),
        Stage(SOURCE, "smap(load)", "smap", ("a.py", 1), (), {}),
    ]


class Lane:
    """What one thread does, one thing after the other."""

    def __init__(self, folder: Path, name: str, pid: int = HOME) -> None:
        self.recorder = Recorder(str(folder / f"{pid}-{name}.records"))
        head = json.dumps({"pid": pid, "thread": name, "ident": pid}).encode()
        self.recorder.view[: 8 * SIZE] = head.ljust(8 * SIZE, b"\0")
        self.now = 0.0

    def does(
        self, what: int, milliseconds: float, computing: float = 0.0, which: int = 0
    ) -> "Lane":
        """Write that it does this from now on for so long, and computes so much of the time."""
        begin = self.now
        self.now += milliseconds
        self._last = what
        took = int(computing * 1e6)
        self.recorder.note(what, 1, which, _time(begin) * 1e-9, _time(self.now) * 1e-9, took)
        return self

    def did(
        self, what: int, since: float, computing: float = 0.0, which: int = 0, many: int = 1
    ) -> "Lane":
        """Write that it did this since then, around what it has written since then."""
        took = int(computing * 1e6)
        self.recorder.note(what, many, which, _time(since) * 1e-9, _time(self.now) * 1e-9, took)
        return self

    def on_cores(self, cores: float, milliseconds: float) -> "Lane":
        """Write that for so long, until now, all threads of the process computed on these cores.

        The last record says what this thread did.
        """
        took = int(cores * milliseconds * 1e6)
        begin, end = _time(self.now - milliseconds) * 1e-9, _time(self.now) * 1e-9
        self.recorder.note(CORES, self._last, 0, begin, end, took)
        return self

    def sees(self, ready: int, capacity: int) -> "Lane":
        """Write that so many items are ready now."""
        now = _time(self.now) * 1e-9
        self.recorder.note(FILL, ready, capacity, now, now, 1)
        return self

    def rests(self, milliseconds: float) -> "Lane":
        """Let time pass."""
        self.now += milliseconds
        return self


_BEGAN = 1_000_000_000


def _time(milliseconds: float) -> int:
    return _BEGAN + int(milliseconds * 1e6)


def recorded(folder: Path, given: Iterable[Stage], cores: int = 4) -> Recording:
    """Return a recording of what lanes in `folder` wrote; nothing else ran on the machine."""
    recording = Recording(str(folder), list(given), 0, cores)
    recording.began = _time(0)
    recording.update()
    recording.ended = _time(1000)
    recording.others = 0.0
    return recording


__all__ = [
    "FILL", "HOME", "LATE", "LOAD", "PREFETCH", "SEND", "SOURCE", "USE", "WAIT", "Lane", "recorded",
    "stages",
]  # fmt: skip
