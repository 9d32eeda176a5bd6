"""Whether a pipeline can be read ahead as it says, before workers start."""

from typing import TYPE_CHECKING, Any

from seqtools._core.checks import check_count
from seqtools._core.sequence import LazySequence
from seqtools._core.walk import is_stage

if TYPE_CHECKING:
    from seqtools.instrument.checking.findings import Findings


def check(p: LazySequence[Any], *, items: int = 3, timeout: float = 20.0) -> "Findings":
    """Return what will go wrong where `p` is read ahead, or slower than it could.

    For each `prefetch` in the pipeline, a few items are evaluated where a worker would do it, and
    what is to go to other processes is pickled stage by stage. Found are

    - what cannot be sent to worker processes, or not be loaded in them, with the stage and what
      of it that is;
    - open files, sockets, locks, databases and the like, which mean nothing in another process,
      and those that threads must not share: in the variables, defaults and attributes of
      functions, and in sources;
    - random generators of one's own, of which every worker process has a copy;
    - items that fail, that end their worker, that take longer than `timeout`, or whose values
      cannot be sent back;
    - functions that change what a cache or a source keeps, or that return one object again and
      again and fill it anew;
    - an iterable that each worker process goes through by itself;
    - with `seed=`, items that are others when they are made again;
    - stages that start threads when they are loaded;
    - a window that is smaller than the number of workers, in items or in bytes;
    - more workers than there are cores, for items that compute all the time.

    The pipeline is afterwards as it was. For worker processes, a worker is started as always, and
    ends before this returns: it takes as long as the first item of a prefetch does, and a second
    one if it cannot load the pipeline. For threads, a thread of this process evaluates the items:
    caches are only looked into, what can be iterated once is not read, and random generators are
    set back; but functions are called, and keep what they keep. With `nworkers="auto"` it is a
    process if that can be. `start_hook` is called as it is in each worker. What a function writes
    to a file, it writes. A stage of your own without `_rebuild` is read as it is, with all that it
    reads.

    Args:
        p: A pipeline.
        items: How many items to evaluate for each `prefetch`, spread evenly. With 0, nothing is
            evaluated, and nothing is known of sizes and times.
        timeout: Seconds that an item may take. No further ones are evaluated then; a worker
            process is killed, and a thread left to end by itself.

    Returns:
        A list of findings, each with `what`, `where` and `advice`, whose `str` is a report. Its
        `estimates` say for each `prefetch` how large items are, and how long they take.

    Raises:
        TypeError: If `p` is no lazy sequence.
        ValueError: If `items` is negative, or `timeout` no positive number.

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
    if not is_stage(p):
        message = f"check() needs a lazy sequence, got {type(p).__name__}"
        raise TypeError(message)
    count = check_count(items, 0, "items")
    if isinstance(timeout, bool) or not isinstance(timeout, int | float) or not timeout > 0:
        message = f"timeout must be a number of seconds, more than 0, got {timeout!r}"
        raise ValueError(message)
    from seqtools.instrument.checking.checker import Limits, checked

    return checked(p, Limits(count, float(timeout)))
