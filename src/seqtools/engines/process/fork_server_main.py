"""The process that templates are forked from.

        consumer ──── socket: import these, fork a template with this pipeline ───▶ fork server
           ▲    ◀──── importing, at rest, forked this, outdated, has threads ────      │ fork
           │                                                                           ▼
           └── the socket and the pipes of each template ──────────▶ guard ──▶ template ──▶ workers

It is a fresh interpreter that has imported what pipelines are going to need, and nothing else: no
function, object or module of a user. A template that is forked from it has these modules at
once, loads the pipeline, and is from there on as one that was started by itself.

It imports one package after the other, and looks for requests in between. It has to have no
threads, because a fork would lack them: if a package starts some, it says so and serves no more.
It ends with the consumer, whatever it is at then. While templates forked from it run, it waits for
them even if it serves no more, so that nobody else becomes their parent.
"""

import errno
import gc
import importlib
import json
import os
import select
import signal
import socket
import struct
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.process.background_threads import forkable
from seqtools.engines.process.launcher import command, template_code, watch
from seqtools.engines.process.nesting import Nesting, begin
from seqtools.engines.process.output import stand_in
from seqtools.engines.process.reaper import Above, guarded
from seqtools.engines.process.reexec import StartState
from seqtools.engines.process.template_main import LOAD_EACH, serve
from seqtools.engines.process.worker import end_with, leave, quiet

IMPORT, FORK = b"I", b"F"  # requests, with a body of JSON
IMPORTING, RESTS = b"i", b"r"  # answers: the name of a package; how many of IMPORT were done
THREADS, OUTDATED = b"t", b"o"  # the name of a package; nothing; it serves no more after these
FORKED, REFUSED = b"f", b"e"  # `NUMBERS`: the request, and a process id or number of an error
NUMBERS = struct.Struct("ii")
LONGEST = 1 << 17
"""Bytes of a message."""
GIVEN = 5
"""Descriptors with a request for a template: control, payload, output, errors, report."""


def main(orders: int, consumer: int) -> NoReturn:
    """Run a fork server in a fresh interpreter, and never return."""
    quiet()
    beginning = StartState()
    os.set_inheritable(orders, False)
    end_with(consumer)
    consumer_fd = watch(consumer)
    if consumer_fd is None or os.getppid() != consumer:
        leave(1)
    stand_in()
    fault_injection.reach("server-started")
    ForkServer(socket.socket(fileno=orders), consumer, consumer_fd, beginning).run()


