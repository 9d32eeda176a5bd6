"""A repr is a tree of stages: what they are, how long, and where they were made."""

import functools
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from html.parser import HTMLParser
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import LazySequence
from seqtools._core.display.tree import MOST_LINES, place_of

PROGRAM = """
import seqtools

def preprocess(x): return x

numbers = [4, 3, 2]
items = seqtools.smap(preprocess, range(78963))
labels = seqtools.smap(preprocess, items)
pairs = seqtools.collate({"x": items, "y": labels})
batches = seqtools.batch(pairs, 64, collate_fn=list)
ready = seqtools.prefetch(batches, nworkers=2, method="process", max_cached=100)
"""

TREE = """\
prefetch(nworkers=2, method='process', max_cached=100)    1,234 items   train.py:11
└─ batch(64, collate_fn=list)                             1,234 items   train.py:10
   └─ collate                                            78,963 items   train.py:9
      ├─ x: smap(preprocess)  #1                         78,963 items   train.py:7
      │  └─ range(0, 78963)                              78,963 items
      └─ y: smap(preprocess)                             78,963 items   train.py:8
         └─ ↑ #1 smap(preprocess)
"""


def program(folder: Path, text: str = PROGRAM) -> dict[str, Any]:
    names: dict[str, Any] = {"__name__": "train"}
    exec(compile(text, str(folder / "train.py"), "exec"), names)  # noqa: S102 -- it stands here
    return names


def test_the_tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    ready = program(tmp_path)["ready"]
    assert repr(ready) + "\n" == TREE
    monkeypatch.chdir(tmp_path.parent)
    assert f"{tmp_path.name}/train.py:11" in repr(ready)


def first_line(sequence: LazySequence[Any]) -> str:
    return repr(sequence).splitlines()[0]


