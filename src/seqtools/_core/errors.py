"""Errors of items, with the path through the stages.

An error in user code is caught once, where the reader entered the pipeline. Its path comes from the
frames of its traceback, so a pipeline without errors pays nothing for it.
"""

import sys
from contextlib import suppress
from contextvars import ContextVar
from typing import Any, NoReturn

from seqtools._core import rows
from seqtools._core.choices import check_choice
from seqtools._core.error_path import Step, forget_earlier_raises, is_ours, path_of
from seqtools._core.user_exceptions import cause_of, is_kind, members_in, traceback_of

_MODES = ("wrap", "passthrough")
EXITS = (KeyboardInterrupt, SystemExit, GeneratorExit)
_ENDS = (StopIteration, StopAsyncIteration)
"""Exceptions that silently end a `for` or an `async for` if they reach it."""

singly = False
"""Whether to read items one by one instead of in bulk, so that the current one is always known."""

_LONGEST_TEXT = 10_000
"""Most characters of an exception's text in a message. Arbitrary."""

reader: ContextVar[tuple[str, int] | None] = ContextVar("seqtools_reader", default=None)
"""File and line of the reader for which this thread works."""

_mode: ContextVar[str] = ContextVar("seqtools_seterr", default="wrap")


class EvaluationError(Exception):
    """An item of a sequence could not be evaluated; its cause is the original error.

    The message gives the index of the item at every stage, from the stage that was read to
    the stage that failed, and the file and line that made each stage. It is the same inline,
    in a thread and in another process.

    Example:
        >>> import seqtools
        >>> inverses = seqtools.smap(lambda x: 1 / x, [2, 1, 0])
        >>> try:
        ...     list(seqtools.batch(inverses, 3))
        ... except seqtools.EvaluationError as error:
        ...     print(error.index, error.stage, repr(error.__cause__))
        0 smap(<lambda>) ZeroDivisionError('division by zero')
    """

    __module__ = "seqtools"

    def __init__(self, message: str, path: tuple[Step, ...] = ()) -> None:
        super().__init__(message)
        self._tells_of_cause = False
        self.path = path
        """A `Step` for every stage, starting with the stage that was read."""

    @property
    def index(self) -> int | None:
        """Index of the item that was read, `None` if the path is not known."""
        return self.path[0].index if self.path else None

    @property
    def stage(self) -> str | None:
        """Description of the stage that failed, `None` if the path is not known."""
        return self.path[-1].stage if self.path else None

    def __reduce__(self) -> tuple[Any, ...]:
        """Pickle the message and the path, without the cause, as for any exception."""
        own = ("path", "_tells_of_cause")
        state = {name: value for name, value in self.__dict__.items() if name not in own}
        return type(self), (self.args[0] if self.args else "", self.path), state or None


class EndOfSequence(Exception):  # noqa: N818 -- a signal between stages; never reaches the reader
    """A source without a known length has no item at this index."""


class StreamError(RuntimeError):
    """An iterator cannot return an item any more; this says nothing about the item."""


class WorkerDied(RuntimeError):  # noqa: N818 -- the name says what happened
    """A worker process died while it evaluated an item."""

    __module__ = "seqtools"


class ItemTimeout(TimeoutError):  # noqa: N818 -- the name says what happened
    """An item took longer than the `timeout` of a prefetch; its worker was replaced."""

    __module__ = "seqtools"


class WorkerStartError(RuntimeError):
    """No worker could start: the pipeline or the start hook failed, or a resource is missing."""

    __module__ = "seqtools"


class TooManyBadItems(RuntimeError):  # noqa: N818 -- the name says what happened
    """More items failed than `substitute` may replace: the cause of an `EvaluationError`.

    Its own cause is the error of the last item that failed.
    """

    __module__ = "seqtools"


def seterr(evaluation: str | None = None) -> str:
    """Return how errors of user code were reported, and set how they are reported from now on.

    The setting belongs to the current context (see `contextvars`), and applies to workers
    that evaluate for it.

    Args:
        evaluation: `"wrap"` (the default) raises `EvaluationError` with the original as its
            cause. `"passthrough"` raises the original itself, except `StopIteration` and
            `StopAsyncIteration`, which are always wrapped because they would end a `for` or an
            `async for` silently. `None` changes nothing.

    Raises:
        ValueError: If `evaluation` is something else.

    Example:
        >>> import seqtools
        >>> before = seqtools.seterr(evaluation="passthrough")
        >>> seqtools.smap(lambda x: 1 / x, [0])[0]
        Traceback (most recent call last):
        ZeroDivisionError: division by zero
        >>> seqtools.seterr(evaluation=before)
        'passthrough'
    """
    before = _mode.get()
    if evaluation is not None:
        check_choice(evaluation, "evaluation", _MODES)
        _mode.set(evaluation)
    return before


def creation_site() -> tuple[str, int]:
    """Return file and line of the innermost caller outside this package."""
    frame = sys._getframe(1)  # noqa: SLF001 -- the only way that takes a microsecond
    while frame.f_back is not None:
        if not is_ours(frame.f_code.co_filename):
            break
        frame = frame.f_back
    return frame.f_code.co_filename, frame.f_lineno


