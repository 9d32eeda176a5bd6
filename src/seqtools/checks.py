"""Bad arguments are refused at once, with what was given and what to do."""

import operator
from collections.abc import Iterable, Iterator, Mapping, Sequence
from collections.abc import Set as AbstractSet

from seqtools.brief import brief
from seqtools.sources import is_stage

_PLAIN = (list, tuple, range, str, bytes)


def check_source(source: object, name: str = "sequence") -> None:
    """Refuse what is not a sequence, with the line to write instead.

    Raises:
        TypeError: If `source` cannot be indexed from 0 to its length.
    """
    if isinstance(source, _PLAIN) or is_stage(source):
        return
    kind = type(source).__name__
    advice = ""
    if isinstance(source, Mapping):
        advice = f"use list({name}.values()) or list({name}.items())"
    elif isinstance(source, AbstractSet):
        advice = f"use sorted({name}) or list({name})"
    elif isinstance(source, Iterator):
        advice = f"use list({name}), or uniter({name}) to read it as it comes"
    elif hasattr(source, "columns") and hasattr(source, "shape"):
        # pandas, polars and Arrow alike: table[0] is a column there, or nothing
        rows = f"smap({name}.iloc.__getitem__, range(len({name})))"
        advice = (
            f"use {rows}"
            if hasattr(source, "iloc")
            else f"use the list of its rows, {_rows(source, name)}"
        )
    elif hasattr(source, "iloc"):
        advice = f"it is indexed by label: use {name}.to_numpy()"
    elif not hasattr(source, "__getitem__"):
        iterable = isinstance(source, Iterable)
        advice = f"use list({name}) or uniter({name})" if iterable else "it has no items"
    elif not hasattr(source, "__len__"):
        advice = "it has no length: give its class a __len__"
    elif getattr(source, "shape", None) == ():
        advice = "it has no dimension to index"
    else:
        return
    message = f"{name} must be a sequence, got {kind}: {advice}"
    raise TypeError(message)


def _rows(source: object, name: str) -> str:
    return f"{name}.rows()" if hasattr(source, "rows") else f"{name}.to_pylist()"


def check_integers(array: object, name: str) -> None:
    """Refuse an array of something else than integers; a list is not looked into.

    Raises:
        TypeError: If that is its type, or it has several dimensions.
    """
    shape: tuple[int, ...] = getattr(array, "shape", (0,))
    if len(shape) != 1:
        message = f"{name} must have one dimension, got an array of shape {tuple(shape)}"
        raise TypeError(message)
    dtype = getattr(array, "dtype", None)
    mask = str(dtype).endswith("bool")
    # an empty array is one of floats unless something else was asked for
    if mask or (getattr(dtype, "kind", "i") not in "iuO" and shape[0]):
        advice = ": use numpy.flatnonzero(mask)" if mask else ""
        message = f"{name} must be integers, got an array of {dtype}{advice}"
        raise TypeError(message)


def check_function(f: object, name: str) -> None:
    """Refuse what cannot be called.

    Raises:
        TypeError: If `f` is not callable.
    """
    if not callable(f):
        message = f"{name} must be a function, got {brief(f)}"
        raise TypeError(message)


def check_iterable(value: object, name: str) -> None:
    """Refuse what cannot be iterated.

    Raises:
        TypeError: If there is no iterator over `value`.
    """
    if not isinstance(value, Iterable) and not hasattr(value, "__getitem__"):
        message = f"{name} must be something to iterate over, got {brief(value)}"
        raise TypeError(message)


def check_mapping(value: object, name: str) -> None:
    """Refuse what values cannot be kept in by key.

    Raises:
        TypeError: If `value` lacks a method of a mutable mapping that is needed.
    """
    needed = ("__getitem__", "__setitem__", "pop")
    if isinstance(value, Sequence) or not all(hasattr(value, method) for method in needed):
        message = f"{name} must be a mutable mapping, got {type(value).__name__}"
        raise TypeError(message)


def check_count(value: object, least: int, name: str) -> int:
    """Return `value` as an `int` that is at least `least`.

    Raises:
        TypeError: If `value` is not an integer.
        ValueError: If it is less.
    """
    try:
        n = operator.index(value)  # type: ignore[arg-type]
    except TypeError:
        message = f"{name} must be an integer, got {brief(value)}"
        raise TypeError(message) from None
    if n < least:
        message = f"{name} must be at least {least}, got {n}"
        raise ValueError(message)
    return n
