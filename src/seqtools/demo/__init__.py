"""`python -m seqtools demo`: reads minibatches of source code, inline and by workers.

`seqtools.demo.pipeline` has the pipeline.
"""

import argparse
import os
from typing import Any

from seqtools.engines.cluster.kinds import check_installed
from seqtools.engines.methods import METHODS


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `demo` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "demo",
        help="read minibatches of source code, inline and by workers",
        description="Turn source files into minibatches of integers, read all of them once "
        "inline and once by workers, and compare.",
    )
    parser.add_argument(
        "folder",
        metavar="DIR",
        nargs="?",
        help="folder with Python files (default: the standard library)",
    )
    parser.add_argument(
        "--workers", metavar="N", type=_count, default=2, help="number of workers (default: 2)"
    )
    parser.add_argument(
        "--method",
        choices=tuple(method.name for method in METHODS.values() if method.has_name),
        default="process",
        help="where workers are (default: process)",
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


def _run(options: argparse.Namespace) -> int:
    # They import numpy and tqdm, which the other commands do not need.
    from seqtools.demo.files import STANDARD_LIBRARY, find
    from seqtools.demo.show import show

    folder = os.path.abspath(options.folder or STANDARD_LIBRARY)
    try:
        files = find(folder)
    except ValueError as problem:
        options.refuse(str(problem))
    try:
        os.makedirs(options.output, exist_ok=True)
    except OSError as problem:
        options.refuse(f"{options.output} cannot be created: {problem.strerror}")
    try:
        check_installed(options.method)
    except ModuleNotFoundError as problem:
        options.refuse(str(problem))
    workers, method = options.workers, options.method
    return show(folder, files, workers=workers, method=method, output=options.output)
