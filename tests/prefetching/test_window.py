"""The window is a state machine: it is driven without any worker."""

import random
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seqtools.prefetching.capacity import Capacity
from seqtools.prefetching.cursors import Cursor, Follower, Gatherer
from seqtools.prefetching.lending import MISSING
from seqtools.prefetching.window import Window
from tests.machines import sized


class Bench:
    """A window, and an engine that evaluates what a test tells it to."""

    def __init__(self, capacity: int) -> None:
        self.window = Window(Capacity(capacity))
        self.queue: list[int] = []
        self.asked: list[int] = []

    def plan(self) -> None:
        unwanted, urgent, ahead = self.window.plan()
        window = self.window
        held = len(window.ready) + len(window.pending - window._unwanted)
        assert not ahead or held <= window.capacity
        dropped = [i for i in self.queue if i in unwanted]
        self.queue = [i for i in self.queue if i not in dropped]
        self.window.cancelled(dropped)
        self.queue = [*urgent, *self.queue, *ahead]
        self.asked += [*urgent, *ahead]

    def evaluate(self, n: int = 1000) -> None:
        done, self.queue = self.queue[:n], self.queue[n:]
        self.window.received([(i, -i) for i in done])

    def read(self, cursor: Cursor, i: int) -> Any:
        if cursor.run and cursor.indices[cursor.head - len(cursor.run)] == i:
            return cursor.run.popleft()
        while (outcome := self.window.take(cursor, i)) is MISSING:
            self.plan()
            assert self.queue, "nothing is being evaluated, and a reader waits"
            self.evaluate(1)
        self.plan()
        return outcome

    def read_any(self, cursor: Gatherer) -> int:
        if cursor.run:
            i, outcome = cursor.run.popleft()
            assert outcome == -i
            cursor.given = i
            return int(i)
        while (found := self.window.take_any(cursor))[1] is MISSING:
            self.plan()
            assert self.queue, "nothing is being evaluated, and a reader waits"
            self.evaluate(1)
        self.plan()
        assert found[1] == -found[0]
        return found[0]

    def gather(self, indices: range) -> Gatherer:
        cursor = Gatherer(indices)
        self.window.open(cursor)
        return cursor

    def open(self, indices: Any) -> Cursor:
        cursor = Cursor(indices)
        self.window.open(cursor)
        return cursor


def follower(bench: Bench, size: int | None, near: int = 4) -> Follower:
    cursor = Follower(size, near)
    bench.window.open(cursor)
    return cursor


def test_a_reader_is_followed_to_its_end_and_no_further() -> None:
    bench = Bench(4)
    cursor = bench.open(range(2, 9))
    for i in range(2, 9):
        assert bench.read(cursor, i) == -i
    assert bench.asked == list(range(2, 9))
    assert not bench.window.ready


def test_the_window_is_full_without_a_call_of_the_reader() -> None:
    bench = Bench(4)
    bench.read(bench.open(range(100)), 0)
    assert bench.asked == [0, 1, 2, 3, 4]


def test_any_order_given_is_followed() -> None:
    order = np.array([5, 3, 3, 9, 0])
    bench = Bench(3)
    cursor = bench.open(order)
    assert [bench.read(cursor, i) for i in order] == [-5, -3, -3, -9, 0]
    assert bench.asked == [5, 3, 9, 0]  # the second 3 was kept for


def test_what_is_skipped_is_not_evaluated() -> None:
    bench = Bench(4)
    cursor = bench.open(range(100))
    bench.read(cursor, 0)
    bench.read(cursor, 50)
    bench.evaluate()
    assert bench.asked == [0, 1, 2, 3, 4, 50, 51, 52, 53, 54]
    assert sorted(bench.window.ready) == [51, 52, 53, 54]


def test_what_is_asked_out_of_turn_does_not_move_the_reader() -> None:
    bench = Bench(4)
    cursor = bench.open(range(10, 20))
    assert bench.read(cursor, 10) == -10
    assert bench.read(cursor, 3) == -3
    bench.evaluate()
    assert bench.read(cursor, 11) == -11
    assert bench.asked.count(11) == 1


