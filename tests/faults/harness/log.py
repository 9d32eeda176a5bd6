"""The log of faults that were injected into processes: see `seqtools.engines.fault_injection`."""

import os
from typing import NamedTuple

from seqtools.engines.fault_injection import RECORD, parsed


class Passed(NamedTuple):
    """A record of the log."""

    time: float
    """As of `time.monotonic`."""
    item: int
    """The item that was evaluated, -1 if it is not known."""
    pid: int
    """The process, or the guard by which the consumer knows it."""


def passed(point: str, log: str) -> list[Passed]:
    """Return who has passed `point`, in order."""
    try:
        with open(os.path.join(log, point), "rb") as file:
            return [Passed(*record) for record in RECORD.iter_unpack(file.read())]
    except FileNotFoundError:
        return []


def injected(text: str, log: str) -> list[tuple[str, str, Passed]]:
    """Return the faults of `text` that have happened, by time: point, kind, and record."""
    found = [
        (point, fault.kind, record)
        for point, fault in parsed(text).items()
        for count, record in enumerate(passed(point, log), 1)
        if fault.kind != "nothing" and (not fault.times or count in fault.times)
    ]
    return sorted(found, key=lambda each: each[2].time)
