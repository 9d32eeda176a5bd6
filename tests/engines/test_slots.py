"""The memory in which values are delivered: both sides of it in one process."""

import gc
import itertools
import mmap
import os
from collections.abc import Iterator

import numpy as np
import pytest

from seqtools.engines.wire import arena
from seqtools.engines.wire.arena import Arena, SlotPlace
from seqtools.engines.wire.arena_reader import ArenaReader, LeasedBytes

SIZE = 100_000


class Both:
    """The two sides, and the file between them."""

    def __init__(self, most: int = 1 << 30) -> None:
        made = arena.create(1)
        assert made is not None
        self.fd, size = made
        self.budget = LeasedBytes(most)
        self.consumer = ArenaReader(self.fd, size, self.budget)
        worker = Arena.at(os.dup(self.fd))
        assert worker is not None
        self.worker = worker

    def deliver(self, fill: int, nbytes: int = SIZE) -> np.ndarray:
        place = self.worker.put(memoryview(bytes([fill]) * nbytes))
        assert place is not None
        return np.frombuffer(self.consumer.lease(place), np.uint8)

    def pages(self) -> int:
        return os.fstat(self.fd).st_blocks * 512


@pytest.fixture
def both() -> Iterator[Both]:
    b = Both()
    yield b
    os.close(b.fd)
    vars(b).clear()  # pytest refers to it for longer than to what a test has


def address(array: np.ndarray) -> int:
    return int(array.__array_interface__["data"][0])


def test_a_view_that_is_kept_stays_intact(both: Both) -> None:
    kept = [both.deliver(k) for k in range(100)]
    for k in range(200):
        both.deliver(255 - k % 2)
    assert all((view == k).all() for k, view in enumerate(kept))


def test_a_slot_is_used_again_when_its_last_view_is_dropped(both: Both) -> None:
    first = both.deliver(1)
    where = address(first)
    part = first[10:20].reshape(2, 5)
    del first
    assert address(both.deliver(2)) != where
    del part
    assert address(both.deliver(3)) == where


def test_memory_does_not_grow_with_the_number_of_values(both: Both) -> None:
    for k in range(10):
        both.deliver(k)
    before = both.pages()
    for k in range(1000):
        both.deliver(k % 256)
    assert both.pages() == before


def test_values_that_become_larger_use_the_room_of_slots_of_about_their_size(both: Both) -> None:
    view = both.deliver(1, 150_000)
    where = address(view)
    del view
    assert address(both.deliver(1, 130_000)) == where
    assert address(both.deliver(1, 20_000)) != where  # it would waste too much


@pytest.mark.parametrize("nbytes", [1, 4095, 4096, 4097, 65_536, 1_000_003, 9_633_792])
def test_views_have_the_right_length_and_are_aligned(both: Both, nbytes: int) -> None:
    view = both.deliver(7, nbytes)
    assert len(view) == nbytes
    assert (view == 7).all()
    assert address(view) % 64 == 0
    assert view.flags.writeable


def test_two_slots_never_overlap(both: Both) -> None:
    rng = np.random.default_rng(0)
    held: dict[int, np.ndarray] = {}
    for k in range(2000):
        held[k % 256] = both.deliver(k % 251, int(rng.integers(1, 60_000)))
        if k % 3 == 0:
            held.pop(int(rng.integers(256)), None)
    spans = sorted((address(view), address(view) + len(view)) for view in held.values())
    assert all(end <= begin for (_, end), (begin, _) in itertools.pairwise(spans))
    for view in held.values():
        assert (view == view[0]).all()


def test_what_was_borrowed_is_given_without_a_copy(both: Both) -> None:
    buffer = both.worker.borrow(SIZE)
    assert buffer is not None
    buffer[:] = b"x" * SIZE
    found = both.worker.find(buffer[: SIZE - 1])
    assert found is not None
    assert both.worker.find(buffer) is None  # only once
    del buffer
    place = both.worker.give(found)
    assert place == SlotPlace(SIZE - 1, found.place.offset, found.place.slot)
    view = both.consumer.lease(place)
    assert bytes(view) == b"x" * (SIZE - 1)


def test_what_is_borrowed_and_still_referred_to_is_given_as_a_copy(both: Both) -> None:
    buffer = both.worker.borrow(SIZE)
    assert buffer is not None
    buffer[:] = b"x" * SIZE
    found = both.worker.find(buffer)
    assert found is not None
    before = found.place
    place = both.worker.give(found)
    assert isinstance(place, SlotPlace)
    assert place.slot != before.slot
    view = both.consumer.lease(place)
    buffer[:] = b"y" * SIZE
    assert bytes(view) == b"x" * SIZE
    # and it can be given again
    found = both.worker.find(buffer)
    assert found is not None
    del buffer
    assert both.worker.give(found) == before


