"""Iterables that worker processes read."""

from collections.abc import Iterator
from typing import Any

from seqtools._core.display.tree import place_of
from seqtools._core.error_path import described
from seqtools._core.walk import is_stage, upstream
from seqtools.engines.methods import AUTO
from seqtools.instrument.checking.findings import Findings
from seqtools.prefetching.options import Options


def check_iterators(source: Any, options: Options, found: Findings) -> None:
    """Report iterables over which each worker process iterates separately.

    This does not report objects that cannot be sent.
    """
    workers = options.nworkers
    if options.may_share_memory or not is_stage(source):
        return
    for stage in upstream(source):
        if not stage._traits.iterates:
            continue
        place = f"{described(stage)}, {place_of(*stage._origin)}"
        if isinstance(stage._args()[0], Iterator):
            if not options.pickles:
                what = "an iterator cannot be read in forked workers, which may share its file"
                found.add(what, place, "use method='thread', or an iterable like a list")
        elif workers == AUTO or workers > 1:
            number = "each worker process"
            if workers != AUTO:
                number = f"each of {workers} worker processes"
            what = f"{number} iterates over all of the iterable, and skips the items of others"
            advice = "use method='thread', where all share one iterator, or read items by index"
            found.add(what, place, advice)
