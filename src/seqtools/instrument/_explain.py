"""Explains how one item is computed, stage by stage."""

from typing import TYPE_CHECKING, Any

from seqtools._core.sequence import LazySequence
from seqtools.instrument.observer import check_pipeline

if TYPE_CHECKING:
    from seqtools.instrument.replay import Replay


def explain(p: LazySequence[Any], i: int, *, debugger: bool = False) -> "Replay":
    """Return how item `i` of `p` is computed, and print it stage by stage.

    The item is evaluated in this thread, even if the pipeline reads ahead: no worker starts.
    Stages are printed in the order in which they are read: the item, the time of the stage
    alone, the time including what it read, and the value in short form. Of many items of one
    stage, the first few are printed and the others counted. If a stage fails, `explain` stops,
    and prints the function, the line that made the stage, and the reason.

    A cache is only looked up, and says whether it had the item; its content does not change.
    Worker processes have their own caches, which are not looked up. Everything else happens as
    in a read: functions are called, a one-time iterator advances. `start_hook` is not called.
    A stage of your own without `_rebuild` is read as one step, with everything that it reads.

    Args:
        p: A pipeline.
        i: Index of an item; negative ones count from the end.
        debugger: Whether to open `pdb` at a failure, in the frame of your code that failed.

    Returns:
        What was printed: `str` of it is the text, `steps` has a record for each line, `value` the
        item, and `error` the exception, which is not raised.

    Raises:
        TypeError: If `p` is not a lazy sequence, or `i` is not an integer.
        IndexError: If there is no item `i`.

    Example:
        >>> from seqtools import smap
        >>> inverses = smap(lambda x: 1 / x, [4, 2, 0])
        >>> replay = explain(inverses[1:], 0)  # doctest: +ELLIPSIS
        item 0 of slice
        ...
        >>> [(step.name, step.value) for step in replay.steps]
        [('list[1]', 2), ('smap(<lambda>)[1]', 0.5), ('slice[0]', 0.5)]
        >>> explain(inverses, -1).error  # doctest: +ELLIPSIS
        item 2 of smap(<lambda>)
        ...
        ZeroDivisionError('division by zero')
    """
    check_pipeline(p, "explain")
    from seqtools.instrument.replay import Replay

    replay = Replay()
    replay.evaluate(p, i, debugger=debugger)
    return replay
