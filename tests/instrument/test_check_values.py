"""A check names functions whose values depend on who evaluates them, and how often."""

import functools
import gzip
import random
import sqlite3
from collections import deque
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence, add_cache, batch, gather, prefetch, smap
from seqtools.instrument import check
from seqtools.instrument.fingerprints import copied, fingerprint

BOTH = pytest.mark.parametrize("method", ["thread", "process"])
RNG = np.random.default_rng(1)


def drawn(_: int) -> float:
    """Draw from a generator of a module that workers import."""
    return RNG.random()


class Noise:
    def __call__(self, _: Any) -> float:
        return RNG.random()

    def draw(self, _: Any) -> float:
        return RNG.random()


def found_in(stage: Any, method: str, nworkers: int = 2, **options: Any) -> list[str]:
    """Return what is found where `stage` is read ahead."""
    return [each.what for each in check(prefetch(stage, nworkers, method, **options))]


# ---------------------------------------------------------------------------- in place


@dataclass
class Sample:
    pixels: Any
    label: int = 0


def array(i: int) -> Any:
    return np.full(3, i + 1, float)


def table(i: int) -> Any:
    return {"pixels": array(i), "tags": [i]}


def sample(i: int) -> Sample:
    return Sample(array(i))


def add(x: Any) -> Any:
    x += 1
    return x


def tag(x: Any) -> Any:
    x["tags"].append("seen")
    return x


def clear(x: Any) -> Any:
    x["pixels"][:] = 0
    return x["pixels"]


def label(x: Sample) -> Sample:
    x.label += 1
    return x


def grow(x: Any) -> Any:
    x.append(1)
    return len(x)


CHANGING = [(array, add), (table, tag), (table, clear), (lambda i: deque([i]), grow)]


@BOTH
@pytest.mark.parametrize(("make", "change"), CHANGING)
def test_what_a_cache_keeps(make: Any, change: Any, method: str) -> None:
    kept = add_cache(smap(make, range(9)), 5)
    stage = smap(change, kept)
    [found] = check(prefetch(smap(id, stage), 2, method))
    assert found.what == (
        "it changes item 0 of add_cache, which keeps it: who reads it again gets it changed"
    )
    assert found.where.startswith(f"smap({change.__name__}), test_check_values.py:")
    assert "copy" in found.advice
    assert found_in(smap(change, smap(make, range(9))), method) == []
    assert found_in(smap(change, smap(_copy, kept)), method) == []


def _copy(x: Any) -> Any:
    return copied(x)


@BOTH
def test_attributes_of_what_a_cache_keeps(method: str) -> None:
    [found] = found_in(smap(label, add_cache(smap(sample, range(9)), 5)), method)
    assert found.startswith("it changes item 0 of add_cache")


@BOTH
def test_what_is_kept_in_batches_and_by_other_ways(method: str) -> None:
    def total(rows: Any) -> Any:
        rows[0] += 1
        return sum(rows)

    kept = add_cache(smap(array, range(9)), 9)
    for stage in (
        smap(total, batch(kept, 3)),
        smap(add, gather(kept, [4, 3, 2])),
        batch(smap(add, kept), 3),
        smap(add, seqtools.concatenate([kept, kept])),
        add_cache(smap(add, smap(lambda x: x, kept))),
    ):
        [found] = found_in(stage, method)
        assert "of add_cache, which keeps it" in found


def test_what_a_function_keeps_itself() -> None:
    @functools.lru_cache
    def load(i: int) -> Any:
        return array(i)

    [found] = found_in(smap(add, smap(load, range(9))), "process")
    assert found.startswith("it changes item 0 of smap(load), which keeps it")


@BOTH
def test_what_a_source_has(method: str) -> None:
    rows = [array(i) for i in range(9)]
    for source in (rows, tuple(rows), np.zeros((9, 3))):
        kind = type(source).__name__
        for stage in (smap(add, source), batch(smap(add, source), 2)):
            [found] = found_in(stage, method)
            assert found.startswith(f"it changes item 0 of its source, a {kind}: with threads ")
        assert found_in(smap(lambda x: x + 1, source), method) == []
    assert [row[0] for row in rows] == list(range(1, 10))


