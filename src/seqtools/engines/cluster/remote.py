"""What runs in a worker of a cluster: `work` is all that an engine ever asks for.

- A pipeline is loaded once in each process, however many threads ask for it at a time.
- Every index of a call is answered, or is in the rest, which is given back.
- It raises nothing, whatever user code does. What a transport raises is about the cluster.

The worker is the user's, and may do other things at the same time, in other threads. So nothing
here stays that is not removed with the pipeline.
"""

import mmap
import os
import socket
import sys
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Sequence
from time import perf_counter
from typing import Any, NamedTuple

from seqtools._core import recording
from seqtools._core.chance import seeding
from seqtools._core.distant_records import folders
from seqtools._core.errors import seterr
from seqtools.engines import fault_injection
from seqtools.engines.base import here
from seqtools.engines.cluster.arriving_records import taken
from seqtools.engines.cluster.printed import captured
from seqtools.engines.cluster.shipment import TOKEN_SIZE, MemoryFile, machine
from seqtools.engines.dispatch.evaluator import Evaluator
from seqtools.engines.dispatch.refusal import pickled_reason
from seqtools.engines.start_hook import call_hook
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.shipment import ReceivedPipeline
from seqtools.engines.wire.task_messages import TaskMessage

SPEAKS = (1, *sys.version_info[:2])
"""What both sides must have in common: the version of these messages, and that of Python."""
DONE, LACKING, UNABLE, OTHER = range(4)
"""What came of a call: its items are answered or given back; the pipeline is not here; it cannot be
loaded; this is another version of Python or of these messages."""

_LARGE = 1 << 15
"""Bytes of a part that travels as an array, which all clusters send without a copy."""
_MOST_KEPT = 8
"""Pipelines that a process keeps, if the engine cannot tell it to drop them. Arbitrary."""
_MOST_FORGOTTEN = 64
"""Tokens that a process knows of pipelines that it has dropped: a call that has been recalled may
still come, and must not load its pipeline again. Arbitrary."""


class Call(NamedTuple):
    """What a worker is asked to do.

    It travels as a plain tuple, whose first field never changes, because the worker may have
    another version of this module.
    """

    speaks: tuple[int, ...]
    token: bytes
    memory: MemoryFile
    number: int | None
    """The number of the worker, for the start hook; `None` if workers have none."""
    indices: Sequence[int]
    mode: int
    ahead: Sequence[int]
    patience: float
    """Seconds after which the rest of the items is given back."""
    turns: bool
    """Whether the process evaluates one call at a time, so that a stage is used by one thread."""
    recorded: bool = False
    """Whether the answer should have the records of a profile."""

    def plain(self) -> tuple[Any, ...]:
        """Return it as it travels."""
        return tuple(self._replace(memory=tuple(self.memory)))  # type: ignore[arg-type]

    @classmethod
    def of(cls, plain: tuple[Any, ...]) -> "Call":
        """Return the call that has travelled."""
        call = cls(*plain)
        return call._replace(memory=MemoryFile(*call.memory))


class Answer(NamedTuple):
    """What came of a call. It travels as a plain tuple too; its first two fields never change."""

    status: int
    speaks: tuple[int, ...]
    worker: str
    """The name of the worker."""
    heads: Sequence[tuple[int, int, int, float, int]] = ()
    """For each message: the items before it, its items, its kind, seconds, and number of parts."""
    parts: tuple[Any, ...] = ()
    """The parts of all messages: bytes, or arrays of bytes."""
    seconds: float = 0.0
    records: tuple[Any, ...] = ()
    """See `arriving_records.Sending`."""


class _EndedError(BaseException):
    """Nobody wants the pipeline any more."""


class _Loaded:
    """A pipeline in this process."""

    def __init__(self, received: ReceivedPipeline, call: Call, flag: Any) -> None:
        _, hook = received.prelude()
        if hook is not None:
            if call.number is None:
                hook()
            else:
                call_hook(hook, call.number)
        is_near = call.memory.machine == machine()
        with recording.opening(folders(is_near=is_near)) as self.folders:
            self.get, self.hints, self._by_value = received.pipeline()
        if self.hints is not None and call.turns and not call.memory.is_here:
            self.hints.take_turns()
        self.ended = False
        self._flag = flag  # a mapped byte, 0 if the engine has ended
        self._threads = threading.local()

    def get_if_wanted(self, i: int) -> Any:
        """Return item `i`, unless nobody wants it any more."""
        if self.ended or not self.is_wanted:
            raise _EndedError
        return self.get(i)

    @property
    def is_wanted(self) -> bool:
        """Whether the engine has not ended, as far as that is known."""
        return self._flag is None or bool(self._flag[0])

    def evaluator(self, name: str) -> "tuple[Evaluator, Collector]":
        """Return those of this thread."""
        local = self._threads
        try:
            return local.evaluator, local.collector
        except AttributeError:
            collector = local.collector = Collector()
            local.evaluator = Evaluator(
                self.get_if_wanted, self.hints, self._by_value, collector, None, name
            )
            return local.evaluator, collector

    def end(self) -> None:
        """Stop what evaluates it, and close its files; only the first call counts."""
        if self.ended:
            return
        self.ended = True
        if self.hints is not None:
            self.hints.end()
        recording.close(*self.folders)


class Collector:
    """Collects the messages of one answer."""

    def __init__(self) -> None:
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


def _own(part: Any) -> Any:
    """Return a part that nobody else can change, in the form in which it travels."""
    import numpy as np

    if isinstance(part, bytes):
        return part if len(part) < _LARGE else np.frombuffer(part, np.uint8)
    # the memory of a value, which the function may use again for the next item
    return np.frombuffer(part, np.uint8).copy()