@pytest.mark.parametrize(
    ("sequence", "told"),
    [
        (seqtools.smap(len, ["a"]), "smap(len) 1 item"),
        (seqtools.smap(functools.partial(round, ndigits=2), [1.5]), "smap(partial(round)) 1 item"),
        (seqtools.batch([1, 2, 3], 2), "batch(2) 2 items"),
        (seqtools.batch([1, 2, 3], 2, pad=0), "batch(2, pad=0) 2 items"),
        (seqtools.batch([1, 2, 3], 2, drop_last=True), "batch(2, drop_last=True) 1 item"),
        (seqtools.cycle("ab"), "cycle endless"),
        (seqtools.cycle("ab", 3), "cycle(3) 3 items"),
        (seqtools.repeat(None), "repeat(None) endless"),
        (seqtools.gather("abc", [2]), "gather 1 item"),
        (seqtools.add_cache("abc", 5), "add_cache(5) 3 items"),
        (seqtools.unbatch([[1, 2], [3]], 2, 1), "unbatch(2, last_batch_size=1) 3 items"),
        (seqtools.smap(len, ["a"] * 3000)[::-2], "slice[2999::-2] 1,500 items"),
        (seqtools.smap(abs, seqtools.uniter(iter([1]))), "smap(abs) unknown length"),
        (seqtools.instrument.debug([1], print, max_calls=2), "debug(print, max_calls=2) 1 item"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_stage_in_words(sequence: LazySequence[Any], told: str) -> None:
    *words, place = first_line(sequence).split()
    assert " ".join(words) == told
    assert os.path.basename(place).startswith("test_tree.py:")


def test_sources_have_the_names_of_arguments() -> None:
    shown = repr(seqtools.gather("abc", np.array([2, 1])))
    assert "├─ 'abc'" in shown
    assert "└─ indexes: ndarray (2,) int64: [2, 1]" in shown
    shown = repr(seqtools.switch([True], [1], [2]))
    assert [line.split()[1] for line in shown.splitlines()[1:]] == ["condition:", "x:", "y:"]


class Talkative(LazySequence[int]):
    """A stage with a long remark, such as the reason for the workers of a prefetch."""

    def __init__(self, words: int) -> None:
        self.words = words

    def _size(self) -> int:
        return 1

    def _remark(self) -> str:
        return "word " * self.words + "<end>"


@pytest.mark.parametrize("words", [40, 400])
def test_a_remark_stands_whole_behind_the_arguments(words: int) -> None:
    lines = repr(seqtools.smap(abs, Talkative(words))).splitlines()
    assert lines[1].startswith("└─ talkative  word word")
    assert lines[1].endswith("test_tree.py:" + lines[1].rsplit(":", 1)[1])
    assert " ".join(lines).count("word") == words
    assert lines[-1].endswith("word <end>")
    assert max(map(len, lines)) <= 120


# ---------------------------------------------------------------------------- what is not done


class Counting(Sequence[int]):
    """A source that notes what is asked of it."""

    def __init__(self) -> None:
        self.lengths = 0

    def __len__(self) -> int:
        self.lengths += 1
        return 12

    def __getitem__(self, i: Any) -> Any:
        raise AssertionError("an item was read")

    def __repr__(self) -> str:
        raise AssertionError("it could be all of it")


def test_a_known_length_is_not_asked_for_again() -> None:
    source = Counting()
    pipeline = seqtools.batch(seqtools.smap(abs, source), 4)
    assert len(pipeline) == 3
    for _ in range(3):
        assert first_line(pipeline).split()[1:3] == ["3", "items"]
    assert source.lengths == 1
    assert repr(pipeline).splitlines()[2].split() == ["└─", "Counting"]


def test_a_list_may_grow_after_it_was_shown() -> None:
    numbers = [1, 2, 3]
    pipeline = seqtools.batch(seqtools.smap(abs, numbers), 2)
    assert first_line(pipeline).split()[1:3] == ["2", "items"]
    assert "2 items" in pipeline._repr_html_()
    numbers += [4, 5]
    assert list(pipeline) == [[1, 2], [3, 4], [5]]


def test_a_length_that_fails() -> None:
    class Broken(Counting):
        def __len__(self) -> int:
            raise OSError("gone")

    shown = repr(seqtools.batch(seqtools.smap(abs, Broken()), 4))
    assert shown.count("unknown length") == 2


# ---------------------------------------------------------------------------- what cannot break it


class Raising:
    def __repr__(self) -> str:
        raise ValueError("no")


class NoText:
    def __repr__(self) -> str:
        return 3  # type: ignore[return-value]


class Wild:
    def __repr__(self) -> str:
        return "a\nb\x1b[31m\udc80" + "c" * 10**6


@dataclass
class Record:
    values: list[int]
    other: Any


class Half(LazySequence[int]):
    def _sources(self) -> tuple[Any, ...]:
        raise AttributeError("not made yet")

    def _args(self) -> tuple[Any, ...]:
        raise AttributeError("not made yet")

    def _describe(self) -> str:
        raise AttributeError("not made yet")

    def _remark(self) -> str:
        raise AttributeError("not made yet")


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (Raising(), "<Raising: its repr raises ValueError>"),
        ([Raising()], "[<Raising: its repr raises ValueError>]"),
        (NoText(), "<NoText: its repr raises TypeError>"),
        (Wild(), "a b [31m ccccc"),
        (object(), "<object>"),
        (10**5000, "<int: its repr raises ValueError>"),
        (list(range(10**6)), "[0, 1, 2, 3, … 999,996 more]"),
        (Record(list(range(10**6)), None), "Record(values=[0, … 999,999 more], other"),
        ({"a": [[[[1]]]]}, "{'a': [[… 1]]}"),
        (np.zeros((10**4, 10)), "ndarray (10000, 10) float64"),
        (seqtools.smap(abs, [1]), "smap(abs)"),
        (SimpleNamespace(shape=None), "namespace(shape=None)"),
        ("x" * 10**6, "'xxx"),
    ],
    ids=lambda value: value if isinstance(value, str) and len(value) < 99 else "",
)
def test_any_value(value: Any, told: str) -> None:
    for pipeline in (
        seqtools.repeat(value),
        seqtools.repeat([value]),
        seqtools.batch("a", 2, pad=value),
    ):
        shown = repr(pipeline)
        assert max(map(len, shown.splitlines())) <= 120
        assert shown.replace("\n", "").isprintable()
    assert f"repeat({told}"[:40] in repr(seqtools.repeat(value))


def test_a_list_in_itself() -> None:
    ring: list[Any] = []
    ring.append(ring)
    assert repr(seqtools.smap(abs, ring)).splitlines()[1].split("   ")[0] == "└─ [[[… 1]]]"


def test_a_stage_that_is_half_made() -> None:
    shown = repr(seqtools.smap(abs, Half()))
    assert "└─ half" in shown
    assert repr(object.__new__(Half)).startswith("half")
    assert "half" in Half()._repr_html_()


@pytest.mark.filterwarnings("ignore:more than 100 stages are nested")
def test_a_deep_pipeline_whose_length_is_not_known_yet() -> None:
    deep: LazySequence[Any] = seqtools.smap(abs, [1])
    for _ in range(2000):
        deep = seqtools.batch(deep, 1)
    lines = repr(deep).splitlines()
    assert lines[0].split()[1:3] == ["1", "item"]
    assert len(lines) == MOST_LINES
    assert lines[-1] == "… 1,902 more stages"


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_it_can_be_printed_in_any_encoding(encoding: str) -> None:
    code = "import seqtools; print(seqtools.smap(abs, seqtools.repeat('ü', 3)))"
    done = subprocess.run(
        [sys.executable, "-c", code],
        env=os.environ | {"PYTHONIOENCODING": encoding},
        capture_output=True,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.decode(encoding).splitlines()
    assert lines[0].startswith("smap(abs)")
    assert lines[1].startswith("└─ repeat('ü'" if encoding == "utf-8" else "`- repeat('")


# ---------------------------------------------------------------------------- where it was made


def test_a_cell_of_a_notebook(monkeypatch: pytest.MonkeyPatch) -> None:
    def name(file: str) -> tuple[str, str] | None:
        return ("Cell", "In[3]") if file == "/tmp/1234.py" else None  # noqa: S108 -- as IPython does

    shell = SimpleNamespace(compile=SimpleNamespace(format_code_name=name))
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: shell))
    assert place_of("/tmp/1234.py", 2) == "Cell In[3]:2"  # noqa: S108
    assert place_of("/elsewhere/job.py", 2) == "job.py:2"
    monkeypatch.setitem(sys.modules, "IPython", SimpleNamespace(get_ipython=lambda: None))
    assert place_of("/elsewhere/job.py", 2) == "job.py:2"


