"""Tables that are kept in files: who makes them, what is left of a scan, and what is refused."""

import json
import os
import pickle
import struct
import subprocess
import sys
from functools import partial
from pathlib import Path
from typing import Any
from zlib import crc32

import numpy as np
import pytest

import seqtools as st
from seqtools.tables.scan import BLOCK
from seqtools.tables.table_file import Part
from seqtools.testing import Probe
from tests.threads import together

N = 3 * BLOCK + 100


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "table.npy"


def third(x: int) -> bool:
    return x % 3 == 0


def double(x: int) -> int:
    return 2 * x


def kept(source: Any, path: Path, predicate: Any = third, **more: Any) -> st.LazySequence[Any]:
    return st.sfilter(predicate, source, table=path, progress=False, **more)


class TestKeeping:
    def test_another_stage_scans_nothing(self, path: Path) -> None:
        first, second = Probe(range(N)), Probe(range(N))
        assert list(kept(first, path)) == list(range(0, N, 3))
        assert first.reads[:N] == list(range(N))
        assert len(kept(second, path)) == len(range(0, N, 3))
        assert second.reads == []
        assert sorted(os.listdir(path.parent)) == ["table.npy"]

    def test_numpy_reads_the_file(self, path: Path) -> None:
        len(kept(range(N), path))
        assert np.load(path).tolist() == list(range(0, N, 3))
        assert np.load(path, mmap_mode="r")[1] == 3

    def test_of_inner_sequences(self, path: Path) -> None:
        assert list(st.flatten(Probe([[1, 2], [3]]), table=path)) == [1, 2, 3]
        probe = Probe([[1, 2], [3]])
        assert st.flatten(probe, table=path)[2] == 3
        assert probe.reads == [1]
        assert np.load(path).tolist() == [0, 2, 3]

    @pytest.mark.parametrize("n", [0, 5])
    def test_an_empty_table(self, path: Path, n: int) -> None:
        for _ in range(2):
            assert list(kept(range(n), path, lambda x: x > 9)) == []

    @pytest.mark.parametrize("way", ["process", "thread"])
    def test_workers_map_the_file(self, path: Path, way: str) -> None:
        stage = kept(range(N), path)
        len(stage)
        assert len(pickle.dumps(stage)) < 1000
        with st.prefetch(st.smap(double, stage), 2, way) as p:
            assert list(p[:3]) == [0, 6, 12]

    def test_a_copy_without_the_file_scans(self, path: Path) -> None:
        stage = kept(range(N), path)
        assert len(stage) == len(range(0, N, 3))
        data = pickle.dumps(stage)
        path.unlink()
        assert pickle.loads(data)[1] == 3

    def test_threads_and_processes_wait_for_each_other(self, path: Path) -> None:
        probe = Probe(range(N))
        stages = [kept(probe, path) for _ in range(3)]
        assert together(*[partial(len, stage) for stage in stages]) == [len(range(0, N, 3))] * 3
        assert len(probe.reads) == N

    def test_the_directory_must_exist(self, tmp_path: Path) -> None:
        with pytest.raises(FileNotFoundError, match="nowhere"):
            len(kept(range(3), tmp_path / "nowhere" / "t.npy"))


class TestGoingOn:
    @pytest.mark.parametrize("kind", [KeyboardInterrupt, ValueError])
    def test_only_missing_blocks_are_evaluated(self, path: Path, kind: type[Exception]) -> None:
        probe = Probe(range(N), errors={2 * BLOCK + 1: kind("made to fail")})
        with pytest.raises((KeyboardInterrupt, st.EvaluationError)):
            len(kept(probe, path))
        assert not path.exists()
        again = Probe(range(N))
        assert len(kept(again, path)) == len(range(0, N, 3))
        assert again.reads == list(range(2 * BLOCK, N))

    @pytest.mark.parametrize("cut", [1, 11, 12, 13, BLOCK, BLOCK + 12, BLOCK + 20])
    def test_a_torn_record_is_dropped(self, path: Path, cut: int) -> None:
        part = interrupted(path, 2 * BLOCK)
        os.truncate(part, part.stat().st_size - cut)
        again = Probe(range(N))
        assert list(kept(again, path)[:3]) == [0, 3, 6]
        begin = BLOCK if cut <= BLOCK + 12 else 0
        assert again.reads[: N - begin] == list(range(begin, N))

    def test_a_damaged_record_is_dropped(self, path: Path) -> None:
        part = interrupted(path, 2 * BLOCK)
        data = bytearray(part.read_bytes())
        data[-1] ^= 1
        part.write_bytes(data)
        again = Probe(range(N))
        assert len(kept(again, path)) == len(range(0, N, 3))
        assert again.reads == list(range(BLOCK, N))

    def test_a_torn_first_line_begins_anew(self, path: Path) -> None:
        part = interrupted(path, BLOCK)
        os.truncate(part, 20)
        assert len(kept(range(N), path)) == len(range(0, N, 3))

    @pytest.mark.parametrize(
        "more",
        [
            bytes(24),  # as after a power cut
            struct.pack("<III", 0, 0, 0),
            b"\xff" * 12,
            struct.pack("<II", 2, 1 << 31) + b"more",
            struct.pack("<III", 9, 1, crc32(struct.pack("<II", 9, 1) + b"x")) + b"x",
        ],
        ids=["zeros", "an empty record", "ones", "too long", "no such block"],
    )
    def test_what_is_no_record_is_dropped(self, path: Path, more: bytes) -> None:
        part = interrupted(path, 2 * BLOCK)
        before = part.read_bytes()
        part.write_bytes(before + more)
        with part.open("r+b") as file:
            file.readline()
            limited = Limited(file)
            assert sorted(Part(limited, "bool", N)) == [0, 1]  # type: ignore[arg-type]
        assert part.read_bytes() == before
        assert max(limited.sizes) <= BLOCK
        again = Probe(range(N))
        assert list(kept(again, path)) == list(range(0, N, 3))
        assert again.reads[: N - 2 * BLOCK] == list(range(2 * BLOCK, N))

    @pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
    def test_a_child_that_was_forked_does_not_keep_the_file(self, path: Path) -> None:
        import fcntl

        until, end = os.pipe()
        children = []

        def forks(x: int) -> bool:
            if x == BLOCK:
                child = os.fork()
                if not child:
                    os.close(end)
                    os.read(until, 1)
                    os._exit(0)
                children.append(child)
                message = "made to fail"
                raise ValueError(message)
            return True

        try:
            with pytest.raises(st.EvaluationError):
                len(kept(range(N), path, forks))
            with path.with_suffix(".npy.part").open("r+b") as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)  # or it raises an error
        finally:
            os.close(end)
            os.close(until)
            for child in children:
                os.waitpid(child, 0)

    def test_a_process_that_is_killed_leaves_its_blocks(self, path: Path) -> None:
        program = """
import os, sys
import seqtools as st
def third(x):
    if x == 8193:
        os.kill(os.getpid(), 9)
    return x % 3 == 0
len(st.sfilter(third, range(12388), table=sys.argv[1]))
"""
        done = subprocess.run([sys.executable, "-c", program, str(path)], check=False)
        assert done.returncode == -9
        line = (path.parent / "table.npy.part").read_bytes().partition(b"\n")[0]
        assert json.loads(line)["of"] == 12388
        program = program.replace("os.kill(os.getpid(), 9)", "pass")
        changed = subprocess.run(
            [sys.executable, "-c", program, str(path)], check=False, capture_output=True, text=True
        )
        assert (
            "was made before the function __main__.third, or what it holds, was changed"
            in changed.stderr
        )


