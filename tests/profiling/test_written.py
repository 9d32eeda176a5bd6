"""The trace and the page of a profile, and profiles of every combinator."""

import json
from pathlib import Path
from typing import Any

import pytest

import seqtools
import seqtools.testing
from seqtools import instrument
from tests.laws.registry import ROWS, Row


@pytest.fixture(scope="module")
def measured() -> instrument.Profile:
    cached = seqtools.add_cache(seqtools.smap(abs, range(60)), 4)
    p = seqtools.prefetch(seqtools.batch(cached, 2), 2, method="process")
    with instrument.profile(p) as measured:
        assert len(list(p)) == 30
    return measured


def test_the_trace_has_every_thread_and_every_read(
    measured: instrument.Profile, tmp_path: Path
) -> None:
    path = tmp_path / "trace.json"
    measured.to_trace(path)
    events = json.loads(path.read_text(encoding="utf-8"))["traceEvents"]
    assert all({"ph", "pid", "name"} <= event.keys() for event in events)
    named = {e["tid"]: e["args"]["name"] for e in events if e["name"] == "thread_name"}
    assert {"consumer", "worker 1", "worker 2"} <= set(named.values())
    spans = [e for e in events if e["ph"] == "X"]
    assert all(e["dur"] >= 0 and e["ts"] >= 0 and e["tid"] in named for e in spans)
    assert sum(e["name"] == "batch" for e in spans) == 30
    assert sum(e["name"] == "wait for an item" for e in spans) == 30
    assert any(e["ph"] == "C" and e["name"] == "window" for e in events)
    inner = next(e for e in spans if e["name"] == "add_cache" and named[e["tid"]] == "worker 1")
    assert any(
        e["name"] == "batch" and e["tid"] == inner["tid"]
        and e["ts"] <= inner["ts"] and inner["ts"] + inner["dur"] <= e["ts"] + e["dur"]
        for e in spans
    )  # fmt: skip


def test_the_page_is_whole_and_needs_nothing(measured: instrument.Profile, tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    measured.to_html(path)
    text = path.read_text(encoding="utf-8")
    assert "http" not in text
    assert "<script" not in text
    assert 'data-lane="worker 2"' in text
    assert measured.report().splitlines()[0] in text


def items_of(p: Any) -> list[str]:
    """Return the items, up to some number, and errors in their places."""
    items, found = iter(p), []
    while len(found) < 40:
        try:
            item = next(items)
            found.append(repr(list(item) if isinstance(item, seqtools.LazySequence) else item))
        except StopIteration:
            break
        except seqtools.EvaluationError as error:
            found.append(str(error))
    return found


@pytest.mark.one_of(2)
@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.name)
def test_every_combinator_is_the_same_while_it_is_profiled(row: Row) -> None:
    def made() -> Any:
        return row.build(*(seqtools.testing.Probe(values) for values in row.sources))

    expected = items_of(made())
    p = made()
    with instrument.profile(p) as measured:
        assert items_of(p) == expected
        if row.length == "known":
            assert items_of(p[1:3]) == expected[1:3]
    assert measured.snapshot()["items"] >= len(expected)
