"""Masks: booleans that choose items."""

from array import array
from typing import Any

from seqtools._core.display.short import short


def _is_bool(value: Any) -> bool:
    return value.__class__ is bool or getattr(getattr(value, "dtype", None), "kind", "") == "b"


def _is_boolean(dtype: Any) -> bool:
    return "bool" in str(dtype).lower()  # of pandas and torch too


def indices_of(mask: Any) -> "array[int]":
    """Return the indices at which `mask` is true.

    Raises:
        TypeError: If it is no list or array of booleans.
    """
    shape = getattr(mask, "shape", None)
    if shape is not None:
        import numpy as np

        if len(shape) != 1:
            message = f"mask must have one dimension, got an array of shape {tuple(shape)}"
            raise TypeError(message)
        if _is_boolean(mask.dtype):
            return array("q", np.flatnonzero(np.asarray(mask, bool)).astype(np.int64).tobytes())
        if shape[0] and str(mask.dtype) != "object":
            message = (
                f"mask must be booleans, got an array of {mask.dtype}: use mask != 0, or "
                "gather(sequence, indexes) if these are indexes"
            )
            raise TypeError(message)
    indices = array("q")
    for i, chosen in enumerate(mask):
        if not _is_bool(chosen):
            message = (
                f"mask[{i}] must be True or False, got {short(chosen)}: use bool() of each, or "
                "gather(sequence, indexes) if these are indexes"
            )
            raise TypeError(message)
        if chosen:
            indices.append(i)
    return indices
