"""Ctrl-C at samples of all that the thread of a reader runs of ours; `interrupting` does more."""

import pytest

from tests.faults.interrupting import Scenario, gathering, indices, interrupted, iteration

STEPS = {"thread": 37, "process": 211, "spawn": 997, "fork": 211}
"""One of so many is interrupted: there are more with processes, and they take longer."""

CELLS = [
    *[(method, scenario) for method in ("thread", "process") for scenario in (gathering, indices)],
    *[(method, iteration) for method in STEPS],
]


@pytest.mark.parametrize(("method", "scenario"), CELLS)
def test_an_interrupt_at_a_place_of_prefetch_or_its_engine_loses_nothing(
    method: str, scenario: Scenario
) -> None:
    assert len(list(interrupted(scenario, method, STEPS[method]))) > 1
