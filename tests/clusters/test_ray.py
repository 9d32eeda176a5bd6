"""Prefetches on a real Ray."""

import os
import re
import signal
import threading
import time
import warnings
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest
import ray as the_ray

import seqtools
from tests.clusters import real
from tests.engines.fifo import Fifo
from tests.scripts import LONGEST


def until(holds: Callable[[], bool], what: str) -> None:
    """Wait until `holds()`."""
    deadline = time.monotonic() + LONGEST
    while not holds():
        assert time.monotonic() < deadline, what
        time.sleep(0.01)


def actors() -> dict[str, str]:
    """Return the states of all actors that live or will."""
    found = the_ray._private.state.actors()
    return {name: each["State"] for name, each in found.items() if each["State"] != "DEAD"}


def references() -> Any:
    """Return what this process holds in the object store."""
    return the_ray._private.worker.global_worker.core_worker.get_all_reference_counts()


@pytest.fixture(autouse=True)
def nothing_is_left() -> Iterator[None]:
    """Let a test leave no actor, and no reference, in a Ray that stands."""
    yield
    if the_ray.is_initialized():
        until(lambda: not actors(), f"actors are left: {actors()}")
        until(lambda: not references(), f"references are left: {references()}")


@pytest.fixture
def fifo(tmp_path: Any) -> Iterator[Callable[[], Fifo]]:
    made: list[Fifo] = []

    def one() -> Fifo:
        made.append(Fifo(tmp_path / f"fifo-{len(made)}"))
        return made[-1]

    yield one
    for each in made:
        each.close()


def outcomes(ready: Any) -> list[Any]:
    """Return all items, and the types of the errors of those that fail."""
    items, found = iter(ready), list[Any]()
    while True:
        try:
            found.append(next(items))
        except StopIteration:
            return found
        except seqtools.EvaluationError as error:
            found.append(type(error.__cause__))


def test_arrays_can_be_written_to(ray: str) -> None:
    buffer = np.zeros(200_000)

    def fill(i: int) -> Any:
        buffer[:] = i
        return buffer, str(i)

    with seqtools.prefetch(seqtools.smap(fill, range(40)), method=ray) as ready:
        items = list(ready)
        assert [(item[0][7], item[1]) for item in items] == [(i, str(i)) for i in range(40)]
        items[3][0][:] = -1
        assert items[4][0][0] == 4


def test_start_hooks_get_the_number_of_the_worker(ray: str) -> None:
    def note(number: int) -> None:
        os.environ["NUMBER"] = str(number)

    source = seqtools.smap(lambda _: os.environ["NUMBER"], range(100))
    with seqtools.prefetch(source, method=ray, start_hook=note) as ready:
        assert set(ready) <= {"0", "1"}


def test_what_items_print_is_shown_once(ray: str, capfd: pytest.CaptureFixture[str]) -> None:
    def tell(x: int) -> int:
        print("item", x)  # noqa: T201
        return x

    with seqtools.prefetch(seqtools.smap(tell, range(4)), 1, ray) as ready:
        assert list(ready) == [0, 1, 2, 3]
    assert sorted(capfd.readouterr().out.splitlines()) == [f"item {x}" for x in range(4)]


def test_caches_are_where_the_workers_are(ray: str) -> None:
    counts: list[int] = []

    def slow(i: int) -> int:
        counts.append(i)
        return i

    cached = seqtools.add_cache(seqtools.smap(slow, range(5)), 5)
    twice = seqtools.smap(lambda i: (cached[i % 5], len(counts)), range(100))
    with seqtools.prefetch(twice, 1, ray) as ready:
        assert list(ready)[-1] == (4, 5)
    assert counts == []


def test_a_prefetch_in_a_worker(ray: str) -> None:
    def total(i: int) -> int:
        with seqtools.prefetch(seqtools.smap(lambda x: x + i, range(20)), 2, "thread") as inner:
            return sum(inner)

    with seqtools.prefetch(seqtools.smap(total, range(6)), method=ray) as ready:
        assert list(ready) == [190 + 20 * i for i in range(6)]


def test_a_prefetch_on_ray_in_a_worker(ray: str) -> None:
    def total(i: int) -> int:
        options = {"num_cpus": 0}
        source = seqtools.smap(lambda x: x + i, range(20))
        with seqtools.prefetch(source, 1, "ray", engine_options=options) as inner:
            return sum(inner)

    with seqtools.prefetch(seqtools.smap(total, range(3)), 1, ray) as ready:
        assert list(ready) == [190 + 20 * i for i in range(3)]


# ---------------------------------------------------------------------------- deaths


def test_a_worker_that_is_killed_costs_nothing(ray: str, tmp_path: Any) -> None:
    first = tmp_path / "first"

    def die_once(i: int) -> int:
        if i == 50:
            try:
                first.touch(exist_ok=False)
            except FileExistsError:
                return i
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    with seqtools.prefetch(seqtools.smap(die_once, range(100)), method=ray) as ready:
        assert outcomes(ready) == list(range(100))


def test_workers_that_are_killed_while_idle_cost_nothing(ray: str) -> None:
    with seqtools.prefetch(seqtools.smap(lambda _: os.getpid(), range(400)), method=ray) as ready:
        for _ in range(4):
            for pid in set(outcomes(ready)):
                os.kill(pid, signal.SIGKILL)
        assert len(outcomes(ready)) == 400


