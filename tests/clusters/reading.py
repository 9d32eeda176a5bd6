"""A prefetch that is read while a cluster is harmed, and what must hold afterwards."""

import gc
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import ray

import seqtools
from seqtools.engines.cluster import remote
from seqtools.testing.gate import Gate
from tests.clusters.real import LONGEST

N = 120
"""Items of a pipeline."""
GATED = 60
"""The item at which a worker waits until the harm is done."""


def until(holds: Callable[[], Any], what: str, longest: float = LONGEST) -> None:
    """Wait for what nobody tells."""
    deadline = time.monotonic() + longest
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def waiting(gate: Gate) -> Any:
    """Return a pipeline of the numbers up to `N`, of which one waits at a gate."""
    passage, gated = gate.passage, GATED

    def wait(i: int) -> int:
        return passage.wait(i) if i == gated else i

    return seqtools.smap(wait, range(N))


@contextmanager
def harmed(gate: Gate, harm: Callable[[], object]) -> Iterator[None]:
    """Do harm as soon as a worker waits at the gate, while the block reads; then open the gate."""
    raised: list[BaseException] = []

    def act() -> None:
        try:
            gate.wait(1)
            harm()
        except BaseException as error:  # noqa: BLE001 -- raised below
            raised.append(error)
        finally:
            gate.open()

    thread = threading.Thread(target=act, name="harm")
    thread.start()
    try:
        yield
    finally:
        thread.join()
    for error in raised:
        raise error


class Outcomes:
    """What a reader gets: values, and the types of the errors of single items.

    Args:
        ready: A prefetch.
    """

    def __init__(self, ready: Any) -> None:
        self.found: list[Any] = []
        self.error: seqtools.WorkerStartError | None = None
        """What ended the reading."""
        self.iterator = iter(ready)
        while True:
            try:
                self.found.append(next(self.iterator))
            except StopIteration:
                return
            except seqtools.EvaluationError as error:
                self.found.append(type(error.__cause__))
            except seqtools.WorkerStartError as error:
                self.error = error
                return

    def check(self, want: list[Any], *, ends: bool | None) -> None:
        """Check that this is the whole list; or, if the cluster `ends`, a prefix and an error.

        With `None` it may be either.
        """
        assert self.found == want[: len(self.found)]
        if ends is None:
            ends = self.error is not None
        if ends:
            assert self.error is not None, "all items are there, although nothing evaluates them"
            assert "the engine cannot go on" not in str(self.error)
        else:
            assert self.error is None, repr(self.error)
            assert len(self.found) == len(want)

    def check_it_can_go_on(self, source: Any, want: list[Any]) -> None:
        """Check that the position is not lost: another prefetch goes on there."""
        later = iter(seqtools.prefetch(source, 0))
        later.load_state_dict(self.iterator.state_dict())
        assert self.found + list(later) == want


# ---------------------------------------------------------------------------- what is left


def check_dask(client: Any) -> None:
    """Check that a client works, and that nothing of ours is in its cluster."""
    assert client.submit(int, 3, pure=False).result(LONGEST) == 3
    assert not [key for key in client.futures if str(key).startswith("seqtools")]
    # one that was being loaded when the prefetch ended is dropped when it is
    until(lambda: not any(client.run(remote.kept).values()), "workers keep a pipeline")
    until(lambda: not client.run_on_scheduler(_keys), "the scheduler keeps keys")


def _keys(dask_scheduler: Any) -> list[str]:
    return [str(key) for key in dask_scheduler.tasks if str(key).startswith("seqtools")]


def check_ray() -> None:
    """Check that Ray works, and that nothing of ours is there."""
    gc.collect()  # errors, and what has raised them
    assert ray.get(ray.remote(num_cpus=0)(_three).remote(), timeout=LONGEST) == 3
    until(lambda: not actors(), f"actors are left: {actors()}")
    until(lambda: not references(), f"references are left: {references()}")


def _three() -> int:
    return 3


def actors() -> dict[str, str]:
    """Return the states of all actors that live or will."""
    found = ray._private.state.actors()
    return {name: each["State"] for name, each in found.items() if each["State"] != "DEAD"}


def references() -> Any:
    """Return what this process holds in the object store."""
    return ray._private.worker.global_worker.core_worker.get_all_reference_counts()


def check_pool(pool: Any, workers: int) -> None:
    """Check that a pool works, and that no worker has a pipeline."""
    until(lambda: not any(_all_kept(pool, workers)), "workers keep a pipeline")


def _all_kept(pool: Any, workers: int) -> list[int]:
    """Return how many pipelines each worker of a pool has."""
    gate = Gate()
    futures = [pool.submit(_kept, gate.passage) for _ in range(workers)]
    gate.wait(workers)
    gate.open()
    return [future.result(LONGEST) for future in futures]


def _kept(passage: Any) -> int:
    n = len(remote.kept())
    passage.wait(n)
    return n


def check_here() -> None:
    """Check that no thread of an engine is left in this process."""
    name = "seqtools-dispatcher"
    until(lambda: name not in [thread.name for thread in threading.enumerate()], f"{name} runs")
