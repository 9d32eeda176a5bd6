"""A memory-mapped array is the file that was mapped, whatever has that name since."""

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools import smap
from seqtools._core.errors import WorkerStartError

LARGE, SMALL = (3000, 40), (30, 4)


@pytest.fixture(params=[LARGE, SMALL], ids=["large", "small"])
def shape(request: pytest.FixtureRequest) -> tuple[int, int]:
    found: tuple[int, int] = request.param
    return found


def written(path: Path, shape: tuple[int, int], begin: int = 0) -> Path:
    np.arange(begin, begin + shape[0] * shape[1], dtype=np.int32).reshape(shape).tofile(path)
    return path


def in_workers(array: Any, look: Callable[[Any], Any], **options: Any) -> Any:
    """Return what `look` makes of `array` in a worker."""
    with seqtools.prefetch(smap(lambda _: look(array), range(1)), 1, "process", **options) as p:
        return p[0]


def views(array: Any) -> list[Any]:
    return [array, array[3:9], array[::-1], array[:, 1], array[2:20:3, ::-2].T]


def looked_at(array: Any) -> tuple[Any, ...]:
    return array.dtype, array.shape, array.tobytes(), type(array), array.flags.writeable


def check(*arrays: Any) -> None:
    """Check that a worker has the values of arrays, and of views of them."""
    looked = [view for array in arrays for view in views(array)]
    there = in_workers(looked, lambda arrays: [looked_at(each) for each in arrays])
    assert there == [looked_at(view) for view in looked]


def replaced(path: Path, shape: tuple[int, int]) -> None:
    written(path.with_name("new"), shape, 1000).replace(path)


def deleted(path: Path, _: tuple[int, int]) -> None:
    path.unlink()


def renamed(path: Path, shape: tuple[int, int]) -> None:
    path.rename(path.with_name("other name"))
    written(path, shape, 1000)


def folder_exchanged(path: Path, shape: tuple[int, int]) -> None:
    path.parent.rename(path.parent.with_name("other folder"))
    path.parent.mkdir()
    written(path, shape, 1000)


def linked(path: Path, shape: tuple[int, int]) -> None:
    path.rename(path.with_name("other name"))
    path.symlink_to(written(path.with_name("new"), shape, 1000))


CHANGES = [replaced, deleted, renamed, folder_exchanged, linked]


@pytest.mark.parametrize("change", CHANGES)
def test_workers_have_what_was_mapped(
    tmp_path: Path, change: Callable[..., None], shape: tuple[int, int]
) -> None:
    arrays = []
    modes: tuple[Any, ...] = ("r", "r+", "c")
    for mode in modes:
        (tmp_path / mode / "folder").mkdir(parents=True)
        path = written(tmp_path / mode / "folder" / "data", shape)
        arrays.append(np.memmap(path, np.int32, mode, shape=shape))
        change(path, shape)
    arrays[-1][4, 1] = -1
    check(*arrays)


