"""The path of an error through the stages, and what the function that failed was given.

Both are read from the frames of a traceback. It contains the `_get` frame of every stage, with the
stage and the index, or the frame of a function compiled for several stages, and then that of the
user's function. The arguments are in a local variable of such a frame, or they are an item of a
plain source, which can be read again.
"""

import os
import sys
from collections.abc import Callable, Iterator
from functools import _lru_cache_wrapper, partial
from itertools import islice
from types import CodeType, FrameType, FunctionType, MethodType, TracebackType
from typing import Any, NamedTuple

from seqtools._core import fusing
from seqtools._core.display.short import short_arguments
from seqtools._core.origins import made_from
from seqtools._core.source_code import place
from seqtools._core.user_exceptions import traceback_of
from seqtools._core.walk import is_stage

_PACKAGE = os.path.dirname(os.path.dirname(os.path.abspath(__file__))) + os.sep
# The demo counts as user code.
_DEMO = os.path.join(_PACKAGE, "demo")
_ENTRANCES = frozenset({"__getitem__", "attempt", "_work", "_evaluate"})
"""Names of functions in which a reader, or a worker, enters a pipeline."""

_ARGUMENTS, _ARGUMENT = "arguments", "argument"
"""The variables of our `_get` that have the arguments of the user's function, or its only one."""
_MOST_GIVEN = 4
"""Most arguments to show. Arbitrary."""
_LONGEST_GIVEN = 120
"""Most characters of all of them. Arbitrary: a line."""
_MOST_LAYERS = 8
"""Most functions in each other, such as partial ones, to look into. Arbitrary."""
_MOST_EARLIER = 50
"""Most frames of earlier times when an exception object was raised. Arbitrary: a few pipelines."""
_PLAIN = (list, tuple, range, str, bytes)


class Step(NamedTuple):
    """One stage on the way from the item that was read to the failure."""

    stage: str
    """Short description, such as `smap(load)`."""
    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    """Index of the item in that stage."""
    file: str
    """Source file of the line that made the stage."""
    line: int
    """Number of that line."""
    called_with: str = ""
    """The arguments of the function that failed, in short, such as `'img_0007.jpg'`; empty for the
    stages on the way there, and if they are not known."""
    made_from: str = ""
    """The items of sources from which the item of the stage that failed is made, in short, such as
    `'img_0007.jpg'`, after `perhaps` if values decide; empty for other stages, and where
    `called_with` tells it."""

    def __str__(self) -> str:
        """Return the step as one line of an error message."""
        given = f", called with {self.called_with}" if self.called_with else ""
        return f"{self.stage}[{self.index}]{given}, made at {place(self.file, self.line)}"

    def lines(self) -> list[str]:
        """Return the lines of an error message: `str` of this, and what the item is made from."""
        return [str(self), *([f"made from {self.made_from}"] if self.made_from else [])]


def is_ours(file: str) -> bool:
    """Return whether `file` belongs to this package, and is no user code."""
    return file == fusing.FILE or (file.startswith(_PACKAGE) and not file.startswith(_DEMO))


def described(stage: Any) -> str:
    """Return a short name of `stage`, such as `smap(load)`, whatever it raises."""
    try:
        return str(stage._describe())
    except Exception:  # noqa: BLE001 -- a function of the user's that does not tell its name
        return type(stage).__name__.lower()


def path_of(error: BaseException) -> tuple[Step, ...]:
    """Return the stages that `error` passed, the outermost first."""
    return _path(_links(error))


def path_to(frame: FrameType, end: CodeType, *, calling: bool = False) -> tuple[Step, ...]:
    """Return the stages that wait for a call of user code, the outermost first.

    There are none if no stage called. `frame` is the frame of the call, or with `calling` the frame
    of its caller; `end` is the code of a function around all stages.
    """
    caller = frame if calling else frame.f_back
    if caller is None or not is_ours(caller.f_code.co_filename):
        return ()
    if not calling and is_ours(frame.f_code.co_filename):
        return ()
    links: list[TracebackType] = []
    here: FrameType | None = frame
    while here is not None and here.f_code is not end:
        links.append(TracebackType(None, here, here.f_lasti, here.f_lineno))
        here = here.f_back
    return _path(reversed(links))


