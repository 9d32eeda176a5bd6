"""A check evaluates items twice, and names the stage that is another one by itself."""

import itertools
import os
import random
import secrets
import time
import uuid
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from seqtools import add_cache, batch, collate, prefetch, smap, uniter
from seqtools.instrument import check
from seqtools.instrument.checking import repeats, worker_main

BOTH = pytest.mark.parametrize("method", ["thread", "process"])
DIFFERS = "an item differs when it is evaluated again from the same input"


def plain(item: Any) -> Any:
    return item


def of_torch() -> Any:
    torch = pytest.importorskip("torch", reason="torch is not installed: see `make interop`")
    generator = torch.Generator()
    generator.seed()
    return torch.rand(3, generator=generator)


DRAWS: dict[str, Callable[[], Any]] = {
    "numpy": lambda: np.random.default_rng().random(),
    "array": lambda: np.random.default_rng().random(3),
    "RandomState": lambda: np.random.RandomState().rand(),
    "Random": lambda: random.Random().random(),
    "SystemRandom": lambda: random.SystemRandom().random(),
    "secrets": secrets.token_hex,
    "urandom": lambda: os.urandom(4),
    "uuid4": lambda: str(uuid.uuid4()),
    "torch": of_torch,
}


def drawing(name: str) -> Callable[[Any], Any]:
    make = DRAWS[name]

    def draw(x: Any) -> Any:
        return {"x": x, "drawn": make()}

    return draw


def fresh(x: Any, rng: Any = None) -> Any:
    del rng  # it has one of its own
    return x, np.random.default_rng().random()


def found_in(stage: Any, method: str, **options: Any) -> list[str]:
    """Return what is found where `stage` is read ahead, with the name of its stage."""
    found = check(prefetch(stage, 2, method, **options))
    return [f"{each.where.split(',')[0]}: {each.what}" for each in found]


@BOTH
@pytest.mark.parametrize("name", DRAWS)
def test_a_generator_that_is_made_for_each_item(name: str, method: str) -> None:
    if name == "torch":
        pytest.importorskip("torch", reason="torch is not installed: see `make interop`")
    drawn = smap(drawing(name), smap(plain, range(9)))
    kept = add_cache(drawn, 3)
    twice = collate([smap(plain, kept), smap(plain, kept)])
    for stage in (drawn, batch(smap(plain, kept), 2), collate([drawn, drawn]), twice):
        [found] = found_in(stage, method)
        assert found.startswith(f"smap(draw): {DIFFERS}: it draws from a generator that no seed ")


@BOTH
def test_what_it_says_of_seeds(method: str) -> None:
    [found] = check(prefetch(smap(fresh, range(9), rng=5), 2, method))
    assert f"{DIFFERS}, despite rng=5: " in found.what
    assert found.advice.startswith("draw from the argument rng alone")
    [found] = check(prefetch(smap(fresh, range(9), seed=5), 2, method))
    assert f"{DIFFERS}, despite seed=5: " in found.what
    assert "from the global generators" in found.advice
    [found] = check(prefetch(smap(fresh, range(9)), 2, method))
    assert "despite" not in found.what
    assert "smap(f, …, rng=0)" in found.advice


def test_what_it_says_of_the_seed_of_a_prefetch() -> None:
    [found] = found_in(smap(plain, smap(fresh, range(9))), "process", seed=5)
    assert found.startswith(f"smap(fresh): {DIFFERS}, despite seed=5 of the prefetch: ")


@pytest.mark.parametrize("options", [{"seed": 5}, {"rng": 5}])
def test_a_seed_without_workers(options: dict[str, Any]) -> None:
    for pipeline in (
        smap(fresh, range(9), **options),
        batch(smap(fresh, prefetch(range(9), 2), **options), 2),
        prefetch(smap(fresh, range(9), **options), 0),
    ):
        [found] = check(pipeline)
        assert found.where.startswith("smap(fresh), test_check_repeats.py:")
        assert f"despite {next(iter(options))}=5" in found.what
    assert check(smap(fresh, range(9), **options), items=0) == []


