"""Ctrl-C at samples of all that the thread of a reader runs of ours; `interrupting` does more."""

import pytest

from tests.faults.interrupting import Scenario, gathering, indices, interrupted, iteration

STEPS = {"thread": 37, "process": 211}
"""One of so many is interrupted: there are more with processes, and they take longer."""


@pytest.mark.parametrize("scenario", [iteration, gathering, indices])
@pytest.mark.parametrize("method", STEPS)
def test_an_interrupt_at_a_place_of_prefetch_or_its_engine_loses_nothing(
    scenario: Scenario, method: str
) -> None:
    assert len(list(interrupted(scenario, method, STEPS[method]))) > 2
