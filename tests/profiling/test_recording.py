"""What threads and processes write down, and how it is read."""

import os
import pickle
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqtools import recording
from seqtools.recording import Book, Page, Pen, Record


@pytest.fixture
def book(tmp_path: Path) -> Iterator[Book]:
    book = recording.opened(str(tmp_path))
    yield book
    recording.close(book)


def pages(book: Book) -> list[Page]:
    names = sorted(os.listdir(book.folder))
    return [Page(os.path.join(book.folder, name)) for name in names]


def test_what_is_written_is_read_at_once(book: Book) -> None:
    pen = book.pen()
    (page,) = pages(book)
    assert list(page.read()) == []
    pen.note(3, 1, 7, 100e-9, 200e-9)
    pen.note(-1, 2, 8, 300e-9, 400e-9, 0)
    assert list(page.read()) == [Record(3, 1, 7, 100, 200, -1), Record(-1, 2, 8, 300, 400, 0)]
    assert list(page.read()) == []
    pen.note(4, 1, 9, 500e-9, 600e-9, 50)
    assert list(page.read()) == [Record(4, 1, 9, 500, 600, 50)]
    assert (page.pid, page.thread) == (os.getpid(), threading.current_thread().name)


def test_a_file_grows(book: Book) -> None:
    pen = book.pen()
    for i in range(20_000):
        pen.note(0, 1, i, i, i + 1)
    (page,) = pages(book)
    assert [r.which for r in page.read()] == list(range(20_000))
    assert not page.full


def test_a_file_that_is_full_takes_no_more(book: Book, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(recording, "_MOST_CHUNKS", 1)
    pen = book.pen()
    for i in range(10_000):
        pen.note(0, 1, i, i, i + 1)
    (page,) = pages(book)
    count = len(list(page.read()))
    assert count == 8192 - 8
    assert page.full


def test_without_room_nothing_is_written(tmp_path: Path) -> None:
    folder = tmp_path / "no"
    pen = Pen(str(folder / "file"))
    folder.mkdir()  # which is too late: it is not tried for every record
    for _ in range(3):
        pen.note(0, 1, 2, 3, 4)
    assert pen.timed(0, 1, 2, abs, -5) == 5
    assert not os.listdir(folder)


def test_every_thread_has_a_file(book: Book) -> None:
    def write() -> None:
        book.pen().note(0, 1, 2, 3e-9, 4e-9)

    write()
    thread = threading.Thread(target=write, name="other")
    thread.start()
    thread.join()
    write()
    found = {tuple(page.read()): page.thread for page in pages(book)}
    record = Record(0, 1, 2, 3, 4, -1)
    assert sorted(map(len, found)) == [1, 2]
    assert found[record,] == "other"


def test_times_are_those_of_the_call(book: Book) -> None:
    pen = book.pen()
    assert pen.timed(5, 1, 3, lambda x: pen.timed(6, 2, 4, abs, x), -1) == 1
    (page,) = pages(book)
    inner, outer = page.read()
    assert (inner.what, inner.many, inner.which) == (6, 2, 4)
    assert (outer.what, outer.many, outer.which) == (5, 1, 3)
    assert outer.begin <= inner.begin <= inner.end <= outer.end
    # the first is always asked for its processor time, and then so is all within it
    assert 0 <= inner.processor <= outer.processor


def test_processor_times_are_asked_for_now_and_then(book: Book) -> None:
    pen = book.pen()
    pen.timed(0, 1, 1, lambda x: pen.timed(1, 1, 1, abs, x), -1)  # the first
    assert not pen.sampling
    assert pen.due > 0
    pen.due = 1e300
    pen.timed(0, 1, 2, lambda x: pen.timed(1, 1, 2, abs, x), -1)
    pen.due = 0.0
    pen.timed(0, 1, 3, abs, -1)
    assert 0 < pen.due < 1e300
    (page,) = pages(book)
    sampled = [(r.which, r.processor >= 0) for r in page.read()]
    assert sampled == [(1, True), (1, True), (2, False), (2, False), (3, True)]


def test_times_are_those_of_the_clock_in_nanoseconds(book: Book) -> None:
    began = time.perf_counter_ns()
    recording.note(recording.LOAD, 1, 2, began)
    ended = time.perf_counter_ns()
    (page,) = pages(book)
    (record,) = page.read()
    rounded = 100  # a float of seconds has 4 ns where the machine has been up for a year
    assert abs(record.begin - began) < rounded
    assert began - rounded < record.end < ended + rounded


def test_what_fails_is_written_too(book: Book) -> None:
    for due in (0.0, 1e300):  # with processor time, and without
        book.pen().due = due
        with pytest.raises(ZeroDivisionError):
            book.pen().timed(1, 1, 1, (1).__floordiv__, 0)
    (page,) = pages(book)
    with_time, without = page.read()
    assert with_time.processor >= 0 > without.processor


def test_a_book_is_one_however_it_is_copied(book: Book) -> None:
    assert pickle.loads(pickle.dumps(book)) is book
    assert recording.active == (book,)
    recording.note(recording.SEND, 3, 100, 5)
    (page,) = pages(book)
    (record,) = page.read()
    assert record[:4] == (recording.SEND, 3, 100, 5)


def test_a_forked_child_writes_into_a_file_of_its_own(book: Book) -> None:
    book.pen().note(0, 1, 1, 1, 1)
    pid = os.fork()
    if not pid:
        book.pen().note(0, 1, 2, 2, 2)
        os._exit(0)
    os.waitpid(pid, 0)
    book.pen().note(0, 1, 3, 3, 3)
    written = {}
    for page in pages(book):
        records = [r.which for r in page.read()]
        written[page.pid] = records
    assert written == {os.getpid(): [1, 3], pid: [2]}
