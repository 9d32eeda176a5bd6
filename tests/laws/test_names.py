"""What users find by `dir()`, and that no module is hidden by a function of the same name."""

import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path
from types import ModuleType

import pytest

import seqtools
from seqtools import instrument

ROOT = Path(__file__).parents[2]


def test_dir_is_what_users_use() -> None:
    assert set(dir(seqtools)) == {*seqtools.__all__, "extend", "testing", "__version__"}
    assert all(hasattr(seqtools, name) for name in dir(seqtools))


def test_a_name_that_there_is_not() -> None:
    with pytest.raises(AttributeError, match="module 'seqtools' has no attribute 'testings'"):
        _ = seqtools.testings  # type: ignore[attr-defined]


@pytest.mark.parametrize("name", ["extend", "testing"])
def test_modules_that_are_imported_when_they_are_used(name: str) -> None:
    program = (
        "import sys, seqtools\n"
        f"assert 'seqtools.{name}' not in sys.modules\n"
        f"print(seqtools.{name}.__name__)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == f"seqtools.{name}\n"


@pytest.mark.parametrize("package", [seqtools, instrument], ids=["seqtools", "instrument"])
def test_no_module_has_the_name_of_a_function(package: ModuleType) -> None:
    modules = {module.name for module in pkgutil.iter_modules(package.__path__)}
    public = set(package.__all__) - {"instrument"}  # which is a module
    assert not modules & public


def test_what_stages_ask_of_each_other_is_documented() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    names = settings["tool"]["ruff"]["lint"]["flake8-self"]["extend-ignore-names"]
    page = (ROOT / "docs/extending.md").read_text()
    table = page.partition("## What stages ask of each other")[2]
    told = re.findall(r"`(_\w+)", table.rpartition("\n\n")[0])
    assert set(names) == set(told) - {"_size"}
