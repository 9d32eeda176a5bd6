"""What came of a run, in one of a few words."""

import re
import signal
from collections.abc import Iterator
from typing import Any

from benchmarks.faults import work
from benchmarks.faults.cases import END, Case
from benchmarks.faults.watch import Run

OUTCOMES = {
    "clean": "what was to end has ended: no process is left 2 s later, and nothing is printed but "
    "the reader's own traceback",
    "all delivered": "every item, once and in order",
    "error, rest delivered": "an error was raised; every other item was delivered",
    "does not apply": "the library has no such thing",
    "noise": "as clean, but workers or the end of the interpreter print something",
    "error, rest lost": "an error was raised, and items that had nothing to do with it did not "
    "come: it was the end, or they were lost with the worker",
    "leaves processes": "there were some 2 s after the reader had ended",
    "hangs": "nothing happened for 20 s, and nothing was said; then the reader was killed",
    "truncated silently": "items did not come, and there was no error",
    "wrong": "an item came twice, in another's place, or with another value; or the script ended "
    "with another status than it should have",
}
"""The words, the best first."""
WORDS = list(OUTCOMES)

_OWN_TRACEBACK = re.compile(
    r"^Traceback \(most recent call last\):\n(?:^[ ].*\n)*^KeyboardInterrupt.*\n", re.MULTILINE
)

_OF_THE_PLACE = re.compile(r"^WARNING:absl:.*No module named 'jax'\n", re.MULTILINE)
"""Grain says so in each process; it is about what is installed here, not about the fault."""


def judged(case: Case, run: Run) -> dict[str, Any]:
    """Return the outcome of a run, and what is worth knowing of it, to be stored."""
    errors = list(_of(run, "error"))
    outcome = _outcome(case, run)
    if run.left:
        outcome = max(outcome, "leaves processes", key=WORDS.index)
    said = _printed(case, run).splitlines()
    return {
        "outcome": outcome,
        "delivered": len({event["number"] for event in _of(run, "value")}),
        "errors": len(errors),
        "messages": list(dict.fromkeys(_short(error) for error in errors))[:3],
        "hung": run.hung,
        "status": run.status,
        "seconds": _seconds(case, run),
        "left": run.left,
        "gone": run.gone,
        "printed": len(said),
        "printed_last": said[-1][:300] if said else None,
    }


def _outcome(case: Case, run: Run) -> str:
    if list(_of(run, "wrong")) or not _in_order(case, run):
        return "wrong"
    if case.group == END or case.way in ("interrupted", "leave", "keep"):
        return _ended(case, run)
    return _read(case, run)


def _in_order(case: Case, run: Run) -> bool:
    numbers = [event["number"] for event in _of(run, "value")]
    right = all(number in range(case.n) and number not in case.bad for number in numbers)
    return right and numbers == sorted(set(numbers))


def _ended(case: Case, run: Run) -> str:
    if run.hung:
        return "hangs"
    # An interrupt that nobody catches ends Python by SIGINT, as the shell expects.
    expected = {"interrupted": -signal.SIGINT}.get(case.way, -signal.SIGKILL * (case.group == END))
    if run.status != expected:
        return "wrong"
    return "noise" if _printed(case, run) else "clean"


def _read(case: Case, run: Run) -> str:
    values = {event["number"] for event in _of(run, "value")}
    errors = [event["type"] for event in _of(run, "error")]
    if case.outside == "interrupt":
        if "KeyboardInterrupt" not in errors:
            return "hangs" if run.hung else "wrong"
        errors.remove("KeyboardInterrupt")
    if run.hung:
        # Who was told that something is wrong might not have read on.
        return "error, rest lost" if errors and run.hung == "reading" else "hangs"
    missing = set(range(case.n)) - case.bad - values
    if not missing and not errors and not case.bad:
        return "all delivered"
    if not errors and run.status == 0:
        return "truncated silently"
    return "error, rest delivered" if missing <= {work.HIT} else "error, rest lost"


def _seconds(case: Case, run: Run) -> float | None:
    """Return the time that counts in this case: see `CLOCK` in `table.py`."""
    if case.group == END:
        return run.gone
    if case.way in ("leave", "keep"):
        begin = next((event["time"] for event in _of(run, "close", "end")), None)
    else:
        begin = run.fault
    if begin is None or run.hung:
        return None
    if case.way in ("interrupted", "leave", "keep"):
        return run.ended - float(begin)
    times: list[float] = [
        event["time"] for event in _of(run, "value", "error") if event["time"] > begin
    ]
    return max((b - a for a, b in zip([begin, *times], times, strict=False)), default=None)


def _printed(case: Case, run: Run) -> str:
    """Return what was printed, without the reader's own traceback."""
    printed = run.stderr
    if case.way == "interrupted":
        printed = _OWN_TRACEBACK.sub("", printed, count=1)
    return _OF_THE_PLACE.sub("", printed).strip()


def _of(run: Run, *events: str) -> Iterator[dict[str, Any]]:
    return (event for event in run.events if event["event"] in events)


def _short(error: dict[str, Any]) -> str:
    lines: list[str] = error["text"].strip().splitlines() or [""]
    return f"{error['type']}: {lines[0]}"[:200]


def worst(runs: list[dict[str, Any]]) -> dict[str, Any]:
    """Return the run with the worst outcome; among equals, that with the fewest items."""
    return max(runs, key=lambda run: (WORDS.index(run["outcome"]), -run.get("delivered", 0)))
