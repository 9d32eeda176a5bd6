"""What runs in a worker of a cluster: `work` is all that an engine ever asks for.

- A pipeline is loaded once in each process, however many threads ask for it at a time.
- Every index of a call is answered, or is in the rest, which is given back.
- It raises nothing, whatever user code does. What a transport raises is about the cluster.

The worker is the user's, and may do other things at the same time, in other threads. So nothing
here stays that is not removed with the pipeline.
"""

import gc
import mmap
import os
import socket
import threading
import time
from collections import OrderedDict, deque
from time import perf_counter
from typing import Any

from seqtools._core.chance import seeding
from seqtools.engines.cluster.arriving_records import taken
from seqtools.engines.cluster.loaded import LoadedPipeline
from seqtools.engines.cluster.messages import LACKING, OTHER, SPEAKS, UNABLE, Answer, Call
from seqtools.engines.cluster.shipment import TOKEN_SIZE, MemoryFile, machine
from seqtools.engines.dispatch.refusal import pickled_failed_start
from seqtools.engines.wire.shipment import ReceivedPipeline

_MOST_KEPT = 8
"""Pipelines that a process keeps, if the engine cannot tell it to drop them. Arbitrary."""
_LARGE = 1 << 24
"""Bytes of a pipeline whose memory is worth a search for unreachable objects. Arbitrary."""
_MOST_FORGOTTEN = 64
"""Tokens that a process knows of pipelines that it has dropped: a call that has been recalled may
still come, and must not load its pipeline again. Arbitrary."""

_pipelines: "OrderedDict[bytes, LoadedPipeline | threading.Event]" = OrderedDict()
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
        reason = pickled_failed_start(name, error)
        return Answer(UNABLE, SPEAKS, name, parts=(reason,))
    if found is None:
        answer = Answer(LACKING, SPEAKS, name)
    elif not seeding.used:
        answer = found.answer(call, name)
    else:
        with _one_at_a_time:
            answer = found.answer(call, name)
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
        _drop_old()
    is_large = isinstance(found, LoadedPipeline) and found.nbytes > _LARGE
    if isinstance(found, LoadedPipeline):
        found.end()
        del found
    if is_large:  # functions and their globals refer to each other
        gc.collect()
    time.sleep(linger)
    return _name()


def _name() -> str:
    return f"worker process {os.getpid()} on {socket.gethostname()}"


def kept() -> list[bytes]:
    """Return the tokens of all pipelines that this process has."""
    return list(_pipelines)


def _find(call: Call, payload: Any) -> LoadedPipeline | None:
    """Return the pipeline, loaded by one thread; `None` if it is not on this machine."""
    token = call.token
    while True:
        with _lock:
            found = _pipelines.get(token)
            if isinstance(found, LoadedPipeline):
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


def _load(call: Call, payload: Any) -> LoadedPipeline | None:
    memory, flag = _mapped(call.memory, call.token)
    if memory is None:
        if payload is None:
            return None
        memory = mmap.mmap(-1, len(payload))  # may be written to, by functions that use an array
        memory[:] = memoryview(payload).cast("B")
    if not call.memory.is_here:
        _seed_once()
    return LoadedPipeline(ReceivedPipeline(memory), call, flag)


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
        if isinstance(found, LoadedPipeline) and not found.is_wanted:
            del _pipelines[token]
            found.end()
    while len(_pipelines) > _MOST_KEPT:
        oldest = next(iter(_pipelines))
        found = _pipelines[oldest]
        if not isinstance(found, LoadedPipeline):
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
