"""The places of a cluster of Dask, whose workers come and go."""

import threading
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from seqtools.engines.cluster.transport import Place


class WorkerPlaces:
    """A place for each thread of each worker.

    Args:
        most: The number of places, `None` for no limit.
        resources: What each call takes of the resources of a worker.
    """

    def __init__(self, most: int | None, resources: Mapping[str, float]) -> None:
        self._most, self._resources = most, resources
        self._anywhere = Place()
        self._threads: dict[str, int] = {}
        self._known: dict[tuple[str, int], Place] = {}
        self.places: tuple[Place, ...] = (self._anywhere,)
        """Those of the workers; if there is no worker, one for the first that comes."""
        self.single = False
        """Whether each worker has one thread."""
        self.spare = False
        """Whether a worker that has a place could have another one."""
        self.unsuitable = False
        """Whether there are workers, but none has the resources."""
        self.times_forgotten = 0
        """How often workers were taken for gone."""
        self._lock = threading.Lock()

    @property
    def addresses(self) -> Collection[str]:
        """The workers."""
        return self._threads.keys()

    def update(self, workers: Mapping[str, Mapping[str, Any]], times_forgotten: int) -> bool:
        """Take the workers that there are now; return whether they are others than before.

        Args:
            workers: What the scheduler says of each, by its address.
            times_forgotten: The attribute, before the scheduler was asked. If it has changed, the
                answer may name workers that have gone, and is of no use.
        """
        with self._lock:
            return self.times_forgotten == times_forgotten and self._take(workers)

    def forget(self, addresses: Collection[str]) -> None:
        """Take workers for gone, until they are named again."""
        with self._lock:
            self.times_forgotten += 1
            threads = {other: n for other, n in self._threads.items() if other not in addresses}
            known = {at: place for at, place in self._known.items() if at[0] not in addresses}
            self._threads, self._known = threads, known
            self.places = tuple(known.values()) or (self._anywhere,)

    def _take(self, workers: Mapping[str, Mapping[str, Any]]) -> bool:
        threads = {address: self._places_of(each) for address, each in workers.items()}
        threads = {address: n for address, n in threads.items() if n}
        self.unsuitable = bool(workers) and not threads
        self.single = all(each["nthreads"] == 1 for each in workers.values())
        if threads == self._threads:
            return False
        self._threads = threads
        everywhere = [(address, k) for address, n in threads.items() for k in range(n)]
        known = {where: self._known[where] for where in everywhere if where in self._known}
        # first one of each worker, so that they share the work if they are more than needed
        new = sorted([where for where in everywhere if where not in known], key=lambda at: at[1])
        if self._most is not None:
            new = new[: max(0, self._most - len(known))]
        self._known = known | {where: Place(where[0]) for where in new}
        self.places = tuple(self._known.values()) or (self._anywhere,)
        used = Counter(address for address, _ in self._known)
        self.spare = any(threads[address] > n for address, n in used.items())
        return True

    def _places_of(self, worker: Mapping[str, Any]) -> int:
        """Return how many calls a worker can make at a time."""
        n: int = worker["nthreads"]
        has = worker.get("resources", {})
        for name, amount in self._resources.items():
            if amount > 0:
                n = min(n, int(has.get(name, 0) // amount))
        return n
