"""The catalogue in docs/design/0008-faults.md and the tests say the same."""

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

ROOT = Path(__file__).parents[2]
CATALOGUE = ROOT / "docs/design/0008-faults.md"
GROUPS = 9

_TEST = re.compile(r"`([\w/]+\.py)::([Tt]est_?\w+)`")


def rows() -> Iterator[list[str]]:
    """Yield the cells of each case: what it is, what comes of it, which tests show it."""
    _, text = CATALOGUE.read_text().split("## The catalogue\n")
    for line in text.splitlines():
        cells = [cell.strip() for cell in line.strip("|").split("|")]
        if line.startswith("|") and cells[0] != "case" and set(cells[0]) != {"-"}:
            yield cells


def named() -> set[tuple[str, str]]:
    """Return file and name of all tests that the catalogue names."""
    return {test for _, _, tests in rows() for test in _TEST.findall(tests)}


@cache
def found_in(file: Path) -> set[str]:
    tree = ast.parse(file.read_text())
    names = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    # a machine of Hypothesis is a test by an assignment
    targets = [t for n in ast.walk(tree) if isinstance(n, ast.Assign) for t in n.targets]
    machines = {t.id for t in targets if isinstance(t, ast.Name) and t.id.startswith("Test")}
    return {name for name in names if name.startswith("test_")} | machines


def test_every_case_has_an_outcome_and_a_test_that_is_there() -> None:
    for case, outcome, tests in rows():
        assert case
        assert outcome
        found = _TEST.findall(tests)
        assert found, f"no test of {case!r}"
        for file, name in found:
            assert name in found_in(ROOT / "tests" / file), f"{file} has no {name}"


def test_every_test_of_faults_is_in_the_catalogue() -> None:
    here = {
        (file.relative_to(ROOT / "tests").as_posix(), name)
        for file in Path(__file__).parent.rglob("test_*.py")
        if file.name != "test_catalogue.py"
        for name in found_in(file)
    }
    assert here <= named()


def test_no_group_is_missing() -> None:
    text = CATALOGUE.read_text()
    assert len(re.findall(r"^### \d\. ", text, re.MULTILINE)) == GROUPS
