"""Threads that read one iterable by index: it is gone through once, whoever comes first."""

import gc
import os
import sys
import threading
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, batch, collate, prefetch, smap, uniter
from seqtools._core.errors import StreamError
from seqtools._core.streams import Stream
from seqtools.instrument import check
from tests.faults.intruders import Intruder, everywhere
from tests.threads import LONG, elsewhere, together

STREAMS = (sys.modules[Stream.__module__].__file__ or "",)


class Counted:
    """Numbers, with a note of how often that was begun, and how many were made."""

    def __init__(self, n: int) -> None:
        self.n, self.started, self.made = n, 0, 0

    def __iter__(self) -> Iterator[int]:
        self.started += 1
        for i in range(self.n):
            self.made += 1
            yield i


@pytest.fixture
def hasty() -> Iterator[None]:
    """Have threads be interrupted by each other as often as can be."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    try:
        yield
    finally:
        sys.setswitchinterval(before)


def as_sized(source: Counted) -> LazySequence[int]:
    return uniter(source, size=source.n)


def as_once(source: Counted) -> LazySequence[int]:
    return uniter(iter(source))


KINDS = pytest.mark.parametrize("kind", [as_sized, uniter, as_once])


@KINDS
@pytest.mark.parametrize("window", [10, 100])
@pytest.mark.parametrize("k", [1, 3, 64])
@pytest.mark.parametrize("nworkers", [2, 8, "auto"])
@pytest.mark.usefixtures("hasty")
def test_read_ahead_goes_through_once(kind: Any, nworkers: Any, k: int, window: int) -> None:
    source = Counted(1000)  # the last batch is not full
    room = {} if nworkers == "auto" else {"max_cached": window}
    pipeline = batch(smap(str, kind(source)), k)
    with prefetch(pipeline, nworkers, "thread", **room) as p:
        assert [item for items in p for item in items] == [str(i) for i in range(1000)]
    assert (source.started, source.made) == (1, 1000)


@KINDS
def test_the_thread_of_a_later_batch_comes_first(kind: Any) -> None:
    source = Counted(40)
    batches = batch(smap(abs, kind(source)), 8)
    assert elsewhere(lambda: batches[1]) == list(range(8, 16))
    assert [batches[b][0] for b in (0, 2, 3, 4)] == [0, 16, 24, 32]
    assert (source.started, source.made) == (1, 40)


@KINDS
def test_batches_of_threads_that_come_in_between(kind: Any) -> None:
    """A batch is read as a block, although a function of its items lets others come in."""
    source = Counted(40)
    first_read, second_read = threading.Event(), threading.Event()

    def slow(i: int) -> int:
        if i == 0:
            first_read.set()
            assert second_read.wait(LONG)
        return i

    batches = batch(smap(slow, kind(source)), 20)

    def second() -> list[int]:
        assert first_read.wait(LONG)
        found: list[int] = batches[1]
        second_read.set()
        return found

    assert together(lambda: batches[0], second) == [list(range(20)), list(range(20, 40))]
    assert source.started == 1


def test_a_block_is_read_in_one_turn() -> None:
    """Also where a stage reads several parts of it, and another thread wants what is between."""
    numbers = uniter(iter(range(64)))
    pairs = batch(collate([numbers[::2], numbers[1::2]]), 8)
    with prefetch(pairs, 4, "thread") as p:
        assert [pair for pairs in p for pair in pairs] == [(i, i + 1) for i in range(0, 64, 2)]


def test_batches_of_batches() -> None:
    source = Counted(96)
    nested = batch(batch(uniter(iter(source)), 4), 3)
    with prefetch(nested, 4, "thread") as p:
        assert [i for outer in p for inner in outer for i in inner] == list(range(96))
    assert source.made == 96


def test_epochs_are_passes() -> None:
    source = Counted(100)
    with prefetch(batch(uniter(source, size=100), 10), 2, "thread") as p:
        for _ in range(3):
            assert [i for items in p for i in items] == list(range(100))
    # a thread may begin the second pass one item late
    assert source.started <= 6


@pytest.mark.parametrize("kind", [as_sized, as_once])
def test_error_of_an_iterator_is_that_of_its_item(kind: Any) -> None:
    class Failing(Counted):
        def __iter__(self) -> Iterator[int]:
            for i in super().__iter__():
                if i == 5:
                    raise OSError("lost")
                yield i

    batches = batch(kind(Failing(8)), 2)
    assert batches[1] == [2, 3]
    with pytest.raises(EvaluationError) as caught:
        batches[2]
    assert isinstance(caught.value.__cause__, OSError)
    assert [(step.stage, step.index) for step in caught.value.path] == [("batch", 2), ("uniter", 5)]


def test_error_of_a_function_leaves_the_rest_where_it_is() -> None:
    numbers = uniter(iter(range(8)))
    inverses = batch(smap(lambda x: 1 // (x - 1), numbers), 4)
    with pytest.raises(EvaluationError, match="ZeroDivisionError"):
        inverses[0]
    assert inverses[1] == [0, 0, 0, 0]


def test_what_is_passed_over_is_bounded() -> None:
    class Thing:
        pass

    alive: weakref.WeakSet[Thing] = weakref.WeakSet()

    def things() -> Iterator[Thing]:
        while True:
            thing = Thing()
            alive.add(thing)
            yield thing

    def spread() -> int:
        far = uniter(things())
        most = 0
        for i in range(0, 40_000, 10_000):
            far[i]
            gc.collect()
            most = max(most, len(alive))
        return most

    assert spread() <= 2  # nobody else is there to ask for them
    over = threading.Event()
    others = [threading.Thread(target=over.wait, args=(LONG,)) for _ in range(2)]
    for other in others:
        other.start()
    try:
        assert spread() <= 2  # and nobody else has read of this
        most = 2 + 16 * threading.active_count()
        assert 2 * 16 < elsewhere(spread) <= most
    finally:
        over.set()
        for other in others:
            other.join()


def test_reading_again_too_often_is_told_once() -> None:
    numbers = uniter(Counted(2000))
    pairs = smap(lambda a, b: (a, b), numbers[:1999], numbers[1:2000])
    with pytest.warns(
        RuntimeWarning, match=r"uniter \(.*\.py:\d+\) evaluated .* a cache_size of 1 or more"
    ) as told:
        assert [pairs[i] for i in range(200)] == [(i, i + 1) for i in range(200)]
    assert len(told) == 1
    source = Counted(2000)
    kept = uniter(source, cache_size=1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert list(smap(lambda a, b: (a, b), kept[:200], kept[1:201]))[-1] == (199, 200)
        for _ in range(9):
            assert list(uniter(source)) == list(range(2000))
    assert source.started == 10


def _outcome(numbers: LazySequence[int], i: int) -> object:
    try:
        return numbers[i]
    except EvaluationError as error:
        return type(error.__cause__)


@pytest.mark.parametrize("once", [False, True])
def test_an_interrupt_gives_no_item_for_another(*, once: bool) -> None:
    def scenario(intruder: Intruder) -> None:
        source = Counted(40)
        numbers = uniter(iter(source) if once else source, n_parallel=2)
        pairs = batch(numbers, 2)
        try:
            with intruder:
                assert (numbers[0], numbers[1], numbers[9], pairs[6]) == (0, 1, 9, [12, 13])
        except KeyboardInterrupt:
            pass
        for i in (14, 15, 16, 30):
            assert _outcome(numbers, i) in ([i, StreamError] if once else [i])
        assert once or list(numbers) == list(range(40))

    def interrupt() -> None:
        raise KeyboardInterrupt

    came = [intruder.came for intruder in everywhere(scenario, interrupt, where=STREAMS)]
    assert len(came) > 20
    assert all(came)


@pytest.mark.parametrize("once", [False, True])
def test_a_forked_child_has_an_iterator_of_its_own(*, once: bool) -> None:
    """The lock may be held by a thread that the child does not have, and a file be shared."""
    inside, over = threading.Event(), threading.Event()
    parent = os.getpid()

    class Waiting:
        def __iter__(self) -> Iterator[int]:
            yield 0
            if os.getpid() == parent:
                inside.set()
                assert over.wait(LONG)
            yield 1

    source = iter(Waiting()) if once else Waiting()
    numbers = uniter(source)
    other = threading.Thread(target=lambda: numbers[1])
    other.start()
    try:
        assert inside.wait(LONG)
        pid = os.fork()
        if not pid:
            status = 1
            try:
                if once:
                    with pytest.raises(EvaluationError, match="cannot be read in a forked process"):
                        numbers[1]
                else:
                    assert list(numbers) == [0, 1]
                status = 0
            finally:
                os._exit(status)
        assert os.waitpid(pid, 0)[1] == 0
    finally:
        over.set()
        other.join(LONG)
    assert not other.is_alive()


def test_an_iterable_that_reads_itself() -> None:
    def loop() -> Iterator[int]:
        yield 0
        yield numbers[1]

    numbers: LazySequence[int] = uniter(loop())
    with pytest.raises(EvaluationError):
        numbers[1]
    assert _outcome(numbers, 0) in (0, StreamError)


@pytest.mark.parametrize("nworkers", [2, "auto"])
def test_worker_processes_that_go_through_all_are_found(nworkers: Any) -> None:
    def found(numbers: Any, **options: Any) -> list[str]:
        return [f.what for f in check(prefetch(batch(numbers, 2), nworkers, **options), items=0)]

    (what,) = found(uniter(range(8)), method="process")
    assert what.endswith("iterates over all of the iterable, and skips the items of others")
    assert found(uniter(range(8)), method="thread") == []
    (what,) = found(uniter(iter(range(8))), method="process", start_method="fork")
    assert what.startswith("an iterator cannot be read in forked workers")
