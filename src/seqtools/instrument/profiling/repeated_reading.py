"""Advice to keep what is read again, in one run or in the next one."""

from collections import Counter
from collections.abc import Iterator

from seqtools.instrument.profiling.advice import WORTH, Advice
from seqtools.instrument.profiling.case import Case
from seqtools.instrument.profiling.model import predict
from seqtools.instrument.profiling.tracks import Process


def for_small_cache(case: Case) -> Iterator[Advice]:
    """Yield a larger cache, which is first of all: other advice is for what the small one reads."""
    small, m = case.small, case.measures
    if small is None:
        return
    seconds = max(m.used, m.seconds - small.avoidable / max(1, case.workers))
    if seconds < WORTH * m.seconds:
        where = f"after {small.source.name}, which reads items again"
        text = f"add_cache(…, cache_size={small.size}) {where}"
        if small.size is None:
            now = small.stage.options["cache_size"]
            text = f"add_cache(…, cache_size=…) larger than {now} {where}"
        yield Advice(text, {}, seconds, bound=small.size is None)


def for_repeated_reading(case: Case) -> Iterator[Advice]:
    """Keep the results of the slowest stage, which only helps if they are read again."""
    main = case.main_stage()
    if main is None or not main.own or _is_kept(case, main.stage.number):
        return
    upstream = [main.stage.number, *case.recording.upstream(main.stage)]
    drawing = [n for n in upstream if case.recording.stages[n].options.get("draws")]
    note = "what it costs to read back is not measured"
    if drawing:
        names = " and ".join(case.recording.stages[n].name for n in drawing)
        note += f"; {names} draws random numbers, and would draw the same ones in every epoch"
        before = _before_all(case, drawing)
        if before is not None:
            note += f": keep what {before} returns, to keep the augmentation random"
    waits, computes = _left(case, set(upstream))
    items = [
        i._replace(waiting=i.waiting * waits, computing=i.computing * computes) for i in case.items
    ]
    seconds = predict(items, case.costs, case.setting).seconds * case.overhead
    if seconds < WORTH * case.measures.seconds:
        text = f"if it is read again: keep what {main.stage.name} returns, by add_cache or on disk"
        yield Advice(text, {}, seconds, note, bound=True)


def _left(case: Case, kept: set[int]) -> tuple[float, float]:
    """Return which shares of waiting and of computing are of other stages than `kept`."""
    figures = [f for f in case.figures if f.stage.kind != "prefetch"]
    took = sum(i.took for i in case.measures.served)
    mean = sum(i.computing for i in case.measures.served) / took if took else 1.0
    left = []
    for sign, base in ((-1, 1), (1, 0)):  # waiting, computing
        times = {
            f.stage.number: f.own * (base + sign * (mean if f.computing is None else f.computing))
            for f in figures
        }
        other = sum(seconds for number, seconds in times.items() if number not in kept)
        left.append(other / (sum(times.values()) or 1.0))
    return left[0], left[1]


def _is_kept(case: Case, number: int) -> bool:
    """Return whether a cache downstream of a stage has dropped nothing, or is the user's own."""
    for figure in case.figures:
        stage = figure.stage
        if not figure.is_cache or number not in case.recording.upstream(stage):
            continue
        reads: Counter[Process] = Counter()
        for track in case.recording.tracks:
            for record, _ in track.nested():
                if record.what in stage.sources:
                    reads[track.process] += record.many
        if stage.options["given"] or max(reads.values(), default=0) <= stage.options["cache_size"]:
            return True
    return False


def _before_all(case: Case, drawing: list[int]) -> str | None:
    """Return the name of a stage that the last drawing stage reads and that takes time itself."""
    last = case.recording.stages[drawing[-1]]
    read = [case.figures[n] for n in case.recording.upstream(last)]
    return next((f.stage.name for f in read if f.calls), None)
