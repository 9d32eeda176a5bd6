"""The simulation of a cluster: laws, and cases that can be computed by hand."""

import math
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.simulation.cluster import read_all, settled, with_enough
from benchmarks.simulation.events import Clock, Cores, Server
from benchmarks.simulation.model import Costs, Load

FREE = Costs()
SOME = Costs(
    post=2e-4, take=3e-4, per_item=2e-6, per_byte=1e-9, central=4e-4, hop=1e-3, on_worker=1e-3
)
"""Like those of a cluster."""

seconds = st.sampled_from([0.0, 1e-4, 1e-3, 0.02])
costs = st.builds(
    Costs,
    post=seconds,
    take=seconds,
    per_item=seconds,
    central=seconds,
    hop=seconds,
    on_worker=seconds,
    on_cores=seconds,
    link=st.sampled_from([math.inf, 1e5]),
    shared=st.booleans(),
    cores=st.integers(0, 3),
)
loads = st.builds(
    Load,
    work=st.sampled_from([1e-3, 0.01, 0.3]),
    workers=st.integers(2, 9),
    readers=st.integers(1, 2),
    sigma=st.sampled_from([0.0, 0.5]),
    slow=st.sampled_from([0.0, 0.05]),
    slow_work=st.just(1.0),
    step=seconds,
    nbytes=st.sampled_from([8.0, 1000.0]),
    max_cached=st.sampled_from([None, 1, 3, 50]),
    grain=st.sampled_from([None, 0.02]),
)


# Laws


@settings(max_examples=60)
@given(costs, loads, st.integers(0, 300), st.integers(0, 9))
def test_every_item_is_read_once_and_in_order(
    costs: Costs, load: Load, items: int, seed: int
) -> None:
    got: list[int] = []
    read_all(costs, replace(load, readers=1), items, seed, got.append)
    assert got == list(range(items))


@settings(max_examples=60)
@given(costs, loads, st.integers(0, 9))
def test_nothing_is_faster_than_what_it_needs(costs: Costs, load: Load, seed: int) -> None:
    items = 200
    outcome = read_all(costs, replace(load, slow=0.0, sigma=0.0), items, seed)
    least = [
        items * load.readers * load.work / load.workers,
        outcome.cpu * outcome.seconds,
        outcome.central * outcome.seconds,
        items * load.nbytes / costs.link,
        (items - 1) * load.step,
        outcome.blocks * costs.on_worker / load.workers,
    ]
    if costs.cores:
        used = outcome.cpu * load.readers + outcome.central
        used += outcome.blocks * min(costs.on_worker, costs.on_cores) / outcome.seconds
        least.append(used * outcome.seconds / costs.cores)
    assert outcome.seconds >= max(least) * (1 - 1e-9)
    assert outcome.items == items * load.readers


@settings(max_examples=30)
@given(costs, loads)
def test_what_the_reader_pays_is_that_of_all_blocks_and_items(costs: Costs, load: Load) -> None:
    items = 100
    outcome = read_all(costs, load, items)
    paid = outcome.blocks * (costs.post + costs.take) / load.readers + items * costs.per_item
    assert outcome.cpu * outcome.seconds == pytest.approx(paid)
    assert outcome.central * outcome.seconds == pytest.approx(outcome.blocks * costs.central)


@settings(max_examples=20)
@given(costs, loads, st.integers(0, 9))
def test_the_same_seed_gives_the_same_outcome(costs: Costs, load: Load, seed: int) -> None:
    assert read_all(costs, load, 100, seed) == read_all(costs, load, 100, seed)


def test_another_seed_gives_another_outcome() -> None:
    load = Load(work=0.01, workers=3, sigma=0.5)
    assert read_all(SOME, load, 100, 0) != read_all(SOME, load, 100, 1)


@pytest.mark.parametrize("workers", [1, 8, 100])
@pytest.mark.parametrize("sigma", [0.0, 0.3])
def test_free_costs_keep_all_workers_busy(workers: int, sigma: float) -> None:
    load = with_enough(Load(work=0.01, workers=workers, sigma=sigma), FREE)
    assert settled(FREE, load).efficiency == pytest.approx(1.0, abs=0.03)


def test_the_observer_does_not_depend_on_how_long_it_looks() -> None:
    load = with_enough(Load(work=0.01, workers=20, sigma=0.3), SOME)
    short, long = settled(SOME, load), settled(SOME, load, blocks=120)
    assert short.rate == pytest.approx(long.rate, rel=0.03)
    assert short.cpu == pytest.approx(long.cpu, rel=0.05)


# By hand


def test_an_item_at_a_time_passes_through_everything() -> None:
    costs = Costs(
        post=1, take=2, per_item=3, per_byte=0.5, central=8, hop=16, on_worker=32, link=0.25
    )
    load = Load(work=64, workers=1, nbytes=2, max_cached=1, grain=64)
    each = 1 + 4 + 16 + 32 + 64 + 4 + 16 + 2 / 0.25 + 2 + 3 + 2 * 0.5
    outcome = read_all(costs, load, 5)
    assert outcome.seconds == 5 * each
    assert outcome.blocks == 5
    assert outcome.held == 1
    assert outcome.efficiency == 64 / each


