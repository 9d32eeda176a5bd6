"""A resource for each worker: opened once in each, used by one thread, closed with it."""

import asyncio
import functools
import gc
import inspect
import os
import pickle
import sqlite3
import threading
import weakref
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools import per_worker
from tests.children import forked
from tests.scripts import run

_closed: list["Resource"] = []


class Resource:
    """Knows where it was opened, and where it was closed."""

    def __init__(self, *args: Any, **options: Any) -> None:
        self.arguments = args, options
        self.opened = self.place()

    @staticmethod
    def place() -> tuple[int, int]:
        """Return the process and the thread that run this."""
        return os.getpid(), threading.get_ident()

    def close(self) -> None:
        """Note that it was closed."""
        self.closed = self.place()
        _closed.append(self)


@per_worker
def imported(x: int = 0, *, y: int = 0) -> Resource:
    """Open one."""
    return Resource(x, y=y)


@pytest.fixture(autouse=True)
def _none_closed() -> None:
    gc.collect()  # closes what other tests have opened by methods
    _closed.clear()


@pytest.fixture
def database(tmp_path: Path) -> str:
    path = str(tmp_path / "squares")
    with sqlite3.connect(path) as connection:
        connection.execute("create table squares (x, y)")
        connection.executemany("insert into squares values (?, ?)", [(x, x * x) for x in range(60)])
    connection.close()
    return path


PLACES: list[dict[str, Any]] = [
    {"nworkers": 0},
    {"method": "thread"},
    *({"method": "process", "start_method": each} for each in ("template", "spawn", "fork")),
]


@pytest.mark.parametrize(
    "options", PLACES, ids=lambda options: "-".join(map(str, options.values()))
)
def test_each_worker_opens_one(options: dict[str, Any], database: str) -> None:
    connection = per_worker(sqlite3.connect)
    by_hand = per_worker(functools.partial(sqlite3.connect, database))

    @per_worker
    def opened(x: int) -> Resource:
        return Resource(x)

    def read(x: int) -> tuple[int, bool]:
        for resource in (opened(1), opened(2), imported()):
            assert resource.opened == Resource.place()
        assert opened(1) is opened(1) is not opened(2)
        assert imported() is imported()
        [(y,)] = connection(database).execute("select y from squares where x = ?", (x,))
        [(same,)] = by_hand().execute("select y from squares where x = ?", (x,))
        return y, y == same

    expected = [(x * x, True) for x in range(60)]
    # a worker process with a cache has a second thread, which reads ahead
    cached = seqtools.add_cache(seqtools.smap(read, range(60)), 4)
    assert cached[0] == (0, True)  # opens in this thread what a forked worker must not use
    with seqtools.prefetch(cached, **{"nworkers": 2, **options}) as p:
        assert list(p) == expected
    assert all(resource.opened[0] == os.getpid() for resource in _closed)


def test_what_a_thread_has_opened_is_closed_when_it_ends() -> None:
    per_thread = per_worker(Resource)
    barrier = threading.Barrier(2)

    def read(x: int) -> bool:
        barrier.wait(20)
        return per_thread(0, a=1) is per_thread(0, a=1) is not per_thread(x + 1)

    mine = per_thread(0, a=1)
    with seqtools.prefetch(seqtools.smap(read, range(4)), 2, "thread") as p:
        assert all(p)
        assert _closed == []
    assert len({resource.opened for resource in _closed}) == 2
    assert all(resource.closed == resource.opened for resource in _closed)
    assert sorted(str(each.arguments) for each in _closed if each.arguments[1]) == (
        [str(mine.arguments)] * 2
    )
    assert mine not in _closed


def test_all_are_closed_even_if_one_is_cancelled() -> None:
    class Cancelled(Resource):
        def close(self) -> None:
            super().close()
            raise asyncio.CancelledError

    per_thread = per_worker(Cancelled)

    def read(x: int) -> int:
        return len(per_thread(x).arguments)

    with seqtools.prefetch(seqtools.smap(read, range(3)), 1, "thread") as p:
        assert list(p) == [2, 2, 2]
    assert [resource.arguments[0] for resource in _closed] == [(2,), (1,), (0,)]


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_what_a_worker_process_has_opened_is_closed_when_it_ends(
    start_method: Any, tmp_path: Path
) -> None:
    class Noted(Resource):
        def close(self) -> None:
            (tmp_path / f"{os.getpid()}-{threading.get_ident()}").write_text(f"{self.opened}")

    per_process = per_worker(Noted)
    mine = per_process()  # which a fork has too

    def read(_: int) -> tuple[int, int]:
        return per_process().opened

    ready = seqtools.prefetch(
        seqtools.smap(read, range(8)), 2, "process", start_method=start_method
    )
    with ready:
        opened = set(ready)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == {
        f"{process}-{thread}": f"{(process, thread)}" for process, thread in opened
    }
    assert mine.opened == Resource.place() not in opened


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_leaves_alone_what_its_parent_has() -> None:
    mine, opened, done = imported(1), threading.Event(), threading.Event()

    def hold() -> None:
        imported(2)
        opened.set()
        done.wait(20)

    def in_child() -> bool:  # where this thread alone exists
        other = imported(1)
        gc.collect()
        return other is not mine and other.opened == Resource.place() and not _closed

    thread = threading.Thread(target=hold)
    thread.start()
    assert opened.wait(20)
    assert forked(in_child)
    assert imported(1) is mine
    assert _closed == []
    done.set()
    thread.join()
    assert [resource.arguments[0] for resource in _closed] == [(2,)]


