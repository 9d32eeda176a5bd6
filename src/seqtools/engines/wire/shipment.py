"""The pipeline on its way to the workers.

It is pickled once, after the start hook and by the same pickler, so that in a worker both refer to
the same globals, classes and objects. Before it comes the text of source files that workers cannot
read, such as the cells of a notebook. The objects that it sends by value are also the table to
which values refer: see `result_pickling`.

Buffers of arrays are not in the pickle but after it, in one anonymous file, which workers map
privately: all workers share one copy until one of them writes. Buffers that are in mapped files are
not copied at all: workers map the files.
"""

import io
import mmap
import os
import pickle
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from itertools import accumulate, pairwise
from typing import Any, BinaryIO, NamedTuple

from seqtools._core.source_code import SourceText, add_texts, texts_of
from seqtools._core.walk import upstream
from seqtools.engines.resource_errors import as_start_error, for_now
from seqtools.engines.wire.flags import Flags, own_categories
from seqtools.engines.wire.mapped_files import Found, find_in_files, map_place
from seqtools.engines.wire.pickling import PipelinePickler
from seqtools.engines.wire.refused import unpicklable
from seqtools.engines.wire.size_warning import warn_if_large

_ALIGNMENT = 64
_HEAD = struct.Struct("<QQQQ")  # lengths of texts, of the pickles and of files, number of buffers
_BUFFER = struct.Struct("<qQQ")  # number of the file, -1 for the shipment itself, begin, end


class PickledPipeline:
    """A pipeline as it was when this was made, except its arrays, which are not copied yet.

    Args:
        source: What `get` and `hints` read.
        get: Evaluates items.
        hook: The start hook.
        hints: Where to send hints.
        end_hook: The end hook.

    Raises:
        WorkerStartError: If a stage, which the error names, cannot be pickled.
    """

    instead = "method='thread', or start_method='fork'"
    """What does not pickle, for messages."""
    everywhere = False
    """Whether workers may be on other machines, which lack the files of this one."""

    def __init__(
        self,
        source: Any,
        get: Callable[[int], Any],
        hook: Any,
        hints: Any,
        end_hook: Any = None,
    ) -> None:
        buffers: list[pickle.PickleBuffer] = []
        file = io.BytesIO()
        try:
            pickler = PipelinePickler(file, buffers)
            pickler.dump(Prelude(sys.argv, Flags.now(), hook))
            # refers to objects that were pickled for the hook
            pickler.dump((get, hints, end_hook, own_categories()))
            # Last, because these lists are complete now.
            pickler.dump(pickler.derived())
            pickler.dump(pickler.by_value)
            self._raws = [buffer.raw() for buffer in buffers]
            texts = pickle.dumps(self._texts(source, pickler.files))
        except Exception as error:
            hooks = {"start_hook": hook, "end_hook": end_hook}
            raise unpicklable(source, hooks, error, instead=self.instead) from error
        self._source = source
        # No view: where a program ends, the file may be closed first, which then is an error.
        self._pickles = [texts, file.getvalue()]  # makes no copy
        self.by_value: list[Any] = pickler.by_value
        """The objects that a value refers to by number."""

    def _texts(self, source: Any, files: set[str]) -> dict[str, SourceText]:
        """Return what workers are sent of source files: of `files`, and where stages were made."""
        made_at = {stage._origin[0] for stage in upstream(source)}
        return texts_of(sorted(files | made_at), everywhere=self.everywhere)

    def write(self) -> int:
        """Write the pipeline to an anonymous file; return its descriptor, which the caller closes.

        Raises:
            WorkerStartError: If there can be no file.
        """
        raws = self._raws
        files, places = find_in_files(raws)
        shared = sum(raw.nbytes for k, raw in enumerate(raws) if k not in places)
        warn_if_large(self._source, sum(map(len, self._pickles)), shared)
        parts = [*self._pickles, pickle.dumps(files)]
        size = sum(map(len, parts)) + shared
        with as_start_error(
            f"no file for the {size / 1e6:,.1f} MB of the pipeline could be written"
        ):
            fd = _anonymous_file()
            try:
                with os.fdopen(os.dup(fd), "wb") as file:
                    _write(file, parts, raws, places)
            except BaseException:
                os.close(fd)
                raise
        return fd