def test_an_item_that_kills_its_worker_fails_alone(ray: str, fifo: Callable[[], Fifo]) -> None:
    deaths = fifo()

    def die(i: int) -> int:
        if i in {7, 30}:
            deaths.send()
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    with seqtools.prefetch(seqtools.smap(die, range(60)), method=ray) as ready:
        want: list[Any] = [*range(60)]
        want[7] = want[30] = seqtools.WorkerDied
        assert outcomes(ready) == want
        with pytest.raises(seqtools.EvaluationError) as caught:
            ready[7]
        assert "died twice while it evaluated item 7: process " in str(caught.value.__cause__)
    deaths.wait(6)  # one of a block and one alone each, and those of the last reading


def test_an_item_that_takes_too_long_fails_alone(ray: str, fifo: Callable[[], Fifo]) -> None:
    never = fifo()

    def wait(i: int) -> int:
        if i in {3, 4}:
            never.wait()
        return i

    with seqtools.prefetch(seqtools.smap(wait, range(20)), method=ray, timeout=1.0) as ready:
        want: list[Any] = [*range(20)]
        want[3] = want[4] = seqtools.ItemTimeout
        assert outcomes(ready) == want
        assert ready[5] == 5


def test_leaving_in_the_middle(ray: str) -> None:
    source = seqtools.smap(lambda i: np.full(100_000, i), range(1000))
    ready = seqtools.prefetch(source, method=ray)
    for item in ready:
        if item[0] == 10:
            break
    ready.close()
    until(lambda: not actors(), "actors are left")
    assert ready[5][0] == 5
    del ready


# ---------------------------------------------------------------------------- processors


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have it said soon that actors wait."""
    monkeypatch.setattr("seqtools.engines.cluster.ray._PATIENCE", 3.0)


def test_more_workers_than_processors(
    ray: str, fifo: Callable[[], Fifo], request: pytest.FixtureRequest
) -> None:
    go = fifo()

    def wait(i: int) -> int:
        if i == 99:
            go.wait()
        return i

    with seqtools.prefetch(seqtools.smap(wait, range(100)), 5, ray) as ready:
        items, found = iter(ready), list[int]()
        assert [next(items) for _ in range(20)] == list(range(20))
        request.getfixturevalue("impatient")  # now that actors have started, which may take long
        # the second one may still be starting, which holds its processor
        told = r"[12] of 5 workers have started in Ray\. Each needs 1 CPU; 0 of 2 CPU are free"
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            reading = threading.Thread(target=lambda: found.extend(items))
            reading.start()
            until(lambda: bool(caught), "there was no warning")
            go.send()
            reading.join()
        assert re.match(told, str(caught[0].message))
        assert found == list(range(20, 100))


@pytest.mark.usefixtures("impatient")
def test_what_no_node_has_is_waited_for_in_words(ray: str) -> None:
    options = {"resources": {"unobtainium": 1}}
    told = "no node of Ray has 1 CPU and 1 unobtainium, which each worker needs: items wait"
    with (
        seqtools.prefetch(range(9), 1, ray, engine_options=options) as ready,
        pytest.raises(RuntimeWarning, match=told),  # all warnings are errors here
    ):
        list(ready)


def test_two_prefetches_at_a_time_share_processors(ray: str) -> None:
    source = seqtools.smap(lambda x: x * x, range(300))
    with seqtools.prefetch(source, method=ray) as one, seqtools.prefetch(source, method=ray) as two:
        assert list(zip(one, two, strict=True)) == [(x * x, x * x) for x in range(300)]


def test_options_reach_the_actors(ray: str) -> None:
    options = {"num_cpus": 0.5, "runtime_env": {"env_vars": {"GIVEN": "here"}}}
    source = seqtools.smap(lambda _: os.environ.get("GIVEN"), range(3))
    with seqtools.prefetch(source, 1, ray, engine_options=options) as ready:
        assert list(ready) == ["here"] * 3


@pytest.mark.parametrize(
    ("options", "match"),
    [
        ({"num_cpus": -1}, r"Ray refuses engine_options=\{'num_cpus': -1\}: "),
        ({"runtime_env": {"working_dir": "/nowhere"}}, "Ray"),
    ],
)
def test_options_that_ray_refuses(ray: str, options: dict[str, Any], match: str) -> None:
    with (
        seqtools.prefetch(range(9), 1, ray, engine_options=options) as ready,
        pytest.raises(seqtools.WorkerStartError, match=match),
    ):
        list(ready)


def test_unknown_options(ray: str) -> None:
    with pytest.raises(ValueError, match=r"may be 'num_cpus', .*, got 'cpus'"):
        seqtools.prefetch(range(9), 1, ray, engine_options={"cpus": 1})


# ---------------------------------------------------------------------------- the cluster


def test_a_node_that_is_removed_costs_nothing(fresh_ray_node: int) -> None:
    source = seqtools.smap(lambda i: np.full(50_000, i), range(300))
    with seqtools.prefetch(source, method="ray") as ready:
        items = iter(ready)
        found = [next(items)[0] for _ in range(30)]
        real.end_family(fresh_ray_node)
        found += [item[0] for item in items]
    assert found == list(range(300))
    # Ray is connected to the node until it notices
    until(lambda: sum([node["Alive"] for node in the_ray.nodes()]) == 1, "the node is not dead")
