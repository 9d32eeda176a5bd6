"""Prefetches on executors of the standard library; `tests/clusters` has the others."""

import contextlib
import importlib.util
import logging
import multiprocessing
import os
import signal
import sys
import threading
import warnings
from collections.abc import Iterator
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from multiprocessing import forkserver
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.engines.cluster import arenas, remote, shipment
from seqtools.engines.cluster.executor import ExecutorTransport
from seqtools.prefetching import options
from seqtools.testing import check_engine
from seqtools.testing.engines import promised
from tests import leaks
from tests.children import forked
from tests.engines.engines import pooled, threaded


def pool(n: int = 2) -> ProcessPoolExecutor:
    """Return a pool whose workers are not forked from this process, which has threads."""
    return ProcessPoolExecutor(n, mp_context=multiprocessing.get_context("forkserver"))


@pytest.fixture(scope="module", autouse=True)
def processes() -> Iterator[Executor]:
    """Return a pool that all tests here use: what it holds is no leak of one of them."""
    forkserver.ensure_running()  # until this process ends, by design
    before = leaks.held()
    with pool() as executor:
        assert list(executor.map(int, [3, 4])) == [3, 4]  # it starts a worker for each
        leaks.stand(before)
        yield executor
    leaks.settle()


@pytest.fixture(params=["threads", "processes"])
def executor(request: pytest.FixtureRequest) -> Iterator[Executor]:
    """Return an executor of each kind, which stays open."""
    if request.param == "processes":
        yield request.getfixturevalue("processes")
    else:
        with ThreadPoolExecutor(2) as threads:
            yield threads
            assert threads.submit(int, 3).result() == 3  # it was not shut down


@pytest.mark.parametrize("promise", promised())
def test_threads_of_an_executor_keep_the_promises_of_an_engine(promise: str) -> None:
    check_engine(threaded, only=[promise])


@pytest.mark.parametrize(
    "promise",
    [
        "every item is delivered",
        "errors have their path",
        "an item that ends its worker fails alone",
    ],
)
def test_a_pool_keeps_promises_of_an_engine(promise: str) -> None:
    check_engine(pooled, deaths=True, only=[promise])  # all of them are in tests/clusters


def test_the_list_is_the_same(executor: Executor) -> None:
    source = seqtools.smap(lambda x: x * x, range(200))
    with seqtools.prefetch(source, method=executor) as ready:
        assert list(ready) == list(source)
        assert ready[17] == 289
        assert ready[-1] == 199 * 199
        assert list(ready[5:9]) == [25, 36, 49, 64]
        assert list(reversed(ready)) == list(source)[::-1]
        iterator = iter(ready)
        assert [next(iterator) for _ in range(50)] == list(source[:50])
        state = iterator.state_dict()
        later = iter(ready)
        later.load_state_dict(state)
        assert list(later) == list(source[50:])
        assert repr(ready).startswith(f"prefetch(nworkers=2, method=<{type(executor).__name__}>)")


def test_errors_have_their_path_and_the_host(executor: Executor) -> None:
    def invert(x: int) -> float:
        return 1 / x

    with seqtools.prefetch(seqtools.smap(invert, [1, 0, 2]), method=executor) as ready:
        iterator = iter(ready)
        assert next(iterator) == 1
        with pytest.raises(seqtools.EvaluationError) as caught:
            next(iterator)
        assert [step.stage for step in caught.value.path] == ["prefetch", "smap(invert)"]
        assert isinstance(caught.value.__cause__, ZeroDivisionError)
        assert next(iterator) == 0.5
        if isinstance(executor, ProcessPoolExecutor):
            notes = "".join(caught.value.__cause__.__notes__)
            assert f" on {os.uname().nodename}:" in notes
            assert "invert" in notes


def test_arrays_can_be_written_to_and_are_as_they_were(processes: Executor) -> None:
    buffer = np.zeros(20_000)

    def fill(i: int) -> Any:
        buffer[:] = i
        return buffer

    with seqtools.prefetch(seqtools.smap(fill, range(40)), method=processes) as ready:
        items = list(ready)
    assert [item[0] for item in items] == list(range(40))
    items[3][:] = -1
    assert items[4][0] == 4


