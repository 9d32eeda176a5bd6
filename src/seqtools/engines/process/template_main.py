"""The process that workers are forked from.

        consumer ──── socket: fork with these two pipes, kill ───▶ template
           ▲    ◀──── started, ended with this status, failed ────    │ fork
           │                                                          ▼
           └── one pipe of tasks and one of results each ─────────▶ workers

It is a fresh interpreter: it has none of the locks, threads and handles of the
consumer, and does not import its `__main__`. It loads the pipeline once, and forks as
many workers from it as are asked for, each in a few milliseconds. It is their parent,
so it knows at once when and how one ended, and it ends them all when its socket closes
or the consumer dies.

If loading the pipeline has started threads, which workers would lack, it starts again in its
place and loads nothing: then each worker loads the pipeline for itself, and tells why.
"""

import errno
import gc
import mmap
import os
import pickle
import select
import signal
import socket
import sys
import time
import traceback
import warnings
from collections.abc import Callable
from contextlib import suppress
from typing import Any, NoReturn

from seqtools._core.errors import summary
from seqtools._core.seeding import seed_generators
from seqtools.engines import fault_injection
from seqtools.engines.process.background_threads import ThreadWatch, forkable
from seqtools.engines.process.launcher import watch
from seqtools.engines.process.nesting import Nesting, begin
from seqtools.engines.process.output import gather, stand_in
from seqtools.engines.process.reaper import guarded, tell_ended
from seqtools.engines.process.reexec import StartState
from seqtools.engines.process.worker import Worker, end_with, leave, quiet
from seqtools.engines.resource_errors import advised
from seqtools.engines.start_hook import call_hook
from seqtools.engines.wire.arena import Arena
from seqtools.engines.wire.headers import DamagedMessage, Header
from seqtools.engines.wire.shipment import Pipeline, ReceivedPipeline
from seqtools.engines.wire.task_messages import TaskReader

FORK, KILL = b"F", b"K"  # requests: for a worker of a number, of a process id
REQUEST = Header("ci")
STARTED, ENDED = b"S", b"E"  # answers: number, pid; pid, status
FAILED, EACH = b"X", b"L"  # answers: length, 0
ANSWER = Header("cii")
# The status is as of waitpid; of so many bytes as the length says follows why it failed, or why
# each worker loads the pipeline.

LOAD_EACH = "each"
"""The argument of a template whose workers each load the pipeline; where it has started again,
there follows the descriptor by which it tells its guard."""
_NO_GUARD = -1
Load = Callable[[int], Pipeline]
"""Returns the pipeline in a worker of a number, where the start hook was called before."""

_GIVEN = (2, 3)
"""Descriptors that a worker is given: its pipes, and the memory for values where there is some."""
_PATIENCE = 0.3
"""Seconds that workers have to end by themselves; one inside user code is killed then."""


def main(control: int, payload: int, parent: int) -> NoReturn:
    """Run a template in a fresh interpreter, and never return."""
    begin()
    quiet()
    beginning, arguments = StartState(), sys.argv[1:]
    for fd in (control, payload):
        os.set_inheritable(fd, False)
    guard = _guard(arguments, parent)
    stand_in()
    serve(control, payload, guard, beginning, load_each=LOAD_EACH in arguments)


def serve(
    control: int, payload: int, guard: int | None, beginning: StartState, *, load_each: bool
) -> NoReturn:
    """Load the pipeline in `payload`, and serve the consumer until it goes away.

    Args:
        control: The socket to the consumer.
        payload: The file with the pipeline.
        guard: Where to tell the guard of workers that have ended.
        beginning: How this process was started.
        load_each: Whether workers load the pipeline, and not this process.
    """
    template = Template(socket.socket(fileno=control), guard)
    try:
        fault_injection.reach("template-started")
        delivery = ReceivedPipeline(mmap.mmap(payload, 0, access=mmap.ACCESS_COPY))
        load = template.loading(delivery) if load_each else _loaded(delivery)
        if not forkable():
            fault_injection.reach("template-again")
            number = _NO_GUARD if guard is None else guard
            beginning.again([LOAD_EACH, str(number)], (control, payload, number))
        os.close(payload)
        gc.freeze()  # what is collected never is not written to, and stays shared
        fault_injection.reach("template-loaded")
    except BaseException as error:  # noqa: BLE001 -- told to the reader
        template.fail("the pipeline could not be loaded in a worker process", error)
    template.run(load)


