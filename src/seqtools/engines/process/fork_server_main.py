"""The main function of a fork server, the process that templates are forked from.

        consumer ──── socket: import these, fork a template with this pipeline ───▶ fork server
           ▲    ◀──── importing, idle, forked this, outdated, has threads ───────      │ fork
           │                                                                           ▼
           └── the socket and the pipes of each template ──────────▶ guard ──▶ template ──▶ workers

It is a fresh interpreter that has imported packages that pipelines need, and nothing else: no
function, object or module of a user. A template that is forked from it has these modules at once,
and then works like one that was started as a fresh interpreter.

The server imports one package after the other, and handles requests in between. It must not have
threads, because a fork would lack them: if a package starts some, the server says so and serves no
more. It ends with the consumer, even in the middle of an import. While templates forked from it
run, it waits for them even if it serves no more, so that no other process becomes their parent.
"""

import gc
import importlib
import json
import os
import select
import socket
import struct
import sys
import traceback
from contextlib import suppress
from typing import Any, NoReturn

from seqtools.engines import fault_injection
from seqtools.engines.process.background_threads import forkable
from seqtools.engines.process.launcher import watch
from seqtools.engines.process.nesting import Nesting, begin
from seqtools.engines.process.output import replace_stdout
from seqtools.engines.process.reaper import guarded
from seqtools.engines.process.signal_pipe import on_child_end
from seqtools.engines.process.template_main import serve
from seqtools.engines.process.worker import end_with, exit_now, ignore_sigint

IMPORT, FORK = b"I", b"F"  # requests, with a body of JSON
IMPORTING, IDLE = b"i", b"r"  # answers: name of a package; number of IMPORT requests done
THREADS, OUTDATED = b"t", b"o"  # the last answers, without a body
FORKED = b"f"  # `NUMBERS`, with a descriptor of the process unless it could not be forked
NUMBERS = struct.Struct("ii")  # of the request, and process id
LONGEST = 1 << 17
"""Bytes of a message."""
_GIVEN = 4
"""Descriptors with a request for a template: control, payload, output, errors."""


def main(orders: int, consumer: int) -> NoReturn:
    """Run a fork server in a fresh interpreter, and never return."""
    ignore_sigint()
    os.set_inheritable(orders, False)
    end_with(consumer)
    consumer_fd = watch(consumer)
    if consumer_fd is None or os.getppid() != consumer:
        exit_now(1)
    replace_stdout()
    fault_injection.reach("server-started")
    ForkServer(socket.socket(fileno=orders), consumer, consumer_fd).run()


