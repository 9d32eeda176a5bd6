"""How much memory the window may take, and how much items take."""

from collections import deque
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from seqtools.prefetching.memory import usable_memory
from seqtools.prefetching.sizes import sample, size_of_value

GB = 1 << 30


@pytest.fixture(autouse=True)
def machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqtools.prefetching.memory._machine", lambda: 8 * GB)


def allowed(folder: Path, own: str, files: dict[str, str], **environ: str) -> int:
    for name, text in files.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "own").write_text(own)
    return usable_memory(environ, str(folder), str(folder / "own"))


@pytest.mark.parametrize(
    ("own", "files", "gigabytes"),
    [
        ("0::/\n", {}, 8),
        ("0::/\n", {"memory.max": "max\n"}, 8),
        ("0::/\n", {"memory.max": f"{2 * GB}\n"}, 2),
        ("0::/a/b\n", {"a/b/memory.max": f"{4 * GB}", "a/memory.high": f"{3 * GB}"}, 3),
        ("0::/a/b\n", {"a/b/memory.max": "nonsense", "a/c/memory.max": f"{GB}"}, 8),
        ("5:memory:/a\n4:cpu:/b\n", {"memory/a/memory.limit_in_bytes": f"{5 * GB}"}, 5),
        ("5:memory:/a\n", {"memory/memory.limit_in_bytes": "9223372036854771712"}, 8),
    ],
)
def test_the_limits_of_the_cgroup_count(
    tmp_path: Path, own: str, files: dict[str, str], gigabytes: int
) -> None:
    assert allowed(tmp_path, own, files) == gigabytes * GB


def test_local_ranks_share_the_memory(tmp_path: Path) -> None:
    assert allowed(tmp_path, "0::/", {}, LOCAL_WORLD_SIZE="4") == 2 * GB


def test_without_cgroups_it_is_the_memory_of_the_machine(tmp_path: Path) -> None:
    assert usable_memory({}, str(tmp_path), str(tmp_path / "missing")) == 8 * GB


def test_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert usable_memory() > 1 << 20


class Slotted:
    __slots__ = ("array",)


class Liar:
    @property
    def nbytes(self) -> int:
        raise RuntimeError


@pytest.mark.parametrize(
    ("value", "least", "most"),
    [
        (1, 1, 100),
        ("x" * 10_000, 10_000, 10_100),
        (np.zeros(10_000, np.uint8), 10_000, 10_100),
        (np.zeros((100, 100))[:, ::2], 40_000, 40_100),
        ([np.zeros(1000, np.uint8)] * 64, 64_000, 70_000),
        ({"a": np.zeros(1000, np.uint8), "b": (b"y" * 1000, 5)}, 2000, 2500),
        (deque([bytes(100)] * 10), 1000, 2000),
        (SimpleNamespace(image=np.zeros(5000, np.uint8), label=3), 5000, 5300),
        ([], 1, 200),
    ],
)
def test_the_size_of(value: Any, least: int, most: int) -> None:
    size = size_of_value(value)
    assert size is not None
    assert least <= size <= most


@pytest.mark.parametrize("value", [Slotted(), object(), [object()], Liar(), [[[[[1]]]]]])
def test_what_does_not_tell_its_size(value: Any) -> None:
    assert size_of_value(value) is None


def test_a_few_stand_for_many() -> None:
    assert sample(list(range(1000))) == [32]
    assert len(sample(["x"] * 1000)) <= 8
    assert sample([np.zeros(100, np.uint8), None])[0] in range(100, 200)
