"""Between readers, in whatever thread, the window, and an engine that evaluates.

An engine delivers parts from its own threads. A reader that comes gives them out, asks for what
comes next, and takes the run that is there, or waits for it. What holds this together:

- The rings of the readers are the truth: what is held, what is asked for, and where readers are
  follow from them. So whatever was interrupted, the next turn mends it.
- A part is removed from the queue after it was given out, and to give it out twice does no harm.
  A job is marked as sent after the engine has taken it, and an engine ignores a job that it has.
- Signal handlers and finalizers, which come in between, may do anything with the prefetch:
  what they read by index is evaluated on the spot, iterators raise, and the interrupted thread
  does what else they ask for.
"""

from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from seqtools._core.errors import EndOfSequence
from seqtools.engines.base import END, here
from seqtools.engines.process.output_display import said, show
from seqtools.prefetching.interruptible_lock import TAKEN
from seqtools.prefetching.lifecycle import Lifecycle, MakeEngine
from seqtools.prefetching.reader import NO_JOB, RandomReader, Reader, SingleReader
from seqtools.prefetching.run import NOTHING, Run
from seqtools.prefetching.window import Window

_FIRST_LOOK = 0.002
"""Seconds to wait for what is being evaluated before the engine is asked how far it is."""
_PAUSING_SECONDS = 0.02
"""Time between two visits of a reader who is not quick. Arbitrary: long against the 50 µs that a
short run costs, and against a loop that takes an item each millisecond."""
_WAIT: Any = object()
"""Stands for a run that is to be waited for."""
_ASIDE: Any = object()
"""Says that an item is not on the cursor of a reader."""


class Pump(Lifecycle):
    """Serves the readers of one prefetch.

    Args:
        make_engine: Starts an engine.
        make_window: Returns an empty window.
        inline: Evaluates an item here.
        idle_timeout: Seconds after which an engine that has nothing to do is ended.
    """

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
        """Begin to serve `reader`; or else that begins with its first visit."""
        self._serve(self.window.open, reader)

    def next(self, reader: Reader) -> Run | None:
        """Return a run of `reader` with something to read; wait for it.

        It is `None` at the end, and `TAKEN` for code that came in between what this thread does
        in here.
        """
        run = self._serve(self._visit, reader)
        return run if isinstance(run, Run) and not self._has_news() else self._await(reader, run)

    def read(self, reader: Reader, i: int) -> Any:
        """Return item `i`, and have what `reader` reads then evaluated.

        Raises:
            EndOfSequence: If the source, without known length, has no item `i`.
            EvaluationError: If user code failed.
        """
        if getattr(here, "get", None) is self.inline:
            return self.inline(i)  # a worker must not wait for itself
        run = self._serve(self._seek, reader, i)
        found = self._take(reader, i, run) if run is not _ASIDE else run
        if found is not _ASIDE:
            return found
        aside = SingleReader(range(i, i + 1))
        try:
            return self._take(aside, i, self._serve(self._visit, aside))
        finally:
            self.leave(aside)

    def aim(self, reader: RandomReader, indices: Sequence[int]) -> None:
        """Evaluate `indices` ahead for a reader that was said to read them next."""
        self._serve(self._aim, reader, indices)  # a hint may be lost

    def state(self, reader: Reader) -> dict[str, Any]:
        """Return where a reader stands."""
        state: dict[str, Any] = self._serve(reader.state)  # type: ignore[assignment]
        return reader.state() if state is TAKEN else state

    def finish(self, reader: Reader, i: int) -> None:
        """Note that there is no item `i`, which `reader` has asked for, nor any after it."""
        self.window.ended(i)  # even if the rest cannot be done now
        self._serve(self.window.finish, reader, i)

    def throw(self, run: Run) -> None:
        """Raise what became of the single item of a run that failed.

        Raises:
            EndOfSequence: If there is no such item.
            EvaluationError: If user code failed.
        """
        values = run.values
        if not values:
            return  # it was dropped at this moment, by another thread or a finalizer
        outcome = values[0]
        if outcome is END:
            raise EndOfSequence
        try:
            outcome.throw()
        except BaseException as error:
            if error is outcome.error and not isinstance(error, Exception):
                # for all that is known it was an interrupt, there: it is evaluated again
                run.job = None
                run.values = None
            raise

    # Between turns

    def _take(self, reader: Reader, i: int, run: Any) -> Any:
        """Return item `i`, which comes next for `reader`, from `run` or one that comes.

        It is `_ASIDE` if the reader has gone elsewhere, because a signal handler has read by it.
        """
        while True:
            if not isinstance(run, Run) or self._has_news():
                run = self._await(reader, run, i)
            if run is _ASIDE:
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
                except IndexError:  # it was dropped at this moment
                    pass
            run = _WAIT

    def _throw_once(self, reader: Reader, i: int, run: Run) -> None:
        """Raise what became of item `i`, which is read then."""
        try:
            self.throw(run)
        except Exception as error:
            run.values = NOTHING
            if type(error) is EndOfSequence and reader.endless:
                self.window.ended(i)
            raise

    def _has_news(self) -> bool:
        """Return whether something is to be told before an item is given."""
        engine = self._engine
        return bool(said or (engine is not None and engine.news))

    def _await(self, reader: Reader, run: Any, i: int | None = None) -> Any:
        """Return a run of `reader`, `None` at its end, or `TAKEN`; wait for it.

        If it reads by index, it is seen to that it goes on with index `i`: signal handlers that
        come in between read by the same reader.
        """
        pause = _FIRST_LOOK
        while True:
            if self._has_news():
                self._tell()
            if run is not _WAIT:
                return run
            began, engine = perf_counter(), self._engine
            if not reader.bell.wait(pause):
                pause = _FIRST_LOOK if engine is None else engine.look()
            if engine is not None:
                engine.waited(perf_counter() - began)
            if i is None:
                run = self._serve(self._visit, reader)
            else:
                run = self._serve(self._seek, reader, i)

    def _tell(self) -> None:
        """Tell what workers have printed or have to say, in this thread, which reads."""
        if said:
            show()
        engine = self._engine
        if engine is not None and engine.news:
            engine.tell()

    # In a turn

    def _visit(self, reader: Reader) -> Any:
        """Return the run to read from, `None` at the end, or `_WAIT`."""
        if self._arrivals.parts:
            self._give_out()
        window, engine = self.window, self._engine
        now = perf_counter()
        run = window.visit(reader, pausing=now - reader.left > _PAUSING_SECONDS)
        if run is None:
            if reader.position >= len(reader.cursor.indices) and not reader.held:
                return None
            if self._is_left_behind():
                return _WAIT  # for ever
            engine = self._started()
            window.starved()
        if engine is not None:
            self._dispatch(engine)
        if run is None:
            run = reader.next_run()  # it may have been there for another reader
        if run is not None:
            reader.awaits = NO_JOB
            reader.left = self._used = now
            return run
        awaited = reader.awaited()
        if awaited is None:
            return None  # nothing is left of it before the end that was found
        job = awaited.job
        self._arrivals.await_(reader, job.id if reader.in_order and job is not None else None)
        return _WAIT

    def _seek(self, reader: Reader, i: int) -> Any:
        if self._arrivals.parts:
            self._give_out()
        return self._visit(reader) if self.window.seek(reader, i) else _ASIDE

    def _aim(self, reader: RandomReader, indices: Sequence[int]) -> None:
        self.window.aim(reader, indices)
        self._dispatch(self._started())
