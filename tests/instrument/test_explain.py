"""A replay shows what each stage makes of an item, where it stops, and changes nothing."""

import random
import re
import subprocess
import sys
import threading
from collections.abc import Sequence
from itertools import count
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import EvaluationError, LazySequence, explain
from seqtools.instrument.quantities import duration
from seqtools.instrument.replay import Replay

Shown = pytest.CaptureFixture[str]


def inverse(x: float) -> float:
    return 1 / x


def names(replay: Replay) -> list[str]:
    return [step.name for step in replay.steps]


# ---------------------------------------------------------------------------- what is shown


def test_stages_come_in_the_order_in_which_they_are_made(capsys: Shown) -> None:
    doubled = seqtools.smap(lambda x: 2 * x, [10, 20, 30])
    replay = explain(seqtools.smap(str, seqtools.gather(doubled, [2, 0])), 0)
    assert names(replay) == [
        "indexes[0]",
        "list[2]",
        "smap(<lambda>)[2]",
        "gather[0]",
        "smap(str)[0]",
    ]
    assert [step.value for step in replay.steps] == [2, 30, 60, 60, "60"]
    assert replay.value == "60"
    assert replay.error is None
    printed = capsys.readouterr().out
    assert printed == f"{replay}\n"
    lines = printed.splitlines()
    assert lines[0] == "item 0 of smap(str)"
    assert lines[1].split() == ["own", "total", "value"]
    time = r" +[\d.]+ (?:µs|ms|s)"
    assert re.fullmatch(rf"smap\(str\)\[0\]{time}{time}  '60'", lines[-1])
    assert repr(replay) == "<replay of 5 steps: smap(str)[0] '60'>"


def test_times_of_a_stage_and_of_what_it_reads_add_up() -> None:
    replay = explain(seqtools.batch(seqtools.smap(abs, range(100)), 50), 1)
    first, *_, last = replay.steps
    assert first.own == first.total > 0
    assert last.own < last.total
    assert sum(step.own for step in replay.steps) == pytest.approx(last.total, rel=1e-6)


def test_the_time_for_printing_is_not_that_of_a_stage(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqtools.instrument.replay.perf_counter", count().__next__)
    replay = explain(seqtools.smap(abs, [1]), 0)
    # begun at 0 and 1, the inner one ended at 2 and was printed at 3, the outer one ended at 4
    assert [(step.own, step.total) for step in replay.steps] == [(1, 1), (2, 3)]


def test_arrays_are_shown_by_shape_and_type(capsys: Shown) -> None:
    images = seqtools.smap(lambda i: np.full((3, 4), i, np.float32), range(9))
    explain(seqtools.batch(images, 4, collate_fn=np.stack), 0)
    assert "ndarray (4, 3, 4) float32" in capsys.readouterr().out


def test_of_many_items_the_first_few_are_printed(capsys: Shown) -> None:
    cache = seqtools.add_cache(seqtools.smap(abs, seqtools.smap(abs, range(10_000))), 10)
    replay = explain(seqtools.batch(cache, 10_000), 0)
    assert names(replay).count("add_cache[0]") == 1
    assert "add_cache[3]" not in names(replay)
    assert len(replay.steps) == 13
    printed = capsys.readouterr().out
    assert re.search(r"^… 9,997 more of range .* (µs|ms)$", printed, re.MULTILINE)
    assert re.search(r"^… 9,997 more of add_cache ", printed, re.MULTILINE)
    assert len(printed.splitlines()) == 2 + 13 + 4


def test_a_wide_stage_is_bounded(capsys: Shown) -> None:
    replay = explain(seqtools.collate([[i] for i in range(1000)]), 0)
    assert len(replay.steps) <= 104
    assert replay.steps[-1].stage == "collate"
    printed = capsys.readouterr().out
    assert len(printed.splitlines()) == 2 + len(replay.steps) + 1
    assert "… 900 more of 900 others " in printed


def test_what_is_read_at_once_is_one_step() -> None:
    table = np.arange(20).reshape(10, 2)
    seen: list[Any] = []
    rows = seqtools.batch(seqtools.gather(table, [5, 0, 3]), 3, collate_fn=seen.append)
    replay = explain(rows, 0)
    assert names(replay) == [
        "indexes[0:3]",
        "ndarray[5 + 2 more]",
        "gather[0:3]",
        "batch(append)[0]",
    ]
    np.testing.assert_array_equal(replay.steps[1].value, table[[5, 0, 3]])
    assert type(seen[0]) is np.ndarray  # as it is without a replay


def test_views_among_the_values_can_be_read_afterwards(capsys: Shown) -> None:
    parts = seqtools.split(seqtools.smap(inverse, [1, 2, 4, 0]), 1)
    replay = explain(parts, 0)
    before = capsys.readouterr().out
    assert list(replay.value) == [1, 0.5]
    with pytest.raises(EvaluationError, match="division by zero"):
        list(explain(parts, 1).value)
    assert str(replay) == before.rstrip("\n")


def test_what_other_threads_read_is_left_out() -> None:
    numbers = seqtools.smap(abs, range(5))

    def elsewhere(x: int) -> int:
        found: list[int] = []
        thread = threading.Thread(target=lambda: found.append(numbers[x]))
        thread.start()
        thread.join()
        return found[0]

    assert explain(seqtools.smap(elsewhere, numbers), 3).value == 3


# ---------------------------------------------------------------------------- indices


@pytest.mark.parametrize("i", [-3, 3, 10**30])
def test_there_is_no_such_item(i: int, capsys: Shown) -> None:
    letters = seqtools.smap(str, "abc")
    if i == -3:
        assert explain(letters, i).value == "a"
        return
    with pytest.raises(IndexError) as expected:
        letters[i]
    with pytest.raises(IndexError) as raised:
        explain(letters, i)
    assert str(raised.value) == str(expected.value)
    assert capsys.readouterr().out == ""


def test_the_end_of_what_has_no_length() -> None:
    squares = seqtools.smap(lambda x: x * x, seqtools.uniter(x for x in range(3)))
    with pytest.raises(IndexError, match=r"index 3 is past the end of smap\(<lambda>\)"):
        explain(squares, 3)
    wrong = seqtools.smap(pow, seqtools.uniter(iter([1])), [2, 2])
    replay = explain(wrong, 1)
    assert isinstance(replay.error, EvaluationError)
    assert "give that source its size" in str(replay)


def test_what_is_no_pipeline_is_refused() -> None:
    with pytest.raises(TypeError, match=r"explain\(\) needs a lazy sequence, got list"):
        explain([1], 0)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="indices must be integers"):
        explain(seqtools.smap(abs, [1]), 0.5)  # type: ignore[arg-type]


