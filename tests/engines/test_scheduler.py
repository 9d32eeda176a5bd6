"""Which worker is given which tasks, and what is to blame: without any process."""

from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterable, Sequence
from heapq import heappop, heappush
from itertools import count, groupby
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from seqtools.engines.base import AHEAD, Job
from seqtools.engines.dispatch.scheduler import Scheduler, Task, WorkerQueue
from seqtools.engines.wire.task_messages import LONGEST_LIST
from tests.machines import sized

GRAIN = 0.002
SLOW = 0.05
"""Seconds for an item of which a worker is dealt two."""
KeyOf = Callable[[int], Hashable]


def tens(i: int) -> int:
    """Ten indices share something."""
    return i // 10


def nothing(_: int) -> None:
    """Indices share nothing."""


def jobs(indices: Iterable[int], key_of: KeyOf = nothing) -> list[Job]:
    """Return jobs of one item, of which each has the number of its index."""
    return [Job(i, range(i, i + 1), key_of(i)) for i in indices]


def dealt(scheduler: Scheduler, *hands: WorkerQueue) -> list[list[int]]:
    return [list(task.indices) for _, task in scheduler.assign(hands)]


def answer(scheduler: Scheduler, hand: WorkerQueue, seconds: float = 0.0) -> list[int]:
    """Have a worker answer its first task."""
    return list(
        scheduler.answered(hand, hand.assigned[0], len(hand.assigned[0].indices), seconds).indices
    )


def slow_items(*, hinted: bool = False) -> Scheduler:
    """Return a scheduler that knows that items are slow."""
    scheduler, hand = Scheduler(GRAIN, hinted=hinted), WorkerQueue()
    for _ in range(20):
        scheduler.submit(jobs([0]))
        dealt(scheduler, hand)
        answer(scheduler, hand, SLOW)
    return scheduler


def work(scheduler: Scheduler, *hands: WorkerQueue) -> list[list[int]]:
    """Return what each worker was given, where all take the same time for an item."""
    given: list[list[int]] = [[] for _ in hands]
    while scheduler or any(hand.assigned for hand in hands):
        list(scheduler.assign(hands))
        for k, hand in enumerate(hands):
            if hand.assigned:
                given[k] += answer(scheduler, hand, SLOW)
    return given


# How much a worker is dealt


def test_workers_are_dealt_tasks_by_turns() -> None:
    scheduler, a, b = Scheduler(GRAIN), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(100)))
    assert dealt(scheduler, a, b)[:4] == [[0], [1], [2], [3]]
    assert [task.indices[0] for task in b.assigned][:2] == [1, 3]


def test_a_worker_is_dealt_twenty_milliseconds_of_work() -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(k, range(100 * k, 100 * k + 100)) for k in range(1000)])
    for _ in range(50):
        list(scheduler.assign([hand]))
        answer(scheduler, hand, 0.002)
    list(scheduler.assign([hand]))
    assert len(hand.assigned) == 10
    assert hand.items == 1000


def test_a_worker_is_dealt_no_more_tasks_than_fit_in_its_pipe() -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs(range(1000)))
    for _ in range(50):
        list(scheduler.assign([hand]))
        answer(scheduler, hand, 1e-6)
    list(scheduler.assign([hand]))
    assert len(hand.assigned) == 16


def test_expensive_items_are_dealt_two_to_a_worker() -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs(range(100)))
    for _ in range(20):
        list(scheduler.assign([hand]))
        answer(scheduler, hand, 0.5)
    list(scheduler.assign([hand]))
    assert [len(task.indices) for task in hand.assigned] == [1, 1]


def test_the_last_tasks_are_kept_for_the_worker_that_is_done_first() -> None:
    scheduler, a, b = Scheduler(GRAIN), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(8)))
    list(scheduler.assign([a, b]))
    assert [len(a.assigned), len(b.assigned)] == [2, 2]
    others = []
    while b.assigned:
        others += answer(scheduler, b, GRAIN)
        list(scheduler.assign([a, b]))
    assert others == [1, 3, 4, 5, 6, 7]
    assert len(a.assigned) == 2


