"""The changes that `make mutants` tries are still changes of something."""

from pathlib import Path

import pytest

from tests.faults.mutants import ROOT, made
from tests.faults.mutations import MUTANTS, Mutant


@pytest.mark.parametrize("mutant", MUTANTS, ids=lambda mutant: mutant.name)
def test_every_mutant_can_be_made(mutant: Mutant, tmp_path: Path) -> None:
    made(mutant, tmp_path)
    source = (tmp_path / "seqtools" / mutant.file).read_text()
    compile(source, mutant.file, "exec")
    assert all((ROOT / "tests" / test).exists() for test in mutant.tests)
