"""A pipeline that has arrived in a worker of a cluster, and answers calls."""

import signal
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from time import perf_counter
from typing import Any

from seqtools._core import allocator, recording
from seqtools._core.distant_records import folders
from seqtools._core.errors import seterr
from seqtools.engines import fault_injection
from seqtools.engines.base import here
from seqtools.engines.cluster.arenas import WorkerArena
from seqtools.engines.cluster.messages import DONE, SPEAKS, Answer, Call
from seqtools.engines.cluster.printed import captured
from seqtools.engines.cluster.shipment import machine
from seqtools.engines.dispatch.evaluator import Evaluator
from seqtools.engines.hooks import call_start_hook
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import SlotPlace
from seqtools.engines.wire.flags import Flags
from seqtools.engines.wire.shipment import ReceivedPipeline
from seqtools.engines.wire.task_messages import TaskMessage

_LARGE = 1 << 15
"""Bytes of a part that travels as an array, which all clusters send without a copy."""


class _EndedError(BaseException):
    """Nobody wants the pipeline any more."""


class LoadedPipeline:
    """A pipeline in this process."""

    def __init__(self, received: ReceivedPipeline, call: Call, flag: Any) -> None:
        _, self._flags, hook = received.prelude()
        if hook is not None:
            call_start_hook(hook, call.number)
        is_near = call.memory.machine == machine()
        with recording.opening(folders(is_near=is_near)) as self.folders:
            self._get, self._hints, self._by_value, *_ = received.pipeline()
        if self._hints is not None and call.turns and not call.memory.is_here:
            self._hints.take_turns()
        self.ended = False
        self.nbytes = received.nbytes
        """Bytes of the pipeline as it was sent."""
        self._flag = flag  # a mapped byte, 0 if the engine has ended
        # the consumer maps memory of workers only if these map its own
        self._shares = call.may_share and flag is not None
        self._arenas: list[WorkerArena] = []
        self._threads = threading.local()

    def _get_if_wanted(self, i: int) -> Any:
        """Return item `i`, unless nobody wants it any more."""
        if self.ended or not self.is_wanted:
            raise _EndedError
        return self._get(i)

    @property
    def is_wanted(self) -> bool:
        """Whether the engine has not ended, as far as that is known."""
        return self._flag is None or bool(self._flag[0])

    def _evaluator(self, name: str) -> "tuple[Evaluator, Collector, WorkerArena | None]":
        """Return those of this thread."""
        local = self._threads
        try:
            return local.evaluator, local.collector, local.arena
        except AttributeError:
            local.arena = self._new_arena()
            local.collector = collector = Collector(name, self._by_value, self._flags)
            slots = None if local.arena is None else local.arena.slots
            local.evaluator = Evaluator(
                self._get_if_wanted, self._hints, self._by_value, collector, slots, name
            )
            return local.evaluator, collector, local.arena

    def _new_arena(self) -> WorkerArena | None:
        if not self._shares or self.ended:
            return None
        arena = WorkerArena()
        self._arenas.append(arena)
        return arena

    def answer(self, call: Call, name: str) -> Answer:
        """Evaluate the items of a call."""
        if self._shares and not call.may_share:  # the consumer cannot map it
            self._shares, self._threads = False, threading.local()
        evaluator, collector, arena = self._evaluator(name)
        # all values travel together, so they are sent when the rest is given back
        evaluator.grain = evaluator.patience = call.patience
        before, mode, allocate = getattr(here, "get", None), seterr(), allocator.allocate
        began = perf_counter()
        with captured(collector), _uninterrupted(is_apart=not call.memory.is_here):
            here.get = self._get
            if call.turns and arena is not None and arena.slots is not None:
                allocator.allocate = arena.slots.borrow
            try:
                if fault_injection.armed:
                    fault_injection.reach("task-read")
                task = TaskMessage(0, call.indices, call.mode, False, False, call.ahead)  # noqa: FBT003 -- its fields
                evaluator.evaluate(task)
            finally:
                here.get = before
                seterr(mode)
                if call.turns:  # otherwise other threads may have set it
                    allocator.allocate = allocate
        heads, parts = collector.heads, tuple(collector.parts)
        collector.renew()
        seconds = perf_counter() - began
        place = None if arena is None else arena.place
        return Answer(DONE, SPEAKS, name, heads, parts, seconds, arena=place and tuple(place))

    def end(self) -> None:
        """Stop what evaluates it, and close its files; only the first call counts."""
        if self.ended:
            return
        self.ended = True
        if self._hints is not None:
            self._hints.end()
        recording.close(*self.folders)
        self._threads = threading.local()  # its evaluators refer to this
        for arena in self._arenas:
            arena.end()


@contextmanager
def _uninterrupted(*, is_apart: bool) -> Iterator[None]:
    """Let Ctrl-C do nothing in the block, as in local workers: the consumer handles it.

    Args:
        is_apart: Whether this is another process than that of the consumer.
    """
    before = signal.getsignal(signal.SIGINT)
    mine = is_apart and threading.current_thread() is threading.main_thread()
    if not mine or before in {None, signal.SIG_IGN}:
        yield
        return
    signal.signal(signal.SIGINT, _do_nothing)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _do_nothing(*_: object) -> None:
    pass


class Collector:
    """Collects the messages of one answer.

    Args:
        name: The name of the worker.
        by_value: The objects to which values refer by number.
        flags: Those of the consumer.
    """

    def __init__(self, name: str, by_value: Sequence[Any], flags: Flags | None) -> None:
        self.name, self.by_value, self.flags = name, by_value, flags
        self.end_line: Callable[[], None] = lambda: None
        """Ends the line that this thread is printing."""
        self.renew()

    def renew(self) -> None:
        """Begin another answer."""
        self.heads: list[tuple[int, int, int, float, int]] = []
        self.parts: list[Any] = []

    def answer(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Add a message about items, after all that they have printed."""
        self.end_line()
        self.send(head, *parts)

    def send(self, head: tuple[Any, ...], *parts: Any) -> None:
        """Add a message."""
        _, done, count, kind, seconds = head
        self.heads.append((done, count, kind, seconds, len(parts)))
        self.parts += [_own(part) for part in parts]

    def write(self, text: bytes) -> None:
        """Add printed text."""
        self.heads.append((0, 0, result_messages.PRINTED, 0.0, 1))
        self.parts.append(text)

    def note(self, body: bytes) -> None:
        """Add a log record or a warning."""
        self.heads.append((0, 0, result_messages.NOTE, 0.0, 1))
        self.parts.append(body)


def _own(part: Any) -> Any:
    """Return a part that nobody else can change, in the form in which it travels."""
    import numpy as np

    if isinstance(part, SlotPlace):
        return part
    if isinstance(part, bytes):
        return part if len(part) < _LARGE else np.frombuffer(part, np.uint8)
    # the memory of a value, which the function may use again for the next item
    return np.frombuffer(part, np.uint8).copy()
