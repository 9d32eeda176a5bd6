"""The pipeline on its way to the workers, and values on their way back.

The pipeline is pickled once, with the start hook before it by the same pickler, so that both
refer to the same globals, classes and objects in a worker. What of it is sent by value, that is
functions and classes that workers cannot import, is numbered in a table that both sides have:
when a value refers to one of these, its number is sent, and the consumer gets its own object. So a
result is an instance of the consumer's class, and loading it changes nothing there.

Buffers of arrays lie outside of the pickle, in one anonymous file that workers map
privately: however many workers there are, there is one copy until somebody writes. Those
that lie in mapped files are not copied at all: workers map the files.
"""

import functools
import io
import mmap
import os
import pickle
import struct
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from typing import Any, BinaryIO, NamedTuple, TypeAlias

from seqtools._core.errors import summary
from seqtools.engines.resource_errors import as_start_error, for_now
from seqtools.engines.wire.arrays import Reducer, result_reducer
from seqtools.engines.wire.mapped_files import Found, find_in_files, map_place
from seqtools.engines.wire.pickling import PipelinePickler, unpicklable
from seqtools.engines.wire.size_warning import warn_if_much
from seqtools.engines.wire.special_objects import with_singles

_ALIGNMENT = 64
_HEAD = struct.Struct("<QQQ")  # lengths of the two pickles and of files, number of buffers
_BUFFER = struct.Struct("<qQQ")  # number of the file, -1 for the shipment itself, begin, end


class Shipment(NamedTuple):
    """A pipeline ready to be sent."""

    fd: int
    """An anonymous file, to be closed by who made the shipment."""
    by_value: list[Any]
    """The objects that a value refers to by number."""


class PickledPipeline:
    """A pipeline as it was when this was made, but for its arrays, which are not copied yet.

    Args:
        source: What `get` and `hints` read.
        get: Evaluates items.
        hook: The start hook.
        hints: Where to send hints.

    Raises:
        WorkerStartError: If something of it cannot be pickled, which names the stage.
    """

    def __init__(self, source: Any, get: Callable[[int], Any], hook: Any, hints: Any) -> None:
        buffers: list[pickle.PickleBuffer] = []
        file = io.BytesIO()
        try:
            pickler = PipelinePickler(file, buffers)
            pickler.dump((sys.argv, hook))
            # what was pickled for the hook is referred to, not pickled again
            pickler.dump((get, hints))
            # what comes last is complete by then
            pickler.dump(pickler.derived())
            pickler.dump(pickler.by_value)
            self._raws = [buffer.raw() for buffer in buffers]
        except Exception as error:
            raise unpicklable(source, hook, error) from error
        self._source = source
        self._pickles = file.getbuffer()
        self.by_value: list[Any] = pickler.by_value
        """The objects that a value refers to by number."""

    @property
    def nbytes(self) -> int:
        """Bytes that this holds."""
        return len(self._pickles)

    def shipped(self) -> Shipment:
        """Return it ready to be sent.

        Raises:
            WorkerStartError: If there is no file for it.
        """
        raws = self._raws
        files, places = find_in_files(raws)
        shared = sum(raw.nbytes for k, raw in enumerate(raws) if k not in places)
        warn_if_much(self._source, self.nbytes, shared)
        parts = [self._pickles, memoryview(pickle.dumps(files))]
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
        return Shipment(fd, self.by_value)


def _write(
    file: BinaryIO, parts: list[memoryview], raws: list[memoryview], places: dict[int, Found]
) -> None:
    """Write the parts of a shipment, and those buffers that have no place in another file."""
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


Pipeline: TypeAlias = tuple[Callable[[int], Any], Any, list[Any]]
"""What reads items, where to send hints, and what a value refers to by number."""


class ReceivedPipeline:
    """A shipment that arrived; its pipeline is loaded when it is asked for."""

    def __init__(self, memory: mmap.mmap) -> None:
        self._view = memoryview(memory)
        *lengths, count = _HEAD.unpack_from(self._view)
        parts, begin = [], _HEAD.size
        for length in (*lengths, _BUFFER.size * count):
            parts.append(self._view[begin : begin + length])
            begin += length
        _, self._files, self._places = parts
        memory.seek(_HEAD.size)
        self._unpickler = pickle.Unpickler(memory, buffers=self._buffers())
        self._prelude: tuple[list[str], Any] | None = None

    def prelude(self) -> tuple[list[str], Callable[..., object] | None]:
        """Return the arguments of the consumer's program, and the start hook.

        A process that is forked after it has a copy of all that was loaded, and loads the
        pipeline for itself.
        """
        if self._prelude is None:
            self._prelude = self._unpickler.load()
        return self._prelude

    def pipeline(self) -> Pipeline:
        """Return the pipeline, once: see `Pipeline`.

        What it has in common with the start hook is as the hook has left it.
        """
        self.prelude()
        get, hints = self._unpickler.load()
        self._unpickler.load()  # derived classes, which are in the table
        by_value = self._unpickler.load()
        del self._unpickler  # it keeps all that it has loaded
        return get, hints, by_value

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
            # else it is not allowed here
    with (
        as_start_error(
            "no temporary file could be made, in the folder that TMPDIR names or elsewhere"
        ),
        tempfile.TemporaryFile() as file,
    ):
        return os.dup(file.fileno())


