"""Heads of messages, which noise is not taken for.

What comes out of a pipe may be anything: code of users can write to any descriptor of its
process, close it, or put another in its place. So every message begins with a head that has
a checksum, and what a head says is looked at before anything is done about it. One that is
none is `DamagedMessage`: nothing after it can be trusted, and who sent it is replaced.
"""

import struct
from typing import Any
from zlib import crc32

_CHECK = 4
"""Bytes of a checksum."""


class DamagedMessage(Exception):  # noqa: N818 -- the name says what is wrong
    """What was sent is no message, or not one that can be right."""


class Header:
    """The layout of a head: fields as of `struct`, behind their checksum."""

    def __init__(self, layout: str) -> None:
        self._fields = struct.Struct("<" + layout)
        both = struct.Struct("<I" + layout)
        self._unpack = both.unpack_from
        self.size = both.size

    def pack(self, *fields: Any) -> bytes:
        """Return the head with `fields`."""
        packed = self._fields.pack(*fields)
        return crc32(packed).to_bytes(_CHECK, "little") + packed

    def unpack(self, data: Any, at: int = 0) -> tuple[Any, ...]:
        """Return the fields of the head in `data`.

        Raises:
            Damaged: If there is none. Noise is found out, but for one in 2**32.
        """
        try:
            found = self._unpack(data, at)
        except struct.error:
            raise DamagedMessage("there is less than the head of a message") from None
        # to copy 40 bytes costs less than to make a view of them
        if crc32(data[at + _CHECK : at + self.size]) != found[0]:
            raise DamagedMessage("there is no message where one has to begin")
        return found[1:]

    def whole(self, data: Any) -> tuple[Any, ...]:
        """Return the fields of the head that `data` is, with nothing behind it; as `unpack`."""
        if len(data) > self.size:
            raise DamagedMessage("there is more than a message")
        return self.unpack(data)


def ending(data: bytes | bytearray) -> bytes:
    """Return what stands at the end of a message that has a table `data`.

    It is where it has to be only if nothing was lost in between, or was written by others,
    and only if `data` is what it was.
    """
    return crc32(data).to_bytes(_CHECK, "little")


ENDING = _CHECK
"""Bytes of it."""
