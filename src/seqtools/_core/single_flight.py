"""Single flight: one evaluation of a key, however many threads request it.

A thread holds no lock while it evaluates a value. Other threads wait for that thread, unless it
waits for them, directly or through others: then a thread evaluates the value itself, so that
threads that read each other's keys never wait in a circle.

An interrupt may come at any call. So an assignment, before any call, ends a flight, and a thread
that finds a flight which has ended removes it.
"""

import threading
from collections.abc import Callable, Hashable
from functools import partial
from typing import Any, TypeVar

from seqtools._core.at_fork import renew_in_children

T = TypeVar("T")

PAUSE = 0.5
"""Longest wait without a break, in seconds: see `seqtools.engines.base.PAUSE`."""

in_turns = False
"""Whether only one thread at a time evaluates a stage, as in worker processes."""

_MISSING = object()
_TURN = object()
"""The key of all evaluations of which only one thread at a time does one."""


class _Flight:
    """An evaluation that one thread does, the leader, and for which others wait."""

    __slots__ = ("ended", "leader", "lock", "value")

    def __init__(self) -> None:
        self.leader = threading.get_ident()
        self.value: Any = _MISSING
        self.ended = False
        self.close()

    def close(self) -> None:
        """Let others wait."""
        self.lock = threading.Lock()  # free once the flight has ended
        self.lock.acquire()

    def wait(self) -> None:
        """Wait for the end."""
        while not self.ended:
            # in pieces: a thread notices a Ctrl-C that comes just before a wait only after it
            if self.lock.acquire(timeout=PAUSE):
                self.lock.release()


class _Waits:
    """The flight for which each waiting thread waits, over all `Flights` of the process."""

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools._core.at_fork`."""
        # A signal handler may run in the same thread while it holds the lock.
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
        """Forget the flights of other threads, which a forked child does not have."""
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
        keep: Callable[[Any, Callable[[], bool]], None] | None = None,
    ) -> Any:
        """Return `make()`, or what it returns in another thread that evaluates `key` now.

        Args:
            key: What is requested.
            make: Evaluates it. If it raises, the threads that wait try it themselves, one after
                the other.
            keep: Called with the value, and with a function that tells whether the value is
                still valid, which means that `forget` was not called since `make` began. With
                `None`, threads do not share values: each calls `make`, one after the other.

        Raises:
            RecursionError: If `make` requests its own `key`, and values are shared.
        """
        while True:
            mine = _Flight()
            try:
                flight = self._active.setdefault(key, mine)
                if flight is mine:
                    value = make()
                    if keep is not None:
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
            if flight.leader == mine.leader and keep is not None:
                message = f"item {key} is needed to make item {key}"
                raise RecursionError(message)
            if flight.leader == mine.leader or not _wait(flight):
                return make()
            if flight.value is not _MISSING:
                return flight.value

    def in_turn(self, make: Callable[[], T]) -> T:
        """Return `make()`, called by one thread at a time."""
        return self.get(_TURN, make)  # type: ignore[no-any-return]

    def forget(self, key: Hashable) -> None:
        """Declare that the value that is being evaluated for `key` is no longer valid."""
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
            while other is not None and not other.ended:  # its waiters are about to continue
                if other.leader == me:
                    return False
                other = _waits.flights.get(other.leader)
            _waits.flights[me] = flight
        flight.wait()
    finally:
        with _waits.lock:
            _waits.flights.pop(me, None)
    return True
