"""A command finds the pipeline that is named, or says in one line why not."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import seqtools
from seqtools.commands.finding import Refused, find_pipeline

SCRIPT = """
import seqtools

numbers = [1, 2, 3]
doubled = seqtools.smap(lambda x: 2 * x, numbers)


class Data:
    train = seqtools.batch(doubled, 2)


def build():
    return seqtools.smap(abs, numbers)


def wrong():
    return numbers


def load(path, k=1):
    return doubled


def fails():
    return numbers[3]


def ends():
    raise SystemExit(3)


if __name__ == "__main__":
    raise RuntimeError("this is no program")
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    (tmp_path / "job.py").write_text(SCRIPT)
    yield tmp_path
    for name in set(sys.modules) - before:  # numpy cannot be imported twice
        if (getattr(sys.modules[name], "__file__", None) or "").startswith(str(tmp_path)):
            del sys.modules[name]


@pytest.mark.parametrize("place", ["job", "job.py", "./job.py"])
def test_a_module_or_a_file(folder: Path, place: str) -> None:
    assert list(find_pipeline(f"{place}:doubled")) == [2, 4, 6]
    assert list(find_pipeline(f"{place}:Data.train")) == [[2, 4], [6]]
    assert list(find_pipeline(f"{folder}/job.py:build")) == [1, 2, 3]


def test_a_module_of_a_package(folder: Path) -> None:
    (folder / "pack").mkdir()
    (folder / "pack" / "__init__.py").touch()
    (folder / "pack" / "job.py").write_text("from .more import p")
    (folder / "pack" / "more.py").write_text("import seqtools; p = seqtools.arange(3)")
    assert list(find_pipeline("pack.job:p")) == [0, 1, 2]
    assert find_pipeline("pack/job.py:p") is find_pipeline("pack.job:p")


def test_a_file_of_a_package(folder: Path) -> None:
    (folder / "src" / "parcel" / "sub").mkdir(parents=True)
    (folder / "src" / "parcel" / "__init__.py").touch()
    (folder / "src" / "parcel" / "sub" / "__init__.py").touch()
    (folder / "src" / "parcel" / "sub" / "job.py").write_text("from ..more import p")
    (folder / "src" / "parcel" / "more.py").write_text("import seqtools; p = seqtools.arange(3)")
    assert list(find_pipeline("src/parcel/sub/job.py:p")) == [0, 1, 2]


def test_a_file_finds_what_stands_beside_it(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "beside.py").write_text("k = 3")
    (folder / "sub" / "other.py").write_text("import seqtools, beside; p = [seqtools.arange(9)]")
    with pytest.raises(Refused, match="of type list"):
        find_pipeline("sub/other.py:p")


def test_a_function_of_a_file_can_be_sent_to_workers(folder: Path) -> None:
    (folder / "sub").mkdir()
    (folder / "sub" / "part.py").write_text(SCRIPT)
    with seqtools.prefetch(find_pipeline("sub/part.py:doubled"), 1, "process") as ready:
        assert list(ready) == [2, 4, 6]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("job.py", "MODULE:NAME, such as job.py:batches, got job.py"),
        (":doubled", "MODULE:NAME, such as doubled:batches, got :doubled"),
        ("", "MODULE:NAME, such as train.py:batches"),
        ("zzzzz:doubled", "there is no module zzzzz to be imported from "),
        ("job.sub:doubled", "there is no module job.sub"),
        (".:doubled", "a module is named without a dot before it, or as a file, got ."),
        ("..job:doubled", "a module is named without a dot before it, or as a file, got ..job"),
        ("gone/jop.py:doubled", "there is no file gone/jop.py"),
        ("job:doubel", "there is no doubel in job, but doubled"),
        ("job.py:zzzzz", "there is no zzzzz in job.py, but doubled"),
        ("job:Data.trian", "there is no Data.trian in job, but train"),
        ("job:doubled.size", "there is no doubled.size in job"),
        ("job:numbers", "job:numbers is no pipeline of seqtools, but of type list"),
        ("job:wrong", "job:wrong is no pipeline of seqtools, but of type list"),
    ],
)
@pytest.mark.usefixtures("folder")
def test_what_is_not_there(text: str, told: str) -> None:
    with pytest.raises(Refused) as refused:
        find_pipeline(text)
    assert told in str(refused.value)
    assert "__class__" not in str(refused.value)
    assert "\n" not in str(refused.value)
    assert refused.value.status == 2


def test_a_file_with_the_name_of_another_module(folder: Path) -> None:
    (folder / "os.py").touch()
    with pytest.raises(Refused, match=r"os\.py has the name of another module that is in use"):
        find_pipeline("os.py:p")


def test_a_module_that_fails_shows_the_traceback_of_the_user(folder: Path) -> None:
    (folder / "broken.py").write_text("import other\n")
    (folder / "other.py").write_text("def f():\n    return 1 / 0\n\nf()\n")
    for place in ("broken", "broken.py"):
        with pytest.raises(Refused) as refused:
            find_pipeline(f"{place}:p")
        text = str(refused.value)
        assert refused.value.status == 1
        assert text.splitlines()[-1] == "ZeroDivisionError: division by zero"
        files = [line.split('"')[1] for line in text.splitlines() if line.startswith("  File")]
        assert [os.path.basename(file) for file in files] == ["broken.py", "other.py", "other.py"]


def test_what_a_module_needs_and_is_not_there_is_the_users_error(folder: Path) -> None:
    (folder / "needs.py").write_text("import zzzzz\n")
    with pytest.raises(Refused, match="No module named 'zzzzz'") as refused:
        find_pipeline("needs:p")
    assert refused.value.status == 1
    (folder / "typo.py").write_text("p = (\n")
    with pytest.raises(Refused, match="SyntaxError") as refused:
        find_pipeline("typo:p")
    assert "finding.py" not in str(refused.value)


@pytest.mark.usefixtures("folder")
def test_a_function_that_fails() -> None:
    with pytest.raises(Refused, match="IndexError: list index out of range") as refused:
        find_pipeline("job:fails")
    assert refused.value.status == 1
    assert "finding.py" not in str(refused.value)
    with pytest.raises(Refused, match="missing 1 required positional argument: 'path'"):
        find_pipeline("job:load")
    with pytest.raises(Refused, match=r"job:ends ends the program \(SystemExit: 3\)"):
        find_pipeline("job:ends")
