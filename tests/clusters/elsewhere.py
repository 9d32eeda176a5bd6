"""A second machine on this one: processes that share neither files nor memory with the reader.

A `Machine` is a set of Linux namespaces with a first process (`machine_main.py`). Its processes
have the Python environment in common with the reader: the system, site-packages and the folder of
seqtools, all of them read-only. They have a host name, boot id, process numbers, `/proc`, `/tmp`
and `/dev/shm` of their own, and nothing else of the reader's files: no working folder, no home, no
tests. With the rights to do so it has a network of its own too, and a cable to the reader: Ray
needs one, since its nodes are known by their addresses.

It needs `unshare` and `nsenter` of util-linux, which every Linux system has.
"""

import itertools
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from functools import cache
from pathlib import Path
from typing import IO

from tests import scripts
from tests.clusters import netlink
from tests.leaks import descendants

HERE = Path(__file__).parent
LOOPBACK = "127.0.0.1"
_SYSTEM = ("/bin", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/opt", "/sbin", "/sys", "/usr")
_ADMINISTRATION = 1 << 21  # CAP_SYS_ADMIN
_FIRST = struct.unpack("!I", socket.inet_aton("198.18.0.0"))[0]
"""The first of the addresses that RFC 2544 sets apart for tests of networks: 2 ** 17 of them."""
_NETWORKS = 2**15  # of four addresses each
_numbers = itertools.count()


class MachineError(Exception):
    """A second machine cannot be made."""


@cache
def may_network() -> bool:
    """Return whether this process may make networks; otherwise machines share the reader's."""
    name = f"sqt{os.getpid()}try"
    try:
        netlink.pair(name, f"{name}2", os.getpid())
    except PermissionError:
        return False
    netlink.remove(name)
    return True


def _may_mount() -> bool:
    status = Path("/proc/self/status").read_text(encoding="ascii")
    effective = next(line for line in status.splitlines() if line.startswith("CapEff:"))
    return bool(int(effective.split()[1], 16) & _ADMINISTRATION)


class Machine:
    """A second machine, until it is closed or this process ends.

    Args:
        network: Whether it has a network of its own. By default if that is allowed.
    """

    hostname: str
    """What its processes are told."""
    address: str
    """Where its processes are reached by the reader."""
    reader: str
    """Where its processes reach the reader."""

    def __init__(self, *, network: bool | None = None) -> None:
        self._network = may_network() if network is None else network
        self._namespaces = ["--mount", "--pid", "--ipc", "--uts"]
        self._namespaces += ["--net"] if self._network else []
        self._namespaces += [] if _may_mount() else ["--user"]
        number = next(_numbers)
        self.hostname = f"elsewhere-{os.getpid()}-{number}"
        self._cable = f"sqt{os.getpid()}n{number}" if self._network else ""
        self.address, self.reader = _free_addresses() if self._network else (LOOPBACK, LOOPBACK)
        self._log: IO[bytes] = tempfile.TemporaryFile()  # noqa: SIM115 -- closed by `close`
        self._root = tempfile.mkdtemp(prefix=f"sqt-{os.getpid()}-", dir="/tmp")
        self._started: list[subprocess.Popen[bytes]] = []
        self._far_network: int | None = None
        self._guard = self._make()
        try:
            self._set_up()
        except BaseException:
            self.close()
            raise

    def _make(self) -> subprocess.Popen[bytes]:
        command = ["unshare", "--fork", "--kill-child", *self._namespaces]
        command += ["--map-root-user"] if "--user" in self._namespaces else []
        return subprocess.Popen(
            [*command, "--", sys.executable, "-I", str(HERE / "machine_main.py")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=self._log,
            start_new_session=True,  # Ctrl-C is for the reader
        )

    def _set_up(self) -> None:
        self._expect("made")
        self._first = next(descendants(self._guard.pid))
        if self._cable:
            netlink.pair(self._cable, "cable", self._guard.pid)
            # Kept: without it the cable would go with the last process, and with it the address
            # that the reader listens at; and messages to the other would leave by another way.
            self._far_network = os.open(f"/proc/{self._guard.pid}/ns/net", os.O_RDONLY)
            netlink.give(self._cable, self.reader)
        wanted = {
            "address": self.address,
            "hostname": self.hostname,
            "identity": uuid.uuid4().hex,
            "interface": "cable" if self._cable else "",
            "modules": str(HERE),
            "root": self._root,
            "shown": shown(),
        }
        assert self._guard.stdin
        self._guard.stdin.write(json.dumps(wanted).encode() + b"\n")
        self._guard.stdin.flush()
        self._expect("ready")

    def _expect(self, word: str) -> None:
        assert self._guard.stdout
        got = self._guard.stdout.readline().decode().strip()
        if got != word:
            raise MachineError(f"no second machine: {self.said() or got or 'it ended'}")

    def start(self, *command: str, **changes: str) -> subprocess.Popen[bytes]:
        """Start a program of Python there; `changes` are made to its environment.

        What it prints is in `said()`. What is returned is a process here that waits for it, so a
        signal must be sent there. All processes of a machine end with it.
        """
        process = subprocess.Popen(
            self._entering(*command),
            env=environment(**changes),
            stdin=subprocess.DEVNULL,
            stdout=self._log,
            stderr=self._log,
            start_new_session=True,
        )
        self._started.append(process)
        return process

    def run(self, *command: str) -> str:
        """Return what a program of Python prints there.

        Raises:
            MachineError: If it fails.
        """
        done = subprocess.run(
            self._entering(*command),
            env=environment(),
            capture_output=True,
            check=False,
            stdin=subprocess.DEVNULL,
            text=True,
            timeout=scripts.LONGEST,
        )
        if done.returncode:
            raise MachineError(f"{command} failed on {self.hostname}: {done.stderr}")
        return done.stdout

    def _entering(self, *command: str) -> list[str]:
        entering = ["nsenter", f"--target={self._first}", "--wd", *self._namespaces]
        entering += ["--preserve-credentials"] if "--user" in self._namespaces else []
        return [*entering, "--", sys.executable, *command]

    def said(self) -> str:
        """Return what its programs have printed."""
        return os.pread(self._log.fileno(), 1 << 20, 0).decode(errors="replace")

    def unplug(self) -> None:
        """Pull the cable: nobody is told, messages do not arrive."""
        self._switch("off")

    def plug(self) -> None:
        """Put the cable back."""
        self._switch("on")

    def _switch(self, to: str) -> None:
        """Switch the far end of the cable: this one keeps its address, which others listen at."""
        if not self._cable:
            raise MachineError("there is no cable: making networks takes the rights of root")
        network = f"--net=/proc/{os.getpid()}/fd/{self._far_network}"
        command = [sys.executable, "-I", str(HERE / "netlink.py"), "cable", to]
        subprocess.run(["nsenter", network, "--", *command], check=True, timeout=scripts.LONGEST)

    def kill(self) -> None:
        """Kill all of its processes; its network is still there and answers that nobody listens."""
        with suppress(StopIteration):
            os.kill(next(descendants(self._guard.pid)), signal.SIGKILL)
        for process in (self._guard, *self._started):
            process.wait()

    def close(self) -> None:
        """Kill its processes, and remove it; may be called again."""
        self.kill()
        for pipe in self._guard.stdin, self._guard.stdout:
            if pipe:
                with suppress(BrokenPipeError):
                    pipe.close()
        if self._far_network is not None:
            netlink.remove(self._cable)
            os.close(self._far_network)
            self._far_network = None
        self._log.close()
        with suppress(FileNotFoundError):
            os.rmdir(self._root)


@contextmanager
def machine(*, network: bool | None = None) -> Iterator[Machine]:
    """Return a second machine, and switch it off in the end."""
    with ExitStack() as stack:
        made = Machine(network=network)
        stack.callback(made.close)
        yield made


def shown() -> list[str]:
    """Return the files and folders that a machine has in common with the reader."""
    paths = (*_SYSTEM, sys.prefix, sys.base_prefix, scripts.SOURCE)
    return [path for path in paths if os.path.lexists(path)]


def environment(**changes: str) -> dict[str, str]:
    """Return the environment of programs there: folders are those that it has."""
    folders = {"HOME": "/tmp", "TMPDIR": "/tmp", "PYTHONPATH": scripts.SOURCE}
    return scripts.environment(**folders, **changes)


def _free_addresses() -> tuple[str, str]:
    """Return the addresses of two ends of a cable, in a network that nobody has."""
    lines = Path("/proc/net/route").read_text(encoding="ascii").splitlines()[1:]
    taken = {struct.pack("=I", int(line.split()[1], 16)) for line in lines}
    for k in range(_NETWORKS):  # others who start at the same time begin with another
        first = _FIRST + 4 * ((os.getpid() + k) % _NETWORKS)
        if struct.pack("!I", first) not in taken:
            there, here = (socket.inet_ntoa(struct.pack("!I", first + end)) for end in (2, 1))
            return there, here
    raise MachineError("all networks of tests are taken")
