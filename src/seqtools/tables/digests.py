"""Hashes of plain values, which are the same for equal values in each run."""

import marshal
from collections.abc import Sequence
from itertools import chain
from operator import itemgetter
from typing import Any

PLAIN = frozenset({bool, int, float, str, bytes, type(None)})
"""Types of values that have no parts."""
DEEPEST = 40
"""Most values in each other to look into. Arbitrary."""
LONGEST = 10_000_000
"""Most values to take together in inner lists. Arbitrary."""


def digest(*parts: object) -> str:
    """Return a hash of the `repr` of plain parts, as hexadecimal digits."""
    return digest_of(repr(parts).encode("utf-8", "backslashreplace"))


def digest_of(data: Any) -> str:
    """Return a hash of bytes, as hexadecimal digits."""
    from hashlib import blake2b

    return blake2b(data, digest_size=8).hexdigest()


def digest_of_plain(value: Any) -> str:
    """Return a hash of a plain value."""
    if isinstance(value, bytes):
        return "bytes" + digest_of(value)
    if type(value) is int:  # Python writes no more than 4,300 decimal digits
        return "int" + digest(hex(value))
    return digest(value)


def packed(values: Any) -> bytes | None:
    """Return plain values, in lists, tuples and dicts, as bytes, `None` if there are others."""
    return packed_up_to(values, LONGEST)[0]


def packed_up_to(values: Any, most: int) -> tuple[bytes | None, int]:
    """Return the same, and how many values in inner lists were looked at, at most `most`."""
    inner: Sequence[Any] = [values]
    total = -len(values)
    has_dicts = False
    for _ in range(DEEPEST):  # a list may contain itself
        kinds = set(map(type, inner))
        if kinds <= PLAIN:
            # the second version of this form does not depend on which objects are the same
            return marshal.dumps(_in_order(values) if has_dicts else values, 2), total
        if not kinds <= PLAIN | {list, tuple, dict}:
            break
        nested = [each for each in inner if type(each) not in PLAIN]
        total += sum(map(len, nested))
        if total > most:
            break
        dicts = [each for each in nested if type(each) is dict]
        has_dicts = has_dicts or bool(dicts)
        held = chain.from_iterable(map(dict.values, dicts))
        inner = list(chain(chain.from_iterable(nested), held))
    return None, min(total, most)


def by_key(held: dict[Any, Any]) -> list[tuple[Any, Any]] | None:
    """Return the items of a dict in the order of their keys, `None` if not all keys are plain.

    Equal dicts may have another order in each run, if they are made of sets.
    """
    kinds = set(map(type, held))
    if len(kinds) == 1 and kinds <= {int, str, bytes}:
        return sorted(held.items(), key=itemgetter(0))
    keys = [packed([key]) for key in held]
    if None in keys:
        return None
    pairs = sorted(zip(keys, held.items(), strict=True), key=itemgetter(0))
    return [item for _, item in pairs]


def _in_order(value: Any) -> Any:
    """Return plain values with the items of each dict in the order of the keys."""
    if type(value) is dict:
        pairs = by_key(value) or ()
        return {key: each if type(each) in PLAIN else _in_order(each) for key, each in pairs}
    if type(value) in {list, tuple}:
        return type(value)(map(_in_order, value))
    return value
