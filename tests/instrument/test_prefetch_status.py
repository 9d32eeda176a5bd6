"""What stands after a bar: the window, the workers, and the share of time that was waited."""

from collections.abc import Callable, Iterator
from typing import Any

import pytest

import seqtools
from seqtools.extend import Traits
from seqtools.instrument import debug, progress
from seqtools.instrument import prefetch_status as loads
from seqtools.instrument.prefetch_status import PrefetchStatus
from seqtools.prefetching.status import Status
from tests.instrument.terminal import Terminal, bars


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    yield Terminal()
    assert not bars()


def test_what_the_prefetch_does(terminal: Terminal) -> None:
    with seqtools.prefetch(seqtools.smap(abs, range(400)), 2, max_cached=100) as p:
        batches = seqtools.batch(debug(p, lambda *_: None), 10)
        for k, _ in enumerate(progress(batches, file=terminal, mininterval=0)):
            if k == 30:
                break
    assert "/100, " in terminal.shown()[-1]
    assert "/2 busy, " in terminal.shown()[-1]


class Ahead(seqtools.LazySequence[int]):
    """A prefetch that says what it is told to."""

    _traits = Traits(reads_ahead=True)

    def __init__(self, *load: int) -> None:
        self._told = Status(*load)

    def _status(self) -> Status:
        return self._told

    def _size(self) -> int:
        return 3


@pytest.mark.parametrize(
    ("stages", "told"),
    [
        ([], "25% waited"),
        ([Ahead()], "25% waited"),
        ([Ahead(37, 3, 100, 2, 2)], "window 37/100, 2/2 busy, 25% waited"),
        ([Ahead(3, 0, 10, 0, 1), Ahead(4, 0, 20, 2, 3)], "window 7/30, 2/4 busy, 25% waited"),
        ([Ahead(999, 0, 1000, 12, 12)], "window 999/1000, 12/12 busy, 25% waited"),
        ([Ahead(4000, 0, 4096, 128, 128)], "window 98%, 128/128 busy, 25% waited"),
        ([Ahead(4000, 0, 4096, 123456, 123456)], "123456/123456 busy, 25% waited"),
    ],
)
def test_what_is_told(stages: list[Any], told: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(loads, "perf_counter", lambda: 100.0)
    status = PrefetchStatus(seqtools.concatenate([[1], *stages, *stages]))
    status.begin()
    assert status.text() == told.replace("25%", "0%")
    status.note(2.0, 108.0)
    assert status.text() == told
    assert len(told) <= 40


def test_only_the_nearest_prefetches_are_asked() -> None:
    inner = Ahead(1, 0, 1, 1, 1)

    class Outer(Ahead):
        def _sources(self) -> tuple[Any, ...]:
            return (inner,)

    outer = Outer(0, 0, 5, 0, 2)
    assert list(loads.nearest_prefetches(seqtools.batch(outer, 2))) == [outer]


def test_it_is_looked_up_only_when_the_bar_is_drawn(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[None] = []
    told: Callable[[PrefetchStatus], str] = PrefetchStatus.text

    def noting(status: PrefetchStatus) -> str:
        asked.append(None)
        return told(status)

    monkeypatch.setattr(PrefetchStatus, "text", noting)
    assert len(list(progress(range(1000), file=terminal, mininterval=1000))) == 1000
    assert len(asked) <= 2


def test_what_the_user_puts_there_stays(terminal: Terminal) -> None:
    assert list(progress(range(3), file=terminal, postfix={"a": 1}, initial=2)) == [0, 1, 2]
    assert ", a=1]" in terminal.shown()[-1]
    assert "5/3" in terminal.shown()[-1] or "5it" in terminal.shown()[-1]
