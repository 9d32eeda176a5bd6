"""The items that failed: what `substitute` has replaced, and what `failures` has found.

A stage in a worker tells the stage of the consumer that an item has failed. The two know each other
by a mark, which the pickled stage has too. What carries the message is not of the core: see
`engines/dispatch/forwarding.py`.
"""

import os
from collections import Counter
from collections.abc import Callable
from typing import NamedTuple
from weakref import WeakValueDictionary

from seqtools._core.error_path import Step
from seqtools._core.errors import Failure, summary
from seqtools._core.user_exceptions import class_names, drop_frames, related

MOST = 1000
"""Most failed items that a stage keeps, with their errors. Arbitrary."""
_SHOWN = 10
"""Most failed items that a text shows. Arbitrary."""


class FailedItem(NamedTuple):
    """An item that could not be read.

    Example:
        >>> import seqtools
        >>> (bad,) = seqtools.failures(seqtools.smap(int, ["1", "two"]))
        >>> bad.index, bad.error, bad.path[-1].stage
        (1, ValueError("invalid literal for int() with base 10: 'two'"), 'smap(int)')
    """

    index: int  # type: ignore[assignment]  # a tuple has a method of this name
    """Index of the item in the sequence that was read."""
    error: BaseException
    """The original error, without the frames of its traceback. If it is larger than 10 kB, or its
    size is not known: an error of the same class with the same text, shortened, and without causes;
    if there can be none, a `RuntimeError` with the class and the text."""
    path: tuple[Step, ...]
    """A `Step` for every stage that the error has passed, from that sequence on: see
    `EvaluationError`."""

    def __str__(self) -> str:
        """Return a line: the index, the error, and what the function was given."""
        given = self.path[-1].called_with if self.path else ""
        return f"item {self.index}{f' ({given})' if given else ''}: {summary(self.error)}"


class Failures(list[FailedItem]):
    """A list of `FailedItem`, in the order of their indices.

    Example:
        >>> import seqtools
        >>> found = seqtools.failures(seqtools.smap(int, ["1", "two", "3", "four"]))
        >>> found
        2 items failed: 2 ValueError
          item 1 ('two'): ValueError: invalid literal for int() with base 10: 'two'
          item 3 ('four'): ValueError: invalid literal for int() with base 10: 'four'
        >>> found.indices, len(found)
        ([1, 3], 2)
    """

    __slots__ = ()

    @property
    def indices(self) -> list[int]:
        """The indices of the items, such as `substitute` takes."""
        return [each.index for each in self]

    def __repr__(self) -> str:
        """Return a line for all, and one for each of the first few."""
        if not self:
            return "no item failed"
        kinds = Counter(class_names(each.error)[0][1] for each in self).most_common()
        first = f"{len(self)} item{'s' if self[1:] else ''} failed: "
        lines = [first + ", ".join(f"{n} {kind}" for kind, n in kinds)]
        lines += [f"  {each}" for each in self[:_SHOWN]]
        if self[_SHOWN:]:
            lines.append(f"  … and {len(self) - _SHOWN} more")
        return "\n".join(lines)


class FailureLog:
    """The items of a stage that failed, one entry for each index, with copies of it in workers.

    Args:
        mark: Identifies the stage and its copies.
    """

    def __init__(self, mark: bytes | None = None) -> None:
        self.mark = mark or os.urandom(12)
        """See the class."""
        self._items: dict[int, FailedItem] = {}
        _logs[self.mark] = self

    def add(self, failed: FailedItem) -> None:
        """Keep `failed`, unless there are too many, and tell the consumer if this is a worker."""
        if len(self._items) < MOST and self._items.setdefault(failed.index, failed) is failed:
            for send in tuple(senders):
                send(self.mark, failed)

    def __len__(self) -> int:
        """Return how many there are."""
        return len(self._items)

    def __contains__(self, j: int) -> bool:
        """Return whether item `j` is one of them."""
        return j in self._items

    def failures(self) -> Failures:
        """Return all of them."""
        return Failures(sorted(self._items.copy().values(), key=lambda each: each.index))


_logs: WeakValueDictionary[bytes, FailureLog] = WeakValueDictionary()

senders: list[Callable[[bytes, FailedItem], None]] = []
"""In a worker, what sends a failed item to the consumer."""


def log_of(mark: bytes) -> FailureLog:
    """Return the log with this mark, a new one if this process has none."""
    log = _logs.get(mark)
    return FailureLog(mark) if log is None else log


def arrived(failed: FailedItem, mark: bytes) -> None:
    """Keep an item that failed in a worker, if the stage is still there."""
    log = _logs.get(mark)
    if log is not None:
        log.add(failed)


def failed_item(i: int, error: BaseException) -> FailedItem:
    """Return item `i`, whose `error` was just caught; drop the frames of the error.

    Frames would keep the values of variables. See `kept_errors` for an error that is large itself.
    """
    from seqtools._core.kept_errors import small  # which needs pickle

    caught = Failure.caught(error)
    for each in (*related(error), *related(caught.error)):
        drop_frames(each)
    return FailedItem(i, small(caught.error), caught.path)
