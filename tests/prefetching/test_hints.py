"""Hints flow upstream: what is going to be read is loaded while stages downstream compute."""

import gc
import threading
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence
from seqtools._core.indices import Indices
from seqtools._core.readahead import Wanted
from seqtools.extend import Traits
from seqtools.prefetching.hints import Hints, groups, hints
from tests.engines.engines import OPTIONS


class Source:
    """Items that are made when the test says so, and a record of who made them."""

    def __init__(self, n: int) -> None:
        self.n = n
        self.made: list[int] = []
        self.threads: set[str] = set()
        self.allowed = threading.Semaphore(0)
        self.begun = threading.Semaphore(0)
        self.ended = threading.Semaphore(0)
        self.bad: set[int] = set()

    def __len__(self) -> int:
        return self.n

    def __getitem__(self, i: int) -> int:
        self.begun.release()
        self.allowed.acquire()
        self.made.append(i)
        self.threads.add(threading.current_thread().name)
        self.ended.release()
        if i in self.bad:
            raise OSError(i)
        return -i

    def let(self, n: int) -> None:
        """Let `n` items be made, and wait for them."""
        for _ in range(n):
            self.begun.acquire()
            self.allowed.release()
            self.ended.acquire()


def ended(name: str = "seqtools-reader") -> None:
    """Wait for background threads to end."""
    for thread in threading.enumerate():
        if thread.name == name:
            thread.join()


@pytest.fixture
def made() -> Any:
    """Make sources, and let all that they wait for be made at the end of the test."""
    sources: list[Source] = []

    def make(n: int) -> Source:
        sources.append(Source(n))
        return sources[-1]

    yield make
    for source in sources:
        source.allowed.release(1000)
    ended()


@pytest.fixture
def told(made: Any) -> Any:
    """Give hints to a sequence, and take them back at the end of the test."""
    del made  # it is torn down after this
    given: list[Hints] = []

    def tell(sequence: LazySequence[Any], indices: Indices) -> Hints:
        found = hints(sequence)
        assert found is not None
        given.append(found)
        found(indices)
        return found

    yield tell
    for each in given:
        each.end()


Make = Callable[[int], Source]
Told = Callable[[LazySequence[Any], Indices], Hints]


def test_a_cache_reads_what_was_hinted(made: Make, told: Told) -> None:
    source = made(10)
    cached = seqtools.add_cache(source, 3)
    told(seqtools.batch(cached, 2), range(1, 4))
    source.let(3)
    assert cached[2] == -2
    source.allowed.release()  # room for the next, as 2 is being used and nothing is before it
    assert [cached[3], cached[4]] == [-3, -4]
    assert source.made[:3] == [2, 3, 4]
    assert source.threads == {"seqtools-reader"}


def test_no_more_than_there_is_room_for(made: Make, told: Told) -> None:
    source = made(10)
    told(seqtools.add_cache(source, 2), range(10))
    source.let(2)
    assert not source.begun.acquire(timeout=0)
    assert source.made in ([0], [0, 1])


def test_a_key_read_later_frees_the_room_of_those_before_it(made: Make, told: Told) -> None:
    source = made(10)
    cached = seqtools.add_cache(source, 2)
    told(cached, range(10))
    source.let(2)
    assert cached[1] == -1
    source.let(1)
    assert cached[2] == -2
    assert source.made == [0, 1, 2]


def test_what_is_needed_sooner_is_not_dropped_for_what_is_needed_later(
    made: Make, told: Told
) -> None:
    source = made(20)
    cached = seqtools.add_cache(source, 3)
    told(cached, range(3))
    source.let(3)
    source.allowed.release()
    assert cached[15] == -15  # nobody said so
    assert [cached[0], cached[1]] == [0, -1]
    assert sorted(source.made) == [0, 1, 2, 15]


def test_a_new_hint_replaces_the_old_one(made: Make, told: Told) -> None:
    source = made(50)
    cached = seqtools.add_cache(source, 2)
    owner = told(cached, range(2))
    source.let(2)
    owner(range(30, 40))
    source.let(2)
    assert [cached[30], cached[31]] == [-30, -31]
    assert source.made == [0, 1, 30, 31]


