"""Errors that are kept for long, and so must be small.

An error may hold what it was given: a JSON error the whole text, an error of the user's an image.
"""

import pickle
from types import FunctionType
from typing import Any

from seqtools._core.display.short import short
from seqtools._core.errors import shortened, summary
from seqtools._core.user_exceptions import (
    STANDS_FOR,
    class_names,
    related,
    set_arguments,
    stand_in,
)

LARGEST = 10_000
"""Most bytes of the pickle of an error that is kept, with those of its causes. Arbitrary."""
_LONGEST_TEXT = 1000
"""Most characters of each text in what is kept of a larger one. Arbitrary."""
_MOST_CHAINED = 100
"""Most causes and contexts of an error that is kept. Arbitrary."""
_MOST_ATTRIBUTES = 20
"""Most arguments, attributes and notes in what is kept of a larger one. Arbitrary."""

_LONGEST_NOTES = 40_000
"""Most characters of notes that do not count. Arbitrary, but more than those of a traceback that is
sent from a worker."""
_MOST_BITS = 1000
"""Most bits of an integer in what is kept of a larger error. Arbitrary."""


def small(error: BaseException) -> BaseException:
    """Return `error`, or if it is large a small one like it, without its causes.

    That is one of the same class with the same text, which may be shortened; it has only those
    attributes that are texts or numbers. If there can be none, it is a `RuntimeError` with the
    class and the text. An error of unknown size, because it holds what cannot be pickled, such as a
    lock, is large.
    """
    if _is_small(error):
        return error
    try:
        return _copied(error)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 -- code of users may raise anything
        text = f"{summary(error, _LONGEST_TEXT)} (the exception itself cannot be kept)"
        return stand_in(text, class_names(error))


class _TooLargeError(Exception):
    """More was written than may be."""


class _Counting:
    """A file that counts the bytes that are written, of which there may be `most`."""

    def __init__(self, most: int) -> None:
        self._left = most

    def write(self, body: Any) -> None:
        self._left -= memoryview(body).nbytes
        if self._left < 0:
            raise _TooLargeError


class _Measuring(pickle.Pickler):
    """Pickles classes and functions as names: they are not of the error alone."""

    def persistent_id(self, obj: Any) -> str | None:
        """Return what is pickled in place of `obj`, `None` for itself."""
        cls = type(obj)
        if issubclass(cls, type) or (cls is FunctionType and obj.__closure__ is None):
            return str(obj.__qualname__)
        return None


def _is_small(error: BaseException) -> bool:
    try:
        notes = sum(map(len, getattr(error, "__notes__", ())))
        file = _Counting(LARGEST + min(notes, _LONGEST_NOTES))
        for n, each in enumerate(related(error, _MOST_CHAINED + 1)):
            if n == _MOST_CHAINED:
                return False
            _Measuring(file, 5).dump(each)
    except KeyboardInterrupt:
        raise
    except BaseException:  # noqa: BLE001 -- code of users may raise anything
        return False
    return True


def _copied(error: BaseException) -> BaseException:
    """Return a small error of the same class and with the same text.

    Raises:
        ValueError: If there can be none. Code of users may raise anything else.
    """
    cls, text = type(error), str(error)
    copy = cls.__new__(cls)
    set_arguments(copy, tuple(map(_brief, error.args[:_MOST_ATTRIBUTES])))
    for name, value in [*error.__dict__.items()][:_MOST_ATTRIBUTES]:
        if _is_text_or_number(value):
            copy.__dict__[name] = _brief(value)
        elif name == STANDS_FOR:
            copy.__dict__[name] = value
    notes = getattr(error, "__notes__", ())[:_MOST_ATTRIBUTES]
    if notes:
        copy.__dict__["__notes__"] = [*map(_brief, notes)]
    if str(copy) not in {text, shortened(text, _LONGEST_TEXT)} or not repr(copy):
        raise ValueError  # or what a `__repr__` raises that needs more
    return copy


def _brief(value: object) -> Any:
    """Return a text shortened, a number as it is, and what something else is as a text."""
    if type(value) is str:
        return shortened(value, _LONGEST_TEXT)
    return value if _is_text_or_number(value) else short(value)


def _is_text_or_number(value: object) -> bool:
    if type(value) is int:
        return value.bit_length() <= _MOST_BITS
    return type(value) in {str, float, bool, type(None)}
