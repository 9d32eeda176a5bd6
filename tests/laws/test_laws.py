"""All laws hold for all combinators, and no combinator is forgotten."""

import pytest

import seqtools
from seqtools import instrument
from tests.laws.registry import NO_COMBINATORS, ROWS, VALUE_DEPENDENT, Row


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_laws(row: Row) -> None:
    row.check()


def test_every_export_has_a_row() -> None:
    exports = set(seqtools.__all__) | {f"instrument.{name}" for name in instrument.__all__}
    assert exports - NO_COMBINATORS.keys() - {row.export for row in ROWS} == set()


def test_nothing_is_excused_that_is_not_there() -> None:
    names = {row.name for row in ROWS}
    assert len(names) == len(ROWS)
    assert names >= VALUE_DEPENDENT
    assert set(NO_COMBINATORS) <= set(seqtools.__all__)
