"""A second machine shares neither files nor memory with the reader, alone and in clusters."""

import inspect
import json
import os
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing import shared_memory
from pathlib import Path
from types import FunctionType
from typing import Any

import pytest
import ray as the_ray

import seqtools
from tests import leaks
from tests.clusters import elsewhere, real
from tests.clusters.elsewhere import Machine, MachineError, machine
from tests.scripts import LONGEST

BOOT_ID = "/proc/sys/kernel/random/boot_id"
needs_network = pytest.mark.usefixtures("_network")


@pytest.fixture
def _network() -> None:
    assert elsewhere.may_network(), "a network of its own takes the rights of root"


def look(files: list[str], folders: list[str]) -> dict[str, object]:
    """Return what a process sees of its machine: made to be sent by value, it uses no globals."""
    import os
    import socket
    import sys

    import seqtools

    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as boot_id:
        found = seqtools.__file__, os.__file__, "/usr", "/etc"
        return {
            "hostname": socket.gethostname(),
            "boot id": boot_id.read(),
            "pid": os.getpid(),
            "readable": [path for path in files if os.path.exists(path)],
            "folders": {path: os.listdir(path) for path in folders if os.path.isdir(path)},
            "python": sys.executable,
            "seqtools": seqtools.__file__,
            "writable": [path for path in found if os.access(path, os.W_OK)],
        }


def by_value(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a copy of `function` that no module has, so that its code is pickled."""
    names: dict[str, Any] = {"__name__": "__main__", "__builtins__": __builtins__}
    return FunctionType(function.__code__, names, function.__name__)


@contextmanager
def things(tmp_path: Path) -> Iterator[list[str]]:
    """Yield names that only this machine has: files just written, shared memory, descriptors."""
    written = tmp_path / "just written"
    written.write_text("here")
    plain = Path("/tmp") / f"{real.PREFIX}file"
    plain.touch()
    block = shared_memory.SharedMemory(f"{leaks.LEFT}{os.getpid()}-memory", create=True, size=1)
    try:
        names = [f"/dev/shm/{block.name}", f"/proc/{os.getpid()}/fd", f"/proc/{os.getpid()}"]
        yield [str(written), str(plain), str(tmp_path), __file__, os.getcwd() + "/tests", *names]
    finally:
        plain.unlink()
        block.close()
        block.unlink()


def check_it_is_another(seen: dict[str, Any], files: list[str], hostname: str) -> None:
    assert seen["hostname"] == hostname != socket.gethostname()
    assert len(seen["boot id"]) == len(Path(BOOT_ID).read_text(encoding="ascii"))
    assert seen["boot id"] != Path(BOOT_ID).read_text(encoding="ascii")
    assert seen["readable"] == []
    assert set(seen["folders"]["/dev/shm"]).isdisjoint(os.listdir("/dev/shm"))
    assert seen["writable"] == []
    assert seen["python"] == sys.executable
    assert seen["seqtools"] == seqtools.__file__
    assert all(os.path.exists(path) for path in files), "there is nothing to be hidden"


def test_this_machine_sees_all(tmp_path: Path) -> None:
    with things(tmp_path) as files:
        seen = look(files, ["/dev/shm"])
        assert seen["readable"] == files
        with pytest.raises(AssertionError):
            check_it_is_another(seen, files, seen["hostname"])


@pytest.mark.parametrize("network", [True, False], ids=["network", "no network"])
def test_a_machine(tmp_path: Path, network: bool) -> None:
    code = "import json, sys; exec(sys.argv[1]); print(json.dumps(look({!r}, {!r})))"
    with things(tmp_path) as files, machine(network=network) as other:
        said = other.run("-c", code.format(files, ["/dev/shm"]), inspect.getsource(look))
        check_it_is_another(json.loads(said), files, other.hostname)


def test_a_machine_without_the_rights_of_root() -> None:
    """As for a user who may make namespaces, but no networks."""
    program = (
        "from tests.clusters.elsewhere import machine, may_network\n"
        "with machine() as other: print(may_network(), other.reader, other.run('-c', 'print(1)'))"
    )
    done = subprocess.run(
        ["unshare", "--user", "--map-root-user", sys.executable, "-c", program],
        check=False,
        capture_output=True,
        text=True,
        timeout=LONGEST,
    )
    assert (done.stdout.split(), done.stderr) == (["False", "127.0.0.1", "1"], "")


def test_a_program_that_fails(other_machine: Machine) -> None:
    with pytest.raises(MachineError, match="no_such_module"):
        other_machine.run("-m", "no_such_module")


def test_it_ends_with_the_reader() -> None:
    program = (
        "import os\nfrom tests.clusters.elsewhere import Machine\n"
        "other = Machine()\nother.start('-c', 'import time; time.sleep(1000)')\n"
        "print(os.getpid(), flush=True)\nos.kill(os.getpid(), 9)"
    )
    before = leaks.held()
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, check=False, timeout=LONGEST
    )
    assert done.stdout
    assert leaks.leaked(before, leaks.GRACE) == []
    for folder in Path("/tmp").glob(f"sqt-{int(done.stdout)}-*"):
        folder.rmdir()  # all that a killed reader leaves: it is empty


@needs_network
def test_it_is_reached_by_its_cable_only(other_machine: Machine) -> None:
    listen = (
        "import socket\n"
        f"with socket.create_server(({other_machine.address!r}, 0)) as one:\n"
        "    print(one.getsockname()[1], flush=True)\n"
        "    one.accept()[0].send(b'hello')"
    )
    process = other_machine.start("-c", listen)
    while not (port := other_machine.said().strip()):
        assert process.poll() is None
    reached = socket.create_connection((other_machine.address, int(port)), LONGEST)
    with reached:
        assert reached.recv(5) == b"hello"
        assert reached.getsockname()[0] == other_machine.reader
    other_machine.unplug()
    with pytest.raises(OSError, match=r"No route|timed out"):
        socket.create_connection((other_machine.address, int(port)), 5)
    other_machine.plug()
    with pytest.raises(ConnectionRefusedError):  # it has ended
        socket.create_connection((other_machine.address, int(port)), LONGEST)


def test_workers_of_dask_are_elsewhere(
    dask_elsewhere: Any, dask_machine: real.DaskCluster, tmp_path: Path
) -> None:
    assert dask_machine.machine
    with things(tmp_path) as files:
        seen = dask_elsewhere.run(by_value(look), files, ["/dev/shm"])
        assert len(seen) == real.WORKERS
        for address, one in seen.items():
            check_it_is_another(one, files, dask_machine.machine.hostname)
            assert dask_machine.machine.address in address
        one = dask_elsewhere.submit(by_value(look), files, ["/dev/shm"], pure=False)
        check_it_is_another(one.result(LONGEST), files, dask_machine.machine.hostname)


@needs_network
def test_workers_of_ray_are_elsewhere(
    ray_elsewhere: Any, ray_machine: Machine, tmp_path: Path
) -> None:
    with things(tmp_path) as files:
        task = the_ray.remote(by_value(look))
        seen = the_ray.get(task.remote(files, ["/dev/shm"]), timeout=LONGEST)
        check_it_is_another(seen, files, ray_machine.hostname)
    addresses = {
        node["NodeManagerAddress"]: node["Resources"].get("CPU", 0) for node in the_ray.nodes()
    }
    assert addresses == {ray_machine.reader: 0, ray_machine.address: real.WORKERS}


def test_modules_of_tests_are_missing_elsewhere(dask_elsewhere: Any) -> None:
    with pytest.raises(Exception, match="No module named 'tests'"):
        dask_elsewhere.run(look, [], [])
