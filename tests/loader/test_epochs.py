"""A loader has one epoch in each `for`; its arguments and its repr."""

import threading
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools import EvaluationError, loader, smap
from tests.loader.runs import EPOCHS, LENGTH, MAKE, RUN, after, epochs, split
from tests.threads import LONG


def test_each_for_is_an_epoch(make: Callable[[], Any]) -> None:
    assert epochs(make()) == split(0)
    assert len(make()) == LENGTH


def test_the_number_of_the_epoch(made: Any) -> None:
    seen = []
    for _ in range(EPOCHS):
        seen.append(made.epoch)
        seen += [made.epoch for _ in made]
    assert seen == [0] * 5 + [1] * 5 + [2] * 5
    assert made.epoch == EPOCHS


def test_when_all_epochs_have_been_read(made: Any) -> None:
    epochs(made)
    iterator = iter(made)
    for _ in range(2):
        with pytest.raises(RuntimeError, match=r"^all 3 epochs of this loader have been read: "):
            next(iterator)
    assert made.state_dict()["position"] == len(RUN)


@pytest.mark.parametrize("read", [1, LENGTH - 1, LENGTH])
def test_after_a_break_the_next_epoch_begins(make: Callable[[], Any], read: int) -> None:
    some = make()
    after(some, read)
    assert some.epoch == 0
    assert list(some) == RUN[LENGTH : 2 * LENGTH]
    assert some.epoch == 2


def test_nothing_is_taken_until_an_item_is_read(made: Any) -> None:
    iter(made)
    iter(made)
    assert list(made) == RUN[:LENGTH]
    begun = iter(made)
    assert next(begun) == RUN[LENGTH]
    iter(made)
    assert list(begun) == RUN[LENGTH + 1 : 2 * LENGTH]
    assert (made.epoch, list(begun)) == (2, [])


def test_one_iterator_goes_on_across_epochs_so_that_workers_do() -> None:
    reached = threading.Event()

    def note(i: int) -> int:
        if i == LENGTH + 1:
            reached.set()
        return i

    with seqtools.prefetch(smap(note, range(8)), 1, max_cached=3) as ready:
        some = loader(ready, epochs=2)
        assert list(some) == [0, 1, 2, 3]
        assert reached.wait(LONG)  # nothing is read meanwhile
        assert some.state_dict()["position"] == LENGTH
        assert list(some) == [4, 5, 6, 7]


def test_validation_reads_all_of_it_each_time() -> None:
    some = loader(seqtools.prefetch("abc", nworkers=2))
    assert (len(some), list(some), list(some), some.epoch) == (
        3,
        ["a", "b", "c"],
        ["a", "b", "c"],
        2,
    )
    assert next(iter(some)) == "a"
    assert (some.epoch, list(some), some.epoch) == (2, ["a", "b", "c"], 4)
    assert list(loader([])) == []


@pytest.mark.parametrize("method", ["thread", "process"])
def test_items_in_any_order(method: str) -> None:
    with seqtools.prefetch(range(40), 2, method, ordered=False) as ready:
        some = loader(ready, epochs=4)
        read = [list(some) for _ in range(4)]
    assert [len(each) for each in read] == [10] * 4
    assert sorted(x for each in read for x in each) == list(range(40))


def test_an_item_that_fails_is_passed() -> None:
    def check(i: int) -> int:
        if i in {0, 2, 7}:
            raise ValueError(i)
        return i

    some = loader(smap(check, range(8)), epochs=2)
    found: list[list[Any]] = []
    for _ in range(2):
        found.append([])
        iterator = iter(some)
        while True:
            try:
                found[-1].append(next(iterator))
            except StopIteration:
                break
            except EvaluationError as error:
                found[-1].append(str(error.index))
    assert found == [["0", 1, "2", 3], [4, 5, 6, "7"]]


def test_an_item_that_was_interrupted_is_read_again() -> None:
    left = [KeyboardInterrupt, KeyboardInterrupt]

    def load(i: int) -> int:
        if i == 2 and left:
            raise left.pop()
        return i

    some = loader(smap(load, range(8)), epochs=2)
    iterator = iter(some)
    assert [next(iterator), next(iterator)] == [0, 1]
    for _ in range(2):
        with pytest.raises(KeyboardInterrupt):
            next(iterator)
    assert list(iterator) == [2, 3]
    assert list(some) == [4, 5, 6, 7]


@pytest.mark.parametrize(
    ("sequence", "number", "message"),
    [
        (range(7), 2, "epochs must be of equal length, got epochs=2 and 7 items: .*multiple_of=m"),
        (range(7), 2, "drop_last"),
        ([], 2, "sequence must have items of 2 epochs, got none"),
        (range(7), 0, "epochs must be at least 1, got 0"),
    ],
)
def test_epochs_that_are_refused(sequence: Any, number: int, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        loader(sequence, epochs=number)


def test_sequences_that_are_refused() -> None:
    with pytest.raises(TypeError, match=r"must have a length, got cycle: slice it .*epochs \*"):
        loader(seqtools.cycle([1, 2]), epochs=2)
    with pytest.raises(TypeError, match="sequence must be a sequence"):
        loader(iter([1, 2]))  # type: ignore[arg-type]
    endless = loader(seqtools.cycle([1, 2, 3])[:8], epochs=2)
    assert [list(endless), list(endless)] == [[1, 2, 3, 1], [2, 3, 1, 2]]


def test_repr_shows_the_stages_and_the_epoch() -> None:
    some = loader(MAKE["stage"](), epochs=EPOCHS)
    lines = repr(some).splitlines()
    assert lines[0] == "loader(epochs=3)  next: epoch 0"
    assert lines[1].startswith("└─ smap(<lambda>)")
    assert lines[2].startswith("   └─ range(0, 12)")


def test_epochs_without_order_of_one_rank() -> None:
    mine = seqtools.smap(abs, seqtools.shard(range(160), 1, 4))
    run = loader(seqtools.prefetch(mine, 3, ordered=False), epochs=4)
    got: list[int] = []
    for epoch in range(4):
        assert run.epoch == epoch
        epoch_items = list(run)
        assert len(epoch_items) == 10
        got += epoch_items
    assert sorted(got) == list(range(1, 160, 4))
    seqtools.close_all()


def test_ranks_with_epochs_of_several_lengths_are_refused_by_all() -> None:
    for rank in range(5):
        mine = seqtools.shard(range(48), rank, 5, uneven="keep")
        assert len(list(loader(mine))) == len(mine)
        with pytest.raises(ValueError, match="all ranks must have epochs of the same length"):
            loader(mine, epochs=3)
