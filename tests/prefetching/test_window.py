"""The window is a state machine: it is driven without any worker."""

from collections import deque
from typing import Any

import numpy as np
import pytest

from seqtools._core.indices import ENDLESS
from seqtools.engines.base import END, Job, Part
from seqtools.prefetching.budget import Budget
from seqtools.prefetching.overlap import shared_run
from seqtools.prefetching.reader import RandomReader, Reader, SingleReader, UnorderedReader
from seqtools.prefetching.run import Run
from seqtools.prefetching.window import Window


class Bench:
    """A window, and an engine that evaluates what a test tells it to: item i is -i."""

    def __init__(self, capacity: int | Budget, *, seconds: float = 0.0, nworkers: int = 1) -> None:
        self.window = Window(Budget(capacity) if isinstance(capacity, int) else capacity)
        self.window.nworkers = nworkers
        self.window.cutter.grain = 1.0
        self.seconds = seconds
        """How long an item takes; all runs are single items if it is 0: none is timed."""
        self.jobs: deque[tuple[Job, int]] = deque()
        self.asked: list[int] = []

    def plan(self) -> None:
        unwanted, ahead, urgent = self.window.plan()
        self.jobs = deque(entry for entry in self.jobs if entry[0].id not in unwanted)
        self.jobs.extendleft((job, 0) for job in reversed(urgent))
        self.jobs.extend((job, 0) for job in ahead)
        for job in (*urgent, *ahead):
            self.asked += map(int, job.indices)
        self.window.sent([*urgent, *ahead])

    def evaluate(self, n: int = 1000) -> None:
        """Evaluate the next `n` items."""
        while self.jobs and n:
            job, offset = self.jobs.popleft()
            indices = job.indices[offset : offset + n]
            n -= len(indices)
            values = [-int(i) for i in indices]
            self.window.arrived(Part(job.id, offset, values, self.seconds * len(values)))
            if offset + len(indices) < len(job.indices):
                self.jobs.appendleft((job, offset + len(indices)))

    def take(self, reader: Reader) -> tuple[int, Any]:
        """Return the index that a reader reads next, and its value."""
        while (run := self.window.visit(reader)) is None:
            self.plan()
            if reader.next_run() is None:
                assert self.jobs, "nothing is being evaluated, and a reader waits"
                self.evaluate(1)
        i = int(run.indices[-len(run.values or ())])
        assert run.values
        value = run.values.popleft()
        self.plan()
        return i, value

    def read(self, reader: Reader, i: int) -> Any:
        """Read index `i`, as the pump does."""
        if not self.window.seek(reader, i):
            aside = self.open(SingleReader(range(i, i + 1)))
            found = self.take(aside)
            self.window.close(aside)
        else:
            found = self.take(reader)
        assert found[0] == i
        return found[1]

    def run_for(self, reader: Reader, n: int, together: int) -> None:
        """Have so many items read, and evaluated `together` where there is none."""
        for _ in range(n):
            if not self.window.fill()[0]:
                self.evaluate(together)
            self.take(reader)

    def open(self, reader: Any) -> Any:
        """Begin to serve a reader, of the indices that are given if it is none."""
        reader = reader if isinstance(reader, Reader) else Reader(reader)
        self.window.open(reader)
        return reader

    def ready(self) -> list[int]:
        """Return the indices that are evaluated and not read."""
        runs = [run for r in self.window.readers for run in r.cursor.ring if run.values]
        return sorted(int(i) for run in runs for i in run.indices[len(run.indices) - run.unread :])


def test_a_reader_is_followed_to_its_end_and_no_further() -> None:
    bench = Bench(4)
    reader = bench.open(range(2, 9))
    assert [bench.take(reader) for _ in range(7)] == [(i, -i) for i in range(2, 9)]
    assert bench.asked == list(range(2, 9))
    assert not bench.ready()
    assert bench.window.visit(reader) is None


def test_the_window_is_full_without_a_call_of_the_reader() -> None:
    bench = Bench(4)
    bench.take(bench.open(range(100)))
    assert bench.asked == [0, 1, 2, 3, 4]


