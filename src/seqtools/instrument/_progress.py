"""Shows a progress bar for each iteration, with the state of prefetches."""

import sys
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import chain, repeat
from time import perf_counter
from typing import Any, TypeVar

from seqtools._core.checks import check_source
from seqtools._core.display.short import short
from seqtools._core.indices import Indices
from seqtools._core.iteration import SequenceIterator, with_state_of
from seqtools._core.sequence import LazySequence
from seqtools._core.sources import Source, read_many
from seqtools._core.views import Slice
from seqtools._core.walk import is_stage
from seqtools.engines.base import here
from seqtools.engines.dispatch import output_display
from seqtools.instrument.observer import Observer
from seqtools.instrument.prefetch_status import PrefetchStatus

T = TypeVar("T")

_NOTHING: Any = object()
_open: dict[int, weakref.ref[Any]] = {}
"""Weak references to the visible bars by id; deleting an iterator closes its bar."""
_LONGEST = 30
"""Most characters of an option in a repr. Arbitrary."""
_INTERVAL = 0.1
"""Seconds between two updates of the bar, as is the default of tqdm."""


class Progress(Observer[T]):
    """Passes items on and shows a bar for each iteration over them."""

    __slots__ = ("_options",)

    def __init__(self, sequence: Source[T], options: dict[str, Any]) -> None:
        super().__init__(sequence)
        self._options = options

    def _get(self, i: int) -> T:
        return self._read(i)  # type: ignore[no-any-return]

    def _get_many(self, indices: Indices) -> Any:
        return read_many(self._sequence, indices)

    def __iter__(self) -> SequenceIterator[T]:
        """Return an iterator, which has a bar from its first item on."""
        # the iterator of a stage may be faster than reads by index
        items = iter(self._sequence) if is_stage(self._sequence) else super().__iter__()
        return self._shown(items)

    def __reversed__(self) -> SequenceIterator[T]:
        """Return an iterator over the items from the last to the first, with a bar."""
        items = reversed(self._sequence) if is_stage(self._sequence) else super().__reversed__()
        return self._shown(items)

    def _shown(self, items: Any) -> SequenceIterator[T]:
        if not _is_visible(self._options):
            return items  # type: ignore[no-any-return]
        run = _Run(items, PrefetchStatus(self._sequence), {"total": self._length()} | self._options)
        # A generator ends when it raises, so there is a new one until `over` has a length.
        attempts = map(_attempt, repeat(run), iter(run.over.__len__, 1))
        return with_state_of(items, SequenceIterator.from_iterable(attempts))

    def _slice(self, key: slice) -> LazySequence[T]:
        source, places = self._sequence, self._places(key)
        part = source[key] if is_stage(source) else Slice[T](source, places)
        return Progress(part, self._options)

    def _rebuild(self, *sources: Any) -> "Progress[T]":
        return Progress(sources[0], self._options)

    def _args(self) -> tuple[Any, ...]:
        # without the file, which cannot be pickled
        return self._sequence, {k: v for k, v in self._options.items() if k != "file"}

    def _as_call(self) -> str:
        shown = [f"{name}={short(value, _LONGEST)}" for name, value in self._options.items()]
        return f"progress({', '.join(shown)})"


class _Run:
    """One iteration; its bar is closed at the end, or when the iterator is deleted."""

    __slots__ = ("bar", "item", "items", "n", "options", "over", "status")

    def __init__(
        self, items: Iterator[Any], status: PrefetchStatus, options: dict[str, Any]
    ) -> None:
        self.items, self.status, self.options = items, status, options
        self.item = _NOTHING  # an item that an interrupt kept from being yielded
        self.n = 0  # items that the consumer is done with
        self.over: list[None] = []
        self.bar: Any = None

    def begin(self) -> None:
        """Show the bar."""
        if self.bar is None:
            self.bar = bar = _opened(self.options)
            self.status.begin()
            output_display.around[0] = _out_of_the_way
            _open[id(bar)] = weakref.ref(bar)

    def draw(self, n: int) -> None:
        """Show that the consumer is done with `n` items."""
        self._show_status()
        self.bar.update(n + self.bar.initial - self.bar.n)

    def _show_status(self) -> None:
        if "postfix" not in self.options:  # otherwise it is the user's
            self.bar.set_postfix_str(self.status.text(), refresh=False)

    def close(self) -> None:
        """Close the bar after it has shown the last count."""
        if self.bar is not None:
            self._show_status()
        bar, self.bar = self.bar, None
        if bar is not None:
            _open.pop(id(bar), None)
            bar.n = self.n + bar.initial
            bar.close()

    def __del__(self) -> None:
        self.close()


