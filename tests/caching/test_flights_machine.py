"""Single flight is a state machine: threads are driven step by step, beside a model of them.

The window's machine is in tests/prefetching/test_window.py, the cache's in
tests/caching/test_cache_machine.py. `make machines` drives all of them for long.
"""

import threading
from collections.abc import Callable, Hashable
from functools import partial
from queue import SimpleQueue
from typing import Any, NamedTuple

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from seqtools._core import single_flight
from seqtools._core.single_flight import Flights
from tests.machines import sized

LONG = 10.0
"""Seconds after which a thread that must have moved did not."""
THREADS = 4
DEEPEST = 5
KEYS = st.integers(0, 2)
TURN = single_flight._TURN


class Told(NamedTuple):
    """What a thread tells when it has come to stand still."""

    who: "Actor"
    what: str
    """`makes` something, `waits` for another thread, or has `got` what it asked for."""
    outcome: Any = None


class Actor:
    """A thread that does what it is told, and tells what became of it."""

    def __init__(self, flights: Flights, told: "SimpleQueue[Told]") -> None:
        self._flights, self._told = flights, told
        self.orders: SimpleQueue[Callable[[], Any] | None] = SimpleQueue()
        self.thread = threading.Thread(target=self._obey, daemon=True)
        self.thread.start()

    def read(self, key: Hashable) -> Any:
        if key is TURN:
            return self._flights.in_turn(self._make)
        return self._flights.get(key, self._make, self._keep)

    def _make(self) -> Any:
        self._told.put(Told(self, "makes"))
        return self._obey()

    def _keep(self, _: Any, good: Callable[[], bool]) -> None:
        self.kept = good()

    def _obey(self) -> Any:
        """Do as told until told to return or to raise."""
        while (order := self.orders.get()) is not None:
            try:
                outcome = order()
            except BaseException as error:  # noqa: BLE001 -- told
                outcome = error
            if isinstance(outcome, End):
                return outcome.end()
            self._told.put(Told(self, "got", outcome))
        return None


class End:
    """How what is being made ends."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def end(self) -> Any:
        if isinstance(self.value, BaseException):
            raise self.value
        return self.value


class Entry:
    """What the model knows of a flight."""

    def __init__(self, key: Hashable, leader: Actor | None) -> None:
        self.key, self.leader = key, leader
        self.waiting: list[Actor] = []


class Flying(RuleBasedStateMachine):
    """Threads ask for keys, and inside of that for others; what they make ends as it likes."""

    def __init__(self) -> None:
        super().__init__()
        single_flight._waits.renew()  # an example that failed may have left threads that wait
        self.told: SimpleQueue[Told] = SimpleQueue()
        self.flights = Flights()
        self.actors = [Actor(self.flights, self.told) for _ in range(THREADS)]
        self.by_ident = {actor.thread.ident: actor for actor in self.actors}
        self.active: dict[Hashable, Entry] = {}
        self.stacks: dict[Actor, list[Entry]] = {actor: [] for actor in self.actors}
        self.awaited: dict[Actor, Entry] = {}
        self.real = single_flight._Flight.wait
        told, by_ident, real = self.told, self.by_ident, self.real

        def wait(waited: single_flight._Flight) -> None:
            told.put(Told(by_ident[threading.get_ident()], "waits"))
            real(waited)

        single_flight._Flight.wait = wait  # type: ignore[method-assign]

    # What the model says

    def circle(self, entry: Entry, actor: Actor) -> bool:
        """Return whether who leads `entry` waits for `actor`."""
        other: Entry | None = entry
        while other is not None:
            if other.leader is actor:
                return True
            other = self.awaited.get(other.leader)  # type: ignore[arg-type]
        return False

    def asked(self, actor: Actor, key: Hashable) -> str:
        """Note that `actor` asks for `key`, and return what it does then."""
        entry = self.active.get(key)
        if entry is None:
            self.active[key] = entry = Entry(key, actor)
        elif entry.leader is actor and key is not TURN:
            return "got"
        elif self.circle(entry, actor):
            entry = Entry(key, None)  # it makes it by itself
        else:
            entry.waiting.append(actor)
            self.awaited[actor] = entry
            return "waits"
        self.stacks[actor].append(entry)
        return "makes"

    def expect(self, *actors: Actor) -> dict[Actor, Told]:
        """Return what each of `actors` tells when it has come to stand still."""
        found: dict[Actor, Told] = {}
        while len(found) < len(actors):
            told = self.told.get(timeout=LONG)
            assert told.who in actors
            assert told.who not in found
            found[told.who] = told
        return found

    # What happens

    def moving(self) -> list[Actor]:
        able = [actor for actor in self.actors if actor not in self.awaited]
        assert able, "all threads wait"
        return able

    @rule(k=st.integers(0, THREADS - 1), key=KEYS | st.just(TURN))
    def ask(self, k: int, key: Hashable) -> None:
        able = [actor for actor in self.moving() if len(self.stacks[actor]) < DEEPEST]
        if not able:
            return
        actor = able[k % len(able)]
        expected = self.asked(actor, key)
        actor.orders.put(partial(actor.read, key))
        told = self.expect(actor)[actor]
        assert told.what == expected
        if expected == "got":
            assert type(told.outcome) is RecursionError

    @rule(k=st.integers(0, THREADS - 1), error=st.sampled_from([None, OSError, KeyboardInterrupt]))
    def end(self, k: int, error: type[BaseException] | None) -> None:
        able = [actor for actor in self.moving() if self.stacks[actor]]
        if not able:
            return
        actor = able[k % len(able)]
        outcome = object() if error is None else error()
        entry = self.stacks[actor].pop()
        good = self.active.get(entry.key) is entry
        if good:
            del self.active[entry.key]
        for waiter in entry.waiting:
            del self.awaited[waiter]
        actor.orders.put(partial(End, outcome))
        told = self.expect(actor, *entry.waiting)
        assert told[actor].what == "got"
        assert told[actor].outcome is outcome
        if error is None and entry.leader is not None and entry.key is not TURN:
            assert actor.kept == good
            for waiter in entry.waiting:
                assert told[waiter].what == "got"
                assert told[waiter].outcome is outcome
        else:
            self.try_again(entry, told)

    def try_again(self, entry: Entry, told: dict[Actor, Told]) -> None:
        """Check that those who have waited for `entry` ask again, in any order."""
        # who leads was the first, and those that make it by themselves found that one there
        first = [w for w in entry.waiting if told[w].what == "makes"]
        rest = [w for w in entry.waiting if told[w].what != "makes"]
        for waiter in first + rest:
            assert told[waiter].what == self.asked(waiter, entry.key)

    @rule(key=KEYS)
    def forget(self, key: int) -> None:
        self.flights.forget(key)
        self.active.pop(key, None)

    # What always holds

    @invariant()
    def the_model_is_right(self) -> None:
        assert set(self.flights._active) == set(self.active)
        assert all(key in self.flights for key in self.active)
        waiting = {self.by_ident[ident] for ident in single_flight._waits.flights}
        assert waiting == set(self.awaited)

    def teardown(self) -> None:
        try:
            while any(self.stacks.values()):
                self.end(0, None)
            assert not self.flights._active
            assert not single_flight._waits.flights
        finally:
            single_flight._Flight.wait = self.real  # type: ignore[method-assign]
            for actor in self.actors:
                actor.orders.put(None)
        for actor in self.actors:
            actor.thread.join(LONG)
            assert not actor.thread.is_alive()


TestFlying = Flying.TestCase
TestFlying.settings = sized(60, 30)