class ForkServer:
    """See the module."""

    def __init__(self, orders: socket.socket, consumer: int, consumer_fd: int) -> None:
        self._orders = orders
        self._consumer, self._consumer_fd = consumer, consumer_fd
        self._serves = True
        self._import_requests = 0
        self._children: set[int] = set()
        self._packages: dict[str, list[str]] = {}  # modules to import, by package
        self._files: dict[str, tuple[int, int] | None] = {}  # as they were when imported
        self._child_end = on_child_end()
        self._poller = select.poll()
        for fd in (orders.fileno(), consumer_fd, self._child_end.fds[0]):
            self._poller.register(fd, select.POLLIN)

    def run(self) -> NoReturn:
        """Serve the consumer until it goes away, and wait for the end of all templates."""
        try:
            self._note_files()
            self._tell_idle()
            while self._serves or self._children:
                busy = self._serves and self._packages
                fds = {fd for fd, _ in self._poller.poll(0 if busy else None)}
                if self._consumer_fd in fds:
                    break
                if self._child_end.fds[0] in fds:
                    self._reap()
                if self._serves and self._orders.fileno() in fds:
                    self._handle_request()
                elif self._serves and busy:
                    self._import(next(iter(self._packages)))
        except BaseException:  # noqa: BLE001 -- the consumer starts templates without it
            traceback.print_exc()
        exit_now(0)

    # Requests

    def _handle_request(self) -> None:
        message, fds, _, _ = socket.recv_fds(self._orders, LONGEST, _GIVEN)
        kind, body = message[:1], message[1:]
        try:
            if kind == IMPORT:
                self._import_requests += 1
                for package, modules in json.loads(body).items():
                    self._packages.setdefault(package, []).extend(modules)
            elif kind == FORK and len(fds) == _GIVEN:
                self._serve(json.loads(body), fds)
            else:
                self._retire()  # the consumer makes no more requests
        finally:
            for fd in fds:
                os.close(fd)

    def _serve(self, request: dict[str, Any], fds: list[int]) -> None:
        """Fork a template, unless the consumer does not wait for it any more."""
        fault_injection.reach("server-asked")
        if any(_stamp(file) != stamp for file, stamp in self._files.items()):
            self._retire(OUTDATED)
            return
        for package in request["needed"]:
            if self._serves and package in self._packages:
                self._import(package)
        if self._serves and not _is_closed(fds[0]):
            self._fork(request, fds)

    def _fork(self, request: dict[str, Any], fds: list[int]) -> None:
        pid, processes = 0, list[int]()
        with suppress(OSError):  # the system refuses another process, or a descriptor of it
            pid = os.fork()
            if pid == 0:
                self._become_template(request, fds)
            self._children.add(pid)
            fault_injection.reach("server-forked")
            processes.append(os.pidfd_open(pid))
        with suppress(OSError):
            message = FORKED + NUMBERS.pack(request["number"], pid)
            socket.send_fds(self._orders, [message], processes, socket.MSG_DONTWAIT)
        for fd in processes:
            os.close(fd)

    def _become_template(self, request: dict[str, Any], fds: list[int]) -> NoReturn:
        try:
            self._child_end.close()
            control, payload, output, errors = fds
            os.dup2(output, 1)
            os.dup2(errors, 2)
            for fd in (output, errors, self._orders.fileno()):
                os.close(fd)
            for fd in (control, payload):
                os.set_inheritable(fd, False)
            fault_injection.arm()
            begin(Nesting(request["depth"], tuple(request["files"])))
            guarded(self._consumer, self._consumer_fd)
            if "numpy.random" in sys.modules:  # as in a process that has just imported it
                sys.modules["numpy"].random.seed()
            serve(control, payload, load_each=request["load_each"])
        except BaseException:  # noqa: BLE001 -- nothing may go on as a server
            traceback.print_exc()
        exit_now(1)

    # Imports

    def _import(self, package: str) -> None:
        """Import the modules of a package; serve no more if that has started threads."""
        modules = self._packages.pop(package)
        self._tell(IMPORTING + package.encode())
        fault_injection.reach("server-importing")
        for module in modules:
            if module not in sys.modules:
                # a template that needs it reports any error
                with suppress(BaseException):
                    importlib.import_module(module)
        gc.collect()  # also unused objects that have threads
        if not forkable():
            self._retire(THREADS)
            return
        self._note_files()
        if not self._packages:
            gc.freeze()  # objects that are never collected are not written to, and stay shared
            self._tell_idle()

    def _note_files(self) -> None:
        for module in [*sys.modules.values()]:
            file = getattr(module, "__file__", None)
            if isinstance(file, str) and file not in self._files:
                self._files[file] = _stamp(file)

    # The end

    def _retire(self, reason: bytes = b"") -> None:
        """Serve no more, and tell the reason."""
        self._tell(reason)
        self._serves = False
        self._packages.clear()
        self._poller.unregister(self._orders.fileno())
        self._orders.close()

    def _reap(self) -> None:
        self._child_end.clear()
        for pid in [*self._children]:
            if os.waitpid(pid, os.WNOHANG)[0]:
                self._children.discard(pid)

    def _tell_idle(self) -> None:
        self._tell(IDLE + b"%d" % self._import_requests)

    def _tell(self, message: bytes) -> None:
        with suppress(OSError):  # the consumer has ended, or reads nothing
            self._orders.send(message, socket.MSG_DONTWAIT)


def _stamp(file: str) -> tuple[int, int] | None:
    """Return what changes when a file is written; `None` if there is no such file."""
    try:
        found = os.stat(file)
    except (OSError, ValueError):
        return None
    return found.st_mtime_ns, found.st_size


def _is_closed(control: int) -> bool:
    """Return whether the consumer has closed its end of a socket."""
    poller = select.poll()
    poller.register(control, 0)
    return bool(poller.poll(0))
