"""The bottleneck of a pipeline in words, the reasons, and what to try."""

from collections.abc import Iterator
from statistics import median
from typing import NamedTuple

from seqtools.instrument.profiling import advice, reading_ahead
from seqtools.instrument.profiling.advice import Advice
from seqtools.instrument.profiling.case import SOME, Case
from seqtools.instrument.profiling.cluster_cost import cluster_cost
from seqtools.instrument.profiling.figures import Figures
from seqtools.instrument.profiling.repeated_reading import for_repeated_reading, for_small_cache
from seqtools.instrument.quantities import counted_as, duration, share, volume

SHORT, CONSUMER, LOADING, TRANSFER, LOCK, SLOW = (
    "too short to tell",
    "the consumer is the bottleneck",
    "loading is the bottleneck",
    "transfer is the bottleneck",
    "the lock of the interpreter is the bottleneck",
    "one slow item is the bottleneck",
)
"""All verdicts."""

_FEWEST = 8
"""Fewest items for a verdict. Arbitrary, as are all shares below."""
_SHORTEST = 0.02
"""Fewest seconds for a verdict."""
_REPEATED = 1.1
"""Reads per item from which the report says that items were read again."""
_LONG = 0.3
"""Share of the time from which the report mentions an iterable."""
_HIDDEN = 0.05
"""Share of loading in the background from which the report mentions it."""
_SERVED = 0.1
"""Share of the time below which the consumer hardly waits."""


class Verdict(NamedTuple):
    """The conclusions from a profile."""

    kind: str
    """One of the above."""
    because: list[str]
    """The reasons, with figures."""
    ceiling: float | None
    """Seconds that the items would take if loading were free; `None` if it is too short to tell."""
    advice: list[Advice]
    """What to try, the most effective first; what may be slower than predicted after that."""


def judge(case: Case) -> Verdict:
    """Return the conclusions from a profile."""
    kind = _kind(case)
    because = list(_because(case, kind))
    if kind == SHORT:
        return Verdict(kind, because, None, [])
    ceiling = min(case.used, case.measures.seconds)
    if case.recording.replayed:
        return Verdict(CONSUMER, because, ceiling, [])
    found = sorted(_advice(case, kind), key=lambda a: (a.bound, a.whole(case)))
    little = reading_ahead.of_little_effect(case) if kind in {LOADING, LOCK} else ()
    found = [*for_small_cache(case), *found, *for_repeated_reading(case), *little]
    return Verdict(kind, because, ceiling, found)


def _advice(case: Case, kind: str) -> Iterator[Advice]:
    if case.prefetch is None:
        yield from advice.for_inline(case)
    elif kind == CONSUMER:
        yield from advice.for_consumer(case)
    else:
        yield from advice.for_loading(case, slow_item=kind == SLOW, transfer=kind == TRANSFER)
        if kind in {LOADING, LOCK}:
            yield from reading_ahead.for_waiting(case)


def _kind(case: Case) -> str:
    m = case.measures
    if m.items < _FEWEST or m.seconds < _SHORTEST or not m.served:
        return SHORT
    if not case.prefetch:
        return CONSUMER if m.waited < _SERVED * m.seconds else LOADING
    if case.waited < _SERVED * m.seconds:
        return CONSUMER
    if case.slow_item() is not None:
        return SLOW
    if m.send + m.load > case.mean():
        return TRANSFER
    return LOCK if case.locked and case.workers > 1 else LOADING


