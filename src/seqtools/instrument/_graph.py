"""A pipeline as a graph for Mermaid or Graphviz."""

from typing import Any

from seqtools._core.choices import check_choice
from seqtools._core.sequence import LazySequence
from seqtools.instrument.observer import check_pipeline

_FORMATS = ("mermaid", "dot")


def graph(p: LazySequence[Any], format: str = "mermaid") -> str:  # noqa: A002 -- the usual name
    """Return the stages of `p` as a graph, from its sources to `p`.

    The graph has a node for each stage, with its arguments, its length if that is cheap to get,
    and the line that made it, and a node for each source. A stage that is used several times
    is one node. An edge leads from a source to the stage that reads it. Nothing is evaluated.
    A large pipeline is shortened as in `repr`.

    Args:
        p: A pipeline.
        format: `"mermaid"`, which Markdown draws on GitHub, in Jupyter and elsewhere, in a
            code block of that language; or `"dot"`, for Graphviz.

    Raises:
        TypeError: If `p` is not a lazy sequence.
        ValueError: If `format` is neither.

    Example:
        >>> from seqtools import batch, smap
        >>> print(graph(batch(smap(len, ["a", "bc", "def"]), 2)))  # doctest: +ELLIPSIS
        flowchart BT
            n0["batch(2)<br>2 items<br>...1"]
            n1["smap(len)<br>3 items<br>...1"]
            n2(["['a', 'bc', 'def']<br>3 items"])
            n1 --> n0
            n2 --> n1
    """
    check_pipeline(p, "graph")
    check_choice(format, "format", _FORMATS)
    from seqtools.instrument.drawing import dot, mermaid

    return mermaid(p) if format == "mermaid" else dot(p)
