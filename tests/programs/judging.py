"""What a program did in an engine, compared with what it did inline."""

from typing import Any

from tests.programs.expected import allowed
from tests.programs.looking import UNSENDABLE
from tests.programs.program import Engine, Program

Outcome = dict[str, Any]
"""What `tests.programs.runner` answers; `ended` in it tells that there was no answer."""

_REFUSED = ("cannot be sent", "cannot be pickled")
_ONCE = frozenset({"rereads", "partial", "nested", "cache", "rebatched"})
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
    reference = copies if how == "copies" and copies is not None else inline
    if "ended" in reference:
        return ""  # it is inline that is at fault, which is told for itself
    if how == "anything":
        same = len(outcome["entries"]) == len(inline["entries"]) or bool(inline["failed"])
        return "" if same else f"{len(inline['entries'])} items inline, {len(outcome['entries'])} here"
    if outcome["failed"] != reference["failed"]:
        return f"ended with {outcome['failed'] or 'no error'!r}, inline {reference['failed'] or 'no error'!r}"
    found = _entries(engine, outcome["entries"], reference["entries"])
    if found or program.tags & _ONCE or any(f.error for f in program.functions):
        return found
    if outcome["printed"] != reference["printed"]:
        return f"printed {outcome['printed'][:5]}, inline {reference['printed'][:5]}"
    return ""


def _entries(engine: Engine, here: list[str], there: list[str]) -> str:
    for k, (a, b) in enumerate(zip(here, there, strict=False)):
        refused = engine.place == "process" and b.startswith(UNSENDABLE)
        if a != b and not (refused and any(word in a for word in _REFUSED)):
            return f"item {k} that was seen is\n    {a}\ninline\n    {b}"
    if len(here) != len(there):
        return f"{len(there)} items were seen inline, {len(here)} here"
    return ""
