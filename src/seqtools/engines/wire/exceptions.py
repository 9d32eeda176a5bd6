"""Exceptions on their way from a worker, with their causes and contexts.

`pickle` leaves out causes and contexts. So an exception is sent as a list of itself and of all
causes and contexts that can be reached from it. Each is pickled separately, with the places of its
own cause and context in the list. An exception that cannot be pickled or loaded is replaced by its
text. A panic of Rust code is of a class that cannot be found by its name, and arrives all the same.
"""

import sys
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from seqtools._core.errors import is_panic, summary
from seqtools._core.user_exceptions import (
    Names,
    cause_of,
    chain,
    class_names,
    context_of,
    hides_context,
    stand_in,
)

MOST = 1000
"""Causes and contexts that are sent with an exception, the nearest ones.

Arbitrary: if a loop chains an exception at every turn, not all of them must be sent."""


class PickledException(NamedTuple):
    """One exception of the list."""

    body: bytes | None
    """The pickled exception, `None` if it cannot be pickled."""
    text: str
    """What is shown if the exception cannot be sent."""
    names: Names
    """The classes of the exception, for `on=` of `recover` and others if it cannot be sent."""
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
        for other in (cause_of(each), context_of(each)):
            if other is not None and id(other) not in places and len(errors) <= MOST:
                places[id(other)] = len(errors)
                errors.append(other)
    return [
        PickledException(
            _body(each, dumps),
            f"{summary(each)} (the exception itself cannot be sent)",
            class_names(each),
            places.get(id(cause_of(each))),
            places.get(id(context_of(each))),
            hides_context(each),
        )
        for each in errors
    ]


def _body(error: BaseException, dumps: Callable[[Any], bytes]) -> bytes | None:
    try:
        return dumps(_SentPanic(error) if is_panic(error) else error)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return None


class _SentPanic:
    """Is loaded as a panic, of the class of the same package if the consumer has imported it."""

    def __init__(self, error: BaseException) -> None:
        self._error = error

    def __reduce__(self) -> tuple[Any, ...]:
        cls = type(self._error)
        homes = [name for name, each in [*sys.modules.items()] if _panics_of(each) is cls]
        return _panic, (homes, self._error.args), self._error.__dict__ or None


def _panic(homes: list[str], arguments: tuple[Any, ...]) -> BaseException:
    found = (_panics_of(sys.modules.get(home)) for home in homes)
    cls: type[BaseException] = next((cls for cls in found if cls is not None), PanicException)
    return cls(*arguments)


def _panics_of(module: Any) -> Any:
    """Return the class of the panics of a module, such as `polars.exceptions`, if it has one."""
    found = getattr(module, "__dict__", {}).get("PanicException")
    return found if isinstance(found, type) else None


class PanicException(BaseException):
    """A panic of Rust code in a package that this process has not imported."""

    __module__ = "pyo3_runtime"


def loaded(sent: Sequence[PickledException], loads: Callable[[Any], Any]) -> BaseException:
    """Return the exception that `pickled` was given, with its causes and contexts."""
    errors = [_loaded(each, loads) for each in sent]
    for error, each in zip(errors, sent, strict=True):
        cause = None if each.cause is None else errors[each.cause]
        context = None if each.context is None else errors[each.context]
        chain(error, cause, context, hidden=each.suppressed)
    return errors[0]


def _loaded(sent: PickledException, loads: Callable[[Any], Any]) -> BaseException:
    if sent.body is not None:
        try:
            error = loads(sent.body)
        except Exception:  # noqa: BLE001 -- code of users may raise anything
            error = None
        if issubclass(type(error), BaseException):
            return error  # type: ignore[no-any-return]  # as just seen
    return stand_in(sent.text, sent.names)
