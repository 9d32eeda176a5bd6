"""Modules that start threads when they are imported, and objects that refuse a fork.

Workers that were forked from a process with other threads waited for them for ever.
"""

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.scripts import LONGEST, SOURCE, environment, run

Program = Callable[..., tuple[list[str], str]]

POOL = """\
from concurrent.futures import ThreadPoolExecutor

pool = ThreadPoolExecutor(2)
assert list(pool.map(abs, range(-4, 0))) == [4, 3, 2, 1]

def threaded(x):
    return pool.submit(int, x).result()
"""

# a thread that Python does not know, under a name of its own
LIBRARY = """\
import ctypes
import os

libc = ctypes.CDLL(None)
thread = ctypes.c_ulong()
libc.pthread_create(ctypes.byref(thread), None, libc.pause, None)
libc.pthread_setname_np(thread, b"NAME")

def threaded(x):
    assert len(os.listdir("/proc/self/task")) > 1, "the thread is not there"
    return x
"""

MAIN = f"""\
import sys
sys.path.insert(0, {SOURCE!r})
import os
import warnings
import seqtools
from seqtools import prefetch, smap
import module

def read(function, n=20, **options):
    with prefetch(smap(function, range(n)), 2, "process", **options) as p:
        return list(p)
"""


@pytest.fixture
def program(tmp_path: Path) -> Program:
    """Return a function that runs a program beside a module, for its lines and its errors."""

    def run_it(module: str, code: str, *flags: str, **changes: str) -> tuple[list[str], str]:
        (tmp_path / "module.py").write_text(module)
        (tmp_path / "main.py").write_text(MAIN + textwrap.dedent(code))
        options = {"env": environment(**changes), "cwd": str(tmp_path)}
        done = run(*flags, str(tmp_path / "main.py"), **options)
        assert done.returncode == 0, done.stderr
        return done.stdout.splitlines(), done.stderr

    return run_it


@pytest.mark.parametrize(
    ("module", "threads"),
    [(POOL, "2 threads (ThreadPoolExecutor-0_0"), (LIBRARY, "a thread (NAME)")],
    ids=["pool", "library"],
)
def test_threads_are_there_in_workers(program: Program, module: str, threads: str) -> None:
    lines, errors = program(module, "print(read(module.threaded) == list(range(20)))")
    assert lines == ["True"]
    assert errors.count("RuntimeWarning") == 1
    assert f"importing 'module' starts {threads}" in errors
    assert "main.py:11: RuntimeWarning" in errors, "the line that reads"


def test_threads_of_allocators_do_not_count(program: Program) -> None:
    module = LIBRARY.replace("NAME", "jemalloc_bg_thd")
    lines, errors = program(module, "print(read(len, 0), read(abs), module.threaded(1))")
    assert not errors
    assert lines == [f"[] {list(range(20))} 1"]


def test_threads_that_end_for_a_fork_do_not_count(program: Program) -> None:
    module = """\
import os
import threading

ending = threading.Event()
thread = threading.Thread(target=ending.wait)
thread.start()

def end():
    ending.set()
    thread.join()

os.register_at_fork(before=end)

def is_gone(x):
    return not thread.is_alive()
"""
    lines, errors = program(module, "print(set(read(module.is_gone)))\nmodule.end()")
    assert (lines, errors) == (["{True}"], "")


def test_forks_that_hang_are_none_of_ours(program: Program) -> None:
    module = POOL + (
        "\nimport os\nimport threading\n"
        "os.register_at_fork(after_in_child=lambda: threading.Event().wait())\n"
    )
    lines, errors = program(module, "print(read(module.threaded)[-1])")
    assert lines == ["19"]
    assert "importing 'module'" in errors


def test_a_start_hook_of_such_a_module(program: Program) -> None:
    module = POOL + "\ndef hook():\n    threaded(1)\n"
    lines, errors = program(module, "print(read(abs, start_hook=module.hook)[-1])")
    assert lines == ["19"]
    assert "importing 'module'" in errors


COUNTING = POOL + '\nimport os, sys\nos.write(2, f"imported by {os.getppid()}\\n".encode())\n'


def test_the_second_start_knows(program: Program) -> None:
    code = """
    p = prefetch(smap(module.threaded, range(20)), 2, "process")
    print(sum(p))
    p.refresh()
    print(sum(p))
    p.close()
    """
    lines, errors = program(COUNTING, code)
    assert lines == ["190", "190"]
    by = Counter(line for line in errors.splitlines() if line.startswith("imported by"))
    # the program, the first template, and two workers of each template
    assert sorted(by.values()) == [1, 1, 2, 2]
    assert errors.count("RuntimeWarning") == 1


def test_a_warning_that_is_an_error_loses_nothing(program: Program) -> None:
    code = """
    items = iter(prefetch(smap(module.threaded, range(20)), 2, "process"))
    found = []
    for _ in range(2):
        try:
            found.extend(items)
        except RuntimeWarning as warning:
            print("warned", len(found))
    print(found == list(range(20)))
    """
    lines, _ = program(POOL, code, "-W", "error::RuntimeWarning")
    assert lines == ["warned 0", "True"]


