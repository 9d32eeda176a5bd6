"""A check names a cache whose items are not read again."""

from typing import Any

import pytest

import seqtools
from seqtools import add_cache, batch, collate, cycle, prefetch, shuffle, smap, starmap
from seqtools.instrument import check


def plain(item: Any) -> Any:
    return item


def found_in(pipeline: Any) -> list[Any]:
    return list(check(pipeline, items=0))


@pytest.mark.parametrize("kind", ["shuffle", "cycle", "endless"])
def test_a_cache_of_positions_that_are_read_once(kind: str) -> None:
    source = smap(plain, range(9))
    repeated: dict[str, Any] = {
        "shuffle": shuffle(source, 7, epochs=3),
        "cycle": cycle(source, 20),
        "endless": shuffle(source, 7, epochs=None),
    }
    kept = add_cache(smap(plain, repeated[kind]), 9)
    for pipeline in (kept, prefetch(batch(starmap(plain, kept), 2), 2)):
        [found] = found_in(pipeline)
        name = "cycle" if kind == "cycle" else "shuffle"
        assert found.where.startswith("add_cache, test_check_caches.py:")
        assert found.what.startswith(f"it keeps items by their position after {name}, test_check_")
        assert found.advice == f"put the cache before {name}"


def test_what_it_says_is_what_happens() -> None:
    for before, expected in ((False, 27), (True, 9)):
        loaded: list[int] = []
        source = smap(lambda i, loaded=loaded: loaded.append(i) or i, range(9))
        if before:
            run = shuffle(add_cache(source, 9), 7, epochs=3)
        else:
            run = add_cache(shuffle(source, 7, epochs=3), 9)
        assert len(found_in(run)) == (not before)
        list(run)
        assert len(loaded) == expected


def test_caches_that_may_be_of_use() -> None:
    source = smap(plain, range(9))
    epochs = shuffle(source, 7, epochs=3)
    kept = add_cache(epochs, 9)
    for pipeline in (
        add_cache(shuffle(source, 7), 9),  # one epoch
        add_cache(epochs, 27),  # there is room for all epochs, for the next run
        add_cache(epochs, 4),  # it may be there to read ahead
        add_cache(epochs, cache={}),  # it may be on disk
        add_cache(epochs, 0),
        add_cache(cycle(source, 9), 9),
        collate([smap(plain, kept), smap(abs, kept)]),  # each is read twice for an item
        smap(max, kept, kept),
        seqtools.windows(kept, 3),
        shuffle(kept, 7, epochs=2),
        shuffle(add_cache(source, 9), 7, epochs=3),
        add_cache(batch(epochs, 3), 9),
        add_cache(smap(max, epochs, epochs), 9),
    ):
        assert found_in(pipeline) == []
