"""The consumer's side of a profile: when it waits for items, and when it uses them."""

from collections.abc import Callable, Iterator
from itertools import chain, repeat
from time import perf_counter, thread_time_ns
from typing import Any, TypeVar

from seqtools._core.indices import Indices
from seqtools._core.recording import FILL, OVER, SIZE, USE, WAIT, RecordFolder, pack
from seqtools._core.sequence import LazySequence
from seqtools.instrument.profiling.recorded_pipeline import RecordedPipeline

T = TypeVar("T")
A = TypeVar("A")


class Consumer:
    """Writes down when the consumer waits for items; in between, it uses them."""

    def __init__(self, folder: RecordFolder, recorded: RecordedPipeline) -> None:
        self.folder = folder
        ahead = recorded.prefetch is not None and recorded.prefetch._traits.acts_on_hints
        self._prefetch = recorded.prefetch if ahead else None  # there is no window inline

    def take(self, read: Callable[[A], T], argument: A, which: int) -> T:
        """Return `read(argument)`, for which the consumer waits."""
        recorder = self.folder.recorder()
        began = perf_counter()
        if recorder.left is not None:
            left, used = recorder.left
            recorder.note(USE, 1, which, left, began, thread_time_ns() - used)
            recorder.left = None
        sampled = began >= recorder.due and not recorder.sampling
        since = 0
        if sampled:
            if self._prefetch is not None:
                load = self._prefetch._status()
                recorder.note(FILL, load.ready, load.capacity, began, began, load.busy)
            recorder.sampling, recorder.due = 1, 0.0  # and so are the stages that this thread reads
            since = thread_time_ns()
        what, now = WAIT, -1
        try:
            return read(argument)
        except StopIteration:
            what = OVER
            raise
        finally:
            if sampled:
                now = thread_time_ns()
            ended = perf_counter()
            recorder.note(what, 1, which, began, ended, now - since if sampled else -1)
            if sampled:
                recorder.rest(ended, 2)
                recorder.left = (ended, now) if what == WAIT else None


class _Iterator(Iterator[T]):
    """An iterator of the consumer."""

    __slots__ = ("_consumer", "_folder", "_indices", "_items")

    def __init__(self, items: Iterator[T], indices: Iterator[int], consumer: Consumer) -> None:
        self._items, self._consumer, self._folder = items, consumer, consumer.folder
        self._indices = chain(indices, repeat(-1))

    def __next__(self) -> T:
        which = next(self._indices)
        try:
            recorder = self._folder.local.recorder
        except AttributeError:
            recorder = self._folder.recorder()
        began = perf_counter()
        if began >= recorder.due or recorder.left is not None:
            return self._consumer.take(next, self._items, which)
        # as `take` does, but without calls of Python, which would take half as long again
        what = WAIT
        try:
            return next(self._items)
        except StopIteration:
            what = OVER
            raise
        finally:
            at = recorder.at
            pack(recorder.view, at, what, 1, which, began, perf_counter())
            recorder.at = at = at + SIZE
            if at > recorder.last:
                recorder.extend()


class RecordedStage(LazySequence[T]):
    """A pipeline as the consumer reads it, which is timed."""

    __slots__ = ("_consumer", "_sequence")

    def __init__(self, sequence: LazySequence[T], consumer: Consumer) -> None:
        self._sequence, self._consumer = sequence, consumer

    def _size(self) -> int | None:
        return self._sequence._length()

    def _read(self, i: int) -> T:
        return self._consumer.take(self._sequence._get, i, i)  # type: ignore[no-any-return]

    _get = _read  # by another name, as in `StageRecorder`

    def _get_many(self, indices: Indices) -> Any:
        first = int(indices[0]) if len(indices) else 0
        return self._consumer.take(self._sequence._get_many, indices, first)

    def _set(self, i: int, value: Any) -> None:
        self._sequence._set(i, value)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _describe(self) -> str:
        return self._sequence._describe()

    def _slice(self, key: slice) -> LazySequence[T]:
        return RecordedStage(self._sequence[key], self._consumer)

    def __iter__(self) -> Iterator[T]:
        """Return an iterator over the items."""
        n = self._length()
        indices = iter(range(n)) if n is not None else iter(int, 1)
        return _Iterator(iter(self._sequence), indices, self._consumer)

    def __reversed__(self) -> Iterator[T]:
        """Return an iterator over the items from the last to the first."""
        indices = iter(range(len(self) - 1, -1, -1))
        return _Iterator(reversed(self._sequence), indices, self._consumer)


def plain(stage: Any, cls: type[Any]) -> Any:
    """Return a copy of `stage` that has this class, and shares all else."""
    copy = object.__new__(cls)
    for parent in cls.__mro__:
        for name in parent.__dict__.get("__slots__", ()):
            if name not in {"__weakref__", "__dict__"} and hasattr(stage, name):
                setattr(copy, name, getattr(stage, name))
    getattr(copy, "__dict__", {}).update(getattr(stage, "__dict__", {}))
    return copy


class Profiled:
    """Marks the class that a pipeline has while it is profiled."""

    __slots__ = ()


def profiled(cls: type[Any], watched: RecordedStage[Any]) -> type[Any]:
    """Return a class like `cls` whose objects are read by `watched`.

    That an object changes its class leaves all of its methods as they are, and as fast.
    """
    read: dict[str, Any] = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__iter__": lambda _: iter(watched),
        "__reversed__": lambda _: reversed(watched),
        "_get": lambda _, i: watched._get(i),
        "_get_many": lambda _, indices: watched._get_many(indices),
        "_slice": lambda _, key: watched[key],
        "__reduce_ex__": lambda self, protocol: plain(self, cls).__reduce_ex__(protocol),
    }
    if hasattr(cls, "_status"):  # who works for it are the workers of the copy
        (copy,) = watched._sources()
        read["_status"] = lambda _: copy._status()
    return type(cls.__name__, (cls, Profiled), read)
