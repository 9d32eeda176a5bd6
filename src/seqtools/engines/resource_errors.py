"""Errors for missing resources of the system, which say what to do."""

import errno
import threading
from collections.abc import Iterator
from contextlib import contextmanager

from seqtools._core.errors import WorkerStartError
from seqtools.engines.uninterruptible import start

_ADVICE = {
    errno.EMFILE: "raise the limit of open files, `ulimit -n`, close some, or use fewer workers",
    errno.ENFILE: "too many files are open on this system: use fewer workers",
    errno.ETOOMANYREFS: "raise the limit of open files, `ulimit -n`, or use fewer workers",
    errno.EAGAIN: "there may be no more processes or threads, see `ulimit -u`, `ulimit -v` and, in "
    "a cgroup, `pids.max`: use fewer workers",
    errno.ENOMEM: "there is no more memory or, with `ulimit -v`, no more address space: use fewer "
    "workers",
    errno.EFBIG: "raise the limit of the size of files, `ulimit -f`, or have large arrays in files "
    "that are mapped",
    errno.ENOSPC: "have TMPDIR name a folder with more room",
}


def for_now(error: BaseException) -> bool:
    """Return whether the system only lacks descriptors or memory for now."""
    return getattr(error, "errno", None) in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def advised(what: str, error: BaseException) -> str:
    """Return `what` happened, and what to do if `error` means that a resource is missing."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    advice = _ADVICE.get(number or 0)
    return what if advice is None else f"{what} ({advice})"


@contextmanager
def as_start_error(what: str) -> Iterator[None]:
    """Raise errors of the system in the block as an error that says `what` happened."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise WorkerStartError(f"{advised(what, error)}: {error!r}") from error


def start_thread(thread: threading.Thread) -> None:
    """Start `thread`; even if this call is interrupted, it starts.

    See `uninterruptible.start`.

    Raises:
        WorkerStartError: If no thread can be started.
    """
    try:
        start(thread)
    except (RuntimeError, MemoryError) as error:
        what = f"no thread could be started ({_ADVICE[errno.EAGAIN]})"
        raise WorkerStartError(f"{what}: {error!r}") from error
