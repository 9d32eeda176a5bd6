"""A program that reads ahead by worker processes, and that ends one way or another."""

import os
import select
import signal
import subprocess
import sys
import textwrap
from collections.abc import Callable
from contextlib import ExitStack, suppress
from typing import Self

from tests.engines.fifo import Fifo
from tests.leaks import descendants
from tests.scripts import LONGEST, SOURCE, environment

_BEGIN = f"""\
import ctypes, os, signal, sys
sys.path.insert(0, {SOURCE!r})
import seqtools

begun, gate, ready, go, start_method = sys.argv[1:]

def send(fifo):
    fd = os.open(fifo, os.O_RDWR)
    os.write(fd, b"x")
    os.close(fd)

def wait(fifo):
    fd = os.open(fifo, os.O_RDWR)
    os.read(fd, 1)
    os.close(fd)

class Stage:
    def __getstate__(self):
        return True

    def __setstate__(self, _):
        load()

    def __call__(self, x):
        return evaluate(x)

def load():
    pass

def evaluate(x):
    return x

start = None

def keep_the_lock():
    ctypes.PyDLL(None).pause()
"""

_READ = """
p = seqtools.prefetch(
    seqtools.smap(Stage(), range(40)),
    2,
    "process",
    max_cached=8,
    start_method=start_method,
    start_hook=start,
)
p._hint(None, range(8))  # so that they begin, and nobody waits for them
"""

WAITING = """
def start():
    send(begun)
"""

_WAIT = """
items = iter(p)
next(items)
wait(begun), wait(begun)  # until both workers are there
"""

EVALUATING = """
def evaluate(x):
    send(begun)
    wait(gate)
"""

KEEPING = """
def evaluate(x):
    send(begun)
    keep_the_lock()
"""

PRINTING = """
def evaluate(x):
    print("a line, printed again and again", x)
    send(begun)
    while True:
        print("a line, printed again and again", x)
"""

SENDING = """
if hasattr(os, "memfd_create"):
    del os.memfd_create  # so that all goes through the pipe

def evaluate(x):
    send(begun)
    wait(gate)
    return bytes(1 << 24)
"""

LOADING = """
def load():
    send(begun)
    keep_the_lock()
"""

_FORK = """
child = os.fork()
if child == 0:  # it keeps all that this process has open
    wait(go)
    os._exit(0)
print(child, flush=True)
"""

_END = """
send(ready)
wait(go)
"""


def number_of(start_method: str) -> int:
    """Return how many processes there are for two workers, with those that guard and fork them."""
    return {"spawn": 2 * 2, "template": 1 + 2 + 2, "fork": 2 + 2}[start_method]


class Watch:
    """Processes that are going to end, or not."""

    def __init__(self) -> None:
        self._stack = ExitStack()

    def over(self, pids: list[int]) -> Callable[[float], int]:
        """Return a function that waits for the end of `pids`, and says how many go on."""
        fds = set()
        for pid in pids:
            with suppress(ProcessLookupError):  # it has ended already
                fds.add(os.pidfd_open(pid))
        for fd in fds:
            self._stack.callback(os.close, fd)

        def going_on(seconds: float = LONGEST) -> int:
            while fds and (ended := select.select(fds, [], [], seconds)[0]):
                fds.difference_update(ended)
            return len(fds)

        return going_on

    def close(self) -> None:
        self._stack.close()


class Consumer:
    """A program, from outside, as a context at whose end all of it is gone.

    Args:
        doing: What its workers do, one of the texts above.
        start_method: How they start.
        fifo: Makes signals.
        end: What it does when it is told to end.
        forks: Whether it has a child of its own, which lives on.
        variables: Of its environment.
    """

    def __init__(
        self,
        doing: str,
        start_method: str,
        fifo: Callable[[], Fifo],
        *,
        end: str = "",
        forks: bool = False,
        **variables: str,
    ) -> None:
        self.begun, self.gate = fifo(), fifo()
        self._ready, self._go = fifo(), fifo()
        self._forks = forks
        wait, fork = _WAIT if doing == WAITING else "", _FORK if forks else ""
        code = "".join((_BEGIN, doing, _READ, wait, fork, _END, textwrap.dedent(end)))
        fifos = (self.begun, self.gate, self._ready, self._go)
        self.program = subprocess.Popen(
            [sys.executable, "-c", code, *(str(each.path) for each in fifos), start_method],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env=environment(**variables),
        )
        self._watch = Watch()

    def __enter__(self) -> Self:
        """Wait until it may be told to end."""
        self._ready.wait()
        self._child = int(self.program.stdout.readline()) if self._forks else 0
        return self

    def watch(self) -> int:
        """Look for what the program has started, until `gone`; return how many there are."""
        pids = [pid for pid in descendants(self.program.pid) if pid != self._child]
        self._going_on = self._watch.over(pids)
        return len(pids)

    def tell_to_end(self) -> None:
        """Have it do what it does in the end."""
        self._go.send()

    def ended(self) -> tuple[int, str, str]:
        """Wait for its end; return its exit code, and what it wrote to both its outputs."""
        out, err = self.program.communicate(timeout=LONGEST)
        return self.program.returncode, out, err

    def gone(self) -> bool:
        """Return whether all that was watched has ended, waiting for it."""
        return not self._going_on(LONGEST)

    def __exit__(self, *_: object) -> None:
        """End what is left of it."""
        self._watch.close()
        self.program.send_signal(signal.SIGKILL)
        self._go.send()  # to its child
        self.program.communicate()