def test_a_scheduler_is_true_while_tasks_wait() -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    assert not scheduler
    assert dealt(scheduler, hand) == []
    scheduler.submit(jobs([1]))
    assert scheduler
    assert dealt(scheduler, hand) == [[1]]
    assert not scheduler


def test_nothing_is_dealt_to_nobody() -> None:
    scheduler = Scheduler(GRAIN, hinted=True)
    scheduler.submit(jobs([1]))
    assert dealt(scheduler) == []
    assert scheduler


def test_urgent_jobs_are_dealt_first() -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs(range(5)), urgent=jobs([8]))
    assert [i for task in dealt(scheduler, hand) for i in task] == [8, 0]


def test_urgent_jobs_are_dealt_before_what_was_taken_back() -> None:
    scheduler, a, b = Scheduler(GRAIN), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs([1, 2]))
    assert dealt(scheduler, a) == [[1], [2]]
    assert scheduler.died(a, began=False) is None
    scheduler.submit(jobs([3]), urgent=jobs([9]))
    assert dealt(scheduler, b) == [[9], [1]]
    answer(scheduler, b)
    assert dealt(scheduler, b) == [[2]]


# What a task has


@pytest.mark.parametrize(
    "indices", [range(7, 2007), list(range(7, 2007)), np.arange(7, 2007), np.arange(7, 8)]
)
def test_consecutive_indices_are_a_range(indices: Sequence[int]) -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(1, indices, "key", 50)])
    ((_, task),) = scheduler.assign([hand])
    assert task.indices == range(7, 7 + len(indices))
    assert (task.job, task.offset, task.key, task.alone) == (1, 50, "key", False)


def test_a_range_with_a_step_stays_one() -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(1, range(2000, 0, -2))])
    ((_, task),) = scheduler.assign([hand])
    assert task.indices == range(2000, 0, -2)


@pytest.mark.parametrize("of", [list, np.array])
def test_long_lists_are_cut_to_fit_in_a_message(of: Callable[[list[int]], Any]) -> None:
    indices = [7 * k % 1000 for k in range(1000)]
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(1, of(indices), None, 5)], urgent=[Job(2, of(indices))])
    for job, first in ((2, 0), (1, 5)):
        found: list[int] = []
        while len(found) < len(indices):
            list(scheduler.assign([hand]))
            task = scheduler.answered(hand, hand.assigned[0], len(hand.assigned[0].indices), 1.0)
            assert (task.job, task.offset) == (job, first + len(found))
            assert len(task.indices) <= LONGEST_LIST
            assert all(type(i) is int for i in task.indices)
            found += task.indices
        assert found == indices
    assert not scheduler
    assert not hand.assigned


def test_answers_of_a_task_are_pieces_of_it() -> None:
    scheduler, hand = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(3, range(10, 20), None, 100)])
    ((_, task),) = scheduler.assign([hand])
    pieces = []
    for n, before in ((1, 0), (5, 1), (4, 6)):
        assert (hand.assigned[0].number, hand.assigned[0].answered) == (task.number, before)
        piece = scheduler.answered(hand, hand.assigned[0], n, 0.001)
        pieces.append((piece.job, piece.offset, piece.indices))
    assert pieces == [
        (3, 100, range(10, 11)),
        (3, 101, range(11, 16)),
        (3, 106, range(16, 20)),
    ]
    assert not hand.assigned
    assert not hand.items


def test_a_task_that_has_become_slow_comes_back_in_pieces() -> None:
    scheduler, a, b = Scheduler(GRAIN), WorkerQueue(), WorkerQueue()
    scheduler.submit([Job(1, range(100)), Job(2, range(100, 200))])
    list(scheduler.assign([a]))
    scheduler.answered(a, a.assigned[0], 4, 0.02)
    scheduler.returned(a, a.assigned[0])
    assert [task.job for task in a.assigned] == [2]
    assert a.items == 100
    assert dealt(scheduler, b)[:2] == [[4], [5]]
    assert [(task.job, task.offset) for task in b.assigned][:2] == [(1, 4), (1, 5)]


