"""`python -m seqtools demo`: reads minibatches of source code, and follows the advice of a profile.

`seqtools.demo.pipeline` has the pipeline.
"""

import argparse
import os
from typing import Any

from seqtools.engines.cluster.kinds import check_installed
from seqtools.engines.methods import METHODS

_LONGEST = 10_000
"""Milliseconds."""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `demo` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "demo",
        help="read minibatches of source code, and follow the advice of a profile",
        description="Turn source files into minibatches of integers and read all inline in a "
        "profile. Then read them by the workers that it advises, and compare the values, and the "
        "time with the expected one.",
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        help="folder with Python files (default: the standard library)",
    )
    parser.add_argument(
        "--latency",
        metavar="MS",
        type=_milliseconds,
        default=40.0,
        help="milliseconds until a file arrives, as from a store in a network (default: 40); with "
        "0, files are read as they are",
    )
    parser.add_argument(
        "--workers",
        metavar="N",
        type=_count,
        help="number of workers (default: as advised; with --method, 2)",
    )
    parser.add_argument(
        "--method",
        choices=tuple(method.name for method in METHODS.values() if method.has_name),
        help="where workers are (default: as advised; with --workers, process)",
    )
    parser.add_argument(
        "--output",
        metavar="DIR",
        default=".",
        help="where to write report.html and trace.json (default: the current folder)",
    )
    parser.set_defaults(run=_run, refuse=parser.error)


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"must be at least 1, got {text!r}")
    return int(text)


def _milliseconds(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = -1.0
    if not 0 <= number < _LONGEST:
        message = f"must be 0 or more, and less than {_LONGEST}, got {text!r}"
        raise argparse.ArgumentTypeError(message)
    return number


def _run(options: argparse.Namespace) -> int:
    # They import numpy and tqdm, which the other commands do not need.
    from seqtools.demo.files import STANDARD_LIBRARY, find
    from seqtools.demo.show import outputs, show

    folder = os.path.abspath(options.folder or STANDARD_LIBRARY)
    try:
        files = find(folder)
    except ValueError as problem:
        options.refuse(str(problem))
    try:
        os.makedirs(options.output, exist_ok=True)
    except OSError as problem:
        options.refuse(f"{options.output} cannot be created: {problem.strerror}")
    for path in outputs(options.output):  # not after all of the work
        try:
            with open(path, "a", encoding="utf-8"):
                pass
        except OSError as problem:
            options.refuse(f"{path} cannot be written: {problem.strerror}")
    given = {"nworkers": options.workers, "method": options.method}
    workers: dict[str, Any] = {name: value for name, value in given.items() if value is not None}
    if workers:
        workers = {"nworkers": 2, "method": "process", **workers}
        try:
            check_installed(workers["method"])
        except ModuleNotFoundError as problem:
            options.refuse(str(problem))
    return show(folder, files, options.latency / 1000, workers, options.output)
