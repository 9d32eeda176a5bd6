"""The begin of messages, by which a reader detects bytes that are no message.

Only this package uses its pipes, but user code may write to a wrong descriptor. So each message
begins with bytes that are unlikely otherwise. If they are missing, the reader raises
`DamagedMessage`: it cannot trust anything after that, and the sender is replaced.
"""

import struct
from typing import Any

MAGIC = b"\x93SqT"
"""Begins every message; ends every result."""


class DamagedMessage(Exception):  # noqa: N818 -- the name says what is wrong
    """Received bytes are no message."""


class Header:
    """The layout of a header: `MAGIC`, then the fields of a `struct`."""

    def __init__(self, layout: str) -> None:
        self._struct = struct.Struct("<4s" + layout)
        self.size = self._struct.size

    def pack(self, *fields: Any) -> bytes:
        """Return a header with `fields`."""
        return self._struct.pack(MAGIC, *fields)

    def unpack(self, data: Any, at: int = 0) -> tuple[Any, ...]:
        """Return the fields of the header in `data`.

        Raises:
            DamagedMessage: If there is no header.
        """
        try:
            magic, *fields = self._struct.unpack_from(data, at)
        except struct.error:
            raise DamagedMessage("there is less than the header of a message") from None
        if magic != MAGIC:
            raise DamagedMessage("there is no message where one has to begin")
        return tuple(fields)

    def whole(self, data: Any) -> tuple[Any, ...]:
        """Return the fields of `data`, which must be a header and nothing else; as `unpack`."""
        if len(data) > self.size:
            raise DamagedMessage("there is more than a message")
        return self.unpack(data)
