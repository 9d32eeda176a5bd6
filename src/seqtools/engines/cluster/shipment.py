"""A pipeline on its way to the workers of a cluster.

Workers of this machine map the anonymous file that it is in, by the descriptor of this process;
so all of them share one copy of its arrays. Workers of other machines get a payload, which has the
contents of mapped files too.

The file ends with a byte that is 1 as long as the pipeline is wanted, which workers of this machine
look at before each item, and with a token, which names the pipeline.
"""

import mmap
import os
from typing import Any, NamedTuple

from seqtools._core.errors import WorkerStartError
from seqtools.engines.wire.shipment import PickledPipeline, nbytes_by_value, with_all_by_value

TOKEN_SIZE = 16
MOST_SENT = 1 << 30
"""Most bytes of a payload. Arbitrary: it travels to each other machine."""


class MemoryFile(NamedTuple):
    """Where workers of the consumer's machine find the file."""

    machine: str
    pid: int
    fd: int
    size: int

    @property
    def is_here(self) -> bool:
        """Whether this process is the consumer."""
        return self.pid == os.getpid() and self.machine == machine()


class _Pickled(PickledPipeline):
    instead = "method='thread'"
    everywhere = True


class Shipment:
    """The pipeline as it was when this was made.

    Args:
        source: What `get` and `hints` read.
        get: Evaluates items.
        hook: The start hook.
        hints: Where to send hints.

    Raises:
        WorkerStartError: If a stage, which the error names, cannot be pickled.
    """

    def __init__(self, source: Any, get: Any, hook: Any, hints: Any) -> None:
        pickled = _Pickled(source, get, hook, hints)
        self.by_value = pickled.by_value
        self.token = os.urandom(TOKEN_SIZE)  # a hash would read every array
        self._fd = pickled.write()
        self._size = os.fstat(self._fd).st_size
        os.pwrite(self._fd, b"\1" + self.token, self._size)
        size = self._size + 1 + TOKEN_SIZE
        self.memory = MemoryFile(machine(), os.getpid(), self._fd, size)
        self._payload: Any = None

    def payload(self) -> Any:
        """Return the pipeline as an array of bytes, for workers that cannot map the file.

        Raises:
            WorkerStartError: If it is too large.
        """
        if self._payload is None:
            import numpy as np

            memory = mmap.mmap(self._fd, self._size, access=mmap.ACCESS_READ)
            nbytes = nbytes_by_value(memory)
            if nbytes > MOST_SENT:
                message = (
                    f"the pipeline has {nbytes / 1e6:,.0f} MB, which workers on other machines "
                    f"would be sent: no more than {MOST_SENT / 1e6:,.0f} MB are; have the workers "
                    "read the data, from files that they all see"
                )
                raise WorkerStartError(message)
            self._payload = np.frombuffer(with_all_by_value(memory), np.uint8)
        return self._payload

    def end(self) -> None:
        """Tell workers of this machine that it is not wanted any more, and close the file."""
        if self._fd >= 0:
            os.pwrite(self._fd, b"\0", self._size)
            os.close(self._fd)
            self._fd = -1
        self._payload = None


def machine() -> str:
    """Return what identifies this machine, and the container that this process is in."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read() + os.readlink("/proc/self/ns/pid")
    except OSError:
        return ""
