"""Checks a pipeline before workers start."""

from typing import TYPE_CHECKING, Any

from seqtools._core.checks import check_count
from seqtools._core.sequence import LazySequence
from seqtools.instrument.observer import check_pipeline

if TYPE_CHECKING:
    from seqtools.instrument.checking.findings import Findings


def check(p: LazySequence[Any], *, items: int = 3, timeout: float = 20.0) -> "Findings":
    """Return what will fail or be slow when workers evaluate `p`.

    For each `prefetch` in the pipeline, a worker evaluates a few items, and the stages that are
    sent to other processes are pickled one by one. The check finds

    - objects that cannot be sent to worker processes or loaded there, with the stage;
    - open files, sockets, locks, databases and similar objects that are invalid in another
      process, or that threads must not share: in the variables, defaults and attributes of
      functions, and in sources;
    - functions that draw from random generators of their own, or from the global ones without a
      seed, and one seed with which two stages in a chain draw the same numbers;
    - stages whose items differ when they are evaluated again, such as those of a function that
      makes a generator without a seed;
    - items that fail, that kill their worker, that take longer than `timeout`, or whose values
      cannot be sent back;
    - functions that change what a cache or a source keeps, or that refill and return the same
      object;
    - an iterable over which each worker process iterates separately;
    - a cache after `shuffle` or `cycle` whose items are not read again;
    - stages that start threads when they are loaded;
    - flags of other modules that are set in this process and not in workers, such as `np.seterr`;
    - a window that is smaller than the number of workers, in items or in bytes;
    - more workers than cores, for items that compute all the time.

    Items are evaluated twice, unless they take long. The pipeline does not change. For worker
    processes, a worker is started as usual and ends before this function returns, which takes as
    long as the first item of a prefetch; if it cannot load the pipeline, a second worker is
    started. For threads, a thread of this process evaluates the items: caches are only looked up,
    one-time iterables are not read, and random generators are restored; but functions are really
    called, and keep what they keep. An item that fails there is also evaluated in your thread, to
    know whether it fails only in another one. With `nworkers="auto"` it is a process if possible.
    Without workers, a thread evaluates items if a stage has a seed, except where processes evaluate
    those upstream. `start_hook` is called as in each worker. Files that functions write are
    written. A stage of your own without `_rebuild` is read as one step, with everything that it
    reads.

    Args:
        p: A pipeline.
        items: How many items to evaluate for each `prefetch`, spread evenly. With 0, nothing is
            evaluated, and sizes and times are unknown.
        timeout: Seconds that an item may take. If one takes longer, no further items are
            evaluated; a worker process is killed, and a thread is abandoned.

    Returns:
        A list of findings, each with `what`, `where` and `advice`, whose `str` is a report. Its
        `estimates` say for each `prefetch` how large items are and how long they take.

    Raises:
        TypeError: If `p` is not a lazy sequence.
        ValueError: If `items` is negative, or `timeout` is not positive.

    Example:
        >>> import threading
        >>> from seqtools import prefetch, smap
        >>> lock = threading.Lock()
        >>> def load(i, lock=lock):
        ...     with lock:
        ...         return bytes(i)
        >>> [found] = check(prefetch(smap(load, range(9)), 2, "process"))
        >>> found.what.split(":")[0]
        'a lock (default lock of load) cannot be sent to worker processes'
    """
    check_pipeline(p, "check")
    count = check_count(items, 0, "items")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        message = f"timeout must be a number of seconds, more than 0, got {timeout!r}"
        raise ValueError(message)
    from seqtools.instrument.checking.checker import checked

    return checked(p, count, float(timeout))
