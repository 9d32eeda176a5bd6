"""What a kept table is made of: its key, and in words how two of them differ."""

import sys
from typing import Any

from seqtools._core.resume import marks_of
from seqtools._core.walk import is_stage, summary
from seqtools.tables import contents
from seqtools.tables.code_marks import HIDDEN, Mark, repairs_of
from seqtools.tables.scan import length_of

_FORMAT = 1

Key = dict[str, Any]
"""What a table is made of."""


def key_of(stage: Any, examined: Any, functions: Any, dtype: str, version: Any) -> Key:
    """Return what the table of `stage` is made of; this reads lengths, and no items.

    Args:
        stage: The stage that scans.
        examined: The sequence that is scanned.
        functions: What `functions_of` has returned when `stage` was made.
        dtype: The type of what is found out.
        version: The one that the user gave.
    """
    return {
        "seqtools": _FORMAT,
        "stage": stage.kept_as(),
        "version": version,
        "of": length_of(examined),
        "dtype": dtype,
        "rank": list(summary(examined)[3:5]) if is_stage(examined) else [0, 1],
        "pipeline": [list(mark) for mark in marks_of(examined)] + repairs_of(examined),
        "contents": contents.contents_of(examined),
        "functions": functions,
        "python": f"{sys.version_info[0]}.{sys.version_info[1]}",
    }


def compare(path: str, theirs: Any, ours: Key) -> None:
    """Raise `ValueError` if a file has a table of something else."""
    what = _difference(theirs, ours) if isinstance(theirs, dict) else "is of another kind"
    if what:
        message = f"table {path!r} {what}: give another path, or delete the file to scan again"
        raise ValueError(message)


def _difference(theirs: Key, ours: Key) -> str:  # noqa: PLR0911 -- one for each
    """Return in words what differs first, or ""."""
    if theirs.get("seqtools") != ours["seqtools"] or not set(ours) <= set(theirs):
        return "has a form that this version of seqtools does not read"
    if theirs["stage"] != ours["stage"]:
        return f"is of {theirs['stage']}, this is {ours['stage']}"
    if theirs["version"] != ours["version"]:
        return f"has version={theirs['version']!r}, this is version={ours['version']!r}"
    if theirs["rank"] != ours["rank"]:
        (there, ranks), (here, now) = theirs["rank"], ours["rank"]
        return f"is of rank {there} of {ranks}, this is rank {here} of {now}"
    if theirs["of"] != ours["of"]:
        return f"is of a sequence of {theirs['of']} items, this one has {ours['of']}"
    if theirs["dtype"] != ours["dtype"]:
        return "is of another kind"
    return (
        _other_pipeline(theirs["pipeline"], ours["pipeline"])
        or contents.difference(theirs["contents"], ours["contents"])
        or _other_functions(theirs, ours)
    )


def _other_pipeline(theirs: list[Any], ours: list[Any]) -> str:
    if len(theirs) != len(ours):
        return (
            f"is of another pipeline, of {len(theirs)} stages and sources where this one has "
            f"{len(ours)}"
        )
    for there, here in zip(theirs, ours, strict=True):
        if there != here:
            return f"is of another pipeline, which differs first in {there[0]}, this is {here[0]}"
    return ""


def _other_functions(theirs: Key, ours: Key) -> str:
    if len(theirs["functions"]) != len(ours["functions"]):
        return "is of another pipeline, with other functions"
    for before, now in zip(theirs["functions"], ours["functions"], strict=True):
        there, here = Mark(*before), Mark(*now)
        if there.name != here.name:
            return f"was made with the function {there.name}, this is {here.name}"
        what = _other_constant(there, here)
        if not what and theirs["python"] == ours["python"]:
            # another release has other bytecode for the same function
            what = _other_code(there, here)
        if what:
            return what
    return ""


def _other_constant(theirs: Mark, ours: Mark) -> str:
    name = ours.name
    for constant, now in ours.constants.items():
        before = theirs.constants.get(constant, now)
        if before != now:
            if HIDDEN in before[0] + now[0]:
                return f"was made with another {constant} than now, which the function {name} reads"
            return f"was made with {constant} = {before}, now it is {now}, in the function {name}"
    return ""


def _other_code(theirs: Mark, ours: Mark) -> str:
    name = ours.name
    if theirs.mark != ours.mark:
        return f"was made before the function {name}, or what it holds, was changed"
    for used, mark in ours.uses.items():
        if theirs.uses.get(used, mark) != mark:
            return f"was made before {used} was changed, which the function {name} uses"
    return ""
