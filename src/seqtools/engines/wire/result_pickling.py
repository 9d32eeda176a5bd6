"""How values of workers are pickled, and loaded in the consumer.

What the pipeline sends by value, that is functions and classes that workers cannot import, is
numbered in a table that both sides have. A value refers to these objects by their numbers, and the
consumer gets its own objects. So a result is an instance of the consumer's class, and loading it
changes nothing there.
"""

import functools
import io
import pickle
import sys
from collections.abc import Callable, Sequence
from typing import Any

from seqtools._core.errors import summary
from seqtools.engines.wire.arrays import Reducer, result_reducer
from seqtools.engines.wire.special_objects import with_singletons

_SMALL = 1 << 10
"""Bytes of a pickle after which the pickler is used again. After a larger one, its memo is large,
and clearing it would take long each time. Arbitrary."""


def _number(number: int) -> Any:
    """Stand for an object of the table; `_ResultUnpickler` puts the object in its place."""
    message = f"object {number} of the table is known to a loader only"
    raise pickle.UnpicklingError(message)


class _Reducers(dict[type, Reducer | None]):
    """How to pickle objects, by their classes; found when the first object of a class comes."""

    def __init__(self, by_value: Sequence[Any]) -> None:
        self._numbers = {id(obj): number for number, obj in enumerate(by_value)}
        self._numbered = {type(obj) for obj in by_value}

    def __missing__(self, cls: type) -> Reducer | None:
        found = with_singletons(cls, result_reducer(cls))
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
    """Pickles values in a worker, one by one, with one pickler.

    A new pickler for each value would take three times as long for a small value.
    """

    _file: io.BytesIO
    _pickler: pickle.Pickler
    _buffer_callback: Callable[[pickle.PickleBuffer], Any] | None

    def __init__(self, by_value: Sequence[Any]) -> None:
        self._by_value = by_value  # keeps the objects, and so their ids
        self._reducers = _Reducers(by_value)
        self._renew()

    def dumps(self, value: Any, buffer_callback: Callable[[Any], Any] | None = None) -> bytes:
        """Return `value` pickled.

        Args:
            value: What to pickle.
            buffer_callback: Takes each buffer, and returns whether it belongs into the pickle;
                all belong there by default.

        Raises:
            Exception: If that fails; nothing else, even if code of the user raises something else,
                because that would end the worker.
        """
        file, pickler = self._file, self._pickler
        self._buffer_callback = buffer_callback
        try:
            pickler.dump(value)
        except BaseException as error:
            self._renew()  # the old one may have pickled a part
            if isinstance(error, Exception):
                raise
            raise pickle.PicklingError(summary(error)) from error
        self._buffer_callback = None
        data = file.getvalue()
        if len(data) > _SMALL:
            self._renew()
        else:
            pickler.clear_memo()  # it refers to what was pickled
            file.seek(0)
            file.truncate()
        return data

    def _renew(self) -> None:
        self._file = io.BytesIO()
        self._pickler = _ResultPickler(self._file, self._is_inside, self._reducers)

    def _is_inside(self, buffer: pickle.PickleBuffer) -> Any:
        return self._buffer_callback is None or self._buffer_callback(buffer)


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
            # An import would wait for the importing thread, which may wait for this value.
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
            Exception: If that fails; nothing else, even if code of the user raises something else,
                because that would end the thread that loads values.
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
