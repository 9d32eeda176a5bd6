"""The cases: what is evaluated, what the reader does meanwhile, and what happens from outside.

A case runs in a process of its own, `one.py`, which is watched by another, `watch.py`.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from benchmarks.faults import work

Way = Literal[
    "read", "kill", "pause and kill", "pause", "fork", "leave", "keep", "interrupted", "script"
]
"""What the reader does, beside reading all:

kill: kills all workers after some items; `pause and kill`: the same after a pause
pause: pauses after some items
fork: forks a child after some items, which stays
leave: stops reading after some items
keep: the same, and ends with the iterator still there
interrupted: lets an interrupt end it
script: is a script, without a guard for its main part
"""
Outside = Literal["kill", "kill stuck", "interrupt"]
"""What happens to the reader: it is killed after some items, or when workers are stuck, or its
process group is sent a SIGINT after some items."""


@dataclass(frozen=True)
class Case:
    """A case.

    Args:
        name: In the stored results, and on the command line.
        group: Title of the table in which it stands.
        text: What happens.
        f: The function that is evaluated.
        bad: The items that have no value: the best that can come of them is an error.
        way: What the reader does.
        outside: What happens to the reader.
        n: Number of items.
        timeout: Seconds that an item may take.
    """

    name: str
    group: str
    text: str
    f: Callable[[Any], Any] = work.item
    bad: frozenset[int] = frozenset()
    way: Way = "read"
    outside: Outside | None = None
    n: int = 60
    timeout: float | None = None


AFTER = 20
"""Items that are read before something happens to the reader, or to all workers."""
MANY = 2000
"""Items that are not all read before the reader is killed."""
_BAD = frozenset([work.HIT])

DEATH, ERRORS, END, STOP, WHERE = (
    "A worker dies",
    "Errors, and values that cannot be sent",
    "The reader is killed",
    "Ctrl-C, and an early end",
    "Scripts, pauses, and workers that hang",
)
GROUPS = {
    DEATH: "The item at which a worker dies is one in the middle.",
    ERRORS: "The item in the middle has no value: what comes of it, and of the others?",
    END: "Are all processes that it had started gone two seconds later?",
    STOP: "",
    WHERE: "",
}
"""Text above each table."""

CASES = {
    case.name: case
    for case in (
        Case("killed-once", DEATH, "killed by SIGKILL in an item, once", work.killed_once),
        Case("segfault-once", DEATH, "segmentation fault in an item, once", work.segfault_once),
        Case("exit-once", DEATH, "`os._exit(0)` in an item, once", work.exit_once),
        Case(
            "killed-always",
            DEATH,
            "an item kills its worker whenever it is evaluated",
            work.killed_always,
            _BAD,
        ),
        Case("all-killed", DEATH, "all workers are killed from outside", way="kill"),
        Case(
            "killed-idle",
            DEATH,
            "the same, after the reader has paused for 1.5 s",
            way="pause and kill",
        ),
        Case(
            "killed-pickling",
            DEATH,
            "killed while it pickles a value of 8 MB, once",
            work.killed_pickling,
        ),
        Case(
            "killed-sending",
            DEATH,
            "killed while it sends a value of 128 MB, once",
            work.killed_sending,
            n=300,  # so that there is still something to lose by then
        ),
        Case("error", ERRORS, "an exception", work.raising(work.plain_error), _BAD),
        Case(
            "error-unpicklable",
            ERRORS,
            "an exception that cannot be pickled",
            work.raising(work.unpicklable_error),
            _BAD,
        ),
        Case(
            "error-unloadable",
            ERRORS,
            "an exception that is pickled, but cannot be loaded",
            work.raising(work.unloadable_error),
            _BAD,
        ),
        Case(
            "value-unpicklable",
            ERRORS,
            "a value that cannot be pickled",
            work.unpicklable_value,
            _BAD,
        ),
        Case(
            "value-unloadable",
            ERRORS,
            "a value that is pickled, but cannot be loaded",
            work.unloadable_value,
            _BAD,
        ),
        Case("stop-iteration", ERRORS, "`StopIteration`", work.raising(StopIteration), _BAD),
        Case("index-error", ERRORS, "`IndexError`", work.raising(IndexError), _BAD),
        Case("system-exit", ERRORS, "`SystemExit`", work.raising(SystemExit), _BAD),
        Case(
            "keyboard-interrupt",
            ERRORS,
            "`KeyboardInterrupt`, raised by the function",
            work.raising(KeyboardInterrupt),
            _BAD,
        ),
        Case("reader-killed", END, "workers are in short items", outside="kill", n=MANY),
        Case(
            "reader-killed-asleep",
            END,
            "workers are in `time.sleep(1000)`",
            work.asleep,
            outside="kill stuck",
        ),
        Case(
            "reader-killed-computing",
            END,
            "workers are in C code that keeps the interpreter's lock",
            work.computing,
            outside="kill stuck",
        ),
        Case(
            "reader-killed-sending",
            END,
            "the reader was pausing, and workers have values of 8 MB to send",
            work.large,
            way="pause",
            outside="kill",
        ),
        Case(
            "reader-killed-forked",
            END,
            "it had forked a child of its own, which lives on",
            way="fork",
            outside="kill",
            n=MANY,
        ),
        Case(
            "ctrl-c",
            STOP,
            "Ctrl-C while an item is awaited; the script catches it and reads on",
            work.slow,
            outside="interrupt",
        ),
        Case(
            "ctrl-c-end",
            STOP,
            "Ctrl-C while an item is awaited; it ends the script",
            work.slow,
            way="interrupted",
            outside="interrupt",
        ),
        Case("leave", STOP, "the loop is left after 20 of 2,000 items", way="leave", n=MANY),
        Case(
            "keep", STOP, "the same, and the script ends with the iterator open", way="keep", n=MANY
        ),
        Case("script", WHERE, "a closure, in a script without a guard", way="script"),
        Case("pause", WHERE, "the reader pauses for 3 s", way="pause"),
        Case(
            "endless",
            WHERE,
            "an item never ends, and the limit for an item is 3 s",
            work.endless,
            _BAD,
            timeout=3,
        ),
        Case(
            "stopped",
            WHERE,
            "a worker is stopped (SIGSTOP), and the limit for an item is 3 s",
            work.stopped_once,
            timeout=3,
        ),
    )
}
"""By name, in the order of the tables."""