def _number(number: int) -> Any:
    """Stand for an object of the table; `_Loader` puts the object in its place."""
    message = f"object {number} of the table is known to a loader only"
    raise pickle.UnpicklingError(message)


class _Reducers(dict[type, Reducer | None]):
    """How to pickle objects by their class, found out when there is the first of one."""

    def __init__(self, by_value: Sequence[Any]) -> None:
        self._numbers = {id(obj): number for number, obj in enumerate(by_value)}
        self._numbered = {type(obj) for obj in by_value}

    def __missing__(self, cls: type) -> Reducer | None:
        found = with_singles(cls, result_reducer(cls))
        if cls in self._numbered:
            found = functools.partial(self._reduce_numbered, found)
        self[cls] = found
        return found

    def _reduce_numbered(self, otherwise: Reducer | None, obj: Any) -> Any:
        number = self._numbers.get(id(obj))
        if number is not None:
            return _number, (number,)
        return NotImplemented if otherwise is None else otherwise(obj)


class _ResultPickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, buffer_callback: Any, reducers: _Reducers) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._reducers = reducers

    def reducer_override(self, obj: Any) -> Any:
        reduce = self._reducers[type(obj)]
        return NotImplemented if reduce is None else reduce(obj)


class ResultDumper:
    """Pickles values in a worker."""

    def __init__(self, by_value: Sequence[Any]) -> None:
        self._by_value = by_value  # keeps the objects, and so their ids
        self._reducers = _Reducers(by_value)

    def dumps(self, value: Any, buffer_callback: Callable[[Any], Any] | None = None) -> Any:
        """Return `value` pickled, large buffers given to `buffer_callback`.

        Raises:
            Exception: If that fails, and nothing else, whatever code of users raises: it must
                not end a worker.
        """
        file = io.BytesIO()
        _dump(_ResultPickler(file, buffer_callback, self._reducers), value)
        return file.getbuffer()

    def keep(self) -> "SmallResultDumper":
        """Return one that pickles value after value with one pickler."""
        return SmallResultDumper(self._reducers)


class SmallResultDumper:
    """Pickles values one by one; a `ResultDumper` takes three times as long for a small one."""

    _file: io.BytesIO
    _pickler: pickle.Pickler

    def __init__(self, reducers: _Reducers) -> None:
        self._reducers = reducers
        self._renew()

    def dumps(self, value: Any, buffer_callback: Callable[[Any], Any]) -> bytes:
        """Return `value` pickled for itself: as `ResultDumper.dumps`."""
        file, pickler = self._file, self._pickler
        self._callback = buffer_callback
        try:
            _dump(pickler, value)
        except Exception:
            self._renew()  # whatever is left of it
            raise
        pickler.clear_memo()  # it refers to what was pickled
        data = file.getvalue()
        file.seek(0)
        file.truncate()
        return data

    def _renew(self) -> None:
        self._file = io.BytesIO()
        self._pickler = _ResultPickler(self._file, self._take, self._reducers)

    def _take(self, buffer: pickle.PickleBuffer) -> Any:
        return self._callback(buffer)


def _dump(pickler: pickle.Pickler, value: Any) -> None:
    try:
        pickler.dump(value)
    except Exception:
        raise
    except BaseException as error:
        raise pickle.PicklingError(summary(error)) from error


class _ResultUnpickler(pickle.Unpickler):
    def __init__(
        self, file: io.BytesIO, buffers: Any, by_value: Sequence[Any], *, importing: bool
    ) -> None:
        super().__init__(file, buffers=buffers)
        self._by_value, self._importing = by_value, importing

    def find_class(self, module: str, name: str, /) -> Any:
        if name == "_number" and module == __name__:
            return self._by_value.__getitem__
        found = sys.modules.get(module)
        if getattr(getattr(found, "__spec__", None), "_initializing", False):
            # To import it would wait for the thread that does, which may wait for this value.
            try:
                return functools.reduce(getattr, name.split("."), found)
            except AttributeError:  # not there yet
                if self._importing:
                    raise
        return super().find_class(module, name)


class ResultLoader:
    """Unpickles values in the consumer.

    Args:
        by_value: The objects to which values refer by number.
        importing: Whether a thread that waits for values may be importing a module.
    """

    def __init__(self, by_value: Sequence[Any], *, importing: bool = False) -> None:
        self._by_value, self._importing = by_value, importing

    def loads(self, data: Any, buffers: Sequence[Any] = ()) -> Any:
        """Return the value that a `ResultDumper` pickled.

        Raises:
            Exception: If that fails, and nothing else, whatever code of users raises: it must
                not end the thread that loads, to which no Ctrl-C comes.
        """
        try:
            if not self._by_value and not self._importing:
                return pickle.loads(data, buffers=buffers)
            file = io.BytesIO(data)
            return _ResultUnpickler(file, buffers, self._by_value, importing=self._importing).load()
        except Exception:
            raise
        except BaseException as error:
            raise pickle.UnpicklingError(summary(error)) from error
