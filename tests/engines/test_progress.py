"""What a worker is at, read while it goes on."""

import mmap
import os
import subprocess
import sys
import time

from seqtools.engines.wire.progress import NBYTES, ProgressMark

_WRITES = """
import mmap, sys
from seqtools.engines.wire.progress import ProgressMark
memory = mmap.mmap(int(sys.argv[1]), 0)
progress, place = ProgressMark(memoryview(memory)[:16]), 0
while not memory[16]:
    place += 1
    progress.tell(7, place)
"""


def test_it_is_whole_whenever_it_is_read() -> None:
    fd = os.memfd_create("test")
    os.ftruncate(fd, mmap.PAGESIZE)
    memory = mmap.mmap(fd, 0)
    progress, began = ProgressMark(memoryview(memory)[:NBYTES]), time.monotonic()
    with subprocess.Popen([sys.executable, "-c", _WRITES, str(fd)], pass_fds=[fd]) as writer:
        os.close(fd)
        try:
            while progress.read()[0] == 0:
                assert writer.poll() is None
            last = (0, began)
            for _ in range(100_000):
                block, place, since = progress.read()
                assert block == 7
                assert (place, since) >= last
                assert since >= last[1]
                last = place, since
        finally:
            memory[NBYTES] = 1
    assert writer.returncode == 0


def test_nothing_is_told_at_first() -> None:
    assert ProgressMark(memoryview(bytearray(NBYTES))).read() == (0, 0, 0.0)


def test_the_last_block_and_place_have_room() -> None:
    progress = ProgressMark(memoryview(bytearray(NBYTES)))
    progress.tell(0xFFFFFFFF, 0xFFFFFFFF)
    assert progress.read()[:2] == (0xFFFFFFFF, 0xFFFFFFFF)
