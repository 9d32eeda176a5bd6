"""What is decided from what was seen, without threads, processes or clocks."""

import math
from typing import Any

import pytest

from seqtools.engines.adaptive.choice import MOST_THREADS, Choice
from seqtools.engines.adaptive.measurements import ItemTime, Observation, TransferCost

CHEAP = TransferCost(1e-6, 1e-6, 0)


def begun(*arguments: Any, **more: Any) -> Choice:
    """Return a choice that has seen the first item."""
    choice = Choice(*arguments, **more)
    assert choice.decide(first(7.0, 7.0, n=1))
    return choice


def first(wall: float, cpu: float, cost: TransferCost = CHEAP, n: int = 0) -> Observation:
    """Return what is seen of one thread, for which a reader waits."""
    n = n or max(10, math.ceil(0.101 / wall))
    times = (ItemTime(wall, cpu),) * min(n, 10_000)
    return Observation(n * wall, n * wall, n, n * wall, times=times, costs=(cost,))


def threads(
    choice: Choice, wall: float, cpu: float, cost: TransferCost = CHEAP, **more: Any
) -> Observation:
    """Return what is seen of threads that are never idle, in a second."""
    n = round(choice.nworkers / wall)
    times = (ItemTime(wall, cpu),) * n
    seen = Observation(1.0, 1.0, n, n * wall, times=times, costs=(cost,))
    return seen._replace(**more)


def processes(rate: float, *, waited: float = 1.0, seconds: float = 0.003) -> Observation:
    """Return what is seen of processes in a second."""
    return Observation(1.0, waited, round(rate), round(rate) * seconds)


def chosen(choice: Choice) -> tuple[str, int]:
    return choice.method, choice.nworkers


def computing(wall: float = 0.003, cpu: float = 0.003, cores: int = 4) -> Choice:
    """Return a choice while it tries several threads."""
    choice = begun(None, cores)
    assert choice.decide(first(wall, cpu))
    assert choice.nworkers == round(2 * wall / cpu)
    assert choice.undecided
    return choice


def test_it_begins_with_one_thread_and_says_so() -> None:
    choice = Choice(None, 4)
    assert chosen(choice) == ("thread", 1)
    assert choice.remark() == "not yet chosen"
    assert choice.period() == 0
    assert choice.measuring


def test_ten_items_are_enough_if_they_take_a_while_and_so_are_fewer_that_take_long() -> None:
    choice = begun(None, 4)
    assert not choice.decide(first(0.01, 0, n=9))
    assert not choice.decide(first(0.001, 0, n=90))
    assert choice.remark() == "not yet chosen"
    assert choice.decide(first(0.011, 0, n=10))
    assert choice.remark() != "not yet chosen"
    choice = begun(None, 4)
    assert choice.decide(first(0.3, 0, n=1))
    assert choice.remark() != "not yet chosen"


def test_items_that_wait_get_many_threads() -> None:
    choice = begun(None, 2)
    choice.decide(first(0.01, 0.0001))
    assert chosen(choice) == ("thread", MOST_THREADS)
    assert choice.remark() == "chose 32 threads: items wait 99 % of 10 ms"
    assert not choice.undecided


def test_no_more_threads_than_use_the_cores() -> None:
    choice = begun(None, 2)
    choice.decide(first(0.006, 0.002))
    assert chosen(choice) == ("thread", 6)


def test_no_more_workers_than_items_may_be_ahead() -> None:
    choice = begun(None, 8, max_cached=3)
    choice.decide(first(0.01, 0.0001))
    assert chosen(choice) == ("thread", 3)
    assert Choice("process", 8, max_cached=3).nworkers == 3
    assert Choice("process", 8, max_cached=1).nworkers == 1
    assert not Choice(None, 8, max_cached=1).both_possible


def test_the_first_item_does_not_count() -> None:
    choice = Choice(None, 2)
    assert not choice.decide(Observation(1.0, 1.0))
    assert not choice.decide(first(0.01, 0.01, n=2))
    assert choice.decide(first(9.0, 9.0, n=1))
    assert choice.remark() == "not yet chosen"
    choice.decide(first(0.02, 0))
    assert chosen(choice) == ("thread", MOST_THREADS)


def test_items_that_hold_the_lock_get_processes() -> None:
    choice = computing()
    choice.decide(threads(choice, 0.006, 0.003))
    assert chosen(choice) == ("process", 4)
    assert choice.remark() == (
        "chose 4 processes: items compute for 3 ms and hold the lock of the interpreter"
    )


def test_items_that_release_the_lock_get_threads() -> None:
    choice = computing()
    choice.decide(threads(choice, 0.003, 0.003))
    assert chosen(choice) == ("thread", 4)
    assert choice.remark() == (
        "chose 4 threads: items compute for 3 ms and release the lock of the interpreter"
    )


