"""What is read from an exception of a user, and done to it, whatever its class does.

A class may have a property in place of an attribute of all exceptions, such as `__cause__`, or a
method in place of `with_traceback`, and these may raise anything. So attributes are read and set as
those of `BaseException`. Nothing here raises, or calls itself for each cause or member of a group.
"""

from collections.abc import Iterator
from types import TracebackType
from typing import Any, TypeGuard, TypeVar

E = TypeVar("E", bound=BaseException)

_OF_ALL: Any = vars(BaseException)
_CAUSE, _CONTEXT = _OF_ALL["__cause__"], _OF_ALL["__context__"]
_SUPPRESSED, _TRACEBACK = _OF_ALL["__suppress_context__"], _OF_ALL["__traceback__"]
_ARGUMENTS = _OF_ALL["args"]
_MEMBERS: Any = vars(BaseExceptionGroup)["exceptions"]

MOST = 1000
"""Most causes, contexts and members of groups of an exception that are followed. Arbitrary."""

STANDS_FOR = "_seqtools_stands_for"
"""The attribute of a `RuntimeError` that stands for another exception: the names of its classes."""

Names = tuple[tuple[str, str], ...]
"""Module and name of each class from which the class of an exception is derived."""


def is_kind(error: object, kind: type[E]) -> TypeGuard[E]:
    """Return whether `error` is of this class, whatever its own class says to `isinstance`."""
    return issubclass(type(error), kind)


def cause_of(error: BaseException) -> BaseException | None:
    """Return the cause of `error`."""
    return _CAUSE.__get__(error)  # type: ignore[no-any-return]


def context_of(error: BaseException) -> BaseException | None:
    """Return the context of `error`."""
    return _CONTEXT.__get__(error)  # type: ignore[no-any-return]


def hides_context(error: BaseException) -> bool:
    """Return whether tracebacks do not show the context of `error`."""
    return bool(_SUPPRESSED.__get__(error))


def chain(
    error: BaseException,
    cause: BaseException | None,
    context: BaseException | None,
    *,
    hidden: bool,
) -> None:
    """Set what `error` is chained to, also if its class forbids to set attributes."""
    if cause is not None:
        _CAUSE.__set__(error, cause)
    if context is not None:
        _CONTEXT.__set__(error, context)
    _SUPPRESSED.__set__(error, hidden)


def traceback_of(error: BaseException) -> TracebackType | None:
    """Return the traceback of `error`."""
    return _TRACEBACK.__get__(error)  # type: ignore[no-any-return]


def members_of(error: BaseException) -> tuple[BaseException, ...]:
    """Return the exceptions in the group `error`, none if it is no group."""
    # a group whose class does not call `__new__` of groups has none
    return (_MEMBERS.__get__(error) or ()) if is_kind(error, BaseExceptionGroup) else ()


def set_arguments(error: BaseException, arguments: tuple[Any, ...]) -> None:
    """Set `args` of `error`."""
    _ARGUMENTS.__set__(error, arguments)


def drop_frames(error: BaseException) -> None:
    """Drop the traceback of `error`, which the same object would add to if it is raised again."""
    BaseException.with_traceback(error, None)


def related(error: BaseException, most: int = MOST) -> Iterator[BaseException]:
    """Yield `error`, its causes and contexts, members of groups, and theirs; each once."""
    left: list[BaseException] = [error]
    seen: set[int] = set()
    while left and len(seen) < most:
        each = left.pop()
        if id(each) not in seen:
            seen.add(id(each))
            yield each
            left += members_of(each)
            left += [other for other in (context_of(each), cause_of(each)) if other is not None]


def members_in(error: BaseException) -> Iterator[BaseException]:
    """Yield `error`, or if it is a group all exceptions in it, also those of groups in it."""
    left, seen = [error], {id(error)}
    for each in left:  # the loop appends to it
        yield each
        for member in members_of(each):
            if id(member) not in seen:
                seen.add(id(member))
                left.append(member)


# What stands for an exception that cannot be sent or kept


def class_names(error: BaseException) -> Names:
    """Return the names of the classes of `error`, also if it stands for another exception."""
    return _stored(error) or tuple((c.__module__, c.__qualname__) for c in type(error).__mro__)


def stand_in(text: str, names: Names) -> RuntimeError:
    """Return an exception with this text that stands for one of the classes with these names."""
    error = RuntimeError(text)
    error.__dict__[STANDS_FOR] = names
    return error


def stands_for(error: BaseException, classes: tuple[type[BaseException], ...]) -> bool:
    """Return whether `error` stands for an exception of one of `classes`."""
    names = _stored(error)
    return any((cls.__module__, cls.__qualname__) in names for cls in classes)


def _stored(error: BaseException) -> Names:
    return error.__dict__.get(STANDS_FOR, ()) if type(error) is RuntimeError else ()