def test_readers_share_the_room() -> None:
    bench = Bench(6)
    first, second = bench.open(range(50)), bench.open(range(50, 100))
    for i in range(20):
        assert bench.read(first, i) == -i
        assert bench.read(second, 50 + i) == -50 - i
        assert len(bench.window.ready) + len(bench.window.pending) <= 6
    assert len(bench.asked) == len(set(bench.asked))


def test_an_item_for_two_readers_is_evaluated_once() -> None:
    bench = Bench(8)
    first, second = bench.open(range(20)), bench.open(range(20))
    for i in range(20):
        assert bench.read(first, i) == bench.read(second, i) == -i
    assert bench.asked == list(range(20))


def test_a_reader_that_rests_gives_its_room_to_others() -> None:
    bench = Bench(6)
    resting, busy = bench.open(range(100, 200)), bench.open(range(100))
    bench.read(resting, 100)
    for i in range(20):
        bench.read(busy, i)
    bench.evaluate()
    assert sorted(bench.window.ready) == list(range(20, 26))
    assert bench.read(resting, 101) == -101
    bench.evaluate()
    assert sorted(bench.window.ready) == [20, 21, 22, 102, 103, 104]


def test_a_reader_that_leaves_leaves_nothing() -> None:
    bench = Bench(6)
    cursor = bench.open(range(100))
    bench.read(cursor, 0)
    bench.evaluate(3)
    bench.window.close(cursor)
    bench.plan()
    assert not bench.queue
    assert not bench.window.ready
    assert not bench.window.pending


def test_a_capacity_of_one() -> None:
    bench = Bench(1)
    first, second = bench.open(range(5)), bench.open(range(5, 10))
    for i in range(5):
        assert bench.read(first, i) == -i
        assert bench.read(second, 5 + i) == -5 - i
        assert len(bench.window.ready) + len(bench.window.pending) <= 1


def test_a_short_jump_keeps_the_overlap() -> None:
    bench = Bench(10)
    cursor = follower(bench, 100, 10)
    bench.read(cursor, 0)
    bench.evaluate()
    bench.read(cursor, 5)
    bench.evaluate()
    bench.read(cursor, 3)
    assert [bench.asked.count(i) for i in range(6, 13)] == [1] * 7


def test_random_reads_evaluate_what_is_read() -> None:
    bench = Bench(4)
    cursor = follower(bench, 1000)
    bench.read(cursor, 500)
    bench.asked.clear()
    order = [10, 900, 300, 700, 100]
    assert [bench.read(cursor, i) for i in order] == [-i for i in order]
    assert bench.asked == order


def test_a_stride_is_followed_after_a_few_reads() -> None:
    for step in (7, -1, -3, 40):
        bench = Bench(4)
        cursor = follower(bench, 1000)
        order = [500 + step * k for k in range(8)]
        for i in order[:3]:
            bench.read(cursor, i)
        bench.evaluate()
        assert set(order[3:7]) <= set(bench.window.ready), step


def test_a_follower_ends_with_the_sequence() -> None:
    bench = Bench(10)
    cursor = follower(bench, 5)
    bench.read(cursor, 3)
    assert bench.asked == [3, 4]
    bench.read(cursor, 1)
    assert max(bench.asked) == 4


def test_nothing_is_asked_behind_the_end_that_was_found() -> None:
    bench = Bench(4)
    cursor = bench.open(range(100))
    bench.read(cursor, 0)
    bench.window.ended(3)
    bench.evaluate()
    bench.read(cursor, 1)
    bench.read(cursor, 2)
    assert max(bench.asked) == 4


def test_a_reader_that_rests_at_its_end_may_still_ask_out_of_turn() -> None:
    bench = Bench(2)
    resting, busy = bench.open(range(3)), bench.open(range(100))
    assert [bench.read(resting, i) for i in range(3)] == [0, -1, -2]
    for i in range(10):
        bench.read(busy, i)
    assert bench.read(resting, 50) == -50
    bench.window.close(busy)
    assert [bench.read(resting, i) for i in (60, 60, 61)] == [-60, -60, -61]


def test_after_a_reset_everything_is_asked_again() -> None:
    bench = Bench(4)
    cursor = bench.open(range(10))
    bench.read(cursor, 0)
    bench.evaluate(2)
    bench.queue.clear()
    bench.window.reset()
    assert [bench.read(cursor, i) for i in range(1, 10)] == [-i for i in range(1, 10)]
    assert [bench.asked.count(i) for i in range(5)] == [1, 1, 1, 2, 2]