class Limited:
    """A file that notes how much is read at once."""

    def __init__(self, file: Any) -> None:
        self._file = file
        self.sizes: list[int] = []

    def read(self, size: int) -> Any:
        self.sizes.append(size)
        return self._file.read(size)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


def interrupted(path: Path, at: int) -> Path:
    """Return the file of the blocks of a scan that was interrupted at an item."""
    with pytest.raises(st.EvaluationError):
        len(kept(Probe(range(N), errors={at: KeyError()}), path))
    return path.with_suffix(".npy.part")


def key_in(path: Path) -> bytes:
    """Return what the table in a file was made of."""
    data = path.read_bytes()
    return data[data.rindex(b'{"seqtools"') : data.rindex(b"}") + 1]


def named(name: str, body: str, **names: Any) -> Any:
    """Return a function `name` with this body."""
    made: dict[str, Any] = dict(names)
    exec(f"def {name}(x, more=1):\n    return {body}", made)  # noqa: S102 -- text of the test
    return made[name]


class TestRefusals:
    @pytest.mark.parametrize("unfinished", [False, True], ids=["", "unfinished"])
    @pytest.mark.parametrize(
        ("source", "more", "says"),
        [
            (range(N), {"version": 2}, "has version=None, this is version=2"),
            (range(N - 1), {}, f"is of a sequence of {N} items, this one has {N - 1}"),
            (list(range(N)), {}, "first in a source of type range, this is a source of type list"),
            (st.smap(double, range(N)), {}, "another pipeline, of 1 stages and sources where this"),
            (range(N), {"predicate": abs}, r"is of sfilter\(third\), this is sfilter\(abs\)"),
            (
                range(N),
                {"predicate": named("third", "x % 3 == 1", __name__=__name__)},
                "was made before the function .*third, or what it holds, was changed",
            ),
            (
                range(N),
                {"predicate": named("third", "x % 3 == 0", __name__="elsewhere")},
                "was made with the function .*third, this is elsewhere.third",
            ),
        ],
    )
    def test_say_what_differs(
        self, path: Path, source: Any, more: Any, says: str, unfinished: bool
    ) -> None:
        if unfinished:
            len(kept(range(N), path))
            part = path.with_suffix(".npy.part")
            line = key_in(path)
            part.write_bytes(line + b"\n")
            path.unlink()
        else:
            len(kept(range(N), path))
        with pytest.raises(ValueError, match=says) as caught:
            len(kept(source, path, **more))
        assert "give another path, or delete the file" in str(caught.value)

    def test_a_file_of_somebody_else_is_left_alone(self, path: Path) -> None:
        np.save(path, np.arange(3))
        with pytest.raises(ValueError, match="is not a table that seqtools has made"):
            len(kept(range(3), path))
        assert np.load(path).tolist() == [0, 1, 2]
        part = path.with_suffix(".npy.part")
        path.unlink()
        for text in ("a letter\n", "a letter", '{"seqtools of my own', "[1, 2]\n", "{}\n", "\n"):
            part.write_text(text)
            with pytest.raises(ValueError, match="is not a part of a table that seqtools has made"):
                len(kept(range(3), path))
            assert part.read_text() == text

    def test_a_rank_has_a_table_of_its_own(self, path: Path) -> None:
        len(kept(st.shard(range(10), 0, 2), path))
        with pytest.raises(ValueError, match="is of rank 0 of 2, this is rank 1 of 2"):
            len(kept(st.shard(range(10), 1, 2), path))

    def test_a_function_upstream_counts(self, path: Path) -> None:
        len(kept(st.smap(named("f", "x"), range(9)), path))
        len(kept(st.smap(named("f", "x"), range(9)), path))
        with pytest.raises(ValueError, match=r"before the function .*f, or what it holds,"):
            len(kept(st.smap(named("f", "x + 1"), range(9)), path))