def test_a_task_that_cannot_be_sent_is_dealt_again() -> None:
    scheduler, a, b = Scheduler(GRAIN), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs([1, 2]))
    for hand, task in scheduler.assign([a]):
        if task.job == 2:
            scheduler.refused(hand)
            break
    assert [task.job for task in a.assigned] == [1]
    assert a.items == 1
    assert dealt(scheduler, b) == [[2]]


# What is to blame


def test_a_death_over_several_items_has_them_evaluated_alone() -> None:
    scheduler, a, b = Scheduler(GRAIN), WorkerQueue(), WorkerQueue()
    scheduler.submit([Job(1, range(10, 13)), Job(2, range(20, 22))])
    assert dealt(scheduler, a) == [[10, 11, 12], [20, 21]]
    assert list(scheduler.answered(a, a.assigned[0], 1, 0.0).indices) == [10]
    assert scheduler.died(a, began=True) is None
    assert not a.items
    assert dealt(scheduler, a, b) == [[11], [12]]
    assert a.assigned[0].alone
    assert b.assigned[0].alone
    assert dealt(scheduler, a, b) == []  # nothing is dealt after one that may do harm
    assert answer(scheduler, a) == [11]
    assert dealt(scheduler, a, b) == [[20, 21]]
    assert scheduler.died(b, began=True) is None  # the first death may have been over 11
    b = WorkerQueue()
    scheduler.submit(jobs([30]))
    assert answer(scheduler, a) == [20, 21]
    assert dealt(scheduler, b) == [[12]]
    assert scheduler.died(b, began=True) == (1, 2, 12)
    assert dealt(scheduler, b) == [[30]]


def test_no_worker_is_dealt_more_while_a_suspect_waits() -> None:
    scheduler, a, b, dead = Scheduler(GRAIN), WorkerQueue(), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs([1]))
    list(scheduler.assign([dead]))
    scheduler.submit(jobs(range(10, 100)))
    list(scheduler.assign([a, b]))
    assert scheduler.died(dead, began=True) is None
    while a.assigned:
        assert dealt(scheduler, a, b) == []
        answer(scheduler, a, GRAIN)
    ((hand, task), *_) = scheduler.assign([a, b])
    assert hand is a
    assert task.job == 1


def test_what_was_not_begun_at_a_first_death_is_not_to_blame_for_a_second() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(1, range(10, 12))])
    list(scheduler.assign([a]))
    assert scheduler.died(a, began=True) is None
    for i in (10, 11):
        a = WorkerQueue()
        assert dealt(scheduler, a) == [[i]]
        assert scheduler.died(a, began=True) is None


def test_a_death_before_the_pipeline_was_loaded_is_nobodys() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs([1, 2]))
    for _ in range(3):
        assert dealt(scheduler, a) == [[1], [2]]
        assert scheduler.died(a, began=False) is None


def test_what_was_survived_is_not_to_blame_later() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs([1]))
    for _ in range(3):
        assert dealt(scheduler, a) == [[1]]
        assert scheduler.died(a, began=True) is None
        assert dealt(scheduler, a) == [[1]]
        assert answer(scheduler, a) == [1]
        assert not scheduler._died_once
        scheduler.submit(jobs([1]))


def test_a_suspect_is_dealt_as_one_again_if_its_worker_did_not_begin() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs([1]))
    list(scheduler.assign([a]))
    assert scheduler.died(a, began=True) is None
    for began in (False, True):
        scheduler.submit(jobs([5]), urgent=jobs([6]))
        ((hand, task), *_) = scheduler.assign([a])
        assert (hand, task.job, task.alone) == (a, 1, True)
        assert scheduler.died(a, began=began) == ((1, 0, 1) if began else None)


def test_a_worker_that_is_given_up_leaves_all_but_one_item() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(1, range(10, 15)), Job(2, range(20, 22))])
    list(scheduler.assign([a]))
    scheduler.answered(a, a.assigned[0], 1, 0.001)
    assert scheduler.timed_out(a, 1) == (1, 2, 12)
    assert not a.assigned
    assert not a.items
    b = WorkerQueue()
    list(scheduler.assign([b]))
    assert [(task.offset, list(task.indices)) for task in b.assigned] == [(1, [11]), (3, [13, 14])]
    answer(scheduler, b)
    assert dealt(scheduler, b) == [[20, 21]]


