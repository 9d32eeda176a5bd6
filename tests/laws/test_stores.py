"""A store that is given to a cache: what is asked of it, and when."""

import threading
from typing import Any

import pytest

from seqtools import EvaluationError, add_cache, prefetch, smap
from seqtools.extend import Store
from seqtools.testing import Probe, check_laws


class Kept:
    """A store that notes what it was asked for."""

    def __init__(self) -> None:
        self.values: dict[int, Any] = {}
        self.calls: list[tuple[str, int]] = []

    def get(self, key: int, default: Any) -> Any:
        self.calls.append(("get", key))
        return self.values.get(key, default)

    def put(self, key: int, value: Any) -> None:
        self.calls.append(("put", key))
        self.values[key] = value

    def drop(self, key: int) -> None:
        self.calls.append(("drop", key))
        self.values.pop(key, None)


def test_all_laws_hold_with_a_store() -> None:
    check_laws(lambda p: add_cache(p, cache=Kept()), lambda a: a, assigned=[[5, 6, 7, 8, 9]])


def test_a_value_is_put_once_and_found_then() -> None:
    probe, store = Probe([3, 1, 2]), Kept()
    cached = add_cache(probe, cache=store)
    assert [cached[1], cached[1], cached[-1]] == [1, 1, 2]
    assert probe.reads == [1, 2]
    assert [call for call in store.calls if call[0] == "put"] == [("put", 1), ("put", 2)]


def test_none_is_a_value() -> None:
    probe = Probe([None])
    cached = add_cache(probe, cache=Kept())
    assert [cached[0], cached[0]] == [None, None]
    assert probe.reads == [0]


def test_assignment_drops() -> None:
    store = Kept()
    cached = add_cache(Probe([1, 2]), cache=store)
    assert cached[0] == 1
    cached[0] = 5
    assert (store.values, store.calls[-1]) == ({}, ("drop", 0))
    assert cached[0] == 5


def test_an_error_is_not_put() -> None:
    store = Kept()
    cached = add_cache(Probe([1], errors={0: OSError("no")}), cache=store)
    for _ in range(2):
        with pytest.raises(EvaluationError, match="OSError: no"):
            cached[0]
    assert {name for name, _ in store.calls} == {"get"}


@pytest.mark.parametrize("method", ["get", "put"])
def test_a_store_that_fails_is_an_error_of_the_item(method: str) -> None:
    def fail(*_: Any) -> None:
        raise OSError("disk is full")

    store = Kept()
    setattr(store, method, fail)
    cached = add_cache(smap(abs, [1, 2]), cache=store)
    with pytest.raises(EvaluationError, match="item 0 of add_cache failed: OSError: disk is full"):
        cached[0]
    delattr(store, method)
    assert list(cached) == [1, 2]


def test_threads_put_one_at_a_time() -> None:
    inside = threading.Semaphore(1)

    class Alone(Kept):
        def put(self, key: int, value: Any) -> None:
            assert inside.acquire(blocking=False)
            super().put(key, value)
            inside.release()

    store = Alone()
    with prefetch(add_cache(smap(abs, range(200)), cache=store), 4) as p:
        assert list(p) == list(range(200))
    assert store.values == dict(enumerate(range(200)))


def test_a_hit_waits_for_no_put() -> None:
    putting, go_on = threading.Event(), threading.Event()

    class Slow(Kept):
        def put(self, key: int, value: Any) -> None:
            putting.set()
            go_on.wait()
            super().put(key, value)

    store = Slow()
    store.values[1] = -1
    cached = add_cache(smap(abs, range(2)), cache=store)
    thread = threading.Thread(target=lambda: cached[0])
    thread.start()
    putting.wait()
    assert cached[1] == -1
    go_on.set()
    thread.join()


def test_each_worker_process_has_a_store_as_it_is_unpickled() -> None:
    store: Store = Kept()
    with prefetch(add_cache(smap(abs, range(5)), cache=store), 1, "process") as p:
        assert list(p) == list(range(5))
    assert isinstance(store, Kept)
    assert store.values == {}


def test_what_is_neither_a_mapping_nor_a_store() -> None:
    with pytest.raises(TypeError, match=r"got list; or a store with get, put and drop"):
        add_cache([1], cache=[])  # type: ignore[arg-type]
