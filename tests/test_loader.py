"""A loader: one epoch in each `for`, its state, and how frameworks treat loaders."""

import json
import pickle
import sys
import threading
from abc import ABC
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import seqtools
from seqtools import EvaluationError, loader, smap
from tests.threads import LONG

LENGTH, EPOCHS = 4, 3
RUN = [10 * i for i in range(LENGTH * EPOCHS)]

MAKE: dict[str, Callable[[], Any]] = {
    "list": lambda: RUN,
    "stage": lambda: smap(lambda i: 10 * i, range(len(RUN))),
    "slice": lambda: smap(lambda i: 10 * i, range(100))[: len(RUN)],
    "inline": lambda: seqtools.prefetch(RUN, nworkers=0),
    "threads": lambda: seqtools.prefetch(RUN, nworkers=2),
}


@pytest.fixture(params=MAKE)
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Return how to make a loader of `RUN`."""
    return lambda: loader(MAKE[request.param](), epochs=EPOCHS)


@pytest.fixture
def made() -> Any:
    return loader(RUN, epochs=EPOCHS)


def epochs(of: Any) -> list[list[Any]]:
    """Return what each `for` reads, until all epochs have been read."""
    found: list[list[Any]] = []
    while of.epoch < EPOCHS:
        found.append(list(of))
    return found


def split(start: int) -> list[list[int]]:
    """Return what each epoch has from item `start` of the run on."""
    stops = [stop for stop in range(LENGTH, len(RUN) + 1, LENGTH) if stop > start]
    return [RUN[max(start, stop - LENGTH) : stop] for stop in stops]


def after(reader: Any, count: int) -> Any:
    """Return the state after so many items, in the body of the `for` that reads the last one."""
    while count:
        for _ in reader:
            count -= 1
            if not count:
                break
    return reader.state_dict()


# --------------------------------------------------------------------- one epoch in each `for`


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


# ------------------------------------------------------------------------------------ its state


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


# ---------------------------------------------------------------------------------------- ranks

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


# -------------------------------------------------------------------------------- its arguments


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


# ----------------------------------------------------- frameworks, by what they do with loaders
#
# tests/interop/test_training.py has the same with the real ones.


def one_ahead(reader: Any, states: list[Any]) -> Iterator[Any]:
    """Read as Accelerate does: one item more than it hands out, its state from before that."""
    iterator = iter(reader)
    item = next(iterator, None)
    while item is not None:
        states.append(reader.state_dict())
        following = next(iterator, None)
        if following is None:
            states[-1] = reader.state_dict()
        yield item
        item = following


@pytest.mark.parametrize("position", range(1, len(RUN) + 1))
def test_what_a_framework_holds_ahead_does_not_count(position: int) -> None:
    run = [i + 1 for i in range(len(RUN))]
    some, states, read = loader(run, epochs=EPOCHS), [], 0  # type: ignore[var-annotated]
    while read < position:
        for _ in one_ahead(some, states):
            read += 1
            if read == position:
                break
    resumed = loader(run, epochs=EPOCHS)
    resumed.load_state_dict(states[-1])
    rest = [item for _ in range(resumed.epoch, EPOCHS) for item in one_ahead(resumed, [])]
    assert rest == run[position:]


def test_a_framework_that_counts_and_never_sees_the_end(make: Callable[[], Any]) -> None:
    # As Lightning: it makes iterators before it needs them, reads `len` items, sets an attribute
    # to None, and tells a sampler the number of each epoch.
    some, read = make(), []
    for epoch in range(EPOCHS):
        iter(some)
        some.sampler.set_epoch(epoch)
        assert some.batch_sampler is None
        iterator = iter(some)
        read.append([next(iterator) for _ in range(len(some))])
        if hasattr(some, "_iterator"):
            some._iterator = None
    assert read == split(0)


def test_the_number_of_an_epoch_that_is_next_leaves_workers_alone() -> None:
    read: list[int] = []
    all_read = threading.Event()

    def note(i: int) -> None:
        read.append(i)
        if i == len(RUN) - 1:
            all_read.set()

    with seqtools.prefetch(smap(note, range(len(RUN))), 1, max_cached=len(RUN)) as ready:
        some = loader(ready, epochs=EPOCHS)
        for epoch in range(EPOCHS):
            some.sampler.set_epoch(epoch)
            iterator = iter(some)
            for _ in range(LENGTH):
                next(iterator)
            assert all_read.wait(LONG)
    assert read == list(range(len(RUN)))


@pytest.mark.parametrize("position", [0, 2, 4, 6, 12])
def test_the_number_of_an_epoch_from_a_framework(made: Any, position: int) -> None:
    made.load_state_dict(position)
    made.sampler.set_epoch(made.epoch)  # of the state: it goes on inside it
    assert epochs(made) == split(position)
    for epoch in (1, 0, 3, 7):
        made.sampler.set_epoch(epoch)
        assert made.epoch == min(epoch, EPOCHS)
        assert made.state_dict()["position"] == LENGTH * made.epoch
        assert epochs(made) == split(LENGTH * epoch)
    with pytest.raises(ValueError, match="epoch must be at least 0, got -1"):
        made.sampler.set_epoch(-1)
    assert not hasattr(made, "set_epoch")  # Accelerate calls that of a dataset, with 0, on resuming
    assert loader("abc").sampler is None


class StatefulDataLoader:
    """What torchdata does with an iterable dataset, in one process."""

    def __init__(self, dataset: Any) -> None:
        self.dataset, self.iterator, self.finished = dataset, None, False
        self.made = False

    def state_dict(self) -> Any:
        if self.iterator is None:
            self.iterator, self.made = iter(self.dataset), True
        return {"dataset": self.dataset.state_dict(), "finished": self.finished}

    def load_state_dict(self, state: Any) -> None:
        self.dataset.load_state_dict(state["dataset"])
        self.iterator, self.made, self.finished = iter(self.dataset), True, state["finished"]

    def __iter__(self) -> Iterator[Any]:
        if not self.made or self.finished:
            self.iterator = iter(self.dataset)
        self.made = self.finished = False
        yield from self.iterator  # type: ignore[misc]
        self.finished = True


@pytest.mark.parametrize("position", range(len(RUN) + 1))
@pytest.mark.parametrize("ended", [False, True], ids=["in the for", "after it"])
def test_in_a_stateful_loader(position: int, ended: bool) -> None:
    some = StatefulDataLoader(loader(RUN, epochs=EPOCHS))
    some.state_dict()  # frameworks ask for it at once
    state = after(some, position)
    if ended and position and position % LENGTH == 0:
        some = StatefulDataLoader(loader(RUN, epochs=EPOCHS))
        for _ in range(position // LENGTH):
            list(some)
        state = some.state_dict()
    resumed = StatefulDataLoader(loader(RUN, epochs=EPOCHS))
    resumed.load_state_dict(state)
    rest = [list(resumed) for _ in range(resumed.dataset.epoch, EPOCHS)]
    assert rest == split(position)


@pytest.fixture
def torch_data(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Return a module in the place of torch.utils.data."""
    module: Any = ModuleType("torch.utils.data")
    module.IterableDataset = type("IterableDataset", (ABC,), {})
    module.get_worker_info = lambda: None
    monkeypatch.setitem(sys.modules, "torch.utils.data", module)
    return module


def test_torch_takes_a_loader_for_an_iterable_dataset(torch_data: Any) -> None:
    some = loader(RUN, epochs=EPOCHS)
    assert isinstance(some, torch_data.IterableDataset)
    assert list(some) == RUN[:LENGTH]


def test_workers_of_torch_are_refused(torch_data: Any) -> None:
    some = loader(RUN, epochs=EPOCHS)
    torch_data.get_worker_info = lambda: "a worker"
    with pytest.raises(RuntimeError, match="num_workers=0"):
        next(iter(some))


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


def test_an_epoch_below_zero_is_refused() -> None:
    run = loader(range(4))
    with pytest.raises(ValueError, match="epoch must be at least 0, got -5"):
        run.load_state_dict(run.state_dict() | {"epoch": -5})


def test_saving_a_state_begins_nothing() -> None:
    run = loader(range(8), epochs=2)
    state = run.state_dict()
    assert (run.state_dict(), run._reader) == (state, None)
    assert next(iter(run)) == 0
