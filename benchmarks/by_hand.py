"""The best use of each cluster that we can write by hand: a function over a range, in order.

Each function here takes a cluster that runs, and returns what takes a function and the number
of items in a chunk, and returns what reads: `read(start, stop)` yields `f(start), …,
f(stop - 1)` in order. What is resident, such as actors, is made before anything is read.
Items that fail, workers that die, and readers that stop early are not thought of: by hand, who
needs that writes it.
"""

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from benchmarks.clusters import NWORKERS

Function = Callable[[int], Any]
Read = Callable[[int, int], Iterable[Any]]
Evaluate = Callable[[Function, int], Read]

AHEAD = 3
"""Chunks in the window, for each worker: one to do, others on their way. Measured: the best, or
no worse than others, for all clusters."""


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


# ---------------------------------------------------------------- executors


def executor_map(executor: Any) -> Evaluate:
    def evaluate(f: Function, chunk: int) -> Read:
        return lambda start, stop: executor.map(f, range(start, stop), chunksize=chunk)

    return evaluate


def executor_submits(executor: Any, ahead: int = AHEAD) -> Evaluate:
    def evaluate(f: Function, chunk: int) -> Read:
        def read(start: int, stop: int) -> Iterator[Any]:
            submit = functools.partial(executor.submit, block, f)
            for future in windowed(submit, spans(start, stop, chunk), ahead * NWORKERS):
                yield from future.result()

        return read

    return evaluate


# ---------------------------------------------------------------- Dask


def dask_map(client: Any) -> Evaluate:
    def evaluate(f: Function, chunk: int) -> Read:
        def read(start: int, stop: int) -> Iterator[Any]:
            parts = list(spans(start, stop, chunk))
            for future in client.map(functools.partial(block, f), parts, pure=False):
                yield from client.gather(future, direct=True)

        return read

    return evaluate


def dask_submits(client: Any, ahead: int = AHEAD) -> Evaluate:
    def evaluate(f: Function, chunk: int) -> Read:
        def read(start: int, stop: int) -> Iterator[Any]:
            submit = functools.partial(client.submit, block, f, pure=False)
            for future in windowed(submit, spans(start, stop, chunk), ahead * NWORKERS):
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


def ray_actors(_: Any, ahead: int = AHEAD) -> Evaluate:
    import itertools

    import ray

    def evaluate(f: Function, chunk: int) -> Read:
        actors = _actors(f)

        def read(start: int, stop: int) -> Iterator[Any]:
            turns = itertools.cycle(actors)
            parts = spans(start, stop, chunk)
            refs = windowed(lambda part: next(turns).run.remote(part), parts, ahead * NWORKERS)
            for ref in refs:
                yield from ray.get(ref)

        return read

    return evaluate


def ray_actor_pool(_: Any) -> Evaluate:
    from ray.util import ActorPool

    def evaluate(f: Function, chunk: int) -> Read:
        pool = ActorPool(_actors(f))

        def read(start: int, stop: int) -> Iterator[Any]:
            parts = spans(start, stop, chunk)
            for items in pool.map(lambda actor, part: actor.run.remote(part), parts):
                yield from items

        return read

    return evaluate


def ray_tasks(_: Any, ahead: int = AHEAD) -> Evaluate:
    import ray

    def evaluate(f: Function, chunk: int) -> Read:
        made = ray.remote(num_cpus=1)(functools.partial(block, f))

        def read(start: int, stop: int) -> Iterator[Any]:
            for ref in windowed(made.remote, spans(start, stop, chunk), ahead * NWORKERS):
                yield from ray.get(ref)

        return read

    return evaluate


def ray_data(_: Any) -> Evaluate:
    import ray

    context = ray.data.DataContext.get_current()
    context.execution_options.preserve_order = True
    context.enable_progress_bars = False

    def evaluate(f: Function, chunk: int) -> Read:
        def batch(rows: Any) -> Any:
            return {"item": [f(int(i)) for i in rows["id"]]}

        def read(start: int, stop: int) -> Iterator[Any]:
            data = ray.data.range(stop - start, override_num_blocks=-(-(stop - start) // chunk))
            data = data.map_batches(batch, batch_size=chunk)
            return (row["item"] for row in data.iter_rows())

        return read

    return evaluate
