"""Values to be assigned that are views of the arrays they are assigned to."""

import sys
from typing import Any

from seqtools._core.walk import upstream


def apart(stage: Any, values: list[Any]) -> list[Any]:
    """Return `values`, with a copy of each view of an array upstream of `stage`.

    Assigning the first of several values would otherwise change the next ones. Views are found in
    lists, tuples and dicts too, such as batches; all other objects stay the same ones.
    """
    numpy = sys.modules.get("numpy")  # it is imported if there is an array
    if numpy is None or not any(map(_may_have_views, values)):
        return values
    arrays = [each for each in upstream(stage, plain=True) if isinstance(each, numpy.ndarray)]
    return [_apart(value, arrays) for value in values] if arrays else values


def _may_have_views(value: Any) -> bool:
    # also a row of an array with named fields, numpy.void, has a `base`
    return value.__class__ in {list, tuple, dict} or getattr(value, "base", None) is not None


def _apart(value: Any, arrays: list[Any]) -> Any:
    kind = value.__class__
    if kind is dict:
        copies = {key: _apart(each, arrays) for key, each in value.items()}
        return copies if any(copies[key] is not each for key, each in value.items()) else value
    if kind is list or kind is tuple:
        parts = [_apart(each, arrays) for each in value]
        same = all(part is each for part, each in zip(parts, value, strict=True))
        return value if same else kind(parts)
    return value.copy() if _is_view(value, arrays) else value


def _is_view(value: Any, arrays: list[Any]) -> bool:
    import numpy as np

    if not isinstance(value, np.ndarray | np.void) or value.base is None:
        return False
    return any(np.may_share_memory(value, array) for array in arrays)
