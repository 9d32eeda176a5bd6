"""Threads that read ahead of a cache, when something fails: it is told to nobody."""

import threading
from typing import Any

import pytest

import seqtools
from seqtools import LazySequence, add_cache, smap
from seqtools.prefetching.hints import hints
from tests.threads import elsewhere


@pytest.fixture(params=["thread", "process"])
def method(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.mark.parametrize("error", [OSError, SystemExit, KeyboardInterrupt])
def test_what_a_reader_ahead_fails_with_is_told_to_nobody(
    method: str, error: type[BaseException]
) -> None:
    def load(k: int) -> list[int]:
        if threading.current_thread().name == "seqtools-reader":
            raise error
        return [k] * 4

    samples = seqtools.unbatch(add_cache(smap(load, range(20)), 3), 4)
    with seqtools.prefetch(samples, 2, method) as p:
        assert list(p) == [i // 4 for i in range(80)]


class Unsaid(LazySequence[Any]):
    """A stage that fails to say what it reads."""

    def __init__(self, source: Any) -> None:
        self._source = source

    def _size(self) -> int:
        return len(self._source)

    def _get(self, i: int) -> Any:
        return self._source[i]

    def _args(self) -> tuple[Any, ...]:
        return (self._source,)

    _sources = _args

    def _reads(self, indices: Any) -> Any:
        raise OSError(indices)


def test_a_stage_that_fails_to_say_what_it_reads_gets_no_hints(method: str) -> None:
    with seqtools.prefetch(Unsaid(add_cache(range(40), 4)), 2, method) as p:
        assert list(p) == list(range(40))


def test_where_no_thread_can_be_started_nothing_is_read_ahead(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def start(_: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", start)
    cached = add_cache(range(5), 3)
    tell = hints(cached)
    assert tell is not None
    tell(range(5))
    assert list(cached) == list(range(5))
    tell.end()


def test_an_owner_that_is_collected_while_another_is_noted() -> None:
    ahead = add_cache(range(5), 3)._state[0].ahead

    class Collecting(list[int]):
        """Indices at whose length the garbage is collected, and an owner with it."""

        def __len__(self) -> int:
            ahead.want("other", range(0), None)
            return 0

    assert elsewhere(lambda: ahead.want("one", Collecting(), None)) is None
