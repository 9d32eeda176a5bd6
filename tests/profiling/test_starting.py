"""What a profile says of the start."""

from types import SimpleNamespace
from typing import Any

import pytest

from seqtools.engines.methods import METHODS
from seqtools.instrument.profiling.advice import Advice
from seqtools.instrument.profiling.advice import _start as advised_start
from seqtools.instrument.profiling.model import Prediction
from seqtools.instrument.profiling.report import effect
from seqtools.instrument.profiling.starting import start


def case(method: str, seconds: float) -> Any:
    return SimpleNamespace(
        measures=SimpleNamespace(start=seconds, seconds=10.0),
        recording=SimpleNamespace(imports=1.5),
        count=100,
        workers=2,
        too_short="",
        is_cluster=method not in {"thread", "process"},
        uses_processes=lambda: method == "process",
        mean=lambda: 0.01,
    )


@pytest.mark.parametrize(
    ("method", "seconds", "lines"),
    [("process", 1.9, 2), ("process", 0.1, 1), ("thread", 1.9, 1)],
)
def test_a_long_start_of_processes_has_advice(method: str, seconds: float, lines: int) -> None:
    told = list(start(case(method, seconds)))
    assert len(told) == lines
    assert told[0].startswith("start: ")
    assert ("make the prefetch earlier" in told[-1]) == (lines == 2)


def test_what_is_expected_includes_the_start() -> None:
    advice = Advice("", {}, 1.0)
    assert effect(case("process", 2.0), advice) == "about 3 s instead of 12 s: 4.0 times as fast"


def test_a_long_run_gains_more_than_one_that_is_over_when_workers_have_started() -> None:
    advice = Advice("", {}, 9.9, start=4.0, pace=0.05)
    said = effect(case("thread", 0.1), advice)
    assert said == (
        "about 13.9 s instead of 10.1 s, because workers start in 4 s; "
        "2.0 times as fast in a long run"
    )


def test_threads_in_place_of_processes_have_no_start_of_processes() -> None:
    processes, threads = case("process", 2.0), case("thread", 0.01)
    estimate = Prediction(1.0, 0.98)  # the first item takes longer than others
    assert advised_start(processes, METHODS["thread"], estimate) == pytest.approx(0.02)
    assert advised_start(processes, METHODS["process"], estimate) is None
    assert advised_start(threads, METHODS["thread"], estimate) is None
    expected = pytest.approx(0.15 + 1.5 + 0.02)  # imports, too
    assert advised_start(threads, METHODS["process"], estimate) == expected
    assert advised_start(case("ray", 7.0), METHODS["thread"], estimate) == pytest.approx(0.02)
    assert advised_start(case("ray", 7.0), METHODS["process"], estimate) == expected
    advice = Advice("", {}, 1.0, start=0.01)
    assert effect(processes, advice) == "about 1.01 s instead of 12 s: 11.9 times as fast"
