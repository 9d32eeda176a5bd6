"""A replay stops at a stage that fails, and says where and why."""

import io
import re
import sys
from collections.abc import Iterator
from typing import Any

import pytest

import seqtools
from seqtools import EvaluationError, explain
from seqtools.instrument.replay import Replay

Shown = pytest.CaptureFixture[str]


def inverse(x: float) -> float:
    return 1 / x


def names(replay: Replay) -> list[str]:
    return [step.name for step in replay.steps]


def test_it_stops_where_a_stage_fails(capsys: Shown) -> None:
    inverses = seqtools.smap(inverse, [1, 2, 0])
    replay = explain(seqtools.gather(inverses, [2, 0]), 0)
    assert isinstance(replay.error, ZeroDivisionError)
    assert replay.value is None
    assert names(replay) == ["indexes[0]", "list[2]", "smap(inverse)[2]"]
    assert replay.steps[-1].error is replay.error
    told = capsys.readouterr().out.splitlines()[-5:]
    assert told[:2] == ["", "ZeroDivisionError: division by zero"]
    assert re.fullmatch(r"  in inverse, \S*test_explain_failures\.py:\d+: return 1 / x", told[2])
    assert re.fullmatch(
        r"  for smap\(inverse\)\[2\], made at \S*test_explain_failures\.py:\d+", told[3]
    )
    assert told[4] == "  needed by gather[0]"
    assert repr(replay).endswith("smap(inverse)[2] failed in ZeroDivisionError: division by zero>")


def test_the_input_of_what_fails_is_shown_however_many_came_before() -> None:
    numbers = seqtools.smap(lambda i: 29 - i, range(30))
    replay = explain(seqtools.batch(seqtools.smap(inverse, numbers), 30), 0)
    *_, read, made, failed = replay.steps
    assert (read.name, read.value) == ("range[29]", 29)
    assert (made.name, made.value) == ("smap(<lambda>)[29]", 0)
    assert failed.name == "smap(inverse)[29]"
    assert "… 26 more of smap(inverse)" in str(replay)
    assert "needed by batch[0]" in str(replay)


def test_a_function_of_a_library_has_no_line_of_the_users(capsys: Shown) -> None:
    replay = explain(seqtools.smap(int, ["1", "x"]), 1)
    assert isinstance(replay.error, ValueError)
    assert "  in " not in capsys.readouterr().out


def test_a_failure_that_is_caught_further_on_is_none() -> None:
    inverses = seqtools.smap(inverse, [1, 0])

    def careful(x: float) -> float:
        try:
            return inverses[1]
        except EvaluationError:
            return x

    replay = explain(seqtools.smap(careful, inverses), 0)
    assert replay.value == 1
    assert replay.error is None


def test_an_interrupt_is_no_failure() -> None:
    def interrupted(_: int) -> int:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        explain(seqtools.smap(interrupted, [1]), 0)


class Collation:
    def __init__(self, *, known: bool) -> None:
        self.known = known

    def __call__(self, items: Any) -> Any:
        raise LookupError(f"{len(items)} items, {self.known}")


def test_a_stage_that_fails_behind_many_items(capsys: Shown) -> None:
    replay = explain(seqtools.batch(range(100), 50, collate_fn=Collation(known=True)), 1)
    assert names(replay) == ["range[50:100]", "batch(Collation)[1]"]
    told = capsys.readouterr().out
    assert "LookupError: 50 items, True" in told
    assert "  in Collation.__call__, " in told


@pytest.fixture
def tracing() -> Iterator[None]:
    """Have whoever measures the coverage go on after `pdb`, which takes its place."""
    before = sys.gettrace()
    yield
    sys.settrace(before)


@pytest.mark.usefixtures("tracing")
@pytest.mark.parametrize("command", ["p x", "p x + 1"])
def test_the_debugger_stands_where_the_users_code_failed(
    capsys: Shown, monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    def outer(x: int) -> float:
        return inverse(x)

    monkeypatch.setattr("sys.stdin", io.StringIO(f"{command}\nup\np 'in outer', x\nup\nq\n"))
    replay = explain(seqtools.smap(outer, [3, 0]), 1, debugger=True)
    assert isinstance(replay.error, ZeroDivisionError)
    told = capsys.readouterr().out
    assert told.index("return 1 / x") < told.index(f"(Pdb) {int(command != 'p x')}\n")
    assert "('in outer', 0)" in told
    assert "*** Oldest frame" in told  # of the pipeline, nothing is seen


def test_no_debugger_where_nothing_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pdb.post_mortem", pytest.fail)
    assert explain(seqtools.smap(abs, [3]), 0, debugger=True).value == 3
