"""Profiling a pipeline during a `with` block."""

import os
import shutil
import tempfile
import threading
from time import perf_counter, perf_counter_ns
from typing import TYPE_CHECKING, Any, Self

from seqtools._core import fusing, recording
from seqtools._core.recording import LATE, RecordFolder
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import ends_unseen
from seqtools.instrument.observer import check_pipeline
from seqtools.instrument.profiling.consumer import (
    ConsumerRecorder,
    Profiled,
    copy_as,
    profiled,
)
from seqtools.instrument.profiling.imported import imports, one_at_a_time
from seqtools.instrument.profiling.recorded_pipeline import RecordedPipeline
from seqtools.instrument.profiling.replayed import Replayed
from seqtools.instrument.profiling.tracks import Recording
from seqtools.instrument.profiling.transfer import tried
from seqtools.instrument.shown import Shown
from seqtools.prefetching.cores import usable_cores

if TYPE_CHECKING:
    from seqtools.instrument.profiling.case import Case

_SLEEP = 0.04
"""Seconds that the watcher sleeps. Each time it wakes, threads that compute must pass the lock of
the interpreter to it, which costs them up to 0.4 ms."""


class Profile:
    """The measurements of a `profile` block."""

    def __init__(self, sequence: LazySequence[Any], *, replay: bool = False) -> None:
        self._sequence: Any = sequence
        self._replay = replay
        self._class: type[Any] | None = None
        self._recording: Recording | None = None
        self._measuring = False
        self._kept: list[Any] | None = None

    def __enter__(self) -> Self:
        """Measure all reads of the pipeline from here on."""
        if self._recording is not None:
            message = "a profile measures once: make another one with profile()"
            raise RuntimeError(message)
        if isinstance(self._sequence, Profiled):
            message = "this pipeline is being profiled already"
            raise RuntimeError(message)  # noqa: TRY004 -- the class marks a running profile
        folder = tempfile.mkdtemp(prefix="seqtools-profile-")
        self._folder = recording.opened(folder)
        try:
            self._begin()
        except BaseException:
            recording.close(self._folder)
            shutil.rmtree(folder, ignore_errors=True)
            raise
        return self

    def _begin(self) -> None:
        self._recorded = recorded = RecordedPipeline(self._sequence, self._folder)
        self._recording = Recording(
            self._folder.folder, recorded.stages, recorded.top, usable_cores()
        )
        self._recording.originals = recorded.originals
        self._class = type(self._sequence)
        copy: Any = recorded.sequence
        if copy is self._sequence:  # the original is about to be read through the recorder
            copy = copy_as(copy, self._class)
        options = [
            prefetch._options  # noqa: SLF001 -- ours
            for prefetch in recorded.prefetches
            if prefetch._options.nworkers != 0  # noqa: SLF001
        ]
        self._kept = [] if all(o.may_share_memory for o in options) else None
        if self._replay:
            copy = Replayed(copy, recorded.close)
            self._recording.replayed = True
            self._kept, options = None, []
        ahead = None if self._replay else recorded.prefetch
        recorder = ConsumerRecorder(copy, self._folder, ahead, self._kept)
        threads = any(o.may_share_memory and o.nworkers != 1 for o in options)
        # whether threads would help is of interest where there are no workers
        self._watcher = _Watcher(self._folder) if threads or not options else None
        self._measuring = True
        self._sequence.__class__ = profiled(self._class, recorder)
        fusing.anew(self._sequence)

    def __exit__(self, *_: object) -> None:
        """Stop measuring, and end the workers of the profile."""
        if not self._measuring:
            message = "this profile is not measuring: use `with instrument.profile(p) as prof:`"
            raise RuntimeError(message)
        self._sequence.__class__ = self._class
        fusing.anew(self._sequence)
        if self._watcher is not None:
            self._watcher.end()
        found = self._updated()
        ended = perf_counter_ns()
        found.transfer = tried(self._kept.pop()) if self._kept else None
        found.imports, found.one_at_a_time = imports(), one_at_a_time()
        try:
            self._recorded.close()
        finally:
            recording.close(self._folder)
            found.update()
            found.ended = ended
            self._measuring = False
            shutil.rmtree(self._folder.folder, ignore_errors=True)
            del self._recorded, self._folder

    def __reduce_ex__(self, protocol: Any) -> Any:
        """Refuse to be pickled or copied: the figures are in `snapshot()`."""
        message = "cannot pickle or copy a profile: use its snapshot(), to_html() or to_trace()"
        raise TypeError(message)

    def _updated(self) -> Recording:
        """Return the recording with all records up to now."""
        if self._recording is None:
            message = "nothing was measured yet: use `with instrument.profile(p) as prof:`"
            raise RuntimeError(message)
        if self._measuring:
            self._recording.update()
        return self._recording

    def _case(self) -> "Case":
        from seqtools.instrument.profiling.case import Case

        return Case(self._updated())

    def verdict(self) -> str:
        """Return what the consumer waits for, why, what to change, and the expected effect.

        A notebook shows the text formatted.
        """
        from seqtools.instrument.profiling.page import html_verdict
        from seqtools.instrument.profiling.report import verdict_lines

        case = self._case()
        return Shown.of("\n".join(verdict_lines(case)), lambda: html_verdict(case))

    def report(self) -> str:
        """Return the verdict, a table of the stages, and when and where it was measured.

        A notebook shows the same as `to_html` writes.
        """
        from seqtools.instrument.profiling.page import html_report
        from seqtools.instrument.profiling.report import report

        case = self._case()
        return Shown.of(report(case), lambda: html_report(case))

    def snapshot(self) -> dict[str, Any]:
        """Return the figures up to now as numbers, strings, lists and dicts, at any time."""
        from seqtools.instrument.profiling.report import snapshot

        return snapshot(self._case())

    def to_trace(self, path: "str | os.PathLike[str]") -> None:
        """Write a trace that https://ui.perfetto.dev and chrome://tracing show.

        Raises:
            OSError: If the file cannot be written.
        """
        from seqtools.instrument.profiling.trace import write_trace

        write_trace(self._updated(), path)

    def to_html(self, path: "str | os.PathLike[str]") -> None:
        """Write the report as a page that any browser shows, without a network.

        Raises:
            OSError: If the file cannot be written.
        """
        from seqtools.instrument.profiling.page import write_page

        write_page(self._case(), path)

    def __repr__(self) -> str:
        """Return the verdict."""
        if self._recording is None:
            return f"<profile of {self._sequence._describe()}, not begun>"
        return f"<profile of {self._sequence._describe()}: {self.verdict().splitlines()[0]}>"

    def _repr_html_(self) -> str | None:
        """Return the report for a notebook, `None` if nothing was measured."""
        if self._recording is None:
            return None
        from seqtools.instrument.profiling.page import html_report

        return html_report(self._case())


