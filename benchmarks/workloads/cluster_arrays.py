"""Arrays of 9.6 MB from clusters of two workers."""

import atexit
import functools
import time
from collections.abc import Callable, Iterable, Iterator
from multiprocessing.shared_memory import SharedMemory
from typing import Any, NamedTuple

import numpy as np

from benchmarks import arrays, by_hand
from benchmarks.clock import WrongValueError
from benchmarks.workload import Cluster, Figure, Role, Workload

N, WARMUP = 240, 30
CHUNKS: dict[str, int] = {"pool": 1, "loky": 1, "dask": 4, "ray": 4}
"""By hand: of 1, 2 and 4 the best."""
_SPEED = Figure("bytes", "GB/s", higher=True, unit=1e9)


class Contest(NamedTuple):
    """What a contestant does, and whether what it delivers can be assigned to."""

    evaluate: by_hand.Evaluate
    chunk: int = 1
    writable: bool = True


def array(i: int) -> arrays.Array:
    """Return array `i` as an object of its own.

    Otherwise, if a chunk had one array twice, pickle would send it once, and the reader would
    get one array for two items.
    """
    return arrays.array("uint8", i)[...]


def measure(contest: Contest) -> dict[str, float]:
    read = contest.evaluate(array, contest.chunk)
    for i, item in enumerate(read(N, N + WARMUP)):
        _check(arrays.equal("uint8", i, item) if i < arrays.RING else arrays.glance(i, item), i)
        _check(item.flags.writeable or not contest.writable, i)
        del item
    begin, used, count = time.perf_counter(), time.process_time(), 0
    for i, item in enumerate(read(0, N)):
        _check(arrays.glance(i, item), i)
        count += 1
        del item
    seconds, used = time.perf_counter() - begin, time.process_time() - used
    _check(count == N, count)
    return {"bytes": N * arrays.SIZE / seconds, "cpu": used / N}


def _check(right: object, i: int) -> None:
    if not right:
        message = f"array {i} is not there, or not what it should be"
        raise WrongValueError(message)


WORKLOAD = Workload(
    title="uint8 batches of 9.6 MB, on clusters",
    text=(
        "Arrays of 64 × 224 × 224 × 3 bytes, which exist in two workers and are delivered to a "
        "reader who drops them. The clock covers a whole reading of 240, after another one. "
        "Arrays can be assigned to, except where it says that they cannot: Ray delivers views "
        'of its store, which are copied. "Shared memory" means that workers write into memory '
        "which the reader has made and copies from, so it is for one machine. The limit is "
        "written by hand: two processes copy into memory that they share with the reader. Then "
        "the processor time that the reader's process takes for each array."
    ),
    figures=(_SPEED, Figure("cpu", "reader's ms an array", unit=1e-3)),
    measure=measure,
    targets=(
        *(t for name in ("pool", "loky") for t in by_hand.targets(name, [_SPEED], 0.97, "submit")),
        *by_hand.targets("dask", [_SPEED], 0.97),
        *by_hand.targets("ray", [_SPEED], 0.97, "actors, copied"),
    ),
    timeout=180.0,
)


@WORKLOAD.contestant("limit, by hand", "limit", "inline")
def limit() -> Contest:
    def evaluate(f: by_hand.Function, _: int) -> by_hand.Read:
        def fill(i: int, out: arrays.Array) -> None:
            np.copyto(out, f(i))

        return lambda start, stop: arrays.by_hand(fill, "uint8", stop - start)

    return Contest(evaluate)


@WORKLOAD.ours("seqtools, processes")
def processes() -> Contest:
    return Contest(by_hand.ours("process"))


# ---------------------------------------------------------------- what is special to arrays


def copied(way: Callable[[Any], by_hand.Evaluate]) -> Callable[[Any], by_hand.Evaluate]:
    """Return a way that makes arrays which can be assigned to of those that it delivers."""

    def make(cluster: Any) -> by_hand.Evaluate:
        def evaluate(f: by_hand.Function, chunk: int) -> by_hand.Read:
            read = way(cluster)(f, chunk)
            return lambda start, stop: (np.array(item) for item in read(start, stop))

        return evaluate

    return make


@functools.cache
def _attached(name: str) -> SharedMemory:
    return SharedMemory(name)


def _seen(memory: SharedMemory) -> arrays.Array:
    return np.ndarray(arrays.SHAPE, np.uint8, memory.buf)


def _into(f: by_hand.Function, name: str, i: int) -> str:
    np.copyto(_seen(_attached(name)), f(i))
    return name


def shared_memory(executor: Any) -> by_hand.Evaluate:
    """Have workers write into memory of the reader, which is used again and again."""

    def evaluate(f: by_hand.Function, _: int) -> by_hand.Read:
        made = [SharedMemory(create=True, size=arrays.SIZE) for _ in range(by_hand.AHEAD)]
        for memory in made:
            atexit.register(memory.unlink)
        memories = {memory.name: memory for memory in made}

        def submit(part: range) -> Any:
            i = part.start
            return executor.submit(_into, f, made[i % len(made)].name, i)

        def read(start: int, stop: int) -> Iterator[Any]:
            parts: Iterable[range] = by_hand.spans(start, stop, 1)
            for future in by_hand.windowed(submit, parts, len(made)):
                yield np.array(_seen(memories[future.result()]))

        return read

    return evaluate


# ---------------------------------------------------------------- all of them


def enter(
    cluster: Cluster, name: str, way: Callable[[Any], by_hand.Evaluate], **options: Any
) -> None:
    role: Role = "ours" if way is by_hand.ours else "peer"

    def make(started: Any) -> Contest:
        return Contest(way(started), CHUNKS[cluster], **options)

    by_hand.enter(WORKLOAD, cluster, name, make, role)


for _cluster, _ways in by_hand.WAYS.items():
    enter(_cluster, by_hand.OURS, by_hand.ours)
    for _name, _way in _ways.items():
        if _cluster == "ray":
            enter(_cluster, f"{_name}, copied", copied(_way))
        else:
            enter(_cluster, _name, _way)
enter("pool", "submit, shared memory", shared_memory)
enter("loky", "submit, shared memory", shared_memory)
enter("ray", "actors, read-only", by_hand.ray_actors, writable=False)
