"""What `seqtools.engines.base` promises, for every engine."""

from typing import Any

import pytest

from seqtools._core.errors import seterr
from seqtools.testing import check_engine
from seqtools.testing.engines import promised
from seqtools.testing.trial import Maker
from tests.engines.engines import BECOMING, ENGINES, WITH_PROCESSES, WITH_TIMEOUT


def flags(name: str) -> dict[str, bool]:
    """Return what an engine can do."""
    hooks = {"hooks": True, "end_hooks": True}
    return {**hooks, "timeouts": name in WITH_TIMEOUT, "deaths": name in WITH_PROCESSES}


KEPT = [
    (name, promise)
    for name in ENGINES
    for promise in promised(**flags(name))
    # a small cache that is filled in the background may lose an item before that is read
    if not (name.endswith("+hints") and promise == "no item is evaluated twice")
]


@pytest.mark.parametrize(("name", "promise"), KEPT)
def test_an_engine_keeps_its_promises(name: str, promise: str) -> None:
    check_engine(ENGINES[name], **flags(name), resizes=name in BECOMING, only=[promise])


def mode(_: int) -> str:
    """Return how errors are reported where this is evaluated."""
    return seterr()


def same(i: int) -> Any:
    """Return an index."""
    return i


@pytest.mark.parametrize("name", ENGINES)
def test_workers_report_errors_as_the_submitter_does(name: str) -> None:
    before = seterr("passthrough")
    try:
        with Maker(ENGINES[name]).trial(mode, 1) as trial:
            assert trial.collect(*trial.submit([0])) == ["passthrough"]
    finally:
        seterr(before)


@pytest.mark.parametrize("name", [name for name in ENGINES if not name.endswith("+hints")])
def test_many_workers(name: str) -> None:
    with Maker(ENGINES[name]).trial(same, 16) as trial:
        jobs = trial.submit(*[range(i, i + 20) for i in range(0, 2000, 20)])
        assert trial.collect(*jobs) == list(range(2000))
