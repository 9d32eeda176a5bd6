"""Random reads against what a list would give: a few of those that `model` does for long."""

import gc

from tests.prefetching.model import STEPS, runs


def test_random_reads_give_what_a_list_would() -> None:
    before = gc.get_threshold()
    done = runs(range(12), 150)
    assert done.keys() == STEPS.keys()
    assert gc.get_threshold() == before
