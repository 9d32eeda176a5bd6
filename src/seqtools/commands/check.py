"""`python -m seqtools check MODULE:NAME`: finds what will go wrong in workers."""

import argparse
from typing import Any

from seqtools.commands.finding import Refused, add_pipeline, find_pipeline
from seqtools.commands.workers import add_workers, with_workers


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `check` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "check",
        help="find what will fail or be slow when workers evaluate your pipeline",
        description="Evaluate a few items as workers would, and print what will fail or be slow "
        "with workers. The exit status is 0 if nothing is found, 1 if something is.",
    )
    add_pipeline(parser)
    parser.add_argument(
        "--items", metavar="N", type=int, default=3, help="items to evaluate (default: 3)"
    )
    parser.add_argument(
        "--timeout",
        metavar="SECONDS",
        type=float,
        default=20.0,
        help="how long an item may take (default: 20)",
    )
    add_workers(parser, "check it with")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from seqtools.instrument._check import check

    pipeline = with_workers(find_pipeline(options.pipeline), options.method, options.nworkers)
    try:
        found = check(pipeline, items=options.items, timeout=options.timeout)
    except ValueError as error:
        raise Refused(f"--{error}") from None
    print(found)
    return 1 if found else 0
