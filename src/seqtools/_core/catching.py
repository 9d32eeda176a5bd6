"""Which errors a stage may catch that replaces items or reads them again.

No other stage catches errors of user code. Some errors are never caught, whatever the user has
said: they end the program, or the sequence, or they are about the library and not about an item.
"""

from collections.abc import Sequence
from typing import Any, TypeAlias

from seqtools._core import errors
from seqtools._core.bulk import BulkReadWarning, NotByRow
from seqtools._core.chance import seeding
from seqtools._core.display.short import short
from seqtools._core.errors import (
    EXITS,
    EndOfSequence,
    StreamError,
    TooManyBadItems,
    WorkerStartError,
    is_exit,
    is_of_item,
    is_panic,
    original_of,
)
from seqtools._core.indices import Indices
from seqtools._core.sources import read_many
from seqtools._core.user_exceptions import drop_frames, stands_for
from seqtools._core.walk import summary

_NEVER = (
    EndOfSequence,
    StreamError,
    WorkerStartError,
    BulkReadWarning,
    NotByRow,
    TooManyBadItems,
)
"""Errors that are about no single item."""

Caught: TypeAlias = type[BaseException] | tuple[type[BaseException], ...]
"""A class of exceptions, or several."""


def check_caught(on: object) -> tuple[type[BaseException], ...]:
    """Return the classes in `on` as a tuple.

    Raises:
        TypeError: If it is neither a class of exceptions nor a tuple of some.
    """
    classes = on if isinstance(on, tuple) else (on,)
    if not classes or not all(
        isinstance(c, type) and issubclass(c, BaseException) for c in classes
    ):
        message = (
            "on must be a class of exceptions, or a tuple of some, such as (OSError, ValueError), "
            f"got {short(on)}"
        )
        raise TypeError(message)
    return classes


def is_caught(error: BaseException, on: tuple[type[BaseException], ...]) -> bool:
    """Return whether `error`, raised by reading an item, is one of those in `on`.

    What counts is the error of the user's code, also where a prefetch has wrapped it.
    """
    original = original_of(error)
    cls = type(original)  # a class of the user's may lie to `isinstance`
    never = issubclass(cls, _NEVER) or is_exit(original)
    if never or stands_for(original, (*_NEVER, *EXITS)) or not is_of_item(error):
        return False
    return (
        issubclass(cls, on)
        or (is_panic(original) and Exception in on)
        or stands_for(original, on)  # it could not be sent from a worker
    )


def read_together(stage: Any, source: Any, indices: Indices) -> Sequence[Any] | None:
    """Return the items of `source` at `indices`, read in bulk; `None` if they must be read singly.

    They must if an item cannot be read, or could not be read again, or if `stage` draws random
    numbers from a seed: if the bulk read failed, the next reads would draw other numbers.
    """
    traits = summary(stage).traits
    once = traits.iterates or traits.read_once or traits.acts_on_hints
    if once or errors.singly or seeding.token() is not None:
        return None
    try:
        items = read_many(source, indices)
        # rows of an array, as reading it one by one returns them
        return items if isinstance(items, list | tuple) else list(items)
    except (BulkReadWarning, NotByRow, WorkerStartError):
        raise
    except BaseException as error:
        if not is_of_item(error):
            raise
        drop_frames(error)  # the same object may be raised again
        return None
