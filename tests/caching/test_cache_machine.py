"""A cache that is read, assigned and made to fail in any order, beside a list and its keys."""

import pickle
from collections import OrderedDict

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from seqtools import EvaluationError, add_cache
from seqtools.testing import Probe
from seqtools.testing.subject import outcomes

SIZE = 6
INDEX = st.integers(-SIZE, SIZE - 1)
EDGE = st.none() | st.integers(-SIZE - 1, SIZE + 1)


class Caching(RuleBasedStateMachine):
    """What is read is true or fails; what was used last, and only that, is not read again."""

    @initialize(room=st.integers(0, SIZE + 1), given=st.booleans())
    def make(self, room: int, given: bool) -> None:
        self.items = list(range(SIZE))
        self.probe = Probe(self.items)
        self.cached = add_cache(self.probe, room, {} if given else None)
        self.room = SIZE if given else room  # a dict drops nothing
        self.kept: OrderedDict[int, None] = OrderedDict()

    def expect(self, i: int) -> int | None:
        """Return what reading item `i` gives, None for an error, and note what is kept then."""
        if i not in self.kept:
            self.reads.append(i)
            if i in self.probe.errors:
                return None
        self.kept[i] = None
        self.kept.move_to_end(i)
        while len(self.kept) > self.room:
            self.kept.popitem(last=False)
        return self.items[i]

    def begin(self) -> None:
        self.probe.clear()
        self.reads: list[int] = []

    def forget(self, i: int) -> None:
        self.kept.pop(i, None)
        assert i not in self.probe.errors

    @rule(i=INDEX)
    def read(self, i: int) -> None:
        self.begin()
        wanted = self.expect(i % SIZE)
        if wanted is not None:
            assert self.cached[i] == wanted
        else:
            with pytest.raises(EvaluationError) as caught:
                self.cached[i]
            assert caught.value.__cause__ is self.probe.errors[i % SIZE]
        assert self.probe.reads == self.reads

    @rule(start=EDGE, stop=EDGE, step=st.sampled_from([None, 2, -1]))
    def iterate(self, start: int | None, stop: int | None, step: int | None) -> None:
        self.begin()
        key = slice(start, stop, step)
        got = list(outcomes(self.cached[key], SIZE + 1))
        wanted = [self.expect(i) for i in range(SIZE)[key]]
        assert [None if isinstance(o, EvaluationError) else o for o in got] == wanted
        assert self.probe.reads == self.reads

    @rule(i=INDEX, value=st.integers())
    def assign(self, i: int, value: int) -> None:
        self.cached[i] = self.items[i] = value
        self.forget(i % SIZE)

    @rule(start=EDGE, stop=EDGE, value=st.integers())
    def assign_slice(self, start: int | None, stop: int | None, value: int) -> None:
        places = range(SIZE)[start:stop]
        values = [value + i for i in places]
        self.cached[start:stop] = values
        for i, item in zip(places, values, strict=True):
            self.items[i] = item
            self.forget(i)

    @rule(i=INDEX)
    def break_one(self, i: int) -> None:
        self.probe.errors[i % SIZE] = OSError("made to fail")

    @rule(i=INDEX)
    def mend_one(self, i: int) -> None:
        self.probe.errors.pop(i % SIZE, None)

    @rule(i=st.sampled_from([SIZE, -SIZE - 1]))
    def miss(self, i: int) -> None:
        with pytest.raises(IndexError):
            self.cached[i]
        with pytest.raises(IndexError):
            self.cached[i] = 0

    @rule()
    def copy(self) -> None:
        copied = pickle.loads(pickle.dumps(self.cached))
        got = list(outcomes(copied, SIZE + 1))
        known = [i for i, outcome in enumerate(got) if not isinstance(outcome, EvaluationError)]
        assert [got[i] for i in known] == [self.items[i] for i in known]
        assert set(range(SIZE)) - set(known) <= self.probe.errors.keys()

    @invariant()
    def source_has_what_was_assigned(self) -> None:
        assert self.probe.peek() == self.items


TestCaching = Caching.TestCase