def _path(links: Iterator[TracebackType]) -> tuple[Step, ...]:
    passed: list[tuple[Any, int]] = []
    last: TracebackType | None = None  # of a frame that was reading a stage
    callee: TracebackType | None = None  # the frame that it called
    entrances = 0
    for link in links:
        code = link.tb_frame.f_code
        if is_ours(code.co_filename):
            entrances += code.co_name in _ENTRANCES
            if entrances > 1:
                # a function reads another pipeline, whose error has its own path
                break
        stages = _stages_in(link)
        if stages:
            last, callee = link, None
        elif callee is None:
            callee = link
        for stage, i in stages:
            # `_get` calls the function that is compiled for it
            if not passed or passed[-1][0] is not stage or passed[-1][1] != i:
                passed.append((stage, i))
    steps = [Step(described(stage), i, *stage._origin) for stage, i in passed]
    if last is not None:
        given = _called_with(last, callee)
        steps[-1] = steps[-1]._replace(called_with=given, made_from=made_from(*passed[-1], given))
    return tuple(steps)


def _links(error: BaseException) -> Iterator[TracebackType]:
    """Yield the part of the traceback of `error` that leads to this call.

    An exception object that is raised again also has the frames of earlier times, and if several
    threads raise it, frames of other threads.
    """
    here: set[int] = set()
    frame: FrameType | None = sys._getframe(1)  # noqa: SLF001 -- the only way that takes a microsecond
    while frame is not None:
        here.add(id(frame))
        frame = frame.f_back
    link, last = traceback_of(error), None
    while link is not None and id(link.tb_frame) not in here:
        link = link.tb_next
    while link is not None:
        frame = link.tb_frame
        # the frame of a generator that has ended may have no caller
        if last is not None and frame.f_back not in {None, last}:
            return
        yield link
        last, link = frame, link.tb_next


def forget_earlier_raises(error: BaseException) -> None:
    """Cut off most frames of earlier times when the same `error` was raised from a stage.

    Otherwise an exception object that is raised for every bad item would have more frames each
    time, with the values of their variables. What code of the user adds, such as a future that
    raises the error of its thread, stays up to the first frame of this library.
    """
    last: TracebackType | None = None
    for link in _links(error):
        if last is not None and _is_earlier(link, last):
            break
        last = link
    left = _MOST_EARLIER
    while last is not None and last.tb_next is not None:
        if left == 0:
            last.tb_next = None
            return
        last = last.tb_next
        if left < _MOST_EARLIER or is_ours(last.tb_frame.f_code.co_filename):
            left -= 1


def _is_earlier(link: TracebackType, last: TracebackType) -> bool:
    """Return whether `last` has raised the error, so that the next `link` was there before.

    Iterators are generators, whose frames have no caller once they have ended.
    """
    from opcode import opmap

    if link.tb_frame is last.tb_frame or link.tb_frame.f_back is not None:
        return False
    return last.tb_frame.f_code.co_code[last.tb_lasti] == opmap["RAISE_VARARGS"]


def _stages_in(link: TracebackType) -> list[tuple[Any, int]]:
    """Return the stages that a frame was reading, and the item of each."""
    code = link.tb_frame.f_code
    if code.co_filename == fusing.FILE:
        return fusing.waiting(link)
    if code.co_name != "_get":
        return []
    here = link.tb_frame.f_locals
    stage, i = here.get("self"), here.get("i")
    return [(stage, int(i))] if i is not None and getattr(stage, "_is_stage", False) else []


# The arguments of the function that failed


