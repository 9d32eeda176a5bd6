"""What workers print is shown by who reads, and harms nobody."""

import contextlib
import functools
import io
import itertools
import signal
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools.engines.dispatch import output_display
from seqtools.engines.process import operator
from seqtools.engines.process.engine import ProcessEngine
from tests.children import forked
from tests.engines.driven import Driven, still
from tests.engines.engines import OPTIONS
from tests.engines.fifo import Fifo
from tests.engines.shown import lines_of, say, shown

MakeFifo = Callable[[], Fifo]


def processes(source: Any, **more: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(source, **OPTIONS["process"] | more)


class Noting(io.StringIO):
    """A stream that notes who writes to it."""

    def __init__(self) -> None:
        super().__init__()
        self.writers: set[int] = set()

    def write(self, text: str) -> int:
        self.writers.add(threading.get_ident())
        return super().write(text)


def test_only_threads_that_read_show_what_is_printed(fifo: MakeFifo) -> None:
    printed = fifo()

    def get(x: int) -> int:
        say(x)
        if x == 8:
            printed.send()
        return x

    out = Noting()
    with shown(out), processes(seqtools.smap(get, range(60)), max_cached=10) as p:
        items = iter(p)
        assert next(items) == 0
        printed.wait()  # while a thread of ours reads from the workers
        assert list(items) == list(range(1, 60))
    assert sorted(map(int, lines_of(out))) == list(range(60))
    assert out.writers == {threading.get_ident()}


def test_a_stream_that_reads_what_is_being_read() -> None:
    def get(x: int) -> int:
        if x != 3:
            say(x)
        return x

    class Reading(io.StringIO):
        def write(self, text: str) -> int:
            assert p[3] == 3
            return super().write(text)

    out = Reading()
    p = processes(seqtools.smap(get, range(40)))
    with shown(out), p:
        assert list(p) == list(range(40))
    assert set(map(int, lines_of(out))) == set(range(40)) - {3}


def test_a_stream_that_waits_for_another_reader() -> None:
    def get(x: int) -> int:
        say(x)
        return x

    class Waiting(io.StringIO):
        def write(self, text: str) -> int:
            if not others:
                others.append(threading.Thread(target=lambda: read.extend(p)))
                others[0].start()
                others[0].join(20)
                done.append(not others[0].is_alive())
            return super().write(text)

    others: list[threading.Thread] = []
    read: list[int] = []
    done: list[bool] = []
    p = processes(seqtools.smap(get, range(40)), max_cached=10)
    with shown(Waiting()), p:
        assert list(p) == list(range(40))
    assert (read, done) == (list(range(40)), [True])


def test_a_stream_that_raises_is_told_once(monkeypatch: pytest.MonkeyPatch) -> None:
    def get(x: int) -> int:
        say(x)
        return x

    class Refusing(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(text)

    monkeypatch.setattr(output_display._shower, "_complained", set[str]())
    with (
        shown(Refusing()),
        processes(seqtools.smap(get, range(40))) as p,
        pytest.warns(RuntimeWarning, match="sys.stdout raised OSError") as told,
    ):
        assert list(p) == list(range(40))
    assert len(told) == 1


def test_an_interrupt_while_it_is_shown_costs_no_item() -> None:
    def get(x: int) -> int:
        say(x)
        return x

    class Interrupted(io.StringIO):
        def write(self, text: str) -> int:
            if next(count) % 3 == 1:
                raise KeyboardInterrupt
            return super().write(text)

    count, read, interrupts = itertools.count(), list[int](), 0
    with shown(Interrupted()), processes(seqtools.smap(get, range(40))) as p:
        items = iter(p)
        while len(read) < 40:
            try:
                read.append(next(items))
            except KeyboardInterrupt:
                interrupts += 1
    assert read == list(range(40))
    assert interrupts


def test_no_stream_at_all() -> None:
    def get(x: int) -> int:
        say(x)
        return x

    with contextlib.redirect_stdout(None), processes(seqtools.smap(get, range(9))) as p:
        assert list(p) == list(range(9))


def test_a_stream_that_cannot_encode_everything() -> None:
    def get(x: int) -> int:
        say("ä", x)
        return x

    out = io.TextIOWrapper(io.BytesIO(), encoding="ascii", newline="\n")
    with shown(out), processes(seqtools.smap(get, [7]), nworkers=1) as p:
        assert p[0] == 7
    out.flush()
    assert out.buffer.getvalue() == b"\\xe4 7\n"  # type: ignore[attr-defined]


def test_a_forked_child_does_not_show_what_its_parent_is_to_show() -> None:
    with shown() as out:
        output_display.said.append("a line\n")
        assert forked(lambda: (output_display.show(), not out.getvalue())[-1])  # type: ignore[func-returns-value]
        output_display.show()
    assert out.getvalue() == "a line\n"


def test_what_is_left_is_shown_with_the_next_read() -> None:
    with shown() as out:
        output_display.said.append("a line\n")
        output_display.show_last(wait=False)  # by the garbage collector, perhaps
        assert not out.getvalue()
        with seqtools.prefetch(range(3), 1) as p:
            assert p[0] == 0
            assert out.getvalue() == "a line\n"


@pytest.mark.parametrize("first", ["", "import weakref; weakref.finalize(weakref, int)"])
def test_what_is_left_is_shown_at_the_end_of_the_program(first: str) -> None:
    # functions for the end are called in order of when the first finalizer was made
    program = (
        f"{first}\n"
        "import seqtools, sys\n"
        "def get(x):\n"
        "    print('item', x)\n"
        "    return x\n"
        "p = seqtools.prefetch(seqtools.smap(get, range(4)), 1, 'process')\n"
        "items = iter(p)\n"
        "print('got', next(items))\n"
        "while p._status().busy:\n"
        "    p._state.pump._engine._operator._thread.join(0.01)\n"
        "print('end')\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=25, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")
    told = done.stdout.splitlines()
    assert sorted(told) == ["end", "got 0", "item 0", "item 1", "item 2", "item 3"]


def test_nothing_is_fetched_while_too_much_waits_to_be_shown(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looked, polled = threading.Semaphore(0), threading.Event()
    engine = Driven(lambda d: ProcessEngine(None, abs, 1, start_method="fork", deliver=d))
    poll = engine.engine._operator.workers.pool.poll

    def polling(seconds: float | None) -> Any:
        polled.set()
        return poll(seconds)

    class Said(deque[str]):
        def __len__(self) -> int:
            looked.release()
            return super().__len__()

    too_much = Said(["a line\n"])
    with still(engine.engine):
        monkeypatch.setattr(engine.engine._operator.workers.pool, "poll", polling)
        monkeypatch.setattr(operator, "said", too_much)
        monkeypatch.setattr(operator, "MOST", 0)
    engine.submit([5])
    for _ in range(4):
        assert looked.acquire(timeout=20)
    assert not polled.is_set()
    too_much.clear()
    assert engine.collect(1) == {5: 5}
    assert polled.is_set()
    too_much.append("a line\n")
    engine.close()


def test_a_reader_is_told_that_something_is_printed() -> None:
    engine = Driven(lambda d: ProcessEngine(None, print, 1, start_method="fork", deliver=d))
    engine.submit([5])
    engine.has_news()
    with shown() as out:
        output_display.show()
    assert out.getvalue() == "5\n"
    engine.close()


def test_another_thread_shows_what_one_was_interrupted_at() -> None:
    class Interrupted(io.StringIO):
        def write(self, _: str) -> int:
            raise KeyboardInterrupt

    output_display.said.append("interrupted\n")
    with shown(Interrupted()), pytest.raises(KeyboardInterrupt):
        output_display.show()
    with shown() as out:
        output_display.said.append("a line\n")
        thread = threading.Thread(target=output_display.show)
        thread.start()
        thread.join()
    assert out.getvalue() == "interrupted\na line\n"


class _Alarm(Exception):  # noqa: N818 -- nothing went wrong
    pass


def _raise(*_: object) -> None:
    raise _Alarm


class _Handler:
    def __call__(self, *_: object) -> None:
        raise _Alarm

    def handle(self, *_: object) -> None:
        raise _Alarm


@pytest.mark.parametrize(
    "handler", [_raise, _Handler(), _Handler().handle, functools.partial(_raise, 1)]
)
def test_what_a_signal_handler_raises_is_no_error_of_the_stream(handler: Any) -> None:
    class Slow(io.StringIO):
        def write(self, text: str) -> int:
            signal.raise_signal(signal.SIGUSR1)
            return super().write(text)

    before = signal.signal(signal.SIGUSR1, handler)
    try:
        output_display.said.append("a line\n")
        with shown(Slow()), pytest.raises(_Alarm):
            output_display.show()
    finally:
        signal.signal(signal.SIGUSR1, before)
    with shown() as out:
        output_display.show()
    assert out.getvalue() == "a line\n"
