"""Giving a quick reader several items at a time.

They lie in the run of its cursor, from where it takes them without asking. What is
changed of a cursor is changed in assignments that follow each other, between which no
interrupt can come.
"""

from collections import deque
from collections.abc import Container
from collections.abc import Set as AbstractSet
from contextlib import suppress
from itertools import islice, repeat
from typing import Any

from seqtools.prefetching.cursors import Cursor, Gatherer

MISSING: Any = object()
"""Stands for an outcome that is not there yet."""


def lend(ready: dict[int, Any], cursor: Cursor, most: int, singly: AbstractSet[type]) -> int:
    """Move what `cursor` reads next, up to `most` items, to its run; return how many.

    Args:
        ready: Outcomes by index, which nobody else expects.
        cursor: Whom to give them, if what it is going to read is a range.
        most: Most items to move.
        singly: Types of outcomes that are not lent, nor what is behind them.
    """
    if isinstance(cursor, Gatherer):
        return _lend_any(ready, cursor, most, singly)
    if type(cursor) is not Cursor or type(cursor.indices) is not range:
        return 0
    ahead = cursor.indices[cursor.head : cursor.head + min(most, len(ready))]
    values = list(map(ready.pop, ahead, repeat(MISSING)))
    if not {type(MISSING), *singly}.isdisjoint(map(type, values)):
        end = next(k for k, value in enumerate(values) if _ends(value, singly))
        kept = zip(ahead[end:], values[end:], strict=True)
        ready.update((i, value) for i, value in kept if value is not MISSING)
        del values[end:]
    run, head = deque(values), cursor.head + len(values)
    cursor.run = run
    cursor.head = head
    return len(run)


def _ends(value: Any, singly: Container[type]) -> bool:
    return value is MISSING or type(value) in singly


def _lend_any(ready: dict[int, Any], cursor: Gatherer, most: int, singly: Container[type]) -> int:
    found = list(islice(ready.items(), most))
    run = deque((i, o) for i, o in found if type(o) not in singly and cursor.wants(i))
    cursor.lent(run)
    for i, _ in run:
        del ready[i]
    return len(run)


def take_back(ready: dict[int, Any], cursor: Cursor) -> None:
    """Have what was lent to `cursor`, and was not read, ready again."""
    run = cursor.run
    # All of it in one step, and before anything else is changed: if this is interrupted
    # afterwards, it is found in `back` by the next who calls this.
    with suppress(IndexError):  # the reader may be taking from the other end
        cursor.back.extend(map(deque.pop, repeat(run, len(run))))
    if cursor.back:
        cursor.return_to(ready)