def test_owners_share_the_room(made: Make, told: Told) -> None:
    source = made(50)
    cached = seqtools.add_cache(source, 4)
    told(cached, range(10))
    source.let(4)
    assert [cached[i] for i in range(4)] == [0, -1, -2, -3]
    told(cached, range(20, 30))
    source.let(3)  # one for the first owner, who is at 3, and two for the other
    assert [cached[20], cached[21]] == [-20, -21]
    assert sorted(source.made) == [0, 1, 2, 3, 4, 20, 21]


def test_a_hinted_read_that_fails_is_forgotten(made: Make, told: Told) -> None:
    source = made(10)
    source.bad = {1}
    cached = seqtools.add_cache(source, 3)
    told(cached, range(3))
    source.let(3)  # it goes on behind it
    source.bad = set()
    source.allowed.release()
    assert [cached[0], cached[1], cached[2]] == [0, -1, -2]
    assert source.made == [0, 1, 2, 1]


def test_a_stage_that_keeps_failing_is_left_alone(made: Make, told: Told) -> None:
    source = made(10)
    source.bad = set(range(10))
    cached = seqtools.add_cache(source, 4)
    owner = told(cached, range(10))
    source.allowed.release(100)
    ended()
    failed = len(source.made)
    owner(range(5, 10))
    assert len(source.made) == failed == 3
    source.bad = set()
    assert cached[5] == -5


def test_the_thread_ends_with_its_stage(made: Make) -> None:
    source = made(10)
    cached = seqtools.add_cache(source, 2)
    found = hints(cached)
    assert found is not None
    found(range(2))
    source.let(2)
    del cached, found
    gc.collect()
    ended()


def test_who_does_not_keep_values_is_not_told() -> None:
    assert hints([1, 2]) is None
    assert hints(seqtools.smap(abs, [1])) is None
    assert hints(seqtools.add_cache([1, 2], 1)) is None
    assert hints(seqtools.add_cache([1, 2], 5, cache={})) is None
    assert hints(seqtools.prefetch([1, 2], 0)) is None
    assert hints(seqtools.batch(seqtools.add_cache([1, 2], 2), 2)) is not None
    assert hints(seqtools.prefetch([1, 2], 1)) is not None


def test_hints_travel_as_ranges(monkeypatch: pytest.MonkeyPatch) -> None:
    cached = seqtools.add_cache(range(16 * 10_000), 2)
    heard: list[Indices] = []
    monkeypatch.setattr(type(cached), "_hint", lambda _, __, indices: heard.append(indices))
    found = hints(seqtools.batch(cached, 10_000))
    assert found is not None
    found(range(4, 20))
    found([4, 5, 6])
    found([6, 2])
    assert heard[:2] == [range(40_000, 160_000), range(40_000, 70_000)]
    np.testing.assert_array_equal(heard[2], [*range(60_000, 70_000), *range(20_000, 30_000)])


def test_a_hint_too_long_to_be_written_out_is_ignored() -> None:
    cached = seqtools.add_cache(range(100), 2)
    found = hints(seqtools.cycle(cached))
    assert found is not None
    found(range(10**12))
    assert cached[0] == 0


def test_a_stage_that_many_read_from_is_told_once() -> None:
    sequence: LazySequence[Any] = seqtools.add_cache([1, 2, 3], 2)
    for _ in range(50):
        sequence = seqtools.smap(max, sequence, sequence)
    found = hints(sequence)
    assert found is not None
    found(range(3))
    found.end()
    ended()


def test_an_inner_prefetch_follows_hints(made: Make) -> None:
    source = made(100)
    inner = seqtools.prefetch(source, 1, max_cached=3)
    found = hints(seqtools.smap(abs, inner))
    assert found is not None
    found([50, 7, 80])
    source.let(3)
    assert [inner[50], inner[7], inner[80]] == [-50, -7, -80]
    assert source.made[:3] == [50, 7, 80]
    found.end()
    source.allowed.release(100)
    inner.close()


def test_what_a_cache_keeps_is_not_asked_for_upstream(made: Make, told: Told) -> None:
    source, asked = made(9), list[list[int]]()

    class Ahead(LazySequence[int]):
        _traits = Traits(acts_on_hints=True)

        def _size(self) -> int:
            return len(source)

        def _get(self, i: int) -> int:
            return source[i]

        def _hint(self, owner: Any, indices: Indices) -> None:
            del owner
            asked.append(list(indices[:3]))

    kept = seqtools.add_cache(Ahead(), 2)
    source.allowed.release()
    assert kept[3] == -3
    told(kept, [3, 4, 5])
    assert asked == [[4, 5]]
    told(kept, range(3, 1 << 40))
    assert asked[1:] == [[3, 4, 5]]  # too many to be looked at


