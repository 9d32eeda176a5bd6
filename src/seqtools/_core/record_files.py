"""Reads the records that threads write: see `recording`, whose format this module shares."""

# ruff: noqa: SLF001 -- the format

import json
from collections.abc import Iterator

from seqtools._core import recording
from seqtools._core.recording import CLOCK_AT, SIZE, Record


def end_of(part: bytearray, at: int) -> int:
    """Return where the records end that are written one after the other from `at` on."""
    while at < len(part) and recording._RECORD.unpack_from(part, at)[-1]:
        at += SIZE
    return at


class RecordFile:
    """Records of one thread, read while they are written."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._at = recording._HEADER * SIZE
        self.pid = self.ident = 0
        self.thread = ""
        self.machine = self.host = ""
        """What identifies another machine, and its name; empty if it is this one."""
        self.spent = 0.0
        """Seconds of processor time that the process had used when the thread began to write."""
        self.ahead = 0
        """Nanoseconds that the clock there is ahead, which were subtracted from all times."""
        self.within = 0.0
        """Seconds by which `ahead` may be wrong."""

    def read(self) -> Iterator[Record]:
        """Yield the records since the last call."""
        with open(self._path, "rb") as file:
            if not self._begin(file.read(recording._HEADER * SIZE)):
                return  # the header is not written yet
            file.seek(self._at)
            data = file.read()
        whole, ahead = len(data) // SIZE * SIZE, self.ahead
        for took, what, many, which, begin, end in recording._RECORD.iter_unpack(data[:whole]):
            if not end:
                return  # not written yet
            self._at += SIZE
            times = round(begin / recording._NS) - ahead, round(end / recording._NS) - ahead
            yield Record(what, many, which, *times, took - 1)

    def _begin(self, head: bytes) -> bool:
        """Read the header as it is now; return whether it is there."""
        fields = head[:CLOCK_AT].rstrip(b"\0")
        if len(head) < recording._HEADER * SIZE or not fields.endswith(b"}"):
            return False
        if not self.pid:
            values = json.loads(fields)
            self.pid, self.thread, self.ident = (values[k] for k in ("pid", "thread", "ident"))
            self.machine, self.host = values.get("machine", ""), values.get("host", "")
            self.spent = values.get("spent", 0.0)
        seconds, self.within = recording._CLOCK.unpack_from(head, CLOCK_AT)
        if more := round(seconds / recording._NS) - self.ahead:
            self.ahead += more
            self.move(-more)
        return True

    def move(self, nanoseconds: int) -> None:
        """Add this to the times of the records that were read before."""

    @property
    def full(self) -> bool:
        """Whether the file has its largest size."""
        return self._at >= recording._MOST_CHUNKS * recording._CHUNK * SIZE