def _write(
    file: BinaryIO, parts: list[bytes], raws: list[memoryview], places: dict[int, Found]
) -> None:
    """Write the parts of a shipment, and the buffers that have no place in another file."""
    places = dict(places)
    end = _HEAD.size + sum(map(len, parts)) + _BUFFER.size * len(raws)
    file.write(_HEAD.pack(*map(len, parts), len(raws)))
    file.writelines(parts)
    for k, raw in enumerate(raws):
        if k not in places:
            begin = end + -end % _ALIGNMENT
            end = begin + raw.nbytes
            places[k] = -1, begin, end
        file.write(_BUFFER.pack(*places[k]))
    for k, raw in enumerate(raws):
        number, begin, _ = places[k]
        if number < 0:
            file.seek(begin)
            file.write(raw)
    file.truncate(end)


class Prelude(NamedTuple):
    """What precedes the pipeline."""

    argv: list[str]
    """The arguments of the consumer's program."""
    flags: Flags
    hook: Callable[..., object] | None
    """The start hook."""


class Pipeline(NamedTuple):
    """What a worker works with."""

    get: Callable[[int], Any]
    """Reads items."""
    hints: Any
    """Where to send hints."""
    by_value: list[Any]
    """The objects that a value refers to by number."""
    end_hook: Callable[..., object] | None = None
    own_categories: Sequence[type[Warning]] = ()
    """See `Flags.filters`."""


class ReceivedPipeline:
    """A shipment in a worker, which loads its pipeline on request."""

    def __init__(self, memory: mmap.mmap) -> None:
        self.nbytes = len(memory)
        self._view = memoryview(memory)
        *lengths, count = _HEAD.unpack_from(self._view)
        parts, begin = [], _HEAD.size
        for length in (*lengths, _BUFFER.size * count):
            parts.append(self._view[begin : begin + length])
            begin += length
        texts, _, self._files, self._places = parts
        self._texts = texts
        memory.seek(_HEAD.size + len(texts))
        self._unpickler = pickle.Unpickler(memory, buffers=self._buffers())
        self._prelude: Prelude | None = None

    def prelude(self) -> Prelude:
        """Return what precedes the pipeline.

        Processes that are forked afterwards load the pipeline for themselves.
        """
        if self._prelude is None:
            add_texts(pickle.loads(self._texts))
            self._prelude = self._unpickler.load()
        return self._prelude

    def pipeline(self) -> Pipeline:
        """Return the pipeline, once: see `Pipeline`.

        Objects that it shares with the start hook are as the hook has left them.
        """
        self.prelude()
        get, hints, end_hook, categories = self._unpickler.load()
        self._unpickler.load()  # derived classes, which are in the table
        by_value = self._unpickler.load()
        del self._unpickler  # it keeps references to all objects
        return Pipeline(get, hints, by_value, end_hook, categories)

    def _buffers(self) -> Iterator[memoryview]:
        files = [map_place(place) for place in pickle.loads(self._files)]
        for number, begin, end in _BUFFER.iter_unpack(self._places):
            data = self._view if number < 0 else files[number]
            yield data[begin:end]


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("seqtools", os.MFD_CLOEXEC)
        except OSError as error:
            if for_now(error):
                raise
            # Otherwise the system does not allow it.
    with (
        as_start_error(
            "no temporary file could be made, in the folder that TMPDIR names or elsewhere"
        ),
        tempfile.TemporaryFile() as file,
    ):
        return os.dup(file.fileno())


def nbytes_by_value(memory: mmap.mmap) -> int:
    """Return how long what `with_all_by_value` returns is about."""
    view = memoryview(memory)
    *lengths, count = _HEAD.unpack_from(view)
    at: int = _HEAD.size + sum(lengths)
    places = _BUFFER.iter_unpack(view[at : at + _BUFFER.size * count])
    buffers: int = sum(_BUFFER.size + _ALIGNMENT + end - begin for _, begin, end in places)
    return at + buffers


def with_all_by_value(memory: mmap.mmap) -> bytes:
    """Return a shipment as bytes, with what it maps of files copied into it.

    Raises:
        OSError: If such a file is not there any more.
    """
    view = memoryview(memory)
    texts, pickles, files, count = _HEAD.unpack_from(view)
    ends = list(accumulate((texts, pickles, files), initial=_HEAD.size))
    begin = ends[-1]
    mapped = [map_place(place) for place in pickle.loads(view[ends[-2] : begin])]
    raws = [
        (view if number < 0 else mapped[number])[start:stop]
        for number, start, stop in _BUFFER.iter_unpack(view[begin : begin + _BUFFER.size * count])
    ]
    out = io.BytesIO()
    parts = [bytes(view[at:end]) for at, end in pairwise(ends[:-1])]
    parts.append(pickle.dumps([]))
    _write(out, parts, raws, {})
    return out.getvalue()