def _called_with(last: TracebackType, callee: TracebackType | None) -> str:
    """Return what the function that failed was given, in short; evaluate nothing.

    Args:
        last: The last frame that was reading a stage.
        callee: The frame that it called, if that is one of Python.
    """
    try:
        given = _given(last, callee)
        if not isinstance(given, list | tuple) and not _is_plain(given):
            return ""  # looping over it might evaluate something
        more = len(given) - _MOST_GIVEN
        rest = f", … {more:,} more" if more > 0 else ""
        width = _LONGEST_GIVEN - len(rest)
        return short_arguments(islice(given, _MOST_GIVEN), width) + rest
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 -- code of users may raise anything, also a panic
        return ""


def _given(last: TracebackType, callee: TracebackType | None) -> Any:
    """Return the arguments of the function that failed, none if they are not known."""
    file, here = last.tb_frame.f_code.co_filename, last.tb_frame.f_locals
    if not is_ours(file):  # a stage of the user's
        return ()
    if file != fusing.FILE:
        return (here[_ARGUMENT],) if _ARGUMENT in here else here.get(_ARGUMENTS, ())
    called = fusing.calling(last)
    if called is None or (callee is not None and is_ours(callee.tb_frame.f_code.co_filename)):
        return ()
    (form, function, source), i = called
    if form == fusing.UNPACKED:
        return here["v"]
    source, i = _origin(source, i)
    if _is_plain(source):
        return (source[i],)
    return () if callee is None else _first_argument(callee.tb_frame, function)


def _origin(source: Any, i: int) -> tuple[Any, int]:
    """Return where item `i` of `source` comes from, through stages that only reorder items."""
    while is_stage(source):
        link = source._link()
        if link is not None and link[0] == fusing.PLACED and _is_plain(link[1]):
            i, source = link[1][i], link[2]
            continue
        # `_reads` evaluates nothing; it leaves out the sequence if that depends on values
        reads = source._reads(range(i, i + 1)) if hasattr(source, "_locate") else []
        reads = [pair for pair in reads if any(pair[0] is each for each in source._sequences)]  # noqa: SLF001
        if len(reads) != 1:
            break
        source, (j,) = reads[0]
        i = int(j)
    return source, i


def _is_plain(source: Any) -> bool:
    """Return whether reading an item of `source` evaluates nothing."""
    numpy = sys.modules.get("numpy")
    return type(source) in _PLAIN or (numpy is not None and type(source) is numpy.ndarray)


def _first_argument(frame: FrameType, function: Callable[..., Any]) -> tuple[Any, ...]:
    """Return the argument that a call of `function` was given, as it is in the frame now.

    There is none if the frame is not that of the function.
    """
    code, bound = _entry(function)
    if code is not frame.f_code:
        return ()
    here = frame.f_locals
    names = code.co_varnames[: code.co_argcount]
    if bound < len(names):
        name = names[bound]
        return (here[name],) if name in here else ()
    if not code.co_flags & _VARARGS:
        return ()
    rest = here[code.co_varnames[code.co_argcount + code.co_kwonlyargcount]]
    at = bound - len(names)
    return tuple(rest[at : at + 1])


_VARARGS = 4
"""The flag of code that takes any number of arguments: `inspect.CO_VARARGS`."""


def _entry(function: Any) -> tuple[CodeType | None, int]:
    """Return the code that a call of `function` runs first, and the number of bound arguments."""
    bound = 0
    for _ in range(_MOST_LAYERS):
        kind = type(function)
        if kind is FunctionType:
            return function.__code__, bound
        if kind is partial:
            bound, function = bound + len(function.args), function.func
        elif kind is _lru_cache_wrapper:
            function = function.__wrapped__
        elif kind is MethodType:
            bound, function = bound + 1, function.__func__
        elif isinstance(function, type):
            bound, function = bound + 1, function.__init__  # type: ignore[misc]
        else:
            bound, function = bound + 1, kind.__call__
    return None, 0
