"""Exceptions on their way from a worker, with their causes and contexts.

`pickle` leaves out causes and contexts. So an exception is sent as a list of itself and of all
causes and contexts that can be reached from it. Each is pickled separately, with the places of its
own cause and context in the list. An exception that cannot be pickled or loaded is replaced by its
text.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from seqtools._core.errors import summary

MOST = 1000
"""Causes and contexts that are sent with an exception, the nearest ones.

Arbitrary: if a loop chains an exception at every turn, not all of them must be sent."""


class PickledException(NamedTuple):
    """One exception of the list."""

    body: bytes | None
    """The pickled exception, `None` if it cannot be pickled."""
    text: str
    """What is shown if the exception cannot be sent."""
    cause: int | None
    """Place of the cause in the list."""
    context: int | None
    """Place of the context in the list."""
    suppressed: bool
    """Whether tracebacks do not show the context."""


def pickled(error: BaseException, dumps: Callable[[Any], bytes]) -> list[PickledException]:
    """Return `error` and its causes and contexts, the nearest first."""
    errors, places = [error], {id(error): 0}
    for each in errors:  # the loop appends to it
        for other in (each.__cause__, each.__context__):
            if other is not None and id(other) not in places and len(errors) <= MOST:
                places[id(other)] = len(errors)
                errors.append(other)
    return [
        PickledException(
            _body(each, dumps),
            f"{summary(each)} (the exception itself cannot be sent)",
            places.get(id(each.__cause__)),
            places.get(id(each.__context__)),
            each.__suppress_context__,
        )
        for each in errors
    ]


def _body(error: BaseException, dumps: Callable[[Any], bytes]) -> bytes | None:
    try:
        return dumps(error)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return None


def loaded(sent: Sequence[PickledException], loads: Callable[[Any], Any]) -> BaseException:
    """Return the exception that `pickled` was given, with its causes and contexts."""
    errors = [_loaded(each, loads) for each in sent]
    for error, each in zip(errors, sent, strict=True):
        # A class may forbid to set attributes, as a frozen dataclass does.
        if each.cause is not None:
            object.__setattr__(error, "__cause__", errors[each.cause])
        if each.context is not None:
            object.__setattr__(error, "__context__", errors[each.context])
        object.__setattr__(error, "__suppress_context__", each.suppressed)
    return errors[0]


def _loaded(sent: PickledException, loads: Callable[[Any], Any]) -> BaseException:
    if sent.body is not None:
        try:
            error = loads(sent.body)
        except Exception:  # noqa: BLE001 -- code of users may raise anything
            error = None
        if isinstance(error, BaseException):
            return error
    return RuntimeError(sent.text)
