"""The pipeline on its way to the workers, and values on their way back.

The pipeline is pickled once. What of it is sent by value, that is functions and classes
that workers cannot import, is numbered in a table that both sides have: when a value
refers to one of these, its number is sent, and the consumer gets its own object. So a
result is an instance of the consumer's class, and loading it changes nothing there.

Buffers of arrays lie outside of the pickle, in one anonymous file that workers map
privately: however many workers there are, there is one copy until somebody writes.
"""

import functools
import io
import mmap
import os
import pickle
import struct
import sys
import tempfile
import types
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeAlias

import cloudpickle

from seqtools.engines.memmaps import reduce_memmap
from seqtools.engines.reducing import Reducer, reducer
from seqtools.errors import WorkerStartError

_ALIGNMENT = 64
_HEAD = struct.Struct("<QQ")  # lengths of the pickle and of the table of buffers


class _PipelinePickler(cloudpickle.Pickler):  # type: ignore[misc] # cloudpickle has no types
    """Pickles a pipeline, and notes what goes by value."""

    def __init__(self, file: io.BytesIO, buffers: list[pickle.PickleBuffer]) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffers.append)
        self.by_value: list[Any] = []

    def reducer_override(self, obj: Any) -> Any:
        mapped = reduce_memmap(obj)
        if mapped is not None:
            return mapped
        if isinstance(obj, functools._lru_cache_wrapper):  # noqa: SLF001 -- it has no other name
            return _reduce_cached(obj)
        reduced = super().reducer_override(obj)
        by_reference = reduced is NotImplemented or isinstance(reduced, str)
        if not by_reference and isinstance(obj, type | types.FunctionType):
            self.by_value.append(obj)
        return _with_slots(obj, reduced)


def _reduce_cached(function: Any) -> Any:
    """Return how to cache the same function anew, if it cannot be imported by its name."""
    module = sys.modules.get(function.__module__)
    if (
        function.__module__ != "__main__"
        and getattr(module, function.__qualname__, None) is function
    ):
        return NotImplemented
    parameters = function.cache_parameters()
    return _cached, (function.__wrapped__, parameters["maxsize"], parameters["typed"])


def _cached(function: Any, maxsize: int | None, typed: bool) -> Any:  # noqa: FBT001 -- called by pickle
    return functools.lru_cache(maxsize, typed)(function)


def _with_slots(obj: Any, reduced: Any) -> Any:
    """Return what cloudpickle makes of `obj`, with the slots of a class, which it leaves out.

    Its instances would have a `__dict__` in the worker, and could not be loaded here.
    """
    if isinstance(reduced, tuple) and isinstance(obj, type) and "__slots__" in obj.__dict__:
        make, arguments, *rest = reduced
        if len(arguments) > 3 and isinstance(arguments[3], dict):  # noqa: PLR2004 -- the namespace
            namespace = arguments[3] | {"__slots__": obj.__slots__}  # type: ignore[attr-defined]
            return make, (*arguments[:3], namespace, *arguments[4:]), *rest
    return reduced


class Shipment(NamedTuple):
    """A pipeline ready to be sent."""

    fd: int
    """An anonymous file, to be closed by who made the shipment."""
    by_value: list[Any]
    """The objects that a value refers to by number."""


def pack(source: Any, get: Callable[[int], Any], hook: Any, hints: Any = None) -> Shipment:
    """Return `get` and `hints`, which read `source`, and the start hook ready to be sent.

    Raises:
        WorkerStartError: If something of it cannot be pickled; names the stage.
    """
    buffers: list[pickle.PickleBuffer] = []
    first, second = io.BytesIO(), io.BytesIO()
    try:
        cloudpickle.Pickler(first, protocol=5).dump((sys.argv, hook))
        pickler = _PipelinePickler(second, buffers)
        # the table is pickled behind the pipeline, so that it is complete by then
        pickler.dump((get, hints, pickler.by_value))
    except Exception as error:
        raise _unpicklable(source, hook, error) from error
    raws = [buffer.raw() for buffer in buffers]
    begin = 2 * _HEAD.size + first.tell() + second.tell() + 16 * len(raws)
    places: list[tuple[int, int]] = []
    for raw in raws:
        begin += -begin % _ALIGNMENT
        places.append((begin, raw.nbytes))
        begin += raw.nbytes
    fd = _anonymous_file()
    with os.fdopen(os.dup(fd), "wb") as file:
        file.write(_HEAD.pack(first.tell(), second.tell()) + _HEAD.pack(len(raws), 0))
        file.write(first.getbuffer())
        file.write(second.getbuffer())
        for place in places:
            file.write(_HEAD.pack(*place))
        for (start, _), raw in zip(places, raws, strict=True):
            file.seek(start)
            file.write(raw)
        file.truncate(max(begin, 1))
    return Shipment(fd, pickler.by_value)


Pipeline: TypeAlias = tuple[Callable[[int], Any], Any, list[Any]]
"""What reads items, where to send hints, and what a value refers to by number."""


