"""Indices set aside for each worker, so that it can prepare for what it is going to be given.

Where workers read ahead what comes next for any of them, each reads most of it in vain.
"""

from collections import deque
from collections.abc import Collection, Hashable, Iterator, Sequence
from itertools import chain, islice, zip_longest


class Reserves:
    """What is set aside: who has nothing left may take it nevertheless.

    Args:
        most: How many indices are set aside, for all workers together.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._of: dict[Hashable, deque[int]] = {}

    def __len__(self) -> int:
        """Return the number of indices."""
        return sum(map(len, self._of.values()))

    def __iter__(self) -> Iterator[int]:
        """Yield the indices, worker by worker."""
        return chain.from_iterable(self._of.values())

    def fill(self, workers: Sequence[Hashable], indices: deque[int], n: int) -> None:
        """Take from `indices` for each of `workers` by turns, `n` at a time.

        What was for others, who are gone, goes back.
        """
        gone = [self._of.pop(worker) for worker in list(self._of) if worker not in workers]
        rounds = chain.from_iterable(zip_longest(*gone))
        indices.extendleft([i for i in rounds if i is not None][::-1])
        share = max(1, self._most // len(workers))
        short = [own for w in workers if len(own := self._of.setdefault(w, deque())) < share]
        while short and indices:
            for own in short:
                own.extend(indices.popleft() for _ in range(min(n, len(indices))))
            short = [own for own in short if len(own) < share]

    def take(self, worker: Hashable, n: int) -> list[int]:
        """Return up to `n` indices of a worker, or else of the one that has most."""
        own = self._of.get(worker)
        if own:
            return [own.popleft() for _ in range(min(n, len(own)))]
        other = max(self._of.values(), key=len, default=None)
        if not other:
            return []
        # the last, for which that one has prepared least
        return [other.pop() for _ in range(min(n, len(other)))][::-1]

    def coming(self, worker: Hashable, n: int) -> list[int]:
        """Return the next `n` indices of a worker."""
        return list(islice(self._of.get(worker, ()), n))

    def drop(self, indices: Collection[int]) -> set[int]:
        """Forget those of `indices` that are here, and return them."""
        dropped = set(self).intersection(indices)
        if dropped:
            self._of = {w: deque(i for i in o if i not in dropped) for w, o in self._of.items()}
        return dropped

    def clear(self) -> None:
        """Forget everything."""
        self._of.clear()
