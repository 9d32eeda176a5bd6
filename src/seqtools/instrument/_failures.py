"""Reads a whole sequence, and returns which items fail."""

from contextlib import ExitStack
from importlib.util import find_spec
from typing import Any, Literal

from seqtools._core.catching import Caught, check_caught, is_caught
from seqtools._core.checks import check_source
from seqtools._core.failed_items import Failures, failed_item
from seqtools._core.maps import Smap
from seqtools._core.sources import Source, ends_unseen, size_of
from seqtools.combinators.recover import Catching
from seqtools.instrument._progress import progress as progress_of
from seqtools.prefetching import prefetch


def failures(
    sequence: Source[Any],
    *,
    nworkers: int | Literal["auto"] | None = None,
    method: Any = None,
    on: Caught = Exception,
    progress: bool = True,
) -> Failures:
    """Return the items of `sequence` that cannot be read, with the error of each.

    All items are read once, in order, and dropped where they are evaluated: values are not sent
    from workers. The result is a list with an attribute `indices`, such as `substitute` takes.

    Args:
        sequence: The items, with an end.
        nworkers: Number of workers, as for `prefetch`. If neither this nor `method` is given, items
            are read here, one by one.
        method: Where items are evaluated, as for `prefetch`. With `"process"`, items that kill
            their worker are found too, as `WorkerDied`; otherwise they end the program.
        on: The exceptions to collect, as for `retry`. Any other one is raised.
        progress: Whether to show a bar, as `instrument.progress` does, if tqdm is installed.

    Raises:
        EvaluationError: If an item fails with another exception than those in `on`.
        TypeError: If `sequence` is not a sequence, or another argument is of a wrong type.
        ValueError: If `sequence` is endless, or an argument is out of range.

    Example:
        >>> from seqtools import smap
        >>> failures(smap(int, ["1", "two", "3"]))
        1 item failed: 1 ValueError
          item 1 ('two'): ValueError: invalid literal for int() with base 10: 'two'
    """
    check_source(sequence)
    classes = check_caught(on)
    if size_of(sequence) is None and not ends_unseen(sequence):
        message = "failures() reads all items, but the sequence is endless: give it a slice"
        raise ValueError(message)
    found = Failures()
    with ExitStack() as stack:
        read: Any = Smap[None](_drop, None, sequence)
        ours = 2  # stages that are not of the user, the first and the last
        if nworkers is not None or method is not None:
            read = stack.enter_context(prefetch(read, nworkers, method))
            ours += 1
        read = _Collecting(read, classes, found, ours)
        for _ in progress_of(read) if progress and find_spec("tqdm") else read:
            pass
    return found


def _drop(item: object) -> None:
    """Return nothing, so that a worker sends no value."""
    del item


class _Collecting(Catching[None]):
    """Nothing for each item, with those that fail in a list."""

    _name = "failures"

    __slots__ = ("_found", "_ours")

    def __init__(
        self, sequence: Any, on: tuple[type[BaseException], ...], found: Failures, ours: int
    ) -> None:
        super().__init__(sequence, on)
        self._found, self._ours = found, ours

    def _get(self, i: int) -> None:
        try:
            self._read(i)
        except BaseException as error:
            if not is_caught(error, self._on):
                raise
            failed = failed_item(i, error)
            self._found.append(failed._replace(path=failed.path[self._ours :]))

    def _rebuild(self, *sources: Any) -> "_Collecting":
        return _Collecting(sources[0], self._on, self._found, self._ours)
