"""An error names the item at every stage, and has what user code raised as its cause."""

import inspect
import pickle
import re
from collections.abc import Callable
from typing import Any, NoReturn

import pytest

import seqtools
from seqtools import (
    EvaluationError,
    LazySequence,
    add_cache,
    arange,
    batch,
    case,
    collate,
    concatenate,
    cycle,
    gather,
    interleave,
    seterr,
    smap,
    split,
    starmap,
    unbatch,
)
from seqtools._core.error_path import Step

# An error names the item at every stage, and the line where each stage was made.


def line() -> int:
    """Return the number of the line that calls this."""
    frame = inspect.currentframe()
    assert frame is not None
    assert frame.f_back is not None
    return frame.f_back.f_lineno


def fail_at_three(x: int) -> int:
    if x == 3:
        raise ValueError("three is bad")
    return x


def caught(sequence: LazySequence[Any], i: int) -> EvaluationError:
    with pytest.raises(EvaluationError) as info:
        sequence[i]
    return info.value


def test_several_stages() -> None:
    checked, a = smap(fail_at_three, arange(6)), line()
    chosen, b = gather(checked, [5, 4, 3]), line()
    kept, c = add_cache(chosen), line()
    part, d = kept[1:], line()
    pairs, e = batch(part, 2), line()
    error = caught(pairs, 0)
    assert error.path == (
        Step("batch", 0, __file__, e),
        Step("slice", 1, __file__, d),
        Step("add_cache", 2, __file__, c),
        Step("gather", 2, __file__, b),
        Step("smap(fail_at_three)", 3, __file__, a, "3"),
    )
    assert (error.index, error.stage) == (0, "smap(fail_at_three)")
    assert str(error).splitlines() == [
        "item 0 of batch failed: ValueError: three is bad",
        f"  batch[0], made at {__file__}:{e}",
        f"  slice[1], made at {__file__}:{d}",
        f"  add_cache[2], made at {__file__}:{c}",
        f"  gather[2], made at {__file__}:{b}",
        f"  smap(fail_at_three)[3], called with 3, made at {__file__}:{a}",
    ]
    assert isinstance(error.__cause__, ValueError)


def steps(error: EvaluationError) -> list[tuple[str, int]]:
    return [(step.stage, step.index) for step in error.path]


def test_each_stage_is_named() -> None:
    bad = smap(fail_at_three, range(6))
    end = ("smap(fail_at_three)", 3)
    assert steps(caught(concatenate(["ab", bad]), 5)) == [("concatenate", 5), end]
    assert steps(caught(cycle(bad), 9)) == [("cycle", 9), end]
    assert steps(caught(interleave(bad, "abcdef"), 6)) == [("interleave", 6), end]
    assert steps(caught(collate([bad, "abcdef"]), -3)) == [("collate", 3), end]
    assert steps(caught(case([0] * 6, bad), 3)) == [("case", 3), end]
    assert steps(caught(case(bad, *[range(6)] * 6), 3)) == [("case", 3), end]
    assert steps(caught(gather(range(9), bad), 3)) == [("gather", 3), end]
    assert steps(caught(starmap(max, collate([bad, bad])), 3))[1:] == [("collate", 3), end]
    assert steps(caught(unbatch(batch(bad, 2), 2), 2)) == [("unbatch", 2), ("batch", 1), end]


def test_in_iteration_and_in_search() -> None:
    bad = smap(fail_at_three, range(6))[1:]
    for read in (list, lambda s: 99 in s, lambda s: s.index(99), lambda s: s.count(1)):
        with pytest.raises(EvaluationError) as info:
            read(bad)
        assert steps(info.value) == [("slice", 2), ("smap(fail_at_three)", 3)]


def test_part_of_a_split_was_made_where_the_split_was() -> None:
    parts, made = split(smap(fail_at_three, range(6)), 1), line()
    error = caught(parts[1], 0)
    assert error.path[0] == Step("slice", 0, __file__, made)


def test_collate_fn_that_fails() -> None:
    def total(items: list[int]) -> float:
        return 1 / sum(items)

    assert steps(caught(batch(smap(abs, [1, 0, 0]), 2, collate_fn=total), 1)) == [
        ("batch(total)", 1)
    ]


def test_copies_remember_where_they_were_made() -> None:
    stage, made = smap(fail_at_three, range(6)), line()
    copy = pickle.loads(pickle.dumps(stage[2:]))
    assert caught(copy, 1).path[-1] == Step("smap(fail_at_three)", 3, __file__, made, "3")


def test_the_error_can_be_pickled() -> None:
    error = caught(smap(fail_at_three, range(6)), 3)
    copy = pickle.loads(pickle.dumps(error))
    assert (str(copy), copy.path, copy.index) == (str(error), error.path, 3)


def test_an_error_that_cannot_be_shown() -> None:
    class OddError(Exception):
        def __str__(self) -> str:
            raise RuntimeError

    def odd(_: int) -> None:
        raise OddError

    assert "OddError: <its text cannot be shown>" in str(caught(smap(odd, [0]), 0))


