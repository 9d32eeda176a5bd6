"""The fork server: the one process that the templates of all prefetches are forked from."""

import _json
import os
import shutil
import signal
import socket
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools.engines.process import fork_server, fork_server_process, nesting
from seqtools.engines.process.forked_template import readable
from seqtools.engines.process.preloading import Installed
from seqtools.prefetching.idle import watch
from tests.children import forked
from tests.engines.fifo import Fifo
from tests.scripts import SOURCE

MakeFifo = Callable[[], Fifo]
Install = Callable[..., str]

pytestmark = [
    pytest.mark.skipif(not fork_server.possible(), reason="needs pidfds"),
    pytest.mark.usefixtures("no_fork_server"),
]

REPORT = """\
import os
with open({file!r}, "a") as file:
    print(os.getpid(), file=file)
"""


@pytest.fixture
def install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Install]:
    """Return a function that installs a package with a compiled module, and imports it here.

    Where it is imported, it adds a line with the process to a file, and runs some code.
    """
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(folder)
    made: list[str] = []

    def one(code: str = "", name: str = "compiled") -> str:
        package = folder / name
        package.mkdir()
        here = f"here = os.getpid() == {os.getpid()}\n"
        report = REPORT.format(file=str(tmp_path / name))
        (package / "__init__.py").write_text(report + here + textwrap.dedent(code))
        shutil.copy(_json.__file__, package)
        made.append(name)
        __import__(f"{name}._json")
        return name

    yield one
    for name in [*sys.modules]:
        if name.partition(".")[0] in made:
            del sys.modules[name]


def imported_by(tmp_path: Path, name: str = "compiled") -> list[int]:
    """Return the processes that have imported a package, except this one."""
    return [int(line) for line in (tmp_path / name).read_text().split()[1:]]


def until(condition: Callable[[], Any]) -> Any:
    """Wait for a condition to be true, and return it: the test's time limit is the limit."""
    while not (found := condition()):
        time.sleep(0.005)
    return found


def server() -> int:
    """Return the fork server that there is, once it has imported all."""
    until(lambda: not fork_server._shared.preparing)
    return int(until(lambda: fork_server._shared.server).pid)


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def read(
    function: Callable[[int], Any] = abs, *, early: bool = False, **options: Any
) -> tuple[int, list[Any]]:
    """Return the parent of the guard of a new prefetch, and its items.

    They are read when the server is ready, or `early`.
    """
    with seqtools.prefetch(seqtools.smap(function, range(8)), 2, "process", **options) as p:
        if not early:
            server()
        first = p[0]
        engine: Any = p._state.pump._engine
        return parent_of(engine._operator.workers.pool._child.pid), [first, *p[1:]]


def uses_package(_: int) -> int:
    import compiled  # type: ignore[import-not-found]

    return int(compiled.born)


EIGHT = list(range(8))


def test_all_prefetches_have_one_server_that_has_imported_packages_once(
    install: Install, tmp_path: Path
) -> None:
    install("born = os.getpid()")
    first, pids = read(uses_package)
    assert (set(pids), server()) == ({first}, first)
    assert read(uses_package) == (first, [first] * 8)
    assert imported_by(tmp_path) == [first]


def test_it_is_started_when_a_prefetch_is_made_and_imports_then(
    install: Install, tmp_path: Path
) -> None:
    install()
    p = seqtools.prefetch(seqtools.smap(abs, range(8)), 2, "process")
    started = server()
    assert imported_by(tmp_path) == [started]
    p.close()


class _Unpicklable:
    def __reduce__(self) -> Any:
        raise AssertionError("it is pickled")

    def __call__(self, x: int) -> int:
        return x


def test_nothing_of_a_pipeline_is_pickled_before_it_is_read() -> None:
    p = seqtools.prefetch(seqtools.smap(_Unpicklable(), range(8)), 2, "process")
    server()
    with pytest.raises(seqtools.WorkerStartError, match="it is pickled"):
        p[0]