def test_nothing_found_without_workers() -> None:
    told = "there is no prefetch with workers in this pipeline"
    assert str(check(smap(plain, range(9), seed=1))) == f"nothing found in 3 items; {told}"
    assert str(check(smap(plain, range(9), seed=1), items=0)) == f"nothing to check: {told}"
    assert str(check(smap(fresh, range(9)))) == f"nothing to check: {told}"


def test_without_workers_nothing_is_read_that_processes_read() -> None:
    read: list[int] = []
    ahead = prefetch(smap(read.append, range(9)), 1, "process")
    assert check(smap(fresh, ahead, rng=1)) == []
    assert read == []


def test_what_is_said_of_draws_without_workers() -> None:
    [found] = check(smap(plain, smap(lambda _: random.random(), range(9)), seed=1))
    assert found.what.endswith("without a seed: items differ in every run")


@BOTH
def test_each_stage_that_differs_by_itself_is_named_once(method: str) -> None:
    def second(x: Any) -> Any:
        return x, os.urandom(4)

    one, other = smap(fresh, range(9)), smap(second, range(9))
    inner = prefetch(smap(plain, collate([one, other])), 1, method)
    found = found_in(batch(smap(lambda x: [x], inner), 2), method)
    assert sorted(each.partition(":")[0] for each in found) == ["smap(fresh)", "smap(second)"]
    # what follows read something else
    [found_first] = found_in(smap(second, smap(fresh, range(9))), method)
    assert found_first.startswith("smap(fresh)")


@BOTH
def test_a_seed_of_two_prefetches(method: str) -> None:
    inner = prefetch(smap(fresh, range(9)), 1, "process", seed=1)
    [found] = found_in(smap(plain, inner), method)
    assert "despite seed=1 of the prefetch" in found


class Dataset:
    """Draws for each item, as data sets with augmentation do."""

    def __len__(self) -> int:
        return 9

    def __getitem__(self, i: int) -> Any:
        return fresh(i)


@BOTH
def test_a_source_that_draws(method: str) -> None:
    for stage in (Dataset(), smap(plain, Dataset())):
        [found] = check(prefetch(stage, 2, method))
        assert found.where == "Dataset"
        assert "default_rng((0, i))" in found.advice


def test_a_state_that_a_function_keeps() -> None:
    kept: list[int] = []

    def numbered(i: int) -> dict[str, int]:
        kept.append(i)
        return {"i": i, "n": len(kept)}

    for options in ({}, {"seed": 1}):
        [found] = found_in(smap(numbered, range(9)), "process", **options)
        assert "state that it keeps between items" in found


def test_a_draw_that_is_rare() -> None:
    def rare(i: int) -> float:
        return 0 if i < 8 else random.SystemRandom().random()

    [found] = found_in(smap(rare, range(9)), "thread")
    assert found.startswith(f"smap(rare): {DIFFERS}")


# ---------------------------------------------------------------------------- no false alarms


class Plain:
    """Has no equality and the hash of its identity."""

    def __init__(self, value: Any) -> None:
        self.value = value


@dataclass
class Loaded:
    pixels: Any
    at: float


def sums(_: int) -> Any:
    """Return sums whose last digits depend on how they were computed."""
    return np.float32(1 + 1e-7 * random.SystemRandom().random()) * np.arange(5, dtype=np.float32)


SAME: list[Callable[[int], Any]] = [
    lambda _: time.time(),
    lambda _: {"ns": time.time_ns(), "at": np.float64(time.time()), "x": np.zeros(3)},
    lambda i: Loaded(np.full(3, i), time.time()),
    lambda _: object(),
    lambda i: [Plain([i]), {Plain(2), Plain(3)}, frozenset({Plain(i)})],
    lambda i: (x for x in range(i)),
    lambda i: (float("nan"), np.array([np.nan, i]), np.float32("nan"), complex("nan")),
    lambda i: np.array([Plain(i), None]),
    sums,
    lambda i: random.Random(i).random(),
    lambda i: np.random.default_rng((1, i)).random(3),
    lambda _: (random.getstate, fresh, len, Plain),
]


