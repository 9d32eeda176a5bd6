"""`async for` over items that are ready or take little time: other tasks run."""

import asyncio
import signal
import threading
from collections.abc import AsyncIterator, Callable, Iterator
from contextvars import Context
from functools import partial
from itertools import count
from typing import Any

import pytest

import seqtools as st
from seqtools._core import asynchronous
from tests.prefetching.test_async import WAYS, rest
from tests.threads import LONG


@pytest.fixture(params=WAYS)
def items(request: pytest.FixtureRequest) -> Iterator[Callable[[int], AsyncIterator[int]]]:
    yield lambda n: aiter(WAYS[request.param](st.smap(abs, range(n))))
    st.close_all()


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Items are there before the event loop goes on, a millisecond after each other."""

    class Finished(asynchronous._Thread):
        def __init__(self, function: Callable[[], Any]) -> None:
            self.ran = threading.Event()
            super().__init__(function)
            assert self.ran.wait(LONG)

        def _run(self, function: Callable[[], Any], context: Context) -> None:
            super()._run(function, context)
            self.ran.set()

    monkeypatch.setattr(asynchronous, "_Thread", Finished)
    monkeypatch.setattr(asynchronous, "_of_this_thread", threading.local())
    monkeypatch.setattr(asynchronous, "monotonic", partial(next, count(1.0, 0.001)))


@pytest.mark.parametrize("lengths", [[400], [3] * 100])
def test_other_tasks_run_between_quick_items(
    items: Callable[[int], Any], lengths: list[int]
) -> None:
    turns: list[None] = []

    async def others() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    async def main() -> None:
        other = asyncio.ensure_future(others())
        for n in lengths:
            assert sorted(await rest(items(n))) == list(range(n))
        assert len(turns) >= sum(lengths) // 10
        other.cancel()

    asyncio.run(main())


def test_quick_items_can_be_cancelled(items: Callable[[int], Any]) -> None:
    async def main() -> None:
        iterator = items(400)
        reading = asyncio.ensure_future(rest(iterator))
        asyncio.get_running_loop().call_later(0, reading.cancel)
        with pytest.raises(asyncio.CancelledError):
            await reading
        assert iterator.state_dict()["position"] < 100

    asyncio.run(main())


def test_one_ctrl_c_ends_quick_items(items: Callable[[int], Any]) -> None:
    received = []

    async def main() -> None:
        async for item in items(400):
            received.append(item)
            if len(received) == 5:
                signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        asyncio.run(main())
    assert len(received) < 100