def test_any_order_given_is_followed() -> None:
    order = np.array([5, 3, 3, 9, 0])
    bench = Bench(3)
    reader = bench.open(order)
    assert [bench.read(reader, i) for i in order] == [-5, -3, -3, -9, 0]
    assert bench.asked == order.tolist()


def test_what_is_skipped_is_not_evaluated() -> None:
    bench = Bench(4)
    reader = bench.open(range(100))
    bench.read(reader, 0)
    bench.read(reader, 50)
    bench.evaluate()
    assert bench.asked == [0, 1, 2, 3, 4, 50, 51, 52, 53, 54]
    assert bench.ready() == [51, 52, 53, 54]


def test_what_is_asked_out_of_turn_does_not_move_the_reader() -> None:
    bench = Bench(4)
    reader = bench.open(range(10, 20))
    assert bench.read(reader, 10) == -10
    assert bench.read(reader, 3) == -3
    bench.evaluate()
    assert bench.read(reader, 11) == -11
    assert bench.asked.count(11) == 1


def test_readers_share_the_room() -> None:
    bench = Bench(6)
    first, second = bench.open(range(50)), bench.open(range(50, 100))
    for i in range(20):
        assert bench.read(first, i) == -i
        assert bench.read(second, 50 + i) == -50 - i
        assert sum(bench.window.fill()) <= 6
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
    assert bench.ready() == list(range(20, 26))
    assert bench.read(resting, 101) == -101
    bench.evaluate()
    assert bench.ready() == [20, 21, 22, 102, 103, 104]


def test_a_reader_that_leaves_leaves_nothing() -> None:
    bench = Bench(6)
    reader = bench.open(range(100))
    bench.read(reader, 0)
    bench.evaluate(3)
    bench.window.close(reader)
    bench.plan()
    assert not bench.jobs
    assert bench.window.fill() == (0, 0)


def test_a_capacity_of_one() -> None:
    bench = Bench(1)
    first, second = bench.open(range(5)), bench.open(range(5, 10))
    for i in range(5):
        assert bench.read(first, i) == -i
        assert bench.read(second, 5 + i) == -5 - i
        assert sum(bench.window.fill()) <= 1


def test_runs_grow_as_items_are_timed_and_leave_work_for_all() -> None:
    bench = Bench(64, seconds=0.02, nworkers=4)
    reader = bench.open(range(1000))
    bench.take(reader)
    assert {len(job.indices) for job, _ in bench.jobs} == {1}, "nothing is known yet"
    bench.run_for(reader, 200, 8)
    lengths = [len(job.indices) for job, _ in bench.jobs]
    assert max(lengths) == 8, "a share of the window for each worker, twice"
    assert sum(bench.window.fill()) <= 64
    bench.seconds = 0.5
    bench.run_for(reader, 200, 8)
    assert max(len(job.indices) for job, _ in bench.jobs) <= 2, "not longer than a grain"


def test_what_arrives_twice_or_in_pieces_counts_once() -> None:
    bench = Bench(64, seconds=1e-4)
    reader = bench.open(range(1000))
    bench.run_for(reader, 400, 16)
    job = next(job for job, offset in bench.jobs if not offset and len(job.indices) > 5)
    first = job.indices[0]
    window, values = bench.window, [-i for i in job.indices]
    window.arrived(Part(job.id, 2, values[2:4]))
    assert {first + 2, first + 3} <= set(bench.ready())
    assert first not in bench.ready()
    window.arrived(Part(job.id, 1, ["wrong", "wrong", "wrong"]))
    assert window.expects(Part(job.id, 0, values))
    window.arrived(Part(job.id, 0, values))
    assert not window.expects(Part(job.id, 0, values))
    while (found := bench.take(reader))[0] <= job.indices[-1]:
        i, value = found
        assert value == ("wrong" if i == first + 1 else -i)


def test_a_job_is_planned_again_until_it_was_sent() -> None:
    bench = Bench(4)
    reader = bench.open(range(100))
    bench.window.visit(reader)
    before = bench.window.plan()
    bench.window.mend()  # the engine was not reached
    after = bench.window.plan()
    assert before == after
    assert [job.indices for job in after[2]] == [range(1)]
    bench.window.sent([*after[1], *after[2]])
    assert bench.window.plan() == ([], [], [])