def test_with_auto(program: Program) -> None:
    code = 'with prefetch(smap(module.threaded, range(300)), "auto", "process") as p: print(sum(p))'
    lines, errors = program(POOL, code)
    assert lines == [str(sum(range(300)))]
    assert "importing 'module'" in errors


def test_what_was_done_to_the_process_is_undone(program: Program, tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    module = LIBRARY + (
        "os.chdir('folder')\n"
        "os.environ['LEFT'] = os.environ.get('LEFT', '') + 'x'\n"
        "os.set_inheritable(os.open('left', os.O_CREAT), True)\n"
        "def left(x):\n"
        "    fds = [os.path.realpath(f'/proc/self/fd/{n}') for n in os.listdir('/proc/self/fd')]\n"
        "    return os.environ['LEFT'], sum(fd.endswith('left') for fd in fds)\n"
    )
    code = """
    os.chdir(os.path.dirname(__file__))  # as it was before the import
    del os.environ["LEFT"]
    print(set(read(module.left)))
    """
    lines, _ = program(module, code)
    assert lines == ["{('x', 1)}"]


def test_no_descriptor_is_left(program: Program) -> None:
    counting = "\ndef count(x):\n    return len(os.listdir('/proc/self/fd'))\n"
    counts = []
    for module in (LIBRARY, LIBRARY.replace("libc.pthread_", "str and (lambda *_: 0) or libc.")):
        lines, errors = program(module + counting, "print(*set(read(module.count)))")
        counts.append((bool(errors), lines))
    (threaded, found), (plain, expected) = counts
    assert (threaded, plain) == (True, False)
    assert found == expected


@pytest.mark.parametrize(
    "faults",
    [
        "template-again:SIGKILL:1",
        "template-started:SIGKILL:2",
        "template-loaded:SIGKILL:1",
        "template-forked:SIGKILL:2",
        "worker-loaded:SIGKILL:1",
        "item-begun:SIGKILL:3,9",
    ],
)
def test_deaths(program: Program, tmp_path: Path, faults: str) -> None:
    log = tmp_path / "log"
    log.mkdir()
    changes = {"SEQTOOLS_FAULTS": faults, "SEQTOOLS_FAULTS_LOG": str(log)}
    lines, _ = program(POOL, "print(read(module.threaded) == list(range(20)))", **changes)
    assert lines == ["True"]
    assert os.listdir(log) == [faults.partition(":")[0]]


def test_workers_end_with_the_consumer(tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(POOL)
    code = """
    items = iter(prefetch(smap(lambda x: (module.threaded(x), os.getpid(), os.getppid()), range(9))
                          , 2, "process", max_cached=1))
    print(*next(items)[1:], flush=True)
    sys.stdin.read()
    """
    (tmp_path / "main.py").write_text(MAIN + textwrap.dedent(code))
    with subprocess.Popen(
        [sys.executable, "-W", "ignore", str(tmp_path / "main.py")],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as consumer:
        assert consumer.stdout is not None
        watched = [os.pidfd_open(int(pid)) for pid in consumer.stdout.readline().split()]
        consumer.send_signal(signal.SIGKILL)
    for fd in watched:
        assert select.select([fd], [], [], LONGEST)[0], "it goes on"
        os.close(fd)


def test_objects_that_refuse_a_fork(program: Program, tmp_path: Path) -> None:
    (tmp_path / "fsspec").mkdir()
    (tmp_path / "fsspec" / "__init__.py").write_text("")
    (tmp_path / "fsspec" / "asyn.py").write_text("""\
import os

class AsyncFileSystem:
    def __init__(self):
        self.pid = os.getpid()

    def cat(self, x):
        assert self.pid == os.getpid(), "not fork-safe"
        return x
""")
    module = """\
from fsspec.asyn import AsyncFileSystem

class Remote(AsyncFileSystem):
    pass

files = Remote()

def cat(x):
    return files.cat(x)
"""
    lines, errors = program(module, "print(read(module.cat)[-1])")
    assert lines == ["19"]
    assert "Remote of the pipeline refuses to work in a fork" in errors


START = """\
import threading

def start():
    threading.Thread(target=threading.Event().wait).start()

"""
WATCHING = """
    sys.path.insert(0, "inside")
    from seqtools.engines.process import background_threads as threads
    with threads.ThreadWatch() as watch:
        import outer
    print(threads.forkable(), sorted(watch.found()), flush=True)
    os._exit(0)
"""


@pytest.mark.parametrize(
    ("outer", "inner", "found"),
    [
        ("import inner", POOL, "inner"),
        ("import inner\nimport json\ninner.start()\nimport wsgiref", START, "outer"),
        (START + "start()\nimport inner", "", "outer"),
        ("try:\n    import inner\nexcept ZeroDivisionError: pass", POOL + "1 / 0", "inner"),
    ],
    ids=["of one that it imports", "between two imports", "before an import", "one that fails"],
)  # fmt: skip
def test_which_module_it_was(
    program: Program, tmp_path: Path, outer: str, inner: str, found: str
) -> None:
    (tmp_path / "inside").mkdir()
    (tmp_path / "inside" / "outer.py").write_text(outer)
    (tmp_path / "inside" / "inner.py").write_text(inner)
    lines, _ = program("", WATCHING)
    assert lines == [f"False ['{found}']"]
