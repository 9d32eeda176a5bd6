"""Programs that read ahead, to be run wherever a program can run."""

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import seqtools

SOURCE = str(Path(seqtools.__file__).parents[1])
LONGEST = 25
"""Seconds after which a program that hangs is ended."""

PIPELINE = f"""\
import sys
sys.path.insert(0, {SOURCE!r})
import seqtools

class Point:
    def __init__(self, x):
        self.x = x

def make(x):
    return Point(x + offset)

offset = 10

def read(n=30, **options):
    with seqtools.prefetch(seqtools.smap(make, range(n)), 2, **options) as p:
        points = list(p)
    assert [point.x for point in points] == list(range(10, n + 10))
    assert all(type(point) is Point for point in points)

def read_all(*start_methods):
    read(method="thread")
    for start_method in start_methods:
        read(method="process", start_method=start_method)

"""
"""The functions of all programs: `read_all("template")` reads by threads and by processes."""


def environment(**changes: str | None) -> dict[str, str]:
    """Return the environment of programs, with `changes`; `None` takes a name out.

    What measures coverage is not in it: it writes files, and says where it cannot.
    """
    whole: dict[str, str | None] = {**os.environ, **changes}
    return {
        name: value
        for name, value in whole.items()
        if value is not None and not name.startswith("COVERAGE_")
    }


def run(*command: str, **options: Any) -> subprocess.CompletedProcess[str]:
    """Return what became of a program of Python, run with `command`."""
    options = {"env": environment(), "check": False, "timeout": LONGEST} | options
    if "stdout" not in options:
        options |= {"capture_output": True, "text": True}
    if "input" not in options:
        options = {"stdin": subprocess.DEVNULL} | options
    return subprocess.run([sys.executable, *command], **options)  # noqa: PLW1510 -- see above


def program(code: str) -> str:
    """Return the text of a program that has the pipeline, and ends by saying that it is well."""
    return PIPELINE + textwrap.dedent(code) + '\nprint("well")\n'


def is_well(done: subprocess.CompletedProcess[str]) -> bool:
    """Return whether a program did what it had to, in silence."""
    assert (done.returncode, done.stdout, done.stderr) == (0, "well\n", "")
    return True