# ---------------------------------------------------------------------------- what is left alone


def threads() -> set[threading.Thread]:
    """Return all threads, except that which starts the fork server once a prefetch was made."""
    return {each for each in threading.enumerate() if each.name != "seqtools-fork-server"}


def test_no_worker_starts() -> None:
    main = threading.get_ident()
    inner = seqtools.prefetch(seqtools.smap(lambda x: (x, threading.get_ident()), range(9)), 2)
    outer = seqtools.prefetch(seqtools.batch(inner, 3), 2, "process")
    before = threads()
    replay = explain(outer, 1)
    assert replay.value == [(3, main), (4, main), (5, main)]
    assert threads() <= before
    assert {"prefetch[1]", "prefetch[3]"} <= set(names(replay))


def test_a_cache_says_whether_it_had_the_item_and_stays_as_it_is() -> None:
    calls: list[int] = []
    kept = seqtools.add_cache(seqtools.smap(lambda x: calls.append(x) or -x, range(9)), 2)
    assert [kept[1], kept[2]] == [-1, -2]
    calls.clear()
    assert [step.found for step in explain(kept, 1).steps] == ["kept"]
    assert calls == []
    for _ in range(2):
        replay = explain(kept, 5)
        assert [(step.name, step.found) for step in replay.steps[-1:]] == [
            ("add_cache[5]", "not kept")
        ]
        assert "not kept: -5" in str(replay)
    assert calls == [5, 5]
    kept[7]  # and 1, used less recently than 2 although it was replayed, is dropped
    calls.clear()
    assert [kept[2], kept[7]] == [-2, -7]
    assert calls == []


def test_a_cache_in_a_mapping_is_looked_into() -> None:
    values = {3: "three"}
    kept = seqtools.add_cache(seqtools.smap(str, range(9)), cache=values)
    assert explain(kept, 3).value == "three"
    assert explain(kept, 4).value == "4"
    assert values == {3: "three"}


def test_an_item_is_made_once_for_all_that_read_it_through_a_cache() -> None:
    calls: list[int] = []
    kept = seqtools.add_cache(seqtools.smap(lambda x: calls.append(x) or [x] * 4, range(9)), 2)
    replay = explain(seqtools.batch(seqtools.smap(abs, seqtools.unbatch(kept, 4)), 8), 0)
    assert replay.value == [0, 0, 0, 0, 1, 1, 1, 1]
    assert calls == [0, 1]


def test_random_generators_are_as_before() -> None:
    noisy = seqtools.smap(lambda x: x + random.random() + np.random.random(), range(5))
    ready = seqtools.prefetch(noisy, 1, "process", seed=3)
    random.seed(0)
    np.random.seed(0)
    expected = random.random(), np.random.random()
    random.seed(0)
    np.random.seed(0)
    first, second = explain(ready, 2).value, explain(ready, 2).value
    assert first == second
    assert (random.random(), np.random.random()) == expected
    with ready:
        assert ready[2] == first


class Mirrored(LazySequence[Any]):
    """A stage that says nothing of how it is made over other sources."""

    def __init__(self, sequence: Sequence[Any]) -> None:
        self.sequence = sequence

    def _size(self) -> int:
        return len(self.sequence)

    def _get(self, i: int) -> Any:
        return self.sequence[-1 - i]

    def _sources(self) -> tuple[Any, ...]:
        return (self.sequence,)


def test_a_stage_without_rebuild_is_read_as_it_is() -> None:
    mirrored = Mirrored(seqtools.smap(abs, [1, 2, 3]))
    replay = explain(seqtools.smap(str, mirrored), 0)
    assert replay.value == "3"
    assert names(replay) == ["mirrored[0]", "smap(str)[0]"]


# ---------------------------------------------------------------------------- the command


@pytest.mark.parametrize(
    ("seconds", "told"),
    [
        (0, "0 µs"),
        (1.234e-6, "1.23 µs"),
        (99.97e-6, "100 µs"),
        (999.6e-6, "1 ms"),
        (0.0125, "12.5 ms"),
        (1, "1 s"),
        (1234.5, "1234 s"),
    ],
)
def test_durations(seconds: float, told: str) -> None:
    assert duration(seconds) == told


def test_importing_seqtools_imports_nothing_of_it() -> None:
    code = """
import sys, seqtools
assert not {"seqtools.instrument.replay", "pdb", "seqtools.instrument.inlined"} & set(sys.modules)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