def test_a_long_path_is_shortened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert place_of(str(tmp_path / "a" / "job.py"), 2) == os.path.join("a", "job.py:2")
    assert place_of(str(tmp_path / ("a" * 40) / "job.py"), 2) == "job.py:2"
    assert place_of("<stdin>", 1) == "<stdin>:1"


# ---------------------------------------------------------------------------- in a notebook


class Page(HTMLParser):
    """What there is in a piece of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.open: list[str] = []
        self.tags: set[str] = set()
        self.text = ""
        self.attributes: list[tuple[str, str | None]] = []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.open.append(tag)
        self.tags.add(tag)
        self.attributes += attrs

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


def test_the_page_says_what_the_tree_says(tmp_path: Path) -> None:
    page = Page(program(tmp_path)["ready"]._repr_html_())
    for words in TREE.replace("│", "").replace("└─", "").replace("├─", "").split("\n"):
        assert words.split("  ")[0].strip() in page.text
    assert ("title", f"{tmp_path}/train.py:11") in page.attributes
    assert page.tags == {"div", "details", "summary", "span"}
    assert {name for name, _ in page.attributes} == {"class", "style", "open", "title"}


def test_a_page_wraps_a_remark_and_does_not_cut_it() -> None:
    text = Talkative(400)._repr_html_()
    assert Page(text).text.count("word ") == 400
    assert "word &lt;end&gt;</div>" in text
    [style] = re.findall(r'<div style="([^"]*)">word', text)
    assert "white-space: normal" in style  # the rest of the line is as wide as it is


def test_a_page_is_escaped_and_needs_nothing() -> None:
    def evil(x: int) -> int:
        return x

    evil.__name__ = "<script>alert('&')</script>"
    text = seqtools.smap(evil, seqtools.repeat('"><img src=x onerror=alert(1)>', 3))._repr_html_()
    page = Page(text)
    assert page.tags == {"div", "details", "summary", "span"}
    assert "<script>alert('&')</script>" in page.text
    assert "http" not in text
    assert "color:" not in text  # it has those of the page around it


@pytest.mark.filterwarnings("ignore:more than 100 stages are nested")
def test_a_page_is_bounded() -> None:
    deep: LazySequence[Any] = seqtools.smap(abs, [1])
    for _ in range(2000):
        deep = seqtools.batch(deep, 1)
    page = Page(deep._repr_html_())
    assert page.text.count("batch(1)") == MOST_LINES - 1
    assert "… 1,902 more stages" in page.text


def test_nothing_of_it_is_imported_before_it_is_asked_for() -> None:
    code = """
import sys, seqtools
p = seqtools.smap(abs, [1])
assert not {"seqtools._core.display.tree", "seqtools._core.display.html", "html"} & set(sys.modules)
repr(p)
assert not {"seqtools._core.display.html", "html"} & set(sys.modules)
p._repr_html_()
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
