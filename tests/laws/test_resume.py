"""Iterators go on where others have been: `state_dict` and `load_state_dict`."""

import json
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.testing import Probe


def saved(iterator: Any) -> Any:
    """Return the state of `iterator` as a file would have it."""
    text = json.dumps(iterator.state_dict())
    assert len(text) < 200, text
    return json.loads(text)


def resumed(sequence: Any, state: Any) -> Any:
    """Return an iterator over `sequence` that goes on from `state`."""
    iterator = iter(sequence)
    iterator.load_state_dict(state)
    return iterator


def plus(x: Any) -> Any:
    return x + 1


def loaded(n: int = 20) -> Any:
    return seqtools.smap(plus, range(n))


# Positions


def test_nothing_before_the_position_is_read_and_nothing_before_the_first_item() -> None:
    source = Probe(range(1_000_000))
    batches = seqtools.batch(seqtools.smap(plus, source), 10)
    iterator = resumed(batches, 90_000)
    state = saved(iterator)
    assert (state["position"], source.reads) == (90_000, [])
    assert next(iterator) == list(range(900_001, 900_011))
    assert min(source.reads) == 900_000


def test_the_rest_of_a_slice_is_the_rest_of_the_sequence() -> None:
    iterator = iter(loaded())
    for _ in range(7):
        next(iterator)
    assert list(loaded()[saved(iterator)["position"] :]) == list(iterator)


def test_an_item_that_failed_counts_and_the_next_one_follows() -> None:
    inverses = seqtools.smap(lambda x: 1 // x, [1, 0, 1])
    iterator = iter(inverses)
    next(iterator)
    with pytest.raises(seqtools.EvaluationError):
        next(iterator)
    assert saved(iterator)["position"] == 2
    assert list(resumed(inverses, saved(iterator))) == [1]


def test_a_state_at_the_end_has_nothing_left() -> None:
    iterator = iter(loaded())
    list(iterator)
    assert saved(iterator)["position"] == 20
    assert list(resumed(loaded(), saved(iterator))) == []


def test_a_sequence_that_ends_unseen_goes_on() -> None:
    def letters() -> Any:
        return seqtools.uniter(iter("abcdef"))

    iterator = iter(letters())
    assert [next(iterator), next(iterator)] == ["a", "b"]
    state = saved(iterator)
    assert (state["position"], state["of"]) == (2, None)
    again = iter(letters())
    with pytest.warns(RuntimeWarning, match=r"uniter.* no random access: .* produced again"):
        again.load_state_dict(state)
    assert list(again) == list("cdef")
    assert saved(again)["position"] == 6


def test_reversed_iterators_have_states_of_their_own() -> None:
    iterator = reversed(loaded())
    assert [next(iterator), next(iterator)] == [20, 19]
    state = saved(iterator)
    again = reversed(loaded())
    again.load_state_dict(state)
    assert next(again) == 18
    with pytest.raises(ValueError, match=r"2 stages.* 1|differs? first"):
        iter(loaded()).load_state_dict(state)


def test_an_endless_sequence_goes_on() -> None:
    endless = seqtools.cycle("abc")
    iterator = iter(endless)
    assert [next(iterator) for _ in range(4)] == list("abca")
    assert next(resumed(endless, saved(iterator))) == "b"
    assert next(resumed(endless, 10**15)) == "b"


@pytest.mark.parametrize(
    "make", [loaded, lambda: seqtools.smap(plus, seqtools.add_cache(loaded()))]
)
def test_an_item_that_is_being_evaluated_does_not_count(make: Callable[[], Any]) -> None:
    positions = []

    def asking(x: int) -> int:
        positions.append(iterator.state_dict()["position"])
        return x

    iterator = iter(seqtools.smap(asking, make()))
    list(iterator)
    assert positions == list(range(20))


def test_a_signal_handler_may_save_the_state_at_any_time() -> None:
    found: list[tuple[int, int]] = []
    count = 0

    def handler(*_: object) -> None:
        found.append((iterator.state_dict()["position"], count))
        signal.setitimer(signal.ITIMER_REAL, 1e-4)  # not before, or it would interrupt itself

    previous = signal.signal(signal.SIGALRM, handler)
    iterator = iter(seqtools.smap(plus, range(10**9)))
    try:
        signal.setitimer(signal.ITIMER_REAL, 1e-4)
        for _ in iterator:
            count += 1
            if len(found) >= 300:
                break
    finally:
        signal.signal(signal.SIGALRM, signal.SIG_IGN)  # first, so that nobody sets it again
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)
    # the loop counts an item a moment after it has been returned
    assert {position - seen for position, seen in found} <= {0, 1}


def test_another_thread_may_save_the_state() -> None:
    inside, go_on = threading.Event(), threading.Event()

    def waiting(x: int) -> int:
        if x == 3:
            inside.set()
            go_on.wait()
        return x

    iterator = iter(seqtools.smap(waiting, range(6)))
    reader = threading.Thread(target=list, args=(iterator,))
    reader.start()
    inside.wait()
    assert iterator.state_dict()["position"] == 3
    go_on.set()
    reader.join()


