"""The state of a loader, also where another number of ranks goes on."""

import json
import pickle
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools import loader, smap
from tests.loader.runs import EPOCHS, LENGTH, MAKE, RUN, after, epochs, split


@pytest.mark.parametrize("position", range(len(RUN) + 1))
def test_what_was_saved_goes_on_there(make: Callable[[], Any], position: int) -> None:
    text = json.dumps(after(make(), position))
    assert len(text) < 200
    resumed = make()
    resumed.load_state_dict(json.loads(text))
    assert resumed.epoch == position // LENGTH
    assert resumed.state_dict() == json.loads(text)
    assert epochs(resumed) == split(position)


@pytest.mark.parametrize("position", range(len(RUN) + 1))
def test_a_position_is_a_state(made: Any, position: int) -> None:
    made.load_state_dict(position)
    assert epochs(made) == split(position)


def test_states_are_those_of_iterators_over_the_sequence() -> None:
    source = MAKE["stage"]()
    iterator: Any = iter(source)
    assert next(iterator) == 0
    some = loader(source, epochs=EPOCHS)
    some.load_state_dict(iterator.state_dict())
    assert next(iter(some)) == RUN[1]
    other: Any = iter(source)
    other.load_state_dict(some.state_dict())
    assert list(other) == RUN[2:]


def test_what_was_saved_after_an_epoch(made: Any) -> None:
    list(made)
    resumed = loader(RUN, epochs=EPOCHS)
    resumed.load_state_dict(made.state_dict())
    assert epochs(resumed) == split(LENGTH)


def test_loading_evaluates_nothing() -> None:
    read: list[int] = []
    some = loader(smap(read.append, range(12)), epochs=3)
    some.load_state_dict(7)
    some.state_dict()
    repr(some)
    assert read == []
    list(some)
    assert read == [7]


def test_a_loader_that_was_read_can_go_back(made: Any) -> None:
    state = after(made, 2)
    epochs(made)
    made.load_state_dict(state)
    assert epochs(made) == split(2)


def test_a_state_in_a_for_does_not_disturb_it(made: Any) -> None:
    iterator = iter(made)
    next(iterator)
    made.load_state_dict(6)
    assert list(iterator) == RUN[1:LENGTH]
    assert epochs(made) == split(6)


def test_how_often_validation_was_begun_is_part_of_its_state() -> None:
    some = loader("abc")
    list(some)
    for _ in some:
        break
    state = json.loads(json.dumps(some.state_dict()))
    assert state["epoch"] == 1
    resumed = loader("abc")
    resumed.load_state_dict(state)
    assert (resumed.epoch, list(resumed), resumed.epoch) == (1, ["b", "c"], 2)
    for at_the_end in (after(resumed, 3), {**state, "position": 3}):
        resumed = loader("abc")
        resumed.load_state_dict(at_the_end)
        again = resumed.state_dict()
        assert (again["epoch"], again["position"]) == (at_the_end["epoch"] + 1, 0)
        assert (resumed.epoch, list(resumed)) == (at_the_end["epoch"] + 1, ["a", "b", "c"])


def test_a_state_of_something_else_changes_nothing(made: Any) -> None:
    made.load_state_dict(5)
    with pytest.raises(ValueError, match=r"."):
        made.load_state_dict(loader(range(9), epochs=3).state_dict())
    with pytest.raises((ValueError, IndexError), match="13"):
        made.load_state_dict(13)
    with pytest.raises(TypeError):
        made.load_state_dict("5")
    assert epochs(made) == split(5)


def test_a_copy_goes_on_from_there(made: Any) -> None:
    after(made, 5)
    copy = pickle.loads(pickle.dumps(made))
    assert (copy.epoch, list(copy)) == (1, RUN[5:8])
    assert list(made) == RUN[8:]
    fresh = pickle.loads(pickle.dumps(loader("ab")))
    assert (fresh.epoch, list(fresh)) == (0, ["a", "b"])


SHARDED: dict[str, Callable[[int, int], Any]] = {
    "batches of 12 // world": lambda rank, world: seqtools.batch(
        seqtools.shard(range(144), rank, world), 12 // world
    ),
    "batches among ranks": lambda rank, world: seqtools.shard(
        seqtools.batch(range(144), 2), rank, world
    ),
}


def ranks(name: str, world: int) -> list[Any]:
    return [loader(SHARDED[name](rank, world), epochs=EPOCHS) for rank in range(world)]


@pytest.mark.parametrize("name", SHARDED)
@pytest.mark.parametrize("world", [1, 2, 3, 4])
def test_another_number_of_ranks_goes_on(name: str, world: int) -> None:
    for step in range(len(ranks(name, 4)[0]) * EPOCHS):
        states = [after(rank, step) for rank in ranks(name, 4)]
        assert states == states[:1] * 4
        resumed = ranks(name, world)
        if name == "batches among ranks" and 4 * step % world:
            with pytest.raises(ValueError, match="cannot be shared evenly by 3 ranks"):
                resumed[0].load_state_dict(states[0])
            continue
        for each in resumed:
            each.load_state_dict(states[0])
        of_epochs = [epochs(each) for each in resumed]
        read = (12 if name.startswith("batches of") else 8) * step
        assert [len(each) for each in of_epochs] == [EPOCHS - read // 48] * world
        for k, of_epoch in enumerate(zip(*of_epochs, strict=True), read // 48):
            assert len({len(of_rank) for of_rank in of_epoch}) == 1  # no rank waits for another
            items = sorted(x for of_rank in of_epoch for batch in of_rank for x in batch)
            assert items == list(range(max(read, 48 * k), 48 * (k + 1)))


def test_an_epoch_that_is_no_whole_number_of_steps() -> None:
    def run(rank: int, world: int) -> Any:
        return loader(seqtools.shard(range(72), rank, world, uneven="drop"), epochs=EPOCHS)

    state = after(run(0, 4), 3)  # 12 items; 8 ranks make 7 steps of the other 60
    resumed = [run(rank, 8) for rank in range(8)]
    for each in resumed:
        each.load_state_dict(state)
    of_epochs = [epochs(each) for each in resumed]
    assert [len(of_epoch) for of_epoch in of_epochs[0]] == [2, 3, 2]
    columns = [[x for of_epoch in of_rank for x in of_epoch] for of_rank in of_epochs]
    assert [x for step in zip(*columns, strict=True) for x in step] == list(range(12, 68))


def test_a_padded_epoch() -> None:
    for rank in range(4):
        some = loader(seqtools.shard(range(10), rank, 4, uneven="pad"))
        assert [len(list(some)), len(list(some)), some.epoch] == [3, 3, 2]


def test_an_epoch_below_zero_is_refused() -> None:
    run = loader(range(4))
    with pytest.raises(ValueError, match="epoch must be at least 0, got -5"):
        run.load_state_dict(run.state_dict() | {"epoch": -5})


def test_saving_a_state_begins_nothing() -> None:
    run = loader(range(8), epochs=2)
    state = run.state_dict()
    assert (run.state_dict(), run._reader) == (state, None)
    assert next(iter(run)) == 0
