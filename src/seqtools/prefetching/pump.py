"""The pump connects readers in any thread, the window, and the engine.

An engine delivers parts from its own threads. The thread of a reader that needs a run distributes
these parts to the runs that expect them, submits the next jobs, and takes its run or waits for it.
It does this while it holds a lock, in a *turn*. Invariants:

- The rings of the readers are the source of truth: held items, requested items and positions
  follow from them. So the next turn repairs what an interrupt has left undone.
- A part is removed from the queue after it was distributed; distributing it twice does no harm. A
  job is marked as sent after the engine has received it; an engine ignores a job that it has.
- Signal handlers and finalizers that run during a turn may use the prefetch: items that they read
  by index are evaluated at once, iterators raise an error, and the interrupted thread does the
  rest after its turn.
"""

import sys
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from seqtools._core.errors import EndOfSequence
from seqtools.engines.base import END, here
from seqtools.engines.dispatch.output_display import said, show
from seqtools.prefetching.interruptible_lock import TAKEN
from seqtools.prefetching.lifecycle import Lifecycle, MakeEngine
from seqtools.prefetching.reader import NO_JOB, RandomReader, Reader, SingleReader
from seqtools.prefetching.run import NOTHING, Run
from seqtools.prefetching.window import Window

_FIRST_LOOK = 0.002
"""Seconds that a reader waits before it calls the engine's `look`."""
_PAUSING_SECONDS = 0.02
"""Seconds between two visits of a reader from which it counts as pausing. Arbitrary: long compared
with the 50 µs that a short run costs, and with a loop that takes an item each millisecond."""
_WAIT: Any = object()
"""In place of a run: the reader must wait for it."""
_ELSEWHERE: Any = object()
"""In place of a run: the item is not on the cursor of the reader."""


def is_end(run: Run) -> bool:
    """Return whether `run` is the end of a source of unknown length."""
    return bool(run.failed and run.values and run.values[0] is END)


