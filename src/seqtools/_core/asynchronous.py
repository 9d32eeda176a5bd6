"""`async for` over lazy sequences: the event loop runs other tasks while an item is awaited.

What takes long happens in a thread: evaluating an item, or waiting for a prefetch to have it. The
thread ends with that. An item that a prefetch has ready is taken without a thread. A task that is
cancelled stops waiting, and the thread does not, so that no item is lost: the next task that
asks gets it.
"""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import suppress
from contextvars import Context, copy_context
from functools import partial
from time import monotonic
from typing import Any, TypeVar

from seqtools._core.iteration import SequenceIterator

T = TypeVar("T")

_LONGEST = 0.005
"""Seconds for which items are returned before other tasks have their turn. Arbitrary."""

_of_this_thread = threading.local()
"""Its `turn` is when an iterator last let other tasks of the event loop in this thread run."""


class AsyncSequenceIterator(AsyncIterator[T]):
    """An asynchronous iterator over a lazy sequence, for the event loops of asyncio.

    An error is that of one item, and the next item comes after it. Several tasks may share an
    iterator, also tasks of event loops in several threads: each item is returned to one of them.

    Example:
        >>> import asyncio, seqtools
        >>> async def total():
        ...     with seqtools.prefetch(range(5), 2, "thread") as numbers:
        ...         return sum([number async for number in numbers])
        >>> asyncio.run(total())
        10
    """

    __slots__ = ("_before", "_iterator", "_lock", "_thread", "_walk")

    def __init__(self, iterator: SequenceIterator[T]) -> None:
        self._iterator: SequenceIterator[T] | None = iterator
        walk: Any = iterator._walk  # noqa: SLF001 -- of this package
        self._walk = walk if hasattr(walk, "wait") else None
        self._thread: _Thread | None = None
        self._before: dict[str, Any] | None = None  # the state without the item of the thread
        # of event loops in several threads; held while a thread starts or a ready item is taken
        self._lock = threading.Lock()

    async def __anext__(self) -> T:
        """Return the next item."""
        await _turn()
        while (iterator := self._iterator) is not None:
            with self._lock:
                walk = self._walk
                if self._thread is None:
                    if walk is not None and walk.is_ready():
                        return _following(iterator)
                    self._thread = self._started(iterator, walk)
                thread = self._thread
            await thread.end()
            with self._lock:
                if self._thread is not thread:  # another task was first
                    continue
                evaluated = self._before is not None  # or else it has only waited
                self._thread = self._before = None
                result = thread.result()
                if evaluated:
                    return result  # type: ignore[no-any-return]
                iterator = self._iterator
                if iterator is not None:  # or else it was closed meanwhile
                    return _following(iterator)
        raise StopAsyncIteration

    def _started(self, iterator: SequenceIterator[T], walk: Any) -> "_Thread":
        if walk is not None:
            return _Thread(walk.wait)
        self._before = iterator.state_dict()
        return _Thread(partial(_following, iterator))

    async def aclose(self) -> None:
        """End the iteration, and waiting for an item; see `contextlib.aclosing`."""
        self._close()

    def _close(self) -> None:
        self._iterator = None
        walk, self._walk = self._walk, None
        if walk is not None:
            walk.leave()

    def __del__(self) -> None:
        """End a thread that waits for an item."""
        if getattr(self, "_thread", None) is not None:
            self._close()

    def state_dict(self) -> dict[str, Any]:
        """Return the position, as that of `iter(sequence)` does; see `SequenceIterator`."""
        if self._before is not None:
            return self._before
        return self._open().state_dict()

    def load_state_dict(self, state: Mapping[str, Any] | int) -> None:
        """Go on from a position, as `iter(sequence)` does; see `SequenceIterator`."""
        self._open().load_state_dict(state)

    def _open(self) -> SequenceIterator[T]:
        if self._iterator is None:
            message = "this asynchronous iterator is closed: make another one by aiter(sequence)"
            raise RuntimeError(message)
        return self._iterator


async def _turn() -> None:
    """Let other tasks run if an iterator has not done so for long.

    A thread that computes may have its item before the event loop has the GIL again, so that
    nothing is awaited for any number of items. It is one time for all iterators of a thread: a
    task that reads many short sequences must not begin anew with each.
    """
    if monotonic() - getattr(_of_this_thread, "turn", 0.0) > _LONGEST:
        await asyncio.sleep(0)
        _of_this_thread.turn = monotonic()


def _following(iterator: SequenceIterator[T]) -> T:
    """Return the next item; raise `StopAsyncIteration` at the end."""
    try:
        return next(iterator)
    except StopIteration:
        raise StopAsyncIteration from None


class _Thread:
    """A function that runs in a thread, with the context of the task that starts it."""

    __slots__ = ("_error", "_lock", "_over", "_value", "_waiting")

    def __init__(self, function: Callable[[], Any]) -> None:
        self._lock = threading.Lock()
        self._waiting: list[tuple[asyncio.AbstractEventLoop, asyncio.Future[None]]] = []
        self._over = False
        self._value: Any = None
        self._error: BaseException | None = None
        # A daemon, because nothing can end user code that never returns. It is no thread of an
        # executor: asyncio and Python wait for these at the end.
        threading.Thread(
            target=self._run, args=(function, copy_context()), name="seqtools-await", daemon=True
        ).start()

    def _run(self, function: Callable[[], Any], context: Context) -> None:
        try:
            self._value = context.run(function)
        except BaseException as error:  # noqa: BLE001 -- raised where the item is awaited
            self._error = error
        with self._lock:
            self._over = True
            waiting, self._waiting = self._waiting, []
        for loop, future in waiting:
            with suppress(RuntimeError):  # that loop is closed
                loop.call_soon_threadsafe(_wake, future)

    async def end(self) -> None:
        """Wait in any event loop until the function has returned; it goes on if cancelled."""
        loop = asyncio.get_running_loop()
        future = loop.create_future()
        with self._lock:
            if self._over:
                return
            self._waiting.append((loop, future))
        await future
        _of_this_thread.turn = monotonic()

    def result(self) -> Any:
        """Return the result of the function, or raise its error."""
        error, self._error = self._error, None
        if error is not None:
            raise error
        return self._value


def _wake(future: "asyncio.Future[None]") -> None:
    if not future.done():
        future.set_result(None)