@pytest.mark.parametrize(
    "options",
    [
        {"method": "thread"},
        {"nworkers": 0, "method": "process"},
        {"method": "process", "start_method": "spawn"},
        {"method": "process", "start_method": "fork"},
        {"method": "process", "start_hook": abs},
        {"nworkers": "auto"},
    ],
)
def test_it_is_not_started_where_it_may_be_of_no_use(options: Any) -> None:
    seqtools.prefetch(range(8), **({"nworkers": 2} | options))
    assert not fork_server._shared.preparing
    assert fork_server._shared.server is None


def test_a_start_hook_precedes_all_imports(install: Install, tmp_path: Path) -> None:
    install()
    first, _ = read()
    above, loaded = read(lambda _: "compiled" in sys.modules, early=True, start_hook=lambda: None)
    assert (above, set(loaded)) == (os.getpid(), {False})
    assert imported_by(tmp_path) == [first]


def test_packages_that_were_imported_since_are_imported_too(
    install: Install, tmp_path: Path
) -> None:
    install(name="earlier")
    first, _ = read()
    install(name="later")
    seqtools.prefetch(range(8), 2, "process")
    assert server() == first
    assert imported_by(tmp_path, "later") == [first]


def _change_environment(patch: pytest.MonkeyPatch, _: Path) -> None:
    patch.setenv("SOMETHING", "else")


def _change_folder(patch: pytest.MonkeyPatch, path: Path) -> None:
    patch.chdir(path)


def _change_path(patch: pytest.MonkeyPatch, path: Path) -> None:
    patch.setattr(sys, "path", [*sys.path, str(path)])


def _change_file(_: pytest.MonkeyPatch, path: Path) -> None:
    with (path / "site-packages" / "compiled" / "__init__.py").open("a") as file:
        file.write("\nchanged = True\n")


def _change_umask(patch: pytest.MonkeyPatch, _: Path) -> None:
    before = os.umask(0o77)
    patch.setattr(os, "_umask_before", before, raising=False)


@pytest.fixture
def umask() -> Iterator[None]:
    before = os.umask(0o22)
    os.umask(before)
    yield
    os.umask(before)


