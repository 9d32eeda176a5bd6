"""The model of a pipeline, against what can be worked out by hand."""

import pytest

from seqtools.instrument.profiling.measures import Item
from seqtools.instrument.profiling.model import Costs, Setting, pace, predict

FREE = Costs(send=0.0, load=0.0, use=0.0, use_computing=0.0)


def items(n: int, waiting: float = 0.0, computing: float = 0.0) -> list[Item]:
    return [Item(i, waiting, computing) for i in range(n)]


def test_there_is_nothing_to_wait_for() -> None:
    assert predict([], FREE, Setting(2, 10, 2)) == (0.0, 0.0)


def test_inline_all_times_add_up() -> None:
    costs = FREE._replace(use=0.5)
    total, seconds = predict(items(10, waiting=1, computing=2), costs, Setting(0, 1, 4))
    assert total == pytest.approx(35)
    assert seconds == pytest.approx(32)  # the first is there when the time begins


@pytest.mark.parametrize("workers", [1, 2, 5])
def test_workers_that_wait_do_so_side_by_side(workers: int) -> None:
    total, seconds = predict(items(20, waiting=1), FREE, Setting(workers, 100, 1))
    assert total == pytest.approx(20 / workers)
    assert seconds == pytest.approx(20 / workers - 1)


@pytest.mark.parametrize(("workers", "cores", "speed"), [(1, 4, 1), (2, 4, 2), (8, 4, 4)])
def test_workers_that_compute_share_the_cores(workers: int, cores: int, speed: int) -> None:
    total, _ = predict(items(40, computing=1), FREE, Setting(workers, 100, cores))
    assert total == pytest.approx(40 / speed)


def test_a_part_of_a_core_makes_nobody_faster_than_a_core() -> None:
    one = predict(items(40, computing=1), FREE, Setting(1, 100, 1.9)).total
    two = predict(items(40, computing=1), FREE, Setting(2, 100, 1.9)).total
    assert one == pytest.approx(40, rel=0.06)
    assert two == pytest.approx(40 / 1.9, rel=0.01)


def test_under_the_lock_one_computes_at_a_time() -> None:
    setting = Setting(4, 100, 8, locked=True)
    assert predict(items(20, computing=1), FREE, setting).total == pytest.approx(20)
    mixed = items(20, waiting=3, computing=1)
    assert predict(mixed, FREE, setting).total == pytest.approx(23)  # the first waits


def test_a_slow_consumer_is_not_kept_waiting() -> None:
    costs = FREE._replace(use=2.0)
    assert predict(items(10, waiting=1), costs, Setting(1, 5, 2)).seconds == pytest.approx(20)


def test_a_consumer_that_computes_takes_a_core() -> None:
    costs = FREE._replace(use=1.0, use_computing=1.0)
    alone = predict(items(50, computing=1), costs, Setting(1, 10, 1)).total
    beside = predict(items(50, computing=1), costs, Setting(1, 10, 2)).total
    assert alone == pytest.approx(100, rel=0.05)
    assert beside == pytest.approx(51, rel=0.05)


def test_handing_over_costs_both_sides() -> None:
    costs = FREE._replace(send=1.0, load=3.0)
    total, _ = predict(items(50), costs, Setting(1, 10, 2))
    assert total == pytest.approx(151, rel=0.02)


def test_a_slow_item_stops_what_is_a_window_behind_it() -> None:
    slow = [i._replace(waiting=100.0) if i.index == 20 else i for i in items(40, waiting=1)]
    costs = FREE._replace(use=1.0)
    narrow = predict(slow, costs, Setting(2, 4, 2)).total
    wide = predict(slow, costs, Setting(2, 100, 2)).total
    any_order = predict(slow, costs, Setting(2, 100, 2, ordered=False)).total
    assert narrow > wide > any_order
    assert any_order == pytest.approx(111, rel=0.05)  # it is begun after ten, and all else is done


def test_of_many_items_some_stand_for_all() -> None:
    few = predict(items(600, waiting=1), FREE, Setting(2, 100, 2)).total
    many = predict(items(6000, waiting=1), FREE, Setting(2, 100, 2)).total
    assert many == pytest.approx(10 * few)


def test_in_a_short_run_many_items_are_ready_when_the_first_is() -> None:
    setting = Setting(25, 100, 2)
    assert predict(items(25, waiting=1), FREE, setting).seconds == pytest.approx(0)
    assert pace(items(25, waiting=1), FREE, setting) == pytest.approx(1 / 25)


def test_a_part_of_computing_is_under_the_lock() -> None:
    setting = Setting(4, 100, 4, locked=0.5)
    assert predict(items(40, computing=1), FREE, setting).total == pytest.approx(20, rel=0.05)


def test_items_that_wait_and_then_compute_do_not_compute_while_they_wait() -> None:
    # the lock is free until the first has waited, and then computes for one after the other
    setting = Setting(10, 100, 2, locked=1.0)
    assert predict(items(10, waiting=8, computing=1), FREE, setting).total == pytest.approx(18)


def test_a_loop_with_threads_of_a_library_uses_several_cores() -> None:
    costs = FREE._replace(use=1.0, use_computing=2.0)
    total = predict(items(50, computing=1), costs, Setting(1, 10, 2)).total
    assert total == pytest.approx(75, rel=0.02)
