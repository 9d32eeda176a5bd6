"""A copy of a value, as one from a process is: what must be seen there is seen of it inline."""

import io
import pickle
from typing import Any

import numpy as np


def copied(value: Any) -> Any:
    """Return a copy of `value`, or itself if no pickle can hold it."""
    file = io.BytesIO()
    try:
        _Copier(file, protocol=5).dump(value)
        return pickle.loads(file.getvalue())
    except Exception:  # noqa: BLE001 -- an object of the program
        return value


class _Copier(pickle.Pickler):
    """Pickles views of memory too, and has arrays stay read-only."""

    def reducer_override(self, obj: Any) -> Any:
        if type(obj) is memoryview:
            return _view, (obj.tobytes(), obj.format, obj.shape, obj.readonly)
        if type(obj) is np.ndarray and not obj.flags.writeable:
            return _read_only, (obj.copy(),)
        return NotImplemented


def _view(data: bytes, kind: str, shape: tuple[int, ...], readonly: bool) -> memoryview:
    return memoryview(data if readonly else bytearray(data)).cast(kind, shape)


def _read_only(array: np.ndarray) -> np.ndarray:
    array.flags.writeable = False
    return array
