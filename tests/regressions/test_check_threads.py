"""What a check says of items that fail in another thread than that of the caller only."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import closing
from typing import Any

import pytest

import seqtools
from seqtools.instrument import check
from seqtools.instrument.checking.findings import Finding


@pytest.fixture
def connection() -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(":memory:")) as opened:
        yield opened


def failing(function: Callable[[int], Any]) -> list[Finding]:
    """Return what is found about items that fail, of a pipeline of threads."""
    found = check(seqtools.prefetch(seqtools.smap(function, range(5)), 2, "thread"))
    return [each for each in found if "fail" in each.what]


def test_a_connection_of_another_thread_is_opened_in_each(connection: sqlite3.Connection) -> None:
    [found] = failing(lambda i: connection.execute("select ?", (i,)).fetchone())
    assert found.what.startswith(
        "items 0, 2 and 4 fail only in another thread than yours: ProgrammingError: "
    )
    assert "@seqtools.per_worker" in found.advice
    assert "shows in which stage" not in found.advice  # `explain` would not fail


def test_so_is_everything_that_only_its_thread_can_use() -> None:
    mine = threading.local()
    mine.value = 3
    [found] = failing(lambda i: mine.value + i)
    assert "fail only in another thread than yours: AttributeError: " in found.what
    assert "@seqtools.per_worker" in found.advice


def test_what_fails_everywhere_is_explained() -> None:
    [found] = failing(lambda i: 1 / i)
    assert found.what == "item 0 fails: ZeroDivisionError: division by zero"
    assert found.advice == "seqtools.explain(…, 0) shows in which stage"


def test_what_fails_once_does_not_fail_in_another_thread_only() -> None:
    calls: list[int] = []

    def load(i: int) -> int:
        calls.append(i)
        if calls == [0]:
            raise OSError("not yet")
        return i

    [found] = failing(load)
    assert found.what == "item 0 fails: OSError: not yet"


def test_each_reason_is_judged_by_itself(connection: sqlite3.Connection) -> None:
    def load(i: int) -> Any:
        return 1 / i if i < 4 else connection.execute("select 1")

    assert [each.what.partition(":")[0] for each in failing(load)] == [
        "item 0 fails",
        "item 4 fails only in another thread than yours",
    ]


def test_without_workers_no_other_thread_evaluates_anything(
    connection: sqlite3.Connection,
) -> None:
    def load(i: int, rng: Any) -> Any:
        connection.execute("select 1")
        return i + rng.random()

    assert check(seqtools.smap(load, range(5), rng=0)) == []
