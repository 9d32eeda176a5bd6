"""Lists in the documentation name all that they should name, and nothing else.

Each of these lists is written by hand, because it says more than a name; here it is compared with
what there is.
"""

import importlib
import inspect
import re
import tomllib
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import extend, instrument, testing
from seqtools.__main__ import COMMANDS
from seqtools.instrument.profiling import verdict

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "seqtools"
DOCS = ROOT / "docs"
PUBLIC = {
    "seqtools": seqtools,
    "seqtools.instrument": instrument,
    "seqtools.extend": extend,
    "seqtools.testing": testing,
}
"""The modules from which users import."""

OF_SEQTOOLS_1 = {
    "add_cache": "arr cache_size cache",
    "arange": "start stop step",
    "batch": "sequence k drop_last pad collate_fn",
    "case": "selector values",
    "collate": "sequences",
    "concatenate": "sequences",
    "cycle": "sequence limit",
    "gather": "sequence indexes",
    "instrument.debug": "sequence func max_calls max_rate",
    "instrument.monitor_throughput": "sequence",
    "interleave": "sequences",
    "prefetch": "seq nworkers method max_cached max_buffered start_hook shm_size",
    "repeat": "value times",
    "seterr": "evaluation",
    "smap": "f sequences",
    "split": "sequence edges",
    "starmap": "f sequence",
    "switch": "condition x y",
    "take": "sequence indexes",
    "unbatch": "sequence batch_size last_batch_size",
    "uniter": "iterable cache_size n_parallel size",
}
"""The functions of SeqTools 1.4, and their arguments."""


def functions() -> dict[str, Any]:
    """Return the public functions by the names that the documentation uses."""
    found = {name: getattr(seqtools, name) for name in seqtools.__all__}
    found |= {f"instrument.{name}": getattr(instrument, name) for name in instrument.__all__}
    return {name: f for name, f in found.items() if inspect.isfunction(f)}


def resolved(name: str) -> Any:
    """Return the object with this dotted name; fail if there is none."""
    *parts, last = name.split(".")
    if not parts:
        return importlib.import_module(last)
    parent = resolved(".".join(parts))
    if hasattr(parent, last):
        return getattr(parent, last)
    try:
        return importlib.import_module(name)
    except ImportError:
        pytest.fail(f"there is no {name}")


def section(path: Path, heading: str) -> str:
    """Return the text below a heading of a page."""
    found = re.search(
        rf"^(#+) {re.escape(heading)}\n(.*?)(?=^#|\Z)", path.read_text(), re.MULTILINE | re.DOTALL
    )
    assert found, f"{path.name} has no section {heading!r}"
    return found[2]


def quoted(text: str) -> list[str]:
    """Return what is between backquotes."""
    return re.findall(r"`([^`\n]+)`", text)


def rows(text: str) -> Iterator[list[str]]:
    """Yield the cells of the rows of the tables in `text`."""
    for line in text.splitlines():
        if line.startswith("|") and not set(line) <= set("|- "):
            yield [cell.strip() for cell in line.strip("|").split("|")]


def first_cells(text: str) -> list[str]:
    """Return what is between backquotes in the first cells of tables."""
    return [name for cells in rows(text) for name in quoted(cells[0])]


class TestReference:
    TEXT = (DOCS / "reference.md").read_text()
    TARGETS = re.findall(
        r"^\.\. (?:auto)?(?:function|class|method|data):: ([\w.]+)", TEXT, re.MULTILINE
    )

    @pytest.mark.parametrize("module", PUBLIC)
    def test_has_every_public_name(self, module: str) -> None:
        public = PUBLIC[module]
        names = [name for name in public.__all__ if not inspect.ismodule(getattr(public, name))]
        shown = [resolved(target) for target in self.TARGETS]
        missing = [name for name in names if not any(getattr(public, name) is s for s in shown)]
        assert not missing

    def test_names_exist_and_are_public(self) -> None:
        for target in self.TARGETS:
            resolved(target)
            module = max((m for m in PUBLIC if target.startswith(f"{m}.")), key=len)
            name = target.removeprefix(f"{module}.").partition(".")[0]
            assert name in PUBLIC[module].__all__, f"{target} is not public"

    def test_nothing_is_there_twice(self) -> None:
        assert [name for name, n in Counter(self.TARGETS).items() if n > 1] == []


def test_objects_have_one_name_in_all_pages() -> None:
    # a module that who reads the page writes, and an attribute that each thread has of its own
    written = {"seqtools.engines.pipes", "seqtools.extend.worker.get"}
    names: dict[int, set[str]] = {}
    kept = []
    for page in [ROOT / "README.md", *DOCS.glob("*.md")]:
        for name in set(re.findall(r"\bseqtools(?:\.[A-Za-z_]\w*)+", page.read_text())) - written:
            kept.append(resolved(name))
            names.setdefault(id(kept[-1]), set()).add(name)
    aliases = {"seqtools.gather", "seqtools.take"}
    assert [several for several in names.values() if len(several) > 1 and several != aliases] == []


def test_tutorial_lists_all_functions() -> None:
    text = (DOCS / "tutorial.md").read_text()
    listed = re.search(r"^All functions.*?\n\n(\|.*?)\n\n", text, re.DOTALL | re.MULTILINE)
    assert listed
    names = {name for cells in rows(listed[1]) for name in quoted(cells[1])}
    several = {"instrument.explain"}  # it is `explain`, too
    assert sorted(functions().keys() - names) == sorted(several)
    for name in names:
        resolved(f"seqtools.{name}")


