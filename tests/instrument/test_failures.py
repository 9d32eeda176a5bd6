"""`failures` reads a whole sequence, and lists the items that fail."""

import io
import os
import sys
from typing import Any

import pytest

import seqtools
from seqtools import EvaluationError, Failures, failures, prefetch, smap

BAD = {3, 17}


def load(x: int) -> int:
    if x in BAD:
        message = f"{x} is bad"
        raise ValueError(message)
    return x


def some_die(x: int) -> int:
    if x == 5:
        os.abort()
    return load(x)


parent = os.getpid()


class Unpicklable:
    """A value that cannot be sent from a worker."""

    def __reduce__(self) -> Any:
        raise TypeError


@pytest.mark.parametrize(("method", "nworkers"), [(None, 0), ("thread", 2), ("process", 2)])
def test_finds_them(method: str | None, nworkers: int) -> None:
    found = failures(smap(load, range(20)), nworkers=nworkers, method=method)
    assert isinstance(found, Failures)
    assert found.indices == [3, 17]
    for each in found:
        assert str(each.error) == f"{each.index} is bad"
        assert [(s.stage, s.index, s.called_with) for s in each.path] == [
            ("smap(load)", each.index, str(each.index))
        ]


@pytest.mark.parametrize("nworkers", [2, None])
def test_items_that_kill_their_worker(nworkers: int | None) -> None:
    found = failures(smap(some_die, range(20)), nworkers=nworkers, method="process")
    assert found.indices == [3, 5, 17]
    assert isinstance(found[1].error, seqtools.WorkerDied)
    assert [step.stage for step in found[1].path] == ["smap(some_die)"]


def test_a_method_is_used_and_checked_whatever_the_number_of_workers() -> None:
    pids = failures(smap(lambda _: 1 / (os.getpid() - parent), range(2)), method="process")
    assert pids == []
    for nworkers in (None, 0, 2):
        with pytest.raises(ValueError, match="method must be"):
            failures(range(3), nworkers=nworkers, method="bogus")


def test_every_item_is_read_once() -> None:
    reads: list[int] = []
    assert failures(smap(reads.append, range(20))) == []
    assert reads == list(range(20))


def test_values_are_not_sent() -> None:
    items = smap(lambda _: Unpicklable(), range(4))
    assert failures(items, nworkers=1, method="process") == []


def test_a_pipeline_that_ends_with_a_prefetch() -> None:
    with prefetch(smap(load, range(20)), 2) as ready:
        found = failures(ready)
    assert found.indices == [3, 17]
    assert [step.stage for step in found[0].path] == ["prefetch", "smap(load)"]


def test_plain_sources() -> None:
    assert failures([1, 2, 3]) == []
    assert failures(seqtools.uniter(iter("abc"))) == []
    assert failures([]).indices == []


def test_other_errors_are_raised() -> None:
    with pytest.raises(EvaluationError, match="3 is bad"):
        failures(smap(load, range(20)), on=OSError)


def test_the_setting_of_errors_does_not_matter() -> None:
    before = seqtools.seterr("passthrough")
    try:
        assert failures(smap(load, range(20))).indices == [3, 17]
        assert seqtools.seterr() == "passthrough"
    finally:
        seqtools.seterr(before)


def test_endless() -> None:
    with pytest.raises(ValueError, match="the sequence is endless"):
        failures(seqtools.repeat(1))


@pytest.mark.parametrize("shown", [False, True])
def test_progress(monkeypatch: pytest.MonkeyPatch, shown: bool) -> None:
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.setattr(sys, "stderr", Terminal())
    assert failures(smap(load, range(20)), progress=shown).indices == [3, 17]
    assert ("20/20" in sys.stderr.getvalue()) == shown  # type: ignore[attr-defined]


def test_text() -> None:
    assert repr(failures([1])) == "no item failed"
    found = failures(smap(lambda x: x / 0, range(12)))
    lines = str(found).splitlines()
    assert lines[0] == "12 items failed: 12 ZeroDivisionError"
    assert lines[1] == "  item 0 (0): ZeroDivisionError: division by zero"
    assert lines[-1] == "  … and 2 more"