def test_items_that_wait_and_hold_the_lock_get_processes_where_there_are_many_cores() -> None:
    choice = computing(0.006, 0.002, cores=16)
    assert choice.nworkers == 6  # as many as would compute on two cores
    choice.decide(threads(choice, 0.012, 0.002))
    assert chosen(choice) == ("process", 16)
    choice = computing(0.006, 0.002, cores=16)
    choice.decide(threads(choice, 0.006, 0.002))
    assert chosen(choice) == ("thread", 32)


def test_nothing_is_tried_further_while_one_thread_does() -> None:
    choice = begun(None, 4)
    for _ in range(9):
        assert choice.decide(threads(choice, 0.003, 0.003, waited=0.0))
        assert chosen(choice) == ("thread", 1)
    assert choice.remark().startswith("not yet chosen: 1 thread: items compute for 3 ms")


def test_other_programs_are_not_taken_for_the_lock() -> None:
    choice = computing()
    # for half of the time, no core was free for them
    times = (ItemTime(0.003, 0.003),) * 333
    choice.decide(Observation(1.0, 1.0, 333, 1.0, delay=1.0, times=times, costs=(CHEAP,)))
    assert chosen(choice) == ("thread", 4)


def test_threads_that_hinder_each_other_are_one() -> None:
    choice = computing()
    choice.both_possible = False
    choice.decide(threads(choice, 0.007, 0.007))
    assert chosen(choice) == ("thread", 1)


def test_values_that_take_long_to_send_stay_with_threads() -> None:
    for wall, cost in (
        (0.003, TransferCost(0.002, 0.004, 0)),
        (0.001, TransferCost(0, 0, 1 << 26)),
    ):
        choice = begun(None, 4)
        choice.decide(first(wall, wall, cost))
        assert choice.nworkers == 2
        choice.decide(threads(choice, 2 * wall, wall, cost))
        assert chosen(choice) == ("thread", 1)


def test_trivial_items_get_one_thread() -> None:
    choice = begun(None, 2)
    choice.decide(first(3e-7, 3e-7))
    assert chosen(choice) == ("thread", 1)
    assert not choice.measuring
    choice.decide(Observation(1.0, 1.0, 500_000, 0.5, times=(ItemTime(3e-7, 3e-7),)))
    assert chosen(choice) == ("thread", 1)
    assert choice.remark() == ("chose 1 thread: items compute for 0.3 µs, sending them takes 6 µs")


def test_trivial_items_get_one_thread_on_a_busy_machine_too() -> None:
    choice = begun(None, 2)
    choice.decide(first(3e-7, 3e-7)._replace(seconds=9.0, waited=9.0))
    assert chosen(choice) == ("thread", 1)
    assert not choice.undecided


def test_small_items_get_processes_if_one_thread_does_not_do() -> None:
    choice = begun(None, 4)
    choice.decide(threads(choice, 2e-5, 2e-5, waited=0.0))
    assert chosen(choice) == ("thread", 1)
    choice.decide(threads(choice, 2e-5, 2e-5))
    assert chosen(choice) == ("process", 4)
    assert choice.remark() == (
        "chose 4 processes: items compute for 20 µs, sending them takes 6 µs"
    )


def test_what_was_chosen_once_stays() -> None:
    choice = computing()
    choice.decide(threads(choice, 0.006, 0.003))
    for _ in range(9):
        choice.decide(processes(2))
        assert chosen(choice) == ("process", 4)
    choice = waiting()
    for _ in range(9):  # by now, they hold the lock
        choice.decide(threads(choice, 0.1, 0.1 / choice.nworkers))
        assert choice.method == "thread"


def test_a_method_that_is_given_is_kept() -> None:
    choice = begun("thread", 4)
    for _ in range(9):
        choice.decide(threads(choice, 0.006, 0.003))
        assert choice.method == "thread"
        assert not choice.undecided
    choice = Choice("process", 4)
    assert chosen(choice) == ("process", 4)
    assert not choice.measuring
    assert choice.remark() == "chose 4 processes: 4 cores may be used"
    for _ in range(9):
        choice.decide(processes(100, waited=0.0, seconds=0.001))
    assert chosen(choice) == ("process", 2)


def test_one_core_has_no_use_for_processes() -> None:
    choice = begun(None, 1)
    choice.decide(first(0.003, 0.003))
    assert chosen(choice) == ("thread", 1)
    assert not choice.undecided
    assert Choice("process", 1).nworkers == 1


def test_where_there_can_be_no_processes_there_are_threads() -> None:
    choice = begun(None, 4)
    choice.refuse("the pipeline cannot be pickled")
    choice.decide(first(0.003, 0.003))
    choice.decide(threads(choice, 0.006, 0.003))
    assert chosen(choice) == ("thread", 1)
    assert choice.remark().endswith("; no processes, because the pipeline cannot be pickled")
    choice = computing()
    choice.decide(threads(choice, 0.006, 0.003))
    assert choice.method == "process"
    choice.refuse("it fails there")
    assert chosen(choice) == ("thread", 1)
    assert choice.remark().endswith("; no processes, because it fails there")


