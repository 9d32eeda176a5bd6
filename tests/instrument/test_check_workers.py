"""A check evaluates items where a worker would, and says what goes wrong there."""

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

import seqtools
from seqtools import prefetch, smap
from seqtools.engines.process import timeouts
from seqtools.instrument import check
from tests.scripts import is_well, run

METHODS = [("process", "template"), ("process", "spawn"), ("process", "fork"), ("thread", "fork")]


def checked(function: Any, method: str = "process", n: int = 9, **options: Any) -> Any:
    """Return what is found in a pipeline of `function`."""
    return check(prefetch(smap(function, range(n)), 2, method, **options), timeout=60)


@pytest.fixture
def imported(tmp_path: Path) -> Iterator[Any]:
    """Return a function that imports a module of some text, from a folder of its own."""
    names: list[str] = []

    def importing(name: str, text: str) -> ModuleType:
        path = tmp_path / f"{name}.py"
        path.write_text(text)
        spec = spec_from_file_location(name, path)
        assert spec is not None
        assert spec.loader is not None
        module = sys.modules[name] = module_from_spec(spec)
        names.append(name)
        spec.loader.exec_module(module)
        return module

    yield importing
    for name in names:
        del sys.modules[name]


@pytest.mark.parametrize(("method", "start_method"), METHODS)
def test_items_are_evaluated_where_workers_do_that(method: str, start_method: str) -> None:
    main = os.getpid(), threading.get_ident()

    def load(i: int) -> int:
        apart = os.getpid() != main[0]
        assert apart == (method == "process")
        assert apart or threading.get_ident() != main[1]
        return i

    found = checked(load, method, start_method=start_method)
    assert found == []
    assert found.estimates[0].items == 3


def test_a_class_that_cannot_be_made_again() -> None:
    class Odd:
        def __init__(self, number: int, *, name: str) -> None:
            self.number, self.name = number, name

        def __reduce__(self) -> Any:
            return Odd, (self.number,)

    odd = Odd(1, name="one")
    function = smap(lambda _: odd.number, range(9))
    [found] = check(prefetch(smap(abs, function), 2, "process"))
    assert "missing 1 required keyword-only argument: 'name'" in found.what
    [found] = checked(lambda _: odd.number, start_method="spawn")
    assert "missing 1 required keyword-only argument: 'name'" in found.what


def test_a_module_that_was_loaded_by_its_path(imported: Any) -> None:
    module = imported("loaded_by_path", "def load(i):\n    return i\n")
    [found] = checked(module.load)
    assert "No module named 'loaded_by_path'" in found.what
    assert "sys.path" in found.advice
    assert checked(module.load, start_method="fork") == []
    assert checked(module.load, "thread") == []