_pipelines: "OrderedDict[bytes, _Loaded | threading.Event]" = OrderedDict()
_forgotten: "deque[bytes]" = deque(maxlen=_MOST_FORGOTTEN)
_lock = threading.Lock()
_one_at_a_time = threading.Lock()
"""Held while items are evaluated for which the global random generators are seeded."""


def work(plain: tuple[Any, ...], payload: Any = None) -> tuple[Any, ...]:
    """Return the `Answer` to a `Call`, both plain; with a payload, the pipeline comes along."""
    return tuple(_work(plain, payload))


def _work(plain: tuple[Any, ...], payload: Any) -> Answer:
    received = perf_counter()
    name = _name()
    if tuple(plain[0]) != SPEAKS:
        return Answer(OTHER, SPEAKS, name)
    call = Call.of(plain)
    try:
        found = _find(call, payload)
    except BaseException as error:  # noqa: BLE001 -- sent to the reader
        reason = pickled_reason(f"start_hook or loading failed in {name}", error)
        return Answer(UNABLE, SPEAKS, name, parts=(reason,))
    if found is None:
        answer = Answer(LACKING, SPEAKS, name)
    elif not seeding.used:
        answer = _answer(found, call, name)
    else:
        with _one_at_a_time:
            answer = _answer(found, call, name)
    if not call.recorded:
        return answer
    return answer._replace(records=taken(received, [] if found is None else found.folders))


def evict(token: bytes, linger: float = 0.0) -> str:
    """Forget a pipeline, and stop what evaluates it; return the name of this worker.

    Args:
        token: Names the pipeline.
        linger: Seconds for which other workers should make other calls.
    """
    with _lock:
        found = _pipelines.pop(token, None)
        _forgotten.append(token)
    if isinstance(found, _Loaded):
        found.end()
    time.sleep(linger)
    return _name()


def _name() -> str:
    return f"worker process {os.getpid()} on {socket.gethostname()}"


def kept() -> list[bytes]:
    """Return the tokens of all pipelines that this process has."""
    return list(_pipelines)


def _answer(found: _Loaded, call: Call, name: str) -> Answer:
    evaluator, collector = found.evaluator(name)
    # all values travel together, so they are sent when the rest is given back
    evaluator.grain = evaluator.patience = call.patience
    before, mode = getattr(here, "get", None), seterr()
    began = perf_counter()
    with captured(collector):
        here.get = found.get
        try:
            if fault_injection.armed:
                fault_injection.reach("task-read")
            task = TaskMessage(0, call.indices, call.mode, False, False, call.ahead)  # noqa: FBT003 -- its fields
            evaluator.evaluate(task)
        finally:
            here.get = before
            seterr(mode)
    heads, parts = collector.heads, tuple(collector.parts)
    collector.renew()
    return Answer(DONE, SPEAKS, name, heads, parts, perf_counter() - began)


def _find(call: Call, payload: Any) -> _Loaded | None:
    """Return the pipeline, loaded by one thread; `None` if it is not on this machine."""
    token = call.token
    while True:
        with _lock:
            found = _pipelines.get(token)
            if isinstance(found, _Loaded):
                _pipelines.move_to_end(token)
                return found
            if token in _forgotten:
                return None
            if found is None:
                _pipelines[token] = loading = threading.Event()
                break
        found.wait()  # another thread loads it
    loaded = None
    try:
        loaded = _load(call, payload)
    finally:
        with _lock:
            _pipelines.pop(token, None)
            if loaded is not None and token not in _forgotten:
                _pipelines[token] = loaded
                _drop_old()
        loading.set()
    if loaded is not None and token in _forgotten:
        loaded.end()
        return None
    return loaded


def _load(call: Call, payload: Any) -> _Loaded | None:
    memory, flag = _mapped(call.memory, call.token)
    if memory is None:
        if payload is None:
            return None
        memory = mmap.mmap(-1, len(payload))  # may be written to, by functions that use an array
        memory[:] = memoryview(payload).cast("B")
    if not call.memory.is_here:
        _seed_once()
    return _Loaded(ReceivedPipeline(memory), call, flag)


def _mapped(where: MemoryFile, token: bytes) -> tuple[mmap.mmap | None, Any]:
    """Return the file of the consumer and the byte that says if it is wanted, if they are here."""
    if not where.machine or where.machine != machine():
        return None, None
    try:
        with open(f"/proc/{where.pid}/fd/{where.fd}", "rb") as file:
            if os.fstat(file.fileno()).st_size != where.size:
                return None, None  # the number is that of another file by now
            memory = mmap.mmap(file.fileno(), where.size, access=mmap.ACCESS_COPY)
            shared = mmap.mmap(file.fileno(), where.size, access=mmap.ACCESS_READ)
    except (OSError, ValueError):
        return None, None
    if memory[-TOKEN_SIZE:] != token:
        return None, None
    return memory, memoryview(shared)[-TOKEN_SIZE - 1 :]


def _drop_old() -> None:
    for token, found in [*_pipelines.items()]:
        if isinstance(found, _Loaded) and not found.is_wanted:
            del _pipelines[token]
            found.end()
    while len(_pipelines) > _MOST_KEPT:
        oldest = next(iter(_pipelines))
        found = _pipelines[oldest]
        if not isinstance(found, _Loaded):
            return
        del _pipelines[oldest]
        found.end()


_seeded = False


def _seed_once() -> None:
    """Give this process random numbers of its own: forked processes have the same ones."""
    global _seeded  # noqa: PLW0603 -- one for a process
    if not _seeded:
        _seeded = True
        seeding.seed_randomly()
