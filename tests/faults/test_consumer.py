"""The program that reads ends, in any way, at any time: nothing of it is left."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.engines.fifo import Fifo
from tests.faults import consumers
from tests.faults.consumers import Consumer, number_of
from tests.scripts import LONGEST, environment, is_well, program, run

MakeFifo = Callable[[], Fifo]
START_METHODS = ["template", "spawn", "fork"]


@pytest.mark.parametrize(
    ("end", "code", "start_method"),
    [
        ("os._exit(4)", 4, "template"),
        ("os._exit(4)", 4, "fork"),
        ("os.abort()", -signal.SIGABRT, "template"),
        ("os.abort()", -signal.SIGABRT, "spawn"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "template"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "spawn"),
        ("os.kill(os.getpid(), signal.SIGTERM)", -signal.SIGTERM, "fork"),
        ("sys.exit(3)", 3, "template"),
        ("sys.exit(3)", 3, "spawn"),
        ("sys.exit(3)", 3, "fork"),
        ("sys.excepthook = lambda *_: None; 1 / 0", 1, "template"),
    ],
)
def test_workers_inside_of_user_code_end_with_who_reads(
    end: str, code: int, start_method: str, fifo: MakeFifo
) -> None:
    with Consumer(consumers.EVALUATING, start_method, fifo, end=end) as consumer:
        consumer.begun.wait(2)
        assert consumer.watch() == number_of(start_method)
        consumer.tell_to_end()
        assert consumer.ended() == (code, "", "")
        assert consumer.gone()


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("doing", ["WAITING", "EVALUATING"])
def test_workers_end_with_a_killed_reader_whatever_they_are_at(
    doing: str, start_method: str, fifo: MakeFifo
) -> None:
    with Consumer(getattr(consumers, doing), start_method, fifo) as consumer:
        consumer.begun.wait(0 if doing == "WAITING" else 2)
        # a start hook, by which those that wait are known, does without the fork server
        bare = doing == "WAITING" and start_method == "template"
        assert consumer.watch() == number_of(start_method) - bare
        consumer.program.kill()
        assert consumer.gone()


@pytest.mark.parametrize("start_method", START_METHODS)
def test_a_child_of_the_reader_that_lives_on_keeps_no_worker(
    start_method: str, fifo: MakeFifo
) -> None:
    with Consumer(consumers.KEEPING, start_method, fifo, forks=True) as consumer:
        consumer.begun.wait(2)
        assert consumer.watch() == number_of(start_method)
        consumer.program.kill()
        assert consumer.gone()


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_workers_that_load_end_with_a_killed_reader(start_method: str, fifo: MakeFifo) -> None:
    with Consumer(consumers.LOADING, start_method, fifo) as consumer:
        consumer.begun.wait(2 if start_method == "spawn" else 1)
        assert consumer.watch() == (2 * 2 if start_method == "spawn" else 1 + 2)
        consumer.program.kill()
        assert consumer.gone()


@pytest.mark.parametrize("start_method", START_METHODS)
def test_workers_blocked_in_a_send_end_with_a_killed_reader(
    start_method: str, fifo: MakeFifo, tmp_path: Path
) -> None:
    faults = {"SEQTOOLS_FAULTS": "header-sent:nothing", "SEQTOOLS_FAULTS_LOG": str(tmp_path)}
    with Consumer(consumers.SENDING, start_method, fifo, **faults) as consumer:
        consumer.begun.wait(2)
        assert consumer.watch() == number_of(start_method)
        consumer.program.send_signal(signal.SIGSTOP)  # from here on nobody reads what they send
        consumer.gate.send(2)
        consumer.program.kill()
        assert consumer.gone()


METHODS = """
methods = {
    "thread": {"method": "thread"},
    "template": {"method": "process"},
    "spawn": {"method": "process", "start_method": "spawn"},
    "fork": {"method": "process", "start_method": "fork"},
}
"""


@pytest.mark.parametrize("method", ["thread", "template", "spawn", "fork"])
def test_sigterm_that_python_code_handles_ends_a_reader_that_waits(
    method: str, fifo: MakeFifo
) -> None:
    begun, gate = fifo(), fifo()
    code = f"""
        import os, signal, sys
        {METHODS.replace(chr(10), "")}
        begun, gate = sys.argv[1:]

        def get(x):
            os.write(os.open(begun, os.O_RDWR), b"x")
            os.read(os.open(gate, os.O_RDWR), 1)

        signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
        p = seqtools.prefetch(seqtools.smap(get, range(9)), 2, **methods[{method!r}])
        p[0]
    """
    command = [sys.executable, "-c", program(code), str(begun.path), str(gate.path)]
    with subprocess.Popen(
        command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environment()
    ) as reader:
        begun.wait(2)
        reader.terminate()
        out, err = reader.communicate(timeout=LONGEST)
        assert (reader.returncode, out, err) == (5, b"", b"")
        gate.send(2)


EXITS = {
    "a global variable": """
        kept = [iter(p) for p in made]
        for items in kept:
            assert next(items) == 0
    """,
    "a cycle": """
        import gc

        class Node:
            def __init__(self, p):
                self.me, self.items = self, iter(p)

        gc.disable()
        for p in made:
            assert next(Node(p).items) == 0
        del p
    """,
    "a daemon thread that reads": """
        import threading

        begun = threading.Barrier(5)

        def read(items):
            begun.wait()
            for _ in items:
                pass

        kept = [iter(p) for p in made]
        for items in kept:
            assert next(items) == 0
            threading.Thread(target=read, args=(items,), daemon=True).start()
        begun.wait()
    """,
    "a thread that reads on": """
        import threading

        def read(p, n=0):
            threading.main_thread().join()
            assert list(p[:500]) == list(range(500))

        for p in made:
            assert p[0] == 0
            threading.Thread(target=read, args=(p,)).start()
    """,
    "a callback that reads, before ours": """
        import atexit

        def read():
            for p in made:
                assert list(p[:20]) == list(range(20))

        for p in made:
            assert p[0] == 0
        atexit.register(read)
    """,
    "a callback that reads, after ours": """
        for p in made:
            assert p[0] == 0
    """,
}
"""What there is of four prefetches, one for each method, when the program ends."""

READS_LAST = """
def read_last():
    for p in made:
        assert list(p[:20]) == list(range(20))

import atexit
atexit.register(read_last)  # called last
"""


_REFUSED = pytest.mark.skipif(
    (3, 12, 0) <= sys.version_info < (3, 12, 2),
    reason="this Python starts no thread once the main thread has ended",
)


@pytest.mark.parametrize(
    "live", [pytest.param(e, marks=_REFUSED if e.endswith("after ours") else ()) for e in EXITS]
)
def test_a_program_that_ends_with_live_iterators_is_silent(live: str) -> None:
    code = f"""
{METHODS}
{READS_LAST if "after ours" in live else ""}
made = [
    seqtools.prefetch(seqtools.smap(abs, range(100_000)), 2, **each) for each in methods.values()
]
{textwrap.dedent(EXITS[live])}
"""
    assert is_well(run("-c", program(code)))
