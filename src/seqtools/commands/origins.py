"""`python -m seqtools origins MODULE:NAME I`: the items of sources that an item is made from."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from seqtools.commands.finding import Refused, add_pipeline, find_pipeline
from seqtools.commands.sources import labels_of, shown

if TYPE_CHECKING:
    from seqtools._core.origins import Origin

_MOST = 100
"""Most rows to print. Arbitrary."""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `origins` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "origins",
        help="print from which files or rows an item is made",
        description="Print the items of the sources that item I of a pipeline is made from, with "
        "the names of files where a source is a list of them. Nothing is evaluated, but the module "
        "is imported.",
    )
    add_pipeline(parser)
    parser.add_argument(
        "item", metavar="I", type=int, help="index of an item; a negative one counts from the end"
    )
    parser.add_argument(
        "--most", metavar="N", type=int, default=_MOST, help="the most rows to print (%(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from seqtools.instrument._origins import origins

    pipeline = find_pipeline(options.pipeline)
    try:
        found = origins(pipeline, options.item)
    except (IndexError, ValueError) as error:
        raise Refused(str(error)) from None
    print(f"item {options.item} of {pipeline._describe()} is made from")
    for line in _table(found[: max(0, options.most)]):
        print(f"  {line}".rstrip())
    if len(found) > options.most:
        print(f"  … {len(found) - max(0, options.most):,} more")
    return 0


def _table(found: "list[Origin]") -> Iterator[str]:
    """Yield a line for each origin."""
    labels = labels_of(origin.source for origin in found)
    rows = [
        (
            "any item" if origin.index is None else f"item {origin.index}",
            f"of {labels[id(origin.source)]}",
            shown(origin.name) + ("" if origin.certain else "  (perhaps: values decide)"),
        )
        for origin in found
    ]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(2)]
    for item, source, name in rows:
        yield f"{item:<{widths[0]}}  {source:<{widths[1]}}  {name}"
