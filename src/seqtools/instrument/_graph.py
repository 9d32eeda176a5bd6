"""A pipeline as a graph, in the languages of Mermaid and Graphviz."""

from typing import Any

from seqtools._core.sequence import LazySequence
from seqtools._core.walk import is_stage

_FORMATS = ("mermaid", "dot")


def graph(p: LazySequence[Any], format: str = "mermaid") -> str:  # noqa: A002 -- the usual name
    """Return the stages of `p` as a graph, from its sources to `p`.

    There is a node for each stage, with its arguments, its length where that is cheap, and the
    line that made it, and one for each source; a stage that is read in several ways is one node.
    An edge leads from what is read to what reads it. Nothing is evaluated. Of a large pipeline as
    much is shown as `repr` shows of it.

    Args:
        p: A pipeline.
        format: `"mermaid"`, which Markdown on GitHub, in Jupyter and in many other places shows
            as a drawing if it stands in a block of that language; or `"dot"`, for Graphviz.

    Raises:
        TypeError: If `p` is no lazy sequence.
        ValueError: If `format` is something else.

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
    if not is_stage(p):
        message = f"graph() needs a lazy sequence, got {type(p).__name__}"
        raise TypeError(message)
    if format not in _FORMATS:
        message = f"format must be 'mermaid' or 'dot', got {format!r}"
        raise ValueError(message)
    from seqtools.instrument.drawing import dot, mermaid

    return mermaid(p) if format == "mermaid" else dot(p)
