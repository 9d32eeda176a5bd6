"""Where engines can differ: the table of docs/same-values.md, as rules.

A difference that no rule here names is a bug. A rule holds only for programs that have an
ingredient with its tags, so that the same difference elsewhere is found. A row of which no random
program has anything has no rule.
"""

from dataclasses import dataclass
from typing import Literal

from tests.programs.program import AUTO, PROCESSES, Engine, Program

How = Literal["copies", "anything"]
"""`copies`: what is seen inline by a reader that is given a copy of each item. `anything`: there
are as many items, and nothing hangs, dies or is left behind."""


@dataclass(frozen=True)
class Difference:
    """A row of the table; any of the sets of tags that it names is enough."""

    what: str
    """How the first cell of the row begins."""
    copies: tuple[str, ...] = ()
    """Programs of which processes give copies."""
    processes: tuple[str, ...] = ()
    """Programs of which processes may give anything."""
    threads: tuple[str, ...] = ()
    """Programs of which threads may give anything."""


_IN_PLACE = ("changes persistent rereads", "changes same", "changes persistent nested")

DIFFERENCES = (
    Difference(
        "return the same object as several items, such as a buffer that is filled again",
        copies=("same spoils", "refills keeps", "refills spoils"),
        processes=(
            "refills cache",
            "refills nested",
            *(f"{tag} composes" for tag in ("same", "refills", "persistent", "cache")),
        ),
        threads=("same spoils", "refills"),
    ),
    Difference("compare items with `is`"),
    Difference("read one item by two iterators", processes=("overlaps",), threads=("overlaps",)),
    Difference(
        "return two arrays that show the same memory", processes=("views spoils", "views changes")
    ),
    Difference("return or raise what cannot be pickled"),  # see `judging`: item by item
    Difference("raise what is no `Exception`"),  # no program does, except panics and exits
    Difference("return an exception as an item"),  # `looking` does not look at its cause
    Difference("return an instance of a class that the function itself has made"),  # the same
    Difference("return a singleton"),
    Difference("return a `dict` or `list` whose class changes"),
    Difference(
        "work in place on what a cache keeps",
        copies=("cache spoils",),
        processes=("changes cache",),
        threads=("changes cache", "cache spoils"),
    ),
    Difference(
        "work in place on items of a list, or of an array",
        copies=("persistent spoils",),
        processes=_IN_PLACE,
        threads=(*_IN_PLACE, "persistent spoils"),
    ),
    Difference("keep state between items", processes=("state",), threads=("state", "global")),
    Difference(
        "draw from a generator of its own", processes=("draws-own",), threads=("draws-own",)
    ),
    Difference(
        "draw random numbers from the global generators",
        processes=("unseeded",),
        threads=("unseeded",),
    ),
    Difference("use the `hash` of a string"),  # programs are run with PYTHONHASHSEED
    Difference("set variables of an imported module", processes=("sets-modules",)),
    Difference("find classes and variables of the script by name"),
    Difference("leave work for the end of the program"),
    Difference("keep in each thread what only that thread may use"),
    Difference(
        "set what each thread has of its own",
        processes=("sets-contexts",),
        threads=("sets-contexts",),
    ),
    Difference("raise the limit by `sys.setrecursionlimit`"),
    Difference("warn by `warnings`"),  # they are made, but no program looks at them
    Difference("give a logger attributes"),
    Difference("have `__init_subclass__` or a metaclass register a class"),
    Difference("read a collection of weak references"),
    Difference("read an iterable by `uniter`"),
    Difference("open a file or a connection before the workers start"),
    Difference("have more bad items than"),
    Difference("read a prefetch at the top level of a module"),
    Difference("read from standard input"),
    Difference("start programs that it does not wait for"),
)
"""All of them, in the order of the table."""


def allowed(program: Program, engine: Engine) -> How | None:
    """Return how `program` may differ in `engine` from what it is inline."""
    tags, rows = program.tags, DIFFERENCES
    if engine.name not in PROCESSES and any(_have(tags, row.threads) for row in rows):
        return "anything"
    if engine.name == "thread":
        return None
    if any(_have(tags, row.processes) for row in rows):
        return "anything"
    copies = any(_have(tags, row.copies) for row in rows)
    # nobody knows which items come from a process
    return ("anything" if engine.name == AUTO else "copies") if copies else None


def _have(tags: frozenset[str], sets: tuple[str, ...]) -> bool:
    """Return whether all of one of the sets are among the tags."""
    return any(tags.issuperset(each.split(" ")) for each in sets)
