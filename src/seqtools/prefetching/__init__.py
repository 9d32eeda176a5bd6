"""Reading ahead: `prefetch`, and the modules that decide which items come next."""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Literal, Never, TypeVar

from seqtools._core.chance.seeds import Seed
from seqtools._core.checks import check_source
from seqtools._core.display.short import short
from seqtools._core.sources import Source
from seqtools._core.walk import upstream
from seqtools.prefetching.arguments import checked
from seqtools.prefetching.options import Options
from seqtools.prefetching.sequence import Prefetch
from seqtools.prefetching.server import close_all, prepare

if TYPE_CHECKING:
    from concurrent.futures import Executor

T = TypeVar("T")

__all__ = ["Prefetch", "close_all", "prefetch"]


def prefetch(  # noqa: PLR0913, PLR0917 -- the signature of SeqTools 1.x
    seq: Source[T],
    nworkers: int | Literal["auto"] | None = None,
    method: "str | Executor | Callable[[], Executor] | object | None" = None,
    max_cached: int | None = None,
    start_hook: Callable[..., object] | None = None,
    shm_size: int | None = None,
    *,
    max_buffered: int | None = None,
    seed: Seed | None = None,
    start_method: str = "template",
    readahead: bool = True,
    max_bytes: int | None = None,
    idle_timeout: float | None = 60.0,
    ordered: bool = True,
    timeout: float | None = None,
    engine_options: Mapping[str, Any] | None = None,
    end_hook: Callable[..., object] | None = None,
    **unknown: Never,
) -> Prefetch[T]:
    """Return `seq` with its items evaluated ahead of the reader, by workers.

    The result has the items of `seq` in the same order, and can be indexed and sliced like
    it. Workers start when the first item is read, and evaluate the next `max_cached` items
    while the reader is busy. Each iterator is predicted separately, and never beyond the end
    of what it iterates over; reads by index are predicted if they are regular.

    With processes the pipeline is a snapshot: it is sent to the workers once, when they
    start, with the functions, lambdas and classes of a script or a notebook. The state of
    imported modules is not sent: set it in `start_hook`. Open files and connections are not sent
    either: `per_worker` opens one in each worker. See `Prefetch.refresh`.

    Args:
        seq: The items to evaluate.
        nworkers: Number of workers. `None` is the number of usable cores, or all workers of a
            cluster; 0 evaluates inline and nothing ahead, and a negative number leaves that many
            cores free.
            `"auto"` starts with one thread, measures items and, if one thread is not enough,
            chooses once: up to 32 threads for items that wait, or processes, no more than
            usable cores. Then only their number follows the reader. The repr shows the choice.
        method: Where items are evaluated. `"thread"`, for items that wait or that release the
            interpreter's lock, or `"process"`. The default is `"thread"`; `nworkers="auto"`
            chooses it too. On a cluster: `"dask"` (workers on this machine), `"ray"` (the cluster
            that this program is connected to, or workers on this machine), a
            `dask.distributed.Client`, an executor of `concurrent.futures` or a library like it, or
            a function that makes one. What you give is left as it was when the prefetch is closed;
            what a name or a function starts is ended.
        max_cached: Most items evaluated and not yet read, at least 1. The default is 64 if
            these take up no more than 16 MB and are `ordered`. Otherwise, and before their size
            is known, it is twice the number of workers, and at least 10. The default grows when
            the reader waits although all of these were ready, to 4096 items or 256 MB.
        start_hook: Called at the start of each worker, before the worker loads the
            pipeline; with the number of the worker, if it has a required parameter.
        shm_size: Not used. It was the size of the shared memory in SeqTools 1.x.
        max_buffered: Another name for `max_cached`.
        seed: Seeds the global random generators before each item, from this seed (an integer, a
            string, or a tuple of these) and the position of the item, so that the items are the
            same in every run: those of `prefetch(smap(f, x), …, seed=s)` are those of
            `smap(f, x, seed=s)`. Random numbers drawn for an item of a cache in the pipeline
            depend on that item only, and workers load nothing in the background. Without a seed,
            each worker has its own. Needs processes, which `nworkers="auto"` then chooses.
        start_method: `"template"` forks worker processes from a fresh interpreter that
            has loaded the pipeline. `"spawn"` starts an interpreter for each worker, which is
            slower and copies more; it is used where `"template"` is not possible. `"fork"`
            copies this process, for pipelines that cannot be pickled; it can hang if threads
            are in use.
        readahead: Whether to tell caches in the pipeline which items come next, so that they
            read them in the background while later stages compute.
        max_bytes: Most bytes that evaluated and unread items may hold, estimated from the
            sizes so far, but never less than one item, and 10 items or more while no size is
            known. The default is a tenth of the memory that the machine, or the cgroup of this
            process, allows, divided among the ranks of a distributed run. Items of unknown
            size, such as objects of compiled libraries, do not count.
        idle_timeout: Seconds without work and without reads after which workers end. They
            start again when they are needed, and evaluated items are kept. With `None` they
            stay.
        ordered: With `False`, iterating over this sequence, or a slice of it, returns items in
            the order in which they become ready, so that a slow item does not delay the
            others. Each item comes once, and errors name its index. Reads by index are not
            affected, nor are stages built on this one, because they read by index.
        timeout: Seconds that an item may take in a worker. An item that takes longer fails with
            an `EvaluationError` whose cause is an `ItemTimeout`, its worker is replaced, and
            reading continues. A thread that hangs cannot be stopped: it is abandoned.
        engine_options: Options of the cluster, as a dict: for `"ray"` `num_cpus`, `num_gpus` and
            `resources` of each worker, for a Dask client `resources` of each task.
        end_hook: Called in each worker that ends in order: at `close()`, when nothing reads any
            more, and when there are fewer workers; with the number of the worker, if it has a
            required parameter. A worker has a moment for it, less than a second, and is killed
            then. Workers that die, and those of clusters, do not call it.
        unknown: Any other keyword is an error that says what to use.

    Raises:
        ImportError: If the package for `method` is not installed.
        TypeError: If `seq` is not a sequence, or a keyword does not exist.
        ValueError: If a number or a name is out of range, or the method cannot do something.

    Example:
        >>> from seqtools import smap
        >>> squares = prefetch(smap(lambda x: x * x, range(1000)), nworkers=2)
        >>> squares[-1], list(squares[2:5]), len(squares)
        (998001, [4, 9, 16], 1000)
        >>> squares.close()
    """
    check_source(seq, "seq")
    given = Options(
        nworkers,  # type: ignore[arg-type]  # checked() replaces None
        method,  # type: ignore[arg-type]
        max_cached,
        start_hook,
        seed,
        start_method,
        readahead,
        max_bytes,
        idle_timeout,
        ordered,
        timeout,
        engine_options=engine_options,
        end_hook=end_hook,
    )
    options = checked(given, max_buffered, shm_size, unknown)
    if options.where is not None and options.may_share_memory:
        _check_threads(seq, options.where)
    if options.uses_fork_server:
        prepare(options.idle_timeout)
    return Prefetch(seq, options)


def _check_threads(seq: object, executor: object) -> None:
    """Check that no prefetch upstream uses the same threads, which might wait for each other.

    Raises:
        ValueError: If one does.
    """
    for stage in upstream(seq):
        if isinstance(stage, Prefetch) and stage._options.where is executor:  # noqa: SLF001 -- ours
            message = (
                f"{short(executor)} has the workers of this prefetch and of one that it reads, "
                "so they might wait for each other: give each an executor of its own"
            )
            raise ValueError(message)
