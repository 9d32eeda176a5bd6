"""Records that are sent, clocks of other machines, and folders with several users."""

import os
import pickle
import threading
from pathlib import Path

import pytest

from seqtools._core import distant_records, recording
from seqtools._core.distant_records import DistantFolder, folders
from seqtools._core.record_files import RecordFile
from seqtools.engines.cluster.arriving_records import ArrivingRecords, Clock, machine_name


def received(folder: Path) -> list[RecordFile]:
    return [RecordFile(str(path)) for path in sorted(folder.iterdir())]


@pytest.fixture
def distant(tmp_path: Path) -> DistantFolder:
    return DistantFolder(str(tmp_path))


def test_records_are_taken_once(distant: DistantFolder, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(distant_records, "_PART", 4)
    recorder = distant.recorder()
    taken = bytearray()
    for i in range(11):
        recorder.note(0, 1, i, 1.0, 2.0)
        if i in {0, 3, 4}:
            [sent] = distant.take()
            assert sent.before == len(taken)
            taken += sent.data
    assert len(taken) == 5 * recording.SIZE
    [sent] = distant.take()
    assert len(sent.data) == 6 * recording.SIZE
    assert distant.take() == []


def test_without_anybody_to_take_them_records_are_lost(
    distant: DistantFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(distant_records, "_PART", 4)
    monkeypatch.setattr(distant_records, "_MOST_PARTS", 2)
    recorder = distant.recorder()
    for i in range(20):
        recorder.note(0, 1, i, 1.0, 2.0)
    [sent] = distant.take()
    assert len(sent.data) == 8 * recording.SIZE
    for i in (20, 21):  # at the first of them, there is room again
        recorder.note(0, 1, i, 1.0, 2.0)
    assert len(distant.take()) == 1


def test_a_thread_that_has_ended_is_forgotten(distant: DistantFolder) -> None:
    thread = threading.Thread(target=lambda: distant.recorder().note(0, 1, 2, 3.0, 4.0))
    thread.start()
    thread.join()
    assert len(distant.take()) == 1
    assert distant._recorders == []


def sending(
    machine: str, received: float, answered: float, records: object = ()
) -> tuple[object, ...]:
    return machine, "host7", received, answered, records


@pytest.mark.parametrize("there", [True, False], ids=["there", "hidden"])
def test_answers_in_any_order_make_one_file(
    distant: DistantFolder, tmp_path: Path, there: bool
) -> None:
    folder = recording.opened(str(tmp_path))
    arriving = ArrivingRecords()
    machine = "there" if there else machine_name()
    recorder = distant.recorder()
    sent = []
    for i in range(3):
        recorder.note(0, 1, i, 1e6 + i, 1e6 + i + 0.5)
        sent.append(tuple(map(tuple, distant.take())))
    for number, records in enumerate([sent[1], sent[0], sent[2]]):
        assert arriving.posted(number)
        arriving.arrived(number, sending(machine, 1e9, 1e9, records))
    [file] = received(tmp_path)
    assert [record.which for record in file.read()] == [0, 1, 2]
    assert (file.machine, file.host) == (("there", "host7") if there else ("", ""))
    recording.close(folder)
    assert not arriving.posted(4)
    assert not arriving._sent


def test_folders_of_others_are_not_written_to(distant: DistantFolder, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    folder = recording.opened(str(other))
    distant.recorder().note(0, 1, 2, 3.0, 4.0)
    arriving = ArrivingRecords()
    arriving.posted(1)
    arriving.arrived(1, sending("there", 1.0, 2.0, [tuple(each) for each in distant.take()]))
    assert received(tmp_path / "other") == []
    recording.close(folder)


def test_the_quickest_calls_tell_the_difference_of_clocks() -> None:
    clock = Clock()
    clock.note(sent=0.0, received=100.5, answered=100.6, arrived=0.7)
    assert (round(clock.ahead, 6), round(clock.within, 6)) == (100.2, 0.3)
    clock.note(sent=1.0, received=101.1, answered=109.0, arrived=9.05)
    clock.note(sent=2.0, received=103.0, answered=103.0, arrived=4.0)  # which was slow both times
    assert (round(clock.ahead, 6), round(clock.within, 6)) == (100.025, 0.075)
    same = Clock()
    same.note(sent=1.0, received=1.1, answered=1.2, arrived=1.4)
    assert (same.ahead, round(same.within, 6)) == (0.0, 0.2)


def test_more_knowledge_of_a_clock_moves_earlier_records(
    distant: DistantFolder, tmp_path: Path
) -> None:
    folder = recording.opened(str(tmp_path))
    arriving, recorder = ArrivingRecords(), distant.recorder()
    moved = []

    class File(RecordFile):
        def move(self, nanoseconds: int) -> None:
            moved.append(nanoseconds)

    def answer(number: int, late: float) -> None:
        recorder.note(0, 1, number, 1e5, 1e5)
        arriving.posted(number)
        now = arriving._sent[number] + 1e5
        records = [tuple(each) for each in distant.take()]
        arriving.arrived(number, sending("there", now + late, now + late, records))

    answer(1, 1000.0)
    [path] = tmp_path.iterdir()
    file = File(str(path))
    assert len(list(file.read())) == 1
    first = file.ahead
    answer(2, 0.0)
    assert len(list(file.read())) == 1
    assert abs(first - (1e5 + 1000) * 1e9) < 1e9 * 1000
    assert moved == [-first, first - file.ahead]
    recording.close(folder)


def test_a_folder_is_closed_for_its_last_user(tmp_path: Path) -> None:
    folder = recording.opened(str(tmp_path))
    data = pickle.dumps(folder)
    with recording.opening(folders(is_near=True)) as first:
        assert pickle.loads(data) is folder
    with recording.opening(folders(is_near=False)) as second:
        assert pickle.loads(data) is folder
    assert first == second == [folder]
    recording.close(*first)
    recording.close(folder)
    assert recording.active == (folder,)
    recording.close(*second)
    assert recording.active == ()


@pytest.mark.parametrize("is_near", [True, False])
def test_a_folder_is_near_if_it_can_be_written_to(tmp_path: Path, is_near: bool) -> None:
    for path, here in ((tmp_path, is_near), (tmp_path / "no", False)):
        data = b"cseqtools._core.recording\nopened\n(V%s\ntR." % os.fsencode(path)
        with recording.opening(folders(is_near=is_near)) as found:
            folder = pickle.loads(data)
        assert isinstance(folder, DistantFolder) != here
        recording.close(*found)
    assert recording.active == ()


def test_what_a_pipeline_has_opened_is_closed_if_it_cannot_be_loaded(tmp_path: Path) -> None:
    data = b"c__builtin__\nlen\n(cseqtools._core.recording\nopened\n(V%s\ntRtR."
    with pytest.raises(TypeError), recording.opening(folders(is_near=True)):
        pickle.loads(data % os.fsencode(tmp_path))  # the length of a folder
    assert recording.active == ()


def test_a_long_name_fits_into_the_header(tmp_path: Path) -> None:
    fields = {"pid": 1, "ident": 2, "thread": "\N{SNOWMAN}" * 500, "host": "h" * 500}
    path = tmp_path / "file"
    path.write_bytes(recording.header(fields))
    file = RecordFile(str(path))
    assert list(file.read()) == []
    assert file.thread
    assert set(file.thread) == {"\N{SNOWMAN}"}
