"""The commands of the library: `python -m seqtools COMMAND`."""

import argparse
import os
import select
import sys
from collections.abc import Sequence
from typing import TextIO

import seqtools
from seqtools import demo
from seqtools.commands import check, explain, origins, profile, show, uses
from seqtools.commands.finding import Refused

COMMANDS = (show, explain, origins, uses, check, profile, demo)
"""Modules with a function `add_command`, in the order in which the help lists them."""


_CLOSED_PIPE = 141
"""The exit status if nobody reads the output any more, as shells tell of a program that `SIGPIPE`
ended: 128 and the number of the signal."""


def program() -> int:
    """Run `main`, and return the exit status, also if the output is a pipe that was closed."""
    try:
        try:
            return main()
        finally:
            print(end="", flush=True)  # here, and not where nobody catches the error
    except BrokenPipeError:
        closed = [stream for stream in (sys.stdout, sys.stderr) if _is_closed(stream)]
        if not closed:  # it was another pipe
            raise
        for stream in closed:
            _drop(stream)
        return _CLOSED_PIPE


def _is_closed(stream: TextIO | None) -> bool:
    """Return whether `stream` is a pipe that nobody reads any more."""
    if stream is None:
        return False
    if not hasattr(select, "poll"):
        return True
    poll = select.poll()
    poll.register(stream, 0)  # errors only
    return any(event & select.POLLERR for _, event in poll.poll(0))


def _drop(stream: TextIO) -> None:
    """Make `stream` lead nowhere, so that what is left in it can be flushed at the end."""
    with open(os.devnull, "wb") as nowhere:
        os.dup2(nowhere.fileno(), stream.fileno())


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
    sys.exit(program())
