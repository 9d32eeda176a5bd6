"""`python -m seqtools explain MODULE:NAME I`: evaluates an item stage by stage."""

import argparse
from typing import Any

from seqtools.commands.finding import Refused, add_pipeline, find_pipeline


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `explain` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "explain",
        help="evaluate an item of your pipeline, stage by stage",
        description="Evaluate item I of a pipeline in this process, and print value and time of "
        "each stage. The exit status is 1 if a stage fails.",
    )
    add_pipeline(parser)
    parser.add_argument(
        "item", metavar="I", type=int, help="index of an item; a negative one counts from the end"
    )
    parser.add_argument("--debugger", action="store_true", help="open pdb where your code fails")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from seqtools.instrument._explain import explain

    pipeline = find_pipeline(options.pipeline)
    try:
        replay = explain(pipeline, options.item, debugger=options.debugger)
    except IndexError as error:
        raise Refused(str(error)) from None
    return 1 if replay.error is not None else 0
