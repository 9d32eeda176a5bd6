"""What `check` looks at."""

import types
from collections.abc import Iterator
from functools import partial
from itertools import islice
from statistics import fmean
from time import perf_counter, process_time
from typing import Any

from seqtools.brief import called, cut
from seqtools.engines.pickling import PipelinePickler
from seqtools.errors import EndOfSequence, described, summary
from seqtools.indices import Indices
from seqtools.instrument.findings import Estimate, Findings
from seqtools.instrument.handles import handles, trail
from seqtools.instrument.inlined import Watched, inlined
from seqtools.instrument.words import counted_as, volume
from seqtools.looking import sources_of, upstream
from seqtools.prefetching.cores import usable_cores
from seqtools.prefetching.memory import usable_memory
from seqtools.prefetching.options import Options
from seqtools.prefetching.sizes import size_of_value
from seqtools.sequence import LazySequence
from seqtools.showing import place_of
from seqtools.sources import getter, is_stage, size_of

_COMPUTING = 0.8
"""Share of its time that an item computes which is called all of it. Arbitrary."""


def checked(pipeline: LazySequence[Any], items: int) -> Findings:
    """Return what is found in `pipeline`, of which so many `items` are evaluated."""
    found = Findings()
    for stage in upstream(pipeline):
        if stage._reads_ahead:
            source, options = stage._args()
            if options.nworkers:
                _check(stage, source, options, items, found)
    return found


def _check(
    prefetch: LazySequence[Any], source: Any, options: Options, items: int, found: Findings
) -> None:
    if options.method == "process":
        pickled = options.start_method != "fork"
        for stage in upstream(source) if is_stage(source) else ():
            _check_stage(stage, found, pickled=pickled)
        if not is_stage(source):
            _check_part(source, type(source).__name__, _place(prefetch), found, pickled=pickled)
        if options.start_hook is not None:
            name = f"start_hook {called(options.start_hook)}"
            _check_part(options.start_hook, name, _place(prefetch), found, pickled=pickled)
    estimate = _measured(prefetch, source, options, items, found)
    found.estimates.append(estimate)
    _check_window(options, estimate, found)
    cores = usable_cores()
    if (
        options.nworkers != "auto"
        and options.nworkers > cores
        and (estimate.computing or 0) >= _COMPUTING
    ):
        what = (
            f"{counted_as(options.nworkers, 'worker')} for {counted_as(cores, 'usable core')}, and "
            f"items compute {estimate.computing:.0%} of their time"
        )
        found.add(what, estimate.where, f"nworkers={cores}, or None for as many as there are cores")


def _place(stage: Any) -> str:
    return f"{described(stage)}, {place_of(*stage._origin)}"


# What is sent


class _Nowhere:
    def write(self, data: Any) -> None:
        pass


class _Alone(PipelinePickler):
    """Pickles a stage without those that it reads from."""

    def __init__(self, others: set[int]) -> None:
        super().__init__(_Nowhere(), [])
        self._others = others

    def reducer_override(self, obj: Any) -> Any:
        return (int, ()) if id(obj) in self._others else super().reducer_override(obj)


def _refusal(obj: Any) -> Exception | None:
    """Return why `obj` cannot be sent to workers, but for the stages that it reads from."""
    others = {id(stage) for stage in upstream(obj) if stage is not obj}
    try:
        _Alone(others).dump(obj)
    except Exception as error:  # noqa: BLE001 -- code of users may raise anything
        return error
    return None


def _fails(obj: Any) -> bool:
    return _refusal(obj) is not None


def _goes_in_parts(obj: Any) -> bool:
    """Return whether what `obj` refers to is sent along with it, as it is."""
    if isinstance(obj, types.FunctionType):
        pickler = _Alone(set())
        try:
            pickler.dump(obj)
        except Exception:  # noqa: BLE001 -- code of users may raise anything
            return True  # one of a module would be sent by its name, and cannot fail
        return any(each is obj for each in pickler.by_value)
    own = ("__reduce__", "__reduce_ex__", "__getstate__")
    return all(getattr(type(obj), name, None) is getattr(object, name, None) for name in own) or (
        isinstance(obj, list | tuple | dict | set | frozenset | types.MethodType | partial)
    )


def _check_stage(stage: Any, found: Findings, *, pickled: bool) -> None:
    """Look for what of a stage does not survive the way to worker processes."""
    for name, part in _own(stage):
        _check_part(part, name, _place(stage), found, pickled=pickled)
    error = _refusal(stage) if pickled else None
    if error is not None and not any(finding.where == _place(stage) for finding in found):
        what = f"it cannot be sent to worker processes: {_reason(error)}"
        found.add(what, _place(stage), "use method='thread', or start_method='fork'")