@pytest.mark.parametrize("function", SAME, ids=map(str, range(len(SAME))))
def test_what_is_the_same_item(function: Any) -> None:
    assert found_in(smap(plain, smap(function, range(9))), "thread") == []
    assert found_in(batch(smap(function, range(9)), 3), "thread") == []


def test_tables_that_are_the_same() -> None:
    pandas = pytest.importorskip("pandas", reason="pandas is not installed: users may have it")
    names = itertools.count()

    def table(i: int) -> Any:
        name = str(next(names))[:0] + "ab"
        text = [name, name] if next(names) % 3 else [name, str(i)[:0] + "ab"]
        return pandas.DataFrame({"i": [i, i], "text": np.array(text, object)})

    assert found_in(smap(table, range(9)), "thread") == []
    drawn = smap(lambda _: pandas.DataFrame({"x": [os.urandom(4)]}), range(9))
    [found] = found_in(drawn, "thread")
    assert DIFFERS in found


@BOTH
def test_draws_from_global_generators_are_said_once(method: str) -> None:
    def draw(_: int) -> Any:
        return random.random(), np.random.random()

    [found] = found_in(smap(draw, range(9)), method)
    assert "the global random generators without a seed" in found


def test_what_is_read_once_is_not_evaluated_twice() -> None:
    read: list[int] = []

    class Lines:
        def __iter__(self) -> Any:
            return map(lambda i: read.append(i) or i, range(9))  # noqa: C417

    check(prefetch(smap(plain, uniter(Lines())), 2))
    assert read == []
    found = found_in(smap(lambda i: (i, os.urandom(4)), uniter(Lines())), "process")
    assert not any(DIFFERS in each for each in found)


def test_a_source_that_is_changed_is_no_draw() -> None:
    data = [np.full(3, i) for i in range(9)]

    def double(x: Any) -> Any:
        x *= 2
        return x

    for method in ("thread", "process"):
        [found] = found_in(smap(double, data), method)
        assert "it changes item" in found


def test_the_second_evaluation_fails() -> None:
    calls: set[int] = set()

    def once(i: int) -> int:
        if i in calls:
            raise OSError
        calls.add(i)
        return i

    found = check(prefetch(smap(once, range(9)), 2))
    assert found == []
    assert found.estimates[0].items == 3


# ---------------------------------------------------------------------------- what it takes


def counted(timeout: float, monkeypatch: pytest.MonkeyPatch, seconds: float) -> list[int]:
    clock = itertools.count(0, seconds)
    monkeypatch.setattr(worker_main, "perf_counter", clock.__next__)
    monkeypatch.setattr(worker_main, "monotonic", clock.__next__)
    read: list[int] = []
    check(prefetch(smap(lambda i: read.append(i) or i, range(9)), 1), timeout=timeout)
    return read


def test_slow_items(monkeypatch: pytest.MonkeyPatch) -> None:
    assert counted(20, monkeypatch, 0.1) == [0, 0, 4, 4, 8, 8]
    # the first one tells, and takes its time
    assert counted(20, monkeypatch, 3) == [0, 0, 4, 8]
    # two evaluations could take longer than one may
    assert counted(5, monkeypatch, 2) == [0, 4, 8]


def test_large_values(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "_SECONDS", -1)
    assert found_in(smap(fresh, range(9)), "thread") == []


def test_times_do_not_include_comparing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(repeats, "fingerprint", lambda _: time.sleep(0.05) or 1)
    found = check(prefetch(smap(plain, range(9)), 1))
    assert found.estimates[0].seconds < 0.05
