"""Reading ahead: `prefetch`, and what decides which items come next."""

from collections.abc import Callable
from typing import Literal, Never, TypeVar

from seqtools._core.checks import check_source
from seqtools._core.sources import Source
from seqtools.prefetching.options import checked
from seqtools.prefetching.sequence import Prefetch
from seqtools.prefetching.server import close_all, prepare

T = TypeVar("T")

__all__ = ["Prefetch", "close_all", "prefetch"]


def prefetch(  # noqa: PLR0913, PLR0917 -- the signature of SeqTools 1.x
    seq: Source[T],
    nworkers: int | Literal["auto"] | None = None,
    method: str | None = None,
    max_cached: int | None = None,
    start_hook: Callable[..., object] | None = None,
    shm_size: int | None = None,
    *,
    max_buffered: int | None = None,
    seed: int | None = None,
    start_method: str = "template",
    readahead: bool = True,
    max_bytes: int | None = None,
    idle_timeout: float | None = 60.0,
    ordered: bool = True,
    timeout: float | None = None,
    **unknown: Never,
) -> Prefetch[T]:
    """Return `seq` with its items evaluated ahead of the reader, by workers.

    It has the items of `seq` in the same order, and can be indexed and sliced like it.
    Workers start when the first item is read, and go on evaluating the `max_cached`
    items that come next while the reader is busy. Each iterator is followed for
    itself, and never beyond the end of what it iterates over; reading by index is
    followed if it is regular.

    With processes the pipeline is a snapshot: it is sent to the workers once, when they
    start. Functions, lambdas and classes of a script or a notebook go with it. State
    of imported modules does not: `start_hook` sets that. See `Prefetch.refresh`.

    Args:
        seq: What to evaluate.
        nworkers: Number of workers. `None` is the number of usable cores, 0 evaluates
            inline and ahead of nothing, and a negative number leaves that many cores
            to others. `"auto"` begins with one thread, measures the first items, and
            goes on with what they need and the reader takes: up to 32 threads for items
            that wait, and no more processes than usable cores. The repr says what it is.
        method: `"thread"`, for items that wait or that release the lock of the
            interpreter, or `"process"`. By default it is `"thread"`, and with
            `nworkers="auto"` chosen too, as `"auto"` says.
        max_cached: Most items evaluated and not yet read, at least 1. By default it is 64 if
            these take up no more than 16 MB and are `ordered`. Otherwise, and before their size
            is known, it is twice the number of workers, and at least 10. It grows where the
            reader waits although all of these were ready, to 4096 at most and 256 MB.
        start_hook: Called at the start of each worker, before it is given the
            pipeline; with the number of the worker, if it takes an argument.
        shm_size: Not used. It was the size of the shared memory in SeqTools 1.x.
        max_buffered: Another name for `max_cached`.
        seed: Seeds the global random generators before each item, from this number
            and the index of the item, so that the items are the same in every run. What
            is drawn for an item that a cache upstream keeps depends on that item alone, and
            workers load nothing in the background. Without it, each worker has a seed of
            its own. Needs processes, which `nworkers="auto"` then chooses.
        start_method: `"template"` forks worker processes from a fresh interpreter that
            has loaded the pipeline. `"spawn"` starts an interpreter for each, which is
            slower and copies more, and is what happens where `"template"` is not
            possible. `"fork"` copies this process, for pipelines that cannot be
            pickled; it can hang where threads are in use.
        readahead: Whether to tell caches upstream which items come next, so that they
            are read in the background while the stages behind them compute.
        max_bytes: Most bytes that these items may hold, by the sizes of those so far, but
            never less than one item, and at first, when no size is known, 10 items or more. By
            default a tenth of the memory that the machine, or the cgroup of this process,
            allows, divided among the ranks of a distributed run. Items of unknown size, such as
            objects of compiled libraries, do not count.
        idle_timeout: Seconds after which workers end that have nothing to do and that
            nobody has read from; they start again when they are needed, and what was
            evaluated ahead is kept. `None` lets them stay.
        ordered: With `False`, iterating over this sequence, or a slice of it, gives items in
            the order in which they become ready, so that a slow one holds up none of the
            others; each comes once, and errors name its index. Reads by index are as
            ever, and so are stages behind this one, as they read by index.
        timeout: Seconds that an item may take in a worker. One that takes longer fails with
            an `EvaluationError` whose cause is an `ItemTimeout`, its worker is replaced, and
            reading goes on. A thread that hangs cannot be stopped: it is left to itself.
        unknown: Any other name is an error that says what to use.

    Raises:
        TypeError: If `seq` is not a sequence, or a keyword does not exist.
        ValueError: If a number or a name is out of range.

    Example:
        >>> from seqtools import smap
        >>> squares = prefetch(smap(lambda x: x * x, range(1000)), nworkers=2)
        >>> squares[-1], list(squares[2:5]), len(squares)
        (998001, [4, 9, 16], 1000)
        >>> squares.close()
    """
    check_source(seq, "seq")
    options = checked(
        nworkers=nworkers,
        method=method,
        max_cached=max_cached,
        start_hook=start_hook,
        shm_size=shm_size,
        max_buffered=max_buffered,
        seed=seed,
        start_method=start_method,
        readahead=readahead,
        max_bytes=max_bytes,
        idle_timeout=idle_timeout,
        ordered=ordered,
        timeout=timeout,
        unknown=unknown,
    )
    if options.uses_templates:
        prepare(options.idle_timeout)
    return Prefetch(seq, options)
