"""A reader of items that say which they are: it notes what came, and what is wrong with that."""

import re
from collections.abc import Callable, Iterator
from typing import Any

from seqtools._core.errors import EvaluationError, ItemTimeout, WorkerDied, WorkerStartError
from tests.faults.harness.payloads import Wrong


class Reading:
    """Reads items one by one.

    Args:
        items: Where they come from.
        which: Returns the index that a value says it has, or raises `Wrong`.
        ordered: Whether they have to come in order.
    """

    def __init__(
        self, items: Iterator[Any], which: Callable[[Any], int], *, ordered: bool = True
    ) -> None:
        self._items, self._which, self._ordered = items, which, ordered
        self._damaged = 0
        self._last = -1
        self.seen: set[int] = set()
        self.failed: list[tuple[int, str]] = []
        """Index and reason of the items that failed."""
        self.unable: list[str] = []
        """What was said when there were no workers."""
        self.defects: list[tuple[str, str]] = []
        """What is wrong: a column of the report, and words."""

    @property
    def count(self) -> int:
        """How many items have come."""
        return len(self.seen) + self._damaged

    def read(self) -> bool:
        """Read one more item, and return whether there was one."""
        try:
            value = next(self._items)
        except StopIteration:
            return False
        except WorkerStartError as error:
            self.unable.append(str(error))
            return True
        except EvaluationError as error:
            i = _place(error)
            self.failed.append((i, _reason(error)))
        else:
            try:
                i = self._which(value)
            except Wrong as error:
                self._damaged += 1
                self.defects.append(("wrong", str(error)))
                return True
        self._note(i)
        return True

    def _note(self, i: int) -> None:
        if i in self.seen:
            self.defects.append(("repeated", f"item {i}"))
        elif self._ordered and i < self._last:
            self.defects.append(("reordered", f"item {i} after item {self._last}"))
        self.seen.add(i)
        self._last = i

    def read_until(self, enough: Callable[[], object]) -> None:
        """Read on until there is `enough`, also where workers could not be started."""
        while self.read() and not enough():
            pass

    def read_to(self, n: int) -> None:
        """Read on until `n` items have come."""
        self.read_until(lambda: self.count == n)

    def lacks(self, n: int) -> list[tuple[str, str]]:
        """Return why these are not the first `n` items, one after the other."""
        failed = [("failed", f"item {i}: {reason}") for i, reason in self.failed]
        return [*self.defects, *failed, *self.missing(n)]

    def missing(self, n: int) -> Iterator[tuple[str, str]]:
        """Yield which of the first `n` items did not come, and which are none of them."""
        lost = sorted(set(range(n)) - self.seen)
        for i in lost[self._damaged :]:  # a value that is damaged is not lost as well
            yield "lost", f"item {i}"
        for i in sorted(self.seen - set(range(n))):
            yield "wrong", f"there is no item {i}"


def _place(error: EvaluationError) -> int:
    if error.index is not None:
        return error.index
    told = re.search(r"item (\d+)", str(error))
    return int(told[1]) if told else -1


def _reason(error: EvaluationError) -> str:
    cause = error.__cause__
    if isinstance(cause, WorkerDied):
        return "died"
    if isinstance(cause, ItemTimeout):
        return "timeout"
    if isinstance(cause, RuntimeError) and str(cause) == "a fault on demand":
        return "raised"
    if isinstance(cause, TypeError) and "a fault on demand" in str(cause):
        return "not sent"
    return repr(cause)
