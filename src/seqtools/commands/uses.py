"""`python -m seqtools uses MODULE:NAME ITEM`: the items that are made from an item of a source."""

import argparse
from typing import Any, TypeAlias

from seqtools.commands.finding import Refused, add_pipeline, find_pipeline
from seqtools.commands.sources import labels_of, shown

_MOST = 100
"""Most rows to print for an item, and most items of one name. Arbitrary."""
_FEW = 3
"""Most names in a message. Arbitrary."""

_Item: TypeAlias = tuple[Any, int, str]
"""A source, an index of it from 0 up, and the name of the item, which may be empty."""


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `uses` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "uses",
        help="print which items are made from a file or row",
        description="Print the indices of the items of a pipeline that are made from an item of "
        "one of its sources: the inverse of `origins`. Nothing is evaluated, but the module is "
        "imported.",
    )
    add_pipeline(parser)
    parser.add_argument(
        "item",
        metavar="ITEM",
        help="an item of the sources: its index, where a negative one counts from the end; or its "
        "name, which is a text or a path, or the end of that, as in cat/0137.png",
    )
    parser.add_argument(
        "--stop",
        metavar="N",
        type=int,
        help="search the first N items only; an endless pipeline needs this",
    )
    parser.add_argument(
        "--most", metavar="N", type=int, default=_MOST, help="the most rows to print (%(default)s)"
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    from seqtools._core.sources import size_of
    from seqtools.instrument._origins import uses
    from seqtools.instrument.usage import ends_of

    if options.stop is not None and options.stop < 0:
        raise Refused(f"--stop must be at least 0, got {options.stop}")
    pipeline = find_pipeline(options.pipeline)
    if options.stop is None and size_of(pipeline) is None:
        message = f"{pipeline._describe()} has no length: give --stop N, how many items to search"
        raise Refused(message)
    sources = ends_of(pipeline)
    labels = labels_of(sources)
    for source, j, name in _items(sources, options.item):
        try:
            found = uses(pipeline, source, j, options.stop)
        except ValueError as error:
            raise Refused(str(error)) from None
        called = f"item {j} of {labels[id(source)]}" + (f", {shown(name)}," if name else "")
        count = f"{len(found):,} item{'s'[: len(found) != 1]}"
        print(f"{called} is in {count} of {pipeline._describe()}")
        for i in found[: max(0, options.most)].tolist():
            print(f"  item {i}")
        if len(found) > options.most:
            print(f"  … {len(found) - max(0, options.most):,} more")
    return 0


def _items(sources: list[Any], text: str) -> list[_Item]:
    """Return the items that `text` means: those at this index, or those of this name."""
    try:
        j = int(text)
    except ValueError:
        return _named(sources, text)
    return _at(sources, j)


def _at(sources: list[Any], j: int) -> list[_Item]:
    from seqtools._core.origins import names_of
    from seqtools._core.sources import size_of

    found: list[_Item] = []
    for source in sources:
        # an iterable may have no length
        n = size_of(source) if hasattr(source, "__len__") else None
        if j >= 0 if n is None else -n <= j < n:
            index = j if j >= 0 else j + (n or 0)
            found.append((source, index, names_of(source, [index])[0]))
    if not found:
        lengths = ", ".join(labels_of(sources).values())
        raise Refused(f"no source has an item {j}: they are {lengths}")
    return found


def _named(sources: list[Any], text: str) -> list[_Item]:
    """Return the items called `text`, else those of the only name that ends with it."""
    from seqtools._core.origins import names_of

    found: list[_Item] = []
    any_name = ""
    for source in sources:
        n = len(source) if isinstance(source, list | tuple) or hasattr(source, "dtype") else 0
        for j, name in enumerate(names_of(source, range(n))):
            any_name = any_name or name
            if name.endswith(text):
                found.append((source, j, name))
    found = [item for item in found if item[2] == text] or found
    names = list(dict.fromkeys(name for _, _, name in found))
    if len(names) == 1 and len(found) <= _MOST:
        return found
    if len(names) == 1:
        raise Refused(f"{len(found):,} items are called {shown(names[0])}: give an index")
    if names:
        some = " and ".join(shown(name) for name in names[:_FEW])
        raise Refused(f"{len(names):,} names end with {text}, such as {some}: give more of it")
    if any_name:
        raise Refused(f"no name ends with {text}: names are such as {shown(any_name)}")
    raise Refused(f"the sources have no names, so none ends with {text}: give an index")
