"""What `seqtools.engines.base` promises, for every engine."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from seqtools.engines.base import END, Engine
from seqtools.errors import EndOfSequence, Failure, ItemTimeout, WorkerStartError, seterr
from tests.engines.engines import BECOMING, ENGINES, WITH_TIMEOUT, Make
from tests.engines.fifo import Fifo

MakeFifo = Callable[[], Fifo]


@pytest.fixture(params=ENGINES)
def make(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Engine] = []

    def one(*args: Any, **kwargs: Any) -> Engine:
        made.append(ENGINES[request.param](*args, **kwargs))
        return made[-1]

    yield one
    for engine in made:
        engine.close()


def collect(engine: Engine, n: int) -> list[tuple[int, Any]]:
    results: list[tuple[int, Any]] = []
    while len(results) < n:
        results += engine.receive()
    assert len(results) == n
    return results


def test_every_index_comes_back_once(make: Make) -> None:
    engine = make(lambda i: i * i)
    engine.submit(range(300))
    engine.submit([1000, 5000, 2000])
    wanted = [*range(300), 1000, 2000, 5000]
    assert sorted(collect(engine, 303)) == [(i, i * i) for i in wanted]


def test_what_is_there_can_be_asked_without_waiting(make: Make, fifo: MakeFifo) -> None:
    gate = fifo()

    def get(i: int) -> int:
        gate.wait()
        return i

    engine = make(get, 1)
    assert engine.receive(wait=False) == []
    engine.submit([5])
    assert engine.receive(wait=False) == []
    gate.send()
    assert engine.receive() == [(5, 5)]
    assert engine.receive(wait=False) == []


# the others have as many workers as their plan says, see test_adaptive
@pytest.mark.parametrize("make", [name for name in ENGINES if name not in BECOMING], indirect=True)
def test_who_is_at_work_can_be_counted(make: Make, fifo: MakeFifo) -> None:
    gates = fifo(), fifo()

    def get(i: int) -> int:
        gates[i // 2].wait()
        return i

    engine = make(get, 2)
    assert (engine.busy(), engine.nworkers) == (0, 2)
    gates[0].send(9)  # those that read ahead need some too
    engine.submit([0, 1])
    assert len(collect(engine, 2)) == 2
    assert (engine.busy(), engine.nworkers) == (0, 2)
    engine.submit([2, 3])
    while engine.busy() < 2:
        assert not engine.receive(wait=False)
    assert engine.busy() == 2
    gates[1].send(9)
    assert len(collect(engine, 2)) == 2
    assert (engine.busy(), engine.nworkers) == (0, 2)


def test_an_index_may_be_submitted_again(make: Make) -> None:
    engine = make(lambda i: -i)
    for _ in range(3):
        engine.submit([7, 8])
        assert sorted(collect(engine, 2)) == [(7, -7), (8, -8)]


def test_errors_come_back_in_place_of_values(make: Make) -> None:
    def odd_ones_fail(i: int) -> int:
        if i % 2:
            raise KeyError(i)
        return i

    engine = make(odd_ones_fail)
    engine.submit(range(20))
    results = dict(collect(engine, 20))
    for i in range(20):
        if i % 2:
            assert isinstance(results[i], Failure)
            assert isinstance(results[i].error, KeyError)
            assert results[i].error.args == (i,)
        else:
            assert results[i] == i


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, StopIteration])
def test_no_exception_of_user_code_ends_a_worker(make: Make, error: type[BaseException]) -> None:
    def get(i: int) -> int:
        if i == 1:
            raise error
        return i

    engine = make(get, 1)
    engine.submit(range(3))
    results = dict(collect(engine, 3))
    assert (results[0], results[2]) == (0, 2)
    assert type(results[1].error) is error


def test_the_end_is_told(make: Make) -> None:
    def get(i: int) -> int:
        if i >= 2:
            raise EndOfSequence
        return i

    engine = make(get)
    engine.submit(range(4))
    assert sorted(collect(engine, 4), key=lambda r: r[0]) == [(0, 0), (1, 1), (2, END), (3, END)]


def test_what_nobody_began_can_be_cancelled(make: Make, fifo: MakeFifo) -> None:
    begun, gate = fifo(), fifo()

    def get(i: int) -> int:
        begun.send()
        gate.wait()
        return i

    engine = make(get, 1)
    engine.submit(range(50))
    begun.wait()
    cancelled = engine.cancel(range(10, 50))
    assert set(cancelled) <= set(range(10, 50))
    assert len(cancelled) > 30  # a worker is given no more than a few beforehand
    gate.send(50)
    left = sorted(set(range(50)) - set(cancelled))
    assert sorted(collect(engine, len(left))) == [(i, i) for i in left]
    assert not engine.cancel([1, 2, 100])


def test_what_is_needed_first_comes_first(make: Make, fifo: MakeFifo) -> None:
    begun, gate = fifo(), fifo()

    def get(i: int) -> int:
        begun.send()
        gate.wait()
        return i

    engine = make(get, 1)
    engine.submit(range(50))
    begun.wait()
    engine.submit([90, 91], first=True)
    gate.send(60)
    order = [i for i, _ in collect(engine, 52)]
    assert order.index(91) == order.index(90) + 1
    assert order.index(90) < 20


def test_work_goes_on_while_nobody_receives(make: Make, fifo: MakeFifo) -> None:
    done = fifo()

    def get(_: int) -> bytes:
        done.send()
        return bytes(3_000_000)  # more than a pipe holds

    engine = make(get)
    engine.submit(range(20))
    done.wait(20)
    assert sorted(i for i, _ in collect(engine, 20)) == list(range(20))


def test_receive_returns_when_the_engine_is_closed(make: Make, fifo: MakeFifo) -> None:
    begun, gate = fifo(), fifo()

    def get(i: int) -> int:
        begun.send()
        gate.wait()
        return i

    engine = make(get, 1)
    engine.submit([1])
    results: list[Any] = [None]
    thread = threading.Thread(target=lambda: results.append(engine.receive()))
    thread.start()
    begun.wait()
    gate.send()  # a thread inside user code cannot be stopped
    engine.close()
    thread.join()
    assert results[-1] in ([], [(1, 1)])
    engine.close()  # twice does no harm


def test_the_hook_is_called_with_the_number_of_the_worker(make: Make, tmp_path: Path) -> None:
    def hook(number: int) -> None:
        (tmp_path / str(number)).touch()

    engine = make(lambda i: i, 3, hook)
    engine.submit(range(100))
    collect(engine, 100)
    engine.close()
    assert (tmp_path / "0").exists() or (tmp_path / "1").exists() or (tmp_path / "2").exists()
    assert {path.name for path in tmp_path.iterdir()} <= {"0", "1", "2"}


def test_a_hook_may_take_no_argument(make: Make, tmp_path: Path) -> None:
    engine = make(abs, 1, lambda: (tmp_path / "called").touch())  # noqa: PLW0108 -- touch takes arguments
    engine.submit([1])
    collect(engine, 1)
    assert (tmp_path / "called").exists()


def test_a_hook_that_fails_is_told(make: Make) -> None:
    def hook() -> None:
        raise ValueError("no licence")

    engine = make(lambda i: i, 1, hook)
    engine.submit([1])
    with pytest.raises(WorkerStartError, match="no licence"):
        collect(engine, 1)


def test_workers_report_errors_as_the_submitter_does(make: Make) -> None:
    engine = make(lambda _: seterr(), 1)
    engine.submit([0])
    assert collect(engine, 1) == [(0, "wrap")]


def test_many_workers(make: Make) -> None:
    engine = make(lambda i: i, 16)
    engine.submit(range(2000))
    assert sorted(collect(engine, 2000)) == [(i, i) for i in range(2000)]


@pytest.fixture(params=WITH_TIMEOUT)
def make_timed(request: pytest.FixtureRequest) -> Iterator[Make]:
    made: list[Engine] = []

    def one(*args: Any) -> Engine:
        made.append(WITH_TIMEOUT[request.param](*args))
        return made[-1]

    yield one
    for engine in made:
        engine.close(wait=False)  # a thread that hangs would be warned of


@pytest.mark.parametrize("nworkers", [1, 2])
def test_an_item_that_takes_too_long_fails_alone(
    make_timed: Make, fifo: MakeFifo, nworkers: int
) -> None:
    begun, gate = fifo(), fifo()

    def get(i: int) -> int:
        if i in {3, 4}:
            begun.send()
            gate.wait()
        return i

    engine = make_timed(get, nworkers, 0.2)
    engine.submit(range(20))
    results = dict(collect(engine, 20))
    for i in (3, 4):
        error = results.pop(i).error
        assert isinstance(error, ItemTimeout)
        assert str(error).startswith(f"item {i} took longer than timeout=0.2 seconds in ")
    assert results == {i: i for i in range(20) if i not in {3, 4}}
    begun.wait(2)
    gate.send(2)  # who hung comes too late, and says nothing
    engine.submit([30])
    assert collect(engine, 1) == [(30, 30)]
    assert engine.receive(wait=False) == []


def test_quick_items_have_time_enough(make_timed: Make) -> None:
    engine = make_timed(lambda i: i, 2, 20.0)
    engine.submit(range(2000))
    assert sorted(collect(engine, 2000)) == [(i, i) for i in range(2000)]
