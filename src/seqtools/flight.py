"""Single flight: one evaluation of a key, however many threads ask for it.

No lock is held while the value is made. A thread waits for the one that makes it,
unless that one waits, through any number of others, for this thread: then it makes
the value itself, so that threads that read each other's keys never wait in a circle.
"""

import threading
from collections.abc import Callable, Hashable
from typing import Any

_MISSING = object()
_lock = threading.Lock()
_waits: dict[int, "_Flight"] = {}
"""The flight that each waiting thread waits for, over all `Flights` of the process."""


in_turns = False
"""Whether a stage is to be evaluated by one thread at a time, as it is in worker processes."""


class _Flight:
    __slots__ = ("done", "leader", "value")

    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.done = threading.Event()
        self.value: Any = _MISSING


class Flights:
    """Evaluations under way, by key."""

    __slots__ = ("_active",)

    def __init__(self) -> None:
        self._active: dict[Hashable, _Flight] = {}

    def __contains__(self, key: object) -> bool:
        """Return whether `key` is being evaluated."""
        return key in self._active

    def get(
        self,
        key: Hashable,
        make: Callable[[], Any],
        keep: Callable[[Any, Callable[[], bool]], None],
    ) -> Any:
        """Return `make()`, or what another thread that makes it now returns from it.

        Args:
            key: What is asked for.
            make: Evaluates it. If it raises, those who wait try themselves, one after
                the other: an error is nobody else's.
            keep: Called with the value, and with a function that tells whether it is
                still good, that is `forget` was not called since `make` began.

        Raises:
            RecursionError: If `make` asks for its own `key`.
        """
        while True:
            mine = _Flight()
            flight = self._active.setdefault(key, mine)
            if flight is mine:
                return self._lead(key, mine, make, keep)
            if flight.leader == mine.leader:
                message = f"item {key} is needed to make item {key}"
                raise RecursionError(message)
            if not _wait(flight):
                return make()
            if flight.value is not _MISSING:
                return flight.value

    def _lead(self, key: Hashable, mine: _Flight, make: Any, keep: Any) -> Any:
        try:
            value = make()
            keep(value, lambda: self._active.get(key) is mine)
            mine.value = value
            return value
        finally:
            if self._active.get(key) is mine:
                del self._active[key]
            mine.done.set()

    def forget(self, key: Hashable) -> None:
        """Declare that what is being made for `key` now is no longer good."""
        self._active.pop(key, None)


def _wait(flight: _Flight) -> bool:
    """Wait for `flight`; return False at once if its leader waits for this thread."""
    me = threading.get_ident()
    with _lock:
        other: _Flight | None = flight
        while other is not None:
            if other.leader == me:
                return False
            other = _waits.get(other.leader)
        _waits[me] = flight
    try:
        # in pieces: a Ctrl-C that comes just before a wait is seen only after it
        while not flight.done.wait(0.5):
            pass
    finally:
        with _lock:
            _waits.pop(me, None)
    return True