@pytest.mark.parametrize(("workers", "seconds"), [(1, 12.0), (2, 6.0), (3, 4.0), (4, 3.0)])
def test_workers_divide_the_items(workers: int, seconds: float) -> None:
    outcome = read_all(FREE, Load(work=1.0, workers=workers, grain=1.0), 12)
    assert (outcome.seconds, outcome.efficiency) == (seconds, 1.0)


def test_the_second_block_hides_messages_that_take_less_than_a_block() -> None:
    load = Load(work=1.0, workers=1, grain=1.0)
    # only the first block is waited for, in both directions
    assert read_all(Costs(hop=0.5), load, 10).seconds == 11.0
    # two blocks in every 1 + 1.5 + 1.5 seconds
    slow = read_all(Costs(hop=1.5), load, 10).seconds
    assert slow == 4 * 4.0 + 1.0 + 4.0


def test_the_slowest_part_sets_the_rate() -> None:
    load = Load(work=1e-3, workers=8, grain=1e-3, max_cached=64, nbytes=1000)
    assert settled(Costs(post=0.02, take=0.03), load).rate == pytest.approx(20, rel=0.05)
    assert settled(Costs(central=0.04), load, blocks=1000).rate == pytest.approx(25, rel=0.05)
    assert settled(Costs(link=1e4), load, blocks=1000).rate == pytest.approx(10, rel=0.05)
    used_slowly = replace(load, step=0.1)
    assert settled(FREE, used_slowly, blocks=1000).rate == pytest.approx(10, rel=0.05)


def test_shards_divide_what_readers_do_and_not_what_they_share() -> None:
    load = with_enough(Load(work=1e-3, workers=16, grain=1e-3), FREE)
    own, common = Costs(post=0.002, take=0.002), Costs(central=0.004)
    one, four = (settled(own, replace(load, readers=k), blocks=200).rate for k in (1, 4))
    assert four == pytest.approx(4 * one, rel=0.05)
    one, four = (settled(common, replace(load, readers=k), blocks=200).rate for k in (1, 4))
    assert four == pytest.approx(one, rel=0.05)


def test_one_machine_has_its_processors_and_no_more() -> None:
    load = with_enough(Load(work=1e-3, workers=8, grain=1e-3), FREE)
    # 8 workers with an item in 10 ms, on 2 processors
    costs = Costs(on_worker=9e-3, on_cores=9e-3, cores=2)
    assert settled(replace(costs, cores=0), load).rate == pytest.approx(800, rel=0.05)
    assert settled(costs, load).rate == pytest.approx(2 / 9e-3, rel=0.05)
    waiting = replace(costs, on_cores=1e-3)
    assert settled(waiting, load).rate == pytest.approx(800, rel=0.05)
    beside = replace(costs, on_worker=1e-3)  # in other threads of the workers
    assert settled(beside, load, blocks=300).rate == pytest.approx(2 / 9e-3, rel=0.05)


def test_a_processor_is_taken_by_whose_turn_it_is() -> None:
    clock, cores = Clock(), Cores(1)
    one, other = Server(clock, cores), Server(clock, cores)
    served: list[tuple[str, float]] = []

    def note(name: str) -> None:
        served.append((name, clock.now))

    one.serve(1.0, note, "first")
    one.serve(1.0, note, "second")
    other.serve(1.0, note, "other")
    clock.run()
    assert served == [("first", 1.0), ("other", 2.0), ("second", 3.0)]
    assert (one.used, other.used) == (2.0, 1.0)


def test_bytes_cost_the_worker_too() -> None:
    load = with_enough(Load(work=1e-3, workers=1, grain=1e-3, nbytes=1000), FREE)
    assert settled(Costs(on_worker_per_byte=1e-6), load).rate == pytest.approx(500, rel=0.05)


def test_the_rest_of_a_slow_block_goes_to_another_worker() -> None:
    load = Load(work=0.01, workers=4, slow=0.02, slow_work=2.0, grain=0.1, max_cached=400)
    got: list[int] = []
    outcome = read_all(FREE, load, 2000, 3, got.append)
    assert got == list(range(2000))
    assert outcome.again > 0


def test_a_window_that_is_too_small_makes_short_blocks() -> None:
    load = Load(work=0.01, workers=50, max_cached=100)
    small, enough = settled(SOME, load), settled(SOME, with_enough(load, SOME))
    assert small.items / small.blocks == pytest.approx(1, abs=0.1)
    assert enough.items / enough.blocks > 5
    assert enough.efficiency > 0.9 > small.efficiency


def test_blocks_grow_with_the_workers_of_a_reader() -> None:
    costs = Costs(thread=1e-3, assumed=2e-3, shortest=0.1)
    load = Load(work=0.01, workers=10)
    assert load.items_of_block(costs) == 10
    assert replace(load, workers=1000).items_of_block(costs) == 600
    assert replace(load, workers=1000, readers=10).items_of_block(costs) == 60


def test_more_readers_than_workers_are_refused() -> None:
    with pytest.raises(ValueError, match="3 readers cannot share 2 workers"):
        settled(FREE, Load(work=1.0, workers=2, readers=3))
