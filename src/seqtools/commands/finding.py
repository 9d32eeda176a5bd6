"""Finds the pipeline that the user of a command named as `MODULE:NAME`."""

import argparse
import importlib
import os
import sys
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

from seqtools._core.sequence import LazySequence
from seqtools._core.walk import is_stage

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
_NOT_OF_USERS = ("<frozen importlib", _PACKAGE, str(importlib.__file__))
"""Beginnings of file names that tracebacks leave out."""


class Refused(Exception):  # noqa: N818 -- the answer of a command, not an error in it
    """A command cannot do what the user wants; `__main__` prints the reason and exits."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
        """The exit status: 2 for wrong arguments, 1 for an error in user code."""


def add_pipeline(parser: argparse.ArgumentParser) -> None:
    """Add the argument `pipeline`, which names a pipeline."""
    parser.add_argument(
        "pipeline",
        metavar="MODULE:NAME",
        help="a pipeline, or a function without arguments that returns one: in a module that can "
        "be imported from here, or in a file, as in train.py:batches",
    )


def find_pipeline(text: str) -> LazySequence[Any]:
    """Return the pipeline that `text` names.

    The module is imported, so its top level runs, with a `__name__` that is not `"__main__"`. The
    folder of a file is first in `sys.path`, as for a script. A file of a package, whose folder has
    an `__init__.py`, is imported as a module of the package.

    Args:
        text: `MODULE:NAME`, where `MODULE` is a module or the path of a Python file. `NAME` is a
            pipeline in it, or a function without arguments that returns one; it may be dotted.

    Raises:
        Refused: If there is no such pipeline, or user code fails.
    """
    place, colon, name = text.rpartition(":")
    if not (colon and place and name):
        example = text.strip(":") or "train.py"
        raise Refused(f"a pipeline is named as MODULE:NAME, such as {example}:batches, got {text}")
    found = _named(_module(place), place, name)
    if not is_stage(found) and callable(found):
        with _code_of_user(text):
            found = found()
    if not _is_pipeline(found):
        kind = type(found).__name__
        raise Refused(f"{text} is no pipeline of seqtools, but of type {kind}")
    return found  # type: ignore[no-any-return]


def _module(place: str) -> ModuleType:
    if place.endswith(".py") or os.sep in place or "/" in place:
        return _file(place)
    if place.startswith("."):
        raise Refused(f"a module is named without a dot before it, or as a file, got {place}")
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    return _imported(place, place)


def _file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        raise Refused(f"there is no file {path}")
    file = os.path.abspath(path)
    folder, last = os.path.split(file)
    name = last.removesuffix(".py")
    if "." in name:
        raise Refused(f"{path} cannot be imported, as its name has a dot: rename it")
    while os.path.isfile(os.path.join(folder, "__init__.py")):  # a module of a package
        folder, package = os.path.split(folder)
        name = f"{package}.{name}"
    if sys.path[:1] != [folder]:
        sys.path.insert(0, folder)
    module = sys.modules.get(name) or _imported(name, path)
    # the interpreter may have imported another module of this name
    if os.path.realpath(getattr(module, "__file__", None) or "") != os.path.realpath(file):
        raise Refused(f"{path} has the name of another module that is in use, {name}: rename it")
    return module


def _imported(name: str, place: str) -> ModuleType:
    with _code_of_user(place):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):  # the user's import failed
                raise
            message = f"there is no module {error.name} to be imported from {os.getcwd()}"
            raise Refused(message) from None


def _named(module: ModuleType, place: str, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            pipelines = [n for n in dir(found) if _is_pipeline(getattr(found, n, None))]
            others = f", but {', '.join(pipelines[:5])}" if pipelines else ""
            raise Refused(f"there is no {name} in {place}{others}")
        found = getattr(found, part)
    return found


def _is_pipeline(value: object) -> bool:
    return is_stage(value) and not isinstance(value, type)


@contextmanager
def _code_of_user(what: str) -> Iterator[None]:
    """Return a context that turns errors of user code into `Refused`, with their traceback."""
    try:
        yield
    except Refused:
        raise
    except SystemExit as error:
        raise Refused(f"{what} ends the program (SystemExit: {error})", 1) from None
    except Exception as error:  # noqa: BLE001 -- user code may raise anything
        raise Refused(_trace(error).rstrip("\n"), 1) from None


def _trace(error: BaseException) -> str:
    """Return the traceback of `error` without frames of imports and of the library."""
    shown = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = shown
    while each is not None:
        frames = [f for f in each.stack if not f.filename.startswith(_NOT_OF_USERS)]
        each.stack = traceback.StackSummary.from_list(frames)
        each = each.__cause__ or each.__context__
    return "".join(shown.format())
