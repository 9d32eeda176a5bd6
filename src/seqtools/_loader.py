"""A training run for loops and frameworks: each `for` reads one epoch, and its state can be saved.

A run is one sequence that holds all epochs end to end. The loader has one iterator over it, which
goes on from epoch to epoch, so that whatever reads ahead does not notice where an epoch ends.
"""

import sys
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from itertools import chain, islice, repeat
from typing import Any, Generic, TypeVar

from seqtools._core import resume
from seqtools._core.checks import check_count, check_source
from seqtools._core.display.short import short
from seqtools._core.sources import Source, size_of
from seqtools._core.views import Slice
from seqtools._core.walk import is_stage

T = TypeVar("T")


class Loader(Iterable[T], Generic[T]):
    """A sequence of `epochs` epochs, of which each `for` reads one: see `loader`."""

    __slots__ = ("__weakref__", "_epoch", "_epochs", "_reader", "_running", "_sequence")
    # Lightning sets an attribute `_iterator` of what it has read to None.

    def __init__(self, sequence: Any, epochs: int) -> None:
        self._sequence = sequence
        self._epochs = epochs
        self._epoch = 0
        self._running: _Pass | None = None
        """The `for` that began last, until it has ended; `None` after a state was loaded."""
        self._reader: Any = None
        """The iterator over all epochs; `None` at the beginning of the sequence."""

    def __len__(self) -> int:
        """Return the number of items of one epoch."""
        n = size_of(self._sequence)
        if n is None:
            message = (
                f"sequence must have a length, got {short(self._sequence)}: slice it to the "
                "items of all epochs, such as sequence[: epochs * items_per_epoch]"
            )
            raise TypeError(message)
        if self._epochs > 1 and not resume.ranks_are_even(self._sequence):
            message = (
                "all ranks must have epochs of the same length, and shard(uneven='keep') gives "
                "some of them an item more: use another `uneven`"
            )
            raise ValueError(message)
        if not n and self._epochs > 1:
            message = f"sequence must have items of {self._epochs} epochs, got none"
            raise ValueError(message)
        if n % self._epochs:
            message = (
                f"epochs must be of equal length, got epochs={self._epochs} and {n} items: "
                "shuffle(…, epochs=…, multiple_of=m) makes epochs of whole batches of m items; "
                "if epochs are batched one by one, drop_last=True does"
            )
            raise ValueError(message)
        return n // self._epochs

    @property
    def epoch(self) -> int:
        """The number, from 0, of the epoch that is being read, or else of the next one.

        An epoch is being read from its first item until its `for` has ended by itself. After a
        `break` it still counts as being read, until the next `for` reads its first item.
        """
        return self._epoch

    def __iter__(self) -> Iterator[T]:
        """Return an iterator over one epoch, which begins when its first item is read."""
        this = _Pass()
        # One generator after the other, because a generator that raised is finished. No Python
        # code runs in between, which an interrupt could end.
        more = iter(partial(getattr, this, "more"), None)
        return chain.from_iterable(map(self._read, more, repeat(this)))

    def _read(self, _: object, this: "_Pass") -> Iterator[T]:
        """Yield the items that `this` has left, until one raises an error."""
        if this.reader is None:
            self._begin(this)
        position = self._position(this.reader)
        if position < this.stop:
            yield from islice(
                this.reader, -(-(this.stop - position) // resume.step_of(self._sequence))
            )
            if self._position(this.reader) > position:  # else there are no more
                return
        if self._running is this:
            self._running, self._epoch = None, self._epoch + 1
            if self._epochs == 1:
                self._reader = None
        this.more = None

    def _begin(self, this: "_Pass") -> None:
        """Let `this` read the next epoch, or what a loaded state has left of one."""
        _refuse_workers_of_torch()
        skips = self._running is not None  # its rest
        epoch = self._epoch + skips
        if epoch >= self._epochs > 1:
            message = (
                f"all {self._epochs} epochs of this loader have been read: make the sequence and "
                "the loader with more epochs, or a new loader to begin again"
            )
            raise RuntimeError(message)
        k = epoch if self._epochs > 1 else 0
        extent = self._extent()
        reader = None if skips and self._epochs == 1 else self._reader
        # Where the number of ranks has changed, an epoch ends with the first step that reaches its
        # end, and the next one begins after that step.
        if reader is None or not k * extent <= self._position(reader) < (k + 1) * extent:
            reader = self._opened(k)
        this.reader, this.stop = reader, (k + 1) * extent
        self._reader, self._running, self._epoch = reader, this, epoch

    def _extent(self) -> int:
        """Return by how much the position in states grows with an epoch."""
        return len(self) * resume.step_of(self._sequence)

    def _position(self, reader: Any) -> int:
        """Return the position of an iterator over the sequence, without items it has left out."""
        state: dict[str, Any] = reader.state_dict()
        gaps = sum(stop - start for start, stop in state.get("left", ()))
        position: int = state["position"] - gaps
        # what is about one rank counts items, and otherwise those of all ranks count
        return position * resume.step_of(self._sequence) if "world" in state else position

    def _opened(self, epoch: int) -> Any:
        """Return an iterator over the sequence that begins at an epoch."""
        reader: Any = iter(self._sequence)
        reader.load_state_dict(epoch * self._extent())
        return reader

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the sequence, as its iterators do, in less than 200 bytes of JSON.

        It counts the items that were returned, not those that were read ahead. With `epochs=1`,
        `epoch` is the number of times that the sequence was begun before.
        """
        reader = self._reader  # another thread may begin an epoch meanwhile
        state: dict[str, Any] = (self._opened(0) if reader is None else reader).state_dict()
        return {**state, "epoch": self._epoch} if self._epochs == 1 else state

    def load_state_dict(self, state: Mapping[str, Any] | int) -> None:
        """Go on from a state: the next `for` reads the rest of its epoch.

        If nothing is left of that epoch, it reads the next one. Nothing is evaluated, and workers
        start when an item is read. A `for` that is running does not notice.

        Args:
            state: From `state_dict` of a loader, or of an iterator over the same sequence; or a
                position in the sequence, without any check that the sequence is the same.

        Raises:
            ValueError: If the state is not of such a sequence. Nothing has changed then.
        """
        reader: Any = iter(self._sequence)
        reader.load_state_dict(state)
        position, end = self._position(reader), self._epochs * self._extent()
        epoch = self._epochs if position >= end else position // self._extent()
        if self._epochs == 1:
            reader = reader if position < end else None
            begun = state.get("epoch", 0) if isinstance(state, Mapping) else 0
            epoch += check_count(begun, 0, "epoch")
        self._reader, self._running, self._epoch = reader, None, epoch

    @property
    def sampler(self) -> "_Sampler | None":
        """What Lightning tells the number of the epoch, `None` with `epochs=1`.

        Lightning does not load the state of a loader from a checkpoint that it wrote at the end of
        an epoch. It calls `loader.sampler.set_epoch(epoch)` before every epoch. Others call
        `set_epoch` of loaders, datasets and samplers too, some of them with 0 after they have
        loaded a state: so the loader itself has no such method.
        """
        return _Sampler(self) if self._epochs > 1 else None

    @property
    def batch_sampler(self) -> None:
        """Nothing; libraries that look for a `sampler` look here first."""
        return

    def _go_to(self, epoch: int) -> None:
        """Have the next `for` begin `epoch`, or go on in it if a state of it was loaded."""
        if epoch != self._epoch + (self._running is not None):
            epoch = min(epoch, self._epochs)
            reader = self._opened(epoch)
            self._reader, self._running, self._epoch = reader, None, epoch

    def __reduce__(self) -> Any:
        """Pickle the sequence and the state: the copy goes on from here."""
        begun = self._reader is not None or self._epoch
        return _remade, (self._sequence, self._epochs, self.state_dict() if begun else None)

    def __repr__(self) -> str:
        """Return the stages as a tree; nothing is evaluated."""
        from seqtools._core.display.tree import printable

        text = repr(self._sequence).replace("\n", "\n   ")
        epochs = "" if self._epochs == 1 else f"(epochs={self._epochs})"
        return printable(f"loader{epochs}  next: epoch {self._epoch}\n└─ {text}")


class _Pass:
    """One `for` over a loader."""

    __slots__ = ("more", "reader", "stop")

    def __init__(self) -> None:
        self.more: bool | None = True
        self.reader: Any = None  # until the first item is read
        self.stop = 0


class _Sampler:
    """What frameworks tell the number of an epoch."""

    def __init__(self, loader: Loader[Any]) -> None:
        self._loader = loader

    def set_epoch(self, epoch: int) -> None:
        """Have the next `for` begin `epoch`, or go on in it if a state of it was loaded."""
        self._loader._go_to(check_count(epoch, 0, "epoch"))  # noqa: SLF001 -- ours


def loader(sequence: Source[T], *, epochs: int = 1) -> Loader[T]:
    """Return an iterable over `sequence` that reads one epoch in each `for`.

    `sequence` has the items of `epochs` epochs, end to end. The first `for` reads the first
    `len(sequence) // epochs` items, the next `for` goes on from there, and so on; `len` is the
    length of one epoch. One iterator serves all of them, so that a `prefetch` reads ahead across
    the end of an epoch, and while something else is done in between, such as validation. After
    a `break`, the next `for` begins the next epoch. When all epochs have been read, a `for` is a
    `RuntimeError`.

    With `epochs=1`, the sequence is the only epoch there is, and each `for` reads it from its
    beginning. That is for validation.

    `state_dict()` is the position in `sequence`. After `load_state_dict(state)`, the next `for`
    goes on inside the epoch. `epoch` is the number, from 0, of the epoch that is being read, or
    else of the next one.

    It can be given to `torch.utils.data.DataLoader` and `StatefulDataLoader` with
    `batch_size=None`, to Lightning, and to Accelerate: see the page about training. A pickle of
    a loader has its state.

    Args:
        sequence: All epochs, such as batches of `shuffle(data, seed, epochs=20, multiple_of=64)`.
        epochs: Number of epochs in `sequence`, at least 1.

    Raises:
        TypeError: If `sequence` is not a sequence, or has no length.
        ValueError: If `epochs` is less than 1, or does not divide the length.

    Example:
        >>> import seqtools
        >>> run = loader(seqtools.batch(range(12), 2), epochs=2)
        >>> len(run), list(run)
        (3, [[0, 1], [2, 3], [4, 5]])
        >>> next(iter(run)), run.epoch, run.state_dict()["position"]
        ([6, 7], 1, 4)
    """
    check_source(sequence)
    made = Loader[T](
        sequence if is_stage(sequence) else Slice(sequence, range(size_of(sequence) or 0)),
        check_count(epochs, 1, "epochs"),
    )
    len(made)  # is checked
    _make_known_to_torch()
    return made


def _remade(sequence: Any, epochs: int, state: dict[str, Any] | None) -> Loader[Any]:
    """Return the loader of a pickle."""
    made: Loader[Any] = Loader(sequence, epochs)
    if state is not None:
        made.load_state_dict(state)
    _make_known_to_torch()
    return made


def _make_known_to_torch() -> None:
    """Have torch's DataLoader take loaders for iterable datasets, if it is imported."""
    data: Any = sys.modules.get("torch.utils.data")
    if data is not None:
        data.IterableDataset.register(Loader)


def _refuse_workers_of_torch() -> None:
    """Raise an error in a worker of a DataLoader: each worker would read every item."""
    data: Any = sys.modules.get("torch.utils.data")
    if data is not None and data.get_worker_info() is not None:
        message = (
            "each worker of a DataLoader would read all items of this loader: give the DataLoader "
            "num_workers=0, and the sequence prefetch(…, nworkers=…)"
        )
        raise RuntimeError(message)