def test_threads_that_loading_starts(
    imported: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    module = imported(
        "with_threads",
        "from concurrent.futures import ThreadPoolExecutor\n"
        "import os\n"
        f"if os.getpid() != {os.getpid()}:\n"  # not here
        "    pool = ThreadPoolExecutor(2)\n"
        "    list(pool.map(abs, range(4)))\n"
        "def load(i):\n    return i\n",
    )
    monkeypatch.syspath_prepend(tmp_path)
    stage = smap(module.load, smap(abs, range(9)))
    [found] = check(prefetch(smap(abs, stage), 2, "process"))
    assert found.what.startswith("importing 'with_threads' starts ")
    assert found.what.endswith(": so each worker loads the pipeline for itself")
    assert check(prefetch(stage, 2, "process", start_method="spawn")) == []


def test_a_hook_that_fails() -> None:
    def hook() -> None:
        raise OSError("no such thing")

    for method in ("process", "thread"):
        [found] = checked(abs, method, start_hook=hook)
        assert "OSError: no such thing" in found.what
        assert found.where.startswith("prefetch, test_check_workers.py:")


def test_the_hook_is_called_first() -> None:
    def hook() -> None:
        os.environ["SEQTOOLS_HOOKED"] = "1"

    assert checked(lambda _: os.environ["SEQTOOLS_HOOKED"], start_hook=hook) == []
    assert "SEQTOOLS_HOOKED" not in os.environ


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_loading_that_hangs(start_method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timeouts, "_START_SECONDS", 0.5)

    class Hanging:
        def __reduce__(self) -> Any:
            return time.sleep, (1000,)

    hanging = Hanging()
    function = smap(lambda _: hanging, range(9))
    ready = prefetch(function, 1, "process", start_method=start_method)
    [found] = check(ready, items=0, timeout=1)
    assert "hangs" in found.what or "it takes more than" in found.what


@pytest.mark.parametrize("method", ["process", "thread"])
def test_an_item_that_hangs(method: str) -> None:
    released = threading.Event()

    def waits(i: int) -> int:
        if i == 4:
            released.wait()
        return i

    function = _hangs if method == "process" else waits
    found = check(prefetch(smap(function, range(9)), 1, method), timeout=0.5)
    released.set()
    [hangs] = found
    assert hangs.what == "item 4 is not ready after 500 ms"
    assert "explain(…, 4)" in hangs.advice
    assert found.estimates[0].items == 1


def _hangs(i: int) -> int:
    if i == 4:
        time.sleep(1000)
    return i


def test_a_timeout_that_is_an_error_anyway() -> None:
    found = check(prefetch(smap(_hangs, range(9)), 1, "process", timeout=0.1), timeout=0.5)
    assert found[0].what.endswith(", which is an error with timeout=0.1")


def test_an_item_that_ends_its_worker() -> None:
    def load(i: int) -> int:
        if i == 4:
            os.kill(os.getpid(), signal.SIGKILL)
        return i

    found = checked(load)
    assert len(found) == 1
    assert found[0].what.startswith(
        "a worker process dies when it evaluates item 4: it was killed by"
    )
    assert found.estimates[0].items == 1


def test_an_item_that_exits() -> None:
    found = checked(lambda i: sys.exit(3) if i else i)
    assert found[0].what == "items 4 and 8 fail: SystemExit: 3"


def test_items_that_cannot_be_sent() -> None:
    found = checked(lambda i: (k for k in range(i)))
    assert len(found) == 1
    assert found[0].what == (
        "item 0 cannot be sent from a worker process: "
        "generator: TypeError: cannot pickle 'generator' object"
    )
    assert found.estimates[0].items == 3
    assert checked(lambda i: (k for k in range(i)), "thread") == []


def test_items_that_cannot_be_loaded_here() -> None:
    class OddError(Exception):
        def __init__(self, *, number: int) -> None:
            super().__init__()
            self.number = number

        def __reduce__(self) -> Any:
            return OddError, (self.number,)

    found = checked(lambda i: OddError(number=i))
    assert len(found) == 1
    assert found[0].what.startswith("item 0 cannot be loaded from a worker process: TypeError")


def test_what_is_printed_is_shown(capsys: pytest.CaptureFixture[str]) -> None:
    assert checked(lambda i: print("item", i)) == []  # noqa: T201 -- what users do
    # each is evaluated twice
    assert capsys.readouterr().out == "item 0\n" * 2 + "item 4\n" * 2 + "item 8\n" * 2


def test_a_pipeline_that_ends_early() -> None:
    class Few:
        def __iter__(self) -> Iterator[int]:
            return iter([1, 2])

    for method in ("process", "thread"):
        found = check(prefetch(smap(abs, seqtools.uniter(Few())), 1, method))
        assert found == []
        assert found.estimates[0].items == (2 if method == "process" else 0)


def test_auto_is_a_process_if_that_can_be() -> None:
    here, lock = os.getpid(), threading.Lock()

    def load(i: int, *, apart: bool = True) -> int:
        assert (os.getpid() != here) == apart
        return i

    def guarded(i: int) -> int:
        with lock:
            return load(i, apart=False)

    assert check(prefetch(smap(load, range(9)), "auto")) == []
    found = check(prefetch(smap(guarded, range(9)), "auto"))
    assert found == [] or all("a lock" in each.what for each in found)  # if they compute
    assert found.estimates[0].items == 3
    [found] = check(prefetch(smap(guarded, range(9)), "auto", "process"))
    assert found.what.startswith("a lock (variable lock of guarded) cannot be sent")


def test_what_forked_workers_must_not_touch_is_not_evaluated(tmp_path: Path) -> None:
    (tmp_path / "lines").write_text("a\nb\n")
    with (tmp_path / "lines").open() as lines:
        found = checked(lambda _: lines.readline(), start_method="fork")
        assert len(found) == 1
        assert found.estimates[0].items == 0
        assert lines.readline() == "a\n"


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_a_check_in_a_worker(start_method: str) -> None:
    def inner(_: int) -> tuple[int, int]:
        found = check(prefetch(smap(abs, range(9)), 2, "process", start_method=start_method))
        return len(found), found.estimates[0].items

    with prefetch(smap(inner, range(2)), 1, "process") as ready:
        assert list(ready) == [(0, 3), (0, 3)]


def test_a_check_in_a_child_of_multiprocessing() -> None:
    code = """
import multiprocessing, sys
import seqtools
from seqtools.instrument import check

def act(queue):
    found = check(seqtools.prefetch(seqtools.smap(lambda i: i, range(9)), 2, "process"))
    queue.put((len(found), found.estimates[0].items))

if __name__ == "__main__":
    context = multiprocessing.get_context("fork")
    queue = context.Queue()
    child = context.Process(target=act, args=(queue,))
    child.start()
    assert queue.get() == (0, 3)
    child.join()
    print("well")
"""
    assert is_well(run("-c", code))


def test_no_interpreter_is_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "executable", "/no/such/python")
    [found] = checked(abs)
    assert "worker processes cannot start" in found.what