def profile(sequence: LazySequence[Any], *, replay: bool = False) -> Profile:
    """Return a context manager that measures how `sequence` is read within it.

    Reads of `sequence` itself are measured, as a whole, in slices, by index or by several, together
    with all its stages, in any thread or process. Reads through a stage built on `sequence` are not
    measured. For the time of the block, a prefetch has separate workers; caches share their
    content.

    Inside the block, each read of a stage costs about a microsecond; outside, nothing.

    Args:
        sequence: A pipeline.
        replay: Evaluate only the first item that is read, and return the same object for all
            indices. So the loop is measured alone: no change of the pipeline makes it faster. The
            length must be known, because the end of an iterable is found only by reading it.

    Returns:
        A `Profile`; its methods can be called within the block, and after it.

    Raises:
        TypeError: If `sequence` is not a pipeline of seqtools.
        ValueError: If `replay` is true and the length of `sequence` is not known, as over a
            `uniter` without `size`.

    Example:
        >>> import seqtools
        >>> p = seqtools.prefetch(seqtools.smap(abs, range(100)), nworkers=1)
        >>> with profile(p) as prof:
        ...     total = sum(p)
        >>> prof.snapshot()["items"], prof.snapshot()["stages"][1]["calls"]
        (100, 100)
    """
    check_pipeline(sequence, "profile")
    if replay and ends_unseen(sequence):
        message = (
            "profile(replay=True) needs a sequence of known length, because it does not read on to "
            f"find the end, got {sequence._describe()}: give uniter() its size=, or slice it, as "
            "in sequence[:1000]"
        )
        raise ValueError(message)
    return Profile(sequence, replay=replay)


class _Watcher:
    """A thread that records how long it waits for the lock of the interpreter."""

    def __init__(self, folder: RecordFolder) -> None:
        self._folder = folder
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, name="seqtools-watcher", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """End the thread."""
        self._over.set()
        self._thread.join()

    def _watch(self) -> None:
        recorder = self._folder.recorder()
        while True:
            began = perf_counter()
            if self._over.wait(_SLEEP):
                return
            ended = perf_counter()
            due = began + _SLEEP
            recorder.note(LATE, 1, 0, min(due, ended), ended)
