"""What is said of a run with a fault, and how it is shown; the runs themselves take hours."""

from typing import Any

import pytest

from benchmarks import results
from benchmarks.faults import __main__ as faults
from benchmarks.faults import table, work
from benchmarks.faults.cases import AFTER, CASES
from benchmarks.faults.libraries import LIBRARIES, Failure, Value, iterated
from benchmarks.faults.verdict import OUTCOMES, WORDS, judged, worst
from benchmarks.faults.watch import Run

ALL = range(CASES["killed-once"].n)
GOOD = [i for i in ALL if i != work.HIT]
INTERRUPT = ("error", "KeyboardInterrupt")
OWN = "Traceback (most recent call last):\n  File …\n    raise\nKeyboardInterrupt\n"


def run(*said: int | tuple[str, str], **facts: Any) -> Run:
    """Return a run in which the reader said this, a second each.

    Args:
        said: Numbers are values, pairs are events and a text.
        facts: What else there is to a run, other than of one that has gone well.
    """
    events = []
    for time, what in enumerate(said, 1):
        event, about = ("value", what) if isinstance(what, int) else what
        events.append({"event": event, "time": time, "number": about, "type": about, "text": "…"})
    facts = {"status": 0, "ended": len(said) + 1.0, "gone": 0.0, **facts}
    return Run(events=events, **facts)


@pytest.mark.parametrize(
    ("case", "what", "outcome"),
    [
        ("killed-once", run(*ALL), "all delivered"),
        ("killed-once", run(*GOOD), "truncated silently"),
        ("killed-once", run(*ALL[:25], ("error", "E"), *ALL[26:]), "error, rest delivered"),
        ("killed-once", run(*ALL[:25], ("error", "E"), *ALL[27:]), "error, rest lost"),
        ("killed-once", run(*ALL[:25], hung="reading", status=None), "hangs"),
        ("killed-once", run(*ALL, hung="ending", status=None), "hangs"),
        (
            "killed-once",
            run(*ALL[:25], ("error", "E"), hung="reading", status=None),
            "error, rest lost",
        ),
        ("killed-once", run(*ALL[:25], ("error", "E"), hung="ending", status=None), "hangs"),
        ("ctrl-c", run(*ALL[:20], INTERRUPT, hung="reading", status=None), "hangs"),
        ("killed-once", run(*ALL[:25], 24, *ALL[25:]), "wrong"),
        ("killed-once", run(*ALL[:25], 26, 25, *ALL[27:]), "wrong"),
        ("killed-once", run(*ALL, ("wrong", "…")), "wrong"),
        ("killed-once", run(*ALL[:25], status=-11), "error, rest lost"),
        ("killed-once", run(*ALL, left=["python"]), "leaves processes"),
        ("error", run(*GOOD, ("error", "E")), "error, rest delivered"),
        ("error", run(*GOOD), "truncated silently"),
        ("error", run(*ALL), "wrong"),
        ("reader-killed", run(*ALL, status=-9), "clean"),
        ("reader-killed", run(*ALL, status=-9, stderr="BrokenPipeError"), "noise"),
        ("reader-killed", run(*ALL, status=-9, left=["python"], gone=None), "leaves processes"),
        ("reader-killed", run(*ALL, status=0), "wrong"),
        ("ctrl-c", run(*ALL[:20], INTERRUPT, *ALL[20:]), "all delivered"),
        ("ctrl-c", run(*ALL), "wrong"),
        ("ctrl-c", run(*ALL[:20], INTERRUPT, *ALL[21:]), "truncated silently"),
        ("ctrl-c-end", run(*ALL[:20], INTERRUPT, status=-2, stderr=OWN), "clean"),
        ("ctrl-c-end", run(*ALL[:20], INTERRUPT, status=-2, stderr=OWN + OWN), "noise"),
        ("keep", run(*ALL[:AFTER]), "clean"),
        ("keep", run(*ALL[:AFTER], stderr="Exception ignored in: …"), "noise"),
        ("keep", run(*ALL[:AFTER], hung="ending", status=None), "hangs"),
    ],
)
def test_a_run_is_told_in_a_word(case: str, what: Run, outcome: str) -> None:
    assert judged(CASES[case], what)["outcome"] == outcome


def test_the_time_is_the_longest_wait_after_the_fault() -> None:
    what = run(*ALL, fault=25.5)  # half a second before the value of item 25
    assert judged(CASES["killed-once"], what)["seconds"] == 1.0


def test_an_iterator_is_read_on_behind_an_error_and_not_behind_its_end() -> None:
    class Odd:
        def __init__(self) -> None:
            self.steps = iter([1, ValueError("two"), 3, StopIteration(), 5])

        def __iter__(self) -> "Odd":
            return self

        def __next__(self) -> int:
            step = next(self.steps)
            if isinstance(step, Exception):
                raise step
            return step

    assert list(iterated(Odd())) == [Value(1), Failure("ValueError", "two"), Value(3)]


def test_the_worst_run_counts_and_the_table_says_how_many_there_were() -> None:
    case = CASES["killed-once"]
    good, bad = judged(case, run(*ALL)), judged(case, run(*ALL[:25], hung="reading", status=None))
    late = judged(case, run(*ALL[:30], hung="reading", status=None))
    assert worst([good, late, bad, good]) is bad
    assert table.cell(case, [good, bad, good]) == "hangs; after 25 of 60; in 1 of 3 runs"


def test_the_words_are_in_order() -> None:
    assert WORDS.index("all delivered") < WORDS.index("error, rest lost") < WORDS.index("hangs")
    assert list(OUTCOMES) == WORDS


def test_the_page_is_what_is_stored() -> None:
    records = results.stored([faults.RESULTS])[faults.RESULTS]
    assert records.keys() == CASES.keys()
    assert all(record["contestants"].keys() == LIBRARIES.keys() for record in records.values())
    with open(faults.PAGE) as file:
        assert file.read() == table.page(records)
