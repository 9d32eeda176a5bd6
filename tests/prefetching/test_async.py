"""`async for`: the event loop goes on, and no item is lost."""

import asyncio
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Container, Iterator
from contextlib import suppress
from itertools import chain
from typing import Any

import pytest

import seqtools as st
from seqtools import EvaluationError
from seqtools._core import asynchronous
from tests.engines.engines import OPTIONS
from tests.threads import LONG, together

THREAD = {"nworkers": 2, "method": "thread", "max_cached": 50}


class Gate:
    """A function of items, some of which wait until they are let through."""

    def __init__(self, waits: Container[int]) -> None:
        self.waits = waits
        self.begun, self.open = threading.Event(), threading.Event()

    def __call__(self, i: int) -> int:
        if i in self.waits:
            self.begun.set()
            assert self.open.wait(LONG)
        return i

    async def reached(self) -> None:
        assert await asyncio.to_thread(self.begun.wait, LONG)


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate([0])
    yield gate
    gate.open.set()


WAYS: dict[str, Callable[[Any], Any]] = {
    "thread": lambda source: st.prefetch(source, **THREAD),
    "unordered": lambda source: st.prefetch(source, **THREAD, ordered=False),
    "inline": lambda source: st.prefetch(source, 0),
    "slice": lambda source: st.prefetch(source, **THREAD)[:],
    "no prefetch": lambda source: source,
}


@pytest.fixture(params=WAYS)
def read(request: pytest.FixtureRequest) -> Iterator[Callable[[Any], Any]]:
    yield WAYS[request.param]
    st.close_all()


def waiting() -> list[threading.Thread]:
    return [each for each in threading.enumerate() if each.name == "seqtools-await"]


async def some_turns() -> None:
    """Let threads and other tasks go on, for so long that a loop that can be blocked is blocked."""
    for _ in range(100):
        await asyncio.to_thread(int)