# What readers take


def waiting() -> Choice:
    """Return a choice for items that wait for 100 ms, with 32 threads."""
    choice = begun(None, 2)
    choice.decide(first(0.1, 0.0001))
    return choice


def taken(choice: Choice, rate: int, waited: float, seconds: float = 0.1) -> None:
    times = (ItemTime(seconds, 0.0001),) * rate
    choice.decide(Observation(1.0, waited, rate, rate * seconds, times=times))


def test_workers_that_are_not_needed_are_let_go() -> None:
    choice = waiting()
    taken(choice, 35, 0.0)
    taken(choice, 35, 0.0)
    assert choice.nworkers == 32
    taken(choice, 35, 0.0)
    assert choice.nworkers == 5  # 3.5 are busy, and one more


def test_a_moment_is_not_enough_for_that() -> None:
    choice = waiting()
    for _ in range(5):
        taken(choice, 35, 0.0)
        taken(choice, 35, 0.0)
        taken(choice, 300, 0.0)
    assert choice.nworkers == 32


def test_workers_come_back_where_readers_wait() -> None:
    choice = waiting()
    for _ in range(3):
        taken(choice, 35, 0.0)
    taken(choice, 38, 0.05)
    assert choice.nworkers == 5
    taken(choice, 49, 0.8)  # it would take 245
    assert choice.nworkers == 26


def test_a_few_items_say_nothing() -> None:
    choice = waiting()
    assert not choice.decide(Observation(1.0, 1.0, 3, 0.3, times=(ItemTime(0.1, 0.0001),) * 3))


def test_there_are_more_threads_where_items_have_turned_to_waiting() -> None:
    choice = computing()
    choice.decide(threads(choice, 0.003, 0.003))
    assert chosen(choice) == ("thread", 4)
    for expected in (8, 16, 32, 32):
        choice.decide(threads(choice, 0.1, 0.0001))
        assert chosen(choice) == ("thread", expected)


def test_a_slow_item_holds_up_no_other() -> None:
    choice = begun(None, 4)
    choice.stuck()
    assert chosen(choice) == ("thread", 2)
    choice.stuck()
    assert chosen(choice) == ("thread", 2)
    choice = begun(None, 4, max_cached=1)
    choice.stuck()
    assert choice.nworkers == 1


@pytest.mark.parametrize(
    ("wall", "cpu", "rate", "method"),
    [
        (2.0, 1.0, 1, "process"),  # two threads that compute in turns
        (1.0, 1.0, 4, "thread"),
        (1.0, 0.01, 4, "thread"),
    ],
)
def test_slow_items_for_which_a_second_thread_has_come_are_tried_too(
    wall: float, cpu: float, rate: int, method: str
) -> None:
    choice = begun(None, 4)
    choice.stuck()
    assert choice.decide(first(wall, cpu, n=1))
    n = 10 * rate
    spent = 10.0 * choice.nworkers
    times = (ItemTime(spent / n, cpu),) * n
    choice.decide(Observation(10.0, 10.0, n, spent, times=times, costs=(CHEAP,)))
    assert choice.method == method
    assert not choice.undecided


@pytest.mark.parametrize("cores", [1, 2, 8])
@pytest.mark.parametrize("cpu", [1e-7, 1e-5, 1e-3, 0.1])
@pytest.mark.parametrize("waits", [0.0, 1.0, 20.0])
@pytest.mark.parametrize("waited", [0.0, 0.5, 1.0])
def test_never_more_than_is_allowed(cores: int, cpu: float, waits: float, waited: float) -> None:
    wall = cpu * (1 + waits)
    choice = begun(None, cores)
    choice.decide(first(wall, cpu))
    for _ in range(20):
        if choice.method == "thread":
            assert choice.nworkers <= min(MOST_THREADS, max(2, cores) * (1 + waits) + 1e-6)
            seconds = 40 * wall / choice.nworkers  # all of them are busy
            times = (ItemTime(wall, cpu),) * 40
            choice.decide(
                Observation(seconds, waited * seconds, 40, 40 * wall, 0.0, times, (CHEAP,))
            )
        else:
            assert choice.nworkers <= cores
            choice.decide(processes(min(1000, cores / wall), waited=waited, seconds=wall))


def test_room_for_all_workers_and_more_for_small_items() -> None:
    choice = begun(None, 2)
    assert choice.room() == (2, 0)
    choice.decide(first(0.01, 0.0001))
    assert choice.room() == (64, 0)
    choice = begun(None, 4)
    choice.decide(threads(choice, 2e-5, 2e-5))
    assert choice.room() == (8, 3999)
