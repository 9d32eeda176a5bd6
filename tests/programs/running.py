"""Programs run by processes that are started for them, and one by one in each of these."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import IO, Any, Self

import seqtools
from tests.programs.judging import Outcome, judge
from tests.programs.program import COPIES, INLINE, Engine, Program

LIMIT = 60.0
"""Seconds after which a program hangs. Far more than it takes on a busy machine."""

GRACE = 8.0
"""Seconds that what a program has left behind may take to vanish; spent only by a leak."""

_STORY = 4000
"""Characters that are shown of what a program that hangs or dies has said. Arbitrary."""

_ROOT = str(Path(__file__).parents[2])


def environment() -> dict[str, str]:
    """Return the environment of programs.

    Hashes are the same in all of them. What measures coverage is not in it.
    """
    own = {k: v for k, v in os.environ.items() if not k.startswith("COVERAGE_")}
    return own | {
        "PYTHONPATH": os.pathsep.join([str(Path(seqtools.__file__).parents[1]), _ROOT]),
        "PYTHONHASHSEED": "7",
        "PYTHONDONTWRITEBYTECODE": "1",  # it is not seen that a module is another one
    }


class Runner:
    """A process that runs programs, which is started again where one has ended it.

    Args:
        limit: Seconds after which a program hangs.
        grace: Seconds that what it has left behind may take to vanish.
    """

    def __init__(self, limit: float = LIMIT, grace: float = GRACE) -> None:
        self._limit, self._grace = limit, grace
        self._process: subprocess.Popen[str] | None = None
        self._folder = tempfile.TemporaryDirectory()
        self._errors: IO[str] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._end()
        self._folder.cleanup()

    def run(self, program: Program, engine: Engine, longest: int | None = None) -> Outcome:
        """Return what became of `program` in `engine`."""
        job: dict[str, Any] = {
            "text": program.text(),
            "module": "program_module" if program.module else None,
            "options": engine.options,
            "copies": engine.name == "copies",
            "limit": self._limit,
            "grace": self._grace,
        }
        if longest is not None:
            job["longest"] = longest
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps(job) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            return {"ended": self._end()}
        outcome: Outcome = json.loads(line)
        return outcome

    def _started(self) -> "subprocess.Popen[str]":
        if self._process is None:
            self._errors = tempfile.TemporaryFile("w+")  # noqa: SIM115 -- closed when the process ends
            self._process = subprocess.Popen(
                [sys.executable, "-m", "tests.programs.runner", self._folder.name],
                cwd=_ROOT,
                env=environment(),
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                text=True,
            )
        return self._process

    def _end(self) -> str:
        """End the process, and return why it had ended."""
        process, self._process = self._process, None
        if process is None or self._errors is None:
            return ""
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.close()
        try:
            code = process.wait(10)
        except subprocess.TimeoutExpired:
            process.kill()
            code = process.wait()
        process.stdout.close()
        self._errors.seek(0)
        told = self._errors.read()[-_STORY:]
        self._errors.close()
        return f"exit code {code}\n{told}"


def differences(runner: Runner, program: Program, engine: Engine) -> str:
    """Return the first difference of `program` in `engine` from inline, or nothing."""
    return compare(runner, program, [engine]).get(engine, "")


def compare(runner: Runner, program: Program, engines: list[Engine]) -> dict[Engine, str]:
    """Return the differences of `program` from inline, by the engine."""
    found: dict[Engine, str] = {}
    inline = runner.run(program, INLINE)
    if told := judge(program, INLINE, inline, inline, None):
        found[INLINE] = told
        return found
    copies = runner.run(program, COPIES)
    if told := judge(program, COPIES, copies, copies, None):
        found[COPIES] = told
    for engine in engines:
        outcome = runner.run(program, engine)
        if told := judge(program, engine, outcome, inline, copies):
            found[engine] = told
    return found
