"""What a profile says of the start."""

from types import SimpleNamespace
from typing import Any

import pytest

from seqtools.instrument.profiling.advice import Advice
from seqtools.instrument.profiling.report import effect
from seqtools.instrument.profiling.starting import start


def case(method: str, seconds: float) -> Any:
    stage = SimpleNamespace(options={"method": method})
    return SimpleNamespace(
        measures=SimpleNamespace(start=seconds, seconds=10.0),
        recording=SimpleNamespace(prefetches=lambda: [stage]),
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
