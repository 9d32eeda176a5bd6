"""Runs of shuffled epochs: every item once in each, the same wherever they are read."""

import copy
import pickle
import random
import threading
from typing import Any

import numpy as np
import pytest

import seqtools as st
from seqtools import LazySequence
from seqtools._core import ranks
from seqtools._core.display.short import short
from seqtools._core.indices import ENDLESS
from seqtools._core.order import epochs as core
from seqtools.testing import Probe

LARGE = 40_000
"""More than what is sorted by hashes."""


def negative(x: int) -> int:
    return -x


def repr_of(value: Any) -> str:
    return short(value, 40)


def blocks_of(n: int, size: int) -> list[int]:
    return [size] * (n // size) + [n % size]


RUNS = {
    "few": lambda: st.shuffle(range(100), 7, epochs=30),
    "many": lambda: st.shuffle(range(LARGE), "run", epochs=3),
    "endless": lambda: st.shuffle(range(LARGE), ("run", 7), epochs=None)[: 2 * LARGE],
    "whole batches": lambda: st.shuffle(range(LARGE), 7, epochs=3, multiple_of=1024),
    "blocks": lambda: st.shuffle(
        range(LARGE), 7, epochs=3, blocks=blocks_of(LARGE, 900), open_blocks=7
    ),
    "few in blocks": lambda: st.shuffle(
        range(100), 7, epochs=30, multiple_of=8, blocks=blocks_of(100, 7), open_blocks=3
    ),
    "large blocks": lambda: st.shuffle(
        range(LARGE), 7, epochs=3, blocks=blocks_of(LARGE, 9001), open_blocks=2
    ),
}

runs = pytest.mark.parametrize("run", [make() for make in RUNS.values()], ids=RUNS)


# In every engine, and however they are read


@runs
def test_reading_in_any_way_gives_the_same(run: LazySequence[int]) -> None:
    items = list(run)
    n = len(items)
    places = random.Random(0).choices(range(n), k=500)
    assert [run[i] for i in places] == [items[i] for i in places]
    assert [run[i - n] for i in places] == [items[i] for i in places]
    chosen = st.gather(run, np.array(places))
    assert list(chosen) == list(st.batch(chosen, 500)[0]) == [items[i] for i in places]
    # slices, across borders of epochs too
    for key in (slice(90, 310), slice(None, None, 7), slice(n - 1, 50, -3), slice(-120, None)):
        assert list(run[key]) == list(st.batch(run[key], n)[0]) == items[key]


@runs
@pytest.mark.parametrize("again", [lambda r: pickle.loads(pickle.dumps(r)), copy.copy])
def test_pickling_keeps_the_order(run: LazySequence[int], again: Any) -> None:
    assert list(again(run)[:300]) == list(run[:300])


@runs
@pytest.mark.parametrize("method", ["thread", "process"])
def test_workers_read_the_same(run: LazySequence[int], method: Any) -> None:
    run = run[:3000]
    items = [-x for x in run]
    places = random.Random(1).choices(range(3000), k=40)
    with st.prefetch(st.smap(negative, run), 2, method) as p:
        assert list(p) == items
        assert [p[i] for i in places] == [items[i] for i in places]


def test_golden_values_of_blocks() -> None:
    """They never change, as those of `test_permutation.py`."""
    run = st.shuffle(range(LARGE), 7, epochs=9, blocks=blocks_of(LARGE, 900), open_blocks=7)
    assert [run[i] for i in (0, 1, LARGE, LARGE + 1, -1)] == [19676, 33425, 6747, 37241, 12661]


@pytest.mark.parametrize("kind", ["few", "blocks", "few in blocks"])
def test_threads_read_different_epochs_at_once(kind: str) -> None:
    run, items = RUNS[kind](), list(RUNS[kind]())
    begin = threading.Barrier(4)
    wrong: list[int] = []

    def read(number: int) -> None:
        begin.wait()
        places = random.Random(number).choices(range(len(items)), k=2000)
        wrong.extend(i for i in places if run[i] != items[i])

    threads = [threading.Thread(target=read, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert not wrong


# Epochs


@runs
def test_an_epoch_has_no_item_twice(run: LazySequence[int]) -> None:
    n = 100 if len(run) < LARGE else LARGE
    shuffle = run._sources()[0] if run._as_call().startswith("slice") else run
    length = n // shuffle._multiple_of * shuffle._multiple_of
    assert len(run) % length == 0
    orders = [list(run[e * length : (e + 1) * length]) for e in range(len(run) // length)]
    for order in orders:
        assert len(set(order)) == length
        assert set(order) <= set(range(n))
    assert len({tuple(order) for order in orders}) == len(orders)
    if length < n:  # other items are left out in each epoch
        left = {frozenset(range(n)) - set(order) for order in orders}
        assert len(left) == len(orders)


def test_batches_of_whole_epochs_have_no_item_twice() -> None:
    """The figures of docs/order.md: with the remainder, batches have items of two epochs."""

    def twice(run: LazySequence[int]) -> int:
        return sum(len(set(batch)) < len(batch) for batch in st.batch(run, 64))

    assert twice(st.shuffle(range(1000), 7, epochs=90)) > 20
    run = st.shuffle(range(1000), 7, epochs=90, multiple_of=64)
    assert (len(run), twice(run)) == (90 * 960, 0)


def test_more_epochs_change_nothing_before() -> None:
    three, endless = (st.shuffle(range(100), 7, epochs=e) for e in (3, None))
    assert list(three) == list(endless[:300])


def test_lengths_up_to_the_largest() -> None:
    n = 2**62
    run = st.shuffle(range(n), 7)
    assert len(run) == n
    places = [0, 1, n // 2, -1]
    items = [run[i] for i in places]
    assert all(0 <= j < n for j in items)
    assert list(st.gather(run, np.array(places))) == items
    endless = st.shuffle(range(n), 7, epochs=None)
    assert [endless[0], endless[n - 1]] == [run[0], run[-1]]
    assert 0 <= endless[n + 5] < n
    assert len(st.shuffle(range(ENDLESS - 1), 7)) == ENDLESS - 1
    with pytest.raises(ValueError, match="are too many for a sequence: use epochs=None"):
        st.shuffle(range(n), 7, epochs=2)
    with pytest.raises(ValueError, match="too many"):
        st.shuffle(range(ENDLESS), 7)


def test_hints_and_reads_cross_epochs() -> None:
    probe = Probe(range(5))
    run = st.shuffle(probe, 7, epochs=4)
    order = [run[i] for i in range(20)]
    ((source, js),) = run._reads(range(3, 17))
    assert source is probe
    assert list(js) == order[3:17]
    ((_, js),) = run._reads(np.array([19, 0, 7]))
    assert list(js) == [order[19], order[0], order[7]]


def test_endless_reads_are_too_many_to_state_but_items_can_be_read() -> None:
    run = st.shuffle(range(5), 7, epochs=None)
    with st.prefetch(run, 1, "thread") as p:
        assert [p[i] for i in range(12)] == list(run[:12])


# Seeds


def test_a_drawn_seed_is_shown_and_kept() -> None:
    run = st.shuffle(range(50), None, epochs=2)
    seed = run._args()[1]
    assert repr(run).startswith(f"shuffle({seed}, epochs=2)")
    assert seed < 2**53  # JSON keeps it
    items = list(run)
    assert items == list(st.shuffle(range(50), seed, epochs=2))
    assert items == list(pickle.loads(pickle.dumps(run))) == list(run._rebuild(range(50)))
    assert items != list(st.shuffle(range(50), None, epochs=2))


def test_no_seed_is_drawn_where_ranks_would_disagree(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RANK", "1")
    monkeypatch.setenv("WORLD_SIZE", "4")
    assert ranks.current() == (1, 4)
    with pytest.raises(ValueError, match="each of 4 ranks would draw another seed, got seed=None"):
        st.shuffle(range(5), None)
    st.shuffle(range(5), 7)


# Arguments


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        ({"seed": True}, TypeError, "seed must be an integer, a string, or a tuple"),
        ({"seed": 1.0}, TypeError, "seed must be"),
        ({"epochs": 0}, ValueError, "epochs must be at least 1, got 0"),
        ({"epochs": True}, TypeError, "epochs must be an integer, got True"),
        ({"epochs": 2.0}, TypeError, "epochs must be an integer, got 2.0"),
        ({"multiple_of": 0}, ValueError, "multiple_of must be at least 1, got 0"),
        ({"multiple_of": 6}, ValueError, "multiple_of=6 leaves nothing of an epoch of 5 items"),
        ({"open_blocks": 0}, ValueError, "open_blocks must be at least 1, got 0"),
        ({"sequence": iter("abc")}, TypeError, "sequence must be a sequence"),
        ({"sequence": st.repeat(1)}, TypeError, "needs a sequence with a length"),
        ({"sequence": st.uniter(iter("abc"), 5)}, TypeError, "needs a sequence with a length"),
        ({"sequence": [], "epochs": None}, ValueError, "empty sequence has no items to repeat"),
        ({"blocks": [2, 2]}, ValueError, "as many items as the sequence, 5, got 4"),
        ({"blocks": []}, ValueError, "as many items as the sequence, 5, got 0"),
        ({"blocks": [6, -1]}, TypeError, r"blocks must be sizes from 0 up, .* got \[6, -1\]"),
        ({"blocks": [2.5, 2.5]}, TypeError, "blocks must be sizes"),
        ({"blocks": np.array([2.0, 3.0])}, TypeError, "blocks must be sizes"),
        ({"blocks": np.array([[2, 3]])}, TypeError, "blocks must be sizes"),
        ({"blocks": [True] * 5}, TypeError, "blocks must be sizes"),
        ({"blocks": "23"}, TypeError, "blocks must be sizes"),
        ({"blocks": 5}, TypeError, "blocks must be sizes"),
        ({"blocks": [2**70]}, TypeError, "blocks must be sizes"),
        ({"blocks": st.repeat(1)}, TypeError, "blocks must be sizes"),
        ({"blocks": True}, ValueError, "range has none: give the sizes"),
    ],
    ids=repr_of,
)
def test_bad_arguments(arguments: dict[str, Any], error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        st.shuffle(**{"sequence": range(5), "seed": 7, **arguments})


def test_integers_of_numpy() -> None:
    one, three = np.int32(1), np.uint8(3)
    run = st.shuffle(
        range(5), (np.int64(7), "a"), epochs=three, multiple_of=one, open_blocks=three,
        blocks=np.array([2, 3], np.uint8),
    )  # fmt: skip
    plain = st.shuffle(range(5), (7, "a"), epochs=3, blocks=[2, 3], open_blocks=3)
    assert list(run) == list(plain)
    assert run._as_call() == plain._as_call()
    assert [run[i] for i in (np.int64(14), np.uint8(3))] == [plain[14], plain[3]]


@pytest.mark.parametrize(
    ("run", "text"),
    [
        (st.shuffle("abc", "a'b"), """shuffle("a'b")"""),
        (st.shuffle("abc", (7, ("a",)), epochs=None), "shuffle((7, ('a',)), epochs=None)"),
        (
            st.shuffle("abcde", 7, epochs=3, multiple_of=2, blocks=[3, 2], open_blocks=1),
            "shuffle(7, epochs=3, multiple_of=2, blocks=[3, 2], open_blocks=1)",
        ),
        (st.shuffle("abc", 7, blocks=False), "shuffle(7, blocks=False)"),
    ],
    ids=repr_of,
)
def test_its_repr_replays_the_call(run: LazySequence[str], text: str) -> None:
    assert run._as_call() == text
    (source,) = run._sources()
    again = eval(text.replace("(", "(source, ", 1), {"shuffle": st.shuffle, "source": source})  # noqa: S307
    assert list(again[:9]) == list(run[:9])


def test_assigning_reaches_the_source() -> None:
    letters = list("abcde")
    run = st.shuffle(letters, 7, epochs=2)
    run[-1] = "Z"
    assert letters.count("Z") == 1
    assert [run[i] for i in range(10)].count("Z") == 2


def test_states_tell_orders_apart() -> None:
    def state(seed: Any = 7, **options: Any) -> Any:
        return st.shuffle(range(100), seed, **options)._identity()

    tens = [10] * 10
    others = [
        state(),
        state(8),
        state("7"),
        state(epochs=2),
        state(multiple_of=3),
        state(blocks=tens),
        state(blocks=tens, open_blocks=2),
        state(blocks=[5, 15, *tens[2:]]),
        state(blocks=[15, 5, *tens[2:]]),
    ]
    assert len(set(others)) == len(others)
    assert state(blocks=False, open_blocks=5) == state()
    assert state(blocks=np.array(tens)) == state(blocks=tens)


# Lengths that change


class Stored:
    def __init__(self, n: int) -> None:
        self.items = list(range(n))

    def __len__(self) -> int:
        return len(self.items)

    def __getitem__(self, i: int) -> int:
        return self.items[i]

    @property
    def blocks(self) -> list[int]:
        return blocks_of(len(self.items), 3)


@pytest.mark.parametrize("blocks", [False, True])
def test_a_refresh_changes_the_length_of_each_epoch(blocks: bool) -> None:
    source = Stored(10)
    with st.prefetch(source, 1) as p:
        run = st.shuffle(p, 7, epochs=3, multiple_of=4, blocks=blocks)
        assert len(run) == 24
        source.items = list(range(21))
        p.refresh()
        assert len(run) == 60
        assert list(run) == list(st.shuffle(source, 7, epochs=3, multiple_of=4, blocks=blocks))


def test_a_refresh_that_leaves_too_little_names_the_stage() -> None:
    source = Stored(10)
    with st.prefetch(source, 1) as p:
        run = st.shuffle(p, 7, multiple_of=4, blocks=False)
        sized = st.shuffle(p, 7, blocks=[4, 6])
        endless = st.shuffle(p, 7, epochs=None, blocks=False)
        assert (len(run), len(sized), endless[0] < 10) == (8, 10, True)
        source.items = [1]
        p.refresh()
        with pytest.raises(ValueError, match=r"leaves nothing .* 1 items, for shuffle, made at"):
            len(run)
        with pytest.raises(ValueError, match=r"the sequence, 1, got 10, for shuffle, made at"):
            len(sized)
        assert "shuffle(7, blocks=[4, 6])" in repr(sized)
        source.items = []
        p.refresh()
        with pytest.raises(ValueError, match=r"empty sequence .*, for shuffle, made at"):
            _ = endless[0]


# Few epochs are kept


def test_what_is_kept_is_bounded() -> None:
    run: Any = st.shuffle(range(20), 7, epochs=1000, blocks=[1] * 20, open_blocks=2)
    list(run)
    orders = run._layout._order
    assert orders.cache_info().currsize == core._KEPT_BLOCKS
    plain: Any = st.shuffle(range(20), 7, epochs=1000)
    list(plain)
    assert plain._layout._order.cache_info().currsize == core._KEPT