def _guard(arguments: list[str], parent: int) -> int | None:
    """Return where to tell the guard, which there is already if this process has started again."""
    if arguments[-2:-1] == [LOAD_EACH]:
        number = int(arguments[-1])
        return None if number == _NO_GUARD else number
    tell = guarded(parent)
    if tell is None:
        end_with(parent)
    return tell


def _loaded(delivery: ReceivedPipeline) -> Load:
    """Return what gives workers the pipeline, which is loaded here unless a hook comes first."""
    sys.argv[:], hook = delivery.prelude()
    if hook is not None:
        return _hooked(hook, delivery.pipeline)
    pipeline = delivery.pipeline()
    # what each worker is going to import: with 64 of them, 0.2 s until all are there
    import ctypes  # noqa: F401
    import random  # noqa: F401

    if "numpy" in sys.modules:
        import numpy.random  # noqa: F401

    gc.collect()  # also what has threads and is not used any more
    return _hooked(None, lambda: pipeline)


def _hooked(hook: Callable[..., object] | None, load: Callable[[], Pipeline]) -> Load:
    def loaded(number: int) -> Pipeline:
        if hook is not None:
            call_hook(hook, number)
        fault_injection.reach("worker-hooked")
        return load()

    return loaded


def fork_template(
    control: socket.socket, pipeline: Pipeline, hook: Any, ours: list[int], nesting: Nesting
) -> int:
    """Return the process id of a guard and a template forked from this process.

    Args:
        control: The socket that the template serves.
        pipeline: What its workers evaluate.
        hook: What each worker calls at first.
        ours: Descriptors that are closed there.
        nesting: Where it is.
    """
    parent = os.getpid()
    for stream in (sys.stdout, sys.stderr):
        # closed, or `None` where a program was started without
        with suppress(OSError, ValueError, AttributeError):
            stream.flush()
    with warnings.catch_warnings():
        # Python 3.12 warns of threads, which is why this has to be asked for
        warnings.simplefilter("ignore", DeprecationWarning)
        pid = os.fork()
    if pid == 0:
        begin(nesting)
        _in_fork(control, pipeline, hook, ours, parent)
    return pid


def _in_fork(
    control: socket.socket, pipeline: Pipeline, hook: Any, ours: list[int], parent: int
) -> NoReturn:
    try:
        quiet()
        for signum in (signal.SIGTERM, signal.SIGCHLD):
            signal.signal(signum, signal.SIG_DFL)
        for fd in ours:
            with suppress(OSError):
                os.close(fd)
        gc.freeze()
        fault_injection.arm()
        _leave_terminal()
        Template(control, guarded(parent)).run(_hooked(hook, lambda: pipeline))
    except BaseException:  # noqa: BLE001 -- nothing may go on in the name of the consumer
        traceback.print_exc()
    leave(1)


def _leave_terminal() -> None:
    """Read no terminal: the system stops whoever does so outside of its foreground group."""
    with suppress(OSError):
        if os.isatty(0):
            nothing = os.open(os.devnull, os.O_RDONLY)
            os.dup2(nothing, 0)
            os.close(nothing)