# What is refused


def test_a_state_is_loaded_before_the_first_item() -> None:
    iterator = iter(loaded())
    next(iterator)
    with pytest.raises(RuntimeError, match=r"before the first item .* 1 were: .* iter\(sequence\)"):
        iterator.load_state_dict(3)
    assert next(iterator) == 2


def test_a_state_can_be_loaded_again_before_the_first_item() -> None:
    iterator = resumed(loaded(), 3)
    iterator.load_state_dict(5)
    assert (next(iterator), saved(iterator)["position"]) == (6, 6)


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (-1, ValueError, "position -1 is not in smap.plus. of 20 items"),
        (21, ValueError, "position 21 is not in smap.plus. of 20 items"),
        (1.0, TypeError, "must be a mapping or an integer, got 1.0"),
        (True, TypeError, "must be a mapping or an integer, got True"),
        (None, TypeError, "must be a mapping or an integer, got None"),
        ({}, ValueError, "what state_dict.. of an iterator .* has returned"),
        ({"position": 3}, ValueError, "what state_dict.. of an iterator .* has returned"),
        ({"seqtools": 99, "position": 3}, ValueError, "what state_dict.. of an iterator"),
    ],
)
def test_what_is_no_state_is_refused(state: Any, error: type[Exception], message: str) -> None:
    iterator = resumed(loaded(), 4)
    with pytest.raises(error, match=message):
        iterator.load_state_dict(state)
    assert next(iterator) == 5  # it stays where it was


def test_integers_of_numpy_are_positions() -> None:
    assert next(resumed(loaded(), np.int64(4))) == 5


def pipeline(k: int = 4, n: int = 40, step: int = 1, f: Any = plus) -> Any:
    return seqtools.smap(f, seqtools.batch(seqtools.smap(plus, range(n))[::step], k))


@pytest.mark.parametrize(
    ("other", "message"),
    [
        (pipeline(5), r"another pipeline, which differs first in batch: to go to this position"),
        (pipeline(n=44), "which differs first in a source of type range"),
        (pipeline(step=2), "which differs first in slice"),
        (seqtools.smap(plus, pipeline()), "of 5 stages where this one has 6; .* first in smap"),
        (pipeline()[2:], "of 5 stages where this one has 6; they differ first in slice"),
        (seqtools.batch(range(40), 4), "of 5 stages where this one has 2; .* first in batch"),
    ],
)
def test_a_mismatch_names_the_first_stage_that_differs(other: Any, message: str) -> None:
    state = saved(resumed(pipeline(), 3))
    theirs = resumed(other, 1)
    with pytest.raises(ValueError, match=message) as caught:
        theirs.load_state_dict(state)
    assert "to go to this position all the same, load the integer 3" in str(caught.value)
    assert theirs.state_dict()["position"] == 1
    theirs.load_state_dict(3)


def test_functions_may_be_repaired() -> None:
    state = saved(resumed(pipeline(), 3))
    assert saved(resumed(pipeline(f=lambda batch: batch), state))["position"] == 3


def test_workers_caches_and_bars_are_looked_through() -> None:
    def made(*around: Callable[[Any], Any]) -> Any:
        inner = seqtools.smap(plus, range(40))
        for stage in around:
            inner = stage(inner)
        return seqtools.batch(inner, 4)

    def prefetched(x: Any) -> Any:
        return seqtools.prefetch(x, 2)

    state = saved(resumed(made(), 3))
    for around in (
        [prefetched],
        [seqtools.add_cache],
        [lambda x: seqtools.instrument.debug(x, print, 0), seqtools.add_cache, prefetched],
        [seqtools.instrument.monitor_throughput],
        [seqtools.instrument.progress],
    ):
        assert saved(resumed(made(*around), state)) == state
        assert next(resumed(seqtools.prefetch(made(*around), 1), state)) == [13, 14, 15, 16]


def test_a_seed_of_a_prefetch_is_not_looked_through() -> None:
    def made(seed: int) -> Any:
        return seqtools.prefetch(loaded(), 0, seed=seed)

    state = saved(resumed(made(1), 3))
    with pytest.raises(ValueError, match="differs first in prefetch"):
        resumed(made(2), state)
    assert saved(resumed(made(1), state)) == state


def test_a_state_is_short_whatever_the_pipeline() -> None:
    stage: Any = range(10**12)
    for _ in range(80):
        stage = seqtools.smap(plus, stage)
    state = saved(resumed(stage, 10**11))
    assert state["position"] == 10**11
    with pytest.raises(ValueError, match="differ"):
        resumed(seqtools.smap(plus, stage)[::-1], state)


def test_an_iterator_is_not_pickled_but_its_state_is() -> None:
    import copy

    with pytest.raises(TypeError, match="state_dict"):
        copy.copy(iter(loaded()))


# Reading ahead


