"""Blocks: few of them are in use at once, and stages pass them on."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import instrument
from seqtools._core import blocks
from seqtools._core.blocks import as_sizes
from seqtools._core.order import epochs


class Stored:
    """Numbers that are stored in blocks."""

    def __init__(self, sizes: Any) -> None:
        self.blocks = sizes

    def __len__(self) -> int:
        return sum(self.blocks)

    def __getitem__(self, i: int) -> int:
        return range(len(self))[i]


SIZES = [3, 1, 0, 4, 2, 5]
STORED = Stored(SIZES)


class View:
    """What dask has as an attribute `blocks`: arrays by the number of their chunk."""

    shape = (2, 2)

    def __getitem__(self, k: Any) -> Any:
        raise AssertionError("nobody asks for a chunk")


# Which are in use


def most_open(numbers: Sequence[int]) -> int:
    """Return how many blocks are in use at once, each from its first item to its last."""
    first = {number: i for i, number in reversed(list(enumerate(numbers)))}
    last = {number: i for i, number in enumerate(numbers)}
    opened = most = 0
    for i, number in enumerate(numbers):
        opened += first[number] == i
        most = max(most, opened)
        opened -= last[number] == i
    return most


@pytest.mark.parametrize("multiple_of", [1, 64])
@pytest.mark.parametrize("open_blocks", [1, 4, 31])
@pytest.mark.parametrize("seed", [0, 1])
def test_few_blocks_are_in_use_at_once(open_blocks: int, multiple_of: int, seed: int) -> None:
    sizes = np.random.default_rng(seed).integers(0, 40, 30).tolist()
    n = sum(sizes)
    of_item = np.repeat(np.arange(30), sizes)
    run = st.shuffle(
        range(n), seed, epochs=5, multiple_of=multiple_of, blocks=sizes, open_blocks=open_blocks
    )
    length = n // multiple_of * multiple_of
    assert len(run) == 5 * length
    orders = []
    for epoch in range(5):
        items = list(run[epoch * length : (epoch + 1) * length])
        assert len(set(items)) == length
        numbers = of_item[items].tolist()
        assert open_blocks // 2 < most_open(numbers) <= open_blocks
        orders.append(tuple(dict.fromkeys(numbers)))
    assert len(set(orders)) == 5  # blocks come in an order of their own in each epoch


def test_blocks_of_a_group_are_shuffled_fully() -> None:
    """As often as chance has it, an item is followed by one of the same block."""
    run = st.shuffle(range(40_000), 7, blocks=[100] * 400, open_blocks=16)
    numbers = np.array(list(run)) // 100
    share = float((numbers[1:] == numbers[:-1]).mean())
    expected = 99 / 1599
    assert abs(share - expected) < 5 * (expected / 40_000) ** 0.5


def test_all_blocks_at_once_is_a_full_shuffle() -> None:
    run = st.shuffle(range(15), 7, blocks=SIZES, open_blocks=99)
    assert sorted(run) == list(range(15))
    assert run._remark() == "all 5 blocks at once: a full shuffle"


def test_no_group_is_much_smaller_than_others() -> None:
    """Of 10 blocks, 9 at once would leave one for the last group, whose batches would be pure."""
    numbers = [item // 100 for item in st.shuffle(range(1000), 7, blocks=[100] * 10, open_blocks=9)]
    assert len(set(numbers[:500])) == len(set(numbers[500:])) == 5


@pytest.mark.parametrize("opened", [8, 32, 128])
def test_the_remark_tells_how_shares_of_labels_vary(opened: int) -> None:
    """The variance over 6 epochs of data that is sorted by label, beside what is foretold."""
    sizes = np.random.default_rng(0).integers(800, 1200, 400)
    n = int(sizes.sum())
    labels = np.repeat(np.arange(400) % 10, sizes)  # each label in blocks of its own
    run: Any = st.shuffle(range(n), 7, epochs=6, blocks=sizes, open_blocks=opened)
    items = run._layout.at_many(np.arange(6 * n))
    batches = labels[items[: len(items) // 256 * 256]].reshape(-1, 256)
    variance = np.mean([(batches == label).mean(1).var() for label in range(10)])
    times = variance / (0.1 * 0.9 / 256)
    told = float(run._remark().partition("up to ")[2].partition(" ")[0])
    assert 0.8 * told < times < 1.15 * told


def test_mixing_of_unequal_blocks() -> None:
    one_large = np.array([10_000, *[1] * 99])
    assert " 240 times" in epochs.mixing(one_large, 8)
    assert epochs.mixing(np.array([100] * 100), 50).startswith("50 of 100 blocks at once: ")


# What states them


@pytest.mark.parametrize(
    ("value", "sizes"),
    [
        ([1, 2], [1, 2]),
        ((), []),
        (range(3), [0, 1, 2]),
        (np.array([1, 2], np.uint8), [1, 2]),
        (st.smap(len, ["a", "bc"]), [1, 2]),
        (View(), None),
        ("12", None),
        ([1, "2"], None),
        ([1.0], None),
        ([1, -1], None),
        ([True, True], None),
        (None, None),
        (st.arange(3)[:0], []),
        (st.repeat(2), None),
    ],
)
def test_what_are_sizes(value: Any, sizes: list[int] | None) -> None:
    got = as_sizes(value)
    assert (None if got is None else got.tolist()) == sizes


def test_a_source_with_blocks_requires_a_choice() -> None:
    with pytest.raises(ValueError, match=r"stored in 6 blocks: use blocks=True .* blocks=False"):
        st.shuffle(STORED, 7)
    assert sorted(st.shuffle(STORED, 7, blocks=False)) == list(range(15))
    run = st.shuffle(STORED, 7, blocks=True, open_blocks=2)
    assert list(run) == list(st.shuffle(range(15), 7, blocks=SIZES, open_blocks=2))
    assert repr(run).startswith("shuffle(7, blocks=True, open_blocks=2)  2 of 5 blocks at once: ")


@pytest.mark.parametrize("other", [View(), [1, 2], None, [15.0], "fifteen"])
def test_an_attribute_with_another_meaning_is_none(other: Any) -> None:
    source = Stored(SIZES)
    n = len(source)
    source = type("Other", (), {"__len__": lambda _: n, "__getitem__": lambda _, i: i})()
    source.blocks = other
    assert blocks.of(source) is None
    assert sorted(st.shuffle(source, 7)) == list(range(15))
    with pytest.raises(ValueError, match="blocks"):
        st.shuffle(source, 7, blocks=True)


# Stages that pass them on


@pytest.mark.parametrize(
    ("stage", "sizes"),
    [
        (st.smap(abs, STORED), SIZES),
        (st.add_cache(st.smap(abs, STORED)), SIZES),
        (st.collate([STORED, range(15)]), SIZES),
        (instrument.debug(STORED, print), SIZES),
        (st.smap(abs, STORED)[2:9], [1, 1, 4, 1]),
        (st.smap(abs, STORED)[:4], [3, 1]),
        (st.smap(abs, STORED)[-5:], [5]),
        (st.smap(abs, STORED)[5:5], []),
        (st.smap(abs, st.smap(abs, STORED)[2:9])[1:3], [1, 1]),
        (st.smap(abs, STORED)[::2], None),
        (st.smap(abs, STORED)[::-1], None),
        (st.concatenate([STORED, STORED]), SIZES + SIZES),
        (st.concatenate([STORED, st.smap(abs, STORED)[:4]]), [*SIZES, 3, 1]),
        (st.concatenate([STORED, range(3)]), None),
        (st.concatenate([]), None),
        (st.concatenate([STORED, st.repeat(0)]), None),
        (st.compress(STORED, [k not in {1, 3, 5, 7} for k in range(15)]), [2, 0, 0, 2, 2, 5]),
        (st.compress(range(3), [True, False, True]), None),
        (st.without(STORED, [0, 3, -1]), [2, 0, 0, 4, 2, 4]),
        (st.split(st.smap(abs, STORED), 2)[1], [3, 2]),
        (st.collate([range(15), STORED]), SIZES),
        (st.smap(max, range(15), STORED), SIZES),
        (st.shard(STORED, 0, 2, uneven="keep"), [2, 0, 0, 2, 1, 3]),
        (st.shard(STORED, 1, 2, uneven="keep"), [1, 1, 0, 2, 1, 2]),
        (st.shard(STORED, 1, 4, uneven="drop"), [1, 0, 0, 1, 1, 0]),
        (st.shard(STORED, 1, 4, uneven="pad"), None),
        (st.batch(STORED, 2), None),
        (st.gather(STORED, [1, 0]), None),
        (st.shuffle(STORED, 7, blocks=True), None),
        (st.cycle(STORED)[3:], None),
        (st.repeat(0)[2:5], None),
    ],
)
def test_stages_state_the_blocks_of_their_sources(stage: Any, sizes: list[int] | None) -> None:
    stated = stage.blocks
    assert (None if stated is None else list(stated)) == sizes
    assert stated is None or sum(stated) == len(stage)


def test_passing_blocks_on_reads_no_item() -> None:
    class Untouched(Stored):
        def __getitem__(self, i: int) -> int:
            raise AssertionError(i)

    source = Untouched(SIZES)
    stage = st.concatenate([st.smap(abs, source)[1:], source])
    assert sum(stage.blocks) == 29
    repr(st.shuffle(stage, 7, blocks=True))


@pytest.mark.parametrize("nworkers", [0, 2])
def test_blocks_of_what_is_prefetched(nworkers: int) -> None:
    """A reader has another stage for the prefetch, which states nothing."""
    expected = list(st.shuffle(range(15), 7, blocks=SIZES, open_blocks=2))
    with st.prefetch(STORED, nworkers) as p:
        run = st.shuffle(st.smap(abs, p), 7, blocks=True, open_blocks=2)
        assert list(run) == expected
        assert [run[i] for i in range(15)] == expected


@pytest.mark.parametrize("method", ["thread", "process"])
def test_blocks_in_workers(method: Any) -> None:
    run = st.shuffle(STORED, 7, blocks=True, open_blocks=2)
    with st.prefetch(run, 2, method) as p:
        assert list(p) == list(run)


def test_instruments_read_the_same() -> None:
    run = st.shuffle(STORED, 7, epochs=2, blocks=True, open_blocks=2)
    assert st.explain(run, 17).value == run[17]
    assert not instrument.check(run)
    for nworkers in (0, 2):
        with st.prefetch(run, nworkers, "process") as p, instrument.profile(p):
            assert list(p) == list(run)
    with st.prefetch(STORED, 1) as p:
        run = st.shuffle(p, 7, epochs=2, blocks=True, open_blocks=2)
        assert st.explain(run, 17).value == run[17]
        with instrument.profile(run):
            assert list(run)[17] == run[17]
