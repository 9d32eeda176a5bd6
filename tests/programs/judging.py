"""What a program did in an engine, compared with what it did inline."""

from typing import Any

from tests.programs.expected import allowed
from tests.programs.looking import UNSENDABLE
from tests.programs.program import AUTO, PROCESSES, Engine, Program

Outcome = dict[str, Any]
"""What `tests.programs.runner` answers; `ended` in it tells that there was no answer."""

_REFUSED = ("cannot be sent", "cannot be pickled")
_AGAIN = frozenset({"rereads", "partial", "nested", "cache", "rebatched"})
"""Tags of programs that may evaluate an item several times, and so print again."""


def judge(
    program: Program, engine: Engine, outcome: Outcome, inline: Outcome, copies: Outcome | None
) -> str:
    """Return the first difference that `expected.py` does not name, in words, or nothing."""
    if "ended" in outcome:
        return f"it did not end: {outcome['ended']}"
    if outcome["left"]:
        return f"left behind: {'; '.join(outcome['left'])}"
    how = allowed(program, engine)
    if how == "anything":
        return _number(outcome, inline)
    return _compared(program, engine, outcome, copies if how == "copies" and copies else inline)


def _number(outcome: Outcome, inline: Outcome) -> str:
    here, there = (
        len([told for told in each["entries"] if not told.startswith("kept: ")])
        for each in (outcome, inline)
    )
    return "" if here == there or inline["failed"] else f"{there} items inline, {here} here"


def _compared(program: Program, engine: Engine, outcome: Outcome, reference: Outcome) -> str:
    if "ended" in reference:
        return ""  # it is inline that is at fault, which is told for itself
    if outcome["failed"] != reference["failed"]:
        here, there = (each["failed"] or "no error" for each in (outcome, reference))
        return f"ended with {here}, inline {there}"
    seen = outcome["entries"], reference["entries"]
    if not program.all_options().get("ordered", True):
        seen = sorted(seen[0]), sorted(seen[1])
    found = _entries(engine, *seen)
    if found or program.tags & _AGAIN or any(f.error for f in program.functions):
        return found
    if outcome["printed"] != reference["printed"]:
        return f"printed {outcome['printed'][:5]}, inline {reference['printed'][:5]}"
    return ""


def _entries(engine: Engine, here: list[str], there: list[str]) -> str:
    processes = engine.name in {AUTO, *PROCESSES}
    if processes:  # what was refused is not kept either
        there = [told for told in there if not told.startswith("kept: " + UNSENDABLE)]
    for k, (a, b) in enumerate(zip(here, there, strict=False)):
        refused = processes and b.startswith(UNSENDABLE) and any(word in a for word in _REFUSED)
        if a != b and not refused:
            return f"item {k} that was seen is\n    {a}\ninline\n    {b}"
    if len(here) != len(there):
        return f"{len(there)} items were seen inline, {len(here)} here"
    return ""
