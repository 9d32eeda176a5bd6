"""Events in the order of their times, and resources that serve one request after the other."""

import heapq
from collections import deque
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
    """The processors of one machine. A request gets the one that is free first.

    Args:
        n: How many there are; 0 if each request has its own.
        others: The part of their time that others take all the time.
    """

    def __init__(self, n: int, others: float = 0.0) -> None:
        self._free_at = [0.0] * n
        self._slower = 1 / (1 - others)

    def end(self, now: float, seconds: float) -> float:
        """Return when a request of so many seconds ends that begins now or later."""
        if not self._free_at:
            return now + seconds
        end = max(now, self._free_at[0]) + seconds * self._slower
        heapq.heapreplace(self._free_at, end)
        return end


class Server:
    """Serves one request after the other, in the order in which they were made.

    A request takes a processor when its turn has come, and not before: others use it until then.

    Args:
        clock: The clock.
        cores: Where it runs.
    """

    def __init__(self, clock: Clock, cores: Cores) -> None:
        self._clock, self._cores = clock, cores
        self._waiting = deque[tuple[float, Callable[..., Any], tuple[Any, ...]]]()
        self._serves = False
        self.used = 0.0
        """Seconds for which it was busy, or will be with the request it is at."""

    def serve(self, seconds: float, act: Callable[..., Any], *arguments: Any) -> None:
        """Call `act` when a request is served that is made now and takes `seconds`."""
        self._waiting.append((seconds, act, arguments))
        if not self._serves:
            self._serve_next()

    def _serve_next(self) -> None:
        seconds, act, arguments = self._waiting.popleft()
        self._serves = True
        self.used += seconds
        now = self._clock.now
        end = self._cores.end(now, seconds) if seconds > 0 else now
        self._clock.at(end, self._served, act, arguments)

    def _served(self, act: Callable[..., Any], arguments: tuple[Any, ...]) -> None:
        self._serves = False
        if self._waiting:
            self._serve_next()
        act(*arguments)
