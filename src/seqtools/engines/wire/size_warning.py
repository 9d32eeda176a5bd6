"""The warning that a pipeline sends much by value, and which stage does."""

import warnings
from typing import Any

from seqtools._core.errors import creation_site, reader
from seqtools._core.walk import upstream
from seqtools.engines.wire.mapped_files import find_in_files
from seqtools.engines.wire.pickling import PipelinePickler

MUCH_PICKLED = 1 << 28
"""Bytes of pickled Python objects to warn of: each worker makes its own of them. Arbitrary."""
MUCH_SHARED = 1 << 30
"""Bytes of arrays to warn of: there is one copy more for all workers. Arbitrary."""

_warned: dict[Any, Any] = {}  # what `warnings` needs to warn once where it is told to


def warn_if_large(source: Any, pickled: int, shared: int) -> None:
    """Warn if the pipeline that ends with `source` sends a lot, and name the stage with most of it.

    Args:
        source: What is read from, `None` if it is not known.
        pickled: Bytes of the pickle.
        shared: Bytes of buffers that lie in no file.
    """
    if pickled < MUCH_PICKLED and shared < MUCH_SHARED:
        return
    message = (
        f"worker processes are sent {pickled / 1e6:,.0f} MB of pickled Python objects, of which "
        f"each makes a copy (arrays would be shared), and {shared / 1e6:,.0f} MB of arrays, of "
        "which they share one copy (memory-mapped files need none)"
    )
    stages = list(upstream(source))
    if stages:
        nbytes, k = max((_weight(stage, stages), k) for k, stage in enumerate(stages))
        place = "{}, made at {}:{}".format(stages[k]._describe(), *stages[k]._origin)
        message += f"; {nbytes / 1e6:,.0f} MB are for {place}"
    warnings.warn_explicit(
        message, RuntimeWarning, *(reader.get() or creation_site()), registry=_warned
    )


class _ByteCounter:
    """A file that only counts the bytes written to it."""

    nbytes: int = 0

    def write(self, data: Any) -> None:
        self.nbytes += memoryview(data).nbytes


class _StagePickler(PipelinePickler):
    """Pickles a stage without `others`, which are sent once."""

    others: set[int]

    def reducer_override(self, obj: Any) -> Any:
        return (int, ()) if id(obj) in self.others else super().reducer_override(obj)


def _weight(stage: Any, stages: list[Any]) -> int:
    """Return the bytes that `stage` is sent as, with sources such as lists, without `stages`."""
    file = _ByteCounter()
    buffers: list[Any] = []
    pickler = _StagePickler(file, buffers)
    pickler.others = {id(other) for other in stages if other is not stage}
    try:
        pickler.dump(stage)
    except Exception:  # noqa: BLE001 -- code of users may raise anything, even the second time
        return 0
    raws = [buffer.raw() for buffer in buffers]
    _, in_files = find_in_files(raws)
    shared: int = sum(raw.nbytes for k, raw in enumerate(raws) if k not in in_files)
    return file.nbytes + shared
