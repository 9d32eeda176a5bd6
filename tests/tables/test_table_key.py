"""What a kept table is made of: what is noticed, and what is no difference."""

import copy
import json
import os
import pickle
import subprocess
import sys
from collections import OrderedDict
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np
import pytest

import seqtools as st
from seqtools.commands.finding import find_pipeline
from seqtools.tables.contents import contents_of
from seqtools.tables.scan import BLOCK
from tests.tables.test_marks import Lazy, with_code


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.npy"


def kept(predicate: Any, source: Any, path: Path, **more: Any) -> Any:
    return st.sfilter(predicate, source, table=path, progress=False, **more)


def is_kept(x: Any) -> bool:
    return bool(x)


class Calls:
    """Counts its calls, and fails at one item unless it is well."""

    def __init__(self, at: int | None = None) -> None:
        self.n, self.at = 0, at

    def __call__(self, x: int) -> bool:
        self.n += 1
        if x == self.at:
            raise OSError(x)
        return x % 2 == 0


class TestFunctions:
    @pytest.mark.parametrize(
        ("one", "other", "says"),
        [
            (
                with_code("x > LIM", LIM=50),
                with_code("x > LIM", LIM=150),
                "was made with LIM = 50, now it is 150, in the function a_module.f",
            ),
            (
                with_code("g(x)", "LIM = .5\ndef g(x): return x > LIM"),
                with_code("g(x)", "LIM = .9\ndef g(x): return x > LIM"),
                "was made with LIM = 0.5, now it is 0.9, in the function a_module.f",
            ),
            (
                with_code("x + ROOT", ROOT="a"),
                with_code("x + ROOT", ROOT="b"),
                "was made with another ROOT than now, which the function a_module.f reads",
            ),
            (
                with_code("g(x)", "def g(x): return x"),
                with_code("g(x)", "def g(x): return -x"),
                "was made before a_module.g was changed, which the function a_module.f uses",
            ),
            (
                with_code("LIM + x", LIM=1),
                with_code("LIM - x", LIM=1),
                "was made before the function a_module.f, or what it holds, was changed",
            ),
        ],
        ids=["constant", "of another function", "text", "function", "code"],
    )
    def test_what_was_changed_is_named(self, path: Path, one: Any, other: Any, says: str) -> None:
        len(kept(is_kept, st.smap(one, range(0)), path))
        with pytest.raises(ValueError, match=says):
            len(kept(is_kept, st.smap(other, range(0)), path))

    def test_a_constant_is_noticed_by_another_release_of_python(self, path: Path) -> None:
        len(kept(with_code("x > LIM", LIM=50), range(9), path))
        data = path.read_bytes()
        release = f"{sys.version_info[0]}.{sys.version_info[1]}"
        line = data[data.rindex(b'{"seqtools"') : data.rindex(b"}") + 1]
        key = json.loads(line)
        assert key["python"] == release
        key["python"] = "2.7"
        path.unlink()
        path.with_suffix(".npy.part").write_bytes(json.dumps(key).encode() + b"\n")
        with pytest.raises(ValueError, match="was made with LIM = 50, now it is 150"):
            len(kept(with_code("x > LIM", LIM=150), range(9), path))
        assert len(kept(with_code("x > LIM or x < -1", LIM=50), range(9), path)) == 0

    def test_a_constant_that_is_set_before_the_scan(self, path: Path) -> None:
        above = with_code("x > LIM", LIM=0)
        stage = kept(above, range(5), path)
        above.__globals__["LIM"] = 3
        assert len(stage) == 1
        with pytest.raises(ValueError, match="was made with LIM = 3, now it is 0"):
            len(kept(with_code("x > LIM", LIM=0), range(5), path))

    def test_one_that_counts_its_calls_goes_on(self, path: Path) -> None:
        calls = Calls(at=BLOCK + 1)
        stage = kept(calls, range(2 * BLOCK), path)
        with pytest.raises(st.EvaluationError):
            len(stage)
        calls.at = None
        assert len(stage) == BLOCK
        assert calls.n > 2 * BLOCK
        stage._forget()
        assert len(stage) == BLOCK  # of the file

    @pytest.mark.parametrize("make", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
    def test_a_copy_has_the_marks_of_the_stage(self, path: Path, make: Any) -> None:
        calls = Calls()
        stage = kept(calls, range(9), path)
        calls(1)
        other = make(stage)
        assert len(stage) == 5
        other._forget()
        assert len(other) == len(stage._rebuild(range(9))) == 5

    def test_one_that_opens_its_file_first(self, path: Path) -> None:
        first, second = Lazy(), Lazy()
        assert len(kept(is_kept, st.smap(first, range(5)), path)) == 3
        source = st.smap(second, range(5))
        assert source[0] is False
        assert len(kept(is_kept, source, path)) == 3
        first.file.close()
        second.file.close()

    def test_a_script_and_its_module_have_the_same_names(
        self, path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        script = path.with_name("a_script.py")
        script.write_text(
            "import seqtools\n"
            "class Above:\n"
            "    def __init__(self, least): self.least = least\n"
            "    def __call__(self, x): return least(x) > self.least\n"
            "def least(x): return x\n"
            f"kept = seqtools.sfilter(Above(1), range(5), table={str(path)!r})\n"
            "if __name__ == '__main__':\n"
            "    assert len(kept) == 3\n"
        )
        monkeypatch.setattr(sys, "path", [*sys.path])
        subprocess.run([sys.executable, script.name], check=True, cwd=path.parent)
        data = path.read_bytes()
        assert b"a_script.Above" in data
        assert b"__main__" not in data
        try:
            assert len(find_pipeline(f"{script}:kept")) == 3
        finally:
            sys.modules.pop("a_script", None)
        path.unlink()
        subprocess.run([sys.executable, "-m", "a_script"], check=True, cwd=path.parent)
        assert b"a_script.Above" in path.read_bytes()

    def test_what_is_in_place_of_items_that_fail(self, path: Path) -> None:
        len(kept(is_kept, st.substitute([0, 1, 1], [0]), path))
        for other in (st.substitute([0, 1, 1], [1]), st.substitute([0, 1, 1])):
            with pytest.raises(ValueError, match="is of another pipeline"):
                len(kept(is_kept, other, path))
        path.unlink()
        len(kept(is_kept, st.recover([0, 1], default=0), path))
        len(kept(is_kept, st.recover([0, 1], default=0), path))
        with pytest.raises(ValueError, match="differs first in recover"):
            len(kept(is_kept, st.recover([0, 1], default=1), path))

    def test_the_arguments_of_a_pack_upstream(self, path: Path) -> None:
        texts = ["aaaa", "bb", "ccc"]
        for longer, capacity in [("cut", 3), ("cut", 4), ("drop", 4)]:
            packs = st.pack(texts, capacity, longer=longer)  # type: ignore[arg-type]
            stage = kept(is_kept, st.flatten(packs), path)
            if (longer, capacity) == ("cut", 3):
                len(stage)
                state = iter(packs).state_dict()
                continue
            with pytest.raises(ValueError, match="differs first in pack"):
                len(stage)
            with pytest.raises(ValueError, match="differs first in pack"):
                iter(packs).load_state_dict(state)


class Row(NamedTuple):
    name: str
    size: int


SOURCES: dict[str, tuple[Any, Any]] = {
    "texts": (["a", "b", "c"], ["a", "c", "b"]),
    "a tuple": (("a", "b", "c"), ("a", "c", "b")),
    "paths": ([Path("a"), Path("b"), Path("c")], [Path("a"), Path("c"), Path("b")]),
    "numbers": ([1, 2, 3], [1, 2.0, 3]),
    "rows": ([("a", 1), ("b", 2), ("c", 3)], [("a", 1), ("b", 3), ("c", 3)]),
    "rows of paths": ([("a", 1), (Path("b"), 2), 1], [("a", 1), (Path("c"), 2), 1]),
    "dicts": ([{"k": 1}, {"k": 2}, {}], [{"k": 1}, {"k": 3}, {}]),
    "records of paths": ([{"p": Path("a")}] * 2, [{"p": Path("a")}, {"p": Path("b")}]),
    "nested paths": ([("a", ("b", Path("a")))] * 2, [("a", ("b", Path(k))) for k in "ab"]),
    "scalars": (list(np.array([1, 2])), list(np.array([1, 3]))),
    "named": ([Row("a", 1), Row("b", 2)], [Row("a", 1), Row("b", 3)]),
    "ordered": ([OrderedDict(k=1), OrderedDict(k=2)], [OrderedDict(k=1), OrderedDict(k=3)]),
    "complex": ([1j, 2j], [1j, 3j]),
    "an array": (np.array(["a", "b", "c"]), np.array(["a", "c", "b"])),
    "objects": (np.array(["a", "b", None], object), np.array(["a", "c", None], object)),
}


class TestContents:
    @pytest.mark.parametrize("kind", SOURCES)
    def test_other_items_are_refused(self, path: Path, kind: str) -> None:
        one, other = SOURCES[kind]
        len(kept(is_kept, st.smap(str, one), path))
        len(kept(is_kept, st.smap(str, copy.deepcopy(one)), path))
        says = "is of a source with other items, of which the first is item 1: give another"
        with pytest.raises(ValueError, match=says):
            len(kept(is_kept, st.smap(str, other), path))

    def test_many(self, path: Path) -> None:
        texts = list(map(str, range(6400)))
        len(kept(is_kept, texts, path))
        texts[250], texts[251] = texts[251], texts[250]
        with pytest.raises(ValueError, match="the first is one of the items 200 to 299: give"):
            len(kept(is_kept, texts, path))

    def test_a_range(self, path: Path) -> None:
        len(kept(is_kept, range(3), path))
        with pytest.raises(ValueError, match="is of a source with other items: give another"):
            len(kept(is_kept, range(1, 4), path))

    def test_a_list_of_other_objects(self, path: Path) -> None:
        assert contents_of([ModuleType("a")]) == contents_of([ModuleType("a")])
        len(kept(is_kept, [1, 2], path))
        with pytest.raises(ValueError, match="is of a source with other items, of which the"):
            len(kept(is_kept, [1, ModuleType("a")], path))

    def test_arrays_in_a_list_are_not_read(self) -> None:
        assert contents_of([np.zeros(3)]) == contents_of([np.ones(3)]) != contents_of([np.ones(4)])

    def test_items_are_not_in_the_file(self, path: Path) -> None:
        len(kept(is_kept, ["a secret", os.devnull], path))
        assert b"secret" not in path.read_bytes()


def test_objects_that_change_when_they_are_read_are_the_same_items(tmp_path: Path) -> None:
    class Loading:
        loaded: int | None = None

        def load(self) -> int:
            self.loaded = 3
            return self.loaded

    items = [Loading() for _ in range(9)]
    table = tmp_path / "t.npy"
    for _ in range(2):
        assert len(st.sfilter(lambda item: item.load() > 2, items, table=table)) == 9
