"""`flatten`: lengths that are given or found, and how often inner sequences are evaluated."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

import seqtools as st
from seqtools._core import blocks
from seqtools.instrument import check
from seqtools.testing import Probe

NESTED = [[1, 2], [], [3, 4, 5], [6]]


def test_given_lengths_need_no_scan() -> None:
    probe = Probe(NESTED)
    flat = st.flatten(probe, [2, 0, 3, 1])
    assert len(flat) == 6
    assert probe.reads == []
    assert flat[4] == 5
    assert probe.reads == [2]


def test_lazy_lengths_are_scanned_in_place_of_the_inner_sequences() -> None:
    probe = Probe(NESTED)
    lengths = Probe([2, 0, 3, 1])
    flat = st.flatten(probe, lengths)
    assert lengths.reads == []
    assert len(flat) == 6
    assert (lengths.reads, probe.reads) == ([0, 1, 2, 3], [])


def test_bulk_reads_evaluate_an_inner_sequence_once() -> None:
    probe = Probe(NESTED)
    flat = st.flatten(probe, np.array([2, 0, 3, 1]))
    assert list(st.batch(flat, 6)) == [[1, 2, 3, 4, 5, 6]]
    assert probe.reads == [0, 2, 3]


def test_an_inner_array_gives_its_rows() -> None:
    flat = st.flatten([np.zeros((2, 3)), np.ones((1, 3))])
    assert [row.tolist() for row in flat] == [[0, 0, 0], [0, 0, 0], [1, 1, 1]]
    assert flat[2].tolist() == [1, 1, 1]


def test_rows_of_arrays_in_bulk_are_not_added() -> None:
    labels = [np.array([[1.0], [2.0], [3.0]]), np.array([[4.0]])]
    assert [[row.tolist() for row in b] for b in st.batch(st.flatten(labels), 1)] == [
        [[1]], [[2]], [[3]], [[4]],
    ]  # fmt: skip
    assert list(st.batch(st.flatten([np.arange(3), np.arange(3)]), 2)) == [[0, 1], [2, 0], [1, 2]]
    mixed = st.flatten([st.sfilter(bool, np.array([1, 0, 2])), [1, 1]])
    assert list(st.batch(mixed[[3, 0, 1]], 3)) == [[1, 1, 2]]


def test_bulk_reads_evaluate_an_inner_array_once() -> None:
    probe = Probe([np.arange(100)] * 4)
    flat = st.flatten(probe, [100] * 4)
    assert [each.sum() for each in st.batch(flat, 100, collate_fn=np.array)] == [4950] * 4
    assert probe.reads == [0, 1, 2, 3]


@pytest.mark.parametrize("lengths", [None, [2, 2]])
def test_an_inner_sequence_of_another_length_is_an_error_when_it_is_read(lengths: Any) -> None:
    source = [[1, 2], [3, 4]]
    flat = st.flatten(source, lengths)
    assert flat[0] == 1
    source[1] = [3]
    with pytest.raises(
        st.EvaluationError, match="inner sequence 1 should have 2 items, "
    ) as caught:
        flat[2]
    assert caught.value.stage == "flatten"
    assert flat[1] == 2


def test_inner_sequences_are_indexed_by_row() -> None:
    with pytest.raises(st.EvaluationError, match="item 1 of flatten failed") as caught:
        len(st.flatten([[1], 5]))  # type: ignore[list-item]
    assert caught.value.index == 1


@pytest.mark.parametrize(
    ("bad", "says"),
    [
        (5, "got int: it has no items"),
        (None, "got NoneType: it has no items"),
        ({"a": 1}, "got dict: use list(inner sequence.values())"),
        ({1, 2}, "got set: use sorted(inner sequence)"),
        (iter([1]), "got list_iterator: use list(inner sequence)"),
        (np.array(3), "got ndarray: it has no dimension to index"),
    ],
    ids=lambda each: type(each).__name__,
)
def test_a_scan_refuses_what_reading_refuses(bad: Any, says: str) -> None:
    with pytest.raises(st.EvaluationError, match="item 1 of flatten failed: TypeError") as caught:
        len(st.flatten([[1], bad, [2]]))
    assert f"an inner sequence must be indexed by row, {says}" in str(caught.value)
    with pytest.raises(st.EvaluationError) as caught:
        st.flatten([[1], bad, [2]], [1, 1, 1])[1]
    assert f"inner sequence 1 must be indexed by row, {says}" in str(caught.value)


class TestBlocks:
    """Inner sequences, such as the lines of files, are blocks."""

    def test_are_the_sizes_of_the_inner_sequences(self) -> None:
        assert st.flatten(st.smap(list, NESTED)).blocks.tolist() == [2, 0, 3, 1]
        probe = Probe(NESTED)
        flat = st.flatten(probe, np.array([2, 0, 3, 1], "u1"))
        assert flat.blocks.tolist() == [2, 0, 3, 1]
        assert st.smap(abs, flat)[1:].blocks.tolist() == [1, 3, 1]
        assert probe.reads == []
        assert blocks.of(st.flatten(Probe([]))).tolist() == []
        assert st.flatten(NESTED).blocks is None
        lazy = [st.smap(abs, inner) for inner in NESTED]
        assert st.flatten(lazy).blocks.tolist() == [2, 0, 3, 1]

    def test_a_shuffle_by_blocks_evaluates_each_inner_sequence_once(self) -> None:
        probe = Probe([[10 * k, 10 * k + 1, 10 * k + 2] for k in range(9)])
        items = [item for inner in probe.peek() for item in inner]
        flat = st.flatten(st.add_cache(probe, 3), [3] * 9)
        run = st.shuffle(flat, 7, blocks=True, open_blocks=3)
        assert list(run) == list(st.shuffle(items, 7, blocks=[3] * 9, open_blocks=3))
        assert sorted(probe.reads) == list(range(9))

    def test_a_shuffle_requires_a_choice(self) -> None:
        computed = st.flatten(st.smap(list, NESTED))
        with pytest.raises(ValueError, match="stored in 4 blocks: use blocks=True"):
            st.shuffle(computed, 7)
        assert sorted(st.shuffle(computed, 7, blocks=False)) == [1, 2, 3, 4, 5, 6]
        assert sorted(st.shuffle(st.flatten(NESTED), 7)) == [1, 2, 3, 4, 5, 6]

    @pytest.mark.parametrize("method", ["thread", "process"])
    def test_in_workers(self, method: Any) -> None:
        run = st.shuffle(st.flatten(st.smap(list, NESTED)), 7, blocks=True, open_blocks=2)
        with st.prefetch(run, 2, method) as ready:
            assert list(ready) == list(run)

    def test_building_stages_on_it_does_not_ask_for_them(self) -> None:
        probe = Probe(NESTED)
        flat = st.flatten(probe)
        stages = st.smap(abs, flat), st.batch(flat, 2), st.add_cache(flat), st.prefetch(flat, 1)
        assert all(map(repr, stages))
        assert probe.reads == []
        assert not check(stages[-1])
        assert len(probe.reads) < 4 * len(NESTED)
        assert not flat._is_scanned()


@pytest.mark.parametrize(
    ("lengths", "kind", "says"),
    [
        ([2, 0], ValueError, "lengths must have 4 items, as the sequence has, got 2"),
        ([2, 0, 3, -1], ValueError, "lengths must be at least 0, got -1 at index 3"),
        ([2, 1.5, 3, 0], TypeError, "lengths must be integers"),
        (np.array([2.0, 0, 3, 1]), TypeError, "lengths must be integers"),
        ([True, False, True, True], TypeError, "lengths must be integers, got booleans"),
        (3, TypeError, "lengths must be a sequence"),
    ],
)
def test_lengths_are_checked(lengths: Any, kind: type[Exception], says: str) -> None:
    with pytest.raises(kind, match=says):
        st.flatten(NESTED, lengths)


def test_a_table_file_has_no_use_with_lengths() -> None:
    with pytest.raises(ValueError, match="table has no use with lengths"):
        st.flatten(NESTED, [2, 0, 3, 1], table="t.npy")


@given(some.lists(some.lists(some.integers(), max_size=4), max_size=8), some.data())
def test_it_is_the_concatenation(nested: list[list[int]], data: some.DataObject) -> None:
    flat = [x for inner in nested for x in inner]
    lazy = st.flatten(nested)
    assert list(lazy) == flat
    if flat:
        chosen = data.draw(some.lists(some.integers(0, len(flat) - 1), min_size=1))
        assert list(lazy[chosen]) == [flat[i] for i in chosen]
        assert lazy.__getitems__(chosen) == [flat[i] for i in chosen]
        probe = Probe(nested)
        stated = st.flatten(probe, list(map(len, nested)))
        reads = stated._reads(np.array(chosen))[0][1]
        stated._get_many(np.array(chosen))
        assert probe.reads == list(reads)


def test_an_array_without_a_dimension_after_others() -> None:
    flat = st.flatten([np.array([1, 2]), np.array(3)], lengths=[2, 1])
    assert list(flat[:2]) == [1, 2]
    with pytest.raises(st.EvaluationError, match="inner sequence 1 must be indexed by row"):
        flat[2]
