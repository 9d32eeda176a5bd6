"""`python -m seqtools profile MODULE:NAME`: measures a pipeline."""

import argparse
import sys
from collections.abc import Iterator
from itertools import islice
from typing import Any

from seqtools._core.errors import EvaluationError
from seqtools._core.sequence import LazySequence
from seqtools.commands.finding import Refused, add_pipeline, find_pipeline
from seqtools.engines.methods import AUTO, METHODS


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
    parser.add_argument(
        "--method",
        choices=tuple(method.name for method in METHODS.values() if method.has_name),
        help="read it by such workers, whatever the pipeline says",
    )
    parser.add_argument(
        "--nworkers", metavar="N", type=_workers, help="read it by so many, or by `auto`"
    )
    parser.add_argument("--html", metavar="FILE", help="write the report as a page, too")
    parser.add_argument("--trace", metavar="FILE", help="write a trace for ui.perfetto.dev, too")
    parser.set_defaults(run=_run)


def _workers(text: str) -> int | str:
    if text == AUTO:
        return text
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a number or `auto`, got {text!r}")
    return int(text)


def _run(options: argparse.Namespace) -> int:
    from seqtools.instrument.profiling.session import profile

    pipeline = _with_workers(find_pipeline(options.pipeline), options.method, options.nworkers)
    count = options.batches
    if count is None:
        length = pipeline._length()
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


def _with_workers(
    pipeline: LazySequence[Any], method: str | None, nworkers: int | str | None
) -> LazySequence[Any]:
    """Return the pipeline with workers of the given kind and number."""
    from seqtools.prefetching import prefetch
    from seqtools.prefetching.sequence import Prefetch

    if method is None and nworkers is None:
        return pipeline
    given: dict[str, Any] = {}
    source: Any = pipeline
    if isinstance(pipeline, Prefetch):
        source, options = pipeline._args()
        given = {
            name: value
            for name, value in options._asdict().items()
            if value != options._field_defaults.get(name)
        }
    if method is not None:
        given["method"] = method
    if nworkers is not None:
        given["nworkers"] = nworkers
    try:
        return prefetch(source, **given)
    except (TypeError, ValueError) as error:
        raise Refused(str(error)) from None
