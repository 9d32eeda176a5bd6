"""The arguments of `prefetch`: what is accepted, and what is answered to the rest."""

import ast
import itertools
import threading
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.engines import methods
from seqtools.engines.making import EngineArguments
from seqtools.engines.methods import Method
from seqtools.engines.thread.engine import ThreadEngine
from seqtools.prefetching import arguments as checking
from seqtools.prefetching import options
from seqtools.prefetching.cores import usable_cores


def made(**arguments: Any) -> options.Options:
    return seqtools.prefetch([1, 2, 3], **arguments)._options


async def _awaits() -> None:
    pass


def _yields() -> Iterator[int]:
    yield 1


class _Awaits:
    async def __call__(self) -> None:
        pass


def test_defaults(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "usable_cores", lambda: 6)
    assert made() == options.Options(6, "thread")
    assert made().first == 12
    assert made(nworkers=2).first == 10
    assert made(nworkers=-2).nworkers == 4
    assert made(nworkers=-9).nworkers == 1
    assert made(nworkers=0).nworkers == 0


def test_seconds_may_be_of_numpy() -> None:
    assert made(timeout=np.int64(3), idle_timeout=np.float32(0.5)) == made(
        timeout=3.0, idle_timeout=0.5
    )


def test_as_in_the_seed_and_in_1_x() -> None:
    seq = [1, 2, 3]
    assert list(seqtools.prefetch(seq, max_cached=100, method="thread", nworkers=2)) == seq
    assert list(seqtools.prefetch(seq, 2, "thread", 4)) == seq
    assert made(max_buffered=7) == made(max_cached=7)
    assert made(max_buffered=7, max_cached=7).max_cached == 7
    with pytest.raises(TypeError, match="another name for max_cached, got 7 and 8"):
        made(max_buffered=7, max_cached=8)


