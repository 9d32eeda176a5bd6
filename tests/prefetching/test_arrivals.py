"""Readers that wait are woken by what they wait for."""

from seqtools._core.errors import WorkerStartError
from seqtools.engines.base import Part
from seqtools.prefetching.arrivals import Arrivals
from seqtools.prefetching.reader import Reader


def waiting(arrivals: Arrivals, job: int | None) -> Reader:
    reader = Reader(range(10))
    arrivals.await_(reader, job)
    return reader


def rung(reader: Reader) -> bool:
    """Return whether the bell of a reader was rung; it is silent then."""
    return reader.wakeup.clear()


def test_a_reader_is_woken_by_its_job_alone_or_by_any() -> None:
    arrivals = Arrivals()
    one, other, either = (waiting(arrivals, job) for job in (1, 2, None))
    arrivals.deliver(Part(1, 0, ["a"]))
    assert [rung(each) for each in (one, other, either)] == [True, False, True]


def test_what_is_about_no_job_wakes_all() -> None:
    arrivals = Arrivals()
    readers = [waiting(arrivals, job) for job in (1, 2, None)]
    arrivals.deliver(None)
    assert all(rung(each) for each in readers)
    assert not arrivals.parts
    arrivals.deliver(WorkerStartError("none"))
    assert all(rung(each) for each in readers)
    arrivals.wake()
    assert all(rung(each) for each in readers)


def test_what_came_before_a_reader_waits_wakes_it() -> None:
    arrivals = Arrivals()
    arrivals.deliver(Part(1, 0, ["a"]))
    assert rung(waiting(arrivals, 1))


def test_what_woke_a_reader_before_does_not_wake_it_again() -> None:
    arrivals = Arrivals()
    reader = waiting(arrivals, 1)
    arrivals.deliver(None)
    arrivals.await_(reader, 1)
    assert not rung(reader)


def test_a_reader_that_has_left_is_not_woken() -> None:
    arrivals = Arrivals()
    reader, other = waiting(arrivals, 1), waiting(arrivals, 1)
    arrivals.leave(reader)
    arrivals.deliver(Part(1, 0, ["a"]))
    assert [rung(reader), rung(other)] == [False, True]