@pytest.mark.one_of(2)
@pytest.mark.usefixtures("umask")
@pytest.mark.parametrize(
    "change", [_change_environment, _change_folder, _change_path, _change_file, _change_umask]
)
def test_it_is_replaced_when_something_has_changed(
    change: Callable[[pytest.MonkeyPatch, Path], None],
    install: Install,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    install("born = os.getpid()")
    first, _ = read(uses_package)
    with seqtools.prefetch(seqtools.smap(abs, range(8)), 2, "process") as p:
        items = iter(p)
        assert next(items) == 0
        change(monkeypatch, tmp_path)
        second, _ = read(uses_package)
        above, pids = read(uses_package)
        assert (second != first, above, set(pids)) == (True, second, {second})
        assert [*items] == EIGHT[1:], "those that it has started go on"
    assert server() == second


def test_what_it_imports_is_what_is_installed_and_compiled(install: Install) -> None:
    import numpy as np

    assert np
    install()
    found = Installed()
    assert found.compiled()["compiled"] == ["compiled", "compiled._json"]
    assert "numpy" in found.compiled()
    assert "pytest" in found.packages
    assert "pytest" not in found.compiled()
    assert not {"seqtools", "tests", "__main__", "json"} & found.packages.keys()
    assert found.needed(b"\x8c\x07pytest.x\x94\x8c\x08compiled\x94") == ["compiled"]
    assert "pytest" in found.needed(b"\x8c\x17tests.engines.test_start\x94"), "by its globals"


def test_a_package_with_threads_is_left_to_those_that_need_it(
    install: Install, tmp_path: Path
) -> None:
    threads = (
        "import threading\nthreading.Thread(target=threading.Event().wait, daemon=True).start()"
    )
    install(f"if not here: exec({threads!r})", "threaded")
    install("born = os.getpid()")
    seqtools.prefetch(range(8), 2, "process")
    server()
    assert fork_server._shared._left_out == {"threaded"}
    assert len(imported_by(tmp_path, "threaded")) == 1
    above, pids = read(uses_package)
    assert (above, set(pids)) == (server(), {server()})
    with pytest.warns(RuntimeWarning, match="importing 'threaded' starts a thread"):
        assert read(_LoadsThreaded()) == (os.getpid(), [2] * 8)
    fork_server._shared._left_out.clear()


class _LoadsThreaded:
    def __getstate__(self) -> Any:
        return {"it": True}

    def __setstate__(self, _: Any) -> None:
        __import__("threaded")

    def __call__(self, _: int) -> int:
        return int(sys.modules["threaded"].threading.active_count())


# Faults


def test_one_that_was_killed_is_replaced() -> None:
    first, _ = read()
    with seqtools.prefetch(seqtools.smap(abs, range(8)), 2, "process") as p:
        items = iter(p)
        assert next(items) == 0
        os.kill(first, signal.SIGKILL)
        second, found = read(early=True)
        assert (found, second != first) == (EIGHT, True)
        assert [*items] == EIGHT[1:]
    assert server() == second


def test_one_that_was_stopped_is_replaced(monkeypatch: pytest.MonkeyPatch) -> None:
    first, _ = read()
    server()
    listen = fork_server_process.ServerProcess.listen

    def impatient(self: Any) -> None:
        monkeypatch.setattr(fork_server_process, "_PATIENCE", 0.1 if self.pid == first else 60)
        listen(self)

    monkeypatch.setattr(fork_server_process.ServerProcess, "listen", impatient)
    os.kill(first, signal.SIGSTOP)
    second, found = read()
    assert (found, second == server(), second != first) == (EIGHT, True, True)


@pytest.mark.one_of(2)
@pytest.mark.parametrize(
    ("point", "kind"),
    [
        *[(point, "SIGKILL") for point in ("started", "importing", "asked", "forked")],
        *[("importing", kind) for kind in ("exit", "raise")],
        ("asked", "raise"),
        ("forked", "exit"),
    ],
)
def test_one_that_dies_anywhere_costs_nothing(
    point: str, kind: str, install: Install, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    install("born = 5")
    log = tmp_path / "log"
    log.mkdir()
    monkeypatch.setenv("SEQTOOLS_FAULTS", f"server-{point}:{kind}")
    monkeypatch.setenv("SEQTOOLS_FAULTS_LOG", str(log))
    for _ in range(3):
        assert read(uses_package, early=True)[1] == [5] * 8
    assert (log / f"server-{point}").exists()
    fork_server._shared._left_out.clear()


def test_a_package_that_kills_it_is_left_out(install: Install, tmp_path: Path) -> None:
    install("if not here: os.abort()", "deadly")
    seqtools.prefetch(range(8), 2, "process")
    server()
    assert fork_server._shared._left_out == {"deadly"}
    assert read() == (server(), EIGHT)
    assert len(imported_by(tmp_path, "deadly")) == 1
    fork_server._shared._left_out.clear()


def test_an_import_that_hangs_holds_up_nobody_who_does_not_need_it(
    install: Install, fifo: MakeFifo
) -> None:
    begun, gate = fifo(), fifo()
    install(
        f"""
        if not here:
            os.write(os.open({str(begun.path)!r}, os.O_RDWR), b"x")
            os.read(os.open({str(gate.path)!r}, os.O_RDWR), 1)
        """
    )
    seqtools.prefetch(range(8), 2, "process")
    begun.wait()
    assert read(early=True) == (os.getpid(), EIGHT), "started without the server"
    gate.send()
    assert read() == (server(), EIGHT)


def test_an_import_that_hangs_holds_up_nobody_for_ever(
    install: Install, fifo: MakeFifo, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(fork_server_process, "_PATIENCE", 0.1)
    begun, gate = fifo(), fifo()
    install(
        f"""
        import sys
        born = 5
        if any("fork_server_main" in part for part in sys.orig_argv):
            os.write(os.open({str(begun.path)!r}, os.O_RDWR), b"x")
            os.read(os.open({str(gate.path)!r}, os.O_RDWR), 1)
        """
    )
    compiled: Any = sys.modules["compiled"]
    seqtools.prefetch(range(8), 2, "process")
    begun.wait()
    for _ in range(2):
        found = read(lambda _: int(compiled.born), early=True)  # it needs the package
        assert found == (os.getpid(), [5] * 8)


# Where it belongs


def test_what_workers_write_goes_where_it_goes_now() -> None:
    read()
    reading, writing = os.pipe()
    before = os.dup(1)
    os.dup2(writing, 1)
    try:
        above, _ = read(lambda _: os.write(1, b"x"))
    finally:
        os.dup2(before, 1)
        os.close(before)
        os.close(writing)
    with open(reading, "rb") as file:
        assert file.read() == b"x" * 8
    assert above == server()


def test_a_fork_of_the_reader_has_a_server_of_its_own() -> None:
    first, _ = read()

    def child() -> bool:
        assert fork_server._shared.server is None
        second, found = read(early=True)
        seqtools.close_all()
        return found == EIGHT and second != first

    assert forked(child)
    assert read() == (first, EIGHT)


def test_workers_have_none_of_their_own() -> None:
    def inner(_: int) -> Any:
        assert nesting.current.depth == 1
        above, found = read(early=True)
        return above == os.getpid(), found, fork_server._shared.server is None

    assert read(inner)[1] == [(True, EIGHT, True)] * 8


def test_random_numbers_are_not_those_of_another_prefetch() -> None:
    assert read(_Draw())[1] != read(_Draw())[1]


class _Draw:
    """Draws when it is loaded."""

    def __getstate__(self) -> Any:
        return {"any": 0}

    def __setstate__(self, _: Any) -> None:
        import random

        import numpy as np

        self.drawn = random.random(), np.random.random()

    def __call__(self, _: int) -> Any:
        return self.drawn


# The end


def test_close_all_ends_it() -> None:
    first, _ = read()
    seqtools.close_all()
    assert not Path(f"/proc/{first}").exists()
    assert read()[0] != first


def test_idle_timeout_ends_it_the_longest_of_all() -> None:
    read(idle_timeout=30)
    first, _ = read(idle_timeout=10)
    assert fork_server._shared.idle_timeout == 30
    assert 0 < until(fork_server.rest) <= 30
    fork_server._shared.idle_timeout = 0.01
    watch().look()
    until(lambda: not Path(f"/proc/{first}").exists())
    assert fork_server._shared.server is None
    assert read()[0] != first


def test_a_server_that_is_started_for_a_read_ends_when_it_is_idle() -> None:
    with seqtools.prefetch(range(8), 2, "process") as p:
        first = server()
        seqtools.close_all()
        assert list(p) == EIGHT
    second = server()
    assert second != first
    fork_server._shared.idle_timeout = 0.01
    watch().look()
    until(lambda: not Path(f"/proc/{second}").exists())


PROGRAM = f"""\
import os, sys, time
sys.path[:0] = [{SOURCE!r}, {{folder!r}}]
import seqtools
from seqtools.engines.process import fork_server
{{code}}
p = seqtools.prefetch(range(8), 2, "process")
while fork_server._shared.server is None:
    time.sleep(0.01)
print(fork_server._shared.server.pid, flush=True)
{{then}}
sys.stdin.read()
"""


@pytest.mark.parametrize("at", ["rest", "work", "import"])
def test_it_ends_with_its_parent(at: str, install: Install, fifo: MakeFifo, tmp_path: Path) -> None:
    begun = fifo()
    here = "os.environ['HERE'] = str(os.getpid())\nimport compiled._json" if at == "import" else ""
    install(
        f"""
        import time
        if not here and os.environ["HERE"] != str(os.getpid()):
            os.write(os.open({str(begun.path)!r}, os.O_RDWR), b"x")
            time.sleep(1000)
        """
    )
    then = "it = iter(p)\nnext(it)" if at == "work" else ""
    code = PROGRAM.format(folder=str(tmp_path / "site-packages"), code=here, then=then)
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", code], **pipes) as program:
        pid = int(program.stdout.readline())  # type: ignore[union-attr]
        process = os.pidfd_open(pid)
        if at == "import":
            begun.wait()
        program.kill()
        until(lambda: readable(process, 1))
        os.close(process)


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_a_default_timeout_of_sockets_does_not_matter(start_method: str) -> None:
    socket.setdefaulttimeout(0.001)
    try:
        seqtools.close_all()  # so that there is no fork server yet
        with seqtools.prefetch(range(9), 1, "process", start_method=start_method) as p:
            assert list(p) == list(range(9))
    finally:
        socket.setdefaulttimeout(None)
