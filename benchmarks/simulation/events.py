"""Events in the order of their times, and resources that serve one request after the other."""

import heapq
from collections.abc import Callable
from itertools import count
from typing import Any


class Clock:
    """Calls functions at given times. Those of the same time are called in the order given."""

    def __init__(self) -> None:
        self.now = 0.0
        self._events: list[tuple[float, int, Callable[..., Any], tuple[Any, ...]]] = []
        self._count = count()

    def at(self, time: float, act: Callable[..., Any], *arguments: Any) -> None:
        """Call `act` at `time`."""
        heapq.heappush(self._events, (time, next(self._count), act, arguments))

    def run(self, until: float = float("inf")) -> bool:
        """Go on to a time; return whether anything is left to happen later."""
        events = self._events
        while events and events[0][0] <= until:
            self.now, _, act, arguments = heapq.heappop(events)
            act(*arguments)
        if events:
            self.now = until
        return bool(events)


class Cores:
    """The processors of one machine. A request gets the one that is free first."""

    def __init__(self, n: int) -> None:
        self._free_at = [0.0] * n

    def begin(self, now: float, seconds: float) -> float:
        """Return when a request of so many seconds begins, now or later."""
        if not self._free_at:
            return now
        begin = max(now, self._free_at[0])
        heapq.heapreplace(self._free_at, begin + seconds)
        return begin


class Server:
    """Serves one request after the other, in the order in which they were made.

    Args:
        cores: Where it runs.
    """

    def __init__(self, cores: Cores) -> None:
        self._cores = cores
        self._free_at = 0.0
        self.used = 0.0
        """Seconds for which it was busy, or will be with the requests it has."""

    def serve(self, now: float, seconds: float) -> float:
        """Return when a request is served that is made now and takes `seconds`."""
        if seconds <= 0:
            return max(now, self._free_at)
        begin = self._cores.begin(max(now, self._free_at), seconds)
        self._free_at = begin + seconds
        self.used += seconds
        return self._free_at
