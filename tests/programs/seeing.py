"""What the reader of a program saw."""

from collections.abc import Iterable, Iterator
from typing import Any

from seqtools._core.errors import WorkerStartError
from tests.programs.copying import copied
from tests.programs.looking import look, look_at_error

END, FAILED = object(), object()
"""What stands for the end of an iterator, and for an item that failed."""


class Seeing:
    """Notes each item as it comes, and errors in their place.

    Args:
        copies: Whether to give the reader a copy of each item.
    """

    def __init__(self, *, copies: bool = False) -> None:
        self.entries: list[str] = []
        self._copies = copies

    def each(self, items: Iterable[Any]) -> Iterator[Any]:
        """Yield the items, and go on after one that failed."""
        iterator = iter(items)
        while (item := self.next(iterator)) is not END:
            if item is not FAILED:
                yield item

    def next(self, iterator: Iterator[Any]) -> Any:
        """Return the next item, `FAILED` for an error, `END` at the end.

        What is no `Exception`, or no error of an item, counts as the end, because the item is
        still to be read.
        """
        try:
            item = next(iterator)
        except StopIteration:
            return END
        except BaseException as error:  # noqa: BLE001 -- what a program raises
            self.entries.append(look_at_error(error))
            of_item = isinstance(error, Exception) and not isinstance(error, WorkerStartError)
            return FAILED if of_item else END
        return self._seen(item)

    def at(self, sequence: Any, i: int) -> Any:
        """Return item `i`, `FAILED` for an error."""
        try:
            item = sequence[i]
        except BaseException as error:  # noqa: BLE001 -- what a program raises
            self.entries.append(look_at_error(error))
            return FAILED
        return self._seen(item)

    def _seen(self, item: Any) -> Any:
        self.entries.append(look(item))
        return copied(item) if self._copies else item

    def again(self, kept: list[Any]) -> None:
        """Note once more what was kept."""
        self.entries += [f"kept: {look(item)}" for item in kept]

    def quietly(self, sequence: Any, i: int) -> str:
        """Return item `i` as text, for a thread."""
        try:
            return look(sequence[i])
        except BaseException as error:  # noqa: BLE001 -- what a program raises
            return look_at_error(error)

    def tell(self, told: list[str]) -> None:
        """Note what was told."""
        self.entries += told
