"""The places of a cluster of Dask: which there are, whatever the order of what is heard."""

from typing import Any

from seqtools.engines.cluster.dask_places import WorkerPlaces


def workers(*addresses: str, nthreads: int = 1) -> dict[str, Any]:
    return {address: {"nthreads": nthreads} for address in addresses}


def addresses(places: WorkerPlaces) -> list[str | None]:
    return [place.address for place in places.places]


def test_a_worker_that_was_taken_for_gone_is_not_named_by_an_older_answer() -> None:
    places = WorkerPlaces(None, {})
    assert places.update(workers("a", "b"), places.times_forgotten)
    asked = places.times_forgotten
    places.forget(["b"])
    assert not places.update(workers("a", "b", "c"), asked)
    assert addresses(places) == ["a"]
    assert places.update(workers("a", "b"), places.times_forgotten)  # it has come back there
    assert addresses(places) == ["a", "b"]


def test_places_stay_where_they_are() -> None:
    places = WorkerPlaces(3, {})
    places.update(workers("a", "b", nthreads=2), 0)
    assert addresses(places) == ["a", "b", "a"]  # one of each first
    first = set(places.places)
    places.update(workers("a", "b", "c", nthreads=2), 0)
    assert set(places.places) == first


def test_workers_have_as_many_places_as_their_resources_allow() -> None:
    places = WorkerPlaces(None, {"sensor": 2})
    there = {"a": {"nthreads": 4, "resources": {"sensor": 5}}, "b": {"nthreads": 4}}
    places.update(there, 0)
    assert addresses(places) == ["a", "a"]
    places.update({"b": there["b"]}, 0)
    assert places.unsuitable
    assert addresses(places) == [None]
