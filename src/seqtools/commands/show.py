"""`python -m seqtools show MODULE:NAME`: the stages of a pipeline."""

import argparse
from typing import Any

from seqtools.commands.finding import add_pipeline, find_pipeline


def add_command(commands: "argparse._SubParsersAction[Any]") -> None:
    """Add `show` to the commands of `python -m seqtools`."""
    parser = commands.add_parser(
        "show",
        help="print the stages of your pipeline",
        description="Print the stages of a pipeline, each with its arguments, its length and the "
        "line that made it. Nothing is evaluated, but the module is imported.",
    )
    add_pipeline(parser)
    parser.add_argument(
        "--format",
        choices=("tree", "mermaid", "dot", "html"),
        default="tree",
        help="as a tree (the default), as a graph for Mermaid or Graphviz, or as a piece of HTML",
    )
    parser.set_defaults(run=_run)


def _run(options: argparse.Namespace) -> int:
    pipeline = find_pipeline(options.pipeline)
    if options.format == "tree":
        print(repr(pipeline))
    elif options.format == "html":
        print(pipeline._repr_html_())
    else:
        from seqtools.instrument._graph import graph

        print(graph(pipeline, options.format))
    return 0
