"""Programs that are no interpreters, such as frozen ones, are never started as workers."""

import multiprocessing.spawn
import os
import stat
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import WorkerStartError
from seqtools.engines.process.interpreter import executable
from tests.faults.programs import environment, is_well, program, run

FROZEN = {
    "PyInstaller": "sys.frozen, sys._MEIPASS = True, '/nowhere'",
    "cx_Freeze": "sys.frozen = True",
    "py2exe": "sys.frozen = 'console_exe'",
    "py2app": "sys.frozen = 'macosx_app'",
    "PyOxidizer": "sys.oxidized = True",
    "Nuitka": "import types; __compiled__ = types.SimpleNamespace(standalone=True)",
}

_STUB = """\
#!/bin/sh
printf x >> {count}
[ $(wc -c < {count}) -gt 12 ] && exit 9
exec {python} {program}
"""


@pytest.fixture
def frozen(tmp_path: Path) -> Path:
    """Return a program that does what it always does, whatever it is told, and counts how often."""
    stub = tmp_path / "python3"
    names = {"count": tmp_path / "count", "python": sys.executable, "program": tmp_path / "main.py"}
    stub.write_text(_STUB.format(**names))
    stub.chmod(stub.stat().st_mode | stat.S_IXUSR)
    return stub


@pytest.mark.parametrize("start_method", ["template", "spawn"])
@pytest.mark.parametrize("mark", FROZEN.values(), ids=FROZEN)
def test_a_frozen_program_is_not_started_again(
    mark: str, start_method: str, frozen: Path, tmp_path: Path
) -> None:
    read = f"""
        {mark}
        sys.executable = {str(frozen)!r}
        try:
            read(method="process", start_method={start_method!r})
        except seqtools.WorkerStartError as error:
            assert "this is a frozen program" in str(error), error
            assert {str(frozen)!r} in str(error), error
            assert "use method='thread', or start_method='fork'" in str(error), error
        else:
            raise AssertionError("there is no error")
        read(method="thread")
        read(method="process", start_method="fork")
    """
    (tmp_path / "main.py").write_text(program(read))
    assert is_well(run(str(tmp_path / "main.py")))
    assert not (tmp_path / "count").exists()


def test_a_frozen_program_has_threads_where_it_may_choose(frozen: Path, tmp_path: Path) -> None:
    read = f"""
        sys.frozen, sys.executable = True, {str(frozen)!r}
        def slow(x):
            return sum(range(300_000)) and x
        with seqtools.prefetch(seqtools.smap(slow, range(50)), "auto") as p:
            assert list(p) == list(range(50))
    """
    (tmp_path / "main.py").write_text(program(read))
    assert is_well(run(str(tmp_path / "main.py")))
    assert not (tmp_path / "count").exists()


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_an_interpreter_that_the_user_has_named(start_method: str, frozen: Path) -> None:
    read = f"""
        import multiprocessing
        multiprocessing.set_executable(sys.executable)
        sys.frozen, sys.executable = True, {str(frozen)!r}
        read(method="process", start_method={start_method!r})
    """
    assert is_well(run("-c", program(read)))


@pytest.mark.parametrize("path", [None, "", "/usr/sbin/httpd", "/usr/bin/uwsgi", "/opt/blender"])
def test_no_interpreter(path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", path)
    monkeypatch.setattr(multiprocessing.spawn, "_python_exe", None)
    with pytest.raises(WorkerStartError, match=r"multiprocessing\.set_executable") as caught:
        seqtools.prefetch(seqtools.smap(abs, range(3)), 1, "process")[0]
    assert repr(path) in str(caught.value)


@pytest.mark.parametrize(
    "name",
    [
        "python", "python3", "python3.11", "python3.13t", "python3.11d", "python3-dbg", "Python",
        "pythonw.exe", "python_d.exe", "python.exe", "python3.12-intel64", "pypy3", "pypy3.10",
        "pypy-c", "graalpy", "pvpython", "hython", "mayapy",
    ],
)  # fmt: skip
def test_names_of_interpreters(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", os.path.join("/somewhere", name))
    assert executable() == sys.executable


def test_a_link_to_an_interpreter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real, link = tmp_path / "python3.11", tmp_path / "tool"
    real.touch()
    link.symlink_to(real)
    monkeypatch.setattr(sys, "executable", str(link))
    assert executable() == str(link)


def test_a_module_that_was_compiled_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = SimpleNamespace(standalone=False)
    monkeypatch.setattr(sys.modules["__main__"], "__compiled__", compiled, raising=False)
    assert executable() == sys.executable


@pytest.mark.parametrize("how", ["symlink", "venv", "copy"])
def test_interpreters_at_other_places(how: str, tmp_path: Path) -> None:
    python = tmp_path / "bin" / "python3"
    python.parent.mkdir()
    env = environment()
    if how == "copy":  # as conda and virtualenv may do
        python.write_bytes(Path(sys.executable).resolve().read_bytes())
        python.chmod(0o700)
        env = environment(PYTHONHOME=sys.base_prefix)
    else:
        python.symlink_to(Path(sys.executable).resolve())
    if how == "venv":
        home = Path(sys.executable).resolve().parent
        (tmp_path / "pyvenv.cfg").write_text(f"home = {home}\n")
    packages = [path for path in sys.path if path.endswith("-packages")]
    code = f"import sys; sys.path += {packages!r}\n" + program("read_all('template', 'spawn')")
    done = run("-c", code, executable=str(python), env=env)
    assert is_well(done)