def brisk(bench: Bench, cursor: Cursor, most: int) -> None:
    """Do what the driver does for a reader who comes again and again."""
    bench.window.lend(cursor, most)
    bench.plan()


def test_what_is_lent_counts_until_it_is_read() -> None:
    bench = Bench(8)
    cursor = bench.open(range(100))
    bench.read(cursor, 0)
    bench.evaluate()
    brisk(bench, cursor, 4)
    assert list(cursor.run) == [-1, -2, -3, -4]
    assert max(bench.asked) == 8
    assert [bench.read(cursor, i) for i in (1, 2)] == [-1, -2]
    bench.plan()
    assert max(bench.asked) == 10
    assert [bench.read(cursor, i) for i in range(3, 100)] == [-i for i in range(3, 100)]
    assert bench.asked == list(range(100))


def test_what_is_lent_is_kept_when_the_reader_jumps() -> None:
    bench = Bench(8)
    cursor = bench.open(range(100))
    bench.read(cursor, 0)
    bench.evaluate()
    brisk(bench, cursor, 5)
    assert bench.read(cursor, 3) == -3  # those before it are passed over
    assert not cursor.run
    assert [bench.read(cursor, i) for i in (4, 5, 0)] == [-4, -5, 0]
    assert bench.asked.count(4) == bench.asked.count(5) == 1


def test_what_is_lent_is_forgotten_with_the_rest() -> None:
    bench = Bench(8)
    cursor = bench.open(range(100))
    bench.read(cursor, 0)
    bench.evaluate()
    brisk(bench, cursor, 4)
    assert bench.read(cursor, 1) == -1
    bench.queue.clear()
    bench.window.reset(forget=True)
    assert [bench.read(cursor, i) for i in (2, 3)] == [-2, -3]
    assert [bench.asked.count(i) for i in range(5)] == [1, 1, 2, 2, 2]


def test_nothing_is_lent_that_is_no_value_or_not_next() -> None:
    bench = Bench(8)
    bench.window = Window(Capacity(8), [str])
    cursor = bench.open(range(100))
    bench.read(cursor, 0)
    bench.window.received([(i, "error" if i == 3 else -i) for i in (1, 2, 3, 5)])
    bench.window.lend(cursor, 8)
    assert list(cursor.run) == [-1, -2]
    assert bench.window.ready == {3: "error", 5: -5}


def test_nothing_is_lent_of_what_others_may_expect() -> None:
    bench = Bench(8)
    first, second = bench.open(range(100)), bench.open(range(2, 100))
    bench.read(first, 0)
    bench.evaluate()
    bench.window.lend(first, 4)
    assert not first.run
    bench.window.close(second)
    bench.plan()
    bench.evaluate()
    bench.window.lend(first, 4)
    assert list(first.run) == [-1, -2, -3, -4]


def test_large_items_are_fewer() -> None:
    bench = Bench(100)
    bench.window = Window(Capacity(100, first=10, max_bytes=1000))
    cursor = bench.open(range(1000))
    bench.window.take(cursor, 0)
    bench.plan()
    assert bench.asked == list(range(10))  # nothing is known of their size
    bench.window.weighed([250])
    bench.plan()
    assert bench.window.capacity == 4
    bench.evaluate()
    assert bench.read(cursor, 0) == 0
    assert sorted(bench.window.ready) == [1, 2, 3]
    bench.window.weighed([10_000] * 4)
    assert bench.window.capacity == 1
    assert [bench.read(cursor, i) for i in range(1, 6)] == [-1, -2, -3, -4, -5]
    bench.window.weighed([10] * 200)
    bench.plan()
    assert bench.window.capacity > 50


def test_what_has_no_known_size_is_limited_by_number_alone() -> None:
    window = Window(Capacity(100, first=10, most=1000, max_bytes=1))
    window.weighed([None])
    assert window.capacity == 100


def test_what_is_there_is_not_dropped_for_a_little() -> None:
    bench = Bench(8)
    bench.window = Window(Capacity(8, max_bytes=800))
    cursor = bench.open(range(100))
    bench.window.weighed([100])
    bench.read(cursor, 0)
    bench.evaluate()
    bench.window.weighed([140])
    bench.plan()
    assert bench.window.capacity < 8
    assert sorted(bench.window.ready) == list(range(1, 9))