def test_an_item_that_was_given_up_is_not_to_blame_later() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs([1]))
    list(scheduler.assign([a]))
    assert scheduler.died(a, began=True) is None
    list(scheduler.assign([a]))
    assert scheduler.timed_out(a) == (1, 0, 1)
    assert not scheduler
    assert not scheduler._died_once


def test_an_answer_of_no_use_has_its_items_evaluated_alone() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(1, range(10, 13))])
    list(scheduler.assign([a]))
    scheduler.suspect(scheduler.answered(a, a.assigned[0], 2, 0.001))
    assert answer(scheduler, a) == [12]
    for i in (10, 11):
        assert dealt(scheduler, a) == [[i]]
        assert a.assigned[0].alone
        assert answer(scheduler, a) == [i]
    assert not scheduler


# What is not wanted


def test_a_cancelled_job_is_not_dealt() -> None:
    scheduler, a = slow_items(hinted=True), WorkerQueue()
    scheduler.submit(jobs(range(100), tens), urgent=jobs([200, 201, 202, 203]))
    list(scheduler.assign([a]))
    scheduler.cancel([*range(50), 203, 10**6], [a])
    found = work(scheduler, a)[0]
    assert found == [200, 201, 202, *range(50, 100)]
    assert not scheduler


def test_a_cancelled_job_is_not_dealt_again() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit([Job(1, range(10, 14)), Job(2, range(20, 22)), Job(3, range(30, 32))])
    list(scheduler.assign([a]))
    scheduler.cancel([1, 2], [a])
    assert scheduler.died(a, began=True) is None
    assert work(scheduler, a) == [[30, 31]]


def test_a_cancelled_suspect_is_forgotten() -> None:
    scheduler, a = Scheduler(GRAIN), WorkerQueue()
    scheduler.submit(jobs([1]))
    list(scheduler.assign([a]))
    assert scheduler.died(a, began=True) is None
    scheduler.cancel([1], [a])
    assert not scheduler
    assert not scheduler._died_once


def test_nothing_is_left_after_all_was_cleared() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs([1]))
    list(scheduler.assign([b]))
    assert scheduler.died(b, began=True) is None
    scheduler.submit(jobs(range(30)), urgent=jobs([50]))
    list(scheduler.assign([a]))
    scheduler.clear([a, b])
    assert not scheduler
    assert dealt(scheduler, b) == []


# What belongs together


def test_items_that_share_something_are_dealt_to_the_same_worker() -> None:
    scheduler, a, b = slow_items(), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(80), tens))
    given = work(scheduler, a, b)
    assert sorted(given[0] + given[1]) == list(range(80))
    both = {tens(i) for i in given[0]} & {tens(i) for i in given[1]}
    assert len(both) <= 2  # those at the end
    assert abs(len(given[0]) - len(given[1])) <= 2


@pytest.mark.parametrize("hinted", [False, True])
def test_a_permutation_is_dealt_key_by_key(hinted: bool) -> None:
    scheduler, a = slow_items(hinted=hinted), WorkerQueue()
    scheduler.submit(jobs([37 * k % 100 for k in range(100)], tens))
    (given,) = work(scheduler, a)
    keys = [key for key, _ in groupby(map(tens, given))]
    assert sorted(keys) == list(range(10))


def test_the_last_key_is_for_all_workers() -> None:
    scheduler, a, b = slow_items(), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(10), tens))
    assert [len(indices) for indices in work(scheduler, a, b)] == [5, 5]


def test_what_is_urgent_does_not_wait_for_a_key() -> None:
    scheduler, a = slow_items(), WorkerQueue()
    scheduler.submit(jobs(range(30), tens))
    list(scheduler.assign([a]))
    scheduler.submit((), urgent=jobs([55], tens))
    answer(scheduler, a, SLOW)
    assert dealt(scheduler, a) == [[55]]


