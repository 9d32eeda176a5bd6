"""Which interpreter is started for workers, and with which seed for hashes."""

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
from tests.scripts import SOURCE, environment, is_well, program, run

# Programs that are no interpreters, such as frozen ones, are never started as workers.

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


# The hash of a string is the same in all processes that a program starts.

PROGRAM = f"""\
import os, sys
sys.path.insert(0, {SOURCE!r})
import seqtools

class Hashed:
    def __getitem__(self, i):
        return hash("seqtools"), os.getpid()

    def __len__(self):
        return 24

def read(method, nworkers=2):
    return seqtools.prefetch(Hashed(), nworkers, "process", start_method=method)

def hashes(p):
    return {{found for found, pid in p}}

here = hash("seqtools")
"""


def output(code: str, *flags: str, **changes: str | None) -> list[str]:
    """Return what a program prints that has the functions above, and ends well."""
    done = run(*flags, "-c", PROGRAM + code, env=environment(**changes))
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout.split()


@pytest.mark.one_of(2)
@pytest.mark.parametrize("seed", ["0", "42", None, "random"])
def test_all_workers_agree_and_so_do_those_that_come_after_them(seed: str | None) -> None:
    code = """
def told(method):
    with read(method) as p:
        found = hashes(p)
        pids = {pid for _, pid in p}
        p.refresh()
        found |= hashes(p)
        p.close()
        found |= hashes(p)
        assert pids.isdisjoint(pid for _, pid in p)
    with read(method, 1) as another:
        return found | hashes(another)

started, forked = told("template") | told("spawn"), told("fork")
print(len(started), here in started, len(forked), here in forked)
"""
    same = seed in {"0", "42"}
    assert output(code, PYTHONHASHSEED=seed) == ["1", str(same), "1", "True"]


def test_workers_that_end_when_they_are_idle_and_start_again() -> None:
    code = """
import time
p = seqtools.prefetch(Hashed(), 1, "process", idle_timeout=0.01, start_method="spawn")
found, pids = set(), set()
while len(pids) < 2:
    value, pid = p[len(pids)]
    found.add(value)
    pids.add(pid)
    while p._state.pump._engine is not None:
        time.sleep(0.01)
print(len(found))
"""
    assert output(code, PYTHONHASHSEED=None) == ["1"]


@pytest.mark.parametrize("method", ["template", "spawn"])
def test_what_counts_is_what_the_program_was_started_with(method: str) -> None:
    code = f"""
os.environ["PYTHONHASHSEED"] = "7"
with read({method!r}) as p:
    print(hashes(p) == {{here}})
"""
    assert output(code, PYTHONHASHSEED="42") == output(code, PYTHONHASHSEED="0") == ["True"]


def test_a_program_that_sets_it_for_its_children_has_it_set() -> None:
    code = """
os.environ["PYTHONHASHSEED"] = "7"
with read("template") as p:
    print(*hashes(p))
os.environ["PYTHONHASHSEED"] = "8"
with read("spawn") as p:
    print(*hashes(p))
"""
    as_in_a_program_with_it = output("print(here)", PYTHONHASHSEED="7")
    assert output(code, PYTHONHASHSEED=None) == 2 * as_in_a_program_with_it


def test_what_no_interpreter_would_start_with_is_not_handed_on() -> None:
    code = """
for seed in ("many", "-1", "4294967296", "\N{SUPERSCRIPT TWO}"):
    os.environ["PYTHONHASHSEED"] = seed
    with read("spawn") as p:
        print(len(hashes(p)))
"""
    assert output(code, PYTHONHASHSEED=None) == ["1"] * 4


def test_workers_of_workers_and_forks_of_the_program_agree_too() -> None:
    code = """
class Nested:
    def __getitem__(self, i):
        with read("spawn", 1) as p:
            return p[i][0], hash("seqtools")

    def __len__(self):
        return 2

found = set()
for method in ("template", "spawn"):
    with seqtools.prefetch(Nested(), 1, "process", start_method=method) as p:
        found.update(*p)
told, tell = os.pipe()
if os.fork() == 0:
    with read("template") as p:
        os.write(tell, repr(hashes(p)).encode())
    os._exit(0)
os.wait()
found |= eval(os.read(told, 1000))
print(len(found))
"""
    assert output(code, PYTHONHASHSEED=None) == ["1"]


@pytest.mark.parametrize("flag", ["-E", "-I"])
def test_where_the_environment_is_ignored_workers_start_as_well(flag: str) -> None:
    code = """
with read("template") as p:
    print(len(hashes(p)))
"""
    assert output(code, flag, PYTHONHASHSEED="3") == ["1"]


def test_programs_have_hashes_of_their_own() -> None:
    code = """
with read("template") as p:
    print(*hashes(p))
"""
    assert output(code, PYTHONHASHSEED=None) != output(code, PYTHONHASHSEED=None)