PLACES: dict[str, tuple[Callable[[], Any], str]] = {
    "smap": (lambda: smap(max, [1], 5), "sequences[1]"),
    "smap, first": (lambda: smap(max, {1: 2}, [5]), "sequences[0]"),
    "smap, single": (lambda: smap(abs, 5), "sequence"),
    "starmap": (lambda: starmap(abs, 5), "sequence"),  # type: ignore[arg-type]
    "collate": (lambda: collate([[1], None]), "sequences[1]"),
    "concatenate": (lambda: concatenate([[1], 3]), "sequences[1]"),  # type: ignore[list-item]
    "interleave": (lambda: interleave([1], 3), "sequences[1]"),  # type: ignore[arg-type]
    "case": (lambda: case([0], [1], 3), "values[1]"),  # type: ignore[arg-type]
}


@pytest.mark.parametrize("name", PLACES)
def test_what_is_no_sequence_is_named_by_its_place(name: str) -> None:
    make, place = PLACES[name]
    with pytest.raises(TypeError, match=rf"^{re.escape(place)} must be a sequence, got \w+: "):
        make()


def test_an_index_past_the_edge_is_no_evaluation() -> None:
    with pytest.raises(IndexError, match=r"index 6 is out of range for smap.* of length 6"):
        smap(fail_at_three, range(6))[6]


# A function that reads another pipeline fails as one: one error, the whole path, one cause.


def fail(x: int) -> int:
    raise ValueError(x)


@pytest.fixture
def inner() -> LazySequence[int]:
    return smap(fail, range(10, 20))


def test_path_goes_on_inside(inner: LazySequence[int]) -> None:
    def look_up(i: int) -> Any:
        return inner[1:][i]

    outer = batch(smap(look_up, range(5)), 2)
    with pytest.raises(EvaluationError) as caught:
        outer[1]
    assert [(step.stage, step.index) for step in caught.value.path] == [
        ("batch", 1),
        ("smap(look_up)", 2),
        ("slice", 2),
        ("smap(fail)", 3),
    ]
    assert isinstance(caught.value.__cause__, ValueError)
    assert caught.value.__cause__.args == (13,)
    assert str(caught.value).startswith("item 1 of batch failed: ValueError: 13\n")


def test_iterating_inside(inner: LazySequence[int]) -> None:
    outer = smap(lambda _: sum(inner), range(3))
    with pytest.raises(EvaluationError) as caught:
        list(outer)
    assert [step.index for step in caught.value.path] == [0, 0]
    assert isinstance(caught.value.__cause__, ValueError)


def test_index_past_the_edge_inside() -> None:
    inner = smap(abs, range(3))
    outer = smap(lambda i: inner[i], range(5))
    items = iter(outer)
    assert [next(items), next(items), next(items)] == [0, 1, 2]
    for i in (3, 4):
        with pytest.raises(EvaluationError) as caught:
            next(items)
        assert isinstance(caught.value.__cause__, IndexError)
        assert caught.value.index == i
    assert next(items, "end") == "end"


def test_another_error_from_one_inside(inner: LazySequence[int]) -> None:
    def look_up(i: int) -> int:
        try:
            return inner[i]
        except EvaluationError as error:
            raise KeyError(i) from error

    with pytest.raises(EvaluationError) as caught:
        smap(look_up, range(3))[2]
    assert isinstance(caught.value.__cause__, KeyError)
    assert [step.stage for step in caught.value.path] == ["smap(look_up)"]
    assert isinstance(caught.value.__cause__.__cause__, EvaluationError)


def test_passthrough_inside(inner: LazySequence[int]) -> None:
    outer = smap(lambda i: inner[i], range(3))
    before = seterr("passthrough")
    try:
        with pytest.raises(ValueError, match="12"):
            outer[2]
    finally:
        seterr(before)


# An exception that counts as false is still the error that user code raised.


class Nothing(Exception):  # noqa: N818 -- what it is called does not matter
    def __bool__(self) -> bool:
        return False


def fail_falsely(i: int) -> NoReturn:
    raise Nothing(i)


@pytest.mark.parametrize("nworkers", [0, 1])
@pytest.mark.parametrize("cached", [False, True])
def test_it_is_the_cause(nworkers: int, cached: bool) -> None:
    source = seqtools.smap(fail_falsely, range(2))
    source = seqtools.add_cache(source) if cached else source
    with seqtools.prefetch(seqtools.gather(source, [1, 0]), nworkers) as p:
        for sequence in (p, seqtools.smap(abs, p)):
            with pytest.raises(seqtools.EvaluationError) as caught:
                sequence[0]
            assert type(caught.value.__cause__) is Nothing
            assert "EvaluationError" not in str(caught.value)


def test_it_is_raised_as_it_is() -> None:
    before = seqtools.seterr("passthrough")
    try:
        with pytest.raises(Nothing):
            seqtools.collate([seqtools.smap(fail_falsely, range(2))])[0]
        with (
            seqtools.prefetch(seqtools.smap(fail_falsely, range(2)), 1) as p,
            pytest.raises(Nothing),
        ):
            seqtools.smap(abs, p)[1]
    finally:
        seqtools.seterr(before)
