"""The warning that a pipeline sends much by value, and what of it does."""

import warnings
from collections.abc import Iterator
from typing import Any

from seqtools._core.errors import creation_site, reader
from seqtools._core.walk import is_stage, upstream
from seqtools.engines.wire.mapped_files import find_in_files
from seqtools.engines.wire.pickling import PipelinePickler

MUCH_PICKLED = 1 << 28
"""Bytes of pickled Python objects to warn of: each worker makes its own of them. Arbitrary."""
MUCH_SHARED = 1 << 30
"""Bytes of arrays to warn of: there is one copy more for all workers. Arbitrary."""

_warned: dict[Any, Any] = {}  # what `warnings` needs to warn once where it is told to


def warn_if_much(source: Any, pickled: int, shared: int) -> None:
    """Warn if the pipeline that ends with `source` sends a lot, and name most of it.

    Args:
        source: What is read from, `None` if it is not known.
        pickled: Bytes of the pickle.
        shared: Bytes of buffers that lie in no file.
    """
    if pickled < MUCH_PICKLED and shared < MUCH_SHARED:
        return
    parts = []
    if pickled >= MUCH_PICKLED:
        told = "of pickled Python objects, of which each makes a copy (arrays would be shared)"
        parts.append(f"{_size(pickled)} {told}")
    if shared >= MUCH_SHARED:
        told = "of arrays, of which they share one copy (memory-mapped files need none)"
        parts.append(f"{_size(shared)} {told}")
    nbytes, what = max(_weights(source), key=lambda weight: weight[0])
    message = f"worker processes are sent {' and '.join(parts)}; {_size(nbytes)} are for {what}"
    warnings.warn_explicit(
        message, RuntimeWarning, *(reader.get() or creation_site()), registry=_warned
    )


def _weights(sequence: Any) -> Iterator[tuple[int, str]]:
    """Yield what each stage and each source is sent as by itself: bytes, and a description."""
    for stage in upstream(sequence, plain=True):
        if not is_stage(stage):
            continue
        place = "{}, made at {}:{}".format(stage._describe(), *stage._origin)
        own = _weight(stage)
        for source in stage._sources():
            if not is_stage(source):
                weight = _weight(source)
                own -= weight
                yield weight, f"{_kind(source)} in {place}"
        yield own, place
    if not is_stage(sequence):
        yield _weight(sequence), _kind(sequence)


def _kind(source: Any) -> str:
    kind = type(source).__name__
    return f"a {kind} of {len(source):,} items" if hasattr(source, "__len__") else f"a {kind}"


def _size(nbytes: int) -> str:
    return f"{nbytes / 1e9:.1f} GB" if nbytes >= 1e9 else f"{nbytes / 1e6:.0f} MB"  # noqa: PLR2004


class _ByteCounter:
    """A file that only counts the bytes written to it."""

    nbytes: int = 0

    def write(self, data: Any) -> None:
        self.nbytes += memoryview(data).nbytes


class _StagePickler(PipelinePickler):
    """Pickles a stage without those that it reads from."""

    def __init__(self, file: _ByteCounter, buffers: list[Any], others: set[int]) -> None:
        super().__init__(file, buffers)
        self._others = others

    def reducer_override(self, obj: Any) -> Any:
        return (int, ()) if id(obj) in self._others else super().reducer_override(obj)


def _weight(obj: Any) -> int:
    """Return the bytes that `obj` is sent as, without the stages that it reads from."""
    file = _ByteCounter()
    buffers: list[Any] = []
    others = {id(s) for s in upstream(obj) if s is not obj}
    try:
        _StagePickler(file, buffers, others).dump(obj)
    except Exception:  # noqa: BLE001 -- code of users may raise anything, even the second time
        return 0
    raws = [buffer.raw() for buffer in buffers]
    _, places = find_in_files(raws)
    shared: int = sum(raw.nbytes for k, raw in enumerate(raws) if k not in places)
    return file.nbytes + shared
