"""The best use of each cluster that we can write by hand: a function over a range, in order.

Each function here takes a cluster that runs, and returns what takes a function and the number
of items in a chunk, and returns what reads: `read(start, stop)` yields `f(start), …,
f(stop - 1)` in order. What is resident, such as actors, is made before anything is read.
Items that fail, workers that die, and readers that stop early are not thought of: by hand, who
needs that writes it.
"""

import functools
import itertools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks import clusters
from benchmarks.clusters import NWORKERS
from benchmarks.workload import KINDS, Cluster, Figure, Role, Target, Workload

Function = Callable[[int], Any]
Read = Callable[[int, int], Iterable[Any]]
Evaluate = Callable[[Function, int], Read]

OURS = "seqtools"
MOST = 10**8
"""Items of ours: more than are read."""
AHEAD = 3 * NWORKERS
"""Chunks in the window: one to do for each worker, others on their way. Measured: no other number
is better by more than the noise, with any cluster, from 2 to 6 for each worker."""


def block(f: Function, span: range) -> list[Any]:
    """Return the items of a chunk."""
    return [f(i) for i in span]


def spans(start: int, stop: int, chunk: int) -> Iterator[range]:
    """Return the indices of each chunk."""
    return (range(i, min(i + chunk, stop)) for i in range(start, stop, chunk))


def windowed(submit: Callable[[range], Any], parts: Iterable[range], ahead: int) -> Iterator[Any]:
    """Return what `submit` made of each part, in order, with so many parts ahead."""
    pending: deque[Any] = deque()
    for part in parts:
        pending.append(submit(part))
        if len(pending) == ahead:
            yield pending.popleft()
    while pending:
        yield pending.popleft()


# ---------------------------------------------------------------- ours


def ours(cluster: Any) -> Evaluate:
    """Say which cluster; nothing else is known, the size of chunks neither."""
    import seqtools

    def evaluate(f: Function, _: int) -> Read:
        p = seqtools.prefetch(seqtools.smap(f, range(MOST)), NWORKERS, cluster)
        return lambda start, stop: p[start:stop]

    return evaluate


# ---------------------------------------------------------------- executors


def executor_map(executor: Any) -> Evaluate:
    """Submit all chunks at once."""

    def evaluate(f: Function, chunk: int) -> Read:
        return lambda start, stop: executor.map(f, range(start, stop), chunksize=chunk)

    return evaluate


def executor_submits(executor: Any) -> Evaluate:
    """Submit the chunks of a window."""

    def evaluate(f: Function, chunk: int) -> Read:
        submit = functools.partial(executor.submit, block, f)

        def read(start: int, stop: int) -> Iterator[Any]:
            for future in windowed(submit, spans(start, stop, chunk), AHEAD):
                yield from future.result()

        return read

    return evaluate


# ---------------------------------------------------------------- Dask


def dask_map(client: Any) -> Evaluate:
    """Submit all chunks at once, and gather each from the worker that has it."""

    def evaluate(f: Function, chunk: int) -> Read:
        submit = functools.partial(client.map, functools.partial(block, f), pure=False)

        def read(start: int, stop: int) -> Iterator[Any]:
            futures = deque(submit(list(spans(start, stop, chunk))))
            while futures:  # one that was gathered is released
                yield from client.gather(futures.popleft(), direct=True)

        return read

    return evaluate


def dask_submits(client: Any) -> Evaluate:
    """Submit the chunks of a window, and gather each from the worker that has it."""

    def evaluate(f: Function, chunk: int) -> Read:
        submit = functools.partial(client.submit, block, f, pure=False)

        def read(start: int, stop: int) -> Iterator[Any]:
            for future in windowed(submit, spans(start, stop, chunk), AHEAD):
                yield from client.gather(future, direct=True)

        return read

    return evaluate


# ---------------------------------------------------------------- Ray


