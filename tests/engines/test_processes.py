"""What only worker processes can get right or wrong."""

import gc
import os
import random
import signal
import sqlite3
import subprocess
import sys
import textwrap
import threading
import time
import weakref
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools._core.errors import ItemTimeout, WorkerDied, WorkerStartError
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.process.launcher import meaning
from seqtools.engines.process.workers import Workers
from tests.engines.driven import Driven, still
from tests.engines.fifo import Fifo

MakeFifo = Callable[[], Fifo]


def prefetch(source: Any, nworkers: int = 2, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(source, nworkers, "process", **options)


def driven(get: Any, nworkers: int = 2, **options: Any) -> Driven:
    return Driven(lambda deliver: ProcessEngine(None, get, nworkers, deliver=deliver, **options))


def outcomes(p: Any) -> list[Any]:
    items, found = iter(p), []
    for _ in range(len(p)):
        try:
            found.append(next(items))
        except seqtools.EvaluationError as error:
            found.append(error.__cause__)
    return found


# Death


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGSEGV, "exit"])
@pytest.mark.parametrize(("n", "start_method"), [(10, "template"), (3000, "spawn")])
def test_an_item_that_kills_its_worker_again_fails_alone(
    how: Any, n: int, start_method: str
) -> None:
    def deadly(x: int) -> int:
        if x == 5:
            signal.signal(signal.SIGSEGV, signal.SIG_DFL)
            os._exit(3) if how == "exit" else os.kill(os.getpid(), how)
        return x

    mapped = seqtools.smap(deadly, range(n))
    found = outcomes(prefetch(mapped, max_cached=1000, start_method=start_method))
    error = found.pop(5)
    assert isinstance(error, WorkerDied)
    assert "item 5" in str(error)
    assert ("code 3" if how == "exit" else how.name) in str(error)
    assert found == [*range(5), *range(6, n)]


def test_what_was_finished_before_the_death_is_delivered(tmp_path: Path) -> None:
    log = tmp_path / "log"

    def get(x: int) -> bytes:
        with log.open("a") as file:
            file.write(f"{x} ")
        if x == 4 and log.read_text().split().count("4") == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        return bytes(100_000)

    p = prefetch(seqtools.batch(seqtools.smap(get, range(8)), 1), nworkers=1)
    assert [len(value[0]) for value in p] == [100_000] * 8
    assert log.read_text().split().count("4") == 2


def test_a_worker_that_closes_its_pipes_is_replaced(tmp_path: Path) -> None:
    def get(x: int) -> int:
        mark = tmp_path / str(x)
        if x == 2 and not mark.exists():
            mark.touch()
            os.closerange(3, 100)
        return x

    assert list(prefetch(seqtools.smap(get, range(6)))) == list(range(6))


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
@pytest.mark.parametrize("n", [8, 500])
def test_an_item_that_hangs_is_named_and_its_worker_replaced(
    n: int, start_method: str, fifo: MakeFifo
) -> None:
    gates = {3: fifo(), 5: fifo()}

    def get(x: int) -> int:
        if x in gates:
            gates[x].wait()  # for ever
        return x

    engine = driven(get, 2, start_method=start_method, timeout=0.3)
    engine.submit(range(n))
    got = engine.collect(n)
    for i in gates:
        error = got.pop(i).error
        assert isinstance(error, ItemTimeout)
        assert f"item {i} took longer than timeout=0.3 seconds in worker" in str(error)
    assert got == {i: i for i in range(n) if i not in gates}
    gates[3].send(2)  # the worker that was at it may just be taking one
    engine.submit([3, 0])  # it may be tried again
    assert engine.collect(2) == {3: 3, 0: 0}
    engine.close()


def test_how_a_process_ended_in_words() -> None:
    assert meaning(3) == "it exited with code 3"
    assert "SIGKILL" in meaning(-signal.SIGKILL)
    assert "memory" in meaning(-signal.SIGKILL)
    assert meaning(-signal.SIGUSR1) == "it was killed by SIGUSR1"
    assert meaning(-60) == "it was killed by signal 60"


# The pipeline on its way