def test_a_worker_goes_on_with_its_key_after_an_urgent_job() -> None:
    scheduler, a, b = slow_items(), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs([*range(60), *range(100, 105), *range(110, 115)], tens))
    list(scheduler.assign([a, b]))
    scheduler.submit((), urgent=jobs([105, 115], tens))
    given = work(scheduler, a, b)
    assert [tens(i) for i in given[0][:11]] == [0, 0, 10, *[0] * 8]
    assert [tens(i) for i in given[1][:11]] == [1, 1, 11, *[1] * 8]


def test_a_worker_goes_on_with_the_key_of_an_urgent_job_if_its_own_is_done() -> None:
    scheduler, a, b = slow_items(), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs([0, 10], tens))
    list(scheduler.assign([a, b]))
    scheduler.submit(jobs([*range(20, 30), *range(31, 40), *range(40, 60)], tens), jobs([30], tens))
    assert [tens(i) for i in work(scheduler, a, b)[0][1:11]] == [3] * 10


def test_items_that_share_nothing_are_for_all_workers() -> None:
    scheduler, a, b = slow_items(), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(20)))
    given = work(scheduler, a, b)
    assert [len(each) for each in given] == [10, 10]
    assert given[0][:2] == [0, 2]


# What workers prepare for


def test_workers_are_told_of_keys_of_their_own() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(100), tens))
    told: dict[int, set[int]] = {id(a): set(), id(b): set()}
    for _ in range(15):
        for hand, task in scheduler.assign([a, b]):
            told[id(hand)].update(map(tens, [*task.indices, *scheduler.upcoming(hand)]))
        for hand in (a, b):
            answer(scheduler, hand, SLOW)
    assert not told[id(a)] & told[id(b)]
    assert len(told[id(a)]) > 2


def test_workers_are_told_of_a_key_long_before_its_items() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(600), lambda i: i // 100))
    list(scheduler.assign([a, b]))
    answer(scheduler, a, SLOW)
    list(scheduler.assign([a, b]))
    coming = scheduler.upcoming(a)
    assert len(coming) == AHEAD
    assert len({i // 100 for i in coming}) == 2


def test_what_workers_prepare_for_is_set_aside_for_them() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(100)))
    told: dict[int, set[int]] = {id(a): set(), id(b): set()}
    given: dict[int, list[int]] = {id(a): [], id(b): []}
    for _ in range(15):
        for hand, task in scheduler.assign([a, b]):
            told[id(hand)].update(task.indices, scheduler.upcoming(hand))
        for hand in (a, b):
            given[id(hand)] += answer(scheduler, hand, SLOW)
    assert not told[id(a)] & told[id(b)]
    assert [len(each) for each in told.values()] == [24, 24]  # 15, another dealt, and 8 to come
    assert given[id(a)] == list(range(0, 30, 2))  # by turns, so that none comes late
    assert given[id(b)] == list(range(1, 30, 2))


def test_of_long_tasks_one_is_set_aside_for_each() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit([Job(k, range(100 * k, 100 * k + 100)) for k in range(9)])
    list(scheduler.assign([a, b]))
    assert [len(a.reserved), len(b.reserved)] == [1, 1]
    assert scheduler.upcoming(b) == list(range(500, 500 + AHEAD))


def test_what_is_set_aside_for_a_busy_worker_is_taken_by_idle_ones() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(10)))
    list(scheduler.assign([a, b]))
    given = []
    while b.assigned:
        given += answer(scheduler, b, SLOW)
        list(scheduler.assign([a, b]))
    assert given == [1, 3, 5, 7, 9, 8, 6, 4]  # first its own, then from the end
    assert [list(task.indices) for task in a.assigned] == [[0], [2]]


def test_what_was_set_aside_for_workers_that_are_gone_is_dealt_first() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(30)))
    given = [i for (i,) in dealt(scheduler, a, b)]
    assert given == [0, 1, 2, 3]
    for hand in (a, b):
        assert scheduler.died(hand, began=False) is None
    scheduler.cancel(given, [])
    assert work(scheduler, WorkerQueue(), WorkerQueue()) == [
        list(range(4, 30, 2)),
        list(range(5, 30, 2)),
    ]


