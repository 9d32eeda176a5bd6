"""When, where and with which versions a profile was made."""

import os
import platform
from collections.abc import Iterator
from time import localtime, strftime

from seqtools.instrument.profiling.tracks import WORKER, Recording
from seqtools.instrument.quantities import counted_as, duration


def circumstances(recording: Recording) -> Iterator[tuple[str, str]]:
    """Yield titles and texts: the date, the machine and the versions.

    They have neither the name of the machine nor that of the user, so that a report can be shown to
    others.
    """
    date = strftime("%Y-%m-%d %H:%M:%S %z", localtime(recording.date))
    yield "date", f"{date}, for {duration((recording.end - recording.began) * 1e-9)}"
    yield "machine", ", ".join(_machine(recording))
    yield "versions", ", ".join(_versions())


def _machine(recording: Recording) -> Iterator[str]:
    yield f"{platform.system()} {platform.release()} on {_processor()}"
    cores = os.cpu_count() or recording.cores
    yield f"{recording.cores} of {counted_as(cores, 'core')} usable"
    others = {track.machine for track in recording.tracks_of(WORKER) if track.machine}
    if others:
        yield f"workers on {counted_as(len(others), 'other machine')}"


def _processor() -> str:
    """Return the name of the processor where Linux tells it, else its architecture."""
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            names = (line.partition(":")[2] for line in file if line.startswith("model name"))
            name = " ".join(next(names, "").split())
    except OSError:
        name = ""
    return name or platform.machine()


def _versions() -> Iterator[str]:
    import seqtools

    yield f"{platform.python_implementation()} {platform.python_version()}"
    yield f"seqtools {seqtools.__version__}"