def test_shm_size_is_ignored_and_says_so_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(checking, "_warned", set())
    with pytest.warns(DeprecationWarning, match="shm_size is not used") as caught:
        seqtools.prefetch([1, 2, 3], shm_size=1000)
    assert caught[0].filename == __file__
    assert made(shm_size=1000) == made()


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"method": "green"}, ValueError, "Dask client, got 'green'$"),
        ({"method": 2}, ValueError, "^method must be 'thread', 'process', .* got 2$"),
        ({"method": "threads"}, ValueError, "got 'threads': did you mean 'thread'[?]"),
        ({"method": "processes"}, ValueError, "got 'processes': did you mean 'process'[?]"),
        ({"method": "Multiprocessing"}, ValueError, "did you mean 'process'[?]"),
        ({"method": "spawn"}, ValueError, "did you mean method='process', start_method='spawn'[?]"),
        ({"ordered": "no"}, TypeError, "ordered must be True or False, got 'no'"),
        ({"readahead": None}, TypeError, "readahead must be True or False, got None"),
        ({"start_method": []}, ValueError, "must be 'template', 'spawn' or 'fork', got "),
        (
            {"start_method": "forkserver"},
            ValueError,
            "must be 'template', 'spawn' or 'fork', got 'forkserver'",
        ),
        ({"max_cached": 0}, ValueError, "max_cached must be at least 1, got 0"),
        ({"max_bytes": 0}, ValueError, "max_bytes must be at least 1, got 0"),
        ({"idle_timeout": 0}, ValueError, "idle_timeout must be more than 0 seconds, got 0"),
        ({"idle_timeout": "1"}, TypeError, "must be a number of seconds or None, got '1'"),
        ({"timeout": -1}, ValueError, "timeout must be more than 0 seconds, got -1"),
        ({"max_cached": 2.5}, TypeError, "max_cached must be an integer, got 2.5"),
        ({"nworkers": "all"}, TypeError, "nworkers must be an integer, 'auto' or None, got 'all'"),
        ({"start_hook": partial(_awaits)}, TypeError, "start_hook must run when it is called"),
        ({"end_hook": _yields}, TypeError, "got _yields, which is async or has a yield"),
        ({"end_hook": _Awaits()}, TypeError, "end_hook must run when it is called"),
        (
            {"nworkers": "process"},
            TypeError,
            "nworkers must be an integer, 'auto' or None, got 'process': use method='process'",
        ),
        ({"start_hook": 5}, TypeError, "start_hook must be a function, got 5"),
        ({"seed": 1, "method": "thread"}, ValueError, "seed= needs method='process'"),
        ({"seed": 0.5, "method": "process"}, TypeError, "seed must be an integer, a string, or "),
        ({"num_workers": 4}, TypeError, r"prefetch\(\) has no 'num_workers': use nworkers=4"),
        ({"prefetch_factor": 2}, TypeError, "use max_cached, which counts all items ahead"),
        ({"buffer_size": 8}, TypeError, "use max_cached=8"),
        ({"num_proc": 4}, TypeError, "use nworkers=4"),
        ({"worker_init_fn": print}, TypeError, "use start_hook=print"),
        ({"max_cache": 4}, TypeError, "did you mean 'max_cached'"),
        ({"method": "auto"}, ValueError, "method='auto' needs nworkers='auto', got nworkers=None"),
        ({"method": "auto", "nworkers": 3}, ValueError, "needs nworkers='auto', got nworkers=3"),
        (
            {"nworkers": "auto", "method": "thread", "seed": 1},
            ValueError,
            "seed= needs method='process'",
        ),
        (
            {"nworkers": "Auto"},
            TypeError,
            "nworkers must be an integer, 'auto' or None, got 'Auto'",
        ),
        ({"colour": 4}, TypeError, "has no 'colour'; it has nworkers, method"),
    ],
)
def test_refused(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        made(**arguments)


def hook_of_two(number: int, folder: str) -> None:
    """Require more than workers give."""
    raise AssertionError(number, folder)


def hook_with_option(number: int, *, folder: str) -> None:
    """Require an option too."""
    raise AssertionError(number, folder)


@pytest.mark.parametrize("name", ["start_hook", "end_hook"])
def test_a_hook_gets_nothing_but_its_number(name: str) -> None:
    for hook in (hook_of_two, hook_with_option):
        message = (
            f"{name} takes the number of the worker or nothing, got {hook.__name__}, which "
            "requires number, folder: give others with functools.partial"
        )
        with pytest.raises(TypeError, match=f"^{message}$"):
            made(**{name: hook})
        made(**{name: partial(hook, folder="data")})
    for accepted in (print, dict, partial(hook_of_two, 1, "data")):
        made(**{name: accepted})


def test_auto() -> None:
    assert made(nworkers="auto") == made(nworkers="auto", method="auto")
    assert made(nworkers="auto") == options.Options("auto", "auto")
    assert made(nworkers="auto", method="thread") == options.Options("auto", "thread")
    assert str(made(nworkers="auto", max_cached=7)) == "nworkers='auto', max_cached=7"
    text = "nworkers='auto', method='process', seed=3"
    assert str(made(nworkers="auto", method="process", seed=3)) == text
    assert made().choice() is None


@pytest.mark.parametrize(
    ("arguments", "method", "either"),
    [
        ({}, "thread", True),
        ({"method": "thread"}, "thread", False),
        ({"method": "process"}, "process", False),
        ({"seed": 1}, "process", False),
        ({"start_method": "fork"}, "process", False),
        ({"start_method": "spawn"}, "thread", True),
        ({"max_cached": 1}, "thread", False),
    ],
)
def test_what_auto_begins_with(
    arguments: dict[str, Any], method: str, *, either: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(options, "usable_cores", lambda: 6)
    choice = made(nworkers="auto", **arguments).choice()
    assert choice is not None
    assert (choice.method, choice.both_possible) == (method, either)
    assert choice.nworkers == (1 if method == "thread" else 6)


def compared(file: Path) -> set[object]:
    """Return the constants that `file` compares something with."""
    found: set[object] = set()
    for node in ast.walk(ast.parse(file.read_text("utf-8"))):
        if isinstance(node, ast.Compare):
            parts = [each for part in (node.left, *node.comparators) for each in ast.walk(part)]
            found.update(each.value for each in parts if isinstance(each, ast.Constant))
    return found


def test_nothing_outside_of_engines_compares_the_name_of_a_method() -> None:
    package = Path(seqtools.__file__).parent
    files = [f for f in package.rglob("*.py") if "engines" not in f.relative_to(package).parts]
    names = {*methods.METHODS, *methods.START_METHODS}
    assert {str(f): found for f in files if (found := compared(f) & names)} == {}


def test_a_method_is_added_by_an_entry(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[EngineArguments] = []

    def make(arguments: EngineArguments) -> ThreadEngine:
        given.append(arguments)
        return ThreadEngine(arguments.get, arguments.nworkers, deliver=arguments.deliver)

    monkeypatch.setitem(methods.METHODS, "farm", Method("farm", make, also_called=("barn",)))
    with seqtools.prefetch(seqtools.smap(abs, range(20)), 3, "farm", timeout=9) as p:
        assert list(p) == list(range(20))
        assert repr(p).startswith("prefetch(nworkers=3, method='farm', timeout=9.0)")
    assert [(each.nworkers, each.timeout, each.start_method) for each in given] == [
        (3, 9.0, "template")
    ]
    with pytest.raises(ValueError, match=r"must be 'thread', .*'farm', .* got 'farms'"):
        made(method="farms")
    with pytest.raises(ValueError, match="did you mean 'farm'"):
        made(method="barn")
    told = "nworkers='auto' needs method='thread' or 'process', got 'farm': give a number"
    with pytest.raises(ValueError, match=told):
        made(method="farm", nworkers="auto")
    assert made(nworkers="auto").methods == tuple(methods.suggested())


@pytest.mark.parametrize(
    ("arguments", "shares", "sends"),
    [
        ({"method": "thread"}, True, False),
        ({"method": "process"}, False, True),
        ({"nworkers": "auto"}, True, True),
        ({"nworkers": "auto", "seed": 1}, False, True),
        ({"nworkers": "auto", "start_method": "fork"}, False, True),
        ({"nworkers": "auto", "start_method": "spawn"}, True, True),
        ({"nworkers": "auto", "method": "thread"}, True, False),
    ],
)
def test_where_items_may_be_evaluated(
    arguments: dict[str, Any], *, shares: bool, sends: bool
) -> None:
    found = made(**arguments)
    assert (found.may_share_memory, found.may_send) == (shares, sends)


def test_what_is_no_sequence_is_refused() -> None:
    with pytest.raises(TypeError, match=r"seq must be a sequence, got dict: use list"):
        seqtools.prefetch({1: 2})  # type: ignore[arg-type]


def test_repr_begins_with_the_call() -> None:
    p = seqtools.prefetch([1], 2, "process", 5, start_hook=print, seed=3, start_method="fork")
    assert p._as_call() == (
        "prefetch(nworkers=2, method='process', max_cached=5, start_hook=print, seed=3, "
        "start_method='fork')"
    )
    assert repr(p).startswith("prefetch(nworkers=2, method='process', max_cached=5, ")
    assert repr(seqtools.prefetch("ab", 0)).startswith("prefetch(nworkers=0, method='thread')  ")
    limited = seqtools.prefetch("ab", 0, max_bytes=1000)
    assert repr(limited).startswith("prefetch(nworkers=0, method='thread', max_bytes=1000)  ")


def test_nothing_starts_before_an_item_is_read() -> None:
    before = set(threading.enumerate())
    p = seqtools.prefetch(range(10), 3)
    items = iter(p)
    p[2:5]
    assert set(threading.enumerate()) <= before
    assert next(items) == 0
    workers = [t for t in threading.enumerate() if t.name.removeprefix("seqtools-").isdecimal()]
    assert len(workers) == 3
    p.close()
    assert not any(worker.is_alive() for worker in workers)


def test_a_thread_in_user_code_is_abandoned_and_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqtools.engines.thread.engine._PATIENCE", 0.0)
    begun, go_on = threading.Event(), threading.Event()

    def get(x: int) -> int:
        if x == 1:
            begun.set()
            go_on.wait()
        return x

    p = seqtools.prefetch(seqtools.smap(get, range(3)), 1)
    assert p[0] == 0
    begun.wait()
    with pytest.warns(RuntimeWarning, match=r"thread seqtools-0 is still evaluating item 1"):
        p.close()
    go_on.set()
    assert list(p) == [0, 1, 2]


def test_an_item_that_hangs_is_named_and_reading_goes_on() -> None:
    gate = threading.Event()

    def get(x: int) -> int:
        if x == 2:
            gate.wait()
        return x

    p = seqtools.prefetch(seqtools.smap(get, range(6)), 1, timeout=0.05)
    items = iter(p)
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(seqtools.EvaluationError) as caught:
        next(items)
    assert caught.value.index == 2
    assert isinstance(caught.value.__cause__, TimeoutError)
    assert "item 2 took longer than timeout=0.05 seconds in thread seqtools-0" in str(caught.value)
    assert list(items) == [3, 4, 5]
    with pytest.warns(RuntimeWarning, match="thread seqtools-0 is still evaluating item 2"):
        p.close()
    gate.set()


# Cores


def cgroup(folder: Path, **files: str) -> str:
    for name, text in files.items():
        path = folder / name.replace("__", "/").replace("_max", ".max")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return str(folder)


@pytest.mark.parametrize(
    ("files", "cores"),
    [
        ({}, 8),
        ({"cpu_max": "max 100000\n"}, 8),
        ({"cpu_max": "250000 100000\n"}, 3),
        ({"cpu_max": "10000 100000\n"}, 1),
        ({"cpu_max": "nonsense\n"}, 8),
        ({"cpu__cpu.cfs_quota_us": "200000", "cpu__cpu.cfs_period_us": "100000"}, 2),
        ({"cpu__cpu.cfs_quota_us": "-1", "cpu__cpu.cfs_period_us": "100000"}, 8),
        ({"cpu__cpu.cfs_quota_us": "5", "cpu__cpu.cfs_period_us": "0"}, 8),
    ],
    ids=itertools.count(),
)
def test_the_quota_of_the_cgroup_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, files: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr("seqtools.prefetching.cores._affinity", lambda: 8)
    assert usable_cores({}, cgroup(tmp_path, **files)) == cores


@pytest.mark.parametrize(
    ("environ", "cores"),
    [
        ({"LOCAL_WORLD_SIZE": "4"}, 2),
        ({"OMPI_COMM_WORLD_LOCAL_SIZE": "3"}, 2),
        ({"LOCAL_WORLD_SIZE": "100"}, 1),
        ({"LOCAL_WORLD_SIZE": "0"}, 8),
        ({"SLURM_NTASKS_PER_NODE": "4(x2)"}, 8),
    ],
    ids=itertools.count(),
)
def test_local_ranks_share_the_cores(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, environ: dict[str, str], cores: int
) -> None:
    monkeypatch.setattr("seqtools.prefetching.cores._affinity", lambda: 8)
    assert usable_cores(environ, str(tmp_path)) == cores


def test_the_cores_of_this_machine() -> None:
    assert usable_cores() >= 1
