"""What a reader is to be given next."""

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

END: Any = "the end"


class Failed(NamedTuple):
    """Stands for the error of an item."""

    i: int


class Reads:
    """An iterator, or a stage that is read by index, and what it is to give.

    Args:
        it: The iterator, or the stage.
        indices: What is read, in terms of the prefetch.
        whole: What `it` iterates over, to be sliced in order to go on; `None` if that is not
            to be tried.
        any_order: Whether items come as they are ready.
        by_index: Whether `it` is read by index.
    """

    def __init__(
        self,
        it: Any,
        indices: Sequence[int],
        whole: Any = None,
        *,
        any_order: bool = False,
        by_index: bool = False,
    ) -> None:
        self.it, self.indices, self.whole = it, list(indices), whole
        self.any_order, self.by_index = any_order, by_index
        self.at = 0
        self.left = Counter(self.indices)

    def check(self, got: Any) -> None:
        """Fail if `got` is not what comes next."""
        if not self.any_order:
            wanted = self.indices[self.at] if self.at < len(self.indices) else END
            assert index_of(got) == wanted, f"{wanted} should come next, got {got}"
            self.at += 1
        elif got is END:
            assert not self.left.total(), f"it ended before {self.left}"
        else:
            assert self.left[index_of(got)] > 0, f"{got} is not among {self.left}"
            self.left[index_of(got)] -= 1


def index_of(outcome: Any) -> Any:
    """Return the index that an outcome is about, itself if that is the end."""
    return outcome.i if isinstance(outcome, Failed) else outcome
