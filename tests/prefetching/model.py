"""Random reads of a prefetch against what a list would give, with an engine that does its worst.

    python -m tests.prefetching.model [seeds] [steps] [first seed]

The prefetch, its window and its pump are real; see `simulated` for the engine. After each step,
what the window holds is compared with what it may hold.
"""

import gc
import json
import random
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any
from unittest import mock

import numpy as np

import seqtools
from seqtools._core.errors import EvaluationError, WorkerStartError
from seqtools.prefetching import pump
from seqtools.prefetching.sequence import Prefetch
from tests.prefetching.expecting import END, Failed, Reads
from tests.prefetching.rings import check_window
from tests.prefetching.simulated import SIZE, Simulated, Simulating, Source, Spoilt

MOST_READERS = 4


class Model:
    """A prefetch that is read at random.

    Args:
        seed: All that happens follows from it.
        calm: Whether nothing fails or is dropped, so that nothing may be asked for twice.
    """

    def __init__(self, seed: int, *, calm: bool = False) -> None:
        self.rng = rng = random.Random(seed)
        self.source = Source(rng, endless=rng.random() < 0.3)
        self.noted: Counter[int] = Counter()
        self.engines: list[Simulated] = []
        self.ordered = rng.random() < 0.6
        self.calm = calm
        self.most = rng.choice([1, 2, 3, 5, 10, 20, 40])
        options = Simulating(
            2,
            "thread",
            max_cached=self.most,
            max_bytes=None if calm else rng.choice([None, 1500]),
            ordered=self.ordered,
            idle_timeout=None,
        )
        options.make = self._engine
        self.p: Prefetch[Any] = Prefetch(self.source, options)
        self.reads: list[Reads] = []
        self.last = 0
        self.owner = object()

    def _engine(self, get: Callable[[int], Any], deliver: Any) -> Simulated:
        made = Simulated(get, self.source, self.rng, self.noted, deliver)
        made.failing *= not self.calm
        self.engines.append(made)
        return made

    # What is read

    def outcome(self, read: Callable[[], Any]) -> Any:
        """Return the index that a read gives, `Failed` or `END`, if the rest is as it must be."""
        while True:
            try:
                i, version, evaluation, _ = read()
            except EvaluationError as error:
                return self._failed(error)
            except (StopIteration, IndexError):
                return END
            except WorkerStartError:
                continue  # about no item: it is read again
            self._current(i, version, evaluation)
            assert i not in self.source.bad
            return i

    def _failed(self, error: EvaluationError) -> Failed:
        assert isinstance(error.__cause__, Spoilt), repr(error)
        i, version, evaluation = error.__cause__.args
        told = [step.index for step in error.path if step.stage.startswith("prefetch")]
        assert told == [i], f"an error of item {i} tells of {error.path}"
        self._current(i, version, evaluation)
        assert i in self.source.bad
        return Failed(i)

    def _current(self, i: int, version: int, evaluation: int) -> None:
        now = self.source.version
        assert version == now, f"item {i} is of version {version}, which is {now} now"
        times = self.noted[evaluation]
        assert times == 1, f"item {i} was given, and its note was called {times} times"

    def item(self, i: int, read: Callable[[], Any]) -> None:
        """Read item `i`."""
        got = self.outcome(read)
        wanted = Failed(i) if i in self.source.bad else i
        assert got == (wanted if i < SIZE else END), f"item {i} should come, got {got}"

    def advance(self, chosen: Reads, n: int = 1) -> None:
        """Take the next `n` items of an iterator."""
        for _ in range(n):
            got = self.outcome(lambda: next(chosen.it))
            chosen.check(got)
            if got is END:
                self.leave(chosen)
                return

    def leave(self, chosen: Reads) -> None:
        """Have a reader go, at once or whenever the garbage is collected."""
        self.reads.remove(chosen)
        if self.rng.random() < 0.5:
            circle: list[Any] = [chosen.it]
            circle.append(circle)

    def chosen(self, *, by_index: bool) -> Reads | None:
        """Return one of the readers."""
        some = [reads for reads in self.reads if reads.by_index == by_index]
        return self.rng.choice(some) if some else None

    # Steps

    def open(self) -> None:
        """Read all, in either direction, or a slice, or a slice of a slice."""
        p, rng = self.p, self.rng
        kind = rng.choice(["all", "reversed", "slice", "slice", "slice of a slice", "gather"])
        whole: Any = p
        indices: Sequence[int] = range(SIZE)
        if kind == "reversed":
            if not self.source.endless:
                self.opens(Reads(reversed(p), indices[::-1], any_order=not self.ordered))
            return
        if kind == "gather":
            indices = [rng.randrange(SIZE) for _ in range(rng.randint(0, 40))]
            whole = seqtools.gather(p, indices)
            self.opens(Reads(iter(whole), indices, whole))
            return
        for _ in range(["all", "slice", "slice of a slice"].index(kind)):
            stop = rng.choice([None, rng.randint(0, len(indices))])
            key = slice(rng.randint(0, len(indices)), stop, rng.choice([1, 1, 2, 3]))
            if not self.source.endless:
                key = rng.choice([key, slice(None, None, -1), slice(key.start, None, -3)])
            whole, indices = whole[key], indices[key]
        self.opens(Reads(iter(whole), indices, whole, any_order=not self.ordered))

    def opened(self) -> None:
        """Read by index what another stage would read."""
        lo, step = self.rng.randrange(SIZE), self.rng.choice([1, 1, 1, 2, -1])
        indices: Any = range(lo, SIZE if step > 0 else -1, step)
        if self.rng.random() < 0.3:
            indices = np.array([self.rng.randrange(SIZE) for _ in range(30)])
        self.opens(
            Reads(
                self.p._opened(indices),
                indices.tolist() if isinstance(indices, np.ndarray) else indices,
                by_index=True,
            )
        )

    def opens(self, reads: Reads) -> None:
        """Begin to read."""
        if len(self.reads) < MOST_READERS:
            self.reads.append(reads)

    def next(self) -> None:
        """Read an item."""
        if chosen := self.chosen(by_index=False):
            self.advance(chosen)

    def many(self) -> None:
        """Read some items."""
        if chosen := self.chosen(by_index=False):
            self.advance(chosen, self.rng.randint(1, 15))

    def along(self) -> None:
        """Read on by index where a stage would, which may leave items out, or read others."""
        chosen = self.chosen(by_index=True)
        if chosen is None:
            return
        if self.rng.random() < 0.1:
            i = self.rng.randrange(SIZE)
            self.item(i, lambda: chosen.it[i])
            return
        chosen.at += self.rng.choice([0, 0, 0, 1, 3])
        if chosen.at >= len(chosen.indices):
            self.leave(chosen)
            return
        i = chosen.indices[chosen.at]
        self.item(i, lambda: chosen.it[i])
        chosen.at += self.rng.random() < 0.95  # or else it is read once more

    def index(self) -> None:
        """Read items at some distance from each other."""
        step = self.rng.choice([0, 1, 1, 1, 2, 2, -1, -1, 5, self.rng.randrange(SIZE)])
        for _ in range(self.rng.randint(1, 6)):
            self.last = i = (self.last + step) % (SIZE + 3 * self.source.endless)
            self.item(i, lambda: self.p[i])  # noqa: B023 -- called at once

    def thread(self) -> None:
        """Do the same in another thread, which ends then."""
        raised: list[BaseException] = []

        def read() -> None:
            try:
                self.index()
            except BaseException as error:  # noqa: BLE001 -- raised again below
                raised.append(error)

        thread = threading.Thread(target=read)
        thread.start()
        thread.join()
        for error in raised:
            raise error

    def hint(self) -> None:
        """Tell what is going to be read by index, and do that, or not."""
        order = [self.rng.randrange(SIZE) for _ in range(self.rng.choice([0, 10, 10]))]
        indices: Any = np.array(order, dtype=np.int64)
        if self.rng.random() < 0.3:
            indices = range(self.rng.randrange(SIZE), SIZE)
            order = list(indices[:10])
        with suppress(WorkerStartError):  # about no item
            self.p._hint(self.owner, indices)
        for i in order[: self.rng.randint(0, 10)]:
            self.item(i, lambda: self.p[i])  # noqa: B023 -- called at once
            self.last = i

    def go(self) -> None:
        """Have a reader leave."""
        if self.reads:
            self.leave(self.rng.choice(self.reads))

    def work(self) -> None:
        """Have the engine do something while nobody waits."""
        if self.engines and not self.engines[-1].closed:
            self.engines[-1].work()

    def refresh(self) -> None:
        """Change the source."""
        self.source.version += 1
        self.p.refresh()

    def close(self) -> None:
        """End the workers."""
        self.p.close()

    def resume(self) -> None:
        """Replace an iterator by one that goes on where it stands."""
        chosen = self.chosen(by_index=False)
        state_dict = chosen and getattr(chosen.it, "state_dict", None)
        if chosen is None or state_dict is None:
            return
        state = state_dict()
        if not chosen.any_order:
            assert state["position"] == min(chosen.at, len(chosen.indices)), state
            if chosen.whole is not None:
                chosen.it = iter(chosen.whole)
                chosen.it.load_state_dict(json.loads(json.dumps(state)))
        elif "left" in state:
            places = [k for lo, hi in state["left"] for k in range(lo, min(hi, SIZE))]
            places += range(state["position"], len(chosen.indices))
            found = Counter(chosen.indices[k] for k in places if k < len(chosen.indices))
            assert found == +chosen.left, state
            if chosen.whole is not None:
                chosen.it = iter(chosen.whole)
                chosen.it.load_state_dict(json.loads(json.dumps(state)))

    def step(self) -> str:
        """Do something; return what."""
        (name,) = self.rng.choices(list(STEPS), STEPS.values())  # type: ignore[arg-type]
        getattr(self, name)()
        with collector_off():  # a finalizer would change the window while it is looked at
            check_window(self.p._state.pump.window, self.most)
        assert max(self.noted.values(), default=0) <= 1, "a note was called twice"
        return name


