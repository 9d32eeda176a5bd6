"""An iterable as a sequence: among threads, past its end, after an error, and pickled."""

import pickle
import traceback
from collections.abc import Iterator
from typing import Any

import cloudpickle
import pytest

from seqtools import EvaluationError, batch, prefetch, seterr, smap, uniter
from tests.threads import elsewhere, together


class Letters:
    """Starts anew whenever it is iterated."""

    def __iter__(self) -> Iterator[str]:
        return iter("abcde")


def test_one_thread_at_a_time_advances() -> None:
    def numbers() -> Iterator[int]:
        for i in range(4):
            assert not elsewhere(lambda: letters._state.lock.acquire(blocking=False))
            yield i

    letters = uniter(numbers())
    assert list(letters) == [0, 1, 2, 3]


def test_all_threads_see_all_items() -> None:
    shared = uniter((x for x in range(200)), cache_size=200)
    read = [lambda: list(shared), lambda: [shared[i] for i in range(199, -1, -1)][::-1]]
    assert together(*read * 2) == [list(range(200))] * 4


def test_threads_over_an_iterable_without_cache() -> None:
    shared = uniter(Letters(), n_parallel=2)
    assert together(*[lambda: list(shared)] * 3) == [list("abcde")] * 3


@pytest.mark.parametrize(("parallel", "starts"), [(1, 4), (2, 2), (3, 2)])
def test_readers_at_different_places_keep_their_iterators(parallel: int, starts: int) -> None:
    class Counting(Letters):
        started = 0

        def __iter__(self) -> Iterator[str]:
            self.started += 1
            return super().__iter__()

    source = Counting()
    letters = uniter(source, n_parallel=parallel)
    assert [letters[i] for i in (2, 0, 3, 1, 4, 2)] == list("cadbec")
    assert source.started == starts


def test_past_the_end_breaks_nothing() -> None:
    squares = uniter((x * x for x in range(3)), cache_size=3)
    for _ in range(2):
        with pytest.raises(IndexError, match="index 5 is past the end of uniter"):
            squares[5]
    assert (squares[1], list(squares)) == (1, [0, 1, 4])
    with pytest.raises(IndexError):
        squares[3]


def test_negative_indices() -> None:
    with pytest.raises(IndexError, match="has no length, so no negative indices, got -1"):
        uniter(Letters())[-1]
    assert uniter(Letters(), size=5)[-1] == "e"
    assert uniter("abc")[-1] == "c"


def test_backwards_through_an_iterator() -> None:
    squares = uniter((x * x for x in range(9)), cache_size=2)
    assert squares[4] == 16
    assert squares[3] == 9
    with pytest.raises(EvaluationError, match="larger cache_size than 2"):
        squares[1]
    assert squares[5] == 25


def test_what_was_used_last_is_kept() -> None:
    squares = uniter((x * x for x in range(9)), cache_size=2)
    assert [squares[i] for i in (0, 1, 0, 2)] == [0, 1, 0, 4]
    assert squares[0] == 0
    with pytest.raises(EvaluationError):
        squares[1]


def failing(error: BaseException) -> Iterator[int]:
    yield 0
    raise error


def test_error_of_an_iterator_is_not_its_end() -> None:
    """A generator that raised looks as if it had ended: what comes behind must not vanish."""
    numbers = uniter(failing(OSError("lost")))
    assert numbers[0] == 0
    with pytest.raises(EvaluationError) as caught:
        numbers[1]
    assert isinstance(caught.value.__cause__, OSError)
    with pytest.raises(EvaluationError, match="failed at item 1 and cannot start again"):
        numbers[1]
    with pytest.raises(EvaluationError):
        list(numbers)


def test_interrupt_is_not_the_end_of_an_iterator() -> None:
    numbers = uniter(failing(KeyboardInterrupt()))
    with pytest.raises(KeyboardInterrupt):
        list(numbers)
    with pytest.raises(EvaluationError, match="failed at item 1 and cannot start again"):
        numbers[1]


def test_iterable_is_started_anew_after_an_error() -> None:
    class Once:
        failed = False

        def __iter__(self) -> Iterator[int]:
            yield 0
            if not self.failed:
                self.failed = True
                raise OSError("once")
            yield 1

    numbers = uniter(Once())
    with pytest.raises(EvaluationError):
        list(numbers)
    assert list(numbers) == [0, 1]


@pytest.mark.parametrize("dumps", [pickle.dumps, cloudpickle.dumps], ids=["pickle", "cloudpickle"])
def test_iterators_refuse_to_be_pickled(dumps: object) -> None:
    stage = smap(str, uniter(iter([1, 2])))
    with pytest.raises(TypeError, match=r"over an iterator \(list_iterator\) cannot be pickled"):
        dumps(stage)  # type: ignore[operator]


def test_iterables_are_started_anew_in_a_copy() -> None:
    letters = uniter(Letters())
    assert letters[2] == "c"
    copy = pickle.loads(pickle.dumps(letters))
    assert list(copy) == list("abcde")
    assert letters[3] == "d"


def test_in_batches() -> None:
    """The last batch is not full, and its items cannot be read again from an iterator."""
    assert list(batch(uniter(iter("abcde")), 2)) == [["a", "b"], ["c", "d"], ["e"]]
    assert list(batch(uniter(iter("abcde")), 2, drop_last=True)) == [["a", "b"], ["c", "d"]]
    assert list(batch(uniter(iter("abc")), 2, pad="-")) == [["a", "b"], ["c", "-"]]
    assert list(batch(smap(str.upper, uniter(iter("abc"), size=3)), 2)) == [["A", "B"], ["C"]]


def test_error_in_a_batch_of_an_iterator() -> None:
    """What is reported is the error, not that its batch cannot be read again."""
    inverses = batch(smap(lambda x: 1 / x, uniter(iter([2, 1, 0, 4]), size=4)), 2)
    assert inverses[0] == [0.5, 1]
    with pytest.raises(EvaluationError) as caught:
        inverses[1]
    assert isinstance(caught.value.__cause__, ZeroDivisionError)
    assert [step.stage for step in caught.value.path] == ["batch", "smap(<lambda>)"]


def test_passthrough() -> None:
    before = seterr("passthrough")
    try:
        with pytest.raises(OSError, match="lost"):
            list(uniter(failing(OSError("lost"))))
    finally:
        seterr(before)


class Lines:
    """An iterable dataset with a length, whose base class refuses to index it."""

    def __len__(self) -> int:
        return 3

    def __iter__(self) -> Iterator[int]:
        return iter(range(3))

    def __getitem__(self, i: int) -> int:
        raise NotImplementedError


@pytest.mark.parametrize("method", ["inline", "thread", "process"])
def test_a_dataset_that_only_iterates_is_pointed_to_uniter(method: str) -> None:
    doubled: Any = smap(str, Lines())
    ahead = doubled if method == "inline" else prefetch(doubled, 1, method)
    with pytest.raises(EvaluationError) as caught:
        ahead[0]
    told = "items of Lines cannot be indexed: it is an iterable: wrap it in seqtools.uniter(source)"
    assert told in "".join(traceback.format_exception(caught.value))
    assert list(smap(str, uniter(Lines()))) == ["0", "1", "2"]
