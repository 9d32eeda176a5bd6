"""Random prefetches on all clusters for long: `python -m tests.clusters.soak --seconds 60`.

Items, kinds, and what is read are drawn by a seed, which is printed; so is a harm that the cluster
survives, in some rounds. Every value is checked, and, in the end, that nothing has become more:
threads, processes, open files, and memory.
"""

import argparse
import os
import random
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from itertools import islice
from typing import Any

import numpy as np

import seqtools
from tests import leaks
from tests.clusters import harm, real

WARM = 2
"""Rounds of each kind after which nothing may become more."""
MOST_GROWTH = 150e6
"""Bytes of memory that are no leak: the largest values of one round are 20 MB. Arbitrary."""


class Kind:
    """A cluster, and how a worker of it is killed.

    Args:
        name: Its name.
        options: What a prefetch on it is given.
        kill: Kills one worker.
    """

    def __init__(self, name: str, options: dict[str, Any], kill: Callable[[], object]) -> None:
        self.name, self.options, self.kill = name, options, kill


@contextmanager
def kinds() -> Iterator[list[Kind]]:
    """Start a cluster of each kind."""
    with ExitStack() as stack:
        cluster = stack.enter_context(real.dask_cluster())
        client = stack.enter_context(cluster.client())
        stack.enter_context(real.ray_local())
        yield [
            Kind("dask", {"method": client}, lambda: harm.kill_dask_worker(cluster)),
            Kind("ray", {"method": "ray", "engine_options": {"num_cpus": 0}}, _kill_actor),
            _made("loky"),
            _made("process"),
        ]


def _made(name: str) -> Kind:
    pools: list[Any] = []

    def make() -> Any:
        pools[:] = [real.POOLS[name]()]
        return pools[0]

    def kill() -> None:
        with suppress(IndexError, TypeError, ProcessLookupError):  # it has none at this moment
            harm.kill_pool_worker(pools[0])

    return Kind(f"{name} pools", {"method": make, "nworkers": real.WORKERS}, kill)


def _kill_actor() -> None:
    """Kill a process that Ray shows as an actor of ours."""
    for pid in leaks.descendants("self"):
        if b"SeqtoolsWorker" in leaks._read(f"/proc/{pid}/cmdline"):
            with suppress(ProcessLookupError):
                os.kill(pid, 9)
            return


def pipeline(draw: random.Random) -> tuple[Any, list[Any]]:
    """Return a pipeline, and its items; those that fail are the types of their errors."""
    n, size = draw.randrange(1, 200), draw.choice([1, 100, 20_000])
    fails = frozenset(draw.sample(range(n), min(n, draw.choice([0, 0, 3]))))
    pause = draw.choice([0.0, 0.0, 0.002])

    def make(i: int) -> Any:
        import time

        time.sleep(pause)
        if i in fails:
            raise KeyError(i)
        return np.full(size, i)

    source = seqtools.smap(make, range(n))
    if draw.random() < 0.3 and not fails:
        groups = seqtools.add_cache(seqtools.smap(lambda k: [k] * 20, range(n)), 3)
        return seqtools.unbatch(groups, 20), [k for k in range(n) for _ in range(20)]
    return source, [KeyError if i in fails else i for i in range(n)]


def value(item: Any, *, write: bool) -> int:
    """Return what an item stands for; write to it, which must not be seen anywhere else."""
    if not isinstance(item, np.ndarray):
        return int(item)
    found = int(item[-1])
    assert (item == found).all()
    if write:
        item[:] = -1
    return found


def got(read: Callable[[], Any], *, write: bool = False) -> Any:
    """Return a value, or the type of the error of an item."""
    try:
        return value(read(), write=write)
    except seqtools.EvaluationError as error:
        return type(error.__cause__)


def check(found: list[Any], want: list[Any]) -> None:
    """Check that what was read is right."""
    wrong = [(k, *pair) for k, pair in enumerate(zip(found, want, strict=True)) if len({*pair}) > 1]
    assert not wrong, f"{len(wrong)} of {len(want)} are wrong (place, found, wanted): {wrong[:5]}"


