"""The tasks of an engine on Dask: what the loop of the client does, in its thread."""

import asyncio
import itertools
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, NamedTuple

from seqtools.engines.cluster import remote
from seqtools.engines.cluster.dask_fitness import WorkerFitness
from seqtools.engines.cluster.dask_places import WorkerPlaces
from seqtools.engines.cluster.shipment import Shipment
from seqtools.engines.cluster.transport import Notify, Place
from seqtools.engines.dispatch.serving import serving

_LOOK_SOON, _LOOK = 0.1, 1.0
"""Seconds between two looks at the workers: after one has died, and otherwise. Arbitrary."""
_PATIENCE = 3.0
"""Seconds in which a worker that has come should answer. Arbitrary."""
_LONGEST_CLOSE = 1.5
"""Seconds in which workers should forget the pipeline. Arbitrary."""
_FAILED = ("error", "cancelled", "lost")
"""What is the state of a task that will have no result."""
_PIECE = 4 << 20
"""Bytes of a task that is a part of the pipeline. Dask warns of tasks of 10 MB."""


class PostedCall(NamedTuple):
    """A task that was submitted."""

    future: Any
    place: Place
    restarts: int
    """How often tasks were lost before."""


class DaskTasks:
    """The tasks that were submitted.

    Args:
        client: The client of Dask, which may also be set later.
        workers: The workers, which are followed.
    """

    _notify: Notify
    _fitness: WorkerFitness
    _where: tuple[str, Any]
    """Address and security of the scheduler."""

    def __init__(self, client: Any, workers: WorkerPlaces) -> None:
        self._client, self._workers = client, workers
        self._shipment: Shipment | None = None
        self._name = ""
        self._numbers = itertools.count()
        self._calls: dict[int, PostedCall] = {}
        self._pieces: list[Any] = []
        self._watching: Any = None
        self._hurry = False

    def _submit(self, function: Callable[..., Any], *arguments: Any, **options: Any) -> Any:
        key = f"{self._name}-{next(self._numbers)}"
        return self._client.submit(function, *arguments, key=key, pure=False, retries=0, **options)

    def _payload(self) -> list[Any]:
        """Return tasks whose results are the pieces of the pipeline.

        Scattered data would be lost with its worker; a task is computed again.
        """
        failed = [piece for piece in self._pieces if piece.status in _FAILED]
        if failed or not self._pieces:
            self._withdraw(failed)
            assert self._shipment is not None  # noqa: S101 -- for mypy
            data = memoryview(self._shipment.payload())
            self._pieces = [
                self._submit(bytes, bytes(data[at : at + _PIECE]))
                for at in range(0, len(data), _PIECE)
            ]
        return self._pieces

    def _withdraw(self, futures: list[Any]) -> None:
        """Cancel tasks at the scheduler, which may know them although the client does not.

        A client that is told of a restart forgets all tasks, also those that it has sent since. To
        release them then says nothing to the scheduler.
        """
        if futures:
            self._client.loop.add_callback(self._cancel, futures)

    def _look_soon(self) -> None:
        self._hurry = True
        self._notify(0, None)

    def _follow(self, number: int, future: Any, *, waking: bool) -> None:
        """Have the loop notify once a task is done; `waking` is one that has a worker come."""
        self._client.loop.add_callback(self._wait, number, future, waking)

    def _begin(self, token: bytes) -> None:
        """Follow the workers."""
        self._name = f"seqtools-{token.hex()}"
        loop = self._client.loop.asyncio_loop
        self._watching = asyncio.run_coroutine_threadsafe(self._watch(), loop)

    def _end(self) -> None:
        """Leave nothing in a cluster that goes on."""
        if self._watching is not None:
            self._watching.cancel()
        if self._shipment is not None and self._client is not None:
            with suppress(Exception):
                if self._client.status == "running":
                    self._run(self._leave(self._shipment.token), 2 * _LONGEST_CLOSE)
                else:
                    asyncio.run(_evict(*self._where, self._shipment.token))
        self._forget_all()

    def _forget_all(self) -> None:
        if self._watching is not None:
            self._watching.cancel()
        self._calls.clear()
        self._pieces.clear()

    def _run(self, coroutine: Any, seconds: float) -> Any:
        """Return what a coroutine returns that runs in the loop of the client."""
        loop = self._client.loop.asyncio_loop
        try:
            future = asyncio.run_coroutine_threadsafe(coroutine, loop)
        except RuntimeError:
            coroutine.close()
            raise
        try:
            return future.result(seconds)
        finally:
            future.cancel()

    # In the thread of the client's loop

    async def _wait(self, number: int, future: Any, waking: bool) -> None:  # noqa: FBT001
        """Wait for a task, and notify; after one that has had a worker come, look at that first."""
        raw = error = None
        try:
            [raw] = await self._client.gather([future], direct=True, asynchronous=True)
        except BaseException as caught:  # noqa: BLE001 -- told to the engine
            error = caught
        future.release()
        if waking and error is None:
            with suppress(Exception):
                await self._update(_PATIENCE)
            self._notify(0, None)
        self._notify(number, (number, raw, error))
        error = None  # it refers to this frame

    async def _watch(self) -> None:
        """Follow which workers there are, until the end."""
        serving.serves = True  # an engine may be collected as garbage in this thread
        delay = _LOOK_SOON
        while self._client.status in {"running", "connecting"}:
            with suppress(Exception):
                if await self._update(_LOOK_SOON):
                    self._notify(0, None)
                await self._recall()
            delay = _LOOK_SOON if self._hurry else min(2 * delay, _LOOK)
            self._hurry = False
            await asyncio.sleep(delay)

    async def _recall(self) -> None:
        """Cancel tasks for workers that have gone, which the scheduler would keep for them."""
        here = self._workers.addresses
        lost = [
            call.future
            for call in [*self._calls.values()]
            if call.place.address is not None and call.place.address not in here
        ]
        if lost:
            await self._cancel(lost)

    async def _cancel(self, futures: list[Any]) -> None:
        await self._client.cancel(futures, asynchronous=True, force=True)

    async def _update(self, seconds: float) -> bool:
        """Take the workers that there are, if they can be used; return whether that has changed."""
        known, times_forgotten = self._fitness.unfit, self._workers.times_forgotten
        fit = await self._fitness.fit(await self._ask(), seconds)
        return self._workers.update(fit, times_forgotten) or known != self._fitness.unfit

    async def _ask(self) -> Mapping[str, Any]:
        """Return the workers, by their addresses."""
        scheduler = self._client.scheduler
        found: Mapping[str, Any] = (await scheduler.identity(n_workers=-1))["workers"]
        return found

    async def _leave(self, token: bytes) -> None:
        """Leave nothing in the cluster."""
        client = self._client
        futures = [*[call.future for call in self._calls.values()], *self._pieces]
        self._fitness.end()
        if futures:
            await self._cancel(futures)
        for future in futures:
            future.release()
        evicting = client.run(remote.evict, token, on_error="ignore", asynchronous=True)
        await asyncio.wait_for(evicting, _LONGEST_CLOSE)


def work(call: tuple[Any, ...], *pieces: bytes) -> tuple[Any, ...]:
    """Return what `remote.work` does, in a worker."""
    return remote.work(call, b"".join(pieces) if pieces else None)


async def _evict(address: str, security: Any, token: bytes) -> None:
    """Have all workers forget a pipeline, although the user has closed the client.

    Closing it has recalled all tasks.
    """
    from distributed import Client

    options = {"security": security, "set_as_default": False, "timeout": _LONGEST_CLOSE}
    async with Client(address, asynchronous=True, **options) as client:
        evicting = client.run(remote.evict, token, on_error="ignore")
        await asyncio.wait_for(evicting, _LONGEST_CLOSE)
