"""`python -m seqtools profile MODULE:NAME`: measures a pipeline."""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from seqtools._core.errors import EvaluationError
from seqtools.commands.finding import Refused, add_pipeline, find_pipeline
from seqtools.commands.workers import add_workers, with_workers


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `profile` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "profile",
        help="measure your pipeline, and say what would make it faster",
        description="Read the items of a pipeline one after the other, as fast as they come, and "
        "print what they wait for and what would help.",
    )
    add_pipeline(parser)
    parser.add_argument(
        "--batches",
        metavar="N",
        type=int,
        help="items of the pipeline to read (default: all; 1,000 of an endless one)",
    )
    add_workers(parser, "read it by")
    parser.add_argument("--html", metavar="FILE", help="write the report as a page, too")
    parser.add_argument("--trace", metavar="FILE", help="write a trace for ui.perfetto.dev, too")
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from seqtools.instrument.profiling.session import profile

    pipeline = with_workers(find_pipeline(options.pipeline), options.method, options.nworkers)
    count = options.batches
    if count is None:
        length = pipeline._length()
        if length == 0:
            raise Refused(f"{options.pipeline} has no items to measure")
        count = 1000 if length is None else length
    if count < 1:
        raise Refused(f"--batches must be at least 1, got {count}")
    with profile(pipeline) as measured:
        failed = _read(islice(iter(pipeline), count))
    for write, path in ((measured.to_html, options.html), (measured.to_trace, options.trace)):
        if path is not None:
            try:
                write(path)
            except OSError as error:
                raise Refused(f"{path} cannot be written: {error.strerror}") from None
    print(measured.report())
    if failed:
        print(f"\n{failed} items failed, the first error is above", file=sys.stderr)
    return 1 if failed else 0


def _read(items: Iterator[Any]) -> int:
    """Read all `items`, print the first error, and return the number of errors."""
    failed = 0
    while True:
        try:
            next(items)
        except StopIteration:
            return failed
        except EvaluationError as error:
            failed += 1
            if failed == 1:
                print(f"{error}\n", file=sys.stderr)
