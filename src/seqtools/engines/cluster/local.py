"""Items evaluated by an executor whose workers are threads of this process."""

import threading
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any

from seqtools._core.errors import EndOfSequence, Failure, WorkerStartError, seterr, summary
from seqtools.engines.base import END, here
from seqtools.engines.dispatch.evaluator import MODES

Outcomes = tuple[int, list[Any], float, bool]
"""Items before, outcomes, seconds, and whether it is a single failure or the end."""


class LocalPipeline:
    """A pipeline that threads share.

    Args:
        get: Evaluates an item.
        hook: Called once in each thread.
        hints: Called with the indices that come next, or `None`.
    """

    def __init__(self, get: Callable[[int], Any], hook: Any, hints: Any) -> None:
        self._get, self._hook, self._hints = get, hook, hints
        self._hooked = threading.local()
        self._ended = False

    def work(self, indices: Sequence[int], mode: int, patience: float) -> list[Outcomes]:
        """Return the outcomes of items; those that are missing are given back.

        Raises:
            WorkerStartError: If the start hook fails.
        """
        before = getattr(here, "get", None), seterr(MODES[mode])
        here.get = self._get
        try:
            if self._hook is not None and not hasattr(self._hooked, "done"):
                self._call_hook()
            if self._hints is not None:
                self._hints(indices)
            return self._evaluate(indices, patience)
        finally:
            here.get = before[0]
            seterr(before[1])

    def _call_hook(self) -> None:
        try:
            self._hook()
        except BaseException as error:
            name = threading.current_thread().name
            message = f"start_hook failed in thread {name}: {summary(error)}"
            raise WorkerStartError(message) from error
        self._hooked.done = True

    def end(self) -> None:
        """Stop after the current items."""
        self._ended = True
        if self._hints is not None:
            self._hints.end()

    def _evaluate(self, indices: Sequence[int], patience: float) -> list[Outcomes]:
        get, found = self._get, list[Outcomes]()
        values: list[Any] = []
        first = 0
        begun = perf_counter()
        until = begun + patience
        for place, i in enumerate(indices):
            failed: Any = None
            try:
                values.append(get(i))
            except EndOfSequence:
                failed = END
            except BaseException as error:  # noqa: BLE001 -- delivered to the reader
                failed = Failure.caught(error)
            if failed is not None:
                if values:
                    found.append((first, values, perf_counter() - begun, False))
                found.append((place, [failed], 0.0, True))
                values, first, begun = [], place + 1, perf_counter()
            if self._ended or perf_counter() > until:
                break
        if values:
            found.append((first, values, perf_counter() - begun, False))
        return found