def test_the_seed_gives_the_same_in_processes(processes: Executor) -> None:
    def draw(x: int) -> float:
        return x + float(np.random.random())

    def made(x: int, rng: np.random.Generator) -> float:
        return x + float(rng.random())

    drawn = seqtools.smap(draw, range(30))
    want = list(seqtools.prefetch(drawn, 0, seed=3))
    with seqtools.prefetch(drawn, method=processes, seed=3) as ready:
        assert list(ready) == want
    own = seqtools.smap(made, range(30), rng=3)
    with seqtools.prefetch(own, method=processes) as ready:
        assert list(ready) == list(own)


def test_what_items_print_is_shown_before_them(
    processes: Executor, capsys: pytest.CaptureFixture[str]
) -> None:
    def tell(x: int) -> int:
        print("item", x, end="" if x == 2 else "\n")  # noqa: T201
        return x

    with seqtools.prefetch(seqtools.smap(tell, range(4)), 1, processes) as ready:
        assert list(ready) == [0, 1, 2, 3]
    assert sorted(capsys.readouterr().out.splitlines()) == [f"item {x}" for x in range(4)]
    assert processes.submit(stdout_is_plain).result()


def stdout_is_plain() -> bool:
    """Return whether the worker has its own standard output."""
    import sys

    return type(sys.stdout).__module__ != "seqtools.engines.cluster.printed"


def test_nothing_is_left_in_the_workers(processes: Executor) -> None:
    with seqtools.prefetch(seqtools.smap(abs, range(200)), method=processes) as ready:
        assert ready[0] == 0
        next(iter(ready))
    for _ in range(4):
        assert processes.submit(remote.kept).result() == []
    threads = [thread.name for thread in threading.enumerate()]
    assert not [name for name in threads if name.startswith("seqtools-dispatcher")]