class Template:
    """Forks workers, watches over them, and ends them.

    Args:
        control: Where the consumer asks for workers.
        guard: Where to tell the guard of those that have ended: see `guard`.
    """

    def __init__(self, control: socket.socket, guard: int | None) -> None:
        self._control = control
        self._guard = guard
        self._parent = parent = os.getppid()
        self._workers: set[int] = set()
        self._poller = select.poll()
        self._poller.register(control, select.POLLIN)
        self._parent_fd = watch(parent)
        if self._parent_fd is not None:
            self._poller.register(self._parent_fd, select.POLLIN)
        # a child that ends wakes the poll
        self._wake, wakeup = os.pipe()
        os.set_blocking(self._wake, False)
        os.set_blocking(wakeup, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(wakeup, warn_on_full_buffer=False)
        self._wakeup = wakeup
        self._poller.register(self._wake, select.POLLIN)

    def fail(self, what: str, error: BaseException) -> NoReturn:
        """Tell the consumer that no worker can start, and end."""
        story = "".join(traceback.format_exception(error))[-30_000:]
        # no longer than what a socket takes
        self._tell(FAILED, pickle.dumps((f"{what}: {summary(error)}"[:10_000], story)))
        leave(1)

    def _tell(self, kind: bytes, body: bytes) -> None:
        with suppress(OSError):
            self._control.send(ANSWER.pack(kind, len(body), 0) + body)

    def loading(self, delivery: ReceivedPipeline) -> Load:
        """Return what has each worker load the pipeline, and tell why."""

        def loaded(number: int) -> Pipeline:
            with ThreadWatch() as watch:
                sys.argv[:], hook = delivery.prelude()
                pipeline = _hooked(hook, delivery.pipeline)(number)
            forkable()  # ends threads that are not in the way
            self._tell(EACH, watch.reason().encode("utf-8", "backslashreplace"))
            return pipeline

        return loaded

    def run(self, load: Load) -> NoReturn:
        """Serve the consumer until it goes away."""
        status = 0
        try:
            while True:
                events = self._poller.poll(None if self._parent_fd is not None else 1000)
                fds = {fd for fd, _ in events}
                if self._parent_fd in fds or os.getppid() != self._parent:
                    break
                if self._wake in fds:
                    with suppress(BlockingIOError):
                        os.read(self._wake, 4096)
                    self._reap()
                if self._control.fileno() in fds and not self._serve(load):
                    break
        except OSError:  # the consumer is gone
            pass
        except DamagedMessage:
            traceback.print_exc()
            status = 1
        self._end(status)

    def _serve(self, load: Load) -> bool:
        message, fds, flags, _ = socket.recv_fds(self._control, REQUEST.size + 1, 3)
        if not message:
            return False
        for fd in fds:
            os.set_inheritable(fd, False)  # programs that user code starts are not to have it
        kind, number = REQUEST.whole(message)
        if kind == KILL:
            if number in self._workers:
                os.kill(number, signal.SIGKILL)
            return True
        if kind != FORK:
            raise DamagedMessage(f"the template process received an unknown request, {kind!r}")
        if len(fds) not in _GIVEN or flags & socket.MSG_CTRUNC:
            error = OSError(errno.EMFILE, os.strerror(errno.EMFILE))  # or they would have arrived
            self.fail(advised("no worker process could be started", error), error)
        self._fork(load, number, fds)
        return True

    def _fork(self, load: Load, number: int, fds: list[int]) -> None:
        template = os.getpid()
        try:
            fault_injection.reach("template-asked")
            pid = os.fork()
        except OSError as error:
            self.fail(advised("no worker process could be started", error), error)
        if pid == 0:
            self._become_worker(template, load, number, *fds)
        for fd in fds:
            os.close(fd)
        self._workers.add(pid)
        fault_injection.reach("template-forked")
        self._control.send(ANSWER.pack(STARTED, number, pid))

    def _become_worker(  # noqa: PLR0913, PLR0917 -- what a worker needs
        self,
        template: int,
        load: Load,
        number: int,
        tasks: int,
        results: int,
        memory: int | None = None,
    ) -> None:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            os.setpgid(0, 0)  # so that what it starts can be told from what others start
            end_with(template)
            name = f"worker process {number} (pid {os.getpid()})"
            for fd in (self._wake, self._wakeup, self._parent_fd, self._guard):
                if fd is not None:
                    os.close(fd)
            for stream in (sys.stdout, sys.stderr):
                with suppress(AttributeError, ValueError):
                    stream.reconfigure(line_buffering=True)  # type: ignore[union-attr]
            outlet = gather(results)
            try:
                fault_injection.reach("worker-started")
                get, hints, by_value = load(number)
                fault_injection.reach("worker-loaded")
            except BaseException as error:  # noqa: BLE001 -- told to the reader
                outlet.lines.settle()  # before it is told, by another way
                self.fail(f"start_hook or loading failed in {name}", error)
            self._control.close()
            seed_generators(None)
            slots = None if memory is None else Arena.at(memory)
            Worker(get, hints, by_value, outlet, slots, name).serve(TaskReader(tasks))
            leave(0)
        except BrokenPipeError:  # nobody wants the results any more
            leave(0)
        except BaseException:  # noqa: BLE001 -- a worker must never go on as a template
            traceback.print_exc()
        finally:
            leave(1)

    def _reap(self) -> None:
        for pid in list(self._workers):
            ended, status = os.waitpid(pid, os.WNOHANG)
            if ended:
                self._workers.discard(pid)
                tell_ended(self._guard, pid)
                with suppress(OSError):
                    self._control.send(ANSWER.pack(ENDED, pid, status))

    def _end(self, status: int) -> NoReturn:
        """End the workers, gently at first, and this process."""
        self._control.close()  # the answers would go nowhere
        poller = select.poll()
        poller.register(self._wake, select.POLLIN)
        deadline = time.monotonic() + _PATIENCE
        while self._workers and time.monotonic() < deadline and os.getppid() == self._parent:
            poller.poll(20)
            with suppress(BlockingIOError):
                os.read(self._wake, 4096)
            self._reap()
        for pid in self._workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        for pid in self._workers:
            os.waitpid(pid, 0)
        leave(status)