def test_workers_have_views_without_the_whole_of_it(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = written(tmp_path / "data", shape)
    array = np.memmap(path, np.int32, "r", shape=shape)
    replaced(path, shape)
    for view in views(array):
        assert in_workers(view, looked_at) == looked_at(view)


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_a_replaced_file_as_it_was_reported(tmp_path: Path, start_method: str) -> None:
    path = written(tmp_path / "data", LARGE)
    array = np.memmap(path, np.int32, "r", shape=LARGE)
    p = seqtools.prefetch(smap(int, array[:, 0]), 2, "process", start_method=start_method)
    with p:
        assert list(p) == array[:, 0].tolist()
        replaced(path, LARGE)
        p.refresh()
        assert list(p) == array[:, 0].tolist()


def test_a_relative_name_and_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    written(Path("data"), LARGE)
    array = np.memmap("data", np.int32, "r", shape=LARGE)
    monkeypatch.chdir("elsewhere")
    written(Path("data"), LARGE, 1000)
    check(array)


@pytest.mark.parametrize("change", [renamed, folder_exchanged, linked])
def test_what_workers_write_is_in_the_file_that_was_mapped(
    tmp_path: Path, change: Callable[..., None], shape: tuple[int, int]
) -> None:
    (tmp_path / "folder").mkdir()
    path = written(tmp_path / "folder" / "data", shape)
    array = np.memmap(path, np.int32, "r+", shape=shape)
    change(path, shape)
    new, expected = path.read_bytes(), np.array(array)

    def write(a: Any) -> None:
        a[2] = -5

    in_workers(array, write)
    in_workers(array[9:1:-3, ::3], write)
    expected[2] = expected[3, ::3] = -5
    np.testing.assert_array_equal(array, expected)
    assert path.read_bytes() == new


def test_a_file_that_is_changed_in_place_is_seen_to_change(
    tmp_path: Path, shape: tuple[int, int]
) -> None:
    path = written(tmp_path / "data", shape)
    array = np.memmap(path, np.int32, "r", shape=shape)
    values = smap(lambda k: int(array[k, 0]), range(9))
    with seqtools.prefetch(values, 1, "process", max_cached=1) as p:
        assert p[0] == 0
        with path.open("r+b") as file:
            file.seek(8 * array.strides[0])
            file.write(np.int32(-3).tobytes())
        assert array[8, 0] == -3
        assert p[8] == -3
        p.close()
        assert p[8] == -3


def test_a_file_that_was_cut_off_is_an_error(tmp_path: Path) -> None:
    path = written(tmp_path / "data", LARGE)
    array = np.memmap(path, np.int32, "r", shape=LARGE)
    os.truncate(path, 100_000)
    told = "was truncated while it was mapped in the pipeline: it has 100000 bytes"
    with pytest.raises(WorkerStartError, match=told):
        in_workers(array, np.sum)
    check(array[:500])


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_a_file_that_is_replaced_before_another_worker_starts(
    tmp_path: Path, start_method: str
) -> None:
    path = written(tmp_path / "data", LARGE)
    array = np.memmap(path, np.int32, "r", shape=LARGE)

    def value(k: int) -> int:
        if k == 50:
            os._exit(3)
        return int(array[k, 0])

    values = array[:, 0].tolist()
    p = seqtools.prefetch(smap(value, range(100)), 1, "process", 1, start_method=start_method)
    with p:
        assert p[0] == values[0]
        replaced(path, LARGE)
        errors = []
        for k in range(40, 60):
            try:
                assert p[k] == values[k]
            except (WorkerStartError, seqtools.EvaluationError) as error:
                errors.append(type(error))
        if start_method == "spawn":  # each worker maps it for itself
            assert WorkerStartError in errors
        p.refresh()
        assert p[60] == values[60]


class Own(np.memmap):
    """A class of a user."""


def test_classes_and_attributes(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = written(tmp_path / "data", shape)
    array = np.memmap(path, np.int32, "r+", 8, shape=(shape[0] - 1, shape[1]))

    def told(a: Any) -> tuple[Any, ...]:
        return a.filename, a.offset, a.mode, a.tolist(), type(a), a[0].filename

    for view in (array, array[4:], array[::-2]):
        assert in_workers(view, told) == told(view)
    records = np.memmap(path, [("a", np.int32), ("b", np.int32)], "r", shape=5).view(np.recarray)
    assert in_workers(records[::2], lambda r: (r.a.tolist(), r.b[1])) == ([0, 4, 8], 5)
    own = array.view(Own)
    assert in_workers(own, lambda a: (type(a).__name__, a.tolist())) == ("Own", own.tolist())


def test_what_a_worker_returns_is_a_value(tmp_path: Path, shape: tuple[int, int]) -> None:
    path = written(tmp_path / "data", shape)
    array = np.memmap(path, np.int32, "r+", shape=shape)
    rows = smap(lambda k: array[k : k + 3, ::2], range(10))
    with seqtools.prefetch(rows, 2, "process") as p:
        found = list(p)
    expected = [row.tolist() for row in rows]
    array[:] = 0
    replaced(path, shape)
    assert [row.tolist() for row in found] == expected
    assert {type(row) for row in found} == {np.memmap}


def test_where_the_system_does_not_tell_what_is_mapped(
    tmp_path: Path, shape: tuple[int, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path / "data", shape)
    array = np.memmap(path, np.int32, "r", shape=shape)
    monkeypatch.setattr("seqtools.engines.wire.mapped_files._areas", list)
    check(array)
    replaced(path, shape)
    check(array)
