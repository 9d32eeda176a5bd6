"""Values that are odd fail alone or arrive whole, from every kind of worker process."""

import functools
import mmap
import os
import pickle
import sys
import threading
from collections.abc import Callable, Iterator
from typing import Any, NoReturn

import numpy as np
import pytest

import seqtools
from seqtools.engines.wire import arena
from tests.engines.engines import OPTIONS
from tests.values import test_values as plain

PROCESSES = [name for name in OPTIONS if OPTIONS[name].get("method") == "process"]
CLOSE = 64
"""So many items between two that are odd: with quick items, they share messages."""


def prefetch(engine: str, function: Any, items: Any, **options: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(seqtools.smap(function, items), **OPTIONS[engine], **options)


def outcomes(sequence: Any) -> Iterator[Any]:
    """Yield each item, or in its place what is told of it."""
    items = iter(sequence)
    while True:
        try:
            yield next(items)
        except StopIteration:
            return
        except seqtools.EvaluationError as error:
            yield f"{error.index}: {error.__cause__}"


# What cannot travel


class Odd:
    """Pickled by a function, which may do anything."""

    def __init__(self, reduce: Callable[[], Any]) -> None:
        self.reduce = reduce

    def __reduce__(self) -> Any:
        return self.reduce()


class UnspeakableError(Exception):
    def __str__(self) -> NoReturn:
        raise RuntimeError("no words")

    __repr__ = __str__


class OddState:
    def __getstate__(self) -> NoReturn:
        sys.exit(3)


class Unloadable:
    """Raises what it is of when it is loaded."""

    def __init__(self, cls: type[BaseException]) -> None:
        self.cls = cls

    def __reduce__(self) -> Any:
        return raise_one, (self.cls,)


def raise_one(cls: type[BaseException]) -> NoReturn:
    raise cls


def raising(cls: type[BaseException]) -> Odd:
    return Odd(lambda: raise_one(cls))


def without_end() -> Any:
    return list, ([Odd(without_end)],)


def nested() -> Any:
    value: Any = []
    for _ in range(100_000):
        value = [value]
    return value


SENT = "cannot be sent from a worker process: "
LOADED = "cannot be loaded from a worker process: "

CASES: dict[str, tuple[Callable[[], Any], str]] = {
    "a lock": (threading.Lock, SENT + "lock: TypeError: cannot pickle '_thread.lock' object"),
    "a generator": (lambda: (i for i in "a"), SENT + "generator: TypeError"),
    "a frame": (sys._getframe, SENT + "frame: TypeError"),
    "a function": (lambda: lambda: 0, SENT + "function: AttributeError"),
    "pickling raises": (lambda: raising(ValueError), SENT + "Odd: ValueError"),
    "pickling raises something unspeakable": (
        lambda: raising(UnspeakableError),
        SENT + "Odd: UnspeakableError: <its text cannot be shown>",
    ),
    "pickling exits": (lambda: raising(SystemExit), SENT + "Odd: PicklingError: SystemExit"),
    "the state exits": (OddState, SENT + "OddState: PicklingError: SystemExit: 3"),
    "pickling interrupts": (
        lambda: raising(KeyboardInterrupt),
        SENT + "Odd: PicklingError: KeyboardInterrupt",
    ),
    "pickling has no end": (lambda: Odd(without_end), SENT + "Odd: RecursionError"),
    "too deep": (nested, SENT + "list: RecursionError"),
    "pickling kills": (
        lambda: Odd(lambda: os._exit(3)),
        "a worker process died twice while it evaluated item",
    ),
    "loading raises": (lambda: Unloadable(OSError), LOADED + "OSError"),
    "loading raises something unspeakable": (
        lambda: Unloadable(UnspeakableError),
        LOADED + "UnspeakableError: <its text cannot be shown>",
    ),
    "loading exits": (lambda: Unloadable(SystemExit), LOADED + "UnpicklingError: SystemExit"),
    "loading interrupts": (
        lambda: Unloadable(KeyboardInterrupt),
        LOADED + "UnpicklingError: KeyboardInterrupt",
    ),
    "loading stops": (lambda: Unloadable(StopIteration), LOADED + "StopIteration"),
}
NAMES = [name for name in CASES for name in (*[""] * CLOSE, name)] + [""]


def evaluate(i: int) -> Any:
    return CASES[NAMES[i]][0]() if NAMES[i] else i


@functools.cache
def all_cases(engine: str) -> list[Any]:
    """Return what comes of `NAMES`: read once, for all tests."""
    with prefetch(engine, evaluate, range(len(NAMES)), max_cached=2 * CLOSE) as p:
        return list(outcomes(p))


@pytest.mark.parametrize("engine", PROCESSES)
def test_all_others_are_delivered_in_order(engine: str) -> None:
    found = all_cases(engine)
    assert len(found) == len(NAMES)
    assert [found[i] for i, name in enumerate(NAMES) if not name] == [
        i for i, name in enumerate(NAMES) if not name
    ]


@pytest.mark.parametrize("engine", PROCESSES)
def test_a_value_that_cannot_travel_is_an_error_of_its_item(engine: str) -> None:
    for i, (name, told) in enumerate(zip(NAMES, all_cases(engine), strict=True)):
        if name:
            assert told.startswith(f"{i}: "), name
            assert CASES[name][1] in told


@pytest.mark.parametrize("engine", ["inline", "thread"])
def test_in_this_process_nothing_has_to_travel(engine: str) -> None:
    for name, value in zip(NAMES, all_cases(engine), strict=True):
        assert type(value) is type(CASES[name][0]()) if name else isinstance(value, int)


# What arrives whole

NUMPY = {name: make for name, make in plain.NUMPY.items() if name != "memmap"}


@pytest.mark.parametrize("engine", ["spawn", "fork"])
def test_arrays(engine: str) -> None:
    with prefetch(engine, lambda name: plain.NUMPY[name](), list(plain.NUMPY)) as p:
        for name, given in zip(plain.NUMPY, p, strict=True):
            plain.check(given, plain.NUMPY[name]())


@pytest.mark.parametrize("engine", ["spawn", "fork"])
def test_views_and_others(engine: str) -> None:
    makers = [*plain.VIEWS.values(), *plain.OTHERS.values()]
    with prefetch(engine, lambda k: makers[k](), range(len(makers))) as p:
        for make, given in zip(makers, p, strict=True):
            value = make()
            assert type(given) is type(value)
            assert bytes_of(given) == bytes_of(value)


def bytes_of(value: Any) -> Any:
    return value.tobytes() if isinstance(value, memoryview) else value


PIPE = 1 << 16
SLOT = 1 << 15
SIZES = [0, 1, *(size + k for size in (SLOT, PIPE) for k in (-200, -1, 0, 1)), 5_000_000]


def made(kind: str, size: int) -> Any:
    value = np.arange(size, dtype=np.uint32).astype(np.uint8)
    return value if kind == "array" else value.tobytes() if kind == "bytes" else [value, value[::2]]


@pytest.mark.parametrize("engine", PROCESSES)
def test_values_of_all_sizes(engine: str) -> None:
    cases = [(kind, size) for kind in ("array", "bytes", "list") for size in SIZES]
    with prefetch(engine, lambda case: made(*case), cases) as p:
        for case, given in zip(cases, p, strict=True):
            expected = made(*case)
            assert type(given) is type(expected)
            assert same(given, expected), case


def same(a: Any, b: Any) -> bool:
    if isinstance(a, list):
        return all(map(same, a, b)) and len(a) == len(b)
    return a == b if isinstance(a, bytes) else np.array_equal(a, b)


def test_values_larger_than_all_slots(monkeypatch: pytest.MonkeyPatch) -> None:
    def create(_: int) -> tuple[int, int]:
        fd = os.memfd_create("small", os.MFD_CLOEXEC)
        os.ftruncate(fd, 1 << 23)
        mmap.mmap(fd, 1 << 23).close()
        return fd, 1 << 23

    monkeypatch.setattr(arena, "create", create)
    sizes = [100_000, 9_000_000, 3_000_000, 3_000_000, 5_000_000, 100_000] * 3
    with prefetch("process", lambda n: np.full(n, n % 251, np.uint8), sizes, max_cached=4) as p:
        kept = list(p)
    assert [len(array) for array in kept] == sizes
    assert all((array == n % 251).all() for n, array in zip(sizes, kept, strict=True))


# What becomes of it


@pytest.mark.parametrize("engine", PROCESSES)
def test_what_arrived_can_be_pickled_on(engine: str) -> None:
    p = prefetch(engine, lambda name: NUMPY[name](), list(NUMPY))
    with p:
        given = list(p)
        pickles = [pickle.dumps(value, 5) for value in given]
    after = [pickle.dumps(value, 5) for value in given]
    del given
    for name, *data in zip(NUMPY, pickles, after, strict=True):
        for each in data:
            given_on, value = pickle.loads(each), NUMPY[name]()
            assert given_on.dtype == value.dtype
            np.testing.assert_array_equal(given_on, value)


@pytest.mark.parametrize("engine", PROCESSES)
def test_what_arrived_can_be_sent_to_other_workers(engine: str) -> None:
    with prefetch(engine, lambda name: NUMPY[name](), list(NUMPY)) as p:
        given = dict(zip(NUMPY, p, strict=True))
        # a second pipeline holds the values of the first, which are views of its memory
        with prefetch(engine, lambda name: (name, given[name]), list(NUMPY)) as further:
            for name, again in further:
                np.testing.assert_array_equal(again, NUMPY[name]())


@pytest.mark.parametrize("engine", PROCESSES)
def test_values_through_two_processes(engine: str) -> None:
    arrays = prefetch(engine, lambda i: np.full(50_000, i), range(6))
    with prefetch(engine, lambda array: array, arrays) as p:
        for i, array in enumerate(p):
            assert (array == i).all()
            assert array.flags.writeable


@pytest.mark.parametrize("engine", OPTIONS)
def test_what_the_consumer_changes_is_its_own(engine: str) -> None:
    def evaluate(i: int) -> Any:
        return [np.full(50_000, i), bytearray(b"x" * 9), {"key": [i]}]

    with prefetch(engine, evaluate, [0, 1] * 20, max_cached=3) as p:
        for i, (array, data, mapping) in enumerate(p):
            assert (array == i % 2).all()
            assert data == b"x" * 9
            assert mapping == {"key": [i % 2]}
            array[:] = -1
            data[:] = b""
            mapping["key"].append(-1)