class Delivery:
    """A shipment that arrived; its pipeline is loaded when it is asked for."""

    def __init__(self, memory: mmap.mmap) -> None:
        view = memoryview(memory)
        first, self._length = _HEAD.unpack_from(view, 0)
        self._count, _ = _HEAD.unpack_from(view, _HEAD.size)
        self._begin = 2 * _HEAD.size + first
        self._first = view[2 * _HEAD.size : self._begin]
        self._view = view

    def prelude(self) -> tuple[list[str], Callable[..., object] | None]:
        """Return the arguments of the consumer's program, and the start hook."""
        prelude: tuple[list[str], Any] = pickle.loads(self._first)
        return prelude

    def pipeline(self) -> Pipeline:
        """Return the pipeline: see `Pipeline`."""
        end = self._begin + self._length
        table = _HEAD.iter_unpack(self._view[end : end + 16 * self._count])
        buffers = [self._view[start : start + n] for start, n in table]
        body = self._view[self._begin : end]
        loaded: Pipeline = pickle.loads(body, buffers=buffers)
        return loaded


def _anonymous_file() -> int:
    if hasattr(os, "memfd_create"):
        try:
            return os.memfd_create("seqtools", os.MFD_CLOEXEC)
        except OSError:  # not allowed here
            pass
    with tempfile.TemporaryFile() as file:
        return os.dup(file.fileno())


def _number(number: int) -> Any:
    """Stand for an object of the table; `_Loader` puts the object in its place."""
    message = f"object {number} of the table is known to a loader only"
    raise pickle.UnpicklingError(message)


class _Reducers(dict[type, Reducer | None]):
    """How to pickle objects by their class, found out when there is the first of one."""

    def __init__(self, by_value: Sequence[Any]) -> None:
        self._numbers = {id(obj): number for number, obj in enumerate(by_value)}

    def __missing__(self, cls: type) -> Reducer | None:
        found = reducer(cls)
        if self._numbers and issubclass(cls, type | types.FunctionType):
            found = self._reduce_numbered
        self[cls] = found
        return found

    def _reduce_numbered(self, obj: Any) -> Any:
        number = self._numbers.get(id(obj))
        return NotImplemented if number is None else (_number, (number,))


class _ResultPickler(pickle.Pickler):
    def __init__(self, file: io.BytesIO, buffer_callback: Any, reducers: _Reducers) -> None:
        super().__init__(file, protocol=5, buffer_callback=buffer_callback)
        self._reducers = reducers

    def reducer_override(self, obj: Any) -> Any:
        reduce = self._reducers[type(obj)]
        return NotImplemented if reduce is None else reduce(obj)


class Dumper:
    """Pickles values in a worker."""

    def __init__(self, by_value: Sequence[Any]) -> None:
        self._by_value = by_value  # keeps the objects, and so their ids
        self._reducers = _Reducers(by_value)

    def dumps(self, value: Any, buffer_callback: Callable[[Any], Any] | None = None) -> Any:
        """Return `value` pickled, large buffers given to `buffer_callback`."""
        file = io.BytesIO()
        _ResultPickler(file, buffer_callback, self._reducers).dump(value)
        return file.getbuffer()


class _ResultUnpickler(pickle.Unpickler):
    def __init__(self, file: io.BytesIO, buffers: Any, by_value: Sequence[Any]) -> None:
        super().__init__(file, buffers=buffers)
        self._by_value = by_value

    def find_class(self, module: str, name: str, /) -> Any:
        if name == "_number" and module == __name__:
            return self._by_value.__getitem__
        return super().find_class(module, name)


class Loader:
    """Unpickles values in the consumer."""

    def __init__(self, by_value: Sequence[Any]) -> None:
        self._by_value = by_value

    def loads(self, data: Any, buffers: Sequence[Any] = ()) -> Any:
        """Return the value that a `Dumper` pickled."""
        if not self._by_value:
            return pickle.loads(data, buffers=buffers)
        return _ResultUnpickler(io.BytesIO(data), buffers, self._by_value).load()


def _unpicklable(sequence: Any, hook: Any, error: Exception) -> WorkerStartError:
    """Return the error that names what cannot be pickled, and what to do."""
    advice = "or use method='thread', or start_method='fork'"
    if not _picklable(hook):
        message = f"start_hook cannot be sent to worker processes: {error}"
        return WorkerStartError(message)
    culprit = next((s for s in _stages(sequence) if not _picklable(s)), None)
    if culprit is None or not hasattr(culprit, "_origin"):
        kind = type(sequence if culprit is None else culprit).__name__
        message = (
            f"a source of type {kind} cannot be sent to worker processes: {error}; {advice[3:]}"
        )
        return WorkerStartError(message)
    file, line = culprit._origin
    message = (
        f"{culprit._describe()}, made at {file}:{line}, cannot be sent to worker processes: "
        f"{type(error).__name__}: {error}; make what it needs inside of the function, {advice}"
    )
    return WorkerStartError(message)


def _stages(sequence: Any) -> Iterator[Any]:
    """Yield the stages of a pipeline, sources before what reads them."""
    for source in sequence._sources() if hasattr(sequence, "_sources") else ():
        yield from _stages(source)
    yield sequence


def _picklable(obj: Any) -> bool:
    try:
        _PipelinePickler(io.BytesIO(), []).dump(obj)
    except Exception:  # noqa: BLE001 -- code of users may raise anything
        return False
    return True
