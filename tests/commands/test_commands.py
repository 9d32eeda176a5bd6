"""`python -m seqtools show`, `explain` and `check`, besides what `test_page` has of them."""

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqtools
from seqtools.__main__ import main, program

JOB = """
import seqtools


def inverse(x):
    return 1 / x


inverses = seqtools.smap(inverse, [1, 2, 0])
pairs = seqtools.batch(inverses, 2)
none = inverses[:0]

wide = seqtools.arange(100)
narrow = seqtools.prefetch(wide, 4, max_cached=2)
"""

SOURCES = """
import seqtools

files = ["a.png", "b.png", "c.png"]
images = seqtools.batch(seqtools.collate([files, [7, 8, 9], (4, 5, 6)]), 2)
chosen = seqtools.case([0, 0, 0], files)

paths = ["x/a.png", "y/a.png", "a\\n\\x1b[31m.png", "n" * 400]
run = seqtools.batch(seqtools.shuffle(paths, 3, epochs=4), 3)
endless = seqtools.shuffle(paths, 3, epochs=None)
labels = seqtools.smap(len, [("cat", k) for k in range(200)])
many = seqtools.batch(seqtools.arange(100_000), 50_000)
odd = seqtools.batch(seqtools.gather(paths, [2, 3]), 2)
"""

TREE = """\
batch(2)              2 items   job.py:10
└─ smap(inverse)      3 items   job.py:9
   └─ [1, 2, 0]       3 items
"""


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "job.py").write_text(JOB)
    (tmp_path / "sources.py").write_text(SOURCES)
    (tmp_path / "broken.py").write_text("1 / 0\n")
    yield tmp_path
    for name in set(sys.modules) - before:  # numpy cannot be imported twice
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize(
    ("form", "first"),
    [("dot", "digraph pipeline {\n"), ("html", "<div class=")],
)
def test_show_in_other_forms(form: str, first: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "job:pairs", "--format", form]) == 0
    told = capsys.readouterr().out
    assert told.startswith(first)
    assert "smap(inverse)" in told