def pausing(bench: Bench, sizes: list[int | None]) -> None:
    """Read more than is ready after all of it was evaluated, and wait."""
    cursor = bench.open(range(10_000))
    for i in range(bench.window.capacity + 2):
        while bench.window.take(cursor, i) is MISSING:
            bench.window.starved()
            bench.plan()
            bench.evaluate()
            bench.window.weighed(sizes)
    bench.window.close(cursor)


def test_it_grows_where_a_reader_waits_although_all_was_ready() -> None:
    bench = Bench(10)
    bench.window = Window(Capacity(10, most=100))
    pausing(bench, [8])
    assert bench.window.capacity == 40
    pausing(bench, [8])
    pausing(bench, [8])
    assert bench.window.capacity == 100


@pytest.mark.parametrize("size", [None, 1 << 27])
def test_it_does_not_grow_by_items_that_are_large_or_of_unknown_size(size: int | None) -> None:
    bench = Bench(10)
    bench.window = Window(Capacity(10, most=100))
    pausing(bench, [size])
    assert bench.window.capacity == 10


def test_it_does_not_grow_where_workers_are_slow() -> None:
    bench = Bench(10)
    bench.window = Window(Capacity(10, most=100))
    bench.window.weighed([8])
    cursor = bench.open(range(10_000))
    for i in range(100):
        while bench.window.take(cursor, i) is MISSING:
            bench.window.starved()
            bench.plan()
            bench.evaluate(2)
    assert bench.window.capacity == 10


def test_items_are_gathered_as_they_come() -> None:
    bench = Bench(4)
    cursor = bench.gather(range(8))
    assert bench.window.take_any(cursor) == (0, MISSING)
    bench.plan()
    assert bench.asked == [0, 1, 2, 3]
    slow = bench.queue.pop(0)
    seen = []
    for _ in range(7):
        if not bench.window.ready:
            bench.evaluate(1)
        seen.append(bench.read_any(cursor))
    assert seen == [1, 2, 3, 4, 5, 6, 7]  # the slow one takes up no more than its own place
    assert bench.asked == list(range(8))
    bench.queue.append(slow)
    assert bench.read_any(cursor) == 0
    assert cursor.ended


def test_what_was_gathered_can_be_given_back() -> None:
    bench = Bench(4)
    cursor = bench.gather(range(10, 0, -1))
    assert [bench.read_any(cursor) for _ in range(3)] == [10, 9, 8]
    cursor.give_back(8)
    assert sorted(bench.read_any(cursor) for _ in range(8)) == list(range(1, 9))
    assert cursor.ended


def test_what_is_lent_to_a_gatherer_can_be_forgotten() -> None:
    bench = Bench(8)
    cursor = bench.gather(range(20))
    seen = [bench.read_any(cursor)]
    bench.evaluate()
    brisk(bench, cursor, 4)
    assert [i for i, _ in cursor.run] == [1, 2, 3, 4]
    seen.append(bench.read_any(cursor))
    bench.queue.clear()
    bench.window.reset(forget=True)
    assert not cursor.run
    while not cursor.ended:
        seen.append(bench.read_any(cursor))
    assert sorted(seen) == list(range(20))


def test_gatherers_share_with_others() -> None:
    bench = Bench(6)
    ordered, first, second = bench.open(range(30)), bench.gather(range(30)), bench.gather(range(30))
    seen: tuple[list[int], list[int]] = [], []
    for i in range(30):
        assert bench.read(ordered, i) == -i
        seen[0].append(bench.read_any(first))
        seen[1].append(bench.read_any(second))
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(30))
    assert not bench.window.ready


