"""`pack` and `batch_by_length`: what they read, what they refuse, and workers."""

import copy
import pickle
import re
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as draw

import seqtools as st
from seqtools.tables import scanned
from seqtools.tables.grouped import Grouped
from seqtools.testing import Probe

FIVE = (10, 11, 12, 13, 14)
LENGTHS = [5, 9, 1, 4, 2]  # with 9: 0 and 3, 1, 2 and 4


def known(x: int) -> int:
    return LENGTHS[x - 10]


class InBulk:
    """Records which items are read by each call."""

    def __init__(self, items: Any) -> None:
        self.items = items
        self.calls: list[list[int]] = []

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> Any:
        self.calls.append([i])
        return self.items[i]

    def __getitems__(self, indices: list[int]) -> list[Any]:
        self.calls.append(indices)
        return [self.items[i] for i in indices]


@given(draw.lists(draw.integers(0, 30)), draw.integers(30, 60), draw.booleans())
def test_all_items_are_in_one_group(lengths: list[int], capacity: int, scanned: bool) -> None:
    given: Any = (lambda i: lengths[i]) if scanned else lengths
    source = range(len(lengths))
    for groups in (
        st.pack(source, capacity, given),
        st.batch_by_length(source, capacity, given, multiple_of=3),
    ):
        found = list(groups)
        assert sorted(i for group in found for i in group) == list(source)
        assert len(groups) == len(found)
        assert list(groups[:]) == groups[::-1][::-1][:]._get_many(range(len(found)))
    assert all(
        sum(lengths[i] for i in pack) <= capacity for pack in st.pack(source, capacity, given)
    )


def test_nothing_is_read_before_it_is_needed_and_each_item_once() -> None:
    probe = Probe(FIVE)
    packs = st.pack(probe, 20, lambda x: x)
    assert "items" not in repr(packs).splitlines()[0]
    shuffled = st.smap(sum, packs)
    assert not probe.reads
    assert len(shuffled) == 5
    assert sorted(probe.reads) == [0, 1, 2, 3, 4]
    probe.reads.clear()
    assert packs[1] == [11]
    assert probe.reads == [1]


def test_lengths_in_an_array_need_no_scan() -> None:
    probe = Probe(FIVE)
    packs = st.pack(probe, 9, np.array(LENGTHS))
    assert len(packs) == 3
    assert not probe.reads
    assert packs[0] == [10, 13]


def test_a_pack_and_several_packs_are_each_read_by_one_call() -> None:
    source = InBulk(["a", "b", "c", "d", "e"])
    packs = st.pack(source, 9, LENGTHS)
    assert packs[2] == ["c", "e"]
    assert source.calls == [[2, 4]]
    source.calls.clear()
    assert st.batch(packs, 2)[0] == [["a", "d"], ["b"]]
    assert source.calls == [[0, 3, 1]]