def test_each_is_closed_once_at_the_end_of_the_program() -> None:
    program = (
        "import os, seqtools, sys\n"
        "class Noted:\n"
        "    def close(self): print('closed', flush=True)\n"
        "opened = seqtools.per_worker(Noted)\n"
        "opened()\n"
        "pid = os.fork() if hasattr(os, 'fork') else 0\n"
        "if pid:\n"
        "    os.waitpid(pid, 0)\n"
        "else:\n"
        "    print(opened().__class__.__name__, flush=True)\n"
    )
    done = run("-c", program)
    own = ["closed"] * hasattr(os, "fork")
    assert (done.stdout.splitlines(), done.stderr) == (["Noted", "closed", *own], "")


@pytest.mark.parametrize("given", [{"x": [1]}, {"y": [1]}], ids="xy")
def test_arguments_must_be_hashable(given: dict[str, Any]) -> None:
    with pytest.raises(TypeError, match=r"of imported\(\) must be hashable .* got \[1\]"):
        imported(**given)


def test_a_method_opens_one_for_each_object() -> None:
    class Reader:
        @per_worker
        def opened(self) -> Resource:
            return Resource(self)

        def __call__(self, x: int) -> tuple[int, bool]:
            mine = self.opened()
            return x, mine is self.opened() and mine.arguments[0] == (self,)

    one, other = Reader(), Reader()
    assert one.opened() is not other.opened()
    with seqtools.prefetch(seqtools.smap(one, range(3)), 1, "process") as p:
        assert list(p) == [(0, True), (1, True), (2, True)]


class Opener:
    """Opens something for each instance."""

    @per_worker
    def opened(self, x: int = 0) -> Resource:
        """Open one."""
        return Resource(x)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Opener)

    __hash__ = None  # type: ignore[assignment]

    def get(self, x: int) -> int:
        """Open two."""
        return x + sum(map(len, (self.opened().arguments, self.opened(1).arguments)))


def test_what_a_method_has_opened_is_closed_with_its_instance() -> None:
    instances, other = [Opener()], Opener()
    mine = [instances[0].opened(x) for x in range(3)]
    others, opened, done = other.opened(9), threading.Event(), threading.Event()

    def hold() -> None:
        instances[0].opened(7)
        opened.set()
        done.wait(20)

    thread = threading.Thread(target=hold)
    thread.start()
    assert opened.wait(20)
    assert _closed == []
    instances.clear()
    assert sorted(each.arguments[0] for each in _closed) == [(0,), (1,), (2,), (7,)]
    assert [each for each in _closed if each in mine] == mine[::-1]
    assert all(each.closed == Resource.place() for each in _closed)
    done.set()
    thread.join()
    assert len(_closed) == 4
    assert other.opened(9) is others
    del other
    assert _closed[4:] == [others]


def test_an_instance_that_owns_a_prefetch_is_collected() -> None:
    class Owner(Opener):
        def __init__(self) -> None:
            self.ready = seqtools.prefetch(seqtools.smap(self.get, range(3)), 1, "thread")

    owner = Owner()
    mine = owner.opened(), owner.opened(1)
    assert list(owner.ready) == [4, 5, 6]
    gone = weakref.ref(owner)
    del owner
    gc.collect()
    assert gone() is None
    assert {*mine} <= {*_closed}


def test_a_method_of_what_has_no_weak_references() -> None:
    class Slots:
        __slots__ = ()

        @per_worker
        def opened(self) -> Resource:
            return Resource()

    one = Slots()
    assert one.opened() is one.opened()
    assert Slots.opened(one) is one.opened()
    assert one.opened() is not Slots().opened()


async def _coroutine() -> int:
    return 1


class _Callable:
    async def __call__(self) -> int:
        return 1


@pytest.mark.parametrize(
    "function",
    [_coroutine, functools.partial(_coroutine), _Callable()],
    ids=["function", "partial", "object"],
)
def test_an_async_function_is_refused(function: Any) -> None:
    with pytest.raises(TypeError, match=r"per_worker\(\) needs .* which is async: use a plain"):
        per_worker(function)


@pytest.mark.parametrize("method", ["thread", "process"])
def test_an_async_close_is_told(method: Any) -> None:
    class Session:
        async def close(self) -> None:
            raise AssertionError

    @per_worker
    def session() -> Session:
        return Session()

    def read(x: int) -> int:
        session()
        return x

    words = r"close\(\) of what session\(\) opens is async, .*Session"
    with (
        pytest.warns(RuntimeWarning, match=words) as told,
        seqtools.prefetch(seqtools.smap(read, range(5)), 1, method) as p,
    ):
        assert list(p) == list(range(5))
    gc.collect()
    assert len(told) == 1


def test_a_failure_is_not_kept() -> None:
    tries: list[int] = []

    @per_worker
    def unlucky() -> int:
        tries.append(1)
        return 1 // (len(tries) - 1)

    with pytest.raises(ZeroDivisionError):
        unlucky()
    assert (unlucky(), unlucky(), len(tries)) == (1, 1, 2)


def test_it_looks_like_the_function() -> None:
    assert (imported.__name__, imported.__doc__) == ("imported", "Open one.")
    assert str(inspect.signature(imported)).startswith("(x: int = 0, *, y: int = 0)")
    assert pickle.loads(pickle.dumps(imported)) is imported
    with pytest.raises(TypeError, match="function must be a function, got 5"):
        per_worker(5)  # type: ignore[arg-type]
