"""The fork server, among those who have processes: it ends when it was idle, or with all others."""

import sys
from contextlib import suppress
from typing import Any

from seqtools._core.errors import WorkerStartError
from seqtools.engines.uninterruptible import uninterrupted
from seqtools.prefetching.idle import watch


class _Server:
    """The fork server of this process, as the idle watch knows it."""

    def rest(self) -> float | None:
        """End it if it was idle for long; return when to look again."""
        module = _loaded()
        return None if module is None else module.rest()

    def close(self) -> None:
        """End it."""
        module = _loaded()
        if module is not None and module.is_there():
            uninterrupted(module.close)
            watch().look()


_server = _Server()


def prepare(idle_timeout: float | None) -> None:
    """Have the server started in the background, for a prefetch that was made."""
    # here and not in the background: a process that is forked meanwhile could not import these
    from seqtools.engines.process import fork_server

    fork_server.prepare()
    keep(idle_timeout)


def keep(idle_timeout: float | None) -> None:
    """Have the server stay for so many seconds after its last use, as others may have said too."""
    from seqtools.engines.process import fork_server

    if fork_server.possible():
        fork_server.keep(idle_timeout, _have_watched)
        _have_watched()


def close_server() -> None:
    """End the fork server of this process, if there is one."""
    _server.close()


def close_all() -> None:
    """End the workers of all prefetches of this process, and the process they are forked from.

    Workers start again when an item is read, and items that were evaluated ahead are kept.
    Use it in notebooks, where outputs and variables keep unused prefetches alive.

    Example:
        >>> import seqtools
        >>> squares = seqtools.prefetch(seqtools.smap(lambda x: x * x, range(10)), nworkers=2)
        >>> squares[3]
        9
        >>> seqtools.close_all()
    """
    for owner in watch():
        if owner is not _server:
            owner.close()
    close_server()  # which ends when nothing is left that it has started


def _have_watched() -> None:
    with suppress(WorkerStartError):  # without such a thread, it stays until all are closed
        watch().add(_server, timed=True)


def _loaded() -> Any:
    """Return the module, if it was of use by now."""
    return sys.modules.get("seqtools.engines.process.fork_server")
