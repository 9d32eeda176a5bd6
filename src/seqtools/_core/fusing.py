"""Consecutive stages that read one item of one source each, compiled into one Python function.

A call in Python costs more than the work of many stages. So a single function reads stages that
apply a function to one item of their source, or take it from another index, and a generator of the
same form iterates over them. For `smap(f, smap(g, source)[::2])` the function is

    def _get(self, i):
        return (
            a0(
            (
            a2(
            source[a1[i]]
            )))
        )

where `self` is the last of these stages, `a0` is `f`, `a1` the range of the slice, and `a2` is
`g`. Each stage has its own line, so the line of an error tells which stages were waiting.
"""

from collections.abc import Callable, Generator
from functools import cache
from types import FrameType, TracebackType
from typing import Any, TypeAlias

from seqtools._core import rows
from seqtools._core.frames import current_frames
from seqtools._core.user_exceptions import traceback_of

FILE = "<fused by seqtools>"
"""The file name in the frames of compiled functions."""

_MOST = 8
"""Most stages in one function, so that few functions are compiled. Arbitrary."""

APPLIED, UNPACKED, PLACED = "{}(", "{}(*(listed(v) if (v := (", "("
"""A function of the item; of the parts of the item; the item at another index."""

_ENDS = {APPLIED: ")", UNPACKED: ")).__class__ is not tuple else v))", PLACED: ")"}
"""The text after the item, by the text before it."""

_READER = """\
def make({names}):
    def _get(self, i):
        return (
            {item}
        )
    return _get
"""

_LOOP = """\
def make({names}):
    def attempt(self, walk):
        i = 0
        try:
            for i in walk.positions:
                yield {begin}(
                    {item}
                ){end}
            walk.step = None
        except BaseException as error:
            if not walk.over(error, i):
                raise
    return attempt
"""

_ITEM_AT = {"_get": 2, "attempt": 5}
"""Number of the line of a compiled function where an item begins."""

Reader: TypeAlias = Callable[[Any, int], Any]
Loop: TypeAlias = Callable[[Any, Any], Generator[Any, None, None]]


Link: TypeAlias = tuple[str, Any, Any]
"""How an item of a stage is made of one item of its only source: form, argument and source.

The form is `APPLIED` or `UNPACKED` with the function as its argument, or `PLACED` with what
has, at `i`, the index in the source. (A named tuple takes ten times as long to make.)"""


def reader(stage: Any) -> Reader:
    """Return a function that reads an item of `stage`, given the stage and a valid index."""
    if stage._link() is None:
        raise NotImplementedError
    made: Reader = _made(_READER, stage)
    return made


def anew(stage: Any) -> None:
    """Let `stage`, whose class has changed, be compiled again."""
    stage._fused = None


def loop(stage: Any) -> Loop:
    """Return a generator function that reads items of `stage`, given the stage and a `Walk`."""
    made: Loop = _made(_LOOP, stage)
    return made


def _made(template: str, stage: Any) -> Any:
    """Return `template` compiled for `stage` and the stages upstream that it can include."""
    forms: list[str] = []
    arguments: list[Any] = []
    source = stage
    while (called := getattr(source, "_is_stage", False) is True) and len(forms) < _MOST:
        link = source._link()
        if link is None:
            break
        form, argument, source = link
        forms.append(form)
        arguments.append(argument)
    make = _compiled(template, called, tuple(forms))
    return make(source._get if called else source, *arguments)


@cache
def _compiled(
    template: str,
    called: bool,  # noqa: FBT001 -- part of a key
    forms: tuple[str, ...],
) -> Callable[..., Any]:
    names = [f"a{k}" for k in range(len(forms))]
    i = "i"
    for name, form in zip(names, forms, strict=True):
        if form == PLACED:
            i = f"{name}[{i}]"
    item = [form.format(name) for name, form in zip(names, forms, strict=True)]
    ends = "".join(_ENDS[form] for form in reversed(forms))
    item += [f"source({i})" if called else f"source[{i}]", ends]
    # a generator that waits must not keep the arguments of the item that it has yielded
    begin, end = ("(", ", v := None)[0]") if UNPACKED in forms else ("", "")
    text = template.format(
        names=", ".join(["source", *names]), item="\n".join(item), begin=begin, end=end
    )
    made: dict[str, Any] = {"listed": rows.listed}
    exec(compile(text, FILE, "exec"), made)  # noqa: S102 -- the text is ours
    return made["make"]  # type: ignore[no-any-return]


def waiting(link: TracebackType) -> list[tuple[Any, int]]:
    """Return the waiting stages of a compiled function with their items, the last one first."""
    here = link.tb_frame.f_locals
    stage, i = here["self"], here["i"]
    found: list[tuple[Any, int]] = []
    while len(found) < min(_line(link), _depth(link)):
        found.append((stage, i))
        form, argument, stage = stage._link()
        i = argument[i] if form == PLACED else i
    return found


def calling(link: TracebackType) -> tuple[Link, int] | None:
    """Return the stage of a compiled function that called its function, and the index it read.

    It is `None` if the item was being read, or its index.
    """
    line = _line(link)
    if not 0 < line <= _depth(link):
        return None
    here = link.tb_frame.f_locals
    stage, i = here["self"], here["i"]
    for _ in range(line - 1):
        form, argument, stage = stage._link()
        i = argument[i] if form == PLACED else i
    found: Link = stage._link()
    return None if found[0] == PLACED else (found, i)


def was_reading(error: BaseException) -> bool:
    """Return whether `error`, caught by a loop, came before the item was evaluated."""
    link = traceback_of(error)
    return link is not None and 0 < _line(link) <= _depth(link) + 1


def is_evaluating(walk: object) -> bool:
    """Return whether a loop with this `walk` evaluates an item now, in any thread."""
    for frame in current_frames().values():
        at: FrameType | None = frame
        while at is not None:
            code = at.f_code
            if code.co_filename == FILE and code.co_name == "attempt":
                depth = len(code.co_freevars) - 1
                line = at.f_lineno - code.co_firstlineno - _ITEM_AT["attempt"] + 1
                if at.f_locals["walk"] is walk:
                    return 0 < line <= depth + 2  # the source and the end have a line each
            at = at.f_back
    return False


def _line(link: TracebackType) -> int:
    """Return the line of an item at which an error came; 1 is the line of the last stage."""
    code = link.tb_frame.f_code
    return link.tb_lineno - code.co_firstlineno - _ITEM_AT[code.co_name] + 1


def _depth(link: TracebackType) -> int:
    """Return the number of stages in a compiled function."""
    return len(link.tb_frame.f_code.co_freevars) - 1
