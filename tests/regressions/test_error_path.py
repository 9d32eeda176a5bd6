"""An error names the item at every stage, and the line where each stage was made."""

import inspect
import pickle
from typing import Any

import pytest

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
    smap,
    split,
    starmap,
    unbatch,
)
from seqtools._core.errors import Step


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
        Step("smap(fail_at_three)", 3, __file__, a),
    )
    assert (error.index, error.stage) == (0, "smap(fail_at_three)")
    assert str(error).splitlines() == [
        "item 0 of batch failed: ValueError: three is bad",
        f"  batch[0], made at {__file__}:{e}",
        f"  slice[1], made at {__file__}:{d}",
        f"  add_cache[2], made at {__file__}:{c}",
        f"  gather[2], made at {__file__}:{b}",
        f"  smap(fail_at_three)[3], made at {__file__}:{a}",
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
    assert caught(copy, 1).path[-1] == Step("smap(fail_at_three)", 3, __file__, made)


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


def test_an_index_past_the_edge_is_no_evaluation() -> None:
    with pytest.raises(IndexError, match=r"index 6 is out of range for smap.* of length 6"):
        smap(fail_at_three, range(6))[6]
