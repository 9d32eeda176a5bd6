"""The start of the workers, from the first request to the first item."""

from collections.abc import Iterator

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.quantities import duration

_LONG = 0.5
"""Seconds from which something is worth doing about it. Arbitrary: workers start in 0.1 to 0.2,
and what takes longer are imports."""


def start(case: Case) -> Iterator[str]:
    """Yield how long the start took, and what to do about it if that is long."""
    seconds = case.measures.start
    yield (
        f"start: {duration(seconds)} until the first item was there, which all times that are "
        "expected above include"
    )
    if seconds >= _LONG and _uses_processes(case):
        yield (
            "  to wait less, make the prefetch earlier, before what else your program prepares: "
            "packages are imported in the background from then on; close_all() undoes that"
        )


def with_start(case: Case, seconds: float) -> float:
    """Return `seconds` of reading, and those of the start before it."""
    return seconds + case.measures.start


def _uses_processes(case: Case) -> bool:
    return "process" in [stage.options["method"] for stage in case.recording.prefetches()]