def test_an_item_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["explain", "job:pairs", "2"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err == "python -m seqtools: error: index 2 is out of range for batch of length 2\n"


def test_origins(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["origins", "sources:images", "-1"]) == 0
    out, _ = capsys.readouterr()
    assert out == (
        "item -1 of batch is made from\n"
        "  item 2  of a list of 3         c.png\n"
        "  item 2  of a list of 3, no. 2\n"
        "  item 2  of a tuple of 3\n"
    )
    assert main(["origins", "sources:images", "0", "--most", "1"]) == 0
    assert capsys.readouterr().out.endswith("\n  item 0  of a list of 3  a.png\n  … 5 more\n")
    assert main(["origins", "sources:chosen", "1"]) == 0
    assert capsys.readouterr().out == (
        "item 1 of case is made from\n"
        "  item 1  of a list of 3\n"
        "  item 1  of a list of 3, no. 2  b.png  (perhaps: values decide)\n"
    )


def test_origins_of_an_item_that_is_not_there(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["origins", "job:pairs", "2"]) == 2
    told = "python -m seqtools: error: index 2 is out of range for batch of length 2\n"
    assert capsys.readouterr() == ("", told)


def test_names_in_a_terminal(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["origins", "sources:odd", "0"]) == 0
    assert capsys.readouterr().out.splitlines()[1:] == [
        r"  item 2  of a list of 4  a\n\x1b[31m.png",
        "  item 3  of a list of 4  …" + "n" * 299,
    ]


def test_uses_by_index(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uses", "sources:images", "-1"]) == 0
    assert capsys.readouterr().out == (
        "item 2 of a list of 3, c.png, is in 1 item of batch\n"
        "  item 1\n"
        "item 2 of a list of 3, no. 2 is in 1 item of batch\n"
        "  item 1\n"
        "item 2 of a tuple of 3 is in 1 item of batch\n"
        "  item 1\n"
    )
    assert main(["uses", "sources:many", "70_000"]) == 0
    assert capsys.readouterr().out == "item 70000 of arange is in 1 item of batch\n  item 1\n"
    assert main(["uses", "sources:odd", "2"]) == 0  # indices are no source
    told = r"item 2 of a list of 4, a\n\x1b[31m.png, is in 1 item of batch"
    assert capsys.readouterr().out == f"{told}\n  item 0\n"


@pytest.mark.parametrize("name", ["y/a.png", "[31m.png", "nn"])
def test_uses_by_name(name: str, capsys: pytest.CaptureFixture[str]) -> None:
    paths = ["x/a.png", "y/a.png", "a\n\x1b[31m.png", "n" * 400]
    j = next(k for k, path in enumerate(paths) if path.endswith(name))
    run = seqtools.batch(seqtools.shuffle(paths, 3, epochs=4), 3)
    wanted = seqtools.uses(run, paths, j).tolist()
    assert main(["uses", "sources:run", name]) == 0
    first, *rows = capsys.readouterr().out.splitlines()
    assert first.startswith(f"item {j} of a list of 4, ")
    assert first.endswith(f"{name}, is in {len(wanted)} items of batch")
    assert rows == [f"  item {i}" for i in wanted]
    assert main(["uses", "sources:endless", name, "--stop", "40"]) == 0
    assert capsys.readouterr().out.count("\n") == 11


def test_most_rows_of_uses(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uses", "sources:endless", "1", "--stop", "400", "--most", "2"]) == 0
    assert capsys.readouterr().out.count("\n") == 4
    assert main(["uses", "sources:endless", "1", "--stop", "400", "--most", "0"]) == 0
    told = "item 1 of a list of 4, y/a.png, is in 100 items of shuffle\n  … 100 more\n"
    assert capsys.readouterr().out == told


@pytest.mark.parametrize(
    ("command", "told"),
    [
        (
            "images 3",
            "no source has an item 3: they are a list of 3, a list of 3, no. 2, a tuple of 3",
        ),
        (
            "images -4",
            "no source has an item -4: they are a list of 3, a list of 3, no. 2, a tuple ",
        ),
        ("run a.png", "2 names end with a.png, such as x/a.png and y/a.png: give more of it"),
        ("run b.png", "no name ends with b.png: names are such as x/a.png"),
        ("many b.png", "the sources have no names, so none ends with b.png: give an index"),
        ("labels cat", "200 items are called cat: give an index"),
        ("endless a.png", "shuffle has no length: give --stop N, how many items to search"),
        ("run 1 --stop -1", "--stop must be at least 0, got -1"),
    ],
)
def test_what_is_used_nowhere(command: str, told: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["uses", *f"sources:{command}".split()]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith(f"python -m seqtools: error: {told}")


def test_nothing_to_measure(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["profile", "job:none"]) == 2
    told = "python -m seqtools: error: job:none has no items to measure\n"
    assert capsys.readouterr() == ("", told)


def test_workers_of_a_command_have_the_place_of_the_pipeline(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main(["check", "job:inverses", "--nworkers", "1", "--method", "thread"]) == 1
    assert "1. prefetch, job.py:9\n" in capsys.readouterr().out


@pytest.mark.parametrize("command", [["show"], ["explain"]])
def test_what_cannot_be_found(command: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    item = ["0"] if command == ["explain"] else []
    assert main([*command, "job:pair", *item]) == 2
    others = "inverses, narrow, none, pairs, wide"
    told = f"python -m seqtools: error: there is no pair in job, but {others}\n"
    assert capsys.readouterr() == ("", told)
    assert main([*command, "broken.py:pairs", *item]) == 1
    out, err = capsys.readouterr()
    assert out == ""
    assert err.startswith("Traceback (most recent call last):\n")
    assert err.endswith("ZeroDivisionError: division by zero\n")
    assert err.count("  File ") == 1


@pytest.mark.parametrize(
    ("command", "status", "told"),
    [
        ("job:pairs --method thread", 0, "nothing found: items of "),
        ("job:pairs --method thread --items 0", 0, "nothing found without evaluating items: "),
        ("job:pairs", 0, "nothing to check: there is no prefetch with workers in this pipeline"),
        (
            "job.py:narrow --items 0",
            1,
            "1 finding in 1 prefetch\n\n1. prefetch, job.py:14\n  a window",
        ),
        ("job.py:narrow --items 0 --nworkers 2", 0, "nothing found without evaluating items: "),
        ("job.py:narrow --items 0 --method thread", 1, "1 finding in 1 prefetch\n\n1. prefetch, "),
    ],
)
def test_check_finds_what_instrument_check_does(
    command: str, status: int, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *command.split()]) == status
    out, err = capsys.readouterr()
    assert out.startswith(told)
    assert err == ""


@pytest.mark.parametrize(
    ("command", "told"),
    [
        ("job:pairs --items -1", "--items must be at least 0, got -1"),
        ("job:pairs --timeout nan", "--timeout must be a number of seconds, more than 0, got nan"),
        ("job:pair", "there is no pair in job, but inverses, narrow, none, pairs, wide"),
    ],
)
def test_what_cannot_be_checked(
    command: str, told: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["check", *command.split()]) == 2
    assert capsys.readouterr() == ("", f"python -m seqtools: error: {told}\n")


def test_a_number_of_workers_that_cannot_be(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(["check", "job:pairs", "--nworkers", "-1"])
    told = "argument --nworkers: must be 0 or more, or `auto`, got '-1'\n"
    assert capsys.readouterr().err.endswith(told)


def test_as_a_program(folder: Path) -> None:
    command = [sys.executable, "-m", "seqtools", "show", "job:pairs"]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=folder)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == TREE.split()


@pytest.mark.parametrize("unbuffered", ["", "1"])
@pytest.mark.parametrize(
    "command", ["origins sources:many 0 --most 50000", "origins sources:many 0", "show job:pairs"]
)
def test_a_closed_pipe_ends_a_command(command: str, unbuffered: str, folder: Path) -> None:
    inside, outside = os.pipe()
    os.close(inside)
    try:
        done = subprocess.run(
            [sys.executable, "-m", "seqtools", *command.split()],
            stdout=outside,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
            cwd=folder,
            env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
        )
    finally:
        os.close(outside)
    assert (done.returncode, done.stderr) == (141, "")


def test_another_pipe_is_an_error(monkeypatch: pytest.MonkeyPatch) -> None:
    def fails() -> int:
        raise BrokenPipeError

    monkeypatch.setattr("seqtools.__main__.main", fails)
    with open(os.devnull, "w") as out:
        monkeypatch.setattr(sys, "stdout", out)
        monkeypatch.setattr(sys, "stderr", None)
        with pytest.raises(BrokenPipeError):
            program()
