"""How messages begin, so that noise is not taken for one.

Nobody but us has our pipes, except user code that writes to a descriptor which it does not know.
So each message begins with a few bytes that such code does not write by chance. Where they are
missing it is a `DamagedMessage`: nothing after it can be trusted, and its sender is replaced.
"""

import struct
from typing import Any

MAGIC = b"\x93SqT"
"""Begins every message; ends every result."""


class DamagedMessage(Exception):  # noqa: N818 -- the name says what is wrong
    """What was sent is no message."""


class Header:
    """The layout of the begin of a message: `MAGIC`, then fields as of `struct`."""

    def __init__(self, layout: str) -> None:
        self._struct = struct.Struct("<4s" + layout)
        self.size = self._struct.size

    def pack(self, *fields: Any) -> bytes:
        """Return the header with `fields`."""
        return self._struct.pack(MAGIC, *fields)

    def unpack(self, data: Any, at: int = 0) -> tuple[Any, ...]:
        """Return the fields of the header in `data`.

        Raises:
            DamagedMessage: If there is none.
        """
        try:
            magic, *fields = self._struct.unpack_from(data, at)
        except struct.error:
            raise DamagedMessage("there is less than the header of a message") from None
        if magic != MAGIC:
            raise DamagedMessage("there is no message where one has to begin")
        return tuple(fields)

    def whole(self, data: Any) -> tuple[Any, ...]:
        """Return the fields of the header that `data` is, with nothing after it; as `unpack`."""
        if len(data) > self.size:
            raise DamagedMessage("there is more than a message")
        return self.unpack(data)
