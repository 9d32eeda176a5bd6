"""`prefetch(seed=)`: any seed, and items draw by their position before slices."""

import random
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import add_cache, prefetch, smap

N = 20


def draw(item: Any) -> Any:
    return item, random.random(), int(np.random.randint(1 << 30))


@pytest.mark.parametrize("seed", [0, -1, 1 << 80, "a", ("a", (-3, "b"))])
def test_any_seed(seed: Any) -> None:
    source = smap(draw, add_cache(smap(draw, range(N)), 2))
    expected = list(prefetch(source, 0, seed=seed))
    with prefetch(source, 2, "process", seed=seed) as ready:
        assert list(ready) == expected
        assert f"seed={seed!r}" in repr(ready)
    assert list(prefetch(source, 0, seed=(seed, 1))) != expected


def test_a_slice_draws_as_the_whole_does() -> None:
    source = seqtools.arange(N)
    whole = list(prefetch(smap(draw, source), 0, seed=5))
    assert list(prefetch(smap(draw, source[7:]), 0, seed=5)) == whole[7:]
    assert list(prefetch(smap(draw, source)[7:], 0, seed=5)) == whole[7:]
    assert list(prefetch(smap(draw, source[::-1]), 0, seed=5)) == whole[::-1]
    with prefetch(smap(draw, source[7:]), 2, "process", seed=5) as ready:
        assert list(ready) == whole[7:]
        assert list(ready[3:]) == whole[10:]


def test_so_does_a_cache_over_a_slice() -> None:
    def of(source: Any) -> Any:
        return smap(draw, add_cache(smap(draw, source), 3))

    source = seqtools.arange(N)
    whole = list(prefetch(of(source), 0, seed=5))
    for nworkers in (0, 2):
        with prefetch(of(source[7:]), nworkers, "process", seed=5) as ready:
            assert list(ready) == whole[7:]


@pytest.mark.parametrize("seed", [True, np.True_, 0.5, ["a"], (1, [2])])
def test_no_seed(seed: Any) -> None:
    with pytest.raises(TypeError, match=r"^seed must be an integer, a string, or a tuple of these"):
        prefetch("abc", method="process", seed=seed)
