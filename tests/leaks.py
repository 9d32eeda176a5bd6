"""A test leaves nothing behind: no thread, process, file descriptor or shared memory.

What is held is counted before each test and after it. Counting takes a fraction of a
millisecond; only where something seems to be left is the garbage collected, and waited
for what is about to go. Where there is no /proc, only threads and /dev/shm are seen.
"""

import gc
import os
import sys
import threading
import time
import traceback
from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from multiprocessing import resource_tracker
from pathlib import Path

import pytest

from seqtools.engines.process import fork_server
from seqtools.prefetching.server import close_server

GRACE = 2.0
"""Seconds that what is on its way out may take; arbitrary, and spent only by a leak."""

Holding = tuple[str, object]
"""Kind and identity of something that is held, such as `("process", 4711)`."""

_MOMENT = 0.05
"""Seconds for a program that is being started to have its environment. Arbitrary."""

_MARK = f"SEQTOOLS_LEAKS_{os.getpid()}"
_SHM = Path("/dev/shm")  # noqa: S108 -- looked at, never written

# Once per process, by design of their libraries, and there until its end.
_HARMLESS_THREADS = {"TMonitor"}  # of tqdm, started by its first bar
_HARMLESS_FILES = {"/dev/urandom"}  # random.SystemRandom keeps it open where there is no getrandom

foreign: tuple[str, ...] = ("sem.",)
"""How names in /dev/shm begin that are none of ours: other programs have them come and go."""

OTHERS = ("sem.", "psm_", "torch_")
"""The same where programs of multiprocessing and torch run, of which we use nothing there."""

LEFT = "seqtools-test-"
"""How names in /dev/shm begin that a test leaves on purpose, with its process id after that: tests
run side by side."""

standing: Counter[Holding] = Counter()
"""What is held by clusters that serve many tests: no leak of one test, nor is what is below their
processes. Whoever starts a cluster calls `stand`, and `settle` when it is closed."""

talkers: set[int] = set()
"""Processes that stand and whose client connects to those below them, as they come and go."""

_strangers: set[int] = set()  # processes that were looked at and are none of ours


def held() -> Counter[Holding]:
    """Return how many of each thing this process and those it started hold."""
    of_the_server = _of_the_fork_server()
    threads = (t for t in threading.enumerate() if type(t).__name__ not in _HARMLESS_THREADS)
    files = (f for f in _descriptors() if f not in _HARMLESS_FILES)
    found: Counter[Holding] = Counter(("thread", thread) for thread in threads)
    found.update(("process", pid) for pid in _processes())
    found.update(("file descriptor", file) for file in files)
    found.update(("shared memory", name) for name in _listed(_SHM) if _may_be_ours(name))
    found -= of_the_server + standing
    return found - _connections(found)


def stand(before: Counter[Holding], *, talks: bool = False) -> None:
    """Let what is held now stay from one test to the next, except what was held `before`.

    Args:
        before: What `held` returned earlier.
        talks: Whether connections to the processes that stand, and to those below them, are of the
            cluster too, whenever they are made. Others, such as those of a client, are not.
    """
    started = held() - before
    standing.update(started)
    if talks:
        talkers.update(
            what for kind, what in started if kind == "process" and isinstance(what, int)
        )


def settle() -> None:
    """Let nothing stay that has gone: its number or its name may be of a leak next."""
    # of a file that is still open, and was removed with its cluster
    removed = {(kind, f"{what} (deleted)"): n for (kind, what), n in standing.items()}
    kept = standing + Counter(removed)
    standing.clear()
    standing.update(kept & held())
    talkers.clear()


def _of_the_fork_server() -> Counter[Holding]:
    """Return what the fork server takes, which stays from one test to the next, as for users."""
    found: Counter[Holding] = Counter()
    for thread in tuple(fork_server._shared.preparing):
        thread.join(GRACE)
        if thread.is_alive():  # the server imports for long where others use the cores
            found["thread", thread] = 1
    server = fork_server._shared.server
    if server is not None:
        found["process", server.pid] = 1
        for name in ("seqtools-fork-server", "seqtools-idle"):
            threads = [t for t in threading.enumerate() if t.name == name]
            found.update(("thread", thread) for thread in threads[-1:])  # not of one that ends
        with suppress(OSError):  # it is being closed
            found["file descriptor", os.readlink(f"/proc/self/fd/{server.socket.fileno()}")] = 1
    return found


def _connections(found: Counter[Holding]) -> Counter[Holding]:
    """Return those of `found` that are connections to processes that talk, at their other end."""
    sockets = {what for kind, what in found if kind == "file descriptor" and "socket:" in str(what)}
    if not talkers or not sockets:
        return Counter()
    processes = [*talkers, *(pid for one in talkers for pid in descendants(one))]
    theirs = {file for pid in processes for file in _descriptors(pid)}
    networks = {_link(f"/proc/{pid}/ns/net"): pid for pid in ("self", *processes)}
    ends: dict[tuple[str, str], str] = {}
    for pid in networks.values():
        for line in (_read(f"/proc/{pid}/net/tcp") + _read(f"/proc/{pid}/net/tcp6")).splitlines():
            _, here, there, *rest = line.decode().split()
            ends[here[-13:], there[-13:]] = f"socket:[{rest[6]}]"  # IPv4, also within IPv6
    return Counter(
        {
            ("file descriptor", socket): found["file descriptor", socket]
            for (here, there), socket in ends.items()
            if socket in sockets and ends.get((there, here)) in theirs
        }
    )