def test_an_unpicklable_pipeline_names_the_stage_and_what_to_do() -> None:
    lock = threading.Lock()
    bad = seqtools.smap(lambda x: (x, lock), range(3))
    p = prefetch(seqtools.batch(seqtools.smap(str, bad), 2))
    for _ in range(2):
        with pytest.raises(WorkerStartError) as caught:
            list(p)
    message = str(caught.value)
    assert "smap(<lambda>), made at" in message
    assert __file__ in message
    assert "cannot pickle '_thread.lock' object" in message
    assert "start_method='fork'" in message
    assert list(seqtools.prefetch(bad, 1, "process", start_method="fork")[:0]) == []


def test_an_unpicklable_source_or_hook() -> None:
    class Source(list[Any]):
        def __reduce__(self) -> Any:
            raise TypeError("not me")

    with pytest.raises(
        WorkerStartError,
        match=r"a source of type Source cannot be sent.*not me; make it .*@seqtools.per_worker",
    ):
        list(prefetch(Source([1])))
    lock = threading.Lock()
    with pytest.raises(WorkerStartError, match="start_hook cannot be sent"):
        list(prefetch([1], start_hook=lambda: lock))


class Opened:
    """A source that holds something open."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> Any:
        return self.handle


def test_the_advice_for_what_cannot_be_sent_helps() -> None:
    def refusal(sequence: Any) -> str:
        with pytest.raises(WorkerStartError) as caught:
            prefetch(sequence)[0]
        return str(caught.value)

    with closing(sqlite3.connect(":memory:")) as db, open(__file__) as text, text.buffer as file:
        for handle in (db, text, file):
            for sequence in (seqtools.smap(lambda _, each=handle: each, [1]), Opened([handle])):
                # threads and forks would share it
                assert refusal(sequence).endswith("with @seqtools.per_worker")
    once = refusal(seqtools.smap(str, seqtools.uniter(iter([1]))))
    assert once.endswith(
        "give uniter() an object whose __iter__ starts again, or use method='thread'"
    )
    assert once.count("method='thread'") == 1


def test_a_pipeline_that_cannot_be_loaded_tells_why() -> None:
    class Picky:
        def __init__(self, pid: int) -> None:
            self.pid = pid

        def __call__(self, x: int) -> int:
            return x

        def __setstate__(self, state: Any) -> None:
            if state["pid"] != os.getpid():
                raise OSError("no such camera")

    with pytest.raises(WorkerStartError, match=r"could not be loaded.*no such camera") as caught:
        list(prefetch(seqtools.smap(Picky(os.getpid()), range(3))))
    assert "__setstate__" in caught.value.__notes__[0]


def test_fork_takes_along_what_cannot_be_pickled() -> None:
    lock = threading.Lock()

    def get(x: int) -> int:
        with lock:
            return x

    p = prefetch(seqtools.smap(get, range(5)), start_method="fork")
    assert list(p) == list(range(5))


def test_arrays_of_the_pipeline_are_not_copied_for_each_worker() -> None:
    array = np.arange(200_000.0)
    p = prefetch(seqtools.smap(lambda i: (array[i], array.flags.owndata), range(10)))
    assert list(p) == [(float(i), False) for i in range(10)]


def test_a_worker_may_write_to_its_arrays_and_nobody_else_sees_it() -> None:
    array = np.zeros(200_000)

    def count(_: int) -> float:
        array[0] += 1
        return float(array[0])

    counts = list(prefetch(seqtools.smap(count, range(20))))
    assert max(counts) <= 20
    assert array[0] == 0


@pytest.mark.parametrize("mode", ["r", "r+", "c"])
def test_memory_maps_travel_by_reference(tmp_path: Path, mode: Any) -> None:
    path = tmp_path / "data"
    np.arange(100_000, dtype=np.int32).tofile(path)
    mapped = np.memmap(path, np.int32, mode, offset=4096 + 8, shape=(1000, 20))

    def mapped_here(_: int) -> bool:
        return str(path) in Path("/proc/self/maps").read_text()

    for array in (mapped, mapped[10:500:3, ::-1], np.asarray(mapped)[5:], mapped[::-1].T):
        p = prefetch(seqtools.smap(lambda row: row.copy(), array))
        np.testing.assert_array_equal(np.array(list(p)), np.asarray(array))
        if mode != "c":  # what this one may have changed is looked for: see test_mappings.py
            p = prefetch(seqtools.smap(mapped_here, seqtools.gather(array, range(2))))
            assert list(p) == [True] * 2


def test_a_memory_map_without_a_file_goes_by_value(tmp_path: Path) -> None:
    path = tmp_path / "data"
    mapped = np.memmap(path, np.int32, "w+", shape=(10,))
    mapped[:] = range(10)
    path.unlink()
    assert [int(x) for x in prefetch(mapped)] == list(range(10))


def test_a_worker_writes_through_to_a_memory_map(tmp_path: Path) -> None:
    mapped = np.memmap(tmp_path / "data", np.int32, "w+", shape=(10,))

    def write(i: int) -> int:
        mapped[i] = i
        return i

    list(prefetch(seqtools.smap(write, range(10))))
    assert mapped.tolist() == list(range(10))


# What workers are given


def test_libraries_in_workers_use_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MKL_NUM_THREADS", "3")
    names = ["OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"]
    assert list(prefetch(seqtools.smap(os.getenv, names))) == ["1", "1", "3"]


def test_working_directory_arguments_and_path(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "argv", ["mine", "--fast"])
    (tmp_path / "only_here.py").write_text("def double(x): return 2 * x\n")
    import only_here  # type: ignore[import-not-found]

    p = prefetch(seqtools.smap(lambda _: (Path.cwd(), sys.argv), range(1)))
    assert p[0] == (tmp_path, ["mine", "--fast"])
    assert list(prefetch(seqtools.smap(only_here.double, range(3)))) == [0, 2, 4]


def test_workers_draw_different_random_numbers() -> None:
    def draw(_: int) -> tuple[float, float, int]:
        return random.random(), float(np.random.rand()), os.getpid()

    for p in (
        prefetch(seqtools.smap(draw, range(60)), 3),
        prefetch(seqtools.smap(draw, range(60)), 3, start_method="fork"),
    ):
        found = list(p)
        assert len({a for a, _, _ in found}) == len({b for _, b, _ in found}) == 60


def test_with_a_seed_items_are_the_same_in_every_run() -> None:
    def draw(x: int) -> tuple[int, float, float]:
        return x, random.random(), float(np.random.rand())

    source = seqtools.smap(draw, range(20))
    one, two = list(prefetch(source, 1, seed=5)), list(prefetch(source, 3, seed=5))
    assert one == two == list(seqtools.prefetch(source, 0, seed=5))
    assert list(prefetch(source, 2, seed=6)) != one
    assert len({value for _, value, _ in one}) == 20


def test_what_workers_print_arrives(capfd: pytest.CaptureFixture[str]) -> None:
    def show(i: int, value: int) -> None:
        print(f"read {i}: {value}")  # noqa: T201 -- that is the question

    shown = seqtools.instrument.debug(range(3), show)
    list(prefetch(shown))
    assert sorted(capfd.readouterr().out.splitlines()) == [f"read {i}: {i}" for i in range(3)]


def test_pipes_smaller_than_usual(monkeypatch: pytest.MonkeyPatch) -> None:
    import fcntl

    real = os.pipe

    def small() -> tuple[int, int]:
        fds = real()
        fcntl.fcntl(fds[0], fcntl.F_SETPIPE_SZ, 4096)
        return fds

    monkeypatch.setattr(os, "pipe", small)
    monkeypatch.setattr("seqtools.engines.process.template.enlarge", lambda _: None)
    order = np.random.default_rng(0).permutation(5000)
    p = prefetch(seqtools.gather(seqtools.smap(lambda x: -x, range(5000)), order), max_cached=4000)
    assert list(p) == [-int(i) for i in order]


# Programs


def run(code: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-W", "error", *arguments, "-c", textwrap.dedent(code)],
        capture_output=True,
        text=True,
        timeout=25,
        check=False,
    )


def test_a_script_without_a_guard(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        textwrap.dedent("""
            import dataclasses
            import seqtools

            @dataclasses.dataclass
            class Point:
                x: int

            def make(x):
                return Point(offset + x)

            offset = 10
            points = list(seqtools.prefetch(seqtools.smap(make, range(3)), 2, "process"))
            assert all(isinstance(point, Point) for point in points)
            print(points)
        """)
    )
    done = subprocess.run(
        [sys.executable, str(script)], capture_output=True, text=True, timeout=25, check=False
    )
    assert done.stdout == "[Point(x=10), Point(x=11), Point(x=12)]\n"
    assert (done.returncode, done.stderr) == (0, "")


def test_a_module_reads_values_of_its_own_classes_while_it_is_imported(tmp_path: Path) -> None:
    (tmp_path / "points.py").write_text(
        textwrap.dedent("""
            import seqtools

            class Point:
                def __init__(self, x):
                    self.x = x

            made = seqtools.smap(Point, range(5))
            points = list(seqtools.prefetch(made, 2, "process", start_method="fork"))
        """)
    )
    done = run(f"""
        import sys
        sys.path.insert(0, {str(tmp_path)!r})
        import points
        print([type(point) is points.Point and point.x for point in points.points])
    """)
    assert (done.returncode, done.stdout, done.stderr) == (0, "[0, 1, 2, 3, 4]\n", "")


@pytest.mark.parametrize("method", ["process", "thread"])
def test_ctrl_c_is_one_interrupt_and_reading_goes_on(method: str, tmp_path: Path) -> None:
    done = interrupted(method, tmp_path)
    assert (done.returncode, done.stdout, done.stderr) == (0, "1 True\n", "")


def interrupted(method: str, folder: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that gets Ctrl-C, with its whole process group, while it waits for an item."""
    code = textwrap.dedent(f"""
        import os, signal, sys
        import seqtools

        begun, go_on, reader = sys.argv[1:]

        def get(x):
            if x == 5 and not os.path.exists(begun):
                open(begun, "w").close()
                open(go_on).read()  # until nobody has it open for writing
            return x

        caught, seen = 0, []
        items = iter(seqtools.prefetch(seqtools.smap(get, range(20)), 2, "{method}"))
        while True:
            try:
                if len(seen) == 5 and not caught:
                    open(reader, "w").close()  # not between taking an item and noting it
                seen.append(next(items))
            except KeyboardInterrupt:
                caught += 1
            except StopIteration:
                break
        print(caught, seen == list(range(20)))
    """)
    begun, go_on, reader = folder / "begun", folder / "go_on", folder / "reader"
    os.mkfifo(go_on)
    os.mkfifo(reader)
    program = subprocess.Popen(
        [sys.executable, "-c", code, str(begun), str(go_on), str(reader)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )
    gate = os.open(go_on, os.O_WRONLY)  # returns when the item is being evaluated
    reader.read_bytes()  # returns when it is the next one
    os.killpg(program.pid, signal.SIGINT)
    os.close(gate)
    out, err = program.communicate(timeout=25)
    return subprocess.CompletedProcess([], program.returncode, out, err)


def test_a_forked_child_of_the_user_can_go_on_reading() -> None:
    p = prefetch(seqtools.smap(lambda x: x * x, range(20)))
    items = iter(p)
    assert next(items) == 0
    other = iter(p[10:])
    pid = os.fork()
    if pid == 0:
        right = list(p) == [x * x for x in range(20)]
        rest = [*items, *other]
        os._exit(0 if right and rest == [x * x for x in (*range(1, 20), *range(10, 20))] else 1)
    assert os.waitpid(pid, 0)[1] == 0
    assert list(items) == [x * x for x in range(1, 20)]


def test_a_failure_of_the_operator_is_told_and_leaves_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fails(*_: object) -> None:
        raise RuntimeError("out of step")

    engine = driven(abs)
    engine.submit(range(3))
    assert engine.collect(3) == {0: 0, 1: 1, 2: 2}
    monkeypatch.setattr(Workers, "send_tasks", fails)
    engine.submit([4])
    with pytest.raises(WorkerStartError, match=r"cannot go on.*out of step") as caught:
        engine.collect(1)
    assert isinstance(caught.value.__cause__, RuntimeError)
    engine.close()


# What an engine does besides


def test_urgent_jobs_come_first(fifo: MakeFifo) -> None:
    gate, begun = fifo(), fifo()

    def get(i: int) -> int:
        if i == 0:
            begun.send()
            gate.wait()
        return i

    engine = driven(get, 1)
    engine.submit([0])
    begun.wait()
    for i in range(1, 40):
        engine.submit([i])
    engine.submit([100], urgent=True)
    gate.send()
    engine.collect(41)
    order = [part.outcomes[0] for part in engine.parts]
    assert order.index(100) < 20  # a few were given to the worker by then
    engine.close()


def test_jobs_that_are_cancelled_are_not_begun(fifo: MakeFifo, tmp_path: Path) -> None:
    gate, begun = fifo(), fifo()

    def get(i: int) -> int:
        (tmp_path / f"begun {i}").touch()
        if i == 0:
            begun.send()
            gate.wait()
        return i

    engine = driven(get, 1)
    engine.submit([0])
    begun.wait()
    jobs = [engine.submit([i]) for i in range(1, 100)]
    engine.engine.cancel(jobs[50:60])
    gate.send()
    assert list(engine.collect(90)) == [*range(51), *range(61, 100)]
    assert len(list(tmp_path.glob("begun *"))) == 90
    engine.submit([7])
    assert engine.collect(1) == {7: 7}
    engine.close()


def test_a_task_that_turns_slow_is_shared() -> None:
    def get(i: int) -> int:
        time.sleep(0.005 if i > 0 else 0)  # long against what a task takes
        return os.getpid()

    engine = driven(get, 2)
    ready: set[int] = set()
    while len(ready) < 2:
        engine.submit([-1])
        engine.submit([0])
        ready |= {*engine.collect(2).values()}
    engine.submit(range(1, 60))
    assert {*engine.collect(59).values()} == ready
    engine.close()


def test_an_engine_changes_its_size() -> None:
    engine = driven(lambda _: os.getpid(), 3, begin_with=1)
    engine.submit(range(10))
    one = {*engine.collect(10).values()}
    assert len(one) == len(engine.engine._operator.workers.all) == engine.engine.nworkers == 1
    engine.engine.resize(3)
    with still(engine.engine):
        assert len(engine.engine._operator.workers.all) == engine.engine.nworkers == 3
    engine.engine.resize(1)
    while (
        len(engine.engine._operator.workers.all) > 1
    ):  # those that have something to do end when it is done
        engine.submit(range(10))
        engine.collect(10)
    engine.submit(range(10))
    assert {*engine.collect(10).values()} == one
    assert engine.engine.begun
    engine.close()


def test_an_engine_that_nobody_has_closed_ends_when_it_is_collected() -> None:
    engine = driven(abs)
    engine.submit(range(3))
    engine.collect(3)
    del engine


class _Owner:
    """Has the engine that evaluates by it."""

    def get(self, i: int) -> int:
        return i


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_an_object_that_has_its_own_engine_is_collected(start_method: str) -> None:
    owner: Any = _Owner()
    owner.driven = driven(owner.get if start_method == "fork" else abs, start_method=start_method)
    owner.driven.engine.group_of = owner.get
    owner.driven.submit(range(3))
    owner.driven.collect(3)
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None


def test_an_engine_is_closed_by_many_threads_at_once() -> None:
    engine = driven(abs)
    threads = [threading.Thread(target=engine.engine.close) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    engine.close()


class _Closing:
    """Closes an engine where it is loaded."""

    engine: Any = None

    def __setstate__(self, state: Any) -> None:
        if _Closing.engine is not None:
            _Closing.engine.close()

    def __getstate__(self) -> dict[str, int]:
        return {"a": 1}


def test_an_engine_is_closed_by_its_own_thread() -> None:
    engine = driven(lambda _: _Closing(), start_method="fork")
    _Closing.engine = engine.engine
    engine.submit([1])
    thread = engine.engine._operator._thread
    thread.join()
    _Closing.engine = None
    assert len(engine.engine._operator.workers.all) == 0
    assert not engine.parts
    engine.close()
