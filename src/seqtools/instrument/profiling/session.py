"""Measuring how a pipeline is read, for the time of a `with` block."""

import os
import shutil
import tempfile
import threading
from collections.abc import Callable, Iterator
from time import perf_counter_ns, thread_time_ns
from typing import Any, Self, TypeVar

from seqtools import recording
from seqtools.indices import Indices
from seqtools.instrument.profiling.probes import Twin
from seqtools.instrument.profiling.tracks import Facts, Recording
from seqtools.prefetching.cores import usable_cores
from seqtools.recording import FILL, LATE, OVER, USE, WAIT, Book
from seqtools.sequence import LazySequence
from seqtools.sources import is_stage

T = TypeVar("T")
A = TypeVar("A")

_FILL_PAUSE = 500_000
"""Nanoseconds between looks at the window. Arbitrary."""
_USE_PAUSE = 100_000
"""Nanoseconds between looks at the consumer's processor time; see `recording`."""
_LATE_SECONDS = 0.01
"""How long the watcher sleeps: short against the switch interval, long against a wake-up."""


class Profile:
    """What was measured; see `profile`."""

    def __init__(self, sequence: LazySequence[Any]) -> None:
        if not is_stage(sequence):
            kind = type(sequence).__name__
            message = f"profile() needs a pipeline of seqtools, got {kind}: try smap or prefetch"
            raise TypeError(message)
        self._sequence = sequence
        self._class: type[Any] | None = None
        self._recording: Recording | None = None
        self._measuring = False

    def __enter__(self) -> Self:
        """Measure all reads of the pipeline from here on."""
        if self._recording is not None:
            message = "a profile measures once: make another one with profile()"
            raise RuntimeError(message)
        if isinstance(self._sequence, _Profiled):
            message = f"{self._sequence._describe()} is being profiled already"
            raise RuntimeError(message)
        folder = tempfile.mkdtemp(prefix="seqtools-profile-")
        self._book = recording.opened(folder)
        try:
            self._begin()
        except BaseException:
            recording.close(self._book)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self

    def _begin(self) -> None:
        self._twin = twin = Twin(self._sequence, self._book)
        facts = Facts(twin.stages, twin.top, usable_cores())
        self._recording = Recording(self._book.folder, facts)
        self._class = type(self._sequence)
        watched = Watched(twin.sequence, _Consumer(self._book, twin))
        threads = any(p._options.method != "process" for p in twin.prefetches)  # noqa: SLF001 -- ours
        self._watcher = _Watcher(self._book) if threads else None
        self._measuring = True
        self._sequence.__class__ = _profiled(self._class, watched)
        self._sequence._fused = None

    def __exit__(self, *_: object) -> None:
        """Measure no more, and end the workers that were measured."""
        self._sequence.__class__ = self._class  # type: ignore[assignment]
        self._sequence._fused = None
        if self._watcher is not None:
            self._watcher.end()
        found = self._found()
        ended = perf_counter_ns()
        try:
            self._twin.close()
        finally:
            recording.close(self._book)
            found.update()
            found.ended = ended
            self._measuring = False
            shutil.rmtree(self._book.folder, ignore_errors=True)
            del self._twin, self._book

    def _found(self) -> Recording:
        """Return what was measured up to now."""
        if self._recording is None:
            message = "nothing was measured yet: use `with instrument.profile(p) as prof:`"
            raise RuntimeError(message)
        if self._measuring:
            self._recording.update()
        return self._recording

    def verdict(self) -> str:
        """Return what the consumer waits for, why, and what to try with which effect."""
        from seqtools.instrument.profiling.report import verdict

        return verdict(self._found())

    def report(self) -> str:
        """Return the verdict, and behind it a table of the stages."""
        from seqtools.instrument.profiling.report import report

        return report(self._found())

    def snapshot(self) -> dict[str, Any]:
        """Return the figures up to now as plain numbers, texts, lists and dicts; at any time."""
        from seqtools.instrument.profiling.report import snapshot

        return snapshot(self._found())

    def to_trace(self, path: "str | os.PathLike[str]") -> None:
        """Write a trace that https://ui.perfetto.dev and chrome://tracing show.

        Raises:
            OSError: If the file cannot be written.
        """
        from seqtools.instrument.profiling.trace import write_trace

        write_trace(self._found(), path)

    def to_html(self, path: "str | os.PathLike[str]") -> None:
        """Write the report as a page that any browser shows, without a network.

        Raises:
            OSError: If the file cannot be written.
        """
        from seqtools.instrument.profiling.page import write_page

        write_page(self._found(), path)

    def __repr__(self) -> str:
        """Return the verdict, if there is one."""
        if self._recording is None:
            return f"<profile of {self._sequence._describe()}, not begun>"
        from seqtools.instrument.profiling.report import verdict_line

        return f"<profile of {self._sequence._describe()}: {verdict_line(self._found())}>"


