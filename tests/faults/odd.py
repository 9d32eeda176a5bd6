"""Exceptions that users raise, of which some can hardly be told to anybody."""

import dataclasses
import os
import sys
import threading
from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn, Self

import seqtools

# Classes


class PicklingRaisesError(Exception):
    def __reduce__(self) -> NoReturn:
        raise TypeError("not me")


class UnusualError(Exception):
    """One that cannot be made again from its `args`, but for its `__new__`."""

    def __init__(self, code: int, detail: str) -> None:
        super().__init__(f"{code}: {detail}")
        self.code = code


class UnmakeableError(Exception):
    """One that pickle cannot make again, with a keyword that it must have."""

    def __new__(cls, *args: Any, key: int) -> Self:
        del key
        return super().__new__(cls, *args)

    def __init__(self, *args: Any, key: int) -> None:
        super().__init__(*args)
        self.key = key


class AtHomeError(Exception):
    """One that can be made again in the process that pickled it, and in no other."""

    def __reduce__(self) -> Any:
        return _at_home, (os.getpid(), str(self))


def _at_home(pid: int, text: str) -> AtHomeError:
    if os.getpid() != pid:
        raise OSError("not here")
    return AtHomeError(text)


class UnspeakableError(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no words")

    __repr__ = __str__


class SpeakingExitsError(Exception):
    silent = False

    def __str__(self) -> str:
        if self.silent:
            return "nothing"
        sys.exit(3)

    __repr__ = __str__


class PicklingExitsError(Exception):
    def __reduce__(self) -> NoReturn:
        sys.exit(3)


class PicklingInterruptsError(Exception):
    def __reduce__(self) -> NoReturn:
        raise KeyboardInterrupt


class LoadingInterruptsError(Exception):
    def __setstate__(self, state: Any) -> NoReturn:
        raise KeyboardInterrupt


class CauseRaisesError(Exception):
    @property
    def __cause__(self) -> NoReturn:  # type: ignore[override]
        raise ValueError("no causes")


@dataclasses.dataclass(frozen=True)
class FrozenError(Exception):
    code: int


class Failures(ExceptionGroup[Any]):
    def __init__(self, message: str, members: list[Any]) -> None:
        super().__init__(message, members)
        self.count = len(members)


# What they refer to


def unsendable(error: BaseException) -> BaseException:
    """Return `error`, which can neither be pickled nor made of its parts."""
    return with_attribute(threading.Lock(), error)


def chained(outer: BaseException, inner: BaseException) -> NoReturn:
    try:
        raise inner
    except type(inner) as error:
        raise outer from error


def during(outer: BaseException, inner: BaseException, *, shown: bool = True) -> NoReturn:
    try:
        raise inner
    except type(inner):
        if shown:
            raise outer  # noqa: B904 -- the context is what it is about
        raise outer from None


def noted(error: BaseException, *notes: str) -> BaseException:
    for note in notes:
        error.add_note(note)
    return error


def with_attribute(value: Any, error: BaseException) -> BaseException:
    error.held = value  # type: ignore[attr-defined]
    return error


def circle() -> BaseException:
    first, second = ValueError("first"), KeyError("second")
    first.__cause__, second.__context__ = second, first
    return first


def its_own_cause() -> BaseException:
    error = ValueError("always")
    error.__cause__ = error
    return error


def group_in_its_member() -> BaseException:
    member = ValueError("member")
    group = ExceptionGroup("group", [member, OSError(2, "no such file", "name")])
    member.__context__ = group
    return group


def twice_in_a_group() -> BaseException:
    member = ValueError("member")
    return ExceptionGroup("group", [member, ExceptionGroup("inner", [member]), member])


def many_in_a_group() -> BaseException:
    return ExceptionGroup("many", [noted(ValueError(k), "note") for k in range(1200)])


def of_another_pipeline() -> NoReturn:
    def fail(x: int) -> NoReturn:
        raise KeyError(x)

    try:
        seqtools.smap(fail, range(3))[1]
    except seqtools.EvaluationError as error:
        error.add_note("a note")
        raise ValueError("outer") from error
    raise AssertionError


def recursion() -> Any:
    return recursion()


def made_here() -> BaseException:
    class MadeError(Exception):
        pass

    return MadeError("here")


class Case(NamedTuple):
    """An exception that an item raises."""

    make: Callable[[], BaseException]
    """Returns it, or raises it."""
    sent: bool = True
    """Whether it arrives from a worker process as what it is."""


SHARED = ValueError("shared")
SHARED.__cause__ = KeyError("cause")

CASES = {
    "plain": Case(lambda: ValueError("plain")),
    "unsendable": Case(lambda: unsendable(ValueError("text")), sent=False),
    "pickling raises": Case(lambda: PicklingRaisesError("text")),
    "not made again by its init": Case(lambda: UnusualError(3, "of all things")),
    "never made again": Case(lambda: UnmakeableError("text", key=3)),
    "text raises": Case(lambda: UnspeakableError("text")),
    "text raises, unsendable": Case(lambda: unsendable(UnspeakableError("text")), sent=False),
    "pickling exits": Case(lambda: PicklingExitsError("text")),
    "pickling interrupts": Case(lambda: PicklingInterruptsError("text")),
    "loading interrupts": Case(lambda: with_attribute(3, LoadingInterruptsError("text"))),
    "cause raises": Case(lambda: CauseRaisesError("text")),
    "frozen": Case(lambda: FrozenError(3)),
    "notes": Case(lambda: noted(ValueError("text"), "a note", "another")),
    "notes that are none": Case(lambda: with_notes(3)),
    "cause": Case(lambda: chained(ValueError("outer"), KeyError("inner"))),
    "context": Case(lambda: during(ValueError("outer"), KeyError("inner"))),
    "hidden context": Case(lambda: during(ValueError("outer"), KeyError("inner"), shown=False)),
    "cause with notes": Case(lambda: chained(ValueError("outer"), noted(KeyError(1), "a note"))),
    "unsendable cause": Case(lambda: chained(ValueError("outer"), unsendable(KeyError("inner")))),
    "unsendable with a cause": Case(
        lambda: chained(unsendable(ValueError("outer")), KeyError("inner")), sent=False
    ),
    "cause with an unsendable context": Case(
        lambda: chained(
            ValueError("outer"), with_context(KeyError("inner"), unsendable(OSError("late")))
        )
    ),
    "cause of another pipeline": Case(of_another_pipeline),
    "circle": Case(circle),
    "its own cause": Case(its_own_cause),
    "group": Case(lambda: ExceptionGroup("group", [ValueError(1), KeyError(2)])),
    "group in a group": Case(
        lambda: ExceptionGroup("outer", [ExceptionGroup("inner", [ValueError(1)]), KeyError(2)])
    ),
    "unsendable in a group": Case(
        lambda: ExceptionGroup(
            "outer",
            [ExceptionGroup("inner", [unsendable(ValueError(1)), KeyError(2)]), ValueError(3)],
        )
    ),
    "causes in a group": Case(
        lambda: ExceptionGroup("group", [with_cause(ValueError(1), KeyError(2)), OSError(3)])
    ),
    "group of a class": Case(lambda: Failures("group", [ValueError(1), KeyError(2)])),
    "unsendable in a group of a class": Case(
        lambda: Failures("group", [ValueError(1), unsendable(KeyError(2))])
    ),
    "unsendable group": Case(
        lambda: unsendable(Failures("group", [ValueError(1), unsendable(KeyError(2))])), sent=False
    ),
    "group that is the context of its member": Case(group_in_its_member),
    "twice in a group": Case(twice_in_a_group),
    "many in a group": Case(many_in_a_group),
    "StopIteration": Case(lambda: StopIteration(3)),
    "StopAsyncIteration": Case(lambda: StopAsyncIteration(3)),
    "IndexError": Case(lambda: IndexError("mine")),
    "EndOfSequence": Case(seqtools._core.errors.EndOfSequence),
    "BrokenPipeError": Case(lambda: BrokenPipeError(32, "mine", "name")),
    "SyntaxError": Case(lambda: SyntaxError("mine", ("file", 1, 2, "x y"))),
    "UnicodeDecodeError": Case(lambda: UnicodeDecodeError("utf-8", b"\xff", 0, 1, "mine")),
    "RecursionError": Case(recursion),
    "MemoryError": Case(MemoryError),
    "WorkerDied": Case(lambda: seqtools.WorkerDied("mine")),
    "class made by the item": Case(made_here, sent=False),
    "holds a frame": Case(lambda: with_attribute(sys._getframe(), ValueError("text")), sent=False),
    "holds a pipeline": Case(lambda: with_attribute(seqtools.arange(3), ValueError("text"))),
}


def with_notes(notes: Any) -> BaseException:
    error = ValueError("text")
    error.__notes__ = notes
    return error


def with_cause(error: BaseException, cause: BaseException) -> BaseException:
    error.__cause__ = cause
    return error


def with_context(error: BaseException, context: BaseException) -> BaseException:
    error.__context__ = context
    return error


def evaluate(item: tuple[int, str]) -> int:
    """Return the first of `item`, or raise the case that the second one names."""
    i, name = item
    if name:
        raise CASES[name].make()
    return i
