"""Exceptions on their way back from a worker, with their causes and contexts.

`pickle` leaves causes and contexts out. So an exception is sent as a list: itself, and all causes
and contexts that are reached from it, each pickled by itself and with the places of its own cause
and context in the list. One that cannot be pickled, or not be loaded, is replaced by its text.
"""

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from seqtools._core.errors import summary

MOST = 1000
"""Causes and contexts that travel with an exception, those that are nearest to it.

Arbitrary: a loop that chains an exception at every turn must not send all of them."""


class PickledException(NamedTuple):
    """One exception of the list."""

    body: bytes | None
    """The exception pickled, `None` if it cannot be."""
    text: str
    """What is shown instead of an exception that does not arrive."""
    cause: int | None
    """Place of the cause in the list."""
    context: int | None
    """Place of the context in the list."""
    suppressed: bool
    """Whether the context is not to be shown."""


def pickled(error: BaseException, dumps: Callable[[Any], Any]) -> list[PickledException]:
    """Return `error` and its causes and contexts, the nearest first."""
    errors, places = [error], {id(error): 0}
    for each in errors:  # it grows meanwhile
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


def _body(error: BaseException, dumps: Callable[[Any], Any]) -> bytes | None:
    try:
        return bytes(dumps(error))
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return None


def loaded(sent: Sequence[PickledException], loads: Callable[[Any], Any]) -> BaseException:
    """Return the exception that `pickled` was given, with its causes and contexts."""
    errors = [_loaded(each, loads) for each in sent]
    for error, each in zip(errors, sent, strict=True):
        # past what a class says of setting attributes, which may be that it is frozen
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
