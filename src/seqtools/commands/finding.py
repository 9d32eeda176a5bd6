"""Finding the pipeline that a command is about, which the user names as `MODULE:NAME`."""

import argparse
import difflib
import importlib
import inspect
import os
import sys
import traceback
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

from seqtools._core.sequence import LazySequence
from seqtools._core.walk import is_stage

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep


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
        found = _made(found, text)
    if not is_stage(found) or isinstance(found, type):
        kind = type(found).__name__
        raise Refused(f"{text} is no pipeline of seqtools, but of type {kind}")
    return found  # type: ignore[no-any-return]


def _module(place: str) -> ModuleType:
    if place.endswith(".py") or os.sep in place or "/" in place:
        return _file(place)
    if "" not in sys.path and os.getcwd() not in sys.path:
        sys.path.insert(0, os.getcwd())
    try:
        found: ModuleType = _run(
            lambda: importlib.import_module(place), place, near=_is_part_of(place)
        )
    except ModuleNotFoundError as error:
        near = difflib.get_close_matches(place, _modules_here(), n=1)
        advice = f": did you mean {near[0]}?" if near else f" to be imported from {os.getcwd()}"
        raise Refused(f"there is no module {error.name}{advice}") from None
    return found


def _file(path: str) -> ModuleType:
    if not os.path.isfile(path):
        folder, name = os.path.split(path)
        files = [f for f in _listed(folder or ".") if f.endswith(".py")]
        near = difflib.get_close_matches(name, files, n=1)
        advice = f": did you mean {os.path.join(folder, near[0])}?" if near else ""
        raise Refused(f"there is no file {path}{advice}")
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
    module = sys.modules.get(name)
    if module is None:
        module = _run(lambda: importlib.import_module(name), path)
    # a module of the interpreter may have been there before it
    if not _is_at(module, file):
        raise Refused(f"{path} has the name of another module that is in use, {name}: rename it")
    return module


def _is_at(module: ModuleType, path: str) -> bool:
    file = getattr(module, "__file__", None)
    return file is not None and os.path.realpath(file) == os.path.realpath(path)


def _named(module: ModuleType, place: str, name: str) -> Any:
    found: Any = module
    for k, part in enumerate(parts := name.split(".")):
        if not hasattr(found, part):
            owner = ":".join([place, *([".".join(parts[:k])] if k else [])])
            names = [n for n in dir(found) if not n.startswith("_")]
            near = difflib.get_close_matches(part, names, n=1)
            pipelines = [n for n in names if is_stage(getattr(found, n, None))]
            advice = ""
            if near:
                advice = f": did you mean {near[0]}?"
            elif pipelines:
                advice = f", but {', '.join(pipelines[:5])}"
            raise Refused(f"there is no {part} in {owner}{advice}")
        found = getattr(found, part)
    return found


def _made(make: Callable[[], Any], text: str) -> Any:
    try:
        needed = [
            p.name
            for p in inspect.signature(make).parameters.values()
            if p.default is p.empty and p.kind not in {p.VAR_POSITIONAL, p.VAR_KEYWORD}
        ]
    except (TypeError, ValueError):  # a builtin, which does not tell
        needed = []
    if needed:
        advice = "write a function without arguments that calls it"
        raise Refused(f"{text} needs arguments ({', '.join(needed)}): {advice}")
    return _run(make, text)


def _run(
    action: Callable[[], Any], what: str, near: Callable[[BaseException], bool] | None = None
) -> Any:
    """Return what `action` does, or refuse with the user's own traceback.

    An error for which `near` is true is not about the user's code, and is raised as it is.
    """
    try:
        return action()
    except SystemExit as error:
        raise Refused(f"{what} ends the program (SystemExit: {error})", 1) from None
    except Exception as error:
        if near is not None and near(error):
            raise
        raise Refused(_trace(error).rstrip("\n"), 1) from None


def _is_part_of(name: str) -> Callable[[BaseException], bool]:
    """Return what tells that an error is that `name`, or a package that it is in, is not there."""
    return lambda error: (
        isinstance(error, ModuleNotFoundError)
        and error.name is not None
        and f"{name}.".startswith(f"{error.name}.")
    )


def _trace(error: BaseException) -> str:
    """Return the traceback of `error` without what stands before the code of the user."""
    link = error.__traceback__
    while link is not None and _is_way(link.tb_frame.f_code.co_filename):
        link = link.tb_next
    told = traceback.TracebackException(type(error), error, link)
    each: traceback.TracebackException | None = told
    while each is not None:
        each.stack = traceback.StackSummary.from_list(
            [frame for frame in each.stack if not frame.filename.startswith("<frozen importlib")]
        )
        each = each.__cause__ or each.__context__
    return "".join(told.format())


def _is_way(file: str) -> bool:
    return file.startswith(("<frozen importlib", _PACKAGE)) or file == importlib.__file__


def _modules_here() -> list[str]:
    return [name.removesuffix(".py") for name in _listed(os.getcwd())]


def _listed(folder: str) -> Iterator[str]:
    try:
        with os.scandir(folder) as entries:
            yield from sorted(e.name for e in entries if not e.name.startswith("."))
    except OSError:
        return
