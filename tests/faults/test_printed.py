"""What workers print where something goes wrong: whole lines, and no harm to items."""

import contextlib
import os
import signal
from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import ItemTimeout, WorkerDied
from seqtools.engines.wire import result_messages
from seqtools.engines.wire.arena import SlotPlace
from tests.engines.fifo import Fifo
from tests.engines.shown import lines_of, say, shown
from tests.faults import consumers, wrecking
from tests.faults.consumers import Consumer, number_of

MakeFifo = Callable[[], Fifo]
START_METHODS = ["template", "spawn", "fork"]

pytestmark = pytest.mark.parametrize("start_method", START_METHODS)


def prefetch(get: Any, n: int, start_method: str, **more: Any) -> seqtools.Prefetch[Any]:
    source = seqtools.smap(get, range(n))
    return seqtools.prefetch(source, 1, "process", start_method=start_method, **more)


def test_a_worker_that_dies_between_two_lines(start_method: str) -> None:
    def get(x: int) -> int:
        say("begin", x)
        if x == 3:
            say("not complete", end="")
            os.kill(os.getpid(), signal.SIGKILL)
        say("end", x)
        return x

    with shown() as out, prefetch(get, 6, start_method) as p:
        for x in range(6):
            with pytest.raises(seqtools.EvaluationError) if x == 3 else contextlib.nullcontext():
                assert p[x] == x
    lines = lines_of(out)
    assert lines.count("begin 3") == 2  # over it, two workers have died
    assert set(lines) == {f"{w} {x}" for x in range(6) for w in ("begin", "end")} - {"end 3"}


def test_a_worker_that_dies_in_the_middle_of_a_long_text(start_method: str) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> int:
        if x == 1:
            for fd in wrecking.channels(ours):
                with contextlib.suppress(OSError):
                    head = (result_messages.BEGINS, 0, 0, result_messages.PRINTED, 0.0)
                    result_messages.write_result(fd, head, "half \u20ac".encode()[:-1])
            os.kill(os.getpid(), signal.SIGKILL)
        say(x)
        return x

    with shown() as out, prefetch(get, 3, start_method) as p:
        assert p[0] == 0
        with pytest.raises(seqtools.EvaluationError) as caught:
            p[1]
        assert isinstance(caught.value.__cause__, WorkerDied)
        assert p[2] == 2
    assert lines_of(out) == ["0", *["half \\xe2\\x82"] * 2, "2"]


def test_a_text_that_is_somewhere_else_is_damage(start_method: str) -> None:
    ours = wrecking.inodes()

    def get(x: int) -> int:
        if x == 0:
            for fd in wrecking.channels(ours):
                with contextlib.suppress(OSError):
                    head = (
                        result_messages.BEGINS | result_messages.ENDS,
                        0,
                        0,
                        result_messages.PRINTED,
                        0.0,
                    )
                    result_messages.write_result(fd, head, SlotPlace(99, 1 << 50, 5))
        say(x)
        return x

    with shown() as out, prefetch(get, 3, start_method) as p:
        with pytest.raises(seqtools.EvaluationError, match="its data was damaged"):
            p[0]
        assert list(p[1:]) == [1, 2]
    assert sorted(set(lines_of(out)) - {"0"}) == ["1", "2"]


def test_a_worker_that_is_replaced_as_it_takes_too_long(start_method: str, fifo: MakeFifo) -> None:
    gate = fifo()

    def get(x: int) -> int:
        say("begin", x)
        if x == 1:
            gate.wait()
        return x

    with shown() as out, prefetch(get, 3, start_method, timeout=0.3) as p:
        items = iter(p)
        assert next(items) == 0
        with pytest.raises(seqtools.EvaluationError) as caught:
            next(items)
        assert isinstance(caught.value.__cause__, ItemTimeout)
        assert list(items) == [2]
    assert set(lines_of(out)) == {"begin 0", "begin 1", "begin 2"}


def test_a_signal_handler_that_ends_an_item_that_prints(start_method: str) -> None:
    def end(*_: object) -> None:
        raise TimeoutError

    def get(x: int) -> int:
        if x % 2:
            signal.signal(signal.SIGALRM, end)
            signal.setitimer(signal.ITIMER_REAL, 0.01)
            while True:
                say("a line", "of any length" * 400)
        return os.getpid()

    pids = set()
    with shown() as out, prefetch(get, 20, start_method) as p:
        for x in range(20):
            if x % 2:
                with pytest.raises(seqtools.EvaluationError) as caught:
                    p[x]
                assert isinstance(caught.value.__cause__, TimeoutError)
            else:
                pids.add(p[x])
    assert len(pids) == 1  # nobody was replaced
    # a text is cut off where its worker was interrupted while it sent it
    whole = "a line " + "of any length" * 400
    assert all(whole.startswith(line) for line in lines_of(out))


def test_an_item_for_whose_text_there_is_no_memory(start_method: str) -> None:
    class Large(str):
        __slots__ = ()

        def __str__(self) -> str:
            raise MemoryError

    def get(x: int) -> int:
        say(Large() if x == 1 else x)
        return x

    with shown() as out, prefetch(get, 3, start_method) as p:
        assert p[0] == 0
        with pytest.raises(seqtools.EvaluationError) as caught:
            p[1]
        assert isinstance(caught.value.__cause__, MemoryError)
        assert p[2] == 2
    assert sorted(lines_of(out)) == ["0", "2"]


def test_a_program_that_ends_while_workers_print_for_ever(
    start_method: str, fifo: MakeFifo
) -> None:
    with Consumer(consumers.PRINTING, start_method, fifo, end="sys.exit(3)") as consumer:
        consumer.begun.wait(2)
        assert consumer.watch() == number_of(start_method)
        consumer.tell_to_end()
        code, told, error = consumer.ended()
        assert (code, error) == (3, "")
        assert consumer.gone()
    assert told.endswith("\n")
    assert {line[:-1] for line in told.splitlines()} == {"a line, printed again and again "}


def test_a_program_that_is_killed_while_workers_print_for_ever(
    start_method: str, fifo: MakeFifo
) -> None:
    with Consumer(consumers.PRINTING, start_method, fifo) as consumer:
        consumer.begun.wait(2)
        assert consumer.watch() == number_of(start_method)
        consumer.program.kill()
        assert consumer.gone()


def test_closing_while_workers_print_for_ever(start_method: str, fifo: MakeFifo) -> None:
    begun = fifo()

    def get(_: int) -> int:
        say("the first line")
        begun.send()
        while True:
            say("a line")

    with shown() as out, prefetch(get, 3, start_method) as p:
        p._hint(None, range(3))  # so that it begins, and nobody waits for it
        begun.wait()
    assert out.getvalue().startswith("the first line\n")
    assert set(lines_of(out)) <= {"the first line", "a line"}
