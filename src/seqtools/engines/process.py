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
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from typing import Any

from seqtools.engines import frames, template
from seqtools.engines.base import AHEAD, END, PAUSE
from seqtools.engines.dealing import Dealer, Hand
from seqtools.engines.launch import Child, launch, meaning
from seqtools.engines.pipes import Poller, enlarge
from seqtools.engines.shipping import Loader, pack
from seqtools.engines.worker import MODES
from seqtools.errors import Failure, WorkerDied, WorkerStartError, seterr

_KEEPER_SECONDS = 0.01
"""How long the receiver must be away for the keeper to take over."""
_MOST_DEATHS = 3
"""Deaths for each worker, in a row and without a result, to give up after. Arbitrary."""


class _Worker(Hand):
    """The consumer's side of a worker process."""

    __slots__ = ("number", "pid", "reader", "ready", "results", "tasks")

    def __init__(self, number: int, tasks: int, results: int) -> None:
        super().__init__()
        self.number, self.tasks, self.results = number, tasks, results
        self.pid: int | None = None
        self.ready = False  # it has loaded the pipeline
        self.reader = frames.ResultReader(results)


_open_fds: set[int] = set()
"""Descriptors of all engines of this process, for a child that is forked to close."""


class ProcessEngine:
    """Worker processes, each with its pipes, forked from a template process."""

    def __init__(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        source: Any,
        get: Callable[[int], Any],
        nworkers: int,
        start_hook: Callable[..., object] | None = None,
        start_method: str = "template",
        hints: Any = None,
    ) -> None:
        self._lock = threading.RLock()  # the garbage collector may close at any point
        self._dealer = Dealer()
        self._done: list[tuple[int, Any]] = []
        self._fatal: WorkerStartError | None = None
        self._closed = False
        self._receiving = False
        self._received = 0
        self._mode = 0  # how errors are to be reported
        self._unlucky = 0  # workers that died since the last result
        self._nworkers = nworkers
        self._workers: list[_Worker] = []
        self._watched: dict[int, _Worker] = {}
        if not hasattr(os, "fork"):
            message = "worker processes need fork(), which this system lacks: use method='thread'"
            raise WorkerStartError(message)
        self._payload: int | None = None
        self._loader = Loader([])
        self._get, self._hook, self._hints = get, start_hook, hints
        if start_method != "fork":  # what cannot be pickled is known before anything starts
            shipment = pack(source, get, start_hook, hints)
            self._payload, self._loader = shipment.fd, Loader(shipment.by_value)
        self._poller = Poller()
        self._control: socket.socket | None = None
        self._child: Child | None = None
        self._busy = threading.Event()
        self._stopping = threading.Event()
        self._unkept = threading.Event()
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
            self._dealer.add(indices, first=first)
            if not self._dealer.full and self._fatal is None:
                self._deal()
        if not self._busy.is_set():
            self._busy.set()

    def cancel(self, indices: Collection[int]) -> Collection[int]:
        """Return those of `indices` that no worker was given."""
        with self._lock:
            return self._dealer.cancel(indices)

    def receive(self, *, wait: bool = True) -> list[tuple[int, Any]]:
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
                events = self._poller.poll(PAUSE if wait else 0)
                with self._lock:
                    self._handle(events)
                    if not wait:
                        done, self._done = self._done, []
                        return done
        finally:
            self._received += 1
            self._receiving = False

    def close(self, *, wait: bool = True) -> None:
        """Stop all work and end the processes."""
        del wait  # they can be killed, so there is nothing to wait for in vain
        with self._lock:
            if self._closed:
                return
            self._closed = True
            self._dealer.clear()
            self._done = []
            child = self._stop()
            if self._payload is not None:
                os.close(self._payload)
        self._poller.close()
        self._stopping.set()
        self._busy.set()
        if self._keeper.is_alive() and threading.get_ident() != self._keeper.ident:
            # not join(): called by the end of a thread, it would make a dummy of that one
            self._unkept.wait()
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
                pid = template.fork_template(theirs, (self._get, self._hints, []), self._hook, ours)
                self._child = Child(pid)
            else:
                self._child = launch(theirs, self._payload)
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

    def _deal(self) -> None:
        for worker, block in self._dealer.deal(self._workers):
            ahead = () if self._hints is None else self._dealer.ahead(block, AHEAD)
            task = frames.task(block.number, block.indices, self._mode, ahead)
            try:
                os.write(worker.tasks, task)
            except BlockingIOError:  # its pipe is full
                self._dealer.refused(worker)
                return
            except BrokenPipeError:  # it died, which is going to be told
                pass

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
        self._unlucky = 0
        block = worker.blocks[0]
        if (result.block, result.done) != (block.number, block.answered):
            message = f"worker {worker.number} answers block {result.block}, not {block.number}"
            raise RuntimeError(message)  # what escapes has all workers started anew
        indices = self._dealer.answered(worker, result.count, result.seconds)
        try:
            self._done += zip(indices, self._outcomes(result), strict=True)
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            if len(indices) > 1:  # evaluate again, so that each has a message of its own
                self._dealer.suspect(indices)
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
                message = self._control.recv(1 << 16, socket.MSG_DONTWAIT)
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
        culprit = self._dealer.died(worker, began=worker.ready)
        if culprit is not None:
            why = (
                f"a worker process died twice while it evaluated item {culprit}: {meaning(status)}"
            )
            self._done.append((culprit, Failure(WorkerDied(why))))
            self._unlucky = 0
        self._unlucky += 1
        if self._unlucky > _MOST_DEATHS * self._nworkers:
            message = f"worker processes end before they evaluate anything: {meaning(status)}"
            self._fatal = WorkerStartError(message)

    # While the receiver is away

    def _keep(self) -> None:
        try:
            self._keep_on()
        except BaseException as error:  # noqa: BLE001 -- told to who receives next
            self._fatal = WorkerStartError(f"reading results while nobody waits failed: {error!r}")
            self._fatal.__cause__ = error
        finally:
            self._unkept.set()

    def _keep_on(self) -> None:
        seen = -1
        while not self._closed:
            self._busy.wait()
            if self._stopping.wait(_KEEPER_SECONDS):
                return
            if self._receiving or self._received != seen:
                seen = self._received
                continue
            with self._lock:
                if not self._dealer and not any(w.blocks for w in self._workers):
                    self._busy.clear()
                    continue
            events = self._poller.poll(0.05)
            with self._lock:
                if not self._receiving and not self._closed:
                    self._handle(events)