class Readers(RuleBasedStateMachine):
    """Readers of all kinds come, read, jump and go; the engine is as slow as it likes."""

    def __init__(self) -> None:
        super().__init__()
        self.bench = Bench(random.Random(0).randint(1, 6))
        self.cursors: list[tuple[Cursor, Any]] = []
        self.gatherers: list[tuple[Gatherer, set[int]]] = []

    @rule(capacity=st.integers(1, 8), most=st.integers(1, 20))
    @precondition(lambda self: not self.cursors and not self.gatherers)
    def begin(self, capacity: int, most: int) -> None:
        self.bench = Bench(capacity)
        self.bench.window = Window(
            Capacity(capacity, first=3, most=max(capacity, most), max_bytes=1000)
        )

    @rule(sizes=st.lists(st.one_of(st.none(), st.integers(1, 2000)), min_size=1, max_size=3))
    def weigh(self, sizes: list[int | None]) -> None:
        self.bench.window.weighed(sizes)

    @rule(start=st.integers(0, 20), length=st.integers(1, 20))
    @precondition(lambda self: len(self.gatherers) < 2)
    def open_gatherer(self, start: int, length: int) -> None:
        places = range(start, start + length)
        self.gatherers.append((self.bench.gather(places), set(places)))

    @rule(k=st.integers(0, 1), keeps=st.booleans())
    def gather(self, k: int, keeps: bool) -> None:
        if k >= len(self.gatherers):
            return
        cursor, left = self.gatherers[k]
        if cursor.ended and not cursor.run:
            assert not left
            self.bench.window.close(self.gatherers.pop(k)[0])
            self.bench.plan()
            return
        i = self.bench.read_any(cursor)
        assert i in left
        if keeps:
            left.discard(i)
        else:
            cursor.give_back(i)

    @rule()
    def starve(self) -> None:
        self.bench.window.starved()

    @rule(start=st.integers(0, 20), length=st.integers(0, 20), step=st.sampled_from([1, 2, -1]))
    @precondition(lambda self: len(self.cursors) < 4)
    def open_range(self, start: int, length: int, step: int) -> None:
        indices = [i for i in range(start, start + step * length, step) if i >= 0]
        places = range(start, start + step * len(indices), step)
        self.cursors.append((self.bench.open(places), iter(indices)))

    @rule(order=st.lists(st.integers(0, 15), max_size=12))
    @precondition(lambda self: len(self.cursors) < 4)
    def open_array(self, order: list[int]) -> None:
        self.cursors.append((self.bench.open(np.array(order, dtype=int)), iter(order)))

    @rule()
    @precondition(lambda self: len(self.cursors) < 4)
    def open_follower(self) -> None:
        self.cursors.append((follower(self.bench, 30), None))

    @rule(k=st.integers(0, 3), i=st.integers(0, 29))
    def read(self, k: int, i: int) -> None:
        if k >= len(self.cursors):
            return
        cursor, order = self.cursors[k]
        if order is not None:
            i = next(order, i)
        assert self.bench.read(cursor, i) == -i

    @rule(k=st.integers(0, 3))
    def leave(self, k: int) -> None:
        if k < len(self.cursors):
            self.bench.window.close(self.cursors.pop(k)[0])
            self.bench.plan()

    @rule(k=st.integers(0, 3), most=st.integers(1, 8))
    def lend(self, k: int, most: int) -> None:
        if k < len(self.cursors):
            brisk(self.bench, self.cursors[k][0], most)

    @rule(k=st.integers(0, 1), most=st.integers(1, 8))
    def lend_any(self, k: int, most: int) -> None:
        if k < len(self.gatherers):
            brisk(self.bench, self.gatherers[k][0], most)

    @rule()
    def refresh(self) -> None:
        self.bench.queue.clear()
        self.bench.window.reset(forget=True)
        assert not self.bench.window.ready

    @rule(n=st.integers(1, 8))
    def evaluate(self, n: int) -> None:
        self.bench.evaluate(n)

    @rule()
    def crash(self) -> None:
        self.bench.queue.clear()
        self.bench.window.reset()

    @invariant()
    def holds_no_more_than_its_capacity(self) -> None:
        window = self.bench.window
        wanted = window.pending - window._unwanted
        lent = sum(len(cursor.run) for cursor, _ in [*self.cursors, *self.gatherers])
        assert len(window.ready) + len(wanted) + lent <= window._capacity._items
        assert 1 <= window.capacity <= window._capacity.most
        assert window._unwanted <= window.pending
        assert not wanted & set(window.ready)

    @invariant()
    def pending_is_what_the_engine_has(self) -> None:
        assert sorted(self.bench.queue) == sorted(self.bench.window.pending)


TestReaders = Readers.TestCase
TestReaders.settings = sized(300, 40)
