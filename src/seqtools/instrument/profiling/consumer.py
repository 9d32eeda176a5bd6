"""The consumer's side of a profile: when it waits for items, and when it uses them."""

from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from itertools import chain, islice, repeat
from time import perf_counter, process_time_ns, thread_time_ns
from typing import TYPE_CHECKING, Any, TypeVar

from seqtools._core import keys
from seqtools._core.indices import Indices
from seqtools._core.iteration import SequenceIterator
from seqtools._core.recording import CORES, FILL, OVER, SIZE, USE, WAIT, RecordFolder, pack
from seqtools._core.sequence import LazySequence
from seqtools.instrument.observer import Observer

if TYPE_CHECKING:
    from seqtools._core.asynchronous import AsyncSequenceIterator

T = TypeVar("T")
A = TypeVar("A")


class ConsumerRecorder(Observer[T]):
    """Passes items on to the consumer and records when it waits for them.

    Args:
        sequence: What the consumer reads.
        folder: Where to write records.
        prefetch: The prefetch whose window is sampled, if there is one.
        kept: Where to keep an item; `None` if none is to be kept.
    """

    __slots__ = ("_kept", "_lazy", "_prefetch", "folder")

    def __init__(
        self,
        sequence: LazySequence[T],
        folder: RecordFolder,
        prefetch: Any,
        kept: list[T] | None = None,
    ) -> None:
        super().__init__(sequence)
        self._lazy = sequence
        self.folder, self._kept = folder, kept
        has_window = prefetch is not None and prefetch._traits.acts_on_hints  # not without workers
        self._prefetch = prefetch if has_window else None

    def take(self, read: Callable[[A], T], argument: A, which: int, many: int = 0) -> T:
        """Return `read(argument)`, for which the consumer waits.

        Args:
            read: Reads an item, or `many`.
            argument: Its argument.
            which: The index of the first item.
            many: How many items it returns in a list; 0 if it returns one, without a list.
        """
        recorder = self.folder.recorder()
        began = perf_counter()
        if recorder.left is not None:
            left, used, everywhere = recorder.left
            used, everywhere = thread_time_ns() - used, process_time_ns() - everywhere
            recorder.note(USE, 1, which, left, began, used)
            recorder.note(CORES, USE, which, left, began, everywhere)
            recorder.left = None
        sampled = began >= recorder.due_of_items and not recorder.sampling
        since = everywhere = 0
        if sampled:
            if self._prefetch is not None:
                load = self._prefetch._status()
                recorder.note(FILL, load.ready, load.capacity, began, began, load.busy)
            # the stages that this thread reads now are sampled too
            recorder.sampling, recorder.due = 1, 0.0
            since, everywhere = thread_time_ns(), process_time_ns()
        what, now, all_now = WAIT, -1, -1
        try:
            value = read(argument)
        except StopIteration:
            what = OVER
            raise
        else:
            if sampled and self._kept is not None:
                self._kept[:] = [value[0] if many else value]  # type: ignore[index]
            return value
        finally:
            if sampled:
                now, all_now = thread_time_ns(), process_time_ns()
            ended = perf_counter()
            recorder.note(what, many or 1, which, began, ended, now - since if sampled else -1)
            if sampled:
                recorder.note(CORES, what, which, began, ended, all_now - everywhere)
                recorder.rest(ended, 2)
                recorder.due_of_items = recorder.due
                recorder.left = (ended, now, all_now) if what == WAIT else None

    def _pass_on(self, i: int) -> T:
        return self.take(self._read, i, i)

    _get = _pass_on  # not defined under this name, as in `StageRecorder`

    def _get_many(self, indices: Indices) -> Any:
        sequence: Any = self._sequence
        return self._take_many(sequence._get_many, indices)

    def __getitems__(self, indices: Iterable[int]) -> list[T]:
        """Return the items at `indices`: see `LazySequence`."""
        return self._take_many(self._lazy.__getitems__, list(indices))  # type: ignore[no-any-return]

    def _take_many(self, read: Callable[[Any], Any], indices: Indices) -> Any:
        many = len(indices)
        return self.take(read, indices, int(indices[0]), many) if many else read(indices)

    def __getitem__(self, key: Any) -> Any:
        """Return an item, or a view: see `LazySequence`."""
        return self._view(self._lazy[key]) if _is_several(key) else super().__getitem__(key)

    def _describe(self) -> str:
        sequence: Any = self._sequence
        return str(sequence._describe())

    def _slice(self, key: slice) -> LazySequence[T]:
        return self._view(self._lazy[key])

    def _view(self, view: LazySequence[T]) -> LazySequence[T]:
        return ConsumerRecorder(view, self.folder, self._prefetch, self._kept)

    def __iter__(self) -> "_Iterator[T]":  # type: ignore[override]  # it has the same methods
        """Return an iterator over the items."""
        n = self._length()
        indices = iter(range(n)) if n is not None else iter(int, 1)
        return _Iterator(iter(self._lazy), indices, self)

    def __aiter__(self) -> "_AsyncIterator[T]":  # type: ignore[override]  # the same methods, too
        """Return an iterator for `async for`."""
        return _AsyncIterator(aiter(self._lazy), self.folder)

    def __reversed__(self) -> "_Iterator[T]":  # type: ignore[override]
        """Return an iterator over the items from the last to the first."""
        indices = iter(range(len(self) - 1, -1, -1))
        return _Iterator(reversed(self._lazy), indices, self)


