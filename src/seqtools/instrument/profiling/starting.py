"""The start of the workers, from the first request to the first item."""

from collections.abc import Iterator

from seqtools.engines.methods import METHODS
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.quantities import duration

_LONG = 0.5
"""Seconds from which something is worth doing about it. Arbitrary: workers start in 0.1 to 0.2,
and what takes longer are imports."""


def start(case: Case) -> Iterator[str]:
    """Yield how long the start took, and what to do about it if that is long."""
    seconds = case.measures.start
    yield (
        f"start: {duration(seconds)} until the first item was there, which all expected times "
        "above include"
    )
    if seconds >= _LONG and _uses_processes(case):
        yield (
            "  to wait less, make the prefetch earlier, before what else your program prepares: "
            "packages are imported in the background from then on; close_all() undoes that"
        )


def _uses_processes(case: Case) -> bool:
    named = [METHODS.get(stage.options["method"]) for stage in case.recording.prefetches()]
    return any(method is not None and method.has_start_method for method in named)