def test_what_was_borrowed_and_never_sent_is_free_again(both: Both) -> None:
    buffer = both.worker.borrow(SIZE)
    assert buffer is not None
    del buffer
    gc.collect()
    before = both.pages()
    for _ in range(100):
        both.worker.borrow(SIZE)
    assert both.pages() == before


def test_a_part_of_what_was_borrowed_is_not_taken_for_it(both: Both) -> None:
    buffer = both.worker.borrow(SIZE)
    assert buffer is not None
    assert both.worker.find(buffer[64:]) is None
    assert both.worker.find(memoryview(bytes(SIZE))) is None


def test_what_is_kept_beyond_the_budget_is_copied() -> None:
    both = Both(most=3 * SIZE)
    kept = [both.deliver(k) for k in range(3)]
    assert not both.budget.exceeded
    kept += [both.deliver(k) for k in range(3, 10)]
    assert both.budget.exceeded
    assert all((view == k).all() for k, view in enumerate(kept))
    assert all(address(view) % 64 == 0 and view.flags.writeable for view in kept)
    slots_used = {address(view) for view in kept[:3]}
    kept.clear()
    assert address(both.deliver(1)) in slots_used
    os.close(both.fd)


def test_what_is_kept_beyond_the_budget_is_no_copy_where_there_is_no_memory_for_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def refused(*_: object) -> None:
        raise OSError

    both = Both(most=SIZE // 2)
    with monkeypatch.context() as patch:
        patch.setattr(mmap, "mmap", refused)
        view = both.deliver(7)
    assert both.budget.exceeded
    assert (view == 7).all()
    other = both.deliver(8)
    assert (view == 7).all()
    del view, other
    os.close(both.fd)


def test_the_memory_of_free_slots_can_be_given_back(both: Both) -> None:
    views = [both.deliver(k) for k in range(10)]
    kept = views[3]
    before = both.pages()
    both.worker.trim()
    assert both.pages() == before
    views.clear()
    both.worker.trim()
    assert both.pages() < before / 5
    assert (kept == 3).all()
    assert (both.deliver(9) == 9).all()


def test_memory_without_views_is_given_back_at_the_end(both: Both) -> None:
    views = [both.deliver(k) for k in range(50)]
    kept = {k: views[k] for k in (0, 7, 8, 49)}
    before = both.pages()
    del views
    both.consumer.retire()
    assert both.pages() < before / 5
    assert all((view == k).all() for k, view in kept.items())


def test_views_outlive_both_sides(both: Both) -> None:
    view = both.deliver(5)
    del both.consumer, both.worker
    gc.collect()
    assert (view == 5).all()


def test_a_slot_of_which_a_forked_process_has_a_view_is_not_used_again(both: Both) -> None:
    view = both.deliver(5)
    where = address(view)
    ours, theirs = os.pipe()
    go, going = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.read(go, 1)
        os.write(theirs, b"+" if (view == 5).all() else b"-")
        os._exit(0)
    del view
    assert address(both.deliver(6)) != where
    os.write(going, b"x")
    assert os.read(ours, 1) == b"+"
    os.waitpid(pid, 0)
    for fd in (ours, theirs, go, going):
        os.close(fd)


def test_a_forked_process_that_drops_its_view_frees_nothing(both: Both) -> None:
    view = both.deliver(5)
    where = address(view)
    pid = os.fork()
    if pid == 0:
        del view
        os._exit(0)
    os.waitpid(pid, 0)
    assert address(both.deliver(6)) != where
    assert (view == 5).all()


def test_a_process_that_user_code_forks_borrows_nothing(both: Both) -> None:
    pid = os.fork()
    if pid == 0:
        os._exit(0 if both.worker.borrow(SIZE) is None else 1)
    assert os.waitpid(pid, 0)[1] == 0


def test_there_is_an_end_to_the_room(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(arena, "_ADDRESSES", arena._LEAST)
    both = Both()
    kept = []
    while (place := both.worker.take(1 << 22)) is not None:
        kept.append(place)
    assert len(kept) == (arena._LEAST - arena.FLAGS) // (1 << 22)
    os.close(both.fd)


def test_where_there_is_no_such_memory_there_are_no_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_: object) -> int:
        raise PermissionError

    monkeypatch.setattr(os, "memfd_create", refused)
    assert arena.create(1) is None
    monkeypatch.delattr(os, "memfd_create")
    assert arena.create(1) is None


def test_less_is_tried_where_much_cannot_be_mapped(monkeypatch: pytest.MonkeyPatch) -> None:
    whole = mmap.mmap

    def limited(fd: int, size: int) -> mmap.mmap:
        if size > 1 << 28:
            raise OSError
        return whole(fd, size)

    monkeypatch.setattr(mmap, "mmap", limited)
    made = arena.create(1)
    assert made is not None
    fd, size = made
    assert arena._LEAST <= size <= 1 << 28
    assert os.fstat(fd).st_size == size
    os.close(fd)
    monkeypatch.setattr(arena, "_LEAST", 1 << 30)
    assert arena.create(1) is None
