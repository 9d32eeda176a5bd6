"""Workers show the source code of functions that are sent by value, and name cells of notebooks."""

import inspect
import linecache
import pickle
import sys
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from types import SimpleNamespace
from typing import Any

import pytest

import seqtools
from seqtools._core.source_code import add_texts, texts_of

CELL = "/nowhere/ipykernel_1/23.py"
TEXT = """\
import inspect

def invert(x):
    return 1 / x

class Inverter:
    def __call__(self, x):
        return 1 / x

def source(_):
    return inspect.getsource(invert)

made = seqtools.smap(invert, [1, 0])
"""


@pytest.fixture(autouse=True)
def cell(monkeypatch: pytest.MonkeyPatch) -> dict[str, Any]:
    """Return the names of a cell, run in a fake notebook."""

    def name(file: str) -> tuple[str, str] | None:
        return ("Cell", "In[1]") if file == CELL else None

    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=name))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    lines = TEXT.splitlines(keepends=True)
    monkeypatch.setitem(linecache.cache, CELL, (len(TEXT), None, lines, CELL))
    names = {"__name__": "__main__", "seqtools": seqtools}
    exec(compile(TEXT, CELL, "exec"), names)  # noqa: S102 -- as a notebook does
    return names


@pytest.fixture(params=["template", "spawn", "fork", "executor"])
def options(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    """Return how to prefetch in other processes."""
    if request.param != "executor":
        yield {"method": "process", "start_method": request.param}
        return
    with ProcessPoolExecutor(1) as pool:
        yield {"method": pool}


def test_in_workers(cell: dict[str, Any], options: dict[str, Any]) -> None:
    inverses = cell["made"]
    with (
        seqtools.prefetch(inverses, 1, **options) as p,
        pytest.raises(seqtools.EvaluationError) as caught,
    ):
        p[1]
    assert str(caught.value).endswith("made at Cell In[1]:13")
    assert caught.value.path[-1].file == CELL
    (note,) = caught.value.__cause__.__notes__  # type: ignore[union-attr]
    assert "  Cell In[1], line 4, in invert\n    return 1 / x\n" in note
    with seqtools.prefetch(seqtools.smap(cell["source"], [0]), 1, **options) as p:
        assert p[0] == "def invert(x):\n    return 1 / x\n"


def test_functions_made_serializable(cell: dict[str, Any]) -> None:
    function = seqtools.SerializableFunc(cell["invert"])
    copy = pickle.loads(pickle.dumps(function))
    assert copy.function is not function.function
    assert copy.function.__code__.co_filename == CELL
    with (
        seqtools.prefetch(seqtools.smap(function, [0]), 1, "process") as p,
        pytest.raises(seqtools.EvaluationError) as caught,
    ):
        p[0]
    assert "Cell In[1], line 4, in invert\n" in caught.value.__cause__.__notes__[0]  # type: ignore[union-attr]


def test_files_that_workers_can_read_are_not_sent() -> None:
    assert list(texts_of([__file__, CELL, "<string>"])) == [CELL]
    assert list(texts_of([__file__, "<string>"], everywhere=True)) == [__file__]


def test_what_is_sent_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    huge = ["#" * (1 << 20) + "\n"]
    monkeypatch.setitem(linecache.cache, CELL, (len(huge[0]), None, huge, CELL))
    assert texts_of([CELL]) == {CELL: ("Cell In[1]", [])}
    assert list(texts_of([CELL, __file__], everywhere=True)) == [CELL, __file__]


def test_texts_stay(monkeypatch: pytest.MonkeyPatch, cell: dict[str, Any]) -> None:
    texts = texts_of([CELL])
    monkeypatch.delitem(linecache.cache, CELL)
    add_texts(texts)
    linecache.checkcache()
    assert inspect.getsource(cell["invert"]) == "def invert(x):\n    return 1 / x\n"
