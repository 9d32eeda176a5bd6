"""Seeds: what determines everything that is drawn by chance.

A seed is an integer, a string, or a tuple of seeds. It means the same wherever one is accepted, on
every platform and in every version. Words are drawn from it by SHAKE-256, so that seeds which are
almost equal give numbers that have nothing to do with each other.
"""

import struct
from typing import TypeAlias, Union

Seed: TypeAlias = Union[int, str, "tuple[Seed, ...]"]
"""An integer, a string, or a tuple of seeds."""


def encoded(seed: Seed) -> bytes:
    """Return the bytes of a checked seed; no two different seeds have the same."""
    if isinstance(seed, tuple):
        return b"(" + b"".join(map(encoded, seed)) + b")"
    if isinstance(seed, str):
        kind, body = b"s", seed.encode("utf-8", "surrogatepass")
    else:
        kind, body = b"i", seed.to_bytes(seed.bit_length() // 8 + 1, "little", signed=True)
    return kind + len(body).to_bytes(4, "little") + body


def words(purpose: str, seed: Seed, count: int) -> tuple[int, ...]:
    """Return `count` integers of 64 bits that `purpose` and `seed` determine.

    With purposes of their own, stages of different kinds draw differently from one seed.
    """
    import hashlib

    given = b"seqtools-1/" + purpose.encode() + b"\0" + encoded(seed)
    return struct.unpack(f"<{count}Q", hashlib.shake_256(given).digest(8 * count))