def test_runs_end_with_their_group() -> None:
    bench = Bench(200, seconds=1e-4)
    bench.window.cutter.use(lambda i: (i // 10, range(i - i % 10, i - i % 10 + 10)))
    bench.window.cutter.grain = 5e-4
    reader = bench.open(range(1000))
    bench.run_for(reader, 300, 5)
    assert bench.jobs
    for job, _ in bench.jobs:
        assert {i // 10 for i in job.indices} == {job.key}


def test_a_short_jump_keeps_the_overlap() -> None:
    bench = Bench(10)
    reader = bench.open(RandomReader(100, 10))
    bench.read(reader, 0)
    bench.evaluate()
    bench.read(reader, 5)
    bench.evaluate()
    bench.read(reader, 3)
    assert [bench.asked.count(i) for i in range(6, 13)] == [1] * 7


def test_the_window_is_full_after_a_jump_to_an_item_that_was_waited_for() -> None:
    bench = Bench(10, seconds=1e-3)
    reader = bench.open(RandomReader(100, 10))
    bench.read(reader, 0)
    bench.evaluate(1)
    bench.read(reader, 5)
    assert sorted(bench.asked) == list(range(16))


def test_a_jump_back_keeps_what_lies_in_the_midst_of_runs() -> None:
    bench = Bench(40, seconds=1e-3)
    reader = bench.open(RandomReader(1000, 40))
    for i in range(300):
        bench.evaluate(8)
        bench.read(reader, i)
    bench.evaluate()
    held = bench.ready()
    assert len(held) > 20
    bench.asked.clear()
    assert bench.read(reader, 296) == -296
    assert not set(held[:20]) & set(bench.asked)


def test_random_reads_evaluate_what_is_read() -> None:
    bench = Bench(4)
    reader = bench.open(RandomReader(1000, 4))
    bench.read(reader, 500)
    bench.asked.clear()
    order = [10, 900, 300, 700, 100]
    assert [bench.read(reader, i) for i in order] == [-i for i in order]
    assert bench.asked == order


@pytest.mark.parametrize("step", [7, -1, -3, 40])
def test_a_stride_is_followed_after_a_few_reads(step: int) -> None:
    bench = Bench(4)
    reader = bench.open(RandomReader(1000, 4))
    order = [500 + step * k for k in range(8)]
    for i in order[:3]:
        bench.read(reader, i)
    bench.evaluate()
    assert set(order[3:7]) <= set(bench.ready())


def test_a_follower_ends_with_the_sequence() -> None:
    bench = Bench(10)
    reader = bench.open(RandomReader(5, 4))
    bench.read(reader, 3)
    assert bench.asked == [3, 4]
    bench.read(reader, 1)
    assert max(bench.asked) == 4


def test_what_was_said_is_read_ahead_until_something_else_is_read() -> None:
    bench = Bench(4)
    reader = bench.open(RandomReader(1000, 4))
    order = [900, 5, 300, 7, 8]
    bench.window.aim(reader, order)
    bench.plan()
    assert bench.asked == order[:4]
    assert [bench.read(reader, i) for i in order] == [-i for i in order]
    assert sorted(bench.asked) == sorted(order)
    assert bench.read(reader, 500) == -500


def test_nothing_is_asked_after_the_end_that_was_found() -> None:
    bench = Bench(4)
    reader = bench.open(range(ENDLESS))
    bench.read(reader, 0)
    bench.window.ended(3)
    bench.evaluate()
    bench.read(reader, 1)
    bench.read(reader, 2)
    assert max(bench.asked) == 4


def test_the_end_comes_in_place_of_an_item() -> None:
    bench = Bench(4)
    reader = bench.open(range(100))
    bench.window.visit(reader)
    bench.plan()
    job, _ = bench.jobs.popleft()
    bench.window.arrived(Part(job.id, 0, [END], failed=True))
    run = bench.window.visit(reader)
    assert run is not None
    assert run.failed
    assert list(run.values or ()) == [END]


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
    reader = bench.open(range(10))
    bench.read(reader, 0)
    bench.evaluate(2)
    bench.jobs.clear()
    bench.window.reset()
    assert [bench.read(reader, i) for i in range(1, 10)] == [-i for i in range(1, 10)]
    assert [bench.asked.count(i) for i in range(5)] == [1, 1, 1, 2, 2]


def test_what_is_to_be_forgotten_is_evaluated_again() -> None:
    bench = Bench(8)
    reader = bench.open(range(100))
    bench.read(reader, 0)
    bench.evaluate()
    assert bench.read(reader, 1) == -1
    bench.jobs.clear()
    bench.window.reset(forget=True)
    assert [bench.read(reader, i) for i in (2, 3)] == [-2, -3]
    assert [bench.asked.count(i) for i in range(5)] == [1, 1, 2, 2, 2]


def test_large_items_are_fewer() -> None:
    bench = Bench(Budget(100, first=10, max_bytes=1000))
    reader = bench.open(range(1000))
    bench.window.visit(reader)
    bench.plan()
    assert bench.asked == list(range(10))  # nothing is known of their size
    bench.window.weighed([250])
    bench.plan()
    assert bench.window.capacity.items == 4
    bench.evaluate()
    assert bench.read(reader, 0) == 0
    assert bench.ready() == [1, 2, 3]
    bench.window.weighed([10_000] * 4)
    assert bench.window.capacity.items == 1
    assert [bench.read(reader, i) for i in range(1, 6)] == [-1, -2, -3, -4, -5]
    bench.window.weighed([10] * 200)
    bench.plan()
    assert bench.window.capacity.items > 50


def test_what_has_no_known_size_is_limited_by_number_alone() -> None:
    window = Window(Budget(100, first=10, most=1000, max_bytes=1))
    window.weighed([None])
    assert window.capacity.items == 100


def test_what_is_there_is_not_dropped_for_a_little() -> None:
    bench = Bench(Budget(8, max_bytes=800))
    reader = bench.open(range(100))
    bench.window.weighed([100])
    bench.read(reader, 0)
    bench.evaluate()
    bench.window.weighed([140])
    bench.plan()
    assert bench.window.capacity.items < 8
    assert bench.ready() == list(range(1, 9))


def pausing(bench: Bench, sizes: list[int | None], most: int = 1000) -> None:
    """Read more than is ready, after `most` items of it were evaluated, and wait."""
    reader = bench.open(range(10_000))
    for _ in range(bench.window.capacity.items + 2):
        while (run := bench.window.visit(reader)) is None:
            bench.window.starved()
            bench.plan()
            bench.evaluate(most)
            bench.window.weighed(sizes)
        assert run.values
        run.values.popleft()
        bench.plan()
    bench.window.close(reader)


def test_it_grows_where_a_reader_waits_although_all_was_ready() -> None:
    bench = Bench(Budget(10, most=100))
    pausing(bench, [8])
    assert bench.window.capacity.items == 40
    pausing(bench, [8])
    pausing(bench, [8])
    assert bench.window.capacity.items == 100


@pytest.mark.parametrize("size", [None, 1 << 27])
def test_it_does_not_grow_by_items_that_are_large_or_of_unknown_size(size: int | None) -> None:
    bench = Bench(Budget(10, most=100))
    pausing(bench, [size])
    assert bench.window.capacity.items == 10


def test_it_does_not_grow_where_workers_are_slow() -> None:
    bench = Bench(Budget(10, most=100))
    pausing(bench, [8], most=2)
    assert bench.window.capacity.items == 10


def test_items_are_gathered_as_they_come() -> None:
    bench = Bench(4)
    reader = bench.open(UnorderedReader(range(8)))
    assert bench.window.visit(reader) is None
    bench.plan()
    assert bench.asked == [0, 1, 2, 3]
    slow = bench.jobs.popleft()
    seen = []
    for _ in range(7):
        if not bench.ready():
            bench.evaluate(1)
        seen.append(bench.take(reader)[0])
    assert seen == [1, 2, 3, 4, 5, 6, 7]  # the slow one takes up no more than its own place
    assert reader.state() == (8, [range(1)])
    assert bench.asked == list(range(8))
    bench.jobs.append(slow)
    assert bench.take(reader)[0] == 0
    assert reader.state() == (8, [])


def test_a_gatherer_can_have_all_evaluated_again() -> None:
    bench = Bench(8)
    reader = bench.open(UnorderedReader(range(20)))
    seen = [bench.take(reader)[0]]
    bench.evaluate()
    seen.append(bench.take(reader)[0])
    bench.jobs.clear()
    bench.window.reset(forget=True)
    while len(seen) < 20:
        seen.append(bench.take(reader)[0])
    assert sorted(seen) == list(range(20))


def test_gatherers_share_with_others() -> None:
    bench = Bench(6)
    ordered = bench.open(range(30))
    first, second = bench.open(UnorderedReader(range(30))), bench.open(UnorderedReader(range(30)))
    seen: tuple[list[int], list[int]] = [], []
    for i in range(30):
        assert bench.read(ordered, i) == -i
        seen[0].append(bench.take(first)[0])
        seen[1].append(bench.take(second)[0])
    assert sorted(seen[0]) == sorted(seen[1]) == list(range(30))
    assert not bench.ready()


def test_where_a_reader_stands_is_what_it_has_read() -> None:
    bench = Bench(8)
    reader = bench.open(range(10, 30))
    assert reader.state() == (0, [])
    bench.take(reader)
    bench.take(reader)
    bench.evaluate()
    assert reader.state() == (2, [])
    bench.read(reader, 15)
    assert reader.state() == (6, [])


def with_long_runs() -> Bench:
    """Return a bench where runs are of several items from the start."""
    bench = Bench(64)
    bench.window.cutter.timed(1e-4, 4)
    return bench


@pytest.mark.parametrize("kind", [Reader, UnorderedReader])
def test_a_drop_that_was_interrupted_loses_nothing(kind: type[Reader]) -> None:
    bench = with_long_runs()
    reader = bench.open(kind(range(100)))
    seen = [bench.take(reader)[0]]
    bench.evaluate()
    run = bench.window.visit(reader)
    assert run is not None
    assert run.values is not None
    assert len(run.values) == 8
    held = reader.held
    run.back = deque([run.values.pop(), run.values.pop()])  # as `take_back` begins
    assert reader.held == held
    bench.window.mend()
    seen += [bench.take(reader)[0] for _ in range(99)]
    assert sorted(seen) == list(range(100))


def test_what_a_jump_has_cut_off_arrives_before_anything_is_planned() -> None:
    bench = with_long_runs()
    reader = bench.open(range(100))
    bench.take(reader)
    assert bench.window.seek(reader, 4)
    bench.evaluate()
    assert bench.take(reader) == (4, -4)
    assert bench.asked.count(4) == 1


def test_a_run_of_which_all_was_taken_back_is_not_over() -> None:
    run = Run(0, range(3)).with_values("abc")
    run.take_back()
    assert not run.values
    assert (run.unread, run.over) == (3, False)
    assert list(run.rest().indices) == [0, 1, 2]


def test_a_run_that_is_being_dropped_is_of_no_use_to_another_reader() -> None:
    run = Run(0, range(8)).with_values([-i for i in range(8)])
    assert shared_run([[run]], 0, range(1, 3)) is not None
    run.back = deque([-7])
    run.values = deque([-i for i in range(7)])
    assert shared_run([[run]], 0, range(1, 3)) is None


def test_what_was_asked_for_in_another_window_is_asked_for_again() -> None:
    bench = Bench(4)
    reader = bench.open(range(10))
    bench.read(reader, 0)
    after = Bench(4)  # as in a forked child
    after.open(reader)
    assert [after.take(reader) for _ in range(9)] == [(i, -i) for i in range(1, 10)]


@pytest.mark.parametrize("kind", [Reader, UnorderedReader])
def test_nobody_goes_on_with_values_that_were_dropped(kind: type[Reader]) -> None:
    bench = with_long_runs()
    reader = bench.open(kind(range(100)))
    seen = [bench.take(reader)[0]]
    bench.evaluate()
    run = bench.window.visit(reader)
    assert run is not None
    assert run.values
    seen.append(-run.values.popleft())
    bench.window.reset(forget=True)
    bench.jobs.clear()
    bench.asked.clear()
    assert not run.values
    seen += [bench.take(reader)[0] for _ in range(98)]
    assert sorted(seen) == list(range(100))
    assert set(seen[2:]) <= set(bench.asked)


@pytest.mark.parametrize("read", [0, 1])
def test_what_a_gatherer_reads_from_is_given_once_when_others_come(read: int) -> None:
    bench = with_long_runs()
    reader = bench.open(UnorderedReader(range(100)))
    seen = [bench.take(reader)[0]]
    bench.jobs.rotate(1)
    bench.evaluate(8)  # what is furthest ahead
    run = bench.window.visit(reader)
    assert run is not None
    assert run.values
    seen += [-run.values.popleft() for _ in range(read)]
    others = [bench.open(range(100 * k, 100 * k + 100)) for k in range(1, 9)]
    for other in others:
        bench.take(other)
    while run.values:
        seen.append(-run.values.popleft())
    seen += [bench.take(reader)[0] for _ in range(100 - len(seen))]
    assert sorted(seen) == list(range(100))
    if read:
        assert [bench.asked.count(i) for i in run.indices] == [1] * len(run.indices)


def test_what_was_set_aside_for_want_of_room_comes_before_what_is_further_ahead() -> None:
    bench = Bench(8)
    reader = bench.open(UnorderedReader(range(100)))
    bench.take(reader)
    other = bench.open(range(100, 200))
    bench.take(other)
    bench.window.close(other)
    for _ in range(20):
        bench.take(reader)
        asked = {i for i in bench.asked if i < 100}
        assert asked == set(range(len(asked)))
        pending = {i for job, _ in bench.jobs for i in job.indices}
        assert len(pending) + len(bench.ready()) >= 4


def test_a_reader_with_a_length_is_told_of_an_end_by_each_item() -> None:
    bench = Bench(4)
    reader = bench.open(range(10))
    bench.take(reader)
    bench.window.ended(3)
    assert [bench.take(reader)[0] for _ in range(9)] == list(range(1, 10))


def test_what_is_left_behind_by_a_jump_is_not_evaluated() -> None:
    bench = Bench(4)
    reader = bench.open(RandomReader(1000, 4))
    for i in (500, 501, 498):
        bench.read(reader, i)
    bench.plan()
    assert not [job for job, _ in bench.jobs if not 498 < job.indices[0] <= 502]


def test_what_arrives_in_pieces_after_a_jump_back_is_not_lost() -> None:
    bench = with_long_runs()
    reader = bench.open(RandomReader(100, 4))
    assert [bench.read(reader, i) for i in range(2)] == [0, -1]
    bench.window.seek(reader, 0)
    bench.evaluate(2)
    assert [bench.read(reader, i) for i in range(50)] == [-i for i in range(50)]
    assert [bench.asked.count(i) for i in range(2, 20)] == [1] * 18


def test_a_part_whose_arrival_was_interrupted_arrives_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    bench = with_long_runs()
    reader = bench.open(range(100))
    bench.take(reader)
    job = next(job for job, _ in bench.jobs if len(job.indices) > 4)
    first = job.indices[0]
    part = Part(job.id, 2, [-first - 2, -first - 3])
    replace = Window._replace

    def replaces_and_raises(*arguments: Any) -> None:
        replace(*arguments)
        raise KeyboardInterrupt

    monkeypatch.setattr(Window, "_replace", replaces_and_raises)
    with pytest.raises(KeyboardInterrupt):
        bench.window.arrived(part)
    monkeypatch.setattr(Window, "_replace", replace)
    bench.window.mend()
    bench.window.arrived(part)
    bench.evaluate()
    assert [bench.take(reader) for _ in range(99)] == [(i, -i) for i in range(1, 100)]
    assert sorted(bench.asked) == list(range(100))


def test_a_window_that_grows_has_no_short_runs_far_ahead() -> None:
    bench = Bench(Budget(8, most=8000, small=1 << 24), seconds=0.001, nworkers=4)
    reader = bench.open(range(10_000))
    bench.take(reader)
    for items in (4000, 8000):
        bench.window.capacity.fill_workers(items)
        bench.window.weighed([8])
        bench.take(reader)
    lengths = [len(job.indices) for job, _ in bench.jobs]
    later = lengths[lengths.index(max(lengths)) :]
    assert max(lengths) > 100
    assert min(later[:-1]) > 100