class ForkServer:
    """See the module."""

    def __init__(
        self, orders: socket.socket, consumer: int, consumer_fd: int, beginning: StartState
    ) -> None:
        self._orders, self._beginning = orders, beginning
        self._consumer, self._consumer_fd = consumer, consumer_fd
        self._serves = True
        self._taken = 0  # messages with modules to import
        self._children: set[int] = set()
        self._packages: dict[str, list[str]] = {}  # that are to be imported
        self._files: dict[str, tuple[int, int] | None] = {}  # as they were when imported
        self._wake, self._wakeup = os.pipe()
        for fd in (self._wake, self._wakeup):
            os.set_blocking(fd, False)
        signal.signal(signal.SIGCHLD, lambda *_: None)
        signal.set_wakeup_fd(self._wakeup, warn_on_full_buffer=False)
        self._poller = select.poll()
        for fd in (orders.fileno(), consumer_fd, self._wake):
            self._poller.register(fd, select.POLLIN)

    def run(self) -> NoReturn:
        """Serve the consumer until it goes away, and wait for the end of all templates."""
        try:
            self._note_files()
            self._tell(RESTS, b"0")
            while self._serves or self._children:
                busy = self._serves and self._packages
                fds = {fd for fd, _ in self._poller.poll(0 if busy else None)}
                if self._consumer_fd in fds:
                    break
                if self._wake in fds:
                    self._reap()
                if self._serves and self._orders.fileno() in fds:
                    self._heed()
                elif self._serves and busy:
                    self._import(next(iter(self._packages)))
        except BaseException:  # noqa: BLE001 -- the consumer starts templates without it
            traceback.print_exc()
        leave(0)

    # Requests

    def _heed(self) -> None:
        message, fds, _, _ = socket.recv_fds(self._orders, LONGEST, GIVEN)
        kind, body = message[:1], message[1:]
        try:
            if kind == IMPORT:
                self._take(json.loads(body))
            elif kind == FORK and len(fds) == GIVEN:
                self._serve(json.loads(body), fds)
            else:
                self._retire()  # nobody asks any more
        finally:
            for fd in fds:
                os.close(fd)

    def _take(self, packages: dict[str, list[str]]) -> None:
        """Take modules to be imported; if there are none, look whether all is as it was."""
        self._taken += 1
        if not packages and self._are_outdated():
            self._tell(OUTDATED)
            self._retire()
            return
        for package, modules in packages.items():
            self._packages.setdefault(package, []).extend(modules)
        if not self._packages:
            self._tell(RESTS, b"%d" % self._taken)

    def _serve(self, request: dict[str, Any], fds: list[int]) -> None:
        fault_injection.reach("server-asked")
        if self._are_outdated():
            self._tell(OUTDATED)
            self._retire()
            return
        for package in request["needed"]:
            if self._serves and package in self._packages:
                self._import(package)
        if self._serves and not _nobody_reads(fds[-1]):
            self._fork(request, fds)

    def _fork(self, request: dict[str, Any], fds: list[int]) -> None:
        number = request["number"]
        try:
            pid = os.fork()
        except OSError as error:
            self._tell(REFUSED, NUMBERS.pack(number, error.errno or errno.EAGAIN))
            return
        if pid == 0:
            self._become_template(request, fds)
        self._children.add(pid)
        fault_injection.reach("server-forked")
        try:
            process = os.pidfd_open(pid)
        except OSError as error:  # the template ends as nobody uses it
            self._tell(REFUSED, NUMBERS.pack(number, error.errno or errno.EMFILE))
            return
        with suppress(OSError):
            message = FORKED + NUMBERS.pack(number, pid)
            socket.send_fds(self._orders, [message], [process], socket.MSG_DONTWAIT)
        os.close(process)

    def _become_template(self, request: dict[str, Any], fds: list[int]) -> NoReturn:
        try:
            signal.set_wakeup_fd(-1)
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control, payload, output, errors, report = fds
            os.dup2(output, 1)
            os.dup2(errors, 2)
            for fd in (output, errors, self._wake, self._wakeup, self._orders.fileno()):
                os.close(fd)
            for fd in (control, payload, report):
                os.set_inheritable(fd, False)
            fault_injection.arm()
            nesting = Nesting(request["depth"], tuple(request["files"]))
            begin(nesting)
            above = Above(self._consumer_fd, report)
            guard = guarded(self._consumer, above)
            if guard is None:  # there can be no more processes
                end_with(os.getppid())
            if "numpy.random" in sys.modules:  # as in a process that has just imported it
                sys.modules["numpy"].random.seed()
            beginning = self._beginning
            code = template_code(control, payload, self._consumer)
            beginning.command = command(code, nesting)
            serve(control, payload, guard, beginning, load_each=LOAD_EACH in request["arguments"])
        except BaseException:  # noqa: BLE001 -- nothing may go on as a server
            traceback.print_exc()
        leave(1)

    # Imports

    def _import(self, package: str) -> None:
        """Import the modules of a package; serve no more if that has started threads."""
        modules = self._packages.pop(package)
        self._tell(IMPORTING, package.encode())
        fault_injection.reach("server-importing")
        for module in modules:
            if module not in sys.modules:
                # whatever is wrong with it is told by a template, if it needs it
                with suppress(BaseException):
                    importlib.import_module(module)
        gc.collect()  # also what has threads and is not used any more
        if not forkable():
            self._tell(THREADS, package.encode())
            self._retire()
            return
        self._note_files()
        if not self._packages:
            gc.freeze()  # what is collected never is not written to, and stays shared
            self._tell(RESTS, b"%d" % self._taken)

    def _note_files(self) -> None:
        for module in [*sys.modules.values()]:
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file not in self._files:
                self._files[file] = _stamp(file)

    def _are_outdated(self) -> bool:
        return any(_stamp(file) != stamp for file, stamp in self._files.items())

    # The end

    def _retire(self) -> None:
        """Serve no more."""
        self._serves = False
        self._packages.clear()
        self._poller.unregister(self._orders.fileno())
        self._orders.close()

    def _reap(self) -> None:
        with suppress(BlockingIOError):
            os.read(self._wake, 4096)
        for pid in [*self._children]:
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._children.discard(pid)

    def _tell(self, kind: bytes, body: bytes = b"") -> None:
        with suppress(OSError):  # it is gone, or does not listen
            self._orders.send(kind + body, socket.MSG_DONTWAIT)


def _stamp(file: str) -> tuple[int, int] | None:
    """Return what changes when a file is written; `None` if there is no such file."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _nobody_reads(pipe: int) -> bool:
    poller = select.poll()
    poller.register(pipe, 0)
    return bool(poller.poll(0))
