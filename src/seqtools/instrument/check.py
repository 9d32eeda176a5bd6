"""Whether a pipeline can be read ahead as it says, before workers start."""

from typing import TYPE_CHECKING, Any

from seqtools.checks import check_count
from seqtools.sequence import LazySequence
from seqtools.sources import is_stage

if TYPE_CHECKING:
    from seqtools.instrument.findings import Findings


def check(p: LazySequence[Any], *, items: int = 3, timeout: float = 20.0) -> "Findings":
    """Return what will go wrong where `p` is read ahead, or slower than it could.

    No worker starts. For each `prefetch` in the pipeline, its stages are pickled one by one if
    they are to go to other processes, and a few items are evaluated here, as `explain` does.
    Found are

    - a stage that cannot be sent to worker processes, with what of it that is;
    - open files, sockets, locks, databases and the like, which mean nothing in another process:
      in the variables, defaults and attributes of functions, and in sources;
    - items that fail;
    - a window that is smaller than the number of workers, in items or in bytes;
    - more workers than there are cores, for items that compute all the time.

    Args:
        p: A pipeline.
        items: How many items to evaluate for each `prefetch`, spread evenly. With 0, nothing is
            evaluated, and nothing is known of sizes and times; nor is it where a stage reads
            from what can be iterated once only.

    Returns:
        A list of findings, each with `what`, `where` and `advice`, whose `str` is a report. Its
        `estimates` say for each `prefetch` how large items are, and how long they take.

    Raises:
        TypeError: If `p` is no lazy sequence.
        ValueError: If `items` is negative.

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
    from seqtools.instrument.checking import Limits, checked

    return checked(p, Limits(count, float(timeout)))
