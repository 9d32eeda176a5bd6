"""An item over which workers die is told of like one that fails: by each stage on the way."""

import os
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import WorkerDied
from seqtools.engines.dispatch.stage_reports import watched


def plain(x: int) -> int:
    return x


def pipeline(bad: Callable[[int], Any], kind: str) -> Any:
    loaded = seqtools.smap(plain, range(40))
    if kind == "chain":
        return seqtools.smap(plain, seqtools.smap(bad, seqtools.smap(plain, loaded)))
    if kind == "batch":
        return seqtools.batch(seqtools.smap(bad, seqtools.add_cache(loaded)), 4)
    return seqtools.smap(plain, seqtools.add_cache(seqtools.smap(bad, loaded[10:]), 2))


@pytest.mark.parametrize(
    ("start_method", "kind"),
    [
        ("template", "chain"),
        ("template", "batch"),
        ("template", "cache"),
        ("spawn", "chain"),
        ("fork", "cache"),
    ],
)
def test_the_stage_that_kills_its_worker_is_named(start_method: str, kind: str) -> None:
    def dies(x: int) -> int:
        return x if x != 25 else os._exit(3)

    def fails(x: int) -> int:
        return x if x != 25 else 1 // 0

    culprit = {"chain": 25, "batch": 6, "cache": 15}[kind]
    died, failed = (
        seqtools.prefetch(pipeline(bad, kind), 2, "process", start_method=start_method)
        for bad in (dies, fails)
    )
    with died, failed:
        with pytest.raises(seqtools.EvaluationError) as death:
            died[culprit]
        with pytest.raises(seqtools.EvaluationError) as failure:
            failed[culprit]
    assert isinstance(death.value.__cause__, WorkerDied)
    told = [(step.stage.replace("dies", "fails"), step.index) for step in death.value.path]
    assert told == [(step.stage, step.index) for step in failure.value.path]
    assert death.value.path[-1].called_with == failure.value.path[-1].called_with == "25"
    assert len(told) > 2


def test_watching_changes_no_value_and_no_error() -> None:
    told: list[Any] = []
    source = seqtools.batch(seqtools.smap(lambda x: 10 // x, range(6)), 3)
    assert watched(source._get, told.append)(1) == [3, 2, 2]
    calls = [path[-1] for path in told if path[-1].called_with]
    assert [(step.index, step.called_with) for step in calls] == [(3, "3"), (4, "4"), (5, "5")]
    with pytest.raises(ZeroDivisionError):
        watched(source._get, told.append)(0)
    assert source[1] == [3, 2, 2]


def test_a_function_without_a_frame_is_watched_too() -> None:
    told: list[Any] = []
    source = seqtools.smap(abs, seqtools.smap(len, ["a", "bc"]))
    assert watched(source._get, told.append)(1) == 2
    assert [[step.stage for step in path] for path in told[-2:]] == [
        ["smap(abs)", "smap(len)"],
        ["smap(abs)"],
    ]
