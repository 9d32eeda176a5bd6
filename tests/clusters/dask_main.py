"""A scheduler of Dask, or workers, until the standard input ends: nothing outlives the reader.

It prints its address in one line when it is ready. It is a program that needs Dask only, so it
runs on any machine.
"""

import asyncio
import sys
from collections.abc import Sequence
from contextlib import AsyncExitStack
from typing import Any

from distributed import Nanny, Scheduler


async def schedule(host: str) -> None:
    """Run a scheduler at a port that is free."""
    async with Scheduler(host=host, port=0, dashboard_address=f"{host}:0") as scheduler:
        await _until_the_end(scheduler.address)


async def work(scheduler: str, host: str, processes: int, threads: int) -> None:
    """Run workers, each in a process that a nanny starts again when it dies."""
    options: dict[str, Any] = {"host": host, "nthreads": threads, "memory_limit": 0}
    options["dashboard_address"] = f"{host}:0"
    async with AsyncExitStack() as stack:
        nannies = [Nanny(scheduler, **options) for _ in range(processes)]
        await asyncio.gather(*(stack.enter_async_context(nanny) for nanny in nannies))
        await _until_the_end(" ".join(nanny.worker_address for nanny in nannies))


async def _until_the_end(ready: str) -> None:
    print(ready, flush=True)
    loop = asyncio.get_running_loop()
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    await reader.read()


def main(arguments: Sequence[str]) -> None:
    """`scheduler HOST`, or `workers SCHEDULER HOST PROCESSES THREADS`."""
    what, *rest = arguments
    if what == "scheduler":
        asyncio.run(schedule(*rest))
    else:
        scheduler, host, processes, threads = rest
        asyncio.run(work(scheduler, host, int(processes), int(threads)))


if __name__ == "__main__":
    main(sys.argv[1:])
