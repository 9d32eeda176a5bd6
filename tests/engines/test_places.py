"""Prefetches wherever a program can run: each works, or says what is the matter."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest

from tests.scripts import PIPELINE, environment, is_well, program, run

# How the program comes to the interpreter


def test_as_a_module(tmp_path: Path) -> None:
    (tmp_path / "points.py").write_text(program("read_all('template', 'spawn', 'fork')"))
    assert is_well(run("-m", "points", cwd=tmp_path))


@pytest.mark.parametrize("flags", [["-O"], ["-OO"], ["-I"], ["-X", "dev", "-W", "error"]])
def test_on_the_command_line_with_options(flags: list[str]) -> None:
    assert is_well(run(*flags, "-c", program("read_all('template')")))


def test_from_standard_input() -> None:
    assert is_well(run("-", input=program("read_all('template', 'spawn')")))


def test_typed_into_the_interpreter() -> None:
    lines = "\n".join(line for line in PIPELINE.splitlines() if line)
    for word in ("class", "def", "offset"):  # an empty line ends a block
        lines = lines.replace(f"\n{word}", f"\n\n{word}")
    typed = [
        lines,
        "",
        "read_all('template')",
        "twice = lambda x: Point(2 * x)",
        "p = seqtools.prefetch(seqtools.smap(twice, range(9)), 2, 'process')",
        "assert [type(point) is Point and point.x for point in p] == list(range(0, 18, 2))",
        "print('well')",
    ]
    done = run("-i", "-q", input="\n".join(typed) + "\n")  # and it ends with workers alive
    assert (done.returncode, done.stdout) == (0, "well\n")
    assert set(done.stderr) <= set(">. \n")  # what asks for more


# Threads and processes that read


def test_a_thread_other_than_the_main_one() -> None:
    code = """
        import threading

        def elsewhere(act):
            failed = []
            def run():
                try:
                    act()
                except BaseException as error:
                    failed.append(error)
                    raise
            thread = threading.Thread(target=run)
            thread.start()
            thread.join()
            assert not failed

        elsewhere(lambda: read_all("template"))
        for method in ("thread", "process"):
            p = seqtools.prefetch(seqtools.smap(make, range(400)), 2, method)
            left = []

            def begin():
                left.append(iter(p))
                assert next(left[0]).x == 10
                assert p[3].x == 13

            elsewhere(begin)  # the thread ends, the prefetch and its workers live on
            assert [point.x for point in left[0]] == list(range(11, 410))
            assert p[5].x == 15
    """
    assert is_well(run("-c", program(code)))


@pytest.mark.parametrize("context", ["fork", "spawn"])
def test_in_processes_of_multiprocessing(context: str, tmp_path: Path) -> None:
    code = f"""
        import concurrent.futures, multiprocessing

        if __name__ == "__main__":
            context = multiprocessing.get_context("{context}")
            process = context.Process(target=read_all, args=("template", "fork"), daemon=True)
            process.start()
            process.join()
            assert process.exitcode == 0
            with context.Pool(2) as pool:
                assert pool.map(read_all, ["template"] * 3) == [None] * 3
            with concurrent.futures.ProcessPoolExecutor(2, mp_context=context) as pool:
                assert pool.submit(read_all, "template").result() is None
            print("well")
    """
    script = tmp_path / "script.py"
    script.write_text(PIPELINE + textwrap.dedent(code))
    assert is_well(run(str(script)))


def test_in_a_loop_of_asyncio() -> None:
    code = """
        import asyncio, threading

        async def directly():
            read_all("template")

        async def in_threads():
            await asyncio.gather(*[asyncio.to_thread(read_all, "template") for _ in range(2)])

        async def cancelled():
            begun, go_on = threading.Event(), threading.Event()

            def slow(x):
                if x == 5:
                    begun.set()
                    go_on.wait()
                return x

            p = seqtools.prefetch(seqtools.smap(slow, range(20)), 2)
            task = asyncio.create_task(asyncio.to_thread(list, p))
            await asyncio.to_thread(begun.wait)
            task.cancel()
            try:
                await task
            except asyncio.CancelledError:
                go_on.set()  # the thread goes on by itself
            assert await asyncio.to_thread(list, p) == list(range(20))
            p.close()

        for main in (directly, in_threads, cancelled):
            asyncio.run(main())
    """
    assert is_well(run("-W", "error", "-c", program(code)))


def test_under_xdist(tmp_path: Path) -> None:
    pytest.importorskip("xdist", reason="pytest-xdist is not installed")
    tests = """
        import pytest

        @pytest.mark.parametrize("k", range(2))
        def test_points(k):
            read_all("template")
    """
    (tmp_path / "test_points.py").write_text(PIPELINE + textwrap.dedent(tests))
    command = ["-m", "pytest", "-q", "-n", "2", "-p", "no:cacheprovider", "test_points.py"]
    done = run(*command, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert "2 passed" in done.stdout


def test_after_the_parent_has_used_the_threads_of_a_library() -> None:
    code = """
        import numpy as np

        def product(x):
            return np.full((500, 500), x) @ np.ones((500, 500))

        assert product(1.0)[3, 4] == 500  # by OpenBLAS, with a thread for each core

        def make(x):
            return Point(int(product(x + 10.0)[0, 0]) // 500)

        read_all("template", "spawn", "fork")
    """
    assert is_well(run("-c", program(code)))


# What the program was given by who started it


@pytest.mark.parametrize("closed", [[0, 1, 2], [0], [1], [2]], ids=str)
def test_with_closed_standard_streams(closed: list[int], tmp_path: Path) -> None:
    ended = tmp_path / "ended"
    code = f"""
        read_all("template", "spawn", "fork")
        with open({str(ended)!r}, "w") as file:
            file.write("well")
    """
    script = tmp_path / "script.py"
    script.write_text(PIPELINE + textwrap.dedent(code))
    redirected = " ".join(f"{fd}>&-" for fd in closed)
    command = f'exec "$0" "$1" {redirected}'  # sh can close them, subprocess cannot
    done = subprocess.run(
        ["/bin/sh", "-c", command, sys.executable, str(script)],
        env=environment(),
        capture_output=True,
        timeout=25,
        check=False,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")
    assert ended.read_text() == "well"


def test_in_a_folder_that_was_deleted(tmp_path: Path) -> None:
    folder = tmp_path / "folder"
    delete = f"import os; os.rmdir({str(folder)!r})"
    folder.mkdir()
    if run("-c", f"{delete}; import socket", cwd=folder).returncode:
        pytest.skip("this Python itself imports nothing there, as 3.13.0")
    folder.mkdir()
    code = f"""
        {delete}
        read_all("template", "spawn", "fork")
    """
    assert is_well(run("-c", program(code), cwd=folder))


@pytest.mark.parametrize("where", [None, "/nonexistent", "/proc"])
def test_without_folders_to_write_to(where: str | None, tmp_path: Path) -> None:
    names = ("HOME", "TMPDIR", "TEMP", "TMP", "XDG_RUNTIME_DIR")
    env = environment(**dict.fromkeys(names, where))
    tmp_path.chmod(0o500)
    assert is_well(run("-c", program("read_all('template')"), env=env, cwd=tmp_path))


def test_with_an_empty_environment() -> None:
    mark = {name: value for name, value in os.environ.items() if name.startswith("SEQTOOLS_LEAKS")}
    assert is_well(run("-c", program("read_all('template', 'spawn')"), env=mark))


# Signals of the program


REAP = """
def reap(*_):
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""


@pytest.mark.parametrize("handler", ["signal.SIG_IGN", "reap"])
def test_children_that_are_waited_for_by_others(handler: str, tmp_path: Path) -> None:
    code = f"""
        import os, pathlib, signal, subprocess
        exec({REAP!r})
        signal.signal(signal.SIGCHLD, {handler})
        read_all("template", "spawn", "fork")
        folder = pathlib.Path({str(tmp_path)!r})

        def make(x):
            once = folder / start_method
            if x == 7 and not once.exists():
                once.touch()
                os.kill(os.getpid(), signal.SIGKILL)
            return Point(x + offset)

        for start_method in ("template", "spawn", "fork"):
            read(method="process", start_method=start_method)
            assert (folder / start_method).exists()
            assert subprocess.run(["true"]).returncode == 0

        items = iter(p := seqtools.prefetch(seqtools.smap(abs, range(2000)), 2, "process"))
        assert next(items) == 0
        os.kill(p._state.pump._engine._operator.workers.pool._child.pid, signal.SIGKILL)
        assert list(items) == list(range(1, 2000))
    """
    assert is_well(run("-c", program(code)))


def test_where_a_broken_pipe_ends_the_program() -> None:
    code = r"""
        import os, pathlib, signal

        def dead(pid):
            try:
                return "State:\tZ" in pathlib.Path(f"/proc/{pid}/status").read_text()
            except OSError:
                return True

        signal.signal(signal.SIGPIPE, signal.SIG_DFL)
        read_all("template", "spawn", "fork")
        for victim in ("workers", "template"):
            source = seqtools.smap(lambda _: os.getpid(), range(1000))
            with seqtools.prefetch(source, 2, "process", max_cached=2) as p:
                pids = {p[i] for i in range(50)}
                engine = p._state.pump._engine
                if victim == "template":
                    pids.add(engine._operator.workers.pool._child.pid)

                def kill(_):  # nobody else has the time to see it
                    for pid in pids:
                        os.kill(pid, signal.SIGKILL)
                    while not all(map(dead, pids)):
                        pass

                engine._operator.note(kill)
                assert not pids & {p[i] for i in range(500, 520)}
    """
    assert is_well(run("-c", program(code)))
