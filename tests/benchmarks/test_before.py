"""Contestants of ours at an older commit: who they are, where they run, how they are compared."""

from typing import Any

import pytest

from benchmarks import results, rounds, table
from benchmarks.workload import Figure, Workload, nothing


@pytest.fixture
def workload() -> Workload:
    made = Workload("A title", "A text.", (Figure("rate", "items/s", higher=True),), nothing)
    made.ours("threads")(lambda: None)
    made.peer("a peer")(lambda: None)
    return made


def answers(*figures: float) -> list[dict[str, Any]]:
    return [{"figures": {"rate": figure}, "version": None} for figure in figures]


def test_only_ours_has_a_contestant_of_before_and_it_follows_at_once(workload: Workload) -> None:
    both = workload.with_before()
    assert list(both.contestants) == ["threads", "threads (before)", "a peer"]
    assert list(workload.contestants) == ["threads", "a peer"]


def test_each_takes_its_turn_with_its_own_code(
    workload: Workload, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []

    def run(command: list[str], **_: Any) -> None:
        asked.append((command[0], command[-1]))
        raise LookupError

    monkeypatch.setattr(rounds.subprocess, "Popen", run)
    monkeypatch.setattr(rounds.os.path, "exists", lambda _: True)
    interpreters = rounds.Interpreters("now", "original", "before")
    for contestant in workload.with_before().contestants.values():
        with pytest.raises(LookupError):
            rounds.ask(interpreters.of(contestant), "a-workload", contestant.name, 1.0)
    assert asked == [("now", "threads"), ("before", "threads"), ("now", "a peer")]


def test_quotients_are_of_each_round(workload: Workload) -> None:
    said = {"threads": answers(2, 30, 4), "threads (before)": answers(1, 10, 4)}
    record = {"before": "abc", "contestants": said}
    told = table.compared(results.Results(workload.with_before(), record)).splitlines()
    assert told[0] == "| ours / ours at abc | items/s, more is better |"
    assert told[2:] == ["| threads | 2 (1\N{EN DASH}3) |"]


def test_what_failed_before_has_no_quotient(workload: Workload) -> None:
    said = {"threads": answers(2), "threads (before)": [{"error": "no such option"}]}
    record = {"before": "abc", "contestants": said}
    told = table.compared(results.Results(workload.with_before(), record))
    assert "| threads | not measured |" in told


def test_a_page_of_what_was_compared_is_that_of_ours_alone(workload: Workload) -> None:
    machine = dict.fromkeys(("cpu", "cores", "memory_gb", "system", "python", "numpy"), 1)
    said = {"threads": answers(2), "threads (before)": answers(1), "a peer": answers(1)}
    record = {
        "before": "abc",
        "date": "today",
        "rounds": 1,
        "machine": {**machine, "load_before": 0.0},
        "contestants": said,
    }
    assert "before)" not in table.section("it", results.Results(workload, record))
    shown = table.section("it", results.Results(workload.with_before(), record))
    assert "| threads (before) | processes | 1 |" in shown