def test_a_pipeline_on_another_machine_gets_its_bytes(
    processes: Executor, monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> None:
    # its workers are on this machine, but they are not told so
    monkeypatch.setattr(shipment, "machine", lambda: "elsewhere")
    np.save(tmp_path / "rows.npy", np.arange(60_000.0).reshape(600, 100))
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    added = np.ones(100_000)
    sums = seqtools.smap(lambda row: float(row.sum() + added[3]), rows)
    with seqtools.prefetch(sums, method=processes) as ready:
        assert list(ready) == list(sums)
    monkeypatch.setattr(shipment, "MOST_SENT", 1000)
    with (
        seqtools.prefetch(sums, method=processes) as ready,
        pytest.raises(seqtools.WorkerStartError, match="the pipeline has 1 MB, which workers on"),
    ):
        list(ready)


def test_a_function_that_cannot_be_loaded_is_refused_in_words(processes: Executor) -> None:
    with (
        seqtools.prefetch(seqtools.smap(Unloadable(), range(9)), method=processes) as ready,
        pytest.raises(seqtools.WorkerStartError, match=r"loading failed in worker process .* on "),
    ):
        list(ready)
    assert processes.submit(int, 3).result() == 3


class Unloadable:
    """Raises an error when it is unpickled."""

    def __call__(self, x: int) -> int:
        return x

    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_a_broken_pool_is_an_error_after_what_was_finished() -> None:
    def end_at_50(i: int) -> int:
        if i == 50:
            os._exit(1)
        return i

    with pool() as executor:
        items = iter(seqtools.prefetch(seqtools.smap(end_at_50, range(100)), method=executor))
        found = []
        with pytest.raises(seqtools.WorkerStartError, match="ProcessPoolExecutor is broken"):
            found += [next(items) for _ in range(100)]
        assert found == list(range(len(found)))
        with pytest.raises(seqtools.WorkerStartError, match="ProcessPoolExecutor is broken"):
            next(items)


def test_a_factory_replaces_a_broken_pool() -> None:
    made = []

    def make() -> Executor:
        made.append(pool())
        return made[-1]

    def end_at_7(i: int) -> int:
        if i == 7:
            os._exit(1)
        return i

    with seqtools.prefetch(seqtools.smap(end_at_7, range(30)), 2, make) as ready:
        items, found = iter(ready), list[Any]()
        for _ in range(30):
            try:
                found.append(next(items))
            except seqtools.EvaluationError as error:
                found.append(type(error.__cause__))
    assert found == [seqtools.WorkerDied if i == 7 else i for i in range(30)]
    assert len(made) == 3  # one death with others, one alone
    for each in made:
        with pytest.raises(RuntimeError):
            each.submit(int)


def end_at_once() -> None:
    """End the worker."""
    os._exit(1)


def test_a_pool_that_never_works_is_given_up() -> None:
    made = []

    def make() -> Executor:
        made.append(1)
        context = multiprocessing.get_context("forkserver")
        return ProcessPoolExecutor(1, mp_context=context, initializer=end_at_once)

    def read_all() -> None:
        for i in range(1000):
            with contextlib.suppress(seqtools.EvaluationError):
                ready[i]

    ready = seqtools.prefetch(seqtools.smap(abs, range(1000)), 1, make)
    with pytest.raises(seqtools.WorkerStartError, match="die before they evaluate anything"):
        read_all()
    ready.close()
    assert len(made) < 10


def test_an_executor_that_was_shut_down_is_an_error() -> None:
    executor = ThreadPoolExecutor(1)
    ready = seqtools.prefetch(seqtools.smap(abs, range(1000)), 1, executor)
    assert ready[0] == 0
    executor.shutdown()
    with pytest.raises(seqtools.WorkerStartError, match="ThreadPoolExecutor takes no more work"):
        list(ready)
    ready.close()
    with pytest.raises(ValueError, match="was shut down, or is broken: give another executor"):
        seqtools.prefetch([1], 1, executor)


def test_start_hooks() -> None:
    called = []
    with ThreadPoolExecutor(1) as executor:
        with seqtools.prefetch(range(9), 1, executor, start_hook=lambda: called.append(1)) as ready:
            assert list(ready) == list(range(9))
        assert called == [1]

        def fail() -> None:
            raise KeyError("hook")

        with (
            seqtools.prefetch(range(9), 1, executor, start_hook=fail) as ready,
            pytest.raises(
                seqtools.WorkerStartError, match=r"start_hook failed in thread .*: KeyError: 'hook'"
            ),
        ):
            list(ready)


class Silent(Executor):
    """An executor that does not tell how many workers it has."""

    def submit(self, *_: Any, **__: Any) -> Future[Any]:
        raise NotImplementedError


@pytest.mark.parametrize(
    ("options", "error", "match"),
    [
        ({"method": Silent()}, TypeError, "does not tell how many workers it has: give nworkers"),
        ({"method": ThreadPoolExecutor}, TypeError, "got its class: give ThreadPoolExecutor"),
        ({"method": "executor"}, ValueError, "method must be 'thread', "),
        ({"nworkers": "auto"}, ValueError, "needs method='thread' or 'process', got "),
        ({"timeout": 3}, ValueError, "cannot end an item"),
        ({"start_method": "spawn"}, ValueError, "has started its workers itself"),
        ({"seed": 3}, ValueError, "seeds the random generators of a process"),
        ({"start_hook": lambda number: number}, TypeError, "it must take no argument"),
        (
            {"engine_options": {"num_cpus": 1}},
            ValueError,
            "with an executor may have no option, got 'num_cpus'",
        ),
        ({"engine_options": 3}, TypeError, "engine_options must be a dict, got 3"),
        ({"nworkers": "2"}, TypeError, "nworkers must be an integer or None, got '2'"),
        ({"method": lambda n: n}, TypeError, "a function without arguments, got .*'n'"),
    ],
)
def test_refused(options: dict[str, Any], error: type[Exception], match: str) -> None:
    with ThreadPoolExecutor(1) as executor, pytest.raises(error, match=match):
        seqtools.prefetch([1, 2], **{"method": executor, **options})


class Busy:
    """Counts the calls that are made at the same time."""

    def __init__(self) -> None:
        self.now = self.most = 0
        self.lock, self.enough = threading.Lock(), threading.Event()

    def __call__(self, i: int) -> int:
        with self.lock:
            self.now += 1
            self.most = max(self.most, self.now)
        self.enough.wait(0.01)
        with self.lock:
            self.now -= 1
        return i


@pytest.mark.parametrize("nworkers", [1, 2, 4])
def test_no_more_items_at_a_time_than_workers_were_asked_for(nworkers: int) -> None:
    busy = Busy()
    with (
        ThreadPoolExecutor(4) as executor,
        seqtools.prefetch(seqtools.smap(busy, range(40)), nworkers, executor) as ready,
    ):
        assert list(ready) == list(range(40))
    assert busy.most == nworkers


def test_prefetches_of_prefetches() -> None:
    with ThreadPoolExecutor(1) as executor:
        inner = seqtools.prefetch(seqtools.smap(abs, range(9)), method=executor)
        told = "give each an executor of its own"
        with pytest.raises(ValueError, match=told):
            seqtools.prefetch(seqtools.smap(abs, inner), method=executor)
        told = r"prefetch, made at .*: only this process has <ThreadPoolExecutor>: give a function"
        with (
            seqtools.prefetch(seqtools.smap(abs, inner), 1, "process") as outer,
            pytest.raises(seqtools.WorkerStartError, match=told),
        ):
            list(outer)
        own = seqtools.smap(lambda i: own_ready[i - 1] + 1 if i else 0, range(40))
        own_ready = seqtools.prefetch(own, method=executor)
        assert list(own_ready) == list(range(40))


def test_numbers_of_workers() -> None:
    with ThreadPoolExecutor(5) as executor:
        assert "nworkers=5" in repr(seqtools.prefetch([1], method=executor))
        assert "nworkers=3" in repr(seqtools.prefetch([1], -2, executor))
        assert "nworkers=7" in repr(seqtools.prefetch([1], 7, executor))
        assert list(seqtools.prefetch([1], 0, executor)) == [1]


def test_large_values_are_views_of_memory_that_is_used_again(processes: Executor) -> None:
    """The memory of a worker does not grow with the number of items."""
    with seqtools.prefetch(
        seqtools.smap(lambda i: np.full(200_000, i), range(300)), 2, processes, max_cached=8
    ) as ready:
        places = set()
        for i, item in enumerate(ready):
            assert (item[0], item[-1]) == (i, i)
            places.add(item.__array_interface__["data"][0])
            item[:] = -1
        assert len(places) < 60
        kept = [*ready[:5]]
    assert [item[7] for item in kept] == [0, 1, 2, 3, 4]  # after the workers have forgotten it


def test_memory_that_cannot_be_mapped_is_not_needed(
    processes: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: Any) -> Any:
        raise FileNotFoundError

    monkeypatch.setattr(arenas.Arenas, "_opened", refuse)
    with seqtools.prefetch(
        seqtools.smap(lambda i: np.full(200_000, i), range(40)), 2, processes
    ) as ready:
        assert [item[-1] for item in ready] == list(range(40))


def test_too_much_kept_memory_is_copied_with_a_warning(
    processes: Executor, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "usable_memory", lambda: 8 << 20)
    with seqtools.prefetch(
        seqtools.smap(lambda i: np.full(100_000, i), range(40)), 2, processes, max_bytes=1 << 30
    ) as ready:
        with pytest.warns(RuntimeWarning, match="more than 2 MB of values from worker processes"):
            kept = [*ready, ready[0], *ready[:3]]
        assert [item[-1] for item in kept] == [*range(40), 0, 0, 1, 2]


@pytest.mark.parametrize(("method", "package"), [("dask", "distributed"), ("ray", "ray")])
def test_a_missing_package_is_named_with_the_line_that_installs_it(
    method: str, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _: None)
    monkeypatch.delitem(sys.modules, package, raising=False)
    with pytest.raises(ModuleNotFoundError, match=f"python -m pip install {package}") as caught:
        seqtools.prefetch([1], 1, method)
    assert caught.value.name == package


@pytest.mark.parametrize(
    ("make", "told"),
    [(lambda: 3, "must return an executor, got 3"), (lambda: 1 // 0, "failed: ZeroDivisionError")],
)
def test_a_function_that_makes_no_executor(make: Any, told: str) -> None:
    ready = seqtools.prefetch(range(9), 1, make)
    with pytest.raises(seqtools.WorkerStartError, match=told):
        ready[0]


def test_an_address_is_no_client() -> None:
    with pytest.raises(
        ValueError, match=r"give a client of it, distributed.Client\('tcp://here'\)"
    ):
        seqtools.prefetch([1], 1, "tcp://here")


def test_a_forked_child_is_told_that_it_has_no_executor(processes: Executor) -> None:
    with seqtools.prefetch(seqtools.smap(abs, range(100)), method=processes) as ready:
        assert ready[3] == 3

        def told() -> bool:
            try:
                ready[50]
            except seqtools.WorkerStartError as error:
                return "was forked from the one that has <ProcessPoolExecutor>" in str(error)
            return False

        assert forked(told)
        assert list(ready) == list(range(100))


def test_close_does_not_wait_for_the_workers_of_a_pool_that_was_made(tmp_path: Any) -> None:
    def wait(i: int) -> int:
        (tmp_path / str(i)).touch()
        threading.Event().wait(60 if i else 0)
        return i

    ready = seqtools.prefetch(seqtools.smap(wait, range(9)), 1, pool)
    assert ready[0] == 0
    while not (tmp_path / "1").exists():
        threading.Event().wait(0.01)
    ready.close()


class Stuck(Executor):
    """Takes calls, and makes none; waiting for one passes time on a clock of its own."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.clock = 0.0
        monkeypatch.setattr("seqtools.engines.cluster.executor.time.monotonic", lambda: self.clock)

    def submit(self, *_: Any, **__: Any) -> Any:
        """Return a call that runs for ever."""
        outer = self

        class Running(Future[Any]):
            def exception(self, timeout: float | None = None) -> BaseException | None:
                assert timeout is not None
                outer.clock += timeout
                raise TimeoutError

        future = Running()
        future.set_running_or_notify_cancel()
        return future


@pytest.mark.skipif(not hasattr(signal, "SIGSTOP"), reason="this system stops no processes")
def test_close_ends_idle_workers_of_a_pool_that_do_not_end() -> None:
    made: list[ProcessPoolExecutor] = []

    def make() -> Executor:
        made.append(ProcessPoolExecutor(2))
        return made[-1]

    with seqtools.prefetch(seqtools.smap(abs, range(8)), 2, make) as p:
        assert list(p) == list(range(8))
        workers = [*made[0]._processes.values()]
        for worker in workers:
            os.kill(worker.pid, signal.SIGSTOP)
    assert all(not worker.is_alive() for worker in workers)


def test_close_waits_once_for_all_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    stuck = Stuck(monkeypatch)
    transport = ExecutorTransport(stuck, 100)
    transport.open(None, lambda *_: None)
    for number in range(1, 200):
        transport.post(transport.places()[0], number, ((), 0), payload=False)
    began = stuck.clock
    transport.close()
    assert 0.0 < stuck.clock - began < 1.0


def test_log_records_and_warnings_of_its_processes(processes: Executor) -> None:
    log, records = logging.getLogger("tests.executor"), list[logging.LogRecord]()

    def get(x: int) -> int:
        log.info("item %d", x)
        log.debug("nothing")
        warnings.warn("careful", UserWarning, stacklevel=1)
        return x

    handler = logging.Handler()
    handler.emit = records.append  # type: ignore[method-assign]
    log.addHandler(handler)
    log.setLevel(logging.INFO)  # which the processes do not know
    try:
        with (
            pytest.warns(UserWarning, match="careful"),
            seqtools.prefetch(seqtools.smap(get, range(5)), 2, processes) as p,
        ):
            assert list(p) == list(range(5))
    finally:
        log.removeHandler(handler)
        log.setLevel(logging.NOTSET)
    found = [(record.getMessage(), vars(record)["seqtools_item"]) for record in records]
    assert sorted(found) == [(f"item {x}", x) for x in range(5)]
    assert processes.submit(_is_as_before).result()


def _is_as_before() -> bool:
    """Return whether `logging` and `warnings` are what they were before in this process."""
    ours = (logging.Logger.callHandlers, logging.Logger.isEnabledFor, warnings.showwarning)
    return all(each.__module__ in {"logging", "warnings"} for each in ours)


def test_an_end_hook_is_refused(processes: Executor) -> None:
    with pytest.raises(ValueError, match="end_hook= needs workers that end with the prefetch"):
        seqtools.prefetch(range(3), 1, processes, end_hook=print)
