"""What threads and processes write down, and how it is read."""

import os
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqtools._core import recording
from seqtools._core.record_files import RecordFile
from seqtools._core.recording import Record, Recorder, RecordFolder


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[RecordFolder]:
    folder = recording.opened(str(tmp_path))
    yield folder
    recording.close(folder)


def pages(folder: RecordFolder) -> list[RecordFile]:
    names = sorted(os.listdir(folder.folder))
    return [RecordFile(os.path.join(folder.folder, name)) for name in names]


def test_what_is_written_is_read_at_once(folder: RecordFolder) -> None:
    recorder = folder.recorder()
    (page,) = pages(folder)
    assert list(page.read()) == []
    recorder.note(3, 1, 7, 100e-9, 200e-9)
    recorder.note(-1, 2, 8, 300e-9, 400e-9, 0)
    assert list(page.read()) == [Record(3, 1, 7, 100, 200, -1), Record(-1, 2, 8, 300, 400, 0)]
    assert list(page.read()) == []
    recorder.note(4, 1, 9, 500e-9, 600e-9, 50)
    assert list(page.read()) == [Record(4, 1, 9, 500, 600, 50)]
    assert (page.pid, page.thread) == (os.getpid(), threading.current_thread().name)


def test_a_file_grows(folder: RecordFolder) -> None:
    recorder = folder.recorder()
    for i in range(20_000):
        recorder.note(0, 1, i, i, i + 1)
    (page,) = pages(folder)
    assert [r.which for r in page.read()] == list(range(20_000))
    assert not page.full


def test_a_file_that_is_full_takes_no_more(
    folder: RecordFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recording, "_MOST_CHUNKS", 1)
    recorder = folder.recorder()
    for i in range(10_000):
        recorder.note(0, 1, i, i, i + 1)
    (page,) = pages(folder)
    count = len(list(page.read()))
    assert count == 8192 - 8
    assert page.full


def test_without_room_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "no"
    recorder = Recorder(str(folder / "file"))
    folder.mkdir()  # which is too late: it is not tried for every record
    for _ in range(3):
        recorder.note(0, 1, 2, 3, 4)
    assert recorder.timed(0, 1, 2, abs, -5) == 5
    assert not os.listdir(folder)


def test_every_thread_has_a_file(folder: RecordFolder) -> None:
    def write() -> None:
        folder.recorder().note(0, 1, 2, 3e-9, 4e-9)

    write()
    thread = threading.Thread(target=write, name="other")
    thread.start()
    thread.join()
    write()
    found = {tuple(page.read()): page.thread for page in pages(folder)}
    record = Record(0, 1, 2, 3, 4, -1)
    assert sorted(map(len, found)) == [1, 2]
    assert found[record,] == "other"


def test_times_are_those_of_the_call(folder: RecordFolder) -> None:
    recorder = folder.recorder()
    assert recorder.timed(5, 1, 3, lambda x: recorder.timed(6, 2, 4, abs, x), -1) == 1
    (page,) = pages(folder)
    inner, outer = page.read()
    assert (inner.what, inner.many, inner.which) == (6, 2, 4)
    assert (outer.what, outer.many, outer.which) == (5, 1, 3)
    assert outer.begin <= inner.begin <= inner.end <= outer.end
    # the first is always asked for its processor time, and then so is all within it
    assert 0 <= inner.processor <= outer.processor


def test_processor_times_are_asked_for_now_and_then(folder: RecordFolder) -> None:
    recorder = folder.recorder()
    recorder.timed(0, 1, 1, lambda x: recorder.timed(1, 1, 1, abs, x), -1)  # the first
    assert not recorder.sampling
    assert recorder.due > 0
    recorder.due = 1e300
    recorder.timed(0, 1, 2, lambda x: recorder.timed(1, 1, 2, abs, x), -1)
    recorder.due = 0.0
    recorder.timed(0, 1, 3, abs, -1)
    assert 0 < recorder.due < 1e300
    (page,) = pages(folder)
    sampled = [(r.which, r.processor >= 0) for r in page.read()]
    assert sampled == [(1, True), (1, True), (2, False), (2, False), (3, True)]


def test_times_are_those_of_the_clock_in_nanoseconds(folder: RecordFolder) -> None:
    began = time.perf_counter_ns()
    recording.note(recording.LOAD, 1, 2, began)
    ended = time.perf_counter_ns()
    (page,) = pages(folder)
    (record,) = page.read()
    rounded = 100  # a float of seconds has 4 ns where the machine has been up for a year
    assert abs(record.begin - began) < rounded
    assert began - rounded < record.end < ended + rounded


def test_what_fails_is_written_too(folder: RecordFolder) -> None:
    for due in (0.0, 1e300):  # with processor time, and without
        folder.recorder().due = due
        with pytest.raises(ZeroDivisionError):
            folder.recorder().timed(1, 1, 1, (1).__floordiv__, 0)
    (page,) = pages(folder)
    with_time, without = page.read()
    assert with_time.processor >= 0 > without.processor


def test_a_book_is_one_however_it_is_copied(folder: RecordFolder) -> None:
    assert pickle.loads(pickle.dumps(folder)) is folder
    assert recording.active == (folder,)
    recording.note(recording.SEND, 3, 100, 5)
    (page,) = pages(folder)
    (record,) = page.read()
    assert record[:4] == (recording.SEND, 3, 100, 5)


def test_a_forked_child_writes_into_a_file_of_its_own(folder: RecordFolder) -> None:
    folder.recorder().note(0, 1, 1, 1, 1)
    pid = os.fork()
    if not pid:
        folder.recorder().note(0, 1, 2, 2, 2)
        os._exit(0)
    os.waitpid(pid, 0)
    folder.recorder().note(0, 1, 3, 3, 3)
    written = {}
    for page in pages(folder):
        records = [r.which for r in page.read()]
        written[page.pid] = records
    assert written == {os.getpid(): [1, 3], pid: [2]}
