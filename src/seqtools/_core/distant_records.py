"""Records of threads that cannot write into the folder, because it is on another machine.

They stay in memory, so that nothing is left behind wherever that is, and whatever happens there.
"""

import os
import threading
from collections.abc import Callable
from time import perf_counter_ns

from seqtools._core.record_files import end_of
from seqtools._core.recording import SIZE, Recorder, RecordFolder, SentRecords, thread_fields

_PART = 1 << 10
"""Records for which memory is taken at a time. Arbitrary: 41 kB."""
_MOST_PARTS = 1 << 8
"""Most memory for records of a thread that are not taken: 10 MB. Arbitrary."""


class MemoryRecorder(Recorder):
    """Keeps the records of one thread until they are taken."""

    __slots__ = ("_parts", "_sent", "_taken", "_thread", "fields")

    def __init__(self) -> None:
        self.fields = {**thread_fields(), "began": perf_counter_ns()}
        self._thread = threading.current_thread()
        self._parts: list[bytearray] = []  # the last one is written to
        self._taken = 0  # bytes of the first part that were taken
        self._sent = 0  # bytes that were taken in all
        super().__init__("")

    def head(self) -> None:
        """Write nothing: the header is sent."""

    def extend(self) -> None:
        """Begin another part; while there are too many that nobody takes, records are lost."""
        self.lose()
        if len(self._parts) < _MOST_PARTS:
            self.view = part = bytearray(_PART * SIZE)
            self.last = len(part)
            self._parts.append(part)

    def take(self) -> tuple[int, bytes]:
        """Return how many bytes were taken before, and the records since then.

        For one other thread at a time. Meanwhile, this one may go on.
        """
        before, data, parts = self._sent, bytearray(), self._parts
        while parts:
            part = parts[0]
            is_full = len(parts) > 1
            end = end_of(part, self._taken)
            data += part[self._taken : end]
            self._taken = end
            if not is_full:
                break
            del parts[0]
            self._taken = 0
        self._sent += len(data)
        return before, bytes(data)

    @property
    def is_over(self) -> bool:
        """Whether its thread has ended."""
        return not self._thread.is_alive()


class DistantFolder(RecordFolder):
    """A folder that this process cannot write to."""

    __slots__ = ("_lock", "_recorders")

    def renew(self) -> None:
        """See `seqtools._core.at_fork`."""
        super().renew()
        self._lock = threading.Lock()
        self._recorders: list[MemoryRecorder] = []

    def new_recorder(self) -> Recorder:
        """Return a recorder for this thread."""
        recorder = MemoryRecorder()
        self._recorders.append(recorder)
        return recorder

    def take(self) -> list[SentRecords]:
        """Return the records since the last call, of all threads."""
        found = []
        with self._lock:
            recorders = self._recorders
            for recorder in [*recorders]:
                is_over = recorder.is_over
                before, data = recorder.take()
                if data:
                    found.append(SentRecords(self.folder, recorder.fields, before, data))
                if is_over:
                    recorders.remove(recorder)
        return found


def folders(*, is_near: bool) -> Callable[[str], RecordFolder]:
    """Return what makes the object for a folder of the consumer, which may be on this machine.

    The folder may be hidden from this process all the same.
    """

    def make(folder: str) -> RecordFolder:
        is_writable = is_near and os.access(folder, os.W_OK | os.X_OK)
        return RecordFolder(folder) if is_writable else DistantFolder(folder)

    return make