def profile(sequence: LazySequence[Any]) -> Profile:
    """Return a context manager that measures how `sequence` is read within it.

    Measured are the reads of `sequence` itself, as a whole, of slices of it, or by index, and
    with these all stages that it is made of, in whatever thread or process they are
    evaluated. What reads it through another stage is not seen. A prefetch has workers of its
    own for the time of a profile; what caches keep is shared.

    Each read of a stage costs about a microsecond then, and nothing outside of it.

    Args:
        sequence: A pipeline.

    Returns:
        A `Profile`; its methods can be called within the block, and behind it.

    Raises:
        TypeError: If `sequence` is no pipeline of ours.

    Example:
        >>> import seqtools
        >>> p = seqtools.prefetch(seqtools.smap(abs, range(100)), nworkers=1)
        >>> with profile(p) as prof:
        ...     total = sum(p)
        >>> prof.snapshot()["items"], prof.snapshot()["stages"][1]["calls"]
        (100, 100)
    """
    return Profile(sequence)


class _Consumer:
    """Writes down when the consumer waits for items, and when it uses them."""

    def __init__(self, book: Book, twin: Twin) -> None:
        self._book = book
        self._prefetch = twin.prefetch
        self._next_fill = 0
        self._next_use = 0

    def take(self, read: Callable[[A], T], argument: A, which: int) -> T:
        """Return `read(argument)`, for which the consumer waits."""
        pen = self._book.pen()
        now = perf_counter_ns()
        if pen.left is not None:
            left, used = pen.left
            pen.note(USE, 1, which, left, now, thread_time_ns() - used if used >= 0 else -1)
        if now >= self._next_fill and self._prefetch is not None:
            self._next_fill = now + _FILL_PAUSE
            load = self._prefetch._load()
            pen.note(FILL, load.ready, load.capacity, now, now, load.busy)
        try:
            return pen.timed(WAIT, 1, which, read, argument)
        except StopIteration:
            pen.note(OVER, 1, which, now, perf_counter_ns())
            raise
        finally:
            now = perf_counter_ns()
            used = -1
            if now >= self._next_use:
                self._next_use = now + _USE_PAUSE
                used = thread_time_ns()
            pen.left = now, used


class _Iterator(Iterator[T]):
    """An iterator of the consumer."""

    __slots__ = ("_consumer", "_indices", "_items")

    def __init__(self, items: Iterator[T], indices: Iterator[int], consumer: _Consumer) -> None:
        self._items, self._indices, self._consumer = items, indices, consumer

    def __next__(self) -> T:
        which = next(self._indices, -1)
        return self._consumer.take(next, self._items, which)


class Watched(LazySequence[T]):
    """A pipeline as the consumer reads it, which is timed."""

    __slots__ = ("_consumer", "_sequence")

    def __init__(self, sequence: LazySequence[T], consumer: _Consumer) -> None:
        self._sequence, self._consumer = sequence, consumer

    def _size(self) -> int | None:
        return self._sequence._length()

    def _read(self, i: int) -> T:
        return self._consumer.take(self._sequence._get, i, i)

    _get = _read  # by another name, as in `Probe`

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
        return Watched(self._sequence._slice(key), self._consumer)

    def __iter__(self) -> Iterator[T]:
        """Return an iterator over the items."""
        n = self._length()
        indices = iter(range(n)) if n is not None else iter(int, 1)
        return _Iterator(iter(self._sequence), indices, self._consumer)

    def __reversed__(self) -> Iterator[T]:
        """Return an iterator over the items from the last to the first."""
        indices = iter(range(len(self) - 1, -1, -1))
        return _Iterator(reversed(self._sequence), indices, self._consumer)


class _Profiled:
    """Marks the class that a pipeline has while it is profiled."""

    __slots__ = ()


def _profiled(cls: type[Any], watched: Watched[Any]) -> type[Any]:
    """Return a class like `cls` whose objects are read by `watched`.

    That an object changes its class leaves all of its methods as they are, and as fast.
    """

    def unprofiled(self: Any, protocol: Any) -> Any:
        copy = object.__new__(cls)
        for parent in cls.__mro__:
            for name in parent.__dict__.get("__slots__", ()):
                if name not in {"__weakref__", "__dict__"} and hasattr(self, name):
                    setattr(copy, name, getattr(self, name))
        getattr(copy, "__dict__", {}).update(getattr(self, "__dict__", {}))
        return copy.__reduce_ex__(protocol)

    read: dict[str, Any] = {
        "__slots__": (),
        "__module__": cls.__module__,
        "__qualname__": cls.__qualname__,
        "__doc__": cls.__doc__,
        "__iter__": lambda _: iter(watched),
        "__reversed__": lambda _: reversed(watched),
        "_get": lambda _, i: watched._get(i),
        "_get_many": lambda _, indices: watched._get_many(indices),
        "_slice": lambda _, key: watched._slice(key),
        "__reduce_ex__": unprofiled,
    }
    return type(cls.__name__, (cls, _Profiled), read)


class _Watcher:
    """A thread that looks how long it has to wait for the lock of the interpreter."""

    def __init__(self, book: Book) -> None:
        self._book = book
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="seqtools-watcher", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        pen = self._book.pen()
        while True:
            began = perf_counter_ns()
            if self._over.wait(_LATE_SECONDS):
                return
            ended = perf_counter_ns()
            due = began + int(_LATE_SECONDS * 1e9)
            pen.note(LATE, 1, 0, min(due, ended), ended)
