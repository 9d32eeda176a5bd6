"""What a prefetch has open: nothing that others could reach."""

import os
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest

import seqtools
from tests.leaks import descendants

METHODS = ["template", "spawn", "fork"]


class File(NamedTuple):
    """What a descriptor of a process is of."""

    fd: int
    link: str
    info: os.stat_result


class Running(NamedTuple):
    """A prefetch with values that its reader keeps, and the processes of it."""

    start_method: str
    mine: Path
    """A file that was open before, in which the user may have secrets."""
    folder: Path
    """Where temporary files would be."""
    before: set[int]
    """Inodes that were open before."""
    processes: list[int]

    def files(self) -> Iterator[tuple[int, File]]:
        """Yield what its processes have open, this one too, but for what was open before."""
        for pid in (os.getpid(), *self.processes):
            for file in opened(pid):
                if file.info.st_ino not in self.before:
                    yield pid, file


def opened(pid: int) -> Iterator[File]:
    folder = f"/proc/{pid}/fd"
    for fd in os.listdir(folder):
        try:
            yield File(int(fd), os.readlink(f"{folder}/{fd}"), os.stat(f"{folder}/{fd}"))
        except FileNotFoundError:  # the one that the listing itself had open
            continue


@pytest.fixture(scope="module", params=METHODS)
def running(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("temporary")
    mine = tmp_path_factory.mktemp("user") / "mine"
    shared = np.arange(100_000)  # goes along in the file of the pipeline

    def get(x: int) -> Any:
        return np.full(100_000, shared[x]) if x % 2 else str(x)

    with pytest.MonkeyPatch.context() as patch, mine.open("w") as secret:
        patch.setenv("TMPDIR", str(folder))
        patch.setattr(tempfile, "tempdir", None)
        os.set_inheritable(secret.fileno(), True)
        before = {file.info.st_ino for file in opened(os.getpid())}
        others = set(descendants("self"))
        source = seqtools.smap(get, range(40))
        with seqtools.prefetch(source, 2, "process", start_method=request.param) as p:
            items = iter(p)
            kept = [next(items) for _ in range(6)]
            ours = [pid for pid in descendants("self") if pid not in others]
            assert len(ours) >= 2
            yield Running(request.param, mine, folder, before, ours)
            kept += items
        assert [int(np.max(x) if isinstance(x, np.ndarray) else x) for x in kept] == list(range(40))


def table(name: str) -> list[list[str]]:
    """Return the rows of a table of sockets of the system."""
    path = Path("/proc/net") / name
    return [line.split() for line in path.read_text().splitlines()[1:]] if path.exists() else []


def test_no_socket_is_of_a_network_or_listens(running: Running) -> None:
    network = {row[9] for name in ("tcp", "tcp6", "udp", "udp6") for row in table(name)}
    network |= {row[-1] for name in ("raw", "raw6", "packet") for row in table(name)}
    listening = 0x10000  # the flag of a socket that accepts connections
    local = {row[6]: row for row in table("unix")}
    sockets = 0
    for _, file in running.files():
        if stat.S_ISSOCK(file.info.st_mode):
            sockets += 1
            inode = str(file.info.st_ino)
            assert inode not in network
            assert len(local[inode]) == 7, "it has a path"
            assert not int(local[inode][3], 16) & listening
    assert (sockets > 0) == (running.start_method != "spawn")


def test_nothing_has_a_name_in_a_file_system(running: Running) -> None:
    assert list(running.folder.iterdir()) == []
    kinds = set()
    for _, file in running.files():
        mode = file.info.st_mode
        if stat.S_ISREG(mode):
            assert file.link.startswith("/memfd:seqtools ")
            assert file.info.st_nlink == 0
            kinds.add("memory")
        elif stat.S_ISFIFO(mode):
            assert file.link.startswith("pipe:")
            kinds.add("pipe")
        elif stat.S_ISSOCK(mode):
            assert file.link.startswith("socket:")
        else:
            assert file.link == os.devnull or file.link.startswith("anon_inode:")
    assert "pipe" in kinds
    assert "memory" in kinds


def test_no_memory_that_is_shared_has_a_name(running: Running) -> None:
    for pid in running.processes:
        rows = [line.split(None, 5) for line in Path(f"/proc/{pid}/maps").read_text().splitlines()]
        shared = {row[5] for row in rows if row[1] in {"rw-s", "rwxs", "-w-s"}}
        # semaphores of multiprocessing: a fork has those that this process had before
        shared = {name for name in shared if not name.startswith("/dev/shm/sem.")}  # noqa: S108
        assert shared <= {"/memfd:seqtools (deleted)", "/dev/zero (deleted)"}


def test_what_is_open_belongs_to_the_user_alone(running: Running) -> None:
    for pid, file in running.files():
        assert os.stat(f"/proc/{pid}").st_uid == os.getuid()
        if not file.link.startswith(("/dev/", "anon_inode:")):
            assert file.info.st_uid == os.getuid()


def test_no_process_has_what_the_user_has_open(running: Running) -> None:
    held = [
        pid
        for pid in running.processes
        if str(running.mine) in {file.link for file in opened(pid) if file.fd > 2}
    ]
    # a fork of the user's process is asked for, and has it all, but who guards it
    assert held == (running.processes[1:] if running.start_method == "fork" else [])


def test_a_worker_has_only_its_own_pipes(running: Running) -> None:
    pipes: dict[int, list[int]] = {}
    for pid, file in running.files():
        if stat.S_ISFIFO(file.info.st_mode) and file.fd > 2:
            pipes.setdefault(file.info.st_ino, []).append(pid)
    workers = [pid for pid in running.processes if not list(descendants(pid))]
    for owners in pipes.values():
        assert len({pid for pid in owners if pid in workers}) <= 1