def test_what_is_set_aside_for_a_worker_that_is_let_go_of_is_dealt_to_others() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(30)))
    list(scheduler.assign([a, b]))
    scheduler.unreserve(b)
    assert [task.job for task in b.assigned] == [1, 3]
    assert sorted(work(scheduler, a)[0]) == [i for i in range(30) if i not in {1, 3}]


def test_what_is_set_aside_for_a_worker_that_is_not_there_is_left_to_it() -> None:
    scheduler, a, b = slow_items(hinted=True), WorkerQueue(), WorkerQueue()
    scheduler.submit(jobs(range(8)))
    list(scheduler.assign([a, b]))
    assert b.reserved
    given = []
    while a.assigned:
        given += answer(scheduler, a, SLOW)
        list(scheduler.assign([a]))
    assert given == [0, 2, 4, 6]
    assert scheduler  # and does not wait in vain


# How often something shared is loaded

PER_FILE, FILES = 200, 10
ITEM_SECONDS, LOAD_SECONDS = 0.005, 0.5


def loads(order: Sequence[int], nworkers: int, capacity: int, *, hinted: bool) -> int:
    """Return how many files are loaded, where each worker keeps two, in a simulation.

    Args:
        order: The items to read, as fast as they are there.
        nworkers: How many workers there are.
        capacity: How many items may be ahead of the reader.
        hinted: Whether workers prepare for what comes.
    """
    scheduler = Scheduler(GRAIN, hinted=hinted)
    hands = [WorkerQueue() for _ in range(nworkers)]
    kept: list[OrderedDict[int, None]] = [OrderedDict() for _ in hands]
    ends: list[tuple[float, int, int]] = []  # when a worker is done with its item
    busy: set[int] = set()
    ready: set[int] = set()
    turns = count()
    loaded = submitted = position = 0
    now = 0.0
    while position < len(order):
        ahead = range(submitted, min(len(order), position + capacity))
        scheduler.submit(
            [Job(k, range(order[k], order[k] + 1), order[k] // PER_FILE) for k in ahead]
        )
        submitted = ahead.stop
        list(scheduler.assign(hands))
        for k, hand in enumerate(hands):
            if hand.assigned and k not in busy:
                busy.add(k)
                file = hand.assigned[0].indices[0] // PER_FILE
                new = file not in kept[k]
                kept[k][file] = None
                kept[k].move_to_end(file)
                if len(kept[k]) > 2:
                    kept[k].popitem(last=False)
                loaded += new
                heappush(ends, (now + ITEM_SECONDS + LOAD_SECONDS * new, next(turns), k))
        now, _, k = heappop(ends)
        busy.remove(k)
        ready.add(scheduler.answered(hands[k], hands[k].assigned[0], 1, ITEM_SECONDS).job)
        while position in ready:
            position += 1
    return loaded


@pytest.mark.parametrize("hinted", [False, True])
@pytest.mark.parametrize(("nworkers", "most"), [(2, 10), (4, 16)])
def test_workers_seldom_load_the_same_file(nworkers: int, most: int, hinted: bool) -> None:
    files = [7 * k % FILES for k in range(FILES)]
    within = [PER_FILE * f + 37 * k % PER_FILE for f in files for k in range(PER_FILE)]
    for order in (range(PER_FILE * FILES), within):
        assert loads(order, nworkers, 1000, hinted=hinted) <= most


@pytest.mark.parametrize("hinted", [False, True])
@pytest.mark.parametrize("nworkers", [2, 4])
def test_a_permutation_of_all_items_loads_each_file_a_few_times(
    nworkers: int, hinted: bool
) -> None:
    n = PER_FILE * FILES
    order = [1237 * k % n for k in range(n)]
    assert loads(order, nworkers, 1000, hinted=hinted) <= 4 * FILES


# All of it in any order


class Scheduling(RuleBasedStateMachine):
    """Workers answer, die, are given up and replaced, while jobs come and are cancelled."""

    def __init__(self) -> None:
        super().__init__()
        self.hinted = False
        self.scheduler = Scheduler(GRAIN)
        self.hands = [WorkerQueue(), WorkerQueue(), WorkerQueue()]
        self.ids = count()
        self.first = 0  # index that was in no job yet
        self.due: set[tuple[int, int]] = set()  # job and offset of what is to be answered
        self.indices: dict[tuple[int, int], int] = {}
        self.cancelled: set[int] = set()
        self.deals: Counter[tuple[int, int]] = Counter()
        self.again: Counter[tuple[int, int]] = Counter()  # that it may be dealt once more
        self.deaths: Counter[tuple[int, int]] = Counter()  # as the only candidate
        self.numbers: dict[int, int] = {}

    @precondition(lambda self: not self.indices and not self.hinted)
    @rule()
    def hint(self) -> None:
        self.hinted = True
        self.scheduler = Scheduler(GRAIN, hinted=True)

    # What the model says

    def places(self, task: Task) -> list[tuple[int, int]]:
        return [(task.job, task.offset + k) for k in range(len(task.indices))]

    def settled(self, place: tuple[int, int], index: int) -> None:
        assert self.indices[place] == index
        if place[0] not in self.cancelled:
            self.due.remove(place)

    def may_be_dealt_again(self, tasks: Iterable[Task]) -> None:
        for task in tasks:
            self.again.update(self.places(task))

    def new_jobs(self, lengths: list[int], kind: int, key_of: KeyOf) -> list[Job]:
        made = []
        for n in lengths:
            indices: Any = range(self.first, self.first + n)
            self.first += n
            if kind:
                indices = [*indices][::-1] if kind == 1 else np.array([*indices])
            job = Job(next(self.ids), indices, key_of(self.first), offset=5)
            for k, i in enumerate(indices):
                self.indices[job.id, 5 + k] = int(i)
                self.due.add((job.id, 5 + k))
            made.append(job)
        return made

    # What happens

    @rule(
        ahead=st.lists(st.integers(1, 9), max_size=9),
        urgent=st.lists(st.integers(1, 3), max_size=2),
        kind=st.integers(0, 2),
        key_of=st.sampled_from([nothing, tens, lambda i: i % 3]),
    )
    def submit(self, ahead: list[int], urgent: list[int], kind: int, key_of: KeyOf) -> None:
        ahead_jobs, urgent_jobs = (self.new_jobs(n, kind, key_of) for n in (ahead, urgent))
        self.scheduler.submit(ahead_jobs, urgent_jobs)

    @rule(refuse=st.integers(0, 20), workers=st.sets(st.integers(0, 2)))
    def deal(self, refuse: int, workers: set[int]) -> None:
        hands = [hand for k, hand in enumerate(self.hands) if k not in workers]
        for k, (hand, task) in enumerate(self.scheduler.assign(hands)):
            assert any(hand is each for each in hands)
            assert hand.assigned[-1] is task
            assert len(hand.assigned) == 1 or not any(each.alone for each in hand.assigned)
            assert len(hand.assigned) <= 16
            assert task.number > max(self.numbers.values(), default=0)
            self.numbers[id(hand)] = task.number
            self.deals.update(self.places(task))
            assert all(self.deals[p] <= 1 + self.again[p] for p in self.places(task))
            assert len(self.scheduler.upcoming(hand)) <= AHEAD
            if k == refuse:
                self.may_be_dealt_again([task])
                self.scheduler.refused(hand)
                return
        if hands and self.scheduler and not workers:
            assert all(hand.assigned for hand in hands) or not self.scheduler._left

    @rule(k=st.integers(0, 2), n=st.integers(1, 9), seconds=st.sampled_from([0, 1e-6, 0.003, 1]))
    def answer(self, k: int, n: int, seconds: float) -> None:
        hand = self.hands[k]
        if hand.assigned:
            first = hand.assigned[0]
            expected = self.places(first)[:n]
            piece = self.scheduler.answered(hand, hand.assigned[0], len(expected), seconds)
            assert self.places(piece) == expected
            for place, i in zip(expected, piece.indices, strict=True):
                self.settled(place, i)
                self.deaths.pop(place, None)

    @rule(k=st.integers(0, 2))
    def fail_to_load(self, k: int) -> None:
        hand = self.hands[k]
        if hand.assigned and len(hand.assigned[0].indices) > 1:
            piece = self.scheduler.answered(
                hand, hand.assigned[0], len(hand.assigned[0].indices), 0.001
            )
            self.may_be_dealt_again([piece])
            self.scheduler.suspect(piece)

    @rule(k=st.integers(0, 2))
    def turn_slow(self, k: int) -> None:
        hand = self.hands[k]
        if hand.assigned and hand.assigned[0].answered:
            self.may_be_dealt_again([hand.assigned[0]])
            self.scheduler.returned(hand, hand.assigned[0])

    @rule(k=st.integers(0, 2), at=st.integers(0, 3))
    def give_up(self, k: int, at: int) -> None:
        hand = self.hands[k]
        if hand.assigned and at < len(hand.assigned[0].indices):
            self.may_be_dealt_again(hand.assigned)
            place = self.places(hand.assigned[0])[at]
            *found, i = self.scheduler.timed_out(hand, at)
            assert tuple(found) == place
            self.settled(place, i)
            self.deaths.pop(place, None)
            self.hands[k] = WorkerQueue()

    @rule(k=st.integers(0, 2), began=st.booleans())
    def die(self, k: int, began: bool) -> None:
        hand = self.hands[k]
        self.may_be_dealt_again(hand.assigned)
        candidates = self.places(hand.assigned[0]) if hand.assigned and began else []
        if len(candidates) == 1 and candidates[0][0] not in self.cancelled:
            self.deaths.update(candidates)
        culprit = self.scheduler.died(hand, began=began)
        assert not hand.assigned
        if len(candidates) == 1 and self.deaths[candidates[0]] == 2:
            assert culprit is not None
            assert culprit[:2] == candidates[0]
            self.settled(culprit[:2], culprit[2])
        else:
            assert culprit is None
        self.hands[k] = WorkerQueue()

    @rule(k=st.integers(0, 2))
    def release(self, k: int) -> None:
        self.scheduler.unreserve(self.hands[k])

    @rule(data=st.data())
    def cancel(self, data: st.DataObject) -> None:
        ids = data.draw(st.sets(st.integers(0, 30), max_size=5))
        self.scheduler.cancel(ids, self.hands)
        self.cancelled |= {job for job, _ in self.indices if job in ids}
        self.due = {place for place in self.due if place[0] not in ids}

    # What always holds

    @invariant()
    def each_item_is_in_one_place(self) -> None:
        scheduler = self.scheduler
        own = [task for hand in self.hands for task in hand.reserved]
        waiting = [*scheduler._urgent, *scheduler._again, *scheduler._waiting, *own]
        at_workers = [task for hand in self.hands for task in hand.assigned]
        assert scheduler._left == len(waiting)
        assert bool(scheduler) == bool(waiting or scheduler._suspects)
        assert not any(task.alone for task in waiting)
        assert all(task.alone and len(task.indices) == 1 for task in scheduler._suspects)
        found = Counter(
            place
            for task in (*waiting, *scheduler._suspects, *at_workers)
            for place in self.places(task)
            if task.wanted
        )
        assert set(found) == self.due
        assert all(n == 1 for n in found.values())
        for hand in self.hands:
            assert hand.items == sum(len(task.indices) for task in hand.assigned)
        assert scheduler._died_once == {p for p in self.deaths if p in self.due}

    def teardown(self) -> None:
        for _ in range(2 * len(self.due) + 100):
            self.deal(10**6, set())
            for k in range(3):
                self.answer(k, 10**6, 0.001)
        assert not self.due
        assert not self.scheduler
        assert not self.scheduler._died_once


TestScheduling = Scheduling.TestCase
TestScheduling.settings = sized(150, 40)
