"""A program as a script of its own, which shows where it differs from what it is inline."""

import json
import subprocess
import sys
from typing import Any

import seqtools
from tests.programs.program import Engine, Program
from tests.programs.seeing import Seeing

_TAIL = """
if __name__ == "__main__":
    from tests.programs.alone import main

    main(build, read, OPTIONS, {options})
"""


def script(program: Program, engine: Engine, told: str = "") -> str:
    """Return a script that runs `program` inline and in `engine`, and shows both.

    Args:
        program: What to run.
        engine: Where.
        told: What is different.
    """
    head = [
        f"Program {program.seed}, in {engine}, run by: PYTHONPATH=. python THIS_FILE",
        *told.split("\n"),
    ]
    return (
        "\n".join(f"# {line}".rstrip() for line in head)
        + "\n\n"
        + program.text()
        + _TAIL.format(options=engine.options)
    )


def main(build: Any, read: Any, options: dict[str, Any], engine: dict[str, Any]) -> None:
    """Run a script in an engine, or without an argument inline and there, each in a process."""
    if sys.argv[1:] == ["here"]:
        print(json.dumps(seen(build, read, options | engine)))
    elif sys.argv[1:] == ["inline"]:
        options.pop("start_hook", bool)()
        print(json.dumps(seen(build, read, options | {"nworkers": 0})))
    else:
        _show(*(_entries(place) for place in ("inline", "here")))


def seen(build: Any, read: Any, options: dict[str, Any]) -> list[str]:
    """Return what a reader sees."""
    see = Seeing()
    with seqtools.prefetch(build(), **options) as p:
        read(p, see)
    return see.entries


def _entries(place: str) -> list[str]:
    command = [sys.executable, sys.argv[0], place]
    done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    entries: list[str] = json.loads(done.stdout.splitlines()[-1])
    return entries


def _show(inline: list[str], here: list[str]) -> None:
    for k in range(max(len(inline), len(here))):
        a, b = inline[k : k + 1], here[k : k + 1]
        print("same" if a == b else "DIFFERENT", k, *a, *(() if a == b else ("\n      here", *b)))
