"""A check names what workers share, or each have a copy of."""

import functools
import gzip
import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence, add_cache, batch, prefetch, smap
from seqtools.instrument import check

RNG = np.random.default_rng(1)


def drawn(_: int) -> float:
    """Draw from a generator of a module that workers import."""
    return RNG.random()


@dataclass
class Held:
    pixels: Any


class Noise:
    def __call__(self, _: Any) -> float:
        return RNG.random()

    def draw(self, _: Any) -> float:
        return RNG.random()


def found_in(stage: Any, method: str, nworkers: int = 2, **options: Any) -> list[str]:
    """Return what is found where `stage` is read ahead."""
    return [each.what for each in check(prefetch(stage, nworkers, method, **options))]


class Dataset:
    """Reads its items from something."""

    def __init__(self, handle: Any) -> None:
        self.handle = handle

    def __len__(self) -> int:
        return 9

    def __getitem__(self, i: int) -> Any:
        return i


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
        Held(own).__eq__: "attribute pixels of the object of __eq__",
        Noise(): "global RNG of method __call__ of Noise",
        Noise().draw: "global RNG of the function of draw",
    }.items():
        for method, what in (("process", "is copied to every worker process"), ("thread", "is sh")):
            ready = prefetch(smap(function, [()] * 9), 2, method)
            [found] = check(ready, items=0)
            assert found.what.startswith(f"a random generator ({where}) {what}"), function
            assert "for each item" in found.advice
        for pipeline in (
            prefetch(smap(function, [()] * 9), 1, "thread"),
            smap(function, [()] * 9),
            batch(prefetch(smap(function, [()] * 9), 0, seed=1), 2),
        ):
            [found] = check(pipeline, items=0)
            assert found.what.startswith(f"a random generator ({where}) serves all items: ")
            assert "rng=0" in found.advice
            assert str(found) in str(check(pipeline, items=0))


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
    assert found.endswith("; seed= does not seed it")


def test_what_a_seed_reaches() -> None:
    def draw(i: int) -> Any:
        return {"a": random.random(), "b": np.random.random(3), "c": {str(i), "x"}}

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
        assert found.advice.endswith("in a function with @seqtools.per_worker")
        assert check(prefetch(stage, 1, "thread"), items=0) == []
        assert check(prefetch(Dataset(handle), 2, "thread"), items=0) != []


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
    (what,) = found
    assert what.startswith("items 0, 4 and 8 fail only in another thread than yours: Programming")