def _own(stage: Any) -> Iterator[tuple[str, Any]]:
    """Yield the arguments of a stage, and those of its sources that are no stages."""
    sources = sources_of(stage)
    for source in sources:
        if not is_stage(source):
            yield type(source).__name__, source
    try:
        values = stage._args() or ()
    except Exception:  # noqa: BLE001 -- a stage of the user's
        return
    known = {id(source) for source in sources}
    for value in values:
        inner = value.values() if isinstance(value, dict) else value
        container = isinstance(inner, list | tuple) and any(id(part) in known for part in inner)
        if id(value) not in known and not container:
            yield called(value) if callable(value) else type(value).__name__, value


def _check_part(obj: Any, name: str, place: str, found: Findings, *, pickled: bool) -> None:
    error = _refusal(obj) if pickled else None
    sent = _goes_in_parts if pickled else _always
    held = list(islice(handles(obj, name, sent), 3))
    for handle in held:
        refusal = _refusal(handle.obj) if pickled else None
        what = f"{handle.kind} ({handle.where})"
        if not pickled:
            what += (
                " is carried over to forked workers, and is not safe to use in several processes"
            )
        elif refusal is not None:
            what += f" cannot be sent to worker processes: {_reason(refusal)}"
        else:
            what += " arrives in worker processes as a copy that is none: it is not open there"
        found.add(what, place, handle.advice)
    if error is not None and not held:
        what = f"{trail(obj, name, _fails)} cannot be sent to worker processes: {_reason(error)}"
        advice = "make what it needs inside of the function, or use method='thread', or "
        found.add(what, place, f"{advice}start_method='fork'")


def _always(_: Any) -> bool:
    return True


def _reason(error: Exception) -> str:
    return cut(summary(error), 200)


# What a few items say


class _Unwatched:
    """Lets stages be read, and takes no note of it."""

    def read(self, stage: Watched, i: int) -> Any:
        return stage.evaluate(i)

    def read_many(self, stage: Watched, indices: Indices) -> Any:
        return stage.evaluate_many(indices)


def _measured(
    prefetch: LazySequence[Any], source: Any, options: Options, items: int, found: Findings
) -> Estimate:
    """Return what a few items of `source` say of all of them."""
    where = _place(prefetch)
    read = inlined(source, _Unwatched()).evaluate if is_stage(source) else getter(source)
    sizes: list[int | None] = []
    times: list[tuple[float, float]] = []
    once = any(_is_read_once(stage) for stage in upstream(source)) if is_stage(source) else False
    for i in _spread(size_of(source), 0 if once else items):
        began = perf_counter(), process_time()
        try:
            value = read(i)
        except EndOfSequence:
            break
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            advice = f"seqtools.explain(…, {i}) shows in which stage"
            found.add(f"item {i} fails: {_reason(error)}", where, advice)
            continue
        times.append((perf_counter() - began[0], process_time() - began[1]))
        sizes.append(size_of_value(value))
        del value
    known = [size for size in sizes if size is not None]
    size = round(fmean(known)) if known and len(known) == len(sizes) else None
    times = times[1:] or times  # the first may have imported something, or opened it
    spent, computed = (fmean(column) for column in zip(*times, strict=True)) if times else (None, 0)
    return Estimate(
        where,
        len(sizes),
        min(_window(options), _room(options, size)),
        size,
        spent,
        min(1.0, computed / spent) if spent else None,
    )


def _is_read_once(stage: Any) -> bool:
    """Return whether items that are read now may be missing afterwards."""
    return bool(stage._read_once) and not stage._reads_ahead


def _spread(n: int | None, count: int) -> list[int]:
    if n is None:
        return list(range(count))
    return sorted({k * (n - 1) // max(1, count - 1) for k in range(min(count, n))})


def _window(options: Options) -> int:
    return options.first if options.max_cached is None else options.max_cached


def _room(options: Options, size: int | None) -> int:
    """Return the number of items that the bytes of the window have room for."""
    limit = usable_memory() // 10 if options.max_bytes is None else options.max_bytes
    return max(1, limit // max(1, size or 1))


def _check_window(options: Options, estimate: Estimate, found: Findings) -> None:
    workers, window = options.nworkers, _window(options)
    if workers == "auto":  # as many as the window has room for
        return
    if window < workers:
        what = f"a window of {counted_as(window, 'item')} keeps no more of {workers} workers busy"
        advice = f"max_cached={2 * workers}, or nworkers={window}"
        found.add(what, estimate.where, advice)
    elif estimate.window < workers and estimate.size is not None:
        what = (
            f"items of {volume(estimate.size)}: max_bytes has room for {estimate.window} of them, "
            f"and keeps no more of {workers} workers busy"
        )
        needed = float(f"{1.05 * 2 * workers * estimate.size:.1e}")
        advice = f"max_bytes={needed:.0f}, smaller items, or fewer workers"
        found.add(what, estimate.where, advice)
