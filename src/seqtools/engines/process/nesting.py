"""Workers within workers, and how that comes to an end.

A module may read a prefetch when it is imported, and functions of it may be what that evaluates:
its workers import it, which reads the prefetch, which starts workers, and so on. So each
process that is started is told, after its code on its command line, how deep it is below the
first consumer, and which files were being imported where its own consumer started it. A command
line, unlike the environment, is not handed on to programs that user code starts, and is
known before anything is imported.
"""

import json
import os
import sys
from collections.abc import Iterator
from types import FrameType
from typing import Any, NamedTuple

from seqtools._core.errors import WorkerStartError

_DEEPEST = 4
"""Levels of workers within workers. Arbitrary: pipelines have one or two, and with two workers
each, four levels are thirty workers."""
_MARK = "seqtools-worker"


class Nesting(NamedTuple):
    """Where a process is among consumers and workers."""

    depth: int = 0
    """How many consumers are above it."""
    files: tuple[str, ...] = ()
    """Modules that were being imported where these started what is below them."""
    begun: bool = True
    """Whether it is what it was started for: before that, `site` is being imported."""

    def arguments(self) -> list[str]:
        """Return what is to follow the code on the command line of a process."""
        return [_MARK, json.dumps([self.depth, self.files])]

    @staticmethod
    def of(command: list[str]) -> "Nesting":
        """Return what a command line says."""
        if _MARK not in command:
            return Nesting()
        depth, files = json.loads(command[command.index(_MARK) + 1])
        return Nesting(depth, tuple(files), begun=False)


current = Nesting.of(sys.orig_argv)
"""Where this process is."""


_lowest: FrameType | None = None  # below it are those of who has forked this process


def begin(nesting: Nesting | None = None) -> None:
    """Note that this process, which is at `nesting` if it was forked, begins with its caller."""
    global current, _lowest  # noqa: PLW0603 -- there is one for a process
    current = (current if nesting is None else nesting)._replace(begun=True)
    _lowest = sys._getframe(1)  # noqa: SLF001 -- public


def below() -> Nesting:
    """Return where a process is going to be that is started now.

    Raises:
        WorkerStartError: If there would be no end of them.
    """
    modules = dict(_being_imported())
    for file, name in modules.items():
        if file in current.files or not current.begun:
            raise WorkerStartError(_advice(name, file))
    if not current.begun:
        raise WorkerStartError(_advice("site", "a .pth file"))
    if current.depth >= _DEEPEST:
        message = (
            f"worker processes must not be nested more than {_DEEPEST} levels deep: functions of "
            "this pipeline read a prefetch that evaluates the same functions, or too many "
            "prefetches are nested; use method='thread' or nworkers=0 in these functions"
        )
        raise WorkerStartError(message)
    return Nesting(current.depth + 1, tuple({*current.files, *modules}))


def _advice(name: str, file: str) -> str:
    return (
        f"worker processes cannot start while a worker process imports module {name!r} ({file}): "
        "it reads a prefetch at its top level, so each worker would start workers again, without "
        "end; read the prefetch in a function that the import does not call, or below "
        "`if __name__ == '__main__':`"
    )


def _being_imported() -> Iterator[tuple[str, str]]:
    """Yield file and name of the script, and of each module that this thread is importing.

    Workers are started by the thread that imports them: see `apart`. Only the script may
    be in another, which waits.
    """
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- public
    while frame is not None and frame is not _lowest:
        if frame.f_code.co_name == "<module>":
            yield from _file_of(frame.f_globals)
        frame = frame.f_back
    if _lowest is None:
        yield from _file_of(vars(sys.modules["__main__"]))


def _file_of(namespace: dict[str, Any]) -> Iterator[tuple[str, str]]:
    file = namespace.get("__file__")
    if isinstance(file, str):
        yield os.path.realpath(file), str(namespace.get("__name__"))
