"""A mapping that is given is where values are kept, also when it is empty."""

from collections import UserDict
from typing import Any

import pytest

from seqtools import EvaluationError, add_cache, smap
from seqtools.testing import Probe


@pytest.mark.parametrize("cache", [{}, UserDict()], ids=["dict", "UserDict"])
def test_an_empty_one_is_used(cache: Any) -> None:
    probe = Probe([3, 1, 2])
    cached = add_cache(probe, cache_size=0, cache=cache)
    assert [cached[1], cached[1], cached[-1]] == [1, 1, 2]
    assert dict(cache) == {1: 1, 2: 2}
    assert probe.reads == [1, 2]


def test_what_is_in_it_counts() -> None:
    probe = Probe([3, 1, 2])
    assert list(add_cache(probe, cache={0: "kept", 2: None})) == ["kept", 1, None]
    assert probe.reads == [1]


def test_assignment_drops_what_is_in_it() -> None:
    cache = {0: "old"}
    cached = add_cache(Probe([1, 2]), cache=cache)
    cached[0] = 5
    cached[1] = 6
    assert cache == {}
    assert list(cached) == [5, 6]


def test_errors_are_not_kept() -> None:
    cache: dict[int, Any] = {}
    cached = add_cache(Probe([1, 2], errors={0: OSError("no")}), cache=cache)
    for _ in range(2):
        with pytest.raises(EvaluationError):
            cached[0]
    assert cache == {}


def test_a_mapping_that_drops_everything() -> None:
    class Forgetful(dict[int, Any]):
        def __setitem__(self, key: int, value: Any) -> None:
            pass

    probe = Probe([1])
    cached = add_cache(probe, cache=Forgetful())
    assert [cached[0], cached[0]] == [1, 1]
    assert probe.reads == [0, 0]


def test_what_is_no_mapping() -> None:
    with pytest.raises(TypeError, match="cache must be a mutable mapping, got list"):
        add_cache([1], cache=[])  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="cache must be a mutable mapping, got set"):
        add_cache(smap(abs, [1]), cache=set())  # type: ignore[arg-type]
