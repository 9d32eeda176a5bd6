"""What frameworks do with loaders; tests/interop/test_training.py has the same with real ones."""

import sys
import threading
from abc import ABC
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import pytest

import seqtools
from seqtools import loader, smap
from tests.loader.runs import EPOCHS, LENGTH, RUN, after, epochs, split
from tests.threads import LONG


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