def read(draw: random.Random, ready: Any, want: list[Any]) -> None:
    """Read in some ways, and check what is read."""
    n = len(want)
    # what is read by its index, or in a slice, may be kept, and given again
    write = draw.random() < 0.5
    ways = ["all", "all", "some"] if write else ["all", "some", "index", "slice", "resume"]
    for _ in range(draw.randrange(1, 4)):
        how = draw.choice(ways)
        if how == "all":
            items = iter(ready)
            check([got(lambda: next(items), write=write) for _ in range(n)], want)  # noqa: B023 -- used at once
        elif how == "some":
            items = iter(ready)
            k = draw.randrange(n)
            check([got(lambda: next(items), write=write) for _ in range(k)], want[:k])  # noqa: B023
        elif how == "index":
            for i in [draw.randrange(-n, n) for _ in range(5)]:
                check([got(lambda: ready[i])], [want[i]])  # noqa: B023
        elif how == "slice":
            at = slice(*sorted(draw.choices(range(n), k=2)), draw.choice([1, 3]))
            part = ready[at]
            check([got(lambda: part[i]) for i in range(len(part))], want[at])  # noqa: B023
        else:
            items = iter(ready)
            k = draw.randrange(n)
            for _ in islice(range(n), k):
                got(lambda: next(items))  # noqa: B023
            later = iter(ready)
            later.load_state_dict(items.state_dict())
            check([got(lambda: next(later)) for _ in range(n - k)], want[k:])  # noqa: B023


def play(draw: random.Random, kind: Kind) -> str:
    """Read one or two prefetches on a cluster; return what was done."""
    several = [pipeline(draw) for _ in range(draw.choice([1, 1, 2]))]
    harms = draw.random() < 0.25
    raised: list[BaseException] = []
    with ExitStack() as stack:
        readers = []
        for source, want in several:
            ready = stack.enter_context(seqtools.prefetch(source, **kind.options))
            own = random.Random(draw.random())

            def act(own: random.Random = own, ready: Any = ready, want: Any = want) -> None:
                try:
                    read(own, ready, want)
                except BaseException as error:  # noqa: BLE001 -- raised below
                    raised.append(error)

            readers.append(threading.Thread(target=act))
        for reader in readers:
            reader.start()
        if harms:
            time.sleep(draw.random() * 0.3)
            kind.kill()
        for reader in readers:
            reader.join()
    for error in raised:
        raise error
    return f"{kind.name}, {[len(want) for _, want in several]} items" + ", killed" * harms


def memory() -> int:
    """Return how many bytes of memory this process has."""
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")


def soak(seconds: float, seed: int, tell: Callable[[str], object]) -> int:
    """Play for so many seconds; return the number of rounds.

    Raises:
        AssertionError: If a value is wrong, or something has become more.
    """
    draw = random.Random(seed)
    with kinds() as all_kinds:
        for kind in all_kinds * WARM:
            tell(play(draw, kind))
        before, memory_before = _counts(), memory()
        deadline, rounds = time.monotonic() + seconds, 0
        while time.monotonic() < deadline:
            tell(play(draw, draw.choice(all_kinds)))
            rounds += 1
        until = time.monotonic() + leaks.GRACE
        while (more := _counts() - before) and time.monotonic() < until:
            time.sleep(0.05)
        # connections of a client to workers, and of Ray, and those that replace killed workers
        assert more["thread"] <= 2, more
        assert more["process"] <= 2 * len(all_kinds), more
        assert more["file descriptor"] <= 12, more
        grown = memory() - memory_before
        assert grown < MOST_GROWTH, f"{grown / 1e6:.0f} MB more"
        tell(f"{rounds} rounds, {grown / 1e6:.0f} MB more, {dict(more)} more")
    return rounds


def _counts() -> Counter[str]:
    return Counter(kind for kind, _ in leaks.held().elements())


def main() -> None:
    """Play, and print what is done."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6))
    arguments = parser.parse_args()
    print("seed", arguments.seed, flush=True)  # noqa: T201
    leaks.watch_orphans()
    soak(arguments.seconds, arguments.seed, lambda text: print(text, flush=True))  # noqa: T201
    sys.stdout.flush()


if __name__ == "__main__":
    main()