def _may_be_ours(name: str) -> bool:
    """Return whether shared memory may be of this process, or of one that it has started."""
    own, others = f"{LEFT}{os.getpid()}-", (LEFT, *foreign)
    return name.startswith(own) or not name.startswith(others)


def leaked(before: Counter[Holding], grace: float) -> list[str]:
    """Return a line for each thing that is held now and was not `before`.

    Args:
        before: What `held` returned earlier.
        grace: Seconds to wait for what is left to vanish by itself.
    """
    begin, collected = time.monotonic(), 0
    while left := held() - before:
        took = time.monotonic() - begin
        # which takes longer than most are there; again at the end, for what has ended meanwhile
        if took > (min(grace, _MOMENT), grace)[collected]:
            gc.collect()
            collected += 1
            if collected > 1:
                left = held() - before
                break
        else:
            time.sleep(0.005)
    return [_described(kind, what, count) for (kind, what), count in left.items()]


@pytest.fixture(autouse=True)
def no_leaks(request: pytest.FixtureRequest) -> Iterator[None]:
    """Fail a test that passed but left something behind."""
    before, failures = held(), request.session.testsfailed
    yield
    # The traceback of a failed test keeps its variables alive, so nothing can be said about it.
    if request.session.testsfailed == failures and (left := leaked(before, GRACE)):
        pytest.fail("left behind: " + "; ".join(left), pytrace=False)


@pytest.fixture
def no_fork_server() -> Iterator[None]:
    """End the fork server that tests before this one have used, and that of this one."""
    close_server()
    yield
    close_server()


def watch_orphans() -> None:
    """Mark the processes that are started from now on, so that they are known as orphans.

    A process whose parent has died is no descendant of ours any more, but it still has
    the environment that it was started with.
    """
    os.environ[_MARK] = "1"
    # Started at the first use of shared memory or spawned processes, and then there for good:
    # started now, it belongs to what is there before any test.
    resource_tracker.ensure_running()


def _listed(folder: Path | str) -> list[str]:
    try:
        return os.listdir(folder)
    except OSError:  # not on this system, or a process that has ended meanwhile
        return []


def _descriptors(pid: int | str = "self") -> Iterator[str]:
    # the one that the listing itself had open has no name any more
    return (name for fd in _listed(f"/proc/{pid}/fd") if (name := _link(f"/proc/{pid}/fd/{fd}")))


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:  # closed meanwhile, or another user's
        return ""


def _read(path: str) -> bytes:
    try:
        with open(path, "rb", buffering=0) as file:
            return file.read()
    except OSError:  # ended meanwhile, or another user's
        return b""


def _processes() -> set[int]:
    pids = {int(name) for name in _listed("/proc") if name.isdigit()}
    ours = set(descendants("self"))
    mark = _MARK.encode()
    _strangers.intersection_update(pids)  # a number may be used again
    for pid in pids - ours - _strangers:
        if pid != os.getpid() and mark in _environment(pid):
            ours.add(pid)
        else:
            _strangers.add(pid)
    for kind, what in standing:
        if kind == "process" and isinstance(what, int):
            ours.difference_update(descendants(what))
    return ours


def _environment(pid: int) -> bytes:
    """Return the environment of a process, which has none yet in the first moment of a program."""
    deadline = time.monotonic() + _MOMENT
    while not (found := _read(f"/proc/{pid}/environ")) and time.monotonic() < deadline:
        if not os.path.exists(f"/proc/{pid}/exe"):  # a thread of the kernel, or it has ended
            break
    return found


def descendants(parent: int | str) -> Iterator[int]:
    for task in _listed(f"/proc/{parent}/task"):
        for child in _read(f"/proc/{parent}/task/{task}/children").split():
            yield int(child)
            yield from descendants(int(child))


def family() -> list[int]:
    """Return all processes below this one, except the fork server, each before its own."""
    server = fork_server._shared.server
    return [pid for pid in descendants("self") if server is None or pid != server.pid]


def guarded(guard: int) -> int:
    """Return the template or spawned worker below `guard`, itself if there is none."""
    return next(descendants(guard), guard)


def _described(kind: str, what: object, count: int) -> str:
    if isinstance(what, threading.Thread):
        frame = sys._current_frames().get(what.ident or 0)
        where: Iterable[str] = traceback.format_stack(frame)[-1:] if frame else ()
        return " ".join([f"{kind} {what.name}", *(" ".join(line.split()) for line in where)])
    if isinstance(what, int):
        command = _read(f"/proc/{what}/cmdline").replace(b"\0", b" ").decode(errors="replace")
        return f"{kind} {what} ({command.strip() or 'ended, but nobody has waited for it'})"
    return f"{kind} {what}" + (f", {count} times" if count > 1 else "")
