"""Single flight: one evaluation of a key, however many threads ask for it.

No lock is held while the value is made. A thread waits for the one that makes it,
unless that one waits, through any number of others, for this thread: then it makes
the value itself, so that threads that read each other's keys never wait in a circle.

An interrupt may come at any call. So what ends a flight is an assignment, before any call,
and who finds one that has ended and is still there removes it.
"""

import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from seqtools._core.at_fork import renew_in_children

T = TypeVar("T")

PAUSE = 0.5
"""Longest wait at a stretch, in seconds: see `seqtools.engines.base.PAUSE`."""

in_turns = False
"""Whether a stage is to be evaluated by one thread at a time, as it is in worker processes."""

_MISSING = object()
_TURN = object()
"""The key of what is made by one thread at a time, whatever it is."""


class _Flight:
    __slots__ = ("ended", "leader", "lock", "value")

    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.value: Any = _MISSING
        self.ended = False
        self.close()

    def close(self) -> None:
        """Have others wait."""
        self.lock = threading.Lock()  # open once it has ended
        self.lock.acquire()

    def wait(self) -> None:
        """Wait for its end."""
        while not self.ended:
            # in pieces: a Ctrl-C that comes just before a wait is seen only after it
            if self.lock.acquire(timeout=PAUSE):
                self.lock.release()


class _Waits:
    """The flight that each waiting thread waits for, over all `Flights` of the process."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools._core.at_fork`."""
        # Held for a few steps, to which the handler of a signal may come in the same thread.
        self.lock = threading.RLock()
        self.flights: dict[int, _Flight] = {}


_waits = _Waits()


class Flights:
    """Evaluations under way, by key."""

    __slots__ = ("__weakref__", "_active")

    def __init__(self) -> None:
        self._active: dict[Hashable, _Flight] = {}
        renew_in_children(self)

    def renew(self) -> None:
        """See `at_fork`: in a child nobody makes what other threads were making."""
        me = threading.get_ident()
        self._active = {k: f for k, f in self._active.items() if f.leader == me and not f.ended}
        for flight in self._active.values():
            flight.close()

    def __contains__(self, key: Hashable) -> bool:
        """Return whether `key` is being evaluated."""
        flight = self._active.get(key)
        return flight is not None and not flight.ended

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
            try:
                flight = self._active.setdefault(key, mine)
                if flight is mine:
                    value = make()
                    keep(value, partial(self._leads, key, mine))
                    mine.value = value
                    return value
            finally:
                mine.ended = True
                mine.lock.release()
                self._remove(key, mine)
            if flight.ended:
                self._remove(key, flight)
                continue
            if flight.leader == mine.leader:
                message = f"item {key} is needed to make item {key}"
                raise RecursionError(message)
            if not _wait(flight):
                return make()
            if flight.value is not _MISSING:
                return flight.value

    def in_turn(self, make: Callable[[], T]) -> T:
        """Return `make()`, called by one thread at a time.

        A thread that waits for this one, in its turn, does not keep it from going on.
        """
        while True:
            mine = _Flight()
            try:
                flight = self._active.setdefault(_TURN, mine)
                if flight is mine:
                    return make()
            finally:
                mine.ended = True
                mine.lock.release()
                self._remove(_TURN, mine)
            if flight.ended:
                self._remove(_TURN, flight)
            elif flight.leader == mine.leader or not _wait(flight):
                return make()

    def forget(self, key: Hashable) -> None:
        """Declare that what is being made for `key` now is no longer good."""
        with _waits.lock:
            self._active.pop(key, None)

    def _leads(self, key: Hashable, flight: _Flight) -> bool:
        return self._active.get(key) is flight

    def _remove(self, key: Hashable, flight: _Flight) -> None:
        with _waits.lock:
            if self._leads(key, flight):
                del self._active[key]


def _wait(flight: _Flight) -> bool:
    """Wait for `flight`; return False at once if its leader waits for this thread."""
    me = threading.get_ident()
    try:
        with _waits.lock:
            other: _Flight | None = flight
            while other is not None and not other.ended:  # who waits for that is about to go on
                if other.leader == me:
                    return False
                other = _waits.flights.get(other.leader)
            _waits.flights[me] = flight
        flight.wait()
    finally:
        with _waits.lock:
            _waits.flights.pop(me, None)
    return True
