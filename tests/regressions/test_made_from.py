"""Errors name the rows of the sources, unless the arguments of the function tell them."""

from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, LazySequence
from seqtools._core.error_path import Step

FILES = [f"data/img_{k:04}.jpg" for k in range(40)]


def load(_: str) -> Any:
    return np.zeros(3)


def bad(_: Any) -> Any:
    raise ValueError("loss")


def images() -> LazySequence[Any]:
    return seqtools.add_cache(seqtools.smap(load, FILES))


def failure(p: LazySequence[Any], i: int) -> EvaluationError:
    with pytest.raises(EvaluationError) as caught:
        p[i]
    return caught.value


def made_from(p: LazySequence[Any], i: int) -> list[str]:
    return [line.strip() for line in str(failure(p, i)).splitlines() if "made from" in line]


def test_a_file_that_the_arguments_do_not_tell() -> None:
    error = failure(seqtools.smap(bad, seqtools.gather(images(), [5, 7])), 1)
    assert error.path[-1].made_from == "'data/img_0007.jpg'"
    assert str(error).splitlines()[-1] == "  made from 'data/img_0007.jpg'"


def test_several_are_shown_in_part() -> None:
    told = made_from(seqtools.batch(images(), 8, collate_fn=bad), 1)
    some = ", ".join(repr(name) for name in FILES[8:12])
    assert told == [f"made from {some}, … 4 more"]


@pytest.mark.parametrize(
    "p",
    [
        seqtools.smap(bad, FILES),
        seqtools.smap(bad, seqtools.smap(abs, range(9))),
        seqtools.batch(seqtools.smap(bad, FILES[::-1]), 2),
        seqtools.starmap(bad, [[1]] * 9),
    ],
    ids=["the argument", "a number", "in batches", "the same index"],
)
def test_nothing_that_is_told_already(p: LazySequence[Any]) -> None:
    assert made_from(p, 1) == []


def test_items_without_names() -> None:
    rows = [[k] for k in range(30)]
    p = Alone(seqtools.batch(rows, 6))
    assert made_from(p, 2) == ["made from items 12, 13, 14, 15, … 2 more of a list"]


class Alone(LazySequence[Any]):
    """A stage that calls no function, so that there are no arguments to tell."""

    def __init__(self, sequence: Any) -> None:
        self._sequence = sequence

    def _size(self) -> int:
        return len(self._sequence)

    def _get(self, i: int) -> Any:
        raise ValueError(i)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Any) -> Any:
        return [(self._sequence, indices)]


class Broken(Alone):
    """A stage that cannot tell what it reads."""

    def _reads(self, indices: Any) -> Any:
        raise RuntimeError(indices)


def test_an_error_in_what_is_read_changes_nothing() -> None:
    error = failure(Broken(FILES), 2)
    assert isinstance(error.__cause__, ValueError)
    assert made_from(Broken(FILES), 2) == []


def test_long_names_keep_their_end() -> None:
    names = ["/data/" + "deep/" * 100 + f"{k}.jpg" for k in range(3)]
    (told,) = made_from(seqtools.smap(bad, seqtools.smap(load, names)), 2)
    assert told.endswith("deep/2.jpg'")
    assert len(told) < 90


@pytest.mark.parametrize("method", ["thread", "process"])
def test_in_workers(method: Any) -> None:
    inner = seqtools.batch(seqtools.smap(bad, seqtools.gather(images(), [5, 7])), 2)
    with seqtools.prefetch(inner, 1, method=method) as p:
        error = failure(p, 0)
    assert [step.made_from for step in error.path] == ["", "", "'data/img_0005.jpg'"]
    assert str(error).count("made from") == 1


def test_nothing_is_evaluated() -> None:
    calls: list[str] = []

    def noted(name: str) -> str:
        calls.append(name)
        return ""

    p = seqtools.batch(seqtools.smap(noted, FILES), 4, collate_fn=bad)
    failure(p, 0)
    assert sorted(calls) == sorted(FILES[:4])


def test_a_step_of_an_earlier_version_has_none() -> None:
    assert Step("batch", 0, "job.py", 3, "4").lines() == [
        "batch[0], called with 4, made at job.py:3"
    ]


@pytest.mark.parametrize("in_records", [False, True])
def test_only_names_that_are_shown_are_read(in_records: bool) -> None:
    asked: list[int] = []
    paths = [Counted(k, asked) for k in range(5_000)]
    source: Any = [(3, path) for path in paths] if in_records else paths
    told = made_from(Alone(seqtools.batch(source, 4_000)), 1)
    assert told == ["made from '4000', '4001', '4002', '4003', … 996 more"]
    assert len(asked) < 20


class Counted:
    """A path that notes when its name is read."""

    def __init__(self, k: int, asked: list[int]) -> None:
        self.k, self.asked = k, asked

    def __fspath__(self) -> str:
        self.asked.append(self.k)
        return str(self.k)


def test_several_sources() -> None:
    named = seqtools.collate([seqtools.batch(FILES[:50], 5), seqtools.batch([*range(40)], 5)])
    some = ", ".join(repr(name) for name in FILES[35:39])
    assert made_from(Alone(named), 7) == [f"made from {some}, … 1 more"]
    numbers = [[*range(50)], np.arange(50), [*range(50)]]
    unnamed = seqtools.collate([seqtools.batch(each, 5) for each in numbers])
    some = "items 45, 46, 47, 48, … 1 more of a"
    assert made_from(Alone(unnamed), 9) == [f"made from {some} list and {some}n array and others"]


def test_very_many_are_not_followed() -> None:
    names = ["a"] * 100_001
    told = "made from 'a', 'a', 'a', 'a', … 99,996 more"
    assert made_from(Alone(seqtools.batch(names, 100_000)), 0) == [told]
    assert made_from(Alone(seqtools.batch(names, 100_001)), 0) == []
    # nor through a stage in the middle
    for n, lines in ((100_000, ["made from 'a', 'a', 'a', 'a', … 6 more"]), (100_001, [])):
        letters = seqtools.unbatch(["a"] * 11, 10_000)
        assert made_from(Alone(seqtools.batch(letters, n)), 0) == lines
    assert len(seqtools.origins(seqtools.batch(names, 100_001), 0)) == 100_001


def test_control_characters_are_escaped() -> None:
    told = made_from(Alone(seqtools.smap(len, ["a\n\x1b[31m.png"])), 0)
    assert told == [r"made from 'a\n\x1b[31m.png'"]


def test_a_record_is_named_by_a_file_in_it() -> None:
    records = [{"label": k, "file": name} for k, name in enumerate(FILES)]
    assert made_from(Alone(seqtools.smap(load, records)), 3) == [f"made from {FILES[3]!r}"]
    assert made_from(seqtools.smap(bad, records), 3) == []


@pytest.mark.parametrize(
    ("p", "told"),
    [
        (seqtools.substitute(FILES, [2]), f"made from perhaps {FILES[3]!r}"),
        (seqtools.case([0] * 40, FILES), f"made from perhaps {FILES[2]!r}"),
        (
            seqtools.smap(len, seqtools.split(FILES[:6], parts=3)),
            f"made from perhaps {FILES[4]!r}, {FILES[5]!r}",
        ),
    ],
    ids=["substitute", "case", "split"],
)
def test_what_is_not_certain_is_perhaps(p: LazySequence[Any], told: str) -> None:
    assert made_from(Alone(p), 2) == [told]
    assert made_from(seqtools.smap(bad, seqtools.smap(load, p)), 2) == [told]
