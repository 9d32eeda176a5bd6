"""What is measured on clusters: the use of each by hand is right, and targets have contestants."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from benchmarks import by_hand, clusters
from benchmarks.one import load
from benchmarks.workload import KINDS
from benchmarks.workloads import GROUPS, NAMES, cluster_seed, seed


@pytest.mark.parametrize("way", by_hand.WAYS["pool"].values())
@pytest.mark.parametrize("chunk", [1, 3, 100])
def test_executors_are_used_rightly_by_hand(
    way: Callable[[Any], by_hand.Evaluate], chunk: int
) -> None:
    with ThreadPoolExecutor(2) as executor:
        read = way(executor)(lambda i: 2 * i, chunk)
        assert list(read(5, 30)) == [2 * i for i in range(5, 30)]
        assert list(read(0, 0)) == []


def test_a_window_is_as_large_as_said_and_keeps_order() -> None:
    submitted: list[range] = []

    def submit(part: range) -> range:
        submitted.append(part)
        return part

    got = []
    for part in by_hand.windowed(submit, by_hand.spans(0, 10, 3), 2):
        got.append(part)
        assert len(submitted) == min(4, len(got) + 1)
    assert got == submitted == [range(3), range(3, 6), range(6, 9), range(9, 10)]


@pytest.mark.parametrize("name", GROUPS["cluster"])
def test_each_cluster_has_ours_and_others(name: str) -> None:
    contestants = load(name).contestants.values()
    for cluster in clusters.CLUSTERS:
        roles = [c.role for c in contestants if c.kind == cluster]
        assert roles.count("ours") == 1
        assert "peer" in roles


@pytest.mark.parametrize("name", NAMES)
def test_targets_name_contestants(name: str) -> None:
    workload = load(name)
    bests = {"best other", *(f"best {kind}" for kind in KINDS)}
    for target in workload.targets:
        assert target.ours in workload.contestants
        assert target.of is None or target.of in {*bests, *workload.contestants}
        assert workload.figure(target.figure)


def test_a_batch_by_hand_is_that_of_the_pipeline(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded = []

    def load_at_once(name: str) -> list[int]:
        loaded.append(name)
        return list(range(10 if name == "file10" else 200))

    def keep(x: int) -> int:
        return x

    monkeypatch.setattr(seed, "load", load_at_once)
    batches = [cluster_seed.batch(keep, i) for i in range(len(seed.EXPECTED))]
    assert batches == seed.EXPECTED
    assert loaded == seed.FILES
