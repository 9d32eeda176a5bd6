"""Items evaluated by worker processes.

        submit ──▶ backlog ──▶ blocks ══ pipe of tasks ══▶ worker ──┐
                      ▲  (those of a worker that died)              │
        receive ◀── done ◀── results ◀══ pipe of results ═══════════┘

Every worker has a pair of pipes of its own, so that there is no lock that one could
take with it when it dies. It is given a few blocks of indices at a time, about 20 ms of
work, and the rest waits in the backlog, where it can be cancelled, and from where the
worker that is free takes it.

Results are read by the thread that receives. While it is away, a keeper takes over, so
that work goes on, and that no worker waits because its pipe is full.

When a worker dies, what it had finished is delivered, and the rest is evaluated again.
One of the items that it had begun may be the cause, so these are given out one by one,
and the one at which a worker dies again is an error.
"""

import os
import pickle
import socket
import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from seqtools.engines import frames, template
from seqtools.engines.base import END, PAUSE
from seqtools.engines.launch import Child, launch, meaning
from seqtools.engines.pipes import Poller, enlarge
from seqtools.engines.shipping import Loader, pack
from seqtools.engines.worker import MODES
from seqtools.errors import Failure, WorkerDied, WorkerStartError, seterr

_BLOCK_SECONDS = 0.002
"""Work in a block: long against the 20 µs that a message costs."""
_QUEUE_SECONDS = 0.02
"""Work given to a worker beforehand: twice as long as the keeper sleeps."""
_KEEPER_SECONDS = 0.01
_MOST_BLOCKS = 16
"""Blocks given to a worker beforehand: as many as the smallest pipe takes."""
_MOST_DEATHS = 3
"""Deaths for each worker, in a row and without a result, to give up after. Arbitrary."""


class _Block:
    """Indices given to a worker together."""

    __slots__ = ("alone", "answered", "indices", "number")

    def __init__(self, number: int, indices: Sequence[int], *, alone: bool) -> None:
        self.number, self.indices, self.alone = number, indices, alone
        self.answered = 0  # so many of the first indices

    def left(self) -> Sequence[int]:
        return self.indices[self.answered :]


class _Worker:
    """The consumer's side of a worker process."""

    __slots__ = ("blocks", "number", "pid", "reader", "ready", "results", "tasks")

    def __init__(self, number: int, tasks: int, results: int) -> None:
        self.number, self.tasks, self.results = number, tasks, results
        self.pid: int | None = None
        self.ready = False  # it has loaded the pipeline
        self.blocks: deque[_Block] = deque()
        self.reader = frames.ResultReader(results)

    def queued(self) -> int:
        return sum(len(block.indices) - block.answered for block in self.blocks)


_open_fds: set[int] = set()
"""Descriptors of all engines of this process, for a child that is forked to close."""


