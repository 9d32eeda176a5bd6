"""How what is printed gets into the pipe of a worker, and out of it."""

import os
from collections.abc import Callable
from typing import Any

import pytest

from seqtools.engines.dispatch import output_display
from seqtools.engines.process import output
from seqtools.engines.wire import result_messages
from tests.engines.fifo import Fifo
from tests.faults.test_bytes import Pieces

MakeFifo = Callable[[], Fifo]


def test_a_text_that_was_cut_off_is_a_line() -> None:
    heard = output_display.WorkerOutput()
    for piece in (b"wh", b"ole\n", b"cut ", b"off"):
        heard.add(piece)
    heard.end()
    assert [output_display.said.popleft() for _ in range(2)] == ["whole\n", "cut off\n"]
    assert not output_display.said


def sent_by(act: Callable[[output.OutputPipe], object]) -> list[result_messages.Result]:
    """Return the messages that an outlet sends."""
    ours, theirs = os.pipe()
    try:
        act(output.OutputPipe(theirs))
        os.close(theirs)
        with open(ours, "rb", closefd=False) as file:
            reader = result_messages.ResultReader(Pieces(file.read()))
        results, _ = reader.read()
        assert reader.read() == ([], False)
        assert reader.damage is None
        return results
    finally:
        os.close(ours)


READY = (0, 0, 0, result_messages.READY, 0.0)


def kinds(results: list[result_messages.Result]) -> list[int]:
    return [result.kind for result in results]


def test_where_nothing_is_printed_nothing_is_sent() -> None:
    def act(outlet: output.OutputPipe) -> None:
        for _ in range(3):
            outlet.answer(READY)
        outlet.lines.flush()

    assert kinds(sent_by(act)) == [result_messages.READY] * 3


def test_a_message_fits_into_what_a_pipe_takes_in_one_step(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    sizes: list[int] = []
    write = os.write

    def noting(fd: int, data: Any) -> int:
        sizes.append(len(data))
        return write(fd, data)

    monkeypatch.setattr(os, "write", noting)
    texts = [b"x" * n + b"\n" for n in (1, 3800, 3900, 4000, 9000)]
    sent = sent_by(lambda outlet: [outlet.lines.write(text) for text in texts])
    assert max(sizes) <= 4096
    assert len(sent) == len(sizes)


def test_who_prints_in_the_midst_of_a_message_does_not_break_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    write, outlets = os.write, list[output.OutputPipe]()

    def interrupted(fd: int, data: Any) -> int:
        if outlets:  # a signal handler of the user's
            outlets.pop().lines.write(b"from a handler\n")
        return write(fd, data)

    def act(outlet: output.OutputPipe) -> None:
        outlets.append(outlet)
        outlet.answer(READY)

    monkeypatch.setattr(os, "write", interrupted)
    assert kinds(sent_by(act)) == [result_messages.READY, result_messages.PRINTED]


def test_one_that_prints_for_ever_keeps_nobody_from_the_others() -> None:
    class Endless:
        def read(self, _: int, /) -> bytes:
            return message

        def readinto(self, _: memoryview, /) -> int:
            raise AssertionError

    ours, theirs = os.pipe()
    result_messages.write_result(theirs, (0, 0, 0, result_messages.PRINTED, 0.0), b"again\n" * 9000)
    os.close(theirs)
    with open(ours, "rb") as file:
        message = file.read()
    results, more = result_messages.ResultReader(Endless()).read()
    assert more
    assert set(kinds(results)) == {result_messages.PRINTED}