def _attempt(run: _Run, _: int) -> Iterator[Any]:
    """Yield items until the end or the first error."""
    items, status = run.items, run.status
    run.begin()
    clock, interval = perf_counter, run.options.get("mininterval", _INTERVAL)
    n, waited = run.n, status.waited
    due = clock() + interval
    try:
        if run.item is not _NOTHING:
            items = chain((run.item,), items)
        began = clock()
        # An interrupt may come after any call. An item that was not yielded is in `run` then.
        for run.item in items:
            waited += clock() - began
            item, run.item = run.item, _NOTHING  # noqa: PLW2901 -- on purpose
            yield item
            del item  # only the consumer decides how long it lives
            n += 1
            began = clock()
            if began >= due:
                status.note(waited, began)
                run.draw(n)
                due = began + interval
        run.over.append(None)
        run.n = n
        status.note(waited, clock())
        run.close()
    finally:
        run.n, status.waited = n, waited
        # a traceback that is kept refers to this frame, which must not keep the bar
        del run, items, status


def _is_visible(options: dict[str, Any]) -> bool:
    """Return whether a bar would be visible, or was requested."""
    disable = options.get("disable")
    if disable is not None:
        return not disable
    if getattr(here, "get", None) is not None:  # this is a worker
        return False
    file = options.get("file")
    if file is None:
        if _in_notebook():
            return True
        file = sys.stderr
    try:
        return file is not None and bool(file.isatty())
    except (AttributeError, ValueError):  # it is no file, or closed
        return not hasattr(file, "isatty")


def _in_notebook() -> bool:
    ipython = sys.modules.get("IPython")
    shell = None if ipython is None else ipython.get_ipython()
    return shell is not None and "IPKernelApp" in shell.config


def _opened(options: dict[str, Any]) -> Any:
    """Return a new bar."""
    if options.get("file") is None:
        from tqdm.auto import tqdm  # one for notebooks, there
    else:
        from tqdm.std import tqdm  # type: ignore[assignment]
    bar = tqdm(**options | {"disable": False})
    if "leave" not in options:
        bar.leave = not bar.pos  # the outermost of nested bars stays
    return bar


@contextmanager
def _out_of_the_way(stream: Any) -> Iterator[None]:
    """Return a context in which text for `stream` appears above the bars on the same terminal."""
    terminal = (sys.stdout, sys.stderr)
    shown = [bar for ref in tuple(_open.values()) if (bar := ref()) is not None]
    # tqdm wraps files in objects that equal them
    beside = [
        bar for bar in shown if bar.fp == stream or (bar.fp in terminal and stream in terminal)
    ]
    # Without the lock of tqdm: forked processes share it, and may be killed while they hold it.
    for bar in beside:
        bar.clear(nolock=True)
    try:
        yield
    finally:
        for bar in beside:
            bar.refresh(nolock=True)


def _check_options(options: dict[str, Any]) -> None:
    import inspect

    from tqdm.std import tqdm

    known = {*inspect.signature(tqdm.__init__).parameters} - {"self", "iterable", "gui", "kwargs"}
    for name in options:
        if name not in known:
            raise TypeError(f"progress() has no option {name!r}: those of tqdm are {sorted(known)}")


def progress(sequence: Source[T], **options: Any) -> LazySequence[T]:
    """Return `sequence`, with a bar that shows how far each iteration over it has come.

    Items are passed on unchanged, and can be assigned if those of `sequence` can. The bar is a
    tqdm bar, for terminals or for notebooks. It belongs to one iteration over the sequence or a
    slice, from its first item until it ends or is dropped; reads by index show no bar. After
    the bar stands the state of the nearest prefetches upstream, and the share of the time spent
    waiting for items: `window 37/100, 2/2 busy, 5% waited`.

    The bar is shown only if standard error is a terminal or this is a notebook, and never in a
    worker; otherwise it costs nothing. Shown, it costs about 0.2 µs for each item.

    Args:
        sequence: The sequence to read items from.
        options: Options of `tqdm`, such as `desc`, `unit`, `leave` or `file`. `disable=False`
            always shows the bar, `disable=True` never. If `leave` is not given, it is true for
            the outermost of nested bars. A `postfix` replaces the text after the bar. A copy
            that was pickled has no `file`, and writes to the standard error.

    Raises:
        TypeError: If `sequence` is not a sequence, or tqdm does not have one of the options.

    Example:
        >>> shown = progress([10, 20, 30], desc="reading", disable=True)
        >>> list(shown), shown[-1], len(shown[1:])
        ([10, 20, 30], 30, 2)
    """
    check_source(sequence)
    if options:
        _check_options(options)
    return Progress(sequence, options)
