"""One item made again, stage by stage, to see what each stage makes of it."""

from typing import TYPE_CHECKING, Any

from seqtools._core.sequence import LazySequence
from seqtools._core.walk import is_stage

if TYPE_CHECKING:
    from seqtools.instrument.replay import Replay


def explain(p: LazySequence[Any], i: int, *, debugger: bool = False) -> "Replay":
    """Return how item `i` of `p` is made, printed stage by stage while it is made.

    The item is evaluated here, in this thread, whatever reads ahead in the pipeline: no worker
    starts. What is read first is printed first: the item of each stage, the time that the stage
    took by itself and with all that it read, and the value in short. Of many items of one stage
    the first few are printed and the others counted. It stops where a stage fails, and says which
    function it was, where the stage was made, and why.

    A cache is looked into, and says whether it had the item; what it keeps does not change. In
    worker processes, each has a cache of its own, which is not this one. All else is as if the
    item was read: functions are called, a one-time iterator advances. `start_hook` is not called.
    A stage of your own without `_rebuild` is read as it is, with all that it reads.

    Args:
        p: A pipeline.
        i: Index of an item; negative ones count from the end.
        debugger: Whether to look at a failure with `pdb`, in the frame of your code that failed.

    Returns:
        What was printed, as a `str`; with a record for each line in `steps`, the value of the
        item in `value`, and the exception in `error` if there was one, which is not raised.

    Raises:
        TypeError: If `p` is no lazy sequence, or `i` no integer.
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
    if not is_stage(p):
        message = f"explain() needs a lazy sequence, got {type(p).__name__}"
        raise TypeError(message)
    from seqtools.instrument.replay import Replay

    replay = Replay()
    replay.make(p, i, debugger=debugger)
    return replay