def test_wanted() -> None:
    wanted = Wanted(np.array([4, 7, 9, 4]))
    assert wanted.first(2) == [4, 7]
    assert wanted.reached(7, 2)
    assert not wanted.reached(7, 2)
    assert not wanted.reached(4, 2)
    assert wanted.first(5) == [7, 9, 4]


@pytest.mark.parametrize("readahead", [True, False])
@pytest.mark.parametrize("engine", [name for name in OPTIONS if name != "inline"])
def test_with_hints_and_without_values_are_the_same(engine: str, readahead: bool) -> None:
    loaded = seqtools.add_cache(seqtools.smap(lambda k: [k] * 7, range(12)), 3)
    samples = seqtools.unbatch(loaded, 7)
    order = np.random.default_rng(0).permutation(84)
    for source in (samples, seqtools.gather(samples, order), seqtools.interleave(samples, samples)):
        batches = seqtools.batch(seqtools.smap(lambda x: x + 1, source), 5)
        with seqtools.prefetch(batches, **OPTIONS[engine], readahead=readahead) as p:
            assert list(p) == list(batches)
            assert p[3] == batches[3]
            assert list(p[::-2]) == list(batches[::-2])


def test_in_a_worker_process_no_function_runs_in_two_threads_at_once() -> None:
    inside = [0]

    def load(k: int) -> list[int]:
        inside[0] += 1
        alone = inside[0] == 1
        threading.Event().wait(0.002)  # let others run: they must not
        inside[0] -= 1
        return [k if alone else -1] * 4

    files = seqtools.smap(load, range(20))
    cached = seqtools.unbatch(seqtools.add_cache(files, 3), 4)
    order = np.random.default_rng(0).permutation(80)
    p = seqtools.prefetch(seqtools.gather(cached, order), 2, "process")
    assert list(p) == [int(i) // 4 for i in order]
    # a stage that is also read past the cache is not read ahead
    beside = seqtools.smap(max, cached, seqtools.unbatch(files, 4))
    assert list(seqtools.prefetch(beside, 1, "process")) == [i // 4 for i in range(80)]


# What items share


def test_items_of_a_cached_file_are_a_group() -> None:
    files = seqtools.add_cache([range(7)] * 5)
    group_of = groups(seqtools.smap(abs, seqtools.unbatch(files, 7, 3)))
    assert group_of is not None
    runs = [group_of(i)[1] for i in range(31)]
    assert runs == [range(7 * k, min(7 * k + 7, 31)) for k in range(5) for _ in range(7)][:31]
    assert len({group_of(i)[0] for i in range(31)}) == 5


def test_a_run_is_never_of_two_groups() -> None:
    chosen = [0, 1, 9, 2, 2, 3, 8, 7, 6, 5, 4, 0]
    files = seqtools.add_cache([range(5)] * 2)
    group_of = groups(seqtools.gather(seqtools.unbatch(files, 5), chosen))
    assert group_of is not None
    for i in (0, 2, 3, 6, 10, 1):
        _, run = group_of(i)
        assert i in run
        assert len({chosen[k] // 5 for k in run}) == 1


def test_items_of_two_caches_are_no_group() -> None:
    one = seqtools.unbatch(seqtools.add_cache([range(3)] * 2), 3)
    two = seqtools.unbatch(seqtools.add_cache([range(3)] * 2), 3)
    group_of = groups(seqtools.concatenate([one, two]))
    assert group_of is not None
    assert [group_of(i)[1] for i in range(0, 12, 3)] == [range(i, i + 3) for i in range(0, 12, 3)]
    assert len({group_of(i)[0] for i in range(12)}) == 4


def test_an_item_of_two_files_has_no_group() -> None:
    samples = seqtools.unbatch(seqtools.add_cache([range(3)] * 4), 3)
    group_of = groups(seqtools.batch(samples, 2))
    assert group_of is not None
    assert group_of(0)[0] is not None
    assert group_of(1)[0] is None


@pytest.mark.parametrize("source", [range(5), seqtools.smap(abs, range(5))])
def test_without_a_cache_nothing_is_shared(source: Any) -> None:
    assert groups(source) is None
    assert groups(seqtools.add_cache(source, 0)) is None
