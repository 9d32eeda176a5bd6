"""A mapping that is given is where values are kept, also when it is empty."""

from collections import UserDict
from typing import Any

import pytest

from seqtools import EvaluationError, add_cache, smap
from seqtools.testing import Probe
from tests.threads import elsewhere, together


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


class Failing(dict[int, Any]):
    """A mapping of which one method fails, as long as it is told to."""

    def __init__(self, method: str) -> None:
        self.fails: str | None = method

    def _check(self, method: str) -> None:
        if self.fails == method:
            raise OSError(method)

    def __getitem__(self, key: int) -> Any:
        self._check("__getitem__")
        return super().__getitem__(key)

    def __setitem__(self, key: int, value: Any) -> None:
        self._check("__setitem__")
        super().__setitem__(key, value)

    def pop(self, *args: Any) -> Any:
        self._check("__delitem__")
        return super().pop(*args)


@pytest.mark.parametrize("method", ["__getitem__", "__setitem__"])
def test_a_mapping_that_fails_is_an_error_of_the_item(method: str) -> None:
    mapping = Failing(method)
    cached = add_cache(smap(abs, range(3)), cache=mapping)
    for outcome in together(*[lambda: cached[1]] * 8):
        assert isinstance(outcome, EvaluationError)
        assert isinstance(outcome.__cause__, OSError)
        assert outcome.__cause__.args == (method,)
        assert outcome.stage == "add_cache"
    mapping.fails = None
    assert together(*[lambda: list(cached)] * 8) == [[0, 1, 2]] * 8
    assert mapping == {0: 0, 1: 1, 2: 2}


def test_a_mapping_that_fails_to_forget() -> None:
    mapping, source = Failing("__delitem__"), [0, 1, 2]
    cached = add_cache(source, cache=mapping)
    assert cached[1] == 1
    with pytest.raises(OSError, match="__delitem__"):
        cached[1] = 5
    assert source == [0, 5, 2]  # it was assigned
    mapping.fails = None
    cached[1] = 6
    assert elsewhere(lambda: list(cached)) == [0, 6, 2]
