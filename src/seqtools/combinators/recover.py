"""Items that fail: read again, or replaced by another value."""

import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, TypeVar

from seqtools._core.catching import Caught, check_caught, is_caught, read_together
from seqtools._core.checks import check_count, check_function, check_source, is_number
from seqtools._core.display.short import called, short
from seqtools._core.error_path import forget_earlier_raises
from seqtools._core.errors import original_of
from seqtools._core.indices import Indices, as_list
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, assign, getter, size_of
from seqtools._core.traits import Traits
from seqtools._core.user_exceptions import drop_frames

T = TypeVar("T")
D = TypeVar("D")

Wait = float | Callable[[int], float]
"""Seconds before the second attempt, or a function of the number of attempts that failed."""

_MISSING: Any = object()


class Catching(LazySequence[T]):
    """The items of a sequence, some of whose errors are caught."""

    __slots__ = ("_on", "_read", "_sequence")

    _traits = Traits(elementwise=True, recovers=True)

    def __init__(self, sequence: Any, on: tuple[type[BaseException], ...]) -> None:
        self._sequence, self._on = sequence, on
        self._read = getter(sequence)

    def _size(self) -> int | None:
        return size_of(self._sequence)

    def _get_many(self, indices: Indices) -> Sequence[T]:
        items = read_together(self, self._sequence, indices)
        return [self._get(i) for i in as_list(indices)] if items is None else items

    def _set(self, i: int, value: Any) -> None:
        assign(self._sequence, i, value)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]

    def _identity(self) -> None:
        return None  # a run that failed may go on with what repairs it

    def _on_shown(self) -> str:
        """Return the argument `on` for `repr`, nothing if it is the default."""
        if self._on == (Exception,):
            return ""
        names = ", ".join(map(called, self._on))
        return f", on={names}" if len(self._on) == 1 else f", on=({names})"


class Retry(Catching[T]):
    """The items of a sequence, each read again if that fails."""

    __slots__ = ("_attempts", "_wait")

    def __init__(
        self, sequence: Any, attempts: int, wait: Wait, on: tuple[type[BaseException], ...]
    ) -> None:
        super().__init__(sequence, on)
        self._attempts, self._wait = attempts, wait

    def _get(self, i: int) -> T:
        failed = 0
        while True:
            try:
                return self._read(i)  # type: ignore[no-any-return]
            except BaseException as error:
                if not is_caught(error, self._on):
                    raise
                failed += 1
                if failed == self._attempts:
                    _add_note(original_of(error), f"all {failed} attempts of retry() failed")
                    raise
                drop_frames(error)  # the same object may be raised again
            self._pause(failed)

    def _pause(self, failed: int) -> None:
        """Wait before the next attempt."""
        wait = self._wait
        if not callable(wait):
            seconds = wait * 2 ** (failed - 1)
        else:
            seconds = _check_seconds(wait(failed), f"what wait returns for {failed}")
        if seconds:
            time.sleep(seconds)  # a signal handler that raises, as of Ctrl-C, ends it

    def _rebuild(self, *sources: Any) -> "Retry[T]":
        return Retry(sources[0], self._attempts, self._wait, self._on)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._attempts, self._wait, self._on

    def _as_call(self) -> str:
        wait = called(self._wait) if callable(self._wait) else f"{self._wait:g}"
        shown = f", wait={wait}" if self._wait else ""
        return f"retry({self._attempts}{shown}{self._on_shown()})"


class Recover(Catching[T]):
    """The items of a sequence, and other values where one fails."""

    __slots__ = ("_default", "_handler")

    def __init__(
        self,
        sequence: Any,
        default: Any,
        handler: Callable[[BaseException, int], Any] | None,
        on: tuple[type[BaseException], ...],
    ) -> None:
        super().__init__(sequence, on)
        self._default, self._handler = default, handler

    def _get(self, i: int) -> T:
        try:
            return self._read(i)  # type: ignore[no-any-return]
        except BaseException as error:
            if not is_caught(error, self._on):
                raise
            if self._handler is None:
                drop_frames(error)  # the same object may be raised again
                return self._default  # type: ignore[no-any-return]
            forget_earlier_raises(error)  # the handler may keep or show the error
            return self._handler(original_of(error), i)  # type: ignore[no-any-return]

    def _repairs(self) -> Any:
        return [self._default] if self._handler is None else None  # functions have marks

    def _rebuild(self, *sources: Any) -> "Recover[T]":
        return Recover(sources[0], self._default, self._handler, self._on)

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._default, self._handler, self._on

    def _as_call(self) -> str:
        handler = self._handler
        what = (
            f"default={short(self._default)}" if handler is None else f"handler={called(handler)}"
        )
        return f"recover({what}{self._on_shown()})"