async def rest(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


@pytest.mark.parametrize("name", OPTIONS)
def test_it_gives_what_a_loop_gives(name: str) -> None:
    async def main() -> None:
        with st.prefetch(st.smap(abs, range(50)), **OPTIONS[name]) as p:
            assert [item async for item in p] == list(range(50))
            assert [item async for item in p[40::-7]] == list(range(40, -1, -7))
            assert [item async for item in p[[3, 1]]] == [3, 1]

    asyncio.run(main())


def test_the_loop_goes_on(read: Callable[[Any], Any], gate: Gate) -> None:
    async def main() -> None:
        items = aiter(read(st.smap(gate, range(1))))
        first = asyncio.ensure_future(anext(items))
        await gate.reached()  # the loop runs while the item is evaluated
        assert not first.done()
        gate.open.set()
        assert await first == 0
        assert await anext(items, "end") == "end"
        assert await anext(items, "end") == "end"

    asyncio.run(main())


def test_a_cancelled_task_loses_no_item(read: Callable[[Any], Any], gate: Gate) -> None:
    async def main() -> None:
        items = aiter(read(st.smap(gate, range(5))))
        taken = []
        first = asyncio.ensure_future(anext(items))
        await gate.reached()
        with suppress(TimeoutError):
            taken.append(await asyncio.wait_for(first, 0.001))  # unordered: another one
        before = items.state_dict()
        gate.open.set()
        for each in waiting():
            await asyncio.to_thread(each.join, LONG)
        assert items.state_dict() == before  # what nobody has received does not count
        assert sorted([*taken, *await rest(items)]) == list(range(5))
        assert items.state_dict()["position"] == 5

    asyncio.run(main())


def test_an_iterator_goes_on_in_another_loop(read: Callable[[Any], Any], gate: Gate) -> None:
    items = aiter(read(st.smap(gate, [0, 0, 0])))

    async def begin() -> None:
        first = asyncio.ensure_future(anext(items))
        await gate.reached()
        first.cancel()

    asyncio.run(begin())
    gate.open.set()
    assert asyncio.run(rest(items)) == [0, 0, 0]


def test_an_error_is_that_of_one_item(read: Callable[[Any], Any]) -> None:
    async def main() -> None:
        items = aiter(read(st.smap(lambda x: 1 // x, [1, 0, 1])))
        found: list[Any] = []
        while len(found) < 3:
            try:
                found.append(await anext(items))
            except EvaluationError as error:
                found.append(error.index)
        assert found == [1, 1, 1]
        assert await rest(items) == []

    asyncio.run(main())


def test_ready_items_need_no_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[None] = []
    turns: list[None] = []

    class Counted(asynchronous._Thread):
        def __init__(self, function: Callable[[], Any]) -> None:
            started.append(None)
            super().__init__(function)

    async def main() -> None:
        with st.prefetch(st.smap(abs, range(400)), **THREAD) as p:
            items = aiter(p)
            other = asyncio.ensure_future(others())
            for i in range(400):
                ready, before = items._walk.is_ready(), len(started)
                had = len(turns)
                assert await anext(items) == i
                assert len(started) == before or not ready
                assert len(turns) > had  # other tasks had their turn
            other.cancel()

    async def others() -> None:
        while True:
            turns.append(None)
            await asyncio.sleep(0)

    monkeypatch.setattr(asynchronous, "_Thread", Counted)
    monkeypatch.setattr(asynchronous, "_LONGEST", 0)
    asyncio.run(main())
    assert len(started) < 400


def test_tasks_share_an_iterator(read: Callable[[Any], Any]) -> None:
    async def main() -> None:
        items = aiter(read(st.smap(abs, range(60))))
        lists = await asyncio.gather(rest(items), rest(items), rest(items))
        assert sorted(chain(*lists)) == list(range(60))

    asyncio.run(main())


def test_a_task_that_waits_gets_no_item_when_closed(gate: Gate) -> None:
    async def main() -> None:
        with st.prefetch(st.smap(gate, range(3)), **THREAD) as p:
            items = aiter(p)
            tasks = [asyncio.ensure_future(anext(items, "end")) for _ in range(2)]
            await gate.reached()
            await items.aclose()
            assert await asyncio.gather(*tasks) == ["end", "end"]
            gate.open.set()

    asyncio.run(main())


@pytest.mark.parametrize("how", ["closed", "dropped"])
def test_a_thread_that_waits_ends_with_its_iterator(gate: Gate, how: str) -> None:
    async def main() -> None:
        with st.prefetch(st.smap(gate, range(3)), **THREAD) as p:
            items = aiter(p)
            first = asyncio.ensure_future(anext(items))
            await gate.reached()
            first.cancel()
            with suppress(asyncio.CancelledError):
                await first
            (thread,) = waiting()
            if how == "closed":
                await items.aclose()
                assert await rest(items) == []
                with pytest.raises(RuntimeError, match="is closed: make another one"):
                    items.state_dict()
            del items, first
            await asyncio.to_thread(thread.join, LONG / 2)  # the gate gives up after LONG
            assert not thread.is_alive()
            gate.open.set()
            assert list(p) == [0, 1, 2]

    asyncio.run(main())


def test_ctrl_c_ends_the_loop(gate: Gate) -> None:
    async def interrupt() -> None:
        await gate.reached()
        signal.raise_signal(signal.SIGINT)

    async def main() -> None:
        other = asyncio.ensure_future(interrupt())
        async for _ in p:
            pass
        await other

    with st.prefetch(st.smap(gate, range(1)), **THREAD) as p:
        with pytest.raises(KeyboardInterrupt):
            asyncio.run(main())
        assert not gate.open.is_set()
        gate.open.set()


def test_ends_that_are_not_known(read: Callable[[Any], Any]) -> None:
    source = read(st.uniter(iter(range(20))))
    assert sorted(asyncio.run(rest(aiter(source)))) == list(range(20))


def test_an_end_before_the_last_item(gate: Gate) -> None:
    async def main() -> None:
        with st.prefetch(source, **THREAD, ordered=False) as p:
            items = asyncio.ensure_future(rest(aiter(p)))
            await gate.reached()
            await some_turns()  # meanwhile the end arrives
            gate.open.set()
            assert await items == [0]

    source = st.smap(gate, st.uniter(iter(range(1))))
    asyncio.run(main())


def test_a_state_of_items_out_of_order(gate: Gate) -> None:
    with st.prefetch(st.smap(gate, range(200)), **THREAD, ordered=False) as p:
        items = iter(p)
        read = [next(items) for _ in range(4)]
        state = items.state_dict()
        gate.open.set()

    async def main() -> None:
        with st.prefetch(st.smap(others, range(200)), **THREAD, ordered=False) as p:
            again = aiter(p)
            again.load_state_dict(state)
            left = asyncio.ensure_future(rest(again))
            await others.reached()
            await some_turns()
            others.open.set()
            assert sorted([*read, *await left]) == list(range(200))
            assert again.state_dict()["position"] == 200

    others = Gate(range(state["position"], 200))
    asyncio.run(main())


def test_event_loops_of_several_threads_share_an_iterator(read: Callable[[Any], Any]) -> None:
    items = aiter(read(st.smap(abs, range(300))))
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        parts = together(*[lambda: asyncio.run(rest(items))] * 3)
    finally:
        sys.setswitchinterval(interval)
    assert [part for part in parts if isinstance(part, BaseException)] == []
    assert sorted(chain.from_iterable(parts)) == list(range(300))
