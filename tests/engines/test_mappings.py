"""Memory of mapped files is mapped by workers, and not copied, unless it may differ."""

import mmap
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools._core.errors import WorkerStartError
from seqtools.engines.wire import mapped_files

SIZE = 1 << 20
PAGE = mmap.PAGESIZE

pytestmark = pytest.mark.skipif(
    not os.access("/proc/self/pagemap", os.R_OK), reason="this system does not tell what is mapped"
)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "with a space"
    np.arange(SIZE // 4, dtype=np.uint32).tofile(path)
    return path


def mapped(path: Path, access: int = mmap.ACCESS_READ) -> np.ndarray:
    with path.open("rb" if access == mmap.ACCESS_READ else "r+b") as file:
        return np.frombuffer(mmap.mmap(file.fileno(), 0, access=access), np.uint32)


def found(array: Any) -> Any:
    """Return the place of a file in which `array` is found."""
    places, where = mapped_files.find_in_files([memoryview(array).cast("B")])
    return places[where[0][0]] if where else None


def read(array: Any, path: Path, *, by_reference: bool) -> None:
    """Check that workers read `array` as it is here, and whether they have mapped the file."""

    def parts(k: int) -> tuple[Any, bool]:
        there = str(path) in Path("/proc/self/maps").read_text(encoding="utf-8")
        return np.asarray(array)[k::1000], there

    with seqtools.prefetch(seqtools.smap(parts, range(3)), 2, "process") as ready:
        for k, (part, there) in enumerate(ready):
            np.testing.assert_array_equal(part, np.asarray(array)[k::1000])
            assert there == by_reference


ACCESS = {
    "read": mmap.ACCESS_READ,
    "shared": mmap.ACCESS_WRITE,
    "private": mmap.ACCESS_COPY,
}


@pytest.mark.parametrize("access", ACCESS.values(), ids=ACCESS)
def test_mapped_memory_is_mapped_in_workers(file: Path, access: int) -> None:
    array = mapped(file, access)
    read(array, file, by_reference=True)
    read(array[5000:-7], file, by_reference=True)
    read(array[::-1], file, by_reference=False)  # it lies in one piece only after it was copied
    # small, but others can change what is shared
    read(array[:100], file, by_reference=access != mmap.ACCESS_COPY)


def test_a_place_has_the_access_of_the_memory(file: Path) -> None:
    for access in ACCESS.values():
        array = mapped(file, access)
        assert found(array).file.access == access
        array.flags.writeable = False
        assert found(array).file.access == mmap.ACCESS_READ


def test_several_parts_of_a_file_are_mapped_once(file: Path) -> None:
    array = mapped(file)
    parts = [array[50_000:80_000], array[20_001:60_000], np.zeros(50_000, np.uint32)]
    (place,), where = mapped_files.find_in_files([memoryview(part).cast("B") for part in parts])
    assert (place.begin, place.end) == (4 * 20_001, 4 * 80_000)
    assert sorted(where) == [0, 1]
    view = mapped_files.map_place(place)
    for k, (_, begin, end) in where.items():
        np.testing.assert_array_equal(np.frombuffer(view[begin:end], np.uint32), parts[k])


def test_two_files_at_once(file: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    np.full(SIZE // 4, 7, np.uint32).tofile(other)
    one, two = mapped(file), mapped(other)

    def both(k: int) -> tuple[int, int]:
        return int(one[k]), int(two[k])

    with seqtools.prefetch(seqtools.smap(both, range(3)), 1, "process") as ready:
        assert list(ready) == [(0, 7), (1, 7), (2, 7)]


@pytest.mark.parametrize("place", [0, SIZE // 8, SIZE // 4 - 1])
def test_private_memory_that_was_written_to_is_copied(file: Path, place: int) -> None:
    array = mapped(file, mmap.ACCESS_COPY)
    array[place] = 12345
    read(array, file, by_reference=False)
    first = place - place % (PAGE // 4)  # of the page that was written to
    for rest in (array[:first], array[first + PAGE // 4 :]):
        if rest.size:
            assert found(rest) is not None


def test_what_workers_write_is_shared_where_it_is_here(file: Path) -> None:
    shared, private = mapped(file, mmap.ACCESS_WRITE), mapped(file, mmap.ACCESS_COPY)

    def write(k: int) -> int:
        shared[k] = private[k] = 1000 + k
        return int(private[k])

    with seqtools.prefetch(seqtools.smap(write, range(3)), 2, "process") as ready:
        assert list(ready) == [1000, 1001, 1002]
    assert shared[:3].tolist() == [1000, 1001, 1002]
    assert np.fromfile(file, np.uint32)[:3].tolist() == [1000, 1001, 1002]


def test_read_only_memory_is_read_only_in_workers(file: Path) -> None:
    array = mapped(file)
    with seqtools.prefetch(
        seqtools.smap(lambda _: array.flags.writeable, range(1)), 1, "process"
    ) as ready:
        assert ready[0] is False


def deleted(path: Path) -> None:
    path.unlink()


def replaced(path: Path) -> None:
    other = path.with_name("new")
    other.write_bytes(bytes(SIZE))
    other.replace(path)


@pytest.mark.parametrize("change", [deleted, replaced])
def test_a_file_without_its_path_is_copied(file: Path, change: Callable[[Path], None]) -> None:
    array = mapped(file)
    change(file)
    assert found(array) is None
    read(array, file, by_reference=False)


def test_memory_without_a_file_is_copied() -> None:
    assert found(np.zeros(SIZE, np.uint8)) is None
    assert found(np.frombuffer(mmap.mmap(-1, SIZE), np.uint8)) is None


@pytest.mark.parametrize("name", ["maps", "pagemap"])
def test_where_the_system_tells_nothing_memory_is_copied(
    file: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(path: Any, *args: Any, **options: Any) -> Any:
        if path == f"/proc/self/{name}":
            raise PermissionError(path)
        return open(path, *args, **options)

    array = mapped(file, mmap.ACCESS_COPY)
    assert found(array) is not None
    monkeypatch.setattr(mapped_files, "open", refuse, raising=False)
    assert found(array) is None


def test_a_file_system_where_the_system_tells_another_file_than_stat(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = mapped_files._areas
    monkeypatch.setattr(
        mapped_files, "_areas", lambda: [area._replace(inode=area.inode + 7) for area in ours()]
    )
    assert found(mapped(file)) is None


def test_a_file_that_may_not_be_read_any_more_is_copied(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = mapped(file)
    monkeypatch.setattr(os, "access", lambda path, _: path != str(file))
    assert found(array) is None


def test_a_file_that_is_replaced_too_late_is_an_error(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    array = mapped(file)
    place = found(array)
    replaced(file)
    with pytest.raises(FileNotFoundError, match="is no longer the file that is mapped"):
        mapped_files.map_place(place)
    monkeypatch.setattr(mapped_files._Mappings, "find", lambda *_: place)
    with (
        seqtools.prefetch(seqtools.smap(lambda k: array[k], range(1)), 1, "process") as ready,
        pytest.raises(WorkerStartError, match="is no longer the file that is mapped"),
    ):
        ready[0]


def test_advice_about_parts_of_a_mapping_does_not_split_it(file: Path) -> None:
    with file.open("rb") as opened:
        memory = mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ)
    memory.madvise(mmap.MADV_RANDOM, 64 * PAGE, 64 * PAGE)
    lines = Path("/proc/self/maps").read_text(encoding="utf-8").count(str(file))
    assert lines == 3
    assert found(np.frombuffer(memory, np.uint8)).end == SIZE
