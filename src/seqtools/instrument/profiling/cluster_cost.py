"""Whether the cluster of a profile can be faster than workers on this machine."""

from seqtools.engines.cluster.costs import BlockCost
from seqtools.engines.methods import METHODS
from seqtools.instrument.paying import Use, instead, unpaid
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.tracks import SEND

_WORTH = 0.92
"""Ratio of the predicted time to the measured one, as for other advice."""


def cluster_cost(case: Case) -> str:
    """Return in words why the cluster cannot pay; empty if it can, or there is none."""
    cost: BlockCost | None = case.options.get("cost")
    if cost is None or case.prefetch is None or not case.workers or case.chosen:
        return ""
    # a worker sends the values of each block together
    sent = [r.many for t in case.recording.pool(case.prefetch) for r in t.spans(SEND) if r.many]
    item = case.mean()
    if not sent or not item:
        return ""
    computing = sum(each.computing for each in case.measures.served) / len(case.measures.served)
    use = Use(item, sum(sent) / len(sent), case.workers, computing / item)
    why = unpaid(use, case.recording.cores, cost)
    if not why:
        return ""
    why += f"; {instead(use.computing)}"
    if case.crowded:  # the model knows too little of what else computes
        return why
    here = next(method.name for method in METHODS.values() if method.has_start_method)
    seconds = case.expect_with(here, min(case.workers, case.recording.cores)).seconds
    return why if seconds < _WORTH * case.measures.seconds else ""
