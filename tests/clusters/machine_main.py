"""The first process of a second machine: makes its file system, and ends it with the reader.

It is started in namespaces of its own, and reads what to do from the first line of its standard
input, as JSON. When the input ends, so does it, and the kernel ends all processes of the machine.
It is a program that imports the standard library only, because there may be nothing else yet.
"""

import ctypes
import json
import os
import signal
import socket
import sys
import threading
from pathlib import Path

READ_ONLY, NO_SUID, NO_DEV, REMOUNT, BIND, MOVE, RECURSIVE = 1, 2, 4, 32, 4096, 8192, 16384
DEVICES = "null", "zero", "full", "random", "urandom"
_libc = ctypes.CDLL(None, use_errno=True)


def mount(source: str, target: str, kind: str = "", flags: int = 0, options: str = "") -> None:
    """Mount as the system call of that name does."""
    arguments = (source.encode(), target.encode(), kind.encode(), flags, options.encode())
    if _libc.mount(*arguments):
        error = ctypes.get_errno()
        raise OSError(error, f"cannot mount {source} on {target}: {os.strerror(error)}")


def show(root: str, path: str) -> None:
    """Let what the reader has at `path` be seen at the same place below `root`, not written."""
    place = root + path
    if os.path.lexists(place):
        return  # it lies in something that is shown
    os.makedirs(os.path.dirname(place), exist_ok=True)
    if os.path.islink(path):  # such as /bin, which leads to usr/bin
        os.symlink(os.readlink(path), place)
        return
    if os.path.isdir(path):
        os.mkdir(place)
    else:
        Path(place).touch()
    mount(path, place, flags=BIND | RECURSIVE)
    # flags that a mount has may be locked, so they are repeated
    kept = os.statvfs(place).f_flag & (NO_SUID | NO_DEV | os.ST_NOEXEC | os.ST_NOATIME)
    mount("none", place, flags=BIND | REMOUNT | READ_ONLY | kept)


def put(root: str, path: str, text: str) -> None:
    """Let a file of the machine have a text of its own."""
    if os.path.exists(root + path):
        source = f"{root}/run/{path.strip('/').replace('/', '-')}"
        Path(source).write_text(text, encoding="ascii")
        mount(source, root + path, flags=BIND)


def furnish(root: str, shown: list[str], identity: str) -> None:
    """Make the file system of the machine at `root`, and go there.

    Args:
        root: An empty folder, which stays empty for everybody else.
        shown: Files and folders that the machine has in common with the reader.
        identity: 32 digits that no other machine has.
    """
    mount("tmpfs", root, "tmpfs", NO_SUID)
    for name in "dev", "dev/shm", "proc", "run", "tmp":
        os.mkdir(f"{root}/{name}")
    for path in sorted(shown):
        show(root, path)
    for name in DEVICES:
        Path(f"{root}/dev/{name}").touch()
        mount(f"/dev/{name}", f"{root}/dev/{name}", flags=BIND)
    os.symlink("/proc/self/fd", f"{root}/dev/fd")
    mount("proc", f"{root}/proc", "proc", NO_SUID | NO_DEV)
    mount("tmpfs", f"{root}/dev/shm", "tmpfs", NO_SUID | NO_DEV, "size=2g")
    # Namespaces have the boot id in common, machines have not.
    parts = (identity[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32)))
    put(root, "/proc/sys/kernel/random/boot_id", "-".join(parts) + "\n")
    put(root, "/etc/machine-id", identity + "\n")
    os.chdir(root)
    mount(root, "/", flags=MOVE)
    os.chroot(".")
    os.chdir("/tmp")


def reap() -> None:
    """Wait for all processes that have lost their parent, for which the first one is there."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    while True:
        try:
            os.waitpid(-1, 0)
        except ChildProcessError:
            signal.sigwait({signal.SIGCHLD})


def main() -> None:
    """Set the machine up, say so, and live as long as the reader does."""
    print("made", flush=True)
    wanted = json.loads(sys.stdin.readline())
    socket.sethostname(wanted["hostname"])
    if wanted["interface"]:  # which is there, and has no address
        sys.path.insert(0, wanted["modules"])
        import netlink

        netlink.give("lo", "127.0.0.1", "255.0.0.0")
        netlink.give(wanted["interface"], wanted["address"])
    furnish(wanted["root"], wanted["shown"], wanted["identity"])
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGCHLD})
    threading.Thread(target=reap, daemon=True).start()
    print("ready", flush=True)
    sys.stdin.read()


if __name__ == "__main__":
    main()