class TestMigration:
    PAGE = DOCS / "migrating.md"

    def test_what_is_new_is_listed(self) -> None:
        new = {}
        for name, old in OF_SEQTOOLS_1.items():
            parameters = inspect.signature(functions()[name]).parameters
            assert set(old.split()) <= parameters.keys(), name
            if added := parameters.keys() - {*old.split(), "unknown"}:
                new[name] = added
        listed = {}
        for cells in rows(section(self.PAGE, "New arguments")):
            for name in quoted(cells[0]):
                listed[name] = set(quoted(cells[1]))
        assert {n: sorted(a) for n, a in listed.items()} == {n: sorted(a) for n, a in new.items()}

    def test_new_functions_are_listed(self) -> None:
        new = functions().keys() - OF_SEQTOOLS_1.keys()
        assert sorted(first_cells(section(self.PAGE, "New functions"))) == sorted(new)


class TestMaps:
    def test_of_the_package(self) -> None:
        text = section(ROOT / "CONTRIBUTING.md", "Where things are")
        tables = [rows(table) for table in text.split("\n\n") if table.startswith("|")]
        top, _, core = [[n for cells in table for n in quoted(cells[0])] for table in tables]
        assert sorted({n.partition("/")[0].partition(".")[0] for n in top[1:]}) == inside(SOURCE)
        assert sorted(n.rstrip("/") for n in core[1:]) == inside(SOURCE / "_core")

    @pytest.mark.parametrize("room", ["engines", "prefetching"])
    def test_of_a_room(self, room: str) -> None:
        """Each heading names the folder of what is below it."""
        written: set[Path] = set()
        folder = SOURCE / room
        for part in re.split(r"^## ", (folder / "README.md").read_text(), flags=re.MULTILINE):
            heading = re.match(r"`(\w+)/`", part)
            here = folder / heading[1] if heading else folder
            for name in first_cells(part):
                found = set(here.glob(name))
                assert found, f"{here.name}/ has no {name}"
                written |= found
        there = set(folder.rglob("*.py")) - set(folder.rglob("__init__.py"))
        assert sorted(str(path.relative_to(folder)) for path in there - written) == []

    def test_of_commands_of_make(self) -> None:
        makefile = (ROOT / "Makefile").read_text()
        targets = set(re.findall(r"^([a-z-]+):.*## ", makefile, re.MULTILINE))
        pages = [(ROOT / name).read_text() for name in ("CONTRIBUTING.md", "README.md")]
        named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", "".join(pages)))
        assert sorted(targets - named - {"help", "clean"}) == []
        assert sorted(named - targets) == []


def inside(folder: Path) -> list[str]:
    """Return the names of the modules in a folder."""
    names = {p.stem for p in folder.iterdir() if p.suffix == ".py" or (p / "__init__.py").exists()}
    return sorted(names - {"__init__"})


class TestPages:
    PAGES = sorted(p.name for p in DOCS.glob("*.md") if p.name != "index.md")

    def test_are_in_the_index(self) -> None:
        index = (DOCS / "index.md").read_text()
        links = re.findall(r"\]\(([\w-]+\.md)", index)
        assert sorted(set(links)) == self.PAGES
        trees = " ".join(re.findall(r"^```\{toctree\}\n(.*?)^```", index, re.MULTILINE | re.DOTALL))
        entries = re.findall(r"^([\w-]+)$", trees, re.MULTILINE)
        assert sorted(f"{name}.md" for name in entries) == self.PAGES

    def test_are_in_the_readme(self) -> None:
        links = re.findall(r"\]\(docs/([\w-]+\.md)", (ROOT / "README.md").read_text())
        assert sorted(set(self.PAGES) - {*links, "reference.md"}) == []

    def test_links_lead_somewhere(self) -> None:
        for page in [ROOT / "README.md", ROOT / "CONTRIBUTING.md"]:
            text = re.sub(r"^```.*?^```", "", page.read_text(), flags=re.MULTILINE | re.DOTALL)
            for link in re.findall(r"\]\(([^)#:]+)[)#]", text):
                assert (ROOT / link).exists(), f"{page.name} links to {link}"


def test_commands_are_documented() -> None:
    pages = "".join(page.read_text() for page in [ROOT / "README.md", *DOCS.glob("*.md")])
    for command in COMMANDS:
        name = command.__name__.rpartition(".")[2]
        assert f"python -m seqtools {name}" in pages or f"make {name}" in pages, name


def test_verdicts_are_documented() -> None:
    page = (DOCS / "profiling.md").read_text()
    for name in ("SHORT", "CONSUMER", "LOADING", "TRANSFER", "LOCK", "SLOW"):
        assert getattr(verdict, name) in page


def test_dependencies_are_named() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    readme = (ROOT / "README.md").read_text()
    said = re.search(r"dependencies are\s+([\w\s,]+)\.", readme)
    assert said
    assert sorted(re.findall(r"\w+", said[1].replace(" and ", " "))) == sorted(
        re.match(r"[\w-]+", each)[0]  # type: ignore[index] # each begins with a name
        for each in project["dependencies"]
    )
