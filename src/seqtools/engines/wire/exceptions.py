"""Exceptions on their way back from a worker, with all that they refer to.

`pickle` leaves causes and contexts out, and refuses a whole group for one member. So an
exception is sent as a list of all that it refers to, with the places of the causes and
contexts in it. That takes one pickle, which is loaded here to see that it can be. Only if
it cannot, each exception is tried by itself, and one that does not survive is replaced by
its text. What survives here and not at the consumer is replaced there, as a whole.
"""

import pickle
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from seqtools._core.errors import summary

MOST = 1000
"""Causes, contexts and members that travel with an exception, those that are nearest to it.

Arbitrary: a loop that chains an exception at every turn must not send all of them."""

# As exceptions have them, whatever a class of the user makes of these names.
_args = vars(BaseException)["args"]
_cause = vars(BaseException)["__cause__"]
_context = vars(BaseException)["__context__"]
_suppressed = vars(BaseException)["__suppress_context__"]
_message = vars(BaseExceptionGroup)["message"]
_members = vars(BaseExceptionGroup)["exceptions"]

Link = tuple[int, int | None, int | None, bool]
"""Of a list of exceptions, the places of one, its cause and its context, if it has such; and
whether the context is not to be shown."""
Dumps = Callable[[Any], Any]
Loads = Callable[[Any], Any]


# In the worker


class PickledException:
    """Pickles as an exception with all that it refers to, such that it can be loaded."""

    def __init__(self, error: BaseException, dumps: Dumps, loads: Loads) -> None:
        self._dumps, self._loads = dumps, loads
        self._sent: dict[int, Any] = {}  # what is sent for an exception, by its id
        self._body = self._packed(error)
        self._stand_in = _stand_in(error)

    def __reduce__(self) -> tuple[Any, ...]:
        return opened, (self._body, self._stand_in)

    def _packed(self, error: BaseException) -> bytes | None:
        try:
            errors, links = _reached(error)
            body = self._tried(_call_linked(errors, links) if links or len(errors) > 1 else error)
            if body is None:
                sent = [self._sendable(each) for each in errors]
                body = self._tried(_call_linked(sent, links))
        except RecursionError:  # groups in groups in groups
            return None
        return body

    def _tried(self, sent: Any) -> bytes | None:
        """Return `sent` pickled, if what arrives is an exception."""
        try:
            body = bytes(self._dumps(sent))
            arrived = self._loads(body)
        except BaseException:  # noqa: BLE001 -- code of users may raise anything
            return None
        return body if isinstance(arrived, BaseException) else None

    def _sendable(self, error: BaseException) -> Any:
        """Return `error` or what stands for it, which arrives."""
        if id(error) not in self._sent:
            self._sent[id(error)] = (
                self._group(error) if isinstance(error, BaseExceptionGroup) else self._single(error)
            )
        return self._sent[id(error)]

    def _single(self, error: BaseException) -> Any:
        for sent in (error, _call_bare(error, _args.__get__(error))):
            if self._tried(sent) is not None:
                return sent
        return _stand_in(error)

    def _group(self, group: BaseExceptionGroup[Any]) -> Any:
        members = _members.__get__(group)
        sent = [self._sendable(member) for member in members]
        if all(a is b for a, b in zip(sent, members, strict=True)) and self._tried(group):
            return group
        message = _message.__get__(group)
        if self._tried(_call_bare(group, (message, [RuntimeError()]))):
            return _call_bare(group, (message, sent))
        told = _unsendable(f"{type(group).__qualname__}: {message}")
        return _Call(BaseExceptionGroup, told, sent)


class _Call:
    """Pickles as what a call returns."""

    def __init__(self, function: Callable[..., Any], *arguments: Any) -> None:
        self._function, self._arguments = function, arguments

    def __reduce__(self) -> tuple[Any, ...]:
        return self._function, self._arguments


def _call_linked(errors: Sequence[Any], links: list[Link]) -> _Call:
    # members before their groups: what is pickled already takes no stack
    return _Call(linked, errors[::-1], links)


def _call_bare(error: BaseException, args: tuple[Any, ...]) -> _Call:
    return _Call(bare, type(error), args, error.__dict__)


def _stand_in(error: BaseException) -> BaseException:
    """Return what is sent instead of `error`; what ends a program does so in any case."""
    try:
        told = summary(error)
    except BaseException:  # noqa: BLE001 -- a text that ends the program, when it is asked for
        told = type(error).__qualname__
    text = _unsendable(told)
    if isinstance(error, Exception):
        return RuntimeError(text)
    ends = (SystemExit, KeyboardInterrupt, GeneratorExit)
    return next((end for end in ends if isinstance(error, end)), BaseException)(text)


def _unsendable(told: str) -> str:
    return f"{told} (the exception itself cannot be sent)"


def _reached(error: BaseException) -> tuple[list[BaseException], list[Link]]:
    """Return `error` and what it refers to, the nearest first, and their links."""
    errors, places = [error], {id(error): 0}
    for each in errors:  # it grows meanwhile
        for other in _referred(each):
            if id(other) not in places and len(errors) <= MOST:
                places[id(other)] = len(errors)
                errors.append(other)
    links: list[Link] = []
    for place, each in enumerate(errors):
        cause, context = (places.get(id(link.__get__(each))) for link in (_cause, _context))
        suppressed = _suppressed.__get__(each)
        if suppressed or cause is not None or context is not None:
            links.append((place, cause, context, suppressed))
    return errors, links


def _referred(error: BaseException) -> Iterator[BaseException]:
    yield from (other for link in (_cause, _context) if (other := link.__get__(error)) is not None)
    if isinstance(error, BaseExceptionGroup):
        yield from _members.__get__(error)


# Where it is loaded


def load(call: Callable[..., Any], *arguments: Any) -> Any:
    """Return what `call` does with `arguments`, which loads something that a worker has sent.

    Raises:
        Exception: If it cannot be loaded. It can be shown, and is none that ends the program,
            whatever code of users raises.
        BaseException: If there was an interrupt. In that it is raised once.
    """
    try:
        return call(*arguments)
    except Exception as error:
        try:
            repr(error)
        except Exception:  # noqa: BLE001 -- code of users may raise anything
            raise pickle.UnpicklingError(summary(error)) from error
        raise
    except BaseException:
        try:
            call(*arguments)
        except BaseException as again:
            raise pickle.UnpicklingError(summary(again)) from again
        raise


def opened(
    body: bytes | None, stand_in: BaseException, loads: Loads = pickle.loads
) -> BaseException:
    """Return the exception that is pickled in `body`, or `stand_in` if it cannot be loaded."""
    if body is None:
        return stand_in
    try:
        error = load(loads, body)
    except Exception as reason:  # noqa: BLE001 -- code of users may raise anything
        stand_in.__cause__ = reason
        return stand_in
    return error if isinstance(error, BaseException) else stand_in


def linked(errors: Sequence[BaseException], links: Sequence[Link]) -> BaseException:
    """Return the last of `errors`, all of them with their causes and contexts."""
    errors = errors[::-1]
    for place, cause, context, suppressed in links:
        if cause is not None:
            _cause.__set__(errors[place], errors[cause])
        if context is not None:
            _context.__set__(errors[place], errors[context])
        _suppressed.__set__(errors[place], suppressed)
    return errors[0]


def bare(cls: type[BaseException], args: tuple[Any, ...], state: Any) -> BaseException:
    """Return an exception made without its `__init__`, which may not take its `args` again."""
    error = cls.__new__(cls, *args)
    _args.__set__(error, args)
    error.__dict__.update(state)
    return error
