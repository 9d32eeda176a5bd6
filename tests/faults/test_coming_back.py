"""Code that comes in between, and uses the same prefetch: signal handlers and finalizers."""

import gc
import os
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seqtools
from tests.engines.engines import OPTIONS
from tests.engines.fifo import Fifo
from tests.faults.intruders import Intruder, everywhere

MakeFifo = Callable[[], Fifo]
N = 40
SOURCE = seqtools.smap(abs, range(N))
AHEAD = [name for name in OPTIONS if name != "inline"]
STEP = 17
"""Each act comes at every seventeenth place, and each at others."""


def made(**options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(SOURCE, 2, max_cached=24, **options)


def by_index(p: seqtools.Prefetch[Any]) -> None:
    assert p[7] == 7


def or_refused(act: Callable[[], object]) -> None:
    """Do `act`, an iteration, which is refused while the interrupted read changes the window."""
    try:
        act()
    except RuntimeError as error:
        assert "cannot iterate over a prefetch in a signal handler" in str(error)  # noqa: PT017 -- or none


def by_iterator(p: seqtools.Prefetch[Any]) -> None:
    def act() -> None:
        items = iter(p[20:])
        assert sorted(next(items) for _ in range(20)) == list(range(20, 40))

    or_refused(act)


def all_of_it(p: seqtools.Prefetch[Any]) -> None:
    def act() -> None:
        assert sorted(p) == list(range(N))

    or_refused(act)


def by_stage(p: seqtools.Prefetch[Any]) -> None:
    assert list(seqtools.batch(p, 4)[1]) == [4, 5, 6, 7]


def close(p: seqtools.Prefetch[Any]) -> None:
    p.close()


def refresh(p: seqtools.Prefetch[Any]) -> None:
    p.refresh()


def close_all(p: seqtools.Prefetch[Any]) -> None:
    del p
    seqtools.close_all()


def drop_iterators(p: seqtools.Prefetch[Any]) -> None:
    iterators = [iter(p), iter(p[3:]), iter(p)]
    or_refused(lambda: [next(items) for items in iterators[1:]])
    del iterators[1]


def use_another(p: seqtools.Prefetch[Any]) -> None:
    del p
    with made() as other:
        assert list(other[:9]) == list(range(9))


def collect(p: seqtools.Prefetch[Any]) -> None:
    del p
    gc.collect()


ACTS = [
    by_index, by_iterator, all_of_it, by_stage, close, refresh, close_all, drop_iterators,
    use_another, collect,
]  # fmt: skip


@pytest.mark.one_of(2)
@pytest.mark.parametrize("ordered", [True, False])
@pytest.mark.parametrize("act", ACTS)
def test_a_signal_handler_may_use_what_it_interrupts(
    act: Callable[[seqtools.Prefetch[Any]], None], *, ordered: bool
) -> None:
    using: list[seqtools.Prefetch[Any]] = []

    def read(intruder: Intruder) -> None:
        with made(ordered=ordered) as p:
            using[:] = [p]
            with intruder:
                seen = [*p]
            assert (seen if ordered else sorted(seen)) == list(range(N))

    came = [each.came for each in everywhere(read, lambda: act(using[0]), ACTS.index(act), STEP)]
    using.clear()
    assert any(came)


@pytest.mark.one_of(2)
@pytest.mark.parametrize("act", ACTS)
def test_a_signal_handler_may_use_what_reads_by_index(
    act: Callable[[seqtools.Prefetch[Any]], None],
) -> None:
    using: list[seqtools.Prefetch[Any]] = []
    order = [0, 1, 2, 9, 3, 30, 31, 5]

    def read(intruder: Intruder) -> None:
        with made() as p:
            using[:] = [p]
            with intruder:
                assert [p[i] for i in order] == order

    came = [each.came for each in everywhere(read, lambda: act(using[0]), ACTS.index(act), STEP)]
    using.clear()
    assert any(came)


@pytest.fixture
def handle() -> Iterator[Callable[[Callable[[], object]], None]]:
    """Return a function that has something called when a signal comes, for the time of a test."""
    before = signal.getsignal(signal.SIGUSR1)
    yield lambda act: signal.signal(signal.SIGUSR1, lambda *_: act()) and None
    signal.signal(signal.SIGUSR1, before)


@pytest.mark.filterwarnings("ignore:thread .* is still evaluating")  # item 3, when it is closed
@pytest.mark.parametrize("method", AHEAD)
@pytest.mark.parametrize("act", [by_index, by_iterator, close, refresh])
def test_a_signal_handler_may_use_what_waits(
    act: Callable[[seqtools.Prefetch[Any]], None],
    method: str,
    fifo: MakeFifo,
    handle: Callable[[Callable[[], object]], None],
) -> None:
    begun, gate, handled = fifo(), fifo(), threading.Event()

    def get(i: int) -> int:
        if i == 3:
            begun.send()
            gate.wait()
        return i

    p = seqtools.prefetch(seqtools.smap(get, range(N)), **OPTIONS[method])

    def use() -> None:
        act(p)
        handled.set()

    def disturb() -> None:
        begun.wait()
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
        gate.send(3)  # it may be evaluated again
        handled.wait()

    handle(use)
    thread = threading.Thread(target=disturb, daemon=True)
    thread.start()
    assert list(p) == list(range(N))
    thread.join()
    assert handled.is_set()
    p.close()


class Garbage:
    """A value in a cycle; the first of each reads where it comes from when it is collected."""

    source: Any = None
    read: dict[int, bool] = {}  # noqa: RUF012 -- whether that was right, by index

    def __init__(self, i: int) -> None:
        self.i, self.me = i, self
        gc.collect()

    def __del__(self) -> None:
        source, i = Garbage.source, self.i
        if source is not None and i not in Garbage.read:
            Garbage.read[i] = False
            Garbage.read[i] = source[i % 5].i == i % 5


@pytest.fixture
def often() -> Iterator[None]:
    """Have garbage collected at almost every allocation."""
    before = gc.get_threshold()
    gc.freeze()  # what is there stays, so that all else is collected at once
    gc.set_threshold(1, 1, 1)
    yield
    gc.set_threshold(*before)
    gc.unfreeze()
    Garbage.source = None
    Garbage.read.clear()
    gc.collect()


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("ordered", [True, False])
def test_finalizers_of_values_may_read_where_the_values_come_from(*, ordered: bool) -> None:
    n = 30
    made = seqtools.smap(Garbage, range(n))

    def collected(x: Garbage) -> int:
        gc.collect()
        return x.i

    with seqtools.prefetch(made, 2, max_cached=8, ordered=ordered) as p:
        Garbage.source = p
        reader = threading.Thread(target=lambda: [collected(x) for x in p[:20]], daemon=True)
        reader.start()
        found = [collected(x) for x in p]
        reader.join()
        assert (found if ordered else sorted(found)) == list(range(n))
        assert [p[i].i for i in (3, 29, 0)] == [3, 29, 0]
        while len(Garbage.read) < n or not all(Garbage.read.values()):
            gc.collect()  # which does nothing while another thread collects
        Garbage.source = None


@pytest.mark.usefixtures("often")
@pytest.mark.parametrize("method", AHEAD)
def test_garbage_may_be_collected_at_any_moment(method: str) -> None:
    for _ in range(3):
        p = seqtools.prefetch(SOURCE, max_cached=8, **OPTIONS[method])
        kept: list[Any] = [iter(p), p]
        kept.append(kept)  # it ends in the midst of the next one
        assert next(kept[0]) == 0
        assert [*p[5:20]] == list(range(5, 20))
        del p, kept
    gc.collect()


@pytest.mark.parametrize("method", AHEAD)
def test_a_prefetch_may_be_closed_by_finalizers(method: str) -> None:
    class Closes:
        def __init__(self, p: Any) -> None:
            self.p, self.me = p, self

        def __del__(self) -> None:
            self.p.close()
            self.p.close()

    p = seqtools.prefetch(SOURCE, **OPTIONS[method])
    seen = []
    for i, x in enumerate(p):
        seen.append(x)
        if i % 10 == 5:
            Closes(p)
            gc.collect()
    assert seen == list(range(N))
    p.close()


def test_what_is_dropped_in_a_forked_child_is_not_asked_of_its_parent() -> None:
    with seqtools.prefetch(SOURCE, 1, "process", max_cached=4) as p:
        items, others = iter(p), [iter(p), iter(p[20:])]
        assert [next(items), next(others[0]), next(others[1])] == [0, 0, 20]
        pid = os.fork()
        if pid == 0:
            others.clear()
            os._exit(0)
        assert os.waitpid(pid, 0)[1] == 0
        assert [*items] == list(range(1, N))
        assert [next(each) for each in others] == [1, 21]
