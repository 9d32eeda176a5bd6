"""Where engines can differ: the table of docs/processes.md, as rules.

A difference that no rule here names is a bug. A rule holds only for programs that have an
ingredient with its tags, so that the same difference elsewhere is found.
"""

from dataclasses import dataclass
from typing import Literal

from tests.programs.program import PROCESSES, Engine, Program

How = Literal["copies", "anything"]
"""`copies`: what is seen inline by a reader that is given a copy of each item. `anything`: there
are as many items, and nothing hangs, dies or is left behind."""

Tags = tuple[frozenset[str], ...]
"""Any of these sets is enough."""


@dataclass(frozen=True)
class Difference:
    """A row of the table."""

    what: str
    """The first cell of the row."""
    threads: tuple[How, Tags] | None = None
    """What may be seen with threads, of programs with which tags."""
    processes: tuple[tuple[How, Tags], ...] = ()


def _any(*sets: str) -> Tags:
    return tuple(frozenset(tags.split()) for tags in sets)


_CHANGED = _any("same spoils", "persistent spoils", "same changes", "cache spoils")

DIFFERENCES = (
    Difference(
        "return the same object as several items",
        threads=("anything", _CHANGED),
        processes=(("copies", _any("same spoils", "persistent spoils", "cache spoils")),),
    ),
    Difference("compare items with `is`"),
    Difference(
        "change an object that was returned as an item before, such as a buffer that is filled again",
        threads=("anything", _any("refills")),
        processes=(
            ("anything", _any("refills cache", "refills nested")),
            ("copies", _any("refills keeps", "refills spoils")),
        ),
    ),
    Difference(
        "keep state from item to item: a count, a generator of random numbers, an object that is "
        "changed in place and read again",
        threads=(
            "anything",
            _any("state", "changes persistent rereads", "changes same", "changes cache rereads"),
        ),
        processes=(
            (
                "anything",
                _any("state", "changes persistent rereads", "changes same", "changes cache rereads"),
            ),
        ),
    ),
    Difference(
        "set a global variable for an item and read it again",
        threads=("anything", _any("global")),
    ),
    Difference(
        "read an item by two iterators at a time",
        threads=("anything", _any("overlaps")),
        processes=(("anything", _any("overlaps")),),
    ),
    Difference(
        "draw random numbers without `seed`",
        threads=("anything", _any("unseeded")),
        processes=(("anything", _any("unseeded")),),
    ),
    Difference(
        "set what imported modules keep, such as the precision of `decimal` or filters of warnings",
        threads=("anything", _any("settings")),
        processes=(("anything", _any("settings")),),
    ),
    Difference("return, or raise, what cannot be pickled"),
    Difference(
        "return two arrays that show the same memory",
        processes=(("anything", _any("views spoils", "views changes")),),
    ),
    Difference(
        "return an exception that has a cause",
        processes=(("anything", _any("cause")),),
    ),
    Difference(
        "hash strings, or depend on the order of a set, where `PYTHONHASHSEED` is not set",
    ),
)
"""All of them, in the order of the table."""


def allowed(program: Program, engine: Engine) -> How | None:
    """Return how `program` may differ from what it is inline."""
    found: set[How] = set()
    for difference in DIFFERENCES:
        if engine.name in PROCESSES:
            rules = difference.processes
        else:
            rules = (difference.threads,) if difference.threads else ()
        found.update(how for how, tags in rules if any(need <= program.tags for need in tags))
    return "anything" if "anything" in found else "copies" if "copies" in found else None
