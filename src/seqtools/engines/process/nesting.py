"""Limits workers inside workers.

If the import of a module reads a prefetch that evaluates functions of this module, then its workers
import the module, which reads the prefetch, which starts workers, and so on. So the command line of
each process says how deep it is below the first consumer, and which files were being imported when
it was started. A command line is known before anything is imported, and programs that user code
starts do not inherit it.
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
    """The place of a process among consumers and workers."""

    depth: int = 0
    """The number of consumers above it."""
    files: tuple[str, ...] = ()
    """The modules that these were importing when they started a process."""
    begun: bool = True
    """Whether its main function runs; before that, it imports `site`."""

    def arguments(self) -> list[str]:
        """Return the arguments that follow the code on the command line."""
        return [_MARK, json.dumps([self.depth, self.files])]

    @staticmethod
    def of(command: list[str]) -> "Nesting":
        """Return what a command line contains."""
        if _MARK not in command:
            return Nesting()
        depth, files = json.loads(command[command.index(_MARK) + 1])
        return Nesting(depth, tuple(files), begun=False)


current = Nesting.of(sys.orig_argv)
"""The place of this process."""

_lowest: FrameType | None = None  # frames below it are those of the process that forked this one


def begin(nesting: Nesting | None = None) -> None:
    """Note that the main function of this process, the caller, begins; it is at `nesting`."""
    global current, _lowest  # noqa: PLW0603 -- one for a process
    current = (current if nesting is None else nesting)._replace(begun=True)
    _lowest = sys._getframe(1)  # noqa: SLF001 -- public


def below() -> Nesting:
    """Return the place of a process that is started now.

    Raises:
        WorkerStartError: If workers would start workers without end.
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
    """Yield file and name of each module that this thread is importing, and of the script."""
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