class _Worker:
    def __init__(self, f: Function) -> None:
        self._f = f

    def run(self, span: range) -> list[Any]:
        return block(self._f, span)


def _actors(f: Function) -> list[Any]:
    import ray

    made = ray.remote(num_cpus=1)(_Worker)
    return [made.remote(f) for _ in range(NWORKERS)]


def ray_actors(_: Any) -> Evaluate:
    """Call actors in turn, with the chunks of a window."""
    import ray

    def evaluate(f: Function, chunk: int) -> Read:
        actors = _actors(f)

        def read(start: int, stop: int) -> Iterator[Any]:
            turns = itertools.cycle(actors)
            parts = spans(start, stop, chunk)
            for ref in windowed(lambda part: next(turns).run.remote(part), parts, AHEAD):
                yield from ray.get(ref)

        return read

    return evaluate


def ray_actor_pool(_: Any) -> Evaluate:
    """Use Ray's own pool of actors, which gives each one chunk at a time."""
    from ray.util import ActorPool

    def evaluate(f: Function, chunk: int) -> Read:
        pool = ActorPool(_actors(f))

        def read(start: int, stop: int) -> Iterator[Any]:
            parts = spans(start, stop, chunk)
            for items in pool.map(lambda actor, part: actor.run.remote(part), parts):
                yield from items

        return read

    return evaluate


def ray_data(_: Any) -> Evaluate:
    """Map a data set by actors, which it starts whenever it is read."""
    import logging

    import ray

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False

    def evaluate(f: Function, chunk: int) -> Read:
        actors = ray.data.ActorPoolStrategy(size=NWORKERS)

        def read(start: int, stop: int) -> Iterator[Any]:
            class Batch:
                def __call__(self, rows: dict[str, Any]) -> dict[str, Any]:
                    return {"item": [f(start + int(i)) for i in rows["id"]]}

            data = ray.data.range(stop - start, override_num_blocks=-(-(stop - start) // chunk))
            data = data.map_batches(Batch, batch_size=None, compute=actors)
            return (row["item"] for row in data.iter_rows())

        return read

    return evaluate


# ---------------------------------------------------------------- all of them

WAYS: dict[Cluster, dict[str, Callable[[Any], Evaluate]]] = {
    "pool": {"Executor.map": executor_map, "submit": executor_submits},
    "loky": {"Executor.map": executor_map, "submit": executor_submits},
    "dask": {"Client.map": dask_map, "Client.submit": dask_submits},
    "ray": {"actors": ray_actors, "ActorPool": ray_actor_pool, "Ray Data": ray_data},
}


def enter(
    workload: Workload, cluster: Cluster, name: str, make: Callable[[Any], Any], role: Role = "peer"
) -> None:
    """Enter a contestant on a cluster.

    Args:
        workload: To which it is added.
        cluster: The cluster, which is started before `make` is called with it.
        name: The contestant, without the cluster.
        make: Returns what the workload's `measure` takes.
        role: Whose it is.
    """
    start, package = clusters.CLUSTERS[cluster]
    label = f"{name}, {KINDS[cluster]}"
    version = "seqtools" if role == "ours" else package
    workload.contestant(label, role, cluster, version)(lambda: make(start()))


def targets(
    cluster: Cluster, figures: Iterable[Figure], at_least: float, name: str | None = None
) -> list[Target]:
    """Return that ours must have so much of what is achieved by hand on the same cluster.

    Args:
        cluster: The cluster.
        figures: Each is a target.
        at_least: The quotient, if more is better.
        name: The contestant that ours is compared with, without the cluster; by default the best.
    """
    label = KINDS[cluster]
    return [
        Target(
            f"{OURS}, {label}",
            f"≥ {at_least} × {name or 'the best by hand'}, {figure.label}",
            at_least=at_least,
            of=f"{name}, {label}" if name else f"best {cluster}",
            figure=figure.name,
        )
        for figure in figures
    ]
