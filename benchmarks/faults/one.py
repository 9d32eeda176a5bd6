"""The reader of one case: `python -m benchmarks.faults.one CASE LIBRARY`.

Prints a line of JSON for everything that happens to it, so that who watches it knows when
nothing happens any more. To see a case with its messages, have the environment variable
FAULTS_FOLDER name an empty folder.
"""

import importlib.metadata
import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from benchmarks.faults import work
from benchmarks.faults.cases import AFTER, CASES, Case
from benchmarks.faults.libraries import LIBRARIES, Failure, Library, Value

GIVE_UP = 10.0  # seconds of nothing but errors after which nobody would read on; arbitrary
PAUSE = 3.0
IDLE = 1.5  # seconds in which workers do all that they can do ahead

_kept: list[Any] = []


class Report:
    """Says what happens, to what was standard output; what libraries print is diverted."""

    def __init__(self) -> None:
        self._out = os.dup(1)
        os.dup2(2, 1)
        self._lock = threading.Lock()

    def __call__(self, event: str, **facts: object) -> None:
        facts = {"event": event, "pid": os.getpid(), "time": time.monotonic(), **facts}
        os.write(self._out, json.dumps(facts).encode() + b"\n")


def main() -> None:
    """Be the reader of a case."""
    # What is started in the background of a shell ignores Ctrl-C, and so would workers.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    case, library = CASES[sys.argv[1]], LIBRARIES[sys.argv[2]]
    report = Report()
    version = loaded(library)
    report("begin", version=version)
    read(case, library, case.f, report)
    report("end")


def loaded(library: Library) -> str | None:
    """Import a library and return its version."""
    library.load()
    return importlib.metadata.version(library.package) if library.package else None


def read(case: Case, library: Library, f: Callable[[int], Any], report: Report) -> None:
    """Read all items of a case, or as many as there are."""
    reading = library.start(f, case.n, case.timeout)
    got, last = 0, time.monotonic()
    closed = False
    try:
        for result in reading.results:
            _say(result, report)
            if isinstance(result, Value):
                got, last = got + 1, time.monotonic()
                del result
                if got == AFTER:
                    _meanwhile(case, report)
                    if case.way in ("leave", "keep"):
                        break
            elif case.way == "interrupted" and result.type == "KeyboardInterrupt":
                raise KeyboardInterrupt
            elif time.monotonic() > last + GIVE_UP:
                report("gave up")
                break
        closed = case.way == "keep"
    finally:
        if closed:
            _kept.append(reading)
        else:
            report("close")
            reading.close()


def _say(result: Value | Failure, report: Report) -> None:
    if isinstance(result, Failure):
        report("error", type=result.type, text=result.text[:2000])
        return
    try:
        number = work.number(result.value)
    except Exception as error:  # noqa: BLE001 -- any value may have come
        report("wrong", text=f"{type(error).__name__}: {error}"[:300])
    else:
        report("value", number=number)


def _meanwhile(case: Case, report: Report) -> None:
    if case.way == "fork":
        pid = os.fork()
        if not pid:
            time.sleep(100)
            os._exit(0)
        work.note(f"child-{pid}")
    if case.outside:
        report("ready")
    if case.way == "pause and kill":
        time.sleep(IDLE)
    if case.way == "pause":
        time.sleep(PAUSE)
    if case.way in ("kill", "pause and kill"):
        work.note("fault-0")
        for pid in work.noted("worker").keys() - {os.getpid()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


if __name__ == "__main__":
    main()