def _add_note(error: BaseException, note: str) -> None:
    """Add a note once, because the same object may be raised again."""
    with suppress(Exception):  # a class of the user may change what notes are
        if note not in getattr(error, "__notes__", ()):
            error.add_note(note)


def _check_seconds(value: Any, name: str) -> float:
    """Return `value`; raise an error if it is no number of seconds."""
    if not is_number(value):
        message = f"{name} must be a number of seconds, got {short(value)}"
        raise TypeError(message)
    if not 0 <= value < float("inf"):
        message = f"{name} must be a finite number of seconds from 0 on, got {short(value)}"
        raise ValueError(message)
    return float(value)


def retry(
    sequence: Source[T], attempts: int, *, on: Caught = Exception, wait: Wait = 0.0
) -> LazySequence[T]:
    """Return `sequence`, each item of which is read again if that fails.

    Item `i` is the first result of `sequence[i]` that is no error, in at most `attempts` attempts.
    If all fail, the error is that of the last one, with a note of their number. Assigning to an
    item assigns to `sequence`.

    Items that are read together, such as those of a batch, are first read in bulk. If that fails,
    it is no attempt: each item is then read singly, with all its attempts.

    Args:
        sequence: The items, such as files of a network that fails now and then.
        attempts: How often to read an item in all, at least 1.
        on: The exceptions after which an item is read again: a class, or a tuple of classes. The
            original error is compared, also after a `prefetch`. What ends the program is never
            caught, and neither is a `WorkerStartError`.
        wait: Seconds to wait before the second attempt, twice as many before the third, and so on;
            or a function that returns the seconds, given the number of attempts that failed. The
            worker, or inline the reader, waits.

    Raises:
        TypeError: If `sequence` is not a sequence, or another argument is of a wrong type.
        ValueError: If `attempts` is less than 1, or `wait` is negative or not finite.

    Example:
        >>> from seqtools import smap
        >>> answers = [None, None, "a page"]
        >>> def download(url):
        ...     if (answer := answers.pop(0)) is None:
        ...         raise TimeoutError(url)
        ...     return answer
        >>> pages = retry(smap(download, ["example.org"]), 3, on=TimeoutError)
        >>> pages[0]
        'a page'
    """
    check_source(sequence)
    attempts = check_count(attempts, 1, "attempts")
    if not callable(wait):
        wait = _check_seconds(wait, "wait")
    return Retry(sequence, attempts, wait, check_caught(on))


def recover(
    sequence: Source[T],
    *,
    default: D = _MISSING,
    handler: Callable[[BaseException, int], D] | None = None,
    on: Caught = Exception,
) -> LazySequence[T | D]:
    """Return `sequence`, with another value in place of each item that fails.

    Item `i` is `sequence[i]`; if that fails, it is `default`, or `handler(error, i)`. Assigning to
    an item assigns to `sequence`. See `substitute` for another item of `sequence` instead.

    Items that are read together, such as those of a batch, are first read in bulk. If that fails,
    each is read again, singly.

    Args:
        sequence: The items.
        default: What an item is that fails: the same object for each of them.
        handler: Called with the original error and the index of the item; returns the item. What
            it raises is the error of the item. Give either this or `default`.
        on: The exceptions to catch, as for `retry`. After a `prefetch`, these may also be
            `WorkerDied` and `ItemTimeout`.

    Raises:
        TypeError: If `sequence` is not a sequence, both or none of `default` and `handler` are
            given, or another argument is of a wrong type.

    Example:
        >>> from seqtools import smap
        >>> numbers = smap(int, ["1", "2", "three"])
        >>> list(recover(numbers, default=0, on=ValueError))
        [1, 2, 0]
        >>> list(recover(numbers, handler=lambda error, i: f"{i}: {type(error).__name__}"))
        [1, 2, '2: ValueError']
    """
    check_source(sequence)
    if (default is _MISSING) == (handler is None):
        which = "neither" if handler is None else "both"
        message = f"recover() needs either default= or handler=, got {which}"
        raise TypeError(message)
    if handler is not None:
        check_function(handler, "handler")
        default = None  # type: ignore[assignment]  # it is not used
    return Recover[Any](sequence, default, handler, check_caught(on))
