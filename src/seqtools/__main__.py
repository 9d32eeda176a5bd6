"""The commands of the library: `python -m seqtools COMMAND`."""

import argparse
import sys
from collections.abc import Sequence

import seqtools
from seqtools import demo
from seqtools.commands import check, explain, origins, profile, show
from seqtools.commands.finding import Refused

COMMANDS = (show, explain, origins, check, profile, demo)
"""Modules with a function `add_command`, in the order in which the help lists them."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command that `arguments` name, and return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m seqtools", description=seqtools.__doc__)
    parser.add_argument("--version", action="version", version=f"seqtools {seqtools.__version__}")
    parser.set_defaults(run=None)
    commands = parser.add_subparsers(title="commands", metavar="COMMAND")
    for command in COMMANDS:
        command.add_command(commands)
    options = parser.parse_args(arguments)
    if options.run is None:
        parser.print_help()
        return 0
    try:
        status: int = options.run(options)
    except Refused as reason:
        subject = "" if reason.status == 1 else f"{parser.prog}: error: "
        print(f"{subject}{reason}", file=sys.stderr)
        return reason.status
    return status


if __name__ == "__main__":
    sys.exit(main())