@pytest.fixture
def prefetched() -> Iterator[Callable[..., Any]]:
    made: list[Any] = []

    def make(*args: Any, **options: Any) -> Any:
        made.append(seqtools.prefetch(*args, **options))
        return made[-1]

    yield make
    for each in made:
        each.close()


def test_what_was_evaluated_ahead_does_not_count(prefetched: Callable[..., Any]) -> None:
    evaluated = Probe(range(100))
    iterator = iter(prefetched(seqtools.smap(plus, evaluated), 2, max_cached=20))
    assert [next(iterator) for _ in range(3)] == [1, 2, 3]
    assert saved(iterator)["position"] == 3


def test_without_order_the_items_that_were_left_out_come_first(
    prefetched: Callable[..., Any],
) -> None:
    gate = threading.Event()

    def slow(x: int) -> int:
        if x in {2, 5}:
            gate.wait()
        return x

    def made() -> Any:
        return prefetched(seqtools.smap(slow, range(40)), 4, max_cached=8, ordered=False)

    iterator = iter(made())
    first = {next(iterator) for _ in range(5)}
    state = iterator.state_dict()
    assert first.isdisjoint({2, 5})
    gate.set()
    again = iter(made())
    again.load_state_dict(json.loads(json.dumps(state)))
    assert again.state_dict() == state
    second = {next(again)}
    third = iter(made())
    third.load_state_dict(again.state_dict())
    rest = list(third)
    assert sorted([*first, *second, *rest]) == list(range(40))


def test_a_state_without_order_with_gaps_needs_a_prefetch_without_order(
    prefetched: Callable[..., Any],
) -> None:
    state = iter(prefetched(loaded(), 2, ordered=False)).state_dict() | {
        "position": 5,
        "left": [[1, 3]],
    }
    with pytest.raises(ValueError, match=r"prefetch\(ordered=False\)"):
        resumed(loaded(), state)
    with pytest.raises(ValueError, match=r"prefetch\(ordered=False\)"):
        resumed(prefetched(loaded(), 2), state)
    assert sorted(resumed(prefetched(loaded(), 2, ordered=False), state)) == [2, 3, *range(6, 21)]


def test_another_order_by_hand_is_another_pipeline() -> None:
    def ordered(seed: int, kind: Any) -> Any:
        order = np.random.default_rng(seed).permutation(10_000)
        return seqtools.gather(range(10_000), kind(order))

    for kind in (list, np.asarray, lambda order: order.tolist()):
        state = saved(resumed(ordered(1, kind), 3))
        assert saved(resumed(ordered(1, kind), state)) == state
        with pytest.raises(ValueError, match="differs first in gather"):
            resumed(ordered(2, kind), state)


def test_a_stage_beyond_the_last_byte_is_not_named_wrongly() -> None:
    def chain(change: int) -> Any:
        stage: Any = range(100)
        for k in range(60):
            stage = seqtools.batch(stage, 1 + (k == change))
        return stage

    state = saved(iter(chain(-1)))
    with pytest.raises(ValueError, match="differs first in a stage after batch: "):
        resumed(chain(55), state)


def test_nothing_is_opened_before_the_first_item() -> None:
    opened = []

    class Opening(seqtools.LazySequence[int]):
        def _size(self) -> int:
            return 3

        def _get(self, i: int) -> int:
            return i

        def _opened(self, indices: Any) -> Any:
            opened.append(indices)
            return self

    iterator = iter(Opening())
    iterator.load_state_dict(1)
    assert not opened
    assert list(iterator) == [1, 2]
    assert opened == [range(1, 3)]


@pytest.mark.parametrize(
    "left",
    [[[0, 50]], [[-3, 2]], [[0, 4], [2, 6]], "ab", [[1]], [[4, 2]], [["1", "2"]], 7, [[6, 9]]],
)
def test_what_cannot_be_left_is_refused(prefetched: Callable[..., Any], left: Any) -> None:
    iterator = iter(prefetched(loaded(), 2, ordered=False))
    state = iterator.state_dict() | {"position": 8, "left": left}
    with pytest.raises(ValueError, match="left must be ranges of items before position 8, got"):
        iterator.load_state_dict(state)


def test_what_changes_no_item_may_change() -> None:
    def made(cache_size: int, inverse: Any) -> Any:
        items = seqtools.uniter([1, 2, 3], cache_size=cache_size)
        return seqtools.smap(plus, items, inverse=inverse)

    state = saved(iter(made(0, None)))
    assert saved(resumed(made(2, abs), state)) == state


def test_other_selectors_are_another_pipeline() -> None:
    state = saved(iter(seqtools.switch([True, False], "ab", "xy")))
    with pytest.raises(ValueError, match="differs first in switch"):
        resumed(seqtools.switch([False, True], "ab", "xy"), state)


def test_other_chosen_items_are_another_pipeline() -> None:
    def chosen(left_out: int) -> Any:
        return seqtools.compress(range(1000), [k != left_out for k in range(1000)])

    state = saved(resumed(chosen(900), 3))
    with pytest.raises(ValueError, match="differs first in compress"):
        resumed(chosen(100), state)