def _is_several(key: Any) -> bool:
    return key.__class__ is not int and not isinstance(key, slice) and keys.is_several(key)


class _Iterator(Iterator[T]):
    """An iterator that records when the consumer waits."""

    __slots__ = ("_consumer", "_folder", "_indices", "_items")

    def __init__(
        self, items: SequenceIterator[T], indices: Iterator[int], consumer: ConsumerRecorder[T]
    ) -> None:
        self._items, self._consumer, self._folder = items, consumer, consumer.folder
        self._indices = chain(indices, repeat(-1))

    def state_dict(self) -> dict[str, Any]:
        """Return the position: see `SequenceIterator`."""
        return self._items.state_dict()

    def load_state_dict(self, state: Any) -> None:
        """Go on from a position: see `SequenceIterator`."""
        self._items.load_state_dict(state)
        position = self._items.state_dict()["position"]  # of all ranks, after a shard
        self._indices = chain(islice(self._indices, position, None), repeat(-1))

    def __next__(self) -> T:
        which = next(self._indices)
        try:
            recorder = self._folder.local.recorder
        except AttributeError:
            recorder = self._folder.recorder()
        began = perf_counter()
        if began >= recorder.due_of_items or recorder.left is not None:
            return self._consumer.take(next, self._items, which)
        # the same as `take`, without Python calls, which would take half as long again
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


class _AsyncIterator(AsyncIterator[T]):
    """An iterator for `async for` that records when a task waits.

    Processor times are not measured, because other tasks compute meanwhile.
    """

    __slots__ = ("_folder", "_items")

    def __init__(self, items: "AsyncSequenceIterator[T]", folder: RecordFolder) -> None:
        self._items, self._folder = items, folder

    async def __anext__(self) -> T:
        began = perf_counter()
        what = WAIT
        try:
            return await anext(self._items)
        except StopAsyncIteration:
            what = OVER
            raise
        finally:
            self._folder.recorder().note(what, 1, -1, began, perf_counter())

    async def aclose(self) -> None:
        """End the iteration: see `AsyncSequenceIterator`."""
        await self._items.aclose()

    def state_dict(self) -> dict[str, Any]:
        """Return the position: see `AsyncSequenceIterator`."""
        return self._items.state_dict()

    def load_state_dict(self, state: Mapping[str, Any] | int) -> None:
        """Go on from a position: see `AsyncSequenceIterator`."""
        self._items.load_state_dict(state)


def copy_as(stage: Any, cls: type[Any]) -> Any:
    """Return a copy of `stage` with the class `cls` and the same attributes."""
    copy = object.__new__(cls)
    for parent in cls.__mro__:
        for name in parent.__dict__.get("__slots__", ()):
            if name not in {"__weakref__", "__dict__"} and hasattr(stage, name):
                setattr(copy, name, getattr(stage, name))
    getattr(copy, "__dict__", {}).update(getattr(stage, "__dict__", {}))
    return copy


class Profiled:
    """Marks the class of a pipeline during a profile."""

    __slots__ = ()


def profiled(cls: type[Any], recorder: ConsumerRecorder[Any]) -> type[Any]:
    """Return a subclass of `cls` whose objects are read through `recorder`.

    To change the class of an object leaves all of its other methods as they are, and as fast.
    """
    members: dict[str, Any] = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__iter__": lambda _: iter(recorder),
        "__aiter__": lambda _: aiter(recorder),
        "__reversed__": lambda _: reversed(recorder),
        "__getitem__": lambda self, key: (
            recorder[key] if _is_several(key) else cls.__getitem__(self, key)
        ),
        "__getitems__": lambda _, indices: recorder.__getitems__(indices),
        "_get": lambda _, i: recorder._get(i),
        "_get_many": lambda _, indices: recorder._get_many(indices),
        "_slice": lambda _, key: recorder[key],
        "__reduce_ex__": lambda self, protocol: copy_as(self, cls).__reduce_ex__(protocol),
    }
    if hasattr(cls, "_status"):  # the copy has the workers
        (copy,) = recorder._sources()
        members["_status"] = lambda _: copy._status()
    return type(cls.__name__, (cls, Profiled), members)