class ProcessEngine:
    """Worker processes, each with its pipes, forked from a template process."""

    def __init__(
        self,
        source: Any,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Callable[..., object] | None = None,
        start_method: str = "template",
    ) -> None:
        self._lock = threading.RLock()  # the garbage collector may close at any point
        self._backlog: deque[int] = deque()
        self._suspects: deque[int] = deque()  # to be evaluated alone
        self._died_once: set[int] = set()  # indices that a worker died over, perhaps
        self._done: list[tuple[int, Any]] = []
        self._fatal: WorkerStartError | None = None
        self._closed = False
        self._receiving = False
        self._received = 0
        self._blocks = 0
        self._mode = 0
        self._seconds = _BLOCK_SECONDS  # an item takes, by moving average
        self._longest = 1  # a block may be
        self._full = False  # no worker takes more for now
        self._unlucky = 0  # workers that died since the last result
        self._nworkers = nworkers
        self._workers: list[_Worker] = []
        self._watched: dict[int, _Worker] = {}
        if not hasattr(os, "fork"):
            message = "worker processes need fork(), which this system lacks: use method='thread'"
            raise WorkerStartError(message)
        self._payload: int | None = None
        self._loader = Loader([])
        self._get, self._hook = get, start_hook
        if start_method != "fork":  # what cannot be pickled is known before anything starts
            shipment = pack(source, get, start_hook)
            self._payload, self._loader = shipment.fd, Loader(shipment.by_value)
        self._poller = Poller()
        self._control: socket.socket | None = None
        self._child: Child | None = None
        self._busy = threading.Event()
        self._stopping = threading.Event()
        self._keeper = threading.Thread(target=self._keep, name="seqtools-keeper", daemon=True)
        try:
            self._start()
        except BaseException:
            self.close()
            raise
        self._keeper.start()

    # What an engine does

    def submit(self, indices: Sequence[int], *, first: bool = False) -> None:
        """Take `indices` on, before all others that wait if `first`."""
        with self._lock:
            self._mode = MODES.index(seterr())
            if first:
                self._backlog.extendleft(reversed(indices))
            else:
                self._backlog.extend(indices)
            if not self._full and self._fatal is None:
                self._deal()
        if not self._busy.is_set():
            self._busy.set()

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that no worker was given."""
        unwanted = set(indices)
        with self._lock:
            dropped = unwanted.intersection(self._backlog)
            if dropped:
                self._backlog = deque(i for i in self._backlog if i not in dropped)
            suspects = unwanted.intersection(self._suspects)
            if suspects:
                self._suspects = deque(i for i in self._suspects if i not in suspects)
        return dropped | suspects

    def receive(self) -> list[tuple[int, Any]]:
        """Return what is done, waiting for at least one item; nothing after `close`."""
        self._receiving = True
        try:
            while True:
                with self._lock:
                    if self._done or self._closed:
                        done, self._done = self._done, []
                        return done
                    if self._fatal is not None:
                        raise self._fatal
                events = self._poller.poll(PAUSE)
                with self._lock:
                    self._handle(events)
        finally:
            self._received += 1
            self._receiving = False

    def owns_this_thread(self) -> bool:
        """Return whether the caller is a worker: never, they are elsewhere."""
        return False

    def close(self, *, wait: bool = True) -> None:
        """Stop all work and end the processes."""
        del wait  # they can be killed, so there is nothing to wait for in vain
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._backlog.clear()
            self._suspects.clear()
            self._done = []
            child = self._stop()
            if self._payload is not None:
                os.close(self._payload)
        self._poller.close()
        self._stopping.set()
        self._busy.set()
        if self._keeper.is_alive() and threading.current_thread() is not self._keeper:
            self._keeper.join()
        if child is not None:
            child.end()

    # Processes; the lock is held

    def _start(self) -> None:
        control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._control = control
        _open_fds.add(control.fileno())
        with theirs:
            if self._payload is None:
                ours = sorted(_open_fds | self._poller.fds)
                pid = template.fork_template(theirs, self._get, self._hook, ours)
                self._child = Child(pid)
            else:
                self._child = launch(theirs, self._payload)
        control.settimeout(0.0)
        self._poller.register(control.fileno())
        self._workers = [self._worker(number) for number in range(self._nworkers)]

    def _stop(self) -> Child | None:
        """Let go of all processes, which end then; return the one to wait for."""
        workers, self._workers = self._workers, []
        for worker in workers:
            self._forget(worker)
        if self._control is not None:
            self._poller.unregister(self._control.fileno())
            _open_fds.discard(self._control.fileno())
            self._control.close()
            self._control = None
        child, self._child = self._child, None
        return child

    def _worker(self, number: int) -> _Worker:
        theirs, tasks = os.pipe()
        results, theirs_too = os.pipe()
        os.set_blocking(tasks, False)
        os.set_blocking(results, False)
        enlarge(results)
        _open_fds.update((tasks, results))
        self._request(template.FORK, number, theirs, theirs_too)
        os.close(theirs)
        os.close(theirs_too)
        worker = _Worker(number, tasks, results)
        self._watched[results] = worker
        self._poller.register(results)
        return worker

    def _request(self, kind: bytes, number: int, *fds: int) -> None:
        if self._control is not None:
            with suppress(BrokenPipeError, ConnectionResetError):  # seen when it is read
                socket.send_fds(self._control, [kind + template.NUMBER.pack(number)], fds)

    def _forget(self, worker: _Worker) -> None:
        self._unwatch(worker)
        fds, worker.tasks, worker.results = (worker.tasks, worker.results), -1, -1
        for fd in fds:
            if fd >= 0:
                _open_fds.discard(fd)
                os.close(fd)

    def _unwatch(self, worker: _Worker) -> None:
        if self._watched.pop(worker.results, None) is not None:
            self._poller.unregister(worker.results)

    # Giving out work; the lock is held

    def _deal(self) -> None:
        """Give work to workers that have little left, the one with the least first."""
        self._full = False
        while self._suspects:
            idle = next((w for w in self._workers if not w.blocks), None)
            if idle is None:
                return
            self._give(idle, [self._suspects.popleft()], alone=True)
        while self._backlog:
            open_ones = [w for w in self._workers if self._takes_more(w)]
            if not open_ones:
                self._full = True
                return
            worker = min(open_ones, key=_Worker.queued)
            share = -(-len(self._backlog) // (2 * len(self._workers)))
            length = min(self._longest, share)
            indices = [self._backlog.popleft() for _ in range(length)]
            if not self._give(worker, indices, alone=False):
                return

    def _takes_more(self, worker: _Worker) -> bool:
        if len(worker.blocks) < 2:  # noqa: PLR2004 -- one to do, one to go on with
            return not any(block.alone for block in worker.blocks)
        enough = worker.queued() * self._seconds > _QUEUE_SECONDS
        return not enough and len(worker.blocks) < _MOST_BLOCKS

    def _give(self, worker: _Worker, indices: Sequence[int], *, alone: bool) -> bool:
        run = range(indices[0], indices[0] + len(indices))
        if len(indices) == 1 or indices == list(run):
            indices = run
        elif len(indices) > frames.LONGEST_LIST:
            self._backlog.extendleft(reversed(indices[frames.LONGEST_LIST :]))
            indices = indices[: frames.LONGEST_LIST]
        self._blocks = (self._blocks + 1) & 0xFFFFFFFF
        try:
            os.write(worker.tasks, frames.task(self._blocks, indices, self._mode))
        except BlockingIOError:  # its pipe is full
            (self._suspects if alone else self._backlog).extendleft(reversed(indices))
            return False
        except BrokenPipeError:  # it died, which is going to be told
            pass
        worker.blocks.append(_Block(self._blocks, indices, alone=alone))
        return True

    # Taking results; the lock is held

    def _handle(self, events: Iterable[int]) -> None:
        told = False
        for fd in events:
            worker = self._watched.get(fd)
            if worker is not None:
                self._read(worker)
            elif self._control is not None and fd == self._control.fileno():
                told = True
        if told:  # last: what a worker had sent before it died was read
            self._listen()
        if not self._closed and self._fatal is None:
            self._deal()

    def _read(self, worker: _Worker) -> None:
        results, more = worker.reader.read()
        for result in results:
            self._take(worker, result)
        if not more:
            # It is dead, which the template is going to tell, or has closed its pipe, and
            # is of no more use.
            self._unwatch(worker)
            if worker.pid is not None:
                self._request(template.KILL, worker.pid)

    def _take(self, worker: _Worker, result: frames.Result) -> None:
        if result.kind == frames.READY:
            worker.ready = True
            return
        block = worker.blocks[0]
        indices = block.indices[result.done : result.done + result.count]
        self._unlucky = 0
        self._died_once.difference_update(indices if self._died_once else ())
        self._seconds += 0.2 * (result.seconds / result.count - self._seconds)
        aim = max(1, int(_BLOCK_SECONDS / max(self._seconds, 1e-8)))
        self._longest = min(2 * self._longest, aim)
        block.answered = result.done + result.count
        if block.answered == len(block.indices):
            worker.blocks.popleft()
        try:
            self._done += zip(indices, self._outcomes(result), strict=True)
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            if len(indices) > 1:  # evaluate again, so that each has a message of its own
                self._suspects.extend(indices)
                return
            message = f"item {indices[0]} cannot be loaded from a worker process: {error!r}"
            failed = TypeError(message)
            failed.__cause__ = error
            self._done.append((indices[0], Failure(failed)))

    def _outcomes(self, result: frames.Result) -> list[Any]:
        if result.kind == frames.END:
            return [END]
        loaded = self._loader.loads(result.body, result.buffers)
        return [Failure(*loaded)] if result.kind == frames.FAILURE else loaded

    # Deaths; the lock is held

    def _listen(self) -> None:
        while self._control is not None:
            try:
                message = self._control.recv(1 << 16)
            except BlockingIOError:
                return
            except ConnectionResetError:
                message = b""
            kind, rest = message[:1], message[1:]
            if not message:
                self._template_died()
                return
            if kind == template.FAILED:
                told, story = pickle.loads(rest)
                self._fatal = WorkerStartError(told)
                self._fatal.add_note(story)
                return
            number, status = template.STATUS.unpack(rest)
            if kind == template.STARTED:
                self._workers[number].pid = status
                continue
            worker = next((w for w in self._workers if w.pid == number), None)
            if worker is not None:
                self._lost(worker, status)
                if self._fatal is None:
                    self._workers[worker.number] = self._worker(worker.number)

    def _template_died(self) -> None:
        """Begin anew: the workers died with it."""
        workers = list(self._workers)
        child = self._child
        status = child.end() if child is not None else 0
        for worker in workers:
            self._lost(worker, status)
        self._workers = []
        self._stop()
        if self._fatal is None:
            self._start()

    def _lost(self, worker: _Worker, status: int) -> None:
        """Take back what a worker that died has not answered."""
        if worker.results in self._watched:
            self._read(worker)  # what it had finished
        self._forget(worker)
        blocks = worker.blocks
        begun = blocks.popleft() if blocks and worker.ready else None
        for block in reversed(blocks):
            self._backlog.extendleft(reversed(block.left()))
        if begun is not None and begun.alone and begun.indices[0] in self._died_once:
            i = begun.indices[0]
            self._died_once.discard(i)
            message = f"a worker process died twice while it evaluated item {i}: {meaning(status)}"
            self._done.append((i, Failure(WorkerDied(message))))
            self._unlucky = 0
        elif begun is not None:
            self._died_once.update(begun.left())
            self._suspects.extend(begun.left())
        self._unlucky += 1
        if self._unlucky > _MOST_DEATHS * self._nworkers:
            message = f"worker processes end before they evaluate anything: {meaning(status)}"
            self._fatal = WorkerStartError(message)

    # While the receiver is away

    def _keep(self) -> None:
        seen = -1
        while not self._closed:
            self._busy.wait()
            if self._stopping.wait(_KEEPER_SECONDS):
                return
            if self._receiving or self._received != seen:
                seen = self._received
                continue
            with self._lock:
                if not self._backlog and not any(w.blocks for w in self._workers):
                    self._busy.clear()
                    continue
            events = self._poller.poll(0.05)
            with self._lock:
                if not self._receiving and not self._closed:
                    self._handle(events)
