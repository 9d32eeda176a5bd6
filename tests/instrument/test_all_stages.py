"""Whatever stage it is, looking at it reads nothing, and a replay makes the item that it has."""

from typing import Any

import pytest

from seqtools import EvaluationError, LazySequence, explain
from seqtools.instrument import check, graph
from seqtools.prefetching import prefetch
from seqtools.testing.subject import SHOWN, Subject, normal
from tests.laws.registry import ROWS, Row

rows = pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)


def subject(row: Row) -> Subject:
    known = row.length, False, row.picklable
    return Subject(row.build, row.expected, row.sources, row.assigned, *known)


def outcome(sequence: LazySequence[Any], i: int) -> Any:
    try:
        return normal(sequence[i])
    except EvaluationError as error:
        return type(error.__cause__)


@rows
def test_a_replay_makes_the_item(row: Row, capsys: pytest.CaptureFixture[str]) -> None:
    sequence, _ = subject(row).make()
    n = sequence._length()
    for i in range(SHOWN if n is None else n):
        try:
            replay = explain(sequence, i)
        except IndexError:
            assert row.length == "unknown"
            break
        copy, _ = subject(row).make()
        value = type(replay.error) if replay.error else normal(replay.value)
        assert value == outcome(copy, i)
    assert capsys.readouterr().out.count("\nitem ") <= SHOWN + 1


@pytest.mark.one_of(2)
@rows
def test_what_is_only_looked_at_is_not_read(row: Row) -> None:
    sequence, probes = subject(row).make()
    text = repr(sequence)
    assert text.splitlines()[0].split("(")[0].split()[0].isprintable()
    assert sequence._repr_html_().count("<details") <= len(text.splitlines())
    assert graph(sequence).count("\n") <= 2 * len(text.splitlines())
    assert graph(sequence, "dot").endswith("}")
    # a worker process takes a fifth of a second; `laws` pickles all
    method = "thread" if ROWS.index(row) % 3 else "process"
    found = check(prefetch(sequence, 1, method), items=0)
    assert [probe.reads for probe in probes] == [[] for _ in probes]
    if row.picklable:
        assert found == []


@pytest.mark.one_of(2)
@rows
def test_to_check_a_pipeline_changes_nothing(row: Row) -> None:
    sequence, _ = subject(row).make()
    check(prefetch(sequence, 1))
    if row.length == "known":
        assert [normal(item) for item in sequence] == subject(row).items