def is_panic(error: BaseException) -> bool:
    """Return whether `error` is a panic of Rust code, as polars raises, which is no `Exception`."""
    # each compiled package has a class of this name, and the module cannot be imported
    names = ((cls.__module__, cls.__name__) for cls in type(error).__mro__)
    return ("pyo3_runtime", "PanicException") in names


def is_of_item(error: BaseException) -> bool:
    """Return whether `error`, raised in the thread of the reader, is that of an item.

    Otherwise the reader gets it as it is, and the item is read again: it is an interrupt, or a
    signal of another library to code around the reader, such as `asyncio.CancelledError`.
    """
    return issubclass(type(error), Exception) or is_panic(error)


def is_exit(error: BaseException) -> bool:
    """Return whether `error`, raised in a worker, is one to end the program, or in a group."""
    return any(issubclass(type(each), EXITS) for each in members_in(error))


def original_of(error: BaseException) -> BaseException:
    """Return the error of user code that `error` is, or that it wraps."""
    if is_kind(error, EvaluationError) and error._tells_of_cause:  # noqa: SLF001 -- of this module
        cause = cause_of(error)
        return error if cause is None else cause  # it may be falsy
    return error


def reraise(error: BaseException) -> NoReturn:
    """Raise `error`, caught where a reader entered a pipeline, as `seterr` says."""
    if is_kind(error, WorkerStartError):  # it is not about this item
        raise error
    original = original_of(error)
    if _mode.get() == "passthrough" and not issubclass(type(original), _ENDS):
        raise original
    raise wrapping(original, _whole_path(error)) from original


def _whole_path(error: BaseException) -> tuple[Step, ...]:
    """Return the stages that `error` passed, also those of a pipeline that a function reads."""
    forget_earlier_raises(error)
    if is_kind(error, NotImplementedError):
        _advise(error)
    path = path_of(error)
    if not is_kind(error, EvaluationError):
        return path
    if error.path:  # which tells more exactly from what the item is made
        path = tuple(step._replace(made_from="") for step in path)
    return path + error.path


def _advise(error: BaseException) -> None:
    """Note what to write instead of a source that has a `[]` and a length, but not of its own."""
    link = traceback_of(error)
    while link is not None and link.tb_next is not None:
        link = link.tb_next
    if link is None or link.tb_frame.f_code.co_name != "__getitem__":
        return
    source = link.tb_frame.f_locals.get("self")
    if hasattr(type(source), "__iter__"):
        advice = rows.of_iterable(source, "source")
        with suppress(Exception):  # a class of the user may change what notes are
            if advice not in getattr(error, "__notes__", ()):
                error.add_note(advice)


def wrapping(original: BaseException, path: tuple[Step, ...]) -> EvaluationError:
    """Return an `EvaluationError` for `original` with `path`."""
    cause = summary(original)
    lines = [f"item {path[0].index} of {path[0].stage} failed: {cause}"] if path else [cause]
    lines += [f"  {line}" for step in path for line in step.lines()]
    error = EvaluationError("\n".join(lines), path)
    error._tells_of_cause = True  # noqa: SLF001 -- of this module
    return error


def summary(error: BaseException, most: int = _LONGEST_TEXT) -> str:
    """Return the class and the text of `error`, which is shortened to `most` characters."""
    try:
        text = shortened(str(error), most)
    except Exception:  # noqa: BLE001 -- an exception class of the user's
        text = "<its text cannot be shown>"
    name = type(error).__qualname__
    return f"{name}: {text}" if text else name


def shortened(text: str, most: int) -> str:
    """Return `text`, or only its beginning and end if it is longer than `most` characters."""
    left_out = len(text) - most
    if left_out <= 0:
        return text
    half = most // 2
    return f"{text[:half]} [... {left_out} characters ...] {text[-half:]}"


class Failure:
    """An error on its way from a worker to the reader."""

    __slots__ = ("error", "path", "trace")

    def __init__(self, error: BaseException, path: tuple[Step, ...] = (), trace: str = "") -> None:
        self.error = error
        self.path = path
        self.trace = trace
        """The traceback as text, for an error from another process."""

    @classmethod
    def caught(cls, error: BaseException) -> "Failure":
        """Return a failure for `error`, which was just caught."""
        try:
            return cls(original_of(error), _whole_path(error))
        except BaseException:  # noqa: BLE001 -- code of users, in an exception that is no plain one
            return cls(original_of(error))

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.error!r})"

    def throw(self) -> NoReturn:
        """Raise the error in the reader, wrapped unless it is one to end the program."""
        if self.trace:
            with suppress(Exception):  # a class of the user may change what notes are
                notes = self.error.__dict__.setdefault("__notes__", [])
                if self.trace not in notes:
                    notes.append(self.trace)
        if is_exit(self.error):
            raise self.error
        raise wrapping(self.error, self.path) from self.error
