"""`python -m seqtools origins MODULE:NAME I`: the items of sources that an item is made from."""

import argparse
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from seqtools.commands.finding import Refused, add_pipeline, find_pipeline

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
    from seqtools._core.display.tree import printable

    labels = _labels(found)
    rows = [
        (
            "any item" if origin.index is None else f"item {origin.index}",
            f"of {labels[id(origin.source)]}",
            printable(origin.name) + ("" if origin.certain else "  (perhaps: values decide)"),
        )
        for origin in found
    ]
    widths = [max((len(row[k]) for row in rows), default=0) for k in range(2)]
    for item, source, name in rows:
        yield f"{item:<{widths[0]}}  {source:<{widths[1]}}  {name}"


def _labels(found: "list[Origin]") -> dict[int, str]:
    """Return in words what each source is; sources that would be called alike get a number."""
    from seqtools._core.origins import kind_of

    labels: dict[int, str] = {}
    counts: dict[str, int] = {}
    for origin in found:
        if id(origin.source) not in labels:
            kind = kind_of(origin.source) + _length(origin.source)
            counts[kind] = number = counts.get(kind, 0) + 1
            labels[id(origin.source)] = kind if number == 1 else f"{kind}, no. {number}"
    return labels


def _length(source: Any) -> str:
    if type(source) not in {list, tuple, range} and type(source).__name__ != "ndarray":
        return ""
    return f" of {len(source):,}"
