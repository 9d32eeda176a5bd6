"""The warning that a large pipeline is sent by value, which names its largest stage."""

import warnings
from typing import Any

from seqtools._core.errors import creation_site, reader
from seqtools._core.source_code import place
from seqtools._core.walk import upstream
from seqtools.engines.wire.mapped_files import find_in_files
from seqtools.engines.wire.pickling import PipelinePickler

LARGE_PICKLE = 1 << 28
"""Bytes of pickled Python objects from which to warn: each worker has a copy. Arbitrary."""
LARGE_ARRAYS = 1 << 30
"""Bytes of arrays from which to warn: all workers share a copy. Arbitrary."""

_warned: dict[Any, Any] = {}  # `warnings` needs it to warn once for each line


def warn_if_large(source: Any, pickled: int, shared: int) -> None:
    """Warn if the pipeline that ends with `source` is large, and name the largest stage.

    Args:
        source: The last stage, `None` if it is not known.
        pickled: Bytes of the pickle.
        shared: Bytes of buffers that are in no mapped file.
    """
    if pickled < LARGE_PICKLE and shared < LARGE_ARRAYS:
        return
    message = (
        f"worker processes are sent {pickled / 1e6:,.0f} MB of pickled Python objects, of which "
        f"each makes a copy (arrays would be shared), and {shared / 1e6:,.0f} MB of arrays, of "
        "which they share one copy (memory-mapped files need none)"
    )
    stages = list(upstream(source))
    if stages:
        nbytes, k = max((_size(stage, stages), k) for k, stage in enumerate(stages))
        what = f"{stages[k]._describe()}, made at {place(*stages[k]._origin)}"
        message += f"; {nbytes / 1e6:,.0f} MB are for {what}"
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


def _size(stage: Any, stages: list[Any]) -> int:
    """Return the bytes of `stage` when it is sent, with sources such as lists, without `stages`."""
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
