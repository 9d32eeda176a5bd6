"""Programs and modules that start workers wherever they are run or imported: there is an end.

Each counts its starts in a file, and gives up when there are too many, so that a failure of
these tests is no harm.
"""

import subprocess
import textwrap
import zipapp
from pathlib import Path
from typing import Any

import pytest

from tests.scripts import SOURCE, environment, run

_MOST = 12
START_METHODS = ["template", "spawn"]

_COUNTED = f"""\
import os, sys
sys.path.insert(0, {SOURCE!r})
with open(os.environ["COUNT"], "a") as count:
    count.write("x")
if os.path.getsize(os.environ["COUNT"]) > {_MOST}:
    os._exit(9)
import seqtools
"""

_READ = """
def double(x):
    return 2 * x

doubled = seqtools.smap(double, range(5))
ITEMS = list(seqtools.prefetch(doubled, 2, "process", start_method=os.environ["START"]))
"""


def write(folder: Path, **modules: str) -> None:
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(_COUNTED + textwrap.dedent(code))


def ran(
    folder: Path, *command: str, start_method: str = "template", **options: Any
) -> tuple[subprocess.CompletedProcess[str], int]:
    """Return what became of a program run in `folder`, and how many starts there were."""
    count = folder / "count"
    count.write_bytes(b"")
    env = environment(COUNT=str(count), START=start_method, **options.pop("variables", {}))
    done = run(*command, cwd=folder, env=env, **options)
    starts = count.stat().st_size
    assert starts <= _MOST
    return done, starts


def is_refused(done: subprocess.CompletedProcess[str], name: str, file: Path) -> bool:
    last = done.stderr.strip().splitlines()[-1]
    assert done.returncode == 1, done.stderr
    assert last.startswith("seqtools.WorkerStartError: ")
    assert f"while a worker process imports module {name!r} ({file})" in last
    assert "read the prefetch in a function" in last
    return True


IMPORT = "import numbers_, sys\nprint(numbers_.ITEMS)\n"


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("how", ["-c", "stdin", "script", "-m"])
def test_a_module_that_reads_ahead_when_it_is_imported_is_named(
    how: str, start_method: str, tmp_path: Path
) -> None:
    write(tmp_path, numbers_=_READ)
    (tmp_path / "main.py").write_text(IMPORT)
    commands = {"-c": ["-c", IMPORT], "stdin": ["-"], "script": ["main.py"], "-m": ["-m", "main"]}
    options = {"input": IMPORT} if how == "stdin" else {}
    done, starts = ran(tmp_path, *commands[how], start_method=start_method, **options)
    assert is_refused(done, "numbers_", tmp_path / "numbers_.py")
    assert starts <= 3  # this program, and one or two workers


def test_the_same_where_each_worker_loads_for_itself(tmp_path: Path) -> None:
    hooked = _READ.replace('"process",', '"process", start_hook=str,')
    assert hooked != _READ
    write(tmp_path, numbers_=hooked)
    done, _ = ran(tmp_path, "-c", IMPORT)
    assert is_refused(done, "numbers_", tmp_path / "numbers_.py")


def test_the_same_in_an_item_of_a_worker(tmp_path: Path) -> None:
    write(tmp_path, numbers_=_READ)
    code = """
    import seqtools
    def get(x):
        import numbers_
        return numbers_.ITEMS
    seqtools.prefetch(seqtools.smap(get, range(2)), 1, "process")[0]
    """
    done, starts = ran(tmp_path, "-c", textwrap.dedent(code))
    assert done.returncode == 1
    assert (
        f"while a worker process imports module 'numbers_' ({tmp_path / 'numbers_.py'})"
        in done.stderr
    )
    assert starts <= 4, "two items, each imported by a worker and by the template below it"


def test_two_modules_that_import_each_other_in_turns(tmp_path: Path) -> None:
    read = "\nITEMS = list(seqtools.prefetch(seqtools.smap({}, range(5)), 2, 'process'))\n"
    first = "\ndef double(x):\n    return 2 * x\n\nimport second\n" + read.format("second.triple")
    second = "\ndef triple(x):\n    import first\n    return first.double(x)\n"
    write(tmp_path, first=first, second=second)
    done, _ = ran(tmp_path, "-c", "import first")
    assert done.returncode == 1
    assert f"while a worker process imports module 'first' ({tmp_path / 'first.py'})" in done.stderr


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_a_module_that_reads_ahead_what_others_define_works(
    start_method: str, tmp_path: Path
) -> None:
    write(tmp_path, numbers_=_READ.replace("double, range", "abs, range"))
    code = """
    import numbers_, seqtools
    def get(x):
        return numbers_.ITEMS[x]
    numbers = seqtools.smap(get, range(5))
    print(list(seqtools.prefetch(numbers, 2, "process")))
    """
    done, _ = ran(tmp_path, "-c", textwrap.dedent(code), start_method=start_method)
    assert (done.stdout, done.stderr) == ("[0, 1, 2, 3, 4]\n", "")


_HELPED = """
if __name__ == "__main__" or {everywhere}:
    import helper
    print(list(seqtools.prefetch(seqtools.smap(helper.get, range(3)), 2, "process")))
"""


@pytest.mark.parametrize("how", [["main.py"], ["-m", "main"]])
def test_a_script_that_workers_import_by_its_name(how: list[str], tmp_path: Path) -> None:
    write(tmp_path, main=_HELPED.format(everywhere=False))
    (tmp_path / "helper.py").write_text("import main\ndef get(x):\n    return 2 * x\n")
    done, _ = ran(tmp_path, *how)
    assert (done.stdout, done.stderr) == ("[0, 2, 4]\n", "")
    write(tmp_path, main=_HELPED.format(everywhere=True))
    (tmp_path / "helper.py").write_text("def get(x):\n    import main\n    return 2 * x\n")
    done, _ = ran(tmp_path, *how)
    assert done.returncode == 1
    assert f"while a worker process imports module 'main' ({tmp_path / 'main.py'})" in done.stderr


