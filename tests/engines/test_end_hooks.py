"""What workers call when they end: the end hook, and functions that were registered for that."""

import atexit
import functools
import gc
import multiprocessing.util
import os
import re
import signal
import tempfile
import threading
import time
import tracemalloc
import warnings
import weakref
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools.engines.hooks import needs_number
from seqtools.engines.process import spawn_main
from seqtools.engines.process.engine import ProcessEngine
from seqtools.engines.process.worker import MORE_PATIENCE, PATIENCE
from tests.engines.driven import Driven
from tests.engines.engines import OPTIONS
from tests.engines.fifo import Fifo
from tests.engines.shown import lines_of, say, shown
from tests.scripts import run

MakeFifo = Callable[[], Fifo]
PROCESSES = ["process", "spawn", "fork"]
WORKERS = ["thread", *PROCESSES]


def ahead(engine: str, source: Any = range(20), **more: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(source, **OPTIONS[engine] | more)


def required(number: int, more: int = 1) -> None:
    """Have one parameter that is required."""


def setup(config: str = "default.yaml", *more: str, option: int = 1) -> None:
    """Do what hooks do that have options of their own."""
    assert (config, more, option) == ("default.yaml", (), 1)


@pytest.mark.parametrize(
    ("hook", "needs"),
    [
        (setup, False),
        (functools.partial(setup, "default.yaml"), False),
        (tracemalloc.start, False),
        (print, False),
        (dict, False),
        (required, True),
        (functools.partial(required, more=2), True),
        (functools.partial(required, number=1), False),
        (lambda *numbers: numbers, False),
    ],
    ids=["options", "partial", "trace", "print", "dict", "required", "more", "given", "several"],
)
def test_only_a_required_parameter_is_the_number(hook: Any, *, needs: bool) -> None:
    assert needs_number(hook) == needs


@pytest.mark.parametrize("engine", WORKERS)
def test_hooks_with_options_of_their_own(engine: str) -> None:
    with ahead(engine, start_hook=setup, end_hook=setup) as p:
        assert list(p) == list(range(20))


@pytest.mark.parametrize("engine", PROCESSES)
def test_all_that_ends_a_worker_in_order(engine: str, tmp_path: Path) -> None:
    class Kept:
        pass

    kept, log = Kept(), tmp_path / "log"
    here = tempfile.TemporaryDirectory(dir=tmp_path)
    inherited = weakref.finalize(kept, log.write_text, "a finalizer of the consumer")
    atexit.register(log.write_text, "a function of the consumer")
    multiprocessing.util.Finalize(kept, log.write_text, ("another one",), exitpriority=1)
    made: list[Any] = []

    def start() -> None:
        warnings.simplefilter("ignore", ResourceWarning)  # nobody cleans the folder up
        atexit.register(say, "first")
        made.extend([Kept(), tempfile.TemporaryDirectory(dir=tmp_path, prefix="worker")])
        weakref.finalize(made[0], say, "finalizer")
        atexit.register(say, "last")

    def end(number: int) -> None:
        say("end", number, len(os.listdir(tmp_path)))

    try:
        with shown() as out:
            with ahead(engine, nworkers=1, start_hook=start, end_hook=end) as p:
                assert list(p) == list(range(20))
            assert lines_of(out) == ["end 0 2", "last", "finalizer", "first"]
        assert os.listdir(tmp_path) == [os.path.basename(here.name)]
    finally:
        atexit.unregister(log.write_text)
        inherited.detach()
        multiprocessing.util._finalizer_registry.clear()  # type: ignore[attr-defined]
        here.cleanup()


@pytest.mark.parametrize("engine", WORKERS)
def test_an_end_hook_that_fails_is_told(engine: str) -> None:
    def end(number: int) -> None:
        raise KeyError(f"no licence {number}")

    p = ahead(engine, nworkers=1, end_hook=end)
    assert list(p) == list(range(20))
    with pytest.warns(RuntimeWarning, match="end_hook failed in .*0.*KeyError: 'no licence 0'"):
        p.close()


@pytest.mark.parametrize("engine", PROCESSES)
def test_an_end_hook_that_hangs_is_ended(engine: str) -> None:
    def end() -> None:
        say("it begins")
        threading.Event().wait()

    with shown() as out:
        p = ahead(engine, nworkers=1, end_hook=end)
        assert list(p) == list(range(20))
        what = r"end_hook of worker process 0 did not end within 0\.7 s, and the worker was killed"
        with pytest.warns(RuntimeWarning, match=what) as caught:
            p.close()
        assert [warning.filename for warning in caught] == [__file__]
        assert lines_of(out) == ["it begins"]


class Slow:
    """A resource whose `close` takes long."""

    def close(self) -> None:
        say("it closes")
        threading.Event().wait()


@pytest.mark.parametrize("engine", PROCESSES)
def test_a_resource_whose_close_hangs_is_told(engine: str) -> None:
    resource = seqtools.per_worker(Slow)

    def get(x: int) -> int:
        resource()
        return x

    with shown() as out:
        p = ahead(engine, seqtools.smap(get, range(20)), nworkers=1)
        assert list(p) == list(range(20))
        with pytest.warns(RuntimeWarning, match="closes resources at the end of worker process 0"):
            p.close()
        assert lines_of(out) == ["it closes"]


@pytest.mark.parametrize("engine", PROCESSES)
def test_a_worker_that_is_killed_inside_an_item_is_not_told(engine: str, fifo: MakeFifo) -> None:
    begun = fifo()

    def get(x: int) -> int:
        if x:
            begun.send()
            threading.Event().wait()
        return x

    with ahead(engine, seqtools.smap(get, range(20)), nworkers=1, end_hook=abs) as p:
        assert p[0] == 0
        begun.wait()


def test_threads_that_hang_in_their_end_hook_are_abandoned_and_told_once() -> None:
    gate, both = threading.Event(), threading.Barrier(2)

    def get(x: int) -> int:
        if x < 2:
            both.wait()  # so that there are two threads
        return x

    p = ahead("thread", seqtools.smap(get, range(20)), nworkers=2, end_hook=gate.wait)
    assert list(p) == list(range(20))
    engine: Any = p._state.pump._engine
    with pytest.warns(RuntimeWarning, match="still in end_hook") as caught:
        p.close()
    engine.close()  # as at the end of the program
    (warning,) = caught
    assert str(warning.message) == (
        "threads seqtools-0, seqtools-1 are still in end_hook and cannot be stopped: "
        "they were abandoned"
    )
    gate.set()


def test_a_thread_that_hangs_in_the_close_of_a_resource_is_abandoned() -> None:
    gate = threading.Event()

    class Held:
        def close(self) -> None:
            gate.wait()

    opened = seqtools.per_worker(Held)

    def get(x: int) -> int:
        opened()
        return x

    p = ahead("thread", seqtools.smap(get, range(20)), nworkers=1)
    assert list(p) == list(range(20))
    with pytest.warns(RuntimeWarning, match="still closing what it opened with @per_worker"):
        p.close()
    gate.set()


@pytest.mark.parametrize("engine", PROCESSES)
def test_a_worker_that_dies_calls_nothing(engine: str, tmp_path: Path) -> None:
    me = os.getpid()

    def get(x: int) -> int:
        if x == 1 and os.getpid() != me:
            os.kill(os.getpid(), 9)
        return x

    def end() -> None:
        (tmp_path / f"{os.getpid()}").touch()

    with ahead(engine, seqtools.smap(get, range(3)), nworkers=1, end_hook=end) as p:
        with pytest.raises(seqtools.EvaluationError):
            p[1]
        assert p[2] == 2
    assert len(os.listdir(tmp_path)) == 1  # of the last one


@pytest.mark.parametrize("engine", WORKERS)
def test_a_prefetch_that_is_collected(engine: str, tmp_path: Path) -> None:
    class Holder:
        """Holds a prefetch that refers to it by its hook."""

        def __init__(self) -> None:
            self.p = ahead(engine, nworkers=1, end_hook=self.end)

        def end(self, number: int) -> None:
            (tmp_path / f"{number}").touch()

    holder = Holder()
    assert list(holder.p) == list(range(20))
    del holder
    gc.collect()
    while not os.listdir(tmp_path):  # the garbage collector does not wait for threads
        time.sleep(0.01)
    assert os.listdir(tmp_path) == ["0"]


@pytest.mark.parametrize("closed", [True, False], ids=["closed", "at the end"])
@pytest.mark.parametrize("engine", WORKERS)
def test_warnings_that_are_errors_are_told_once_each(engine: str, *, closed: bool) -> None:
    options = OPTIONS[engine] | {"nworkers": 2}
    program = (
        "import seqtools\n"
        "def end(number):\n"
        "    raise KeyError(f'no licence {number}')\n"
        f"p = seqtools.prefetch(range(99), end_hook=end, **{options})\n"
        "list(p)\n"
        f"p.close() if {closed} else None\n"
    )
    done = run("-W", "error", "-c", program)
    assert done.returncode == closed
    told = re.findall("RuntimeWarning: end_hook failed.*licence ([0-9])", done.stderr)
    assert sorted(told) == ["0", "1"]
    assert "ignored" not in done.stderr
    assert ("in close" in done.stderr) == closed
    assert "output_display" not in done.stderr or closed  # where nothing raises it


@pytest.mark.parametrize("engine", ["thread", "process", "spawn", "fork", "auto"])
def test_the_end_of_the_program(engine: str) -> None:
    options = OPTIONS[engine]
    program = (
        "import seqtools, sys\n"
        "def end():\n"
        "    sys.stdout.write('end\\n')\n"  # at once, because threads call it at the same time
        "    sys.stdout.flush()\n"
        f"p = seqtools.prefetch(range(9), end_hook=end, **{options})\n"
        "print(sum(p))\n"
    )
    done = run("-c", program)
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert lines[0] == "36"
    assert set(lines[1:]) == {"end"}


@pytest.mark.skipif(os.name != "posix", reason="other exit codes")
@pytest.mark.parametrize("engine", WORKERS)
def test_the_exit_code_of_an_interrupt_stays(engine: str) -> None:
    program = (
        "import seqtools, signal, sys\n"
        f"p = seqtools.prefetch(range(9), end_hook=lambda: None, **{OPTIONS[engine]})\n"
        "list(p)\n"
        "signal.raise_signal(signal.SIGINT)\n"
    )
    assert run("-c", program).returncode == -signal.SIGINT


def test_a_spawned_worker_has_as_long_for_its_end_as_a_forked_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    slept: list[float] = []
    ours, theirs = os.pipe()
    os.close(theirs)
    try:
        tasks = spawn_main._Tasks(ours)
        tasks.ending.set()
        monkeypatch.setattr(spawn_main.time, "sleep", slept.append)
        monkeypatch.setattr(spawn_main, "exit_now", lambda _: None)
        tasks._watch()
    finally:
        os.close(ours)
    [seconds] = slept
    assert MORE_PATIENCE < seconds <= PATIENCE + MORE_PATIENCE


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_workers_that_are_not_needed_any_more(start_method: str, fifo: MakeFifo) -> None:
    ended = fifo()

    def end(number: int) -> None:
        say("end", number)
        ended.send(1)

    with shown() as out:
        engine = Driven(
            lambda d: ProcessEngine(*(None, abs, 3, None, start_method), end_hook=end, deliver=d)
        )
        engine.submit([5])
        assert engine.collect(1) == {5: 5}
        engine.engine.resize(1)
        ended.wait(2)
        engine.submit([6])
        assert engine.collect(1) == {6: 6}
        engine.close()
        ended.wait(1)
        seqtools.prefetch(range(1), 1)[0]  # a reader shows what was printed
        assert sorted(lines_of(out)) == ["end 0", "end 1", "end 2"]


def test_an_end_hook_that_cannot_be_sent_is_named() -> None:
    lock = threading.Lock()
    p = ahead("process", end_hook=lambda: lock)
    with pytest.raises(seqtools.WorkerStartError, match=r"^end_hook cannot be sent"):
        p[0]


def test_no_warning_without_an_end_hook() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with ahead("thread") as p:
            assert p[3] == 3


@pytest.mark.parametrize("engine", WORKERS)
def test_the_cause_of_a_start_hook_that_fails(engine: str) -> None:
    class OwnError(Exception):
        """Of a class that workers are sent: their exceptions are not found by name."""

    def fail() -> None:
        try:
            {}["licence"]
        except KeyError as error:
            raise OSError(5, "no camera") from error

    def fail_otherwise() -> None:
        raise OwnError("no camera")

    with ahead(engine, start_hook=fail) as p:
        with pytest.raises(seqtools.WorkerStartError, match=r"^start_hook failed in ") as caught:
            p[0]
        cause: Any = caught.value.__cause__
        assert (type(cause), cause.args) == (OSError, (5, "no camera"))
        assert isinstance(cause.__cause__, KeyError)
    with ahead(engine, start_hook=fail_otherwise) as p:
        with pytest.raises(seqtools.WorkerStartError, match=r"OwnError: no camera") as caught:
            p[0]
        assert type(caught.value.__cause__) in {OwnError, type(None)}
