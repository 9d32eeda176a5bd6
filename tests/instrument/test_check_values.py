"""A check names functions whose values depend on who evaluates them, and how often."""

import functools
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import add_cache, batch, gather, prefetch, smap
from seqtools.instrument import check
from seqtools.instrument.fingerprints import copied

BOTH = pytest.mark.parametrize("method", ["thread", "process"])


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
        "it changes item 0 of add_cache, which keeps it and returns it changed from then on"
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
    assert found.what.startswith("it refills and returns the same object: item 0 ")
    assert found.where.startswith(f"smap({name}), test_check_values.py:")
    # each item is pickled when it was made
    assert found_in(stage, "process") == []


@BOTH
def test_one_buffer_filled_again_within_an_item(method: str) -> None:
    frames = smap(Decoder().frame, range(9))
    for stage in (batch(frames, 3), smap(np.add, frames, frames[::-1])):
        [found] = found_in(stage, method)
        assert found.startswith("it refills and returns the same object")


@BOTH
def test_one_object_that_stays_as_it_is(method: str) -> None:
    shared = {"labels": ["a", "b"], "zeros": np.zeros(3)}
    assert found_in(batch(smap(lambda _: shared, range(9)), 3), method) == []
    assert found_in(batch(gather([shared], [0] * 9), 3), method) == []


class Unhashed(set[Any]):
    """Raises where it is looked into."""

    def __iter__(self) -> Iterator[Any]:
        raise ZeroDivisionError


@BOTH
def test_values_that_cannot_be_looked_into(method: str) -> None:
    assert found_in(smap(len, smap(lambda i: Unhashed([i]), range(9))), method) == []
