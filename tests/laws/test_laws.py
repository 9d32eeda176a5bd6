"""All laws hold for all combinators, and no combinator is forgotten."""

from typing import Any

import pytest

import seqtools
from seqtools import instrument
from seqtools._core.rearrangement import Rearrangement
from seqtools.testing import check_laws
from tests.laws.registry import NO_COMBINATORS, ROWS, VALUE_DEPENDENT, Row

EXPORTS = set(seqtools.__all__) | {f"instrument.{name}" for name in instrument.__all__}


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_laws(row: Row) -> None:
    row.check()


def test_every_export_has_a_row() -> None:
    assert EXPORTS - NO_COMBINATORS.keys() - {row.export for row in ROWS} == set()


def test_nothing_is_excused_that_is_not_there() -> None:
    names = {row.name for row in ROWS}
    assert len(names) == len(ROWS)
    assert names >= VALUE_DEPENDENT
    assert set(NO_COMBINATORS) <= EXPORTS


class Rungs(Rearrangement[Any]):
    """Two of the one, one of the other, and so on: written with `_locate` alone."""

    def _size(self) -> int:
        return 3 * len(self._sequences[1])

    def _locate(self, i: int) -> tuple[int, int]:
        rung, place = divmod(i, 3)
        return (1, rung) if place == 2 else (0, 2 * rung + place)

    def _rebuild(self, *sequences: Any) -> "Rungs":
        return Rungs(*sequences)

    def _args(self) -> tuple[Any, ...]:
        return self._sequences


def test_a_rearrangement_needs_no_more_than_where_items_are() -> None:
    check_laws(
        Rungs,
        lambda a, b: [a[0], a[1], b[0], a[2], a[3], b[1], a[4], a[5], b[2]],
        sources=[range(6), "xyz"],
        assigned=[range(10, 16), "uvw"],
    )