_READ_BY_ALL = """
def double(x):
    return 2 * x

for start_method in ("template", "spawn", "fork"):
    doubled = seqtools.smap(double, range(5))
    print(list(seqtools.prefetch(doubled, 2, "process", start_method=start_method)))
"""


@pytest.mark.parametrize("how", ["script", "-c", "stdin", "zipapp", "-m"])
def test_workers_do_not_run_the_program(how: str, tmp_path: Path) -> None:
    code = _COUNTED + _READ_BY_ALL
    (tmp_path / "package").mkdir()
    (tmp_path / "package" / "__main__.py").write_text(code)
    if how == "zipapp":
        zipapp.create_archive(tmp_path / "package", tmp_path / "program.pyz")
    commands = {
        "script": ["package/__main__.py"],
        "-c": ["-c", code],
        "stdin": ["-"],
        "zipapp": ["program.pyz"],
        "-m": ["-m", "package"],
    }
    options = {"input": code} if how == "stdin" else {}
    done, starts = ran(tmp_path, *commands[how], **options)
    assert (done.stdout, done.stderr, starts) == (3 * "[0, 2, 4, 6, 8]\n", "", 1)


@pytest.mark.parametrize("start_method", START_METHODS)
@pytest.mark.parametrize("function", ["abs", "double"])
@pytest.mark.parametrize("name", ["sitecustomize", ".pth"])
def test_what_every_interpreter_imports_at_its_start(
    name: str, function: str, start_method: str, tmp_path: Path
) -> None:
    read = _READ.replace("double, range", f"{function}, range").replace("doubled, 2", "doubled, 1")
    assert "doubled, 1" in read  # a second worker would do the same once more
    if name == "sitecustomize":
        write(tmp_path, sitecustomize=read)
    else:
        write(tmp_path, numbers_=read)
        (tmp_path / "sitecustomize.py").write_text("import site; site.addsitedir('.')\n")
        (tmp_path / "numbers.pth").write_text("import numbers_\n")
    module = "sitecustomize" if name == "sitecustomize" else "numbers_"
    code = f"import {module}; print({module}.ITEMS)"
    variables = {"PYTHONPATH": str(tmp_path)}
    done, _ = ran(tmp_path, "-c", code, start_method=start_method, variables=variables)
    if (start_method, function) != ("template", "abs"):  # the fork server does without a word
        file = tmp_path / f"{module}.py"
        assert f"while a worker process imports module {module!r} ({file})" in done.stderr
    # its own function cannot be had without importing it
    assert (done.stdout, done.returncode) == (
        ("[0, 1, 2, 3, 4]\n", 0) if function == "abs" else ("", 1)
    )


def test_what_interactive_interpreters_run_at_their_start(tmp_path: Path) -> None:
    write(tmp_path, startup=_READ + "print(ITEMS)\n")
    variables = {"PYTHONSTARTUP": str(tmp_path / "startup.py"), "PYTHONINSPECT": "1"}
    done, starts = ran(tmp_path, "-i", input="exit()", variables=variables)
    assert "[0, 2, 4, 6, 8]" in done.stdout
    assert starts == 1


_NESTED = """
import seqtools

def get(depth):
    if depth == {last}:
        return 0
    inner = seqtools.smap(get, [depth + 1])
    with seqtools.prefetch(inner, 1, "process", start_method="{start_method}") as p:
        return 1 + p[0]

print(get(0))
"""


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_workers_within_workers_end_somewhere(start_method: str, tmp_path: Path) -> None:
    (tmp_path / "two.py").write_text(_NESTED.format(last=2, start_method=start_method))
    done, _ = ran(tmp_path, "two.py")
    assert (done.stdout, done.stderr) == ("2\n", "")
    (tmp_path / "all.py").write_text(_NESTED.format(last=-1, start_method=start_method))
    done, _ = ran(tmp_path, "all.py")
    assert done.returncode == 1
    assert "worker processes must not be nested more than 4 levels deep" in done.stderr
    assert "use method='thread' or nworkers=0" in done.stderr


def test_a_prefetch_with_threads_may_be_read_by_an_import(tmp_path: Path) -> None:
    write(tmp_path, numbers_=_READ.replace('"process", start_method=os.environ["START"]', ""))
    code = "import numbers_, seqtools\nf = seqtools.smap(numbers_.double, numbers_.ITEMS)\n"
    code += "print(list(seqtools.prefetch(f, 2, 'process')))\n"
    done, _ = ran(tmp_path, "-c", code)
    assert (done.stdout, done.stderr) == ("[0, 4, 8, 12, 16]\n", "")


def test_a_program_that_a_worker_starts_may_have_workers(tmp_path: Path) -> None:
    code = """
    if len(sys.argv) == 1:
        import subprocess
        def get(x):
            program = [sys.executable, __file__, str(x)]
            return int(subprocess.check_output(program, text=True))
        print(list(seqtools.prefetch(seqtools.smap(get, range(2)), 1, "process")))
    else:
        squares = seqtools.smap(lambda x: x * x, [int(sys.argv[1]) + 1])
        print(seqtools.prefetch(squares, 1, "process")[0])
    """
    write(tmp_path, main=code)
    done, _ = ran(tmp_path, str(tmp_path / "main.py"))
    assert (done.stdout, done.stderr) == ("[1, 4]\n", "")
