"""What the system refuses, as an error that says what to do about it."""

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
    """Return whether the system can do it, and lacks descriptors or memory for now."""
    return getattr(error, "errno", None) in {errno.EMFILE, errno.ENFILE, errno.ENOMEM}


def advised(what: str, error: BaseException) -> str:
    """Return `what` has happened, and what to do where `error` tells of something missing."""
    number = error.errno if isinstance(error, OSError) else None
    if isinstance(error, MemoryError):
        number = errno.ENOMEM
    advice = _ADVICE.get(number or 0)
    return what if advice is None else f"{what} ({advice})"


@contextmanager
def told(what: str) -> Iterator[None]:
    """Raise what the system refuses within as an error that says `what` has happened."""
    try:
        yield
    except (OSError, MemoryError) as error:
        raise WorkerStartError(f"{advised(what, error)}: {error!r}") from error


def start_thread(thread: threading.Thread) -> None:
    """Start `thread`; if this is interrupted, it starts nevertheless.

    Its method `start` waits for it, and an interrupt while it does may leave the thread
    stuck, or end in another error.

    Raises:
        WorkerStartError: If there can be no other.
    """
    try:
        start(thread)
    except (RuntimeError, MemoryError) as error:
        what = f"no thread could be started ({_ADVICE[errno.EAGAIN]})"
        raise WorkerStartError(f"{what}: {error!r}") from error
