"""The start of workers, from the first request to the first item."""

from collections.abc import Iterator

from seqtools.instrument.profiling.case import Case
from seqtools.instrument.quantities import duration

_LONG = 0.5
"""Seconds from which advice is given. Arbitrary: workers start in 0.1 to 0.2 s, and imports take
the rest."""


def start(case: Case) -> Iterator[str]:
    """Yield how long the start took, with advice if that is long."""
    seconds = case.measures.start
    yield (
        f"start: {duration(seconds)} until the first item was there, which all expected times "
        "above include"
    )
    if seconds >= _LONG and case.uses_processes():
        yield (
            "  to wait less, make the prefetch earlier, before the rest of your program's "
            "preparation: from then on, packages are imported in the background; close_all() "
            "undoes that"
        )
