"""`simulate`: readers, workers and what they share, from a start to an end."""

from collections.abc import Callable
from dataclasses import replace

from benchmarks.simulation.events import Clock, Cores, Server
from benchmarks.simulation.model import AHEAD, Costs, Load, Outcome
from benchmarks.simulation.reader import Reader

ENDLESS = 1 << 60


def simulate(costs: Costs, load: Load, warm: float, seconds: float, seed: int = 0) -> Outcome:
    """Return what is observed for `seconds`, after `warm` seconds, of a sequence without end."""
    clock, readers, scheduler = _made(costs, load, ENDLESS, seed, None)
    clock.run(warm)
    before = _totals(readers, scheduler)
    clock.run(warm + seconds)
    return _outcome(load, readers, seconds, before, _totals(readers, scheduler))


def read_all(
    costs: Costs,
    load: Load,
    items: int,
    seed: int = 0,
    on_read: Callable[[int], object] | None = None,
) -> Outcome:
    """Return what is observed while every reader reads `items` items, from the start to the end."""
    clock, readers, scheduler = _made(costs, load, items, seed, on_read)
    zero = _totals(readers, scheduler)
    clock.run()
    if any(reader.read != items for reader in readers):
        raise AssertionError(f"{[reader.read for reader in readers]} items were read, of {items}")
    return _outcome(load, readers, clock.now, zero, _totals(readers, scheduler))


def settled(costs: Costs, load: Load, seed: int = 0, blocks: int = 30) -> Outcome:
    """Return what is observed once all has settled, for about so many blocks of each worker."""
    items = load.items_of_block(costs)
    if load.max_cached is not None:
        items = max(1, min(items, load.max_cached // (AHEAD * load.share)))
    slowest = max(
        items * load.mean + costs.on_worker,
        load.share * costs.block(load.share, items, load.nbytes),
        load.workers * costs.central,
        load.share * items * load.nbytes / costs.link,
        costs.hop,
    )
    return simulate(costs, load, 15 * slowest, blocks * slowest, seed)


def with_enough(load: Load, costs: Costs) -> Load:
    """Return a load with a window that is large enough."""
    return replace(load, max_cached=load.enough(costs))


def _made(
    costs: Costs, load: Load, items: int, seed: int, on_read: Callable[[int], object] | None
) -> tuple[Clock, list[Reader], Server]:
    others = min(0.9, costs.aside * load.workers / costs.cores) if costs.cores else 0.0
    clock, cores = Clock(), Cores(costs.cores, others)
    scheduler = Server(clock, cores)
    each, more = divmod(load.workers, load.readers)
    if not each:
        raise ValueError(f"{load.readers} readers cannot share {load.workers} workers")
    readers = [
        Reader(items, each + (k < more), costs, load, seed + k, clock, cores, scheduler, on_read)
        for k in range(load.readers)
    ]
    return clock, readers, scheduler


def _totals(readers: list[Reader], scheduler: Server) -> list[float]:
    return [
        sum(reader.read for reader in readers),
        sum(reader.blocks for reader in readers),
        sum(reader.cpu.used for reader in readers) / len(readers),
        scheduler.used,
        sum(reader.link.used for reader in readers) / len(readers),
        sum(reader.waited for reader in readers) / len(readers),
        sum(reader.again for reader in readers),
    ]


def _outcome(
    load: Load, readers: list[Reader], seconds: float, before: list[float], after: list[float]
) -> Outcome:
    read, blocks, cpu, central, link, waited, again = (
        b - a for a, b in zip(before, after, strict=True)
    )
    rate = read / seconds if seconds else float("inf")
    return Outcome(
        seconds=seconds,
        items=int(read),
        blocks=int(blocks),
        rate=rate,
        efficiency=rate * load.mean / load.workers,
        cpu=cpu / seconds if seconds else 0.0,
        central=central / seconds if seconds else 0.0,
        link=link / seconds if seconds else 0.0,
        waited=waited / seconds if seconds else 0.0,
        held=max(reader.most_held for reader in readers),
        again=int(again),
    )