def test_an_item_that_fails_is_named() -> None:
    packs = st.pack(st.smap(lambda x: 1 // (x - 13), FIVE), 9, LENGTHS)
    with pytest.raises(st.EvaluationError) as caught:
        packs[0]
    assert [(step.stage.partition("(")[0], step.index) for step in caught.value.path] == [
        ("pack", 0),
        ("smap", 3),
    ]
    packs = st.pack(FIVE, 9, lambda x: 1 // abs(x - 12))
    with pytest.raises(st.EvaluationError) as caught:
        len(packs)
    assert [(step.stage.partition("(")[0], step.index) for step in caught.value.path] == [
        ("pack", 2)
    ]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)


def test_a_prefetch_before_it_is_not_scanned_again_for_each_iteration() -> None:
    asked: list[int] = []

    def length(x: int) -> int:
        asked.append(x)
        return x - 9

    with st.prefetch(FIVE, 2, "thread") as ready:
        packs = st.pack(ready, 5, length)
        assert list(packs) == list(packs) == [[10, 13], [11, 12], [14]]
    assert asked == list(FIVE)


@pytest.mark.parametrize("method", ["thread", "process"])
@pytest.mark.parametrize("lengths", [LENGTHS, dict(zip(FIVE, LENGTHS, strict=True)).get])
def test_packs_of_a_prefetch(method: Any, lengths: Any) -> None:
    packs = st.pack(FIVE, 9, lengths, nworkers=2 if callable(lengths) else 0, method=method)
    with st.prefetch(packs, 2, method) as ready:
        assert list(ready) == [[10, 13], [11], [12, 14]]


def test_what_is_scanned_is_pickled() -> None:
    packs = st.pack(FIVE, 9, dict(zip(FIVE, LENGTHS, strict=True)).get)
    assert list(packs) == [[10, 13], [11], [12, 14]]
    again = pickle.loads(pickle.dumps(packs))
    assert again._is_scanned()
    assert list(again) == list(packs)


def test_a_kept_table_serves_for_every_capacity(tmp_path: Path) -> None:
    path = tmp_path / "lengths.npy"
    probe = Probe(FIVE)
    assert len(st.pack(probe, 9, known, table=path)) == 3
    assert probe.reads == [0, 1, 2, 3, 4]
    assert np.load(path).tolist() == LENGTHS
    assert list(st.pack(FIVE, 9, known)) == [[10, 13], [11], [12, 14]]
    assert len(st.pack(probe, 100, known, table=path, collate_fn=sum)) == 1
    assert len(st.pack(probe, 5, known, table=path, longer="drop")) == 3
    assert len(st.batch_by_length(probe, 45, known, table=path, multiple_of=1)) == 1
    assert probe.reads == [0, 1, 2, 3, 4]


class Refusing:
    """A function that measures here, and fails in copies: they must not scan again."""

    def __call__(self, x: int) -> int:
        return known(x)

    def __reduce__(self) -> Any:
        return Fails, ()


class Fails:
    def __call__(self, x: int) -> int:
        message = f"the copy measured {x}"
        raise AssertionError(message)


@pytest.mark.parametrize("deleted", [False, True])
@pytest.mark.parametrize("make", [st.pack, partial(st.batch_by_length, multiple_of=1)])
class TestCopies:
    """Copies have the finished groups: they need no file, no key of it, and do not pack again."""

    @pytest.fixture
    def packs(self, make: Any, deleted: bool, tmp_path: Path) -> Any:
        packs = make(FIVE, 9, Refusing(), table=tmp_path / "lengths.npy")
        assert len(packs) >= 3
        if deleted:
            (tmp_path / "lengths.npy").unlink()
        return packs

    @pytest.mark.parametrize("copied", [copy.deepcopy, lambda p: pickle.loads(pickle.dumps(p))])
    def test_have_the_groups(self, packs: Any, copied: Any, monkeypatch: Any) -> None:
        again = copied(packs)
        monkeypatch.setattr(scanned, "key_of", None)
        monkeypatch.setattr(Grouped, "_finish", None)
        assert again._is_scanned()
        assert list(again) == list(packs)

    def test_in_workers(self, packs: Any) -> None:
        with st.prefetch(packs, 2, "process") as ready:
            assert list(ready) == list(packs)


def test_ranks_have_equally_many_packs() -> None:
    packs = st.shuffle(st.pack(range(100), 10, [3] * 100), 7, epochs=2, multiple_of=4)
    ranks = [st.shard(packs, rank, 4) for rank in range(4)]
    assert len({len(rank) for rank in ranks}) == 1
    assert sum(map(len, ranks)) == 2 * 32


def test_assigning_packs() -> None:
    items = list(FIVE)
    packs = st.pack(items, 9, LENGTHS)
    packs[0] = [1, 2]
    assert items == [1, 11, 12, 2, 14]
    with pytest.raises(ValueError, match="item 0 of pack has 2 items, got 3"):
        packs[0] = [1, 2, 3]
    with pytest.raises(TypeError, match=r"items of pack\(sum\) cannot be .* by collate_fn"):
        st.pack(items, 9, LENGTHS, collate_fn=sum)[0] = [1, 2]
    with pytest.raises(TypeError, match="items of pack cannot be assigned: they are cut"):
        st.pack(items, 9, LENGTHS, longer="cut")[0] = [1, 2]


def test_longer_items() -> None:
    words = ["aaaa", "b", "cccccc", "dd"]
    with pytest.raises(ValueError, match="items must fit") as caught:
        len(st.pack(words, 3))
    assert str(caught.value) == (
        "items must fit in capacity = 3, but item 0 has length 4, and 1 more are too long: "
        "use longer='cut' or longer='drop', or a larger capacity"
    )
    assert list(st.pack(words, 3, longer="drop")) == [["b", "dd"]]
    assert list(st.pack(words, 3, longer="cut")) == [["aaa"], ["b", "dd"], ["ccc"]]
    rows = [{"x": word, "y": word.upper()} for word in words]
    cut = st.pack(rows, 3, lambda row: len(row["x"]), longer="cut")
    assert cut[0] == [{"x": "aaa", "y": "AAA"}]
    with pytest.raises(ValueError, match="items must fit") as caught:
        st.batch_by_length(words, 8, [4, 1, 9, 2])
    assert str(caught.value) == (
        "items must fit in capacity = 8, but item 2 has length 9, rounded up to a multiple of 8: "
        "use a larger capacity, or leave such items out"
    )


REFUSED: list[tuple[dict[str, Any], Any, str]] = [
    ({"capacity": 0}, ValueError, "capacity must be at least 1, got 0"),
    ({"capacity": 2.5}, TypeError, "capacity must be an integer, got 2.5"),
    ({"longer": "Cut"}, ValueError, "longer must be 'error', 'cut' or 'drop', got 'Cut': did"),
    ({"lengths": 3}, TypeError, "lengths must be a function or an array of integers, got 3"),
    ({"lengths": "abc"}, TypeError, "lengths must be a function or an array of integers"),
    ({"lengths": [1.5] * 5}, TypeError, "lengths must be integers"),
    ({"lengths": np.ones(5)}, TypeError, "lengths must be integers, got an array of float64"),
    ({"lengths": [1, 2, -3, 4, 5]}, ValueError, "lengths must be at least 0, got -3 at index 2"),
    ({"lengths": [1, 2]}, ValueError, "lengths must have 5 items, as the sequence has, got 2"),
    ({"lengths": LENGTHS, "table": "t.npy"}, ValueError, "table keeps what a scan finds out"),
    ({"collate_fn": 3}, TypeError, "collate_fn must be a function, got 3"),
    ({"sequence": 3}, TypeError, "sequence must be a sequence, got int"),
    ({"sequence": st.repeat(3)}, TypeError, "sequence must have a length"),
]


@pytest.mark.parametrize(("changed", "error", "message"), REFUSED)
def test_bad_arguments_are_refused(changed: Any, error: Any, message: str) -> None:
    with pytest.raises(error, match=re.escape(message)):
        st.pack(**{"sequence": FIVE, "capacity": 20, **changed})


def test_multiple_of_is_refused() -> None:
    with pytest.raises(ValueError, match="multiple_of must be at least 1, got 0"):
        st.batch_by_length(FIVE, 8, multiple_of=0)


def test_a_length_that_is_none_is_an_error_of_the_item() -> None:
    for bad in (-1, 2.5, None):
        with pytest.raises(st.EvaluationError, match="the length of an item must be"):
            len(st.pack(FIVE, 9, lambda _, bad=bad: bad))


def test_repr_is_the_call() -> None:
    named = partial(st.collate_packed, capacity=9)
    assert repr(st.pack(FIVE, 9, LENGTHS)).startswith("pack(9, lengths)")
    assert repr(st.pack(FIVE, 9, longer="cut", nworkers=2)).startswith(
        "pack(9, longer='cut', nworkers=2)"
    )
    assert repr(st.batch_by_length(FIVE, 9, multiple_of=4)).startswith(
        "batch_by_length(9, multiple_of=4)"
    )
    assert repr(st.pack(FIVE, 9, collate_fn=named)).startswith("pack(9, collate_fn=")


def test_padded_batches_have_at_most_the_capacity() -> None:
    rng = np.random.default_rng(0)
    items = [np.arange(n) for n in rng.integers(1, 60, 200)]
    collate_fn = partial(st.collate_arrays, pad=-1, multiple_of=8)
    for found in st.batch_by_length(items, 256, collate_fn=collate_fn):
        assert found.size <= 256
        assert not found.shape[1] % 8
