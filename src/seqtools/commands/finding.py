"""Finding the pipeline that a command is about, which the user names as `MODULE:NAME`."""

import argparse
import difflib
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
"""What begins the names of files that are left out of tracebacks."""


class Refused(Exception):  # noqa: N818 -- what a command answers, not a fault of ours
    """A command cannot do what it was asked for; `__main__` prints why, and exits."""

    def __init__(self, message: str, status: int = 2) -> None:
        super().__init__(message)
        self.status = status
        """The exit status: 2 for what was typed, 1 for code of the user's that fails."""


def add_pipeline(parser: argparse.ArgumentParser) -> None:
    """Add the argument that names a pipeline, which the options have as `pipeline` then."""
    parser.add_argument(
        "pipeline",
        metavar="MODULE:NAME",
        help="a pipeline, or a function without arguments that returns one: in a module that can "
        "be imported from here, or in a file, as in train.py:batches",
    )


def find_pipeline(text: str) -> LazySequence[Any]:
    """Return the pipeline that `text` names.

    The module is imported, so its top level runs; `__name__` is not `"__main__"` then. A file
    is imported with its folder as the first place where it finds other modules, as a script is.

    A file of a package, whose folder has an `__init__.py`, is imported as a module of that.

    Args:
        text: `MODULE:NAME`, where `MODULE` is a module or the path of a Python file, and `NAME`
            that of a pipeline in it, or of a function without arguments that returns one. It
            may be dotted.

    Raises:
        Refused: If there is no such pipeline, or the code that makes it fails.
    """
    place, colon, name = text.rpartition(":")
    if not (colon and place and name):
        example = text.strip(":") or "train.py"
        raise Refused(f"a pipeline is named as MODULE:NAME, such as {example}:batches, got {text}")
    found = _named(_module(place), place, name)
    if not is_stage(found) and callable(found):
        with _code_of_user(text):
            found = found()
    if not is_stage(found) or isinstance(found, type):
        kind = type(found).__name__
        raise Refused(f"{text} is no pipeline of seqtools, but of type {kind}")
    return found  # type: ignore[no-any-return]


def _module(place: str) -> ModuleType:
    if place.endswith(".py") or os.sep in place or "/" in place:
        return _file(place)
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
    # a module of the interpreter may have been there before it
    if os.path.realpath(getattr(module, "__file__", None) or "") != os.path.realpath(file):
        raise Refused(f"{path} has the name of another module that is in use, {name}: rename it")
    return module


def _imported(name: str, place: str) -> ModuleType:
    with _code_of_user(place):
        try:
            return importlib.import_module(name)
        except ModuleNotFoundError as error:
            if not f"{name}.".startswith(f"{error.name}."):  # something that it needs is not there
                raise
            message = f"there is no module {error.name} to be imported from {os.getcwd()}"
            raise Refused(message) from None


def _named(module: ModuleType, place: str, name: str) -> Any:
    found: Any = module
    for part in name.split("."):
        if not hasattr(found, part):
            names = [n for n in dir(found) if not n.startswith("_")]
            near = difflib.get_close_matches(part, names, n=1)
            pipelines = [n for n in names if is_stage(getattr(found, n, None))]
            advice = ""
            if near:
                advice = f": did you mean {near[0]}?"
            elif pipelines:
                advice = f", but {', '.join(pipelines[:5])}"
            raise Refused(f"there is no {name} in {place}{advice}")
        found = getattr(found, part)
    return found


@contextmanager
def _code_of_user(what: str) -> Iterator[None]:
    """Refuse, with the traceback of the user's code, if that fails within."""
    try:
        yield
    except Refused:
        raise
    except SystemExit as error:
        raise Refused(f"{what} ends the program (SystemExit: {error})", 1) from None
    except Exception as error:  # noqa: BLE001 -- code of users may raise anything
        raise Refused(_trace(error).rstrip("\n"), 1) from None


def _trace(error: BaseException) -> str:
    """Return the traceback of `error` without what is not the user's: imports, and the library."""
    told = traceback.TracebackException.from_exception(error)
    each: traceback.TracebackException | None = told
    while each is not None:
        frames = [f for f in each.stack if not f.filename.startswith(_NOT_OF_USERS)]
        each.stack = traceback.StackSummary.from_list(frames)
        each = each.__cause__ or each.__context__
    return "".join(told.format())
