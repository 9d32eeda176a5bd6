"""After `refresh` of a prefetch upstream, each stage is as one that is made anew; or it says why.

All rows of the registry are read over prefetches, whose sources then grow and shrink.
"""

import threading
from collections.abc import Iterator
from typing import Any

import pytest

import seqtools as st
from seqtools import LazySequence, Prefetch
from seqtools._core import lengths
from seqtools._core.walk import upstream
from seqtools.testing.subject import normal
from tests.laws.registry import ROWS, Row


class Stored:
    """A list that a prefetch reads, which can be made longer and shorter."""

    def __init__(self, items: Any) -> None:
        self.items = list(items)

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        return self.items[i]


FINITE = [
    row
    for row in ROWS
    if row.sources and row.length == "known" and not any(map(callable, row.sources))
]


def seen(stage: LazySequence[Any]) -> Any:
    """Return all that can be seen of `stage`, or the error that it raises."""
    try:
        n = len(stage)
        items = [normal(item) for item in stage]
        assert len(items) == n
        assert [normal(stage[i]) for i in range(n)] == items
        assert [normal(stage[-i]) for i in range(n, 0, -1)] == items
    except (ValueError, st.EvaluationError) as error:
        return error
    return items


@pytest.fixture
def made() -> Iterator[list[Prefetch[Any]]]:
    prefetches: list[Prefetch[Any]] = []
    yield prefetches
    for prefetch in reversed(prefetches):  # one that is read starts again
        prefetch.close()


@pytest.mark.one_of(2)
@pytest.mark.parametrize("nested", [False, True], ids=["", "nested"])
@pytest.mark.parametrize("change", ["grow", "shrink"])
@pytest.mark.parametrize("row", FINITE, ids=lambda row: row.name)
def test_a_stage_takes_its_sources_as_they_are(
    row: Row,
    change: str,
    made: list[Prefetch[Any]],
    nested: bool,
) -> None:
    sources = [Stored(items) for items in row.sources]
    ahead = [st.prefetch(source, 1) for source in sources]
    made += ahead
    stage = row.build(*ahead)
    if nested:
        stage = st.prefetch(stage, 1)
        made.append(stage)
    assert not isinstance(seen(stage), Exception)
    for source, prefetch in zip(sources, ahead, strict=True):
        items = source.items
        source.items = items[:-2] if change == "shrink" else [*items, *items[:2]]
        prefetch.refresh()
    got = seen(stage)
    if isinstance(got, Exception):
        assert any(each._describe() in str(got) for each in upstream(stage))
    elif not _is_view(row):
        assert got == seen(row.build(*[st.prefetch(source, 0) for source in sources]))


def _is_view(row: Row) -> bool:
    """Return whether it is of given places, which stay."""
    of_slices = (
        "smap, seed of a slice, and several", "smap, inverse in a chain", "pack, of a slice"
    )  # fmt: skip
    return row.name.startswith(("LazySequence, ", "split_fractions", *of_slices))


@pytest.mark.parametrize("method", ["thread", "process"])
def test_reading_by_index_reaches_the_new_end(method: str) -> None:
    source = Stored(range(3))
    with st.prefetch(source, 1, method) as p:
        assert p[2] == 2
        source.items = list(range(9))
        p.refresh()
        assert [p[i] for i in range(2, 9)] == list(range(2, 9))
        assert p[-1] == 8


def test_a_prefetch_upstream_is_refreshed_too() -> None:
    source = Stored([1, 2])
    with st.prefetch(source, 1) as inner, st.prefetch(st.smap(abs, inner), 1) as p:
        assert list(p) == [1, 2]
        source.items = [3, 4, 5]
        p.refresh()
        assert list(p) == [3, 4, 5]


def test_an_iterable_is_iterated_anew() -> None:
    source = [1, 2]
    with st.prefetch(st.uniter(source), 1) as p:
        assert list(p) == [1, 2]
        source += [3]
        p.refresh()
        assert list(p) == [1, 2, 3]


def test_what_does_not_read_from_it_keeps_its_length() -> None:
    source = Stored([1, 2])
    others = [1]
    with st.prefetch(source, 1) as p, st.prefetch(others, 1) as q:
        beside = st.smap(abs, q)
        assert (len(st.smap(abs, p)), len(beside)) == (2, 1)
        others += [2]
        p.refresh()
        assert len(beside) == 1
        q.refresh()
        assert len(beside) == 2


def test_a_stage_of_a_users_that_keeps_what_follows_from_a_length() -> None:
    class Backwards(LazySequence[int]):
        def __init__(self, source: Any) -> None:
            self._source = source

        def _arrange(self) -> tuple[int]:
            return (len(self._source) - 1,)

        def _size(self) -> int:
            return len(self._source)

        def _get(self, i: int) -> int:
            (last,) = self._layout or self._arranged()
            return int(self._source[last - i])

        def _sources(self) -> tuple[Any, ...]:
            return (self._source,)

    source = Stored([1, 2])
    with st.prefetch(source, 1) as p:
        backwards = Backwards(p)
        assert list(backwards) == [2, 1]
        source.items = [1, 2, 3]
        p.refresh()
        assert list(backwards) == [3, 2, 1]


def test_a_length_that_is_asked_for_while_it_changes() -> None:
    """The length that a thread was told before the refresh does not stay."""
    told, changed = threading.Event(), threading.Event()

    class Slow(LazySequence[int]):
        def __init__(self, source: Any) -> None:
            self._source = source

        def _size(self) -> int:
            n = len(self._source)
            told.set()
            changed.wait()
            return n

        def _get(self, i: int) -> int:
            return int(self._source[i])

        def _sources(self) -> tuple[Any, ...]:
            return (self._source,)

    source = Stored([1, 2])
    with st.prefetch(source, 1) as p:
        slow, got = Slow(p), list[int]()
        thread = threading.Thread(target=lambda: got.append(len(slow)))
        thread.start()
        told.wait()
        source.items = [1, 2, 3]
        p.refresh()
        changed.set()
        thread.join()
        assert (got, len(slow)) == ([3], 3)


def test_stages_that_are_gone_are_forgotten() -> None:
    with st.prefetch([1, 2], 0) as p:
        before = len(lengths._followers)
        for _ in range(50):
            assert len(st.batch(p, 2)) == 1
        assert len(lengths._followers) <= before + 1


def test_a_slice_is_a_view_of_given_places() -> None:
    source = Stored(range(5))
    with st.prefetch(source, 1) as p:
        part, rest = p[1:4], p[3:]
        assert list(part) == [1, 2, 3]
        source.items = list(range(4))
        p.refresh()
        assert list(part) == [1, 2, 3]
        with pytest.raises(ValueError, match=r"slice\[3:5\] reads item 4 of .* that has 4"):
            list(rest)


def test_unequal_lengths_after_a_refresh_name_the_stage() -> None:
    source = Stored(range(3))
    with st.prefetch(source, 1) as p:
        pairs = st.collate([p, "abc"])
        assert len(pairs) == 3
        source.items = [0]
        p.refresh()
        with pytest.raises(ValueError, match=r"got lengths 1, 3, for collate, made at .*:\d+"):
            list(pairs)


def test_cycle_of_what_has_become_empty() -> None:
    source = Stored([1])
    with st.prefetch(source, 1) as p:
        cycle = st.cycle(p, 3)
        assert list(cycle) == [1, 1, 1]
        source.items = []
        p.refresh()
        with pytest.raises(ValueError, match=r"cycle\(\) of an empty sequence"):
            list(cycle)