STEPS = {
    "next": 30, "many": 4, "index": 12, "open": 3, "opened": 2, "along": 12, "hint": 1, "thread": 1,
    "go": 2, "work": 20, "refresh": 1, "close": 1, "resume": 2,
}  # fmt: skip
"""The methods of a model that are steps, and how often each comes."""


@contextmanager
def collector_off() -> Iterator[None]:
    """Collect no garbage for a while."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def run(seed: int, steps: int) -> Counter[str]:
    """Do so many steps; return how often each was done."""
    with mock.patch.object(pump, "_FIRST_LOOK", 0.0):
        model = Model(seed)
        try:
            return Counter(model.step() for _ in range(steps))
        finally:
            model.reads.clear()
            model.p.close()


def run_calm(seed: int) -> None:
    """Read all once, with nobody else there, or two readers side by side: nothing is done twice."""
    with mock.patch.object(pump, "_FIRST_LOOK", 0.0):
        model = Model(seed, calm=True)
        # with less room, the one that is behind by an item may not have planned it yet
        beside = model.ordered and model.most >= 4 and model.rng.random() < 0.5
        for _ in range(1 + beside):
            model.reads.append(Reads(iter(model.p), range(SIZE), any_order=not model.ordered))
        while model.reads:
            for reads in [*model.reads]:
                model.advance(reads)
            if model.rng.random() < 0.5:
                model.work()
        model.p.close()
    (engine,) = model.engines
    twice = {i: n for i, n in engine.asked.items() if n > 1}
    assert not twice, f"asked for several times: {twice}"
    assert set(range(SIZE)) <= engine.asked.keys()


def runs(seeds: Iterable[int], steps: int) -> Counter[str]:
    """Do so many steps for each seed, while garbage is collected at almost any time."""
    total: Counter[str] = Counter()
    before = gc.get_threshold()
    gc.collect()
    gc.freeze()
    try:
        for seed in seeds:
            gc.collect()
            gc.set_threshold(20, 5, 5)
            try:
                run_calm(seed)
                total += run(seed, steps)
            except BaseException as error:
                error.add_note(f"seed {seed}")
                raise
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
    return total


def main(seeds: int = 300, steps: int = 300, first: int = 0) -> None:
    """Do so many steps for so many seeds."""
    total = runs(range(first, first + seeds), steps)
    print(f"{total.total():,} steps: {dict(total)}")  # noqa: T201 -- a script


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