class Pump(Lifecycle):
    """Serves the readers of one prefetch; `inline` evaluates an item in the calling thread."""

    def __init__(
        self,
        make_engine: MakeEngine,
        make_window: Callable[[], Window],
        inline: Callable[[int], Any],
        idle_timeout: float | None,
    ) -> None:
        super().__init__(make_engine, make_window, idle_timeout)
        self.inline = inline

    def open(self, reader: Reader) -> None:
        """Begin to serve `reader` now; without this call, that begins with its first visit."""
        self._serve(self.window.open, reader)

    def next(self, reader: Reader) -> Run | None:
        """Return a run of `reader` with unread items; wait for it.

        Returns `None` at the end, and `TAKEN` if the caller is a signal handler or a finalizer
        that interrupted a turn of this thread, or a finalizer at the end of the interpreter, or
        the reader is gone.
        """
        run = self._serve(self._visit, reader)
        return (
            run if isinstance(run, Run) and not self._has_messages() else self._await(reader, run)
        )

    def is_ready(self, reader: Reader) -> bool:
        """Return whether `next` returns an item at once, so that nothing is waited for."""
        ready = self._take_turn(self._has_item, reader, seconds=0)
        if self._leaving or self._closing or self._ended or not self._watched:
            self._attend()
        return ready is True

    def read(self, reader: Reader, i: int) -> Any:
        """Return item `i`, and have the next items of `reader` evaluated.

        Raises:
            EndOfSequence: If the source, without known length, has no item `i`.
            EvaluationError: If user code failed.
        """
        if getattr(here, "get", None) is self.inline:
            return self.inline(i)  # a worker must not wait for itself
        run = self._serve(self._seek, reader, i)
        found = self._take(reader, i, run) if run is not _ELSEWHERE else run
        if found is not _ELSEWHERE:
            return found
        aside = SingleReader(range(i, i + 1))
        try:
            return self._take(aside, i, self._serve(self._visit, aside))
        finally:
            self.leave(aside)

    def aim(self, reader: RandomReader, indices: Sequence[int]) -> None:
        """Evaluate `indices` ahead for a reader that reads them next according to a hint."""
        self._serve(self._aim, reader, indices)  # a hint may be lost

    def state(self, reader: Reader) -> tuple[int, list[range]]:
        """Return how many indices a reader has requested, and ranges of those it has not read."""
        state: tuple[int, list[range]] = self._serve(reader.state)  # type: ignore[assignment]
        return reader.state() if state is TAKEN else state

    def finish(self, reader: Reader, i: int) -> None:
        """Note that the source ends before item `i`, which `reader` has requested."""
        self.window.ended(i)  # even if the next line must wait for another thread
        self._serve(self.window.finish, reader, i)

    def throw(self, run: Run) -> None:
        """Raise the error of the single item of a failed run, or `EndOfSequence`."""
        values = run.values
        if not values:
            return  # another thread or a finalizer has just dropped it
        outcome = values[0]
        if outcome is END:
            raise EndOfSequence
        try:
            outcome.throw()
        except BaseException as error:
            if error is outcome.error:
                # it may have been an interrupt of the worker: the item is evaluated again
                run.job = None
                run.values = None
            raise

    # Between turns

    def _take(self, reader: Reader, i: int, run: Any) -> Any:
        """Return item `i`, the next one of `reader`, from `run` or a later run.

        Returns `_ELSEWHERE` if the reader has moved, because a signal handler has read with it.
        """
        while True:
            if not isinstance(run, Run) or self._has_messages():
                run = self._await(reader, run, i)
            if run is _ELSEWHERE:
                return run
            if run is None:
                raise EndOfSequence
            if run is TAKEN:
                return self.inline(i)
            values = run.values
            if values and run.indices[-len(values)] != i:
                return self.inline(i)  # another thread reads with this reader
            if run.failed:
                self._throw_once(reader, i, run)
            else:
                try:
                    return values.popleft()
                except IndexError:  # another thread has just dropped it
                    pass
            run = _WAIT

    def _throw_once(self, reader: Reader, i: int, run: Run) -> None:
        """Raise the error of item `i`, which counts as read then."""
        try:
            self.throw(run)
        except Exception as error:
            run.values = NOTHING
            if type(error) is EndOfSequence and reader.endless:
                self.window.ended(i)
            raise

    def _has_messages(self) -> bool:
        """Return whether there is output or a warning to show before an item is returned."""
        engine = self._engine
        return bool(said or (engine is not None and engine.news))

    def _await(self, reader: Reader, run: Any, i: int | None = None) -> Any:
        """Return a run of `reader`, `None` at its end, or `TAKEN`; wait for it.

        A reader by index is moved to index `i` again after each wait, because signal handlers
        read with the same reader.
        """
        pause = _FIRST_LOOK
        while True:
            if self._has_messages():
                self._show_messages()
            if run is not _WAIT:
                return run
            began, engine = perf_counter(), self._engine
            if not reader.wakeup.wait(pause):
                pause = _FIRST_LOOK if engine is None else engine.look()
            if engine is not None:
                engine.waited(perf_counter() - began)
            if reader.gone:
                return TAKEN
            if i is None:
                run = self._serve(self._visit, reader)
            else:
                run = self._serve(self._seek, reader, i)

    def _show_messages(self) -> None:
        """Show the output and warnings of workers, in this thread, which reads."""
        if said:
            show()
        engine = self._engine
        if engine is not None and engine.news:
            engine.tell()

    # In a turn

    def _has_item(self, reader: Reader) -> bool:
        if self._arrivals.parts:
            self._give_out()
        run = reader.next_run()
        return run is not None and not is_end(run)

    def _visit(self, reader: Reader) -> Any:
        """Return the run to read from, `None` at the end, or `_WAIT`."""
        if self._arrivals.parts:
            self._give_out()
        window, engine = self.window, self._engine
        now = perf_counter()
        run = window.visit(reader, pausing=now - reader.served > _PAUSING_SECONDS)
        if run is None:
            if reader.position >= len(reader.cursor.indices) and not reader.held:
                return None
            if sys.is_finalizing():
                return TAKEN  # no other thread runs any more
            if self._is_left_behind():
                return _WAIT  # forever
            engine = self._started()
            window.starved()
        if engine is not None:
            self._dispatch(engine)
        if run is None:
            run = reader.next_run()  # another reader may have had these items
        if run is not None:
            reader.awaits = NO_JOB
            reader.served = self._used = now
            return run
        awaited = reader.awaited()
        if awaited is None:
            return None  # no items are left before the end of the source
        job = awaited.job
        self._arrivals.await_(reader, job.id if reader.in_order and job is not None else None)
        return _WAIT

    def _seek(self, reader: Reader, i: int) -> Any:
        if self._arrivals.parts:
            self._give_out()
        return self._visit(reader) if self.window.seek(reader, i) else _ELSEWHERE

    def _aim(self, reader: RandomReader, indices: Sequence[int]) -> None:
        if not sys.is_finalizing():
            self.window.aim(reader, indices)
            self._dispatch(self._started())