class Dataset:
    """Makes its items when they are read."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, i: int) -> Any:
        return array(i)


@BOTH
def test_a_source_that_makes_its_items_may_have_them_changed(method: str) -> None:
    assert found_in(smap(add, Dataset()), method) == []
    assert found_in(batch(smap(add, Dataset()), 3), method) == []


@BOTH
def test_what_is_computed_once_and_kept_is_no_change(method: str) -> None:
    kept = add_cache(smap(Lazy, range(9)), 5)
    assert found_in(smap(lambda x: x.doubled, kept), method) == []


class Lazy:
    def __init__(self, value: int) -> None:
        self.value = [value]

    @functools.cached_property
    def doubled(self) -> list[int]:
        return self.value * 2


# ---------------------------------------------------------------------------- filled again


class Decoder:
    """Fills one buffer again for each item."""

    def __init__(self) -> None:
        self.buffer = np.zeros(4)

    def frame(self, i: int) -> Any:
        self.buffer[:] = i
        return self.buffer

    def described(self, i: int) -> Any:
        return {"frame": self.frame(i), "number": i}

    def half(self, i: int) -> Any:
        return self.frame(i)[:2]


@pytest.mark.parametrize("name", ["frame", "described", "half"])
def test_one_buffer_filled_again(name: str) -> None:
    stage = smap(getattr(Decoder(), name), range(9))
    [found] = check(prefetch(smap(lambda x: x, stage), 2))
    assert found.what.startswith("it returns the same object again and fills it anew: item 0 ")
    assert found.where.startswith(f"smap({name}), test_check_values.py:")
    # each item is pickled when it was made
    assert found_in(stage, "process") == []


@BOTH
def test_one_buffer_filled_again_within_an_item(method: str) -> None:
    frames = smap(Decoder().frame, range(9))
    for stage in (batch(frames, 3), smap(np.add, frames, frames[::-1])):
        [found] = found_in(stage, method)
        assert found.startswith("it returns the same object again")


@BOTH
def test_one_object_that_stays_as_it_is(method: str) -> None:
    shared = {"labels": ["a", "b"], "zeros": np.zeros(3)}
    assert found_in(batch(smap(lambda _: shared, range(9)), 3), method) == []
    assert found_in(batch(gather([shared], [0] * 9), 3), method) == []


# ---------------------------------------------------------------------------- random numbers


def test_a_generator_that_every_worker_copies() -> None:
    own, old, bits = np.random.default_rng(1), random.Random(1), np.random.PCG64(1)
    for function, where in {
        lambda _: own.random(): "variable own of <lambda>",
        lambda _: [own.random() for _ in "ab"]: "variable own of <lambda>",
        lambda _: old.random(): "variable old of <lambda>",
        lambda _: np.random.Generator(bits).random(): "variable bits of <lambda>",
        old.random: "the object of random",
        own.integers: "the object of integers",
        functools.partial(np.random.Generator.random, own): "argument 0 of partial(random)",
        drawn: "global RNG of drawn",
        Sample(own).__eq__: "attribute pixels of the object of __eq__",
        Noise(): "global RNG of method __call__ of Noise",
        Noise().draw: "global RNG of the function of draw",
    }.items():
        for method, what in (("process", "is copied to every worker process"), ("thread", "is sh")):
            ready = prefetch(smap(function, [()] * 9), 2, method)
            [found] = check(ready, items=0)
            assert found.what.startswith(f"a random generator ({where}) {what}"), function
            assert "for each item" in found.advice
        assert check(prefetch(smap(function, [()] * 9), 1, "thread"), items=0) == []


def test_generators_that_engines_seed_are_fine() -> None:
    for function in (
        random.random,
        lambda: random.gauss(0, 1),
        np.random.uniform,
        lambda: random.SystemRandom().random(),
        lambda i: np.random.default_rng(i).random(),
    ):
        for method in ("thread", "process"):
            assert check(prefetch(smap(function, range(9)), 2, method), items=0) == []


def test_what_a_seed_does_not_reach() -> None:
    own = np.random.default_rng(1)
    [found] = found_in(smap(lambda _: own.random(), range(9)), "process", seed=1)
    assert found.endswith("; seed= does not reach it")
    count = [0]

    def counted(i: int) -> Any:
        count[0] += 1
        return {"number": i, "count": count[0]}

    [found] = found_in(smap(counted, range(9)), "process", seed=1)
    assert found.startswith("item 0 is another one when it is made again, in spite of seed=1: ")
    assert found_in(smap(counted, range(9)), "process") == []


def test_what_a_seed_reaches() -> None:
    def draw(i: int) -> Any:
        return {"a": random.random(), "b": np.random.random(3), "c": {str(i), "x"}}  # noqa: NPY002

    kept = add_cache(smap(draw, range(9)), 9)
    assert found_in(smap(draw, kept), "process", seed=1) == []
    assert found_in(draw_all(9), "process", seed=1) == []


def draw_all(n: int) -> LazySequence[Any]:
    return batch(smap(lambda _: random.random(), range(n)), 2)


# ---------------------------------------------------------------------------- threads


@pytest.fixture
def positioned(tmp_path: Path) -> Iterator[dict[str, Any]]:
    (tmp_path / "data").write_bytes(gzip.compress(b"data"))
    with (
        closing(sqlite3.connect(":memory:", check_same_thread=False)) as database,
        (tmp_path / "data").open("rb") as raw,
        (tmp_path / "data").open() as text,
        gzip.open(tmp_path / "data") as unpacked,
    ):
        yield {
            "a connection to SQLite": database,
            "a cursor of SQLite": database.cursor(),
            "an open file": raw,
            "an open file ": text,
            "an open file  ": unpacked,
            "a generator": (i for i in range(9)),
        }


def test_what_threads_must_not_share(positioned: dict[str, Any]) -> None:
    for kind, handle in positioned.items():
        stage = smap(lambda x, held=handle: (x, held), range(9))
        [found] = check(prefetch(stage, 2, "thread"), items=0)
        assert found.what == (
            f"{kind.strip()} (default held of <lambda>) is used by several threads at a time"
        )
        assert "threading.local()" in found.advice
        assert check(prefetch(stage, 1, "thread"), items=0) == []
        assert check(prefetch(Reading(handle), 2, "thread"), items=0) != []


class Reading(Dataset):
    def __init__(self, handle: Any) -> None:
        self.handle = handle


def test_what_threads_may_share(tmp_path: Path, positioned: dict[str, Any]) -> None:
    with (tmp_path / "log").open("w") as log:
        assert check(prefetch(smap(lambda x: (x, log), range(9)), 2), items=0) == []
    assert check(prefetch(seqtools.uniter(i for i in range(9)), 2), items=0) == []
    # an item of each is used by one thread at a time
    files = list(positioned.values())
    assert check(prefetch(smap(lambda x: x, files), 2), items=0) == []


def test_a_connection_that_knows_its_thread() -> None:
    with closing(sqlite3.connect(":memory:")) as database:
        found = found_in(smap(lambda _: database.execute("select 1"), range(9)), "thread", 1)
    assert found[0].startswith("item 0 fails: ProgrammingError: SQLite objects created in a thread")


# ---------------------------------------------------------------------------- fingerprints


def mutable() -> list[tuple[Any, Any]]:
    """Return values, each with what changes it."""
    return [
        ([1, 2], lambda x: x.append(3)),
        ([1, 2], lambda x: x.__setitem__(0, 1.0)),
        ([1, [2]], lambda x: x[1].append(3)),
        ({"a": 1}, lambda x: x.update(b=2)),
        ({1, 2}, lambda x: x.add(3)),
        (([1],), lambda x: x[0].clear()),
        (bytearray(b"ab"), lambda x: x.reverse()),
        (deque([1, 2]), lambda x: x.rotate()),
        (np.zeros(3), lambda x: x.__setitem__(1, 1)),
        (np.zeros((3, 3)).T[::2], lambda x: x.__setitem__((1, 1), 1)),
        (np.array([[1], None], object), lambda x: x[0].append(2)),
        (np.zeros(2, "M8[s]"), lambda x: x.__setitem__(0, 5)),
        (np.zeros(2, "i4,f8"), lambda x: x["f1"].__setitem__(0, 5)),
        (Sample(np.zeros(3)), lambda x: x.pixels.fill(1)),
        (Sample(0), lambda x: setattr(x, "label", 1)),
    ]


def test_every_change_is_seen() -> None:
    for value, change in mutable():
        before = fingerprint(value)
        assert fingerprint(value) == before
        change(value)
        assert fingerprint(value) != before, value


def test_copies_share_nothing_that_can_be_changed() -> None:
    for value, change in mutable():
        if isinstance(value, Sample) or getattr(value, "dtype", None) == np.dtype(object):
            continue  # what is in there is handed on
        copy = copied(value)
        assert type(copy) is type(value)
        before = fingerprint(copy)
        change(value)
        assert fingerprint(copy) == before


def test_what_is_no_change() -> None:
    class Loading(dict[str, int]):
        def values(self) -> Any:
            raise AssertionError

    for value in (float("nan"), np.float64("nan"), [complex("nan")], Loading(a=1), {"a": 1.5}):
        assert fingerprint(value) == fingerprint(value)
    assert fingerprint([float("nan")]) == fingerprint([float("nan")])
    assert fingerprint(np.float64(1)) != fingerprint(np.float64(2))


class Unhashed(set[Any]):
    """Raises where it is looked into."""

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError


@BOTH
def test_values_that_cannot_be_looked_into(method: str) -> None:
    assert found_in(smap(len, smap(lambda i: Unhashed([i]), range(9))), method) == []


def test_what_goes_in_circles() -> None:
    value: list[Any] = [1]
    value.append(value)
    before = fingerprint(value)
    value[0] = 2
    assert fingerprint(value) != before
    assert isinstance(copied(value), list)