def _because(case: Case, kind: str) -> Iterator[str]:
    m = case.measures
    if kind == SHORT:
        yield _why_short(case)
        return
    if case.recording.replayed:
        times = counted_as(m.items, "time")
        yield f"one item was evaluated, and used {times}: your loop was measured alone"
        return
    part = min(1.0, case.waited / m.seconds)
    yield f"your loop waited {share(part)} of the time, and used the other {share(1 - part)}"
    if case.recording.others > SOME:
        cores = f"{case.recording.others:.1f} of {case.recording.cores} cores"
        yield f"other programs computed on {cores}"
    if case.competes(1):
        yield (
            f"your loop itself computes on {case.loop_cores:.1f} cores, in threads of a library: "
            "workers that compute too would take them from it"
        )
    if case.prefetch:
        busy = share(min(1.0, m.busy / max(1, case.workers)))
        verb = "was" if case.workers == 1 else "were"
        yield f"{counted_as(case.workers, 'worker')} {verb} busy {busy} of it"
    if kind in {LOADING, TRANSFER} and (why := cluster_cost(case)):
        yield f"a cluster cannot pay for such items: {why}"
    if kind == TRANSFER:
        yield (
            f"sending and receiving an item takes {duration(m.send + m.load)}, evaluating it "
            f"{duration(case.mean())}; its size is {volume(m.size)}"
        )
        return
    yield from _about_stages(case)
    if kind == LOCK:
        yield (
            f"all threads together computed on {m.processor:.1f} cores, and one that could go on "
            f"waited {duration(m.late)} for the lock of the interpreter"
        )
    elif kind == SLOW and (slow := case.slow_item()) is not None:
        yield (
            f"item {slow.index} took {duration(slow.took)}, others "
            f"{duration(median(i.took for i in m.served))}{case.rows_of(slow)}"
        )


def _why_short(case: Case) -> str:
    m = case.measures
    if not m.items:
        name = case.recording.stages[case.recording.top].name
        return (
            f"no item of {name} was read, or only through other stages, which is not measured: "
            "profile the last stage, and read that"
        )
    was = "was" if m.items == 1 else "were"
    return (
        f"{counted_as(m.items, 'item')} in {m.seconds:.3f} s {was} measured: a verdict needs at "
        f"least {_FEWEST} items and {_SHORTEST} s"
    )


def _about_stages(case: Case) -> Iterator[str]:
    main, waiter = case.main_stage(), case.waiter()
    if main is not None:
        ahead = _about_background(case) if waiter is main else ""
        yield f"most of their time is in {main.stage.name}: {_nature(case, main)}{ahead}"
    stage, seconds = case.iterating
    if stage is not None and case.workers > 1 and seconds > _LONG * case.measures.seconds:
        how = "threads take turns at it" if case.threads else "each process goes through all of it"
        took = share(min(1.0, seconds / case.measures.seconds))
        yield f"{stage.name} takes {took} of the time, however many workers there are: {how}"
    small = case.small
    if small is not None:
        each = ", counted in each process" if small.processes > 1 else ""
        yield (
            f"{small.source.name} was read {counted_as(small.reads, 'time')} for "
            f"{counted_as(small.different, 'item')}{each}: the cache of "
            f"{counted_as(small.stage.options['cache_size'], 'item')} after it is too small to "
            "keep them until they are read again"
        )
    for figure in case.figures:
        if small is not None and figure.stage is small.source:
            continue
        if figure.ahead and figure.calls > _REPEATED * len(figure.indices):
            calls = f"{figure.calls:,} times for {len(figure.indices):,} items"
            yield (
                f"{figure.stage.name} was read {calls}: workers read ahead what other workers "
                "read too"
            )
            break
    if waiter is not None and waiter is not main:
        each = f"{waiter.stage.name}, {duration(waiter.mean)} an item"
        yield f"{each}: {_nature(case, waiter)}{_about_background(case)}"


def _about_background(case: Case) -> str:
    """Return in words how much of the loading is in the background, if it is worth a mention."""
    loading = case.loading
    if loading is None or loading.hidden < _HIDDEN:
        return ""
    missed = share(min(1.0, loading.missed / max(1, case.workers) / case.measures.seconds))
    hidden = f"{share(loading.hidden)} of it in the background"
    return f", {hidden}; workers waited for it in {missed} of their time"


def _nature(case: Case, figure: Figures) -> str:
    """Return in words whether a stage computes or waits."""
    part = figure.computing
    if part is None:
        return "too short to say whether it computes or waits"
    if part > 0.7:  # noqa: PLR2004
        return f"it computes ({share(part)} of its time)"
    if case.may_queue(figure):
        what = "the lock" if case.locked else "a processor"
        return f"it computes in {share(part)} of its time, and waits in the rest, also for {what}"
    if part < 0.3:  # noqa: PLR2004
        return f"it waits, as for files or a network ({share(1 - part)} of its time)"
    return f"it computes in {share(part)} of its time, and waits in the rest"
