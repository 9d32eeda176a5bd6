"""A bar shows how far an iteration has come; it is closed however that ends."""

import io
import os
import pickle
import subprocess
import sys
import threading
import types
from collections.abc import Iterator
from typing import Any

import pytest

import seqtools
from seqtools.instrument import progress
from tests.engines.engines import OPTIONS
from tests.engines.shown import say, shown
from tests.faults.intruders import everywhere
from tests.instrument.terminal import Terminal, bars

module: Any = sys.modules["seqtools.instrument._progress"]
"""The module, which the function of the same name hides."""


@pytest.fixture
def terminal() -> Iterator[Terminal]:
    yield Terminal()
    assert not bars()


def fail_at_two(x: int) -> int:
    if x == 2:
        raise LookupError
    return x


# When there is one


def test_an_iteration_has_a_bar_from_its_first_item_to_its_end(terminal: Terminal) -> None:
    items = iter(progress(range(5), file=terminal, desc="reading", mininterval=0))
    assert not terminal.getvalue()
    assert next(items) == 0
    assert terminal.shown()[-1].startswith("reading:   0%|")
    assert list(items) == [1, 2, 3, 4]
    assert terminal.shown()[-1].startswith("reading: 100%|")
    assert "5/5" in terminal.shown()[-1]
    assert "% waited]" in terminal.shown()[-1]
    assert terminal.getvalue().endswith("\n")


def test_each_iteration_and_each_slice_has_its_own(terminal: Terminal) -> None:
    shown = progress("abcdef", file=terminal)
    assert [*shown, *shown[1:3], *reversed(shown), *shown[::-1][:1], *shown[0:0]] == [
        *"abcdef",
        *"bc",
        *"fedcba",
        "f",
    ]
    lines = terminal.getvalue().split("\n")
    assert [line.rpartition("| ")[2].split(" ")[0].strip() for line in lines[:-1]] == [
        "6/6",
        "2/2",
        "6/6",
        "1/1",
        "0it",
    ]


def test_reading_by_index_shows_none(terminal: Terminal) -> None:
    shown = progress(range(10), file=terminal)
    assert (shown[3], shown[2:5][1], len(shown), list(seqtools.batch(shown, 10))) == (
        3,
        3,
        10,
        [list(range(10))],
    )
    assert not terminal.getvalue()


def test_a_length_that_is_not_known(terminal: Terminal) -> None:
    source = seqtools.uniter(iter(range(7)))
    assert list(progress(source, file=terminal)) == list(range(7))
    assert terminal.shown()[-1].startswith("7it ")
    endless = iter(progress(seqtools.repeat(1), file=terminal, total=9))
    assert [next(endless), next(endless)] == [1, 1]
    assert "0/9" in terminal.shown()[-1]


@pytest.mark.parametrize(
    ("file", "disable", "seen"),
    [
        (io.StringIO(), None, False),
        (Terminal(), None, True),
        (Terminal(), True, False),
        (io.StringIO(), False, True),
        (types.SimpleNamespace(), None, True),  # of the user's own
    ],
)
def test_it_is_silent_where_nobody_is_looking(file: Any, disable: bool | None, seen: bool) -> None:
    assert module._is_visible({"file": file, "disable": disable}) is seen


def test_without_a_standard_error(monkeypatch: pytest.MonkeyPatch) -> None:
    for stream in (None, io.StringIO(), Terminal()):
        monkeypatch.setattr(sys, "stderr", stream)
        assert module._is_visible({}) == isinstance(stream, Terminal)
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    assert not module._is_visible({})


def test_a_notebook_is_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    shell = types.SimpleNamespace(config={"IPKernelApp": {}})
    ipython = types.SimpleNamespace(get_ipython=lambda: shell)
    monkeypatch.setitem(sys.modules, "IPython", ipython)  # type: ignore[arg-type]
    assert module._is_visible({})
    assert not module._is_visible({"file": io.StringIO()})
    shell.config = {}
    assert not module._is_visible({})


def test_where_nobody_is_looking_tqdm_is_not_imported() -> None:
    program = (
        "import sys, seqtools\n"
        "assert list(seqtools.instrument.progress(range(3))) == [0, 1, 2]\n"
        "print('tqdm' in sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=25, check=True
    )
    assert (done.stdout, done.stderr) == ("False\n", "")


@pytest.mark.parametrize("engine", OPTIONS)
def test_a_worker_that_iterates_shows_none(engine: str) -> None:
    def get(x: int) -> tuple[int, str]:
        terminal = Terminal()
        return sum(progress(range(x), file=terminal)), terminal.getvalue()

    with seqtools.prefetch(seqtools.smap(get, [3, 4]), **OPTIONS[engine]) as p:
        (three, told), (six, _) = p
    assert (three, six) == (3, 6)
    assert bool(told) == (engine == "inline")


def test_one_before_a_prefetch_is_iterated_nowhere(terminal: Terminal) -> None:
    with seqtools.prefetch(progress(range(30), file=terminal), 2) as p:
        assert list(p) == list(range(30))
    assert not terminal.getvalue()


# However it ends


def test_a_break_closes_the_bar(terminal: Terminal) -> None:
    for x in progress(range(9), file=terminal, mininterval=0):
        if x == 4:
            break
    assert not bars()
    assert "4/9" in terminal.shown()[-1]
    assert terminal.getvalue().endswith("\n")


def test_an_exception_closes_the_bar_also_where_it_is_kept(terminal: Terminal) -> None:
    def invert(items: seqtools.LazySequence[int]) -> None:
        for x in progress(items, file=terminal):
            assert len(bars()) == 1
            assert 1 / x

    kept = []
    for items in (seqtools.smap(fail_at_two, range(1, 9)), range(9)):
        try:
            invert(items)
        except (seqtools.EvaluationError, ZeroDivisionError) as error:
            kept.append(error)
        assert not bars()
    assert [type(error) for error in kept] == [seqtools.EvaluationError, ZeroDivisionError]


def test_an_iterator_goes_on_behind_an_item_that_failed(terminal: Terminal) -> None:
    items = iter(progress(seqtools.smap(fail_at_two, range(5)), file=terminal))
    assert [next(items), next(items)] == [0, 1]
    with pytest.raises(seqtools.EvaluationError):
        next(items)
    assert len(bars()) == 1
    assert list(items) == [3, 4]
    assert next(items, "none") == "none"
    assert not bars()
    assert "4/5" in terminal.shown()[-1]


def test_an_interrupt_at_any_place_loses_nothing(terminal: Terminal) -> None:
    def read(intruder: Any) -> None:
        items, seen, interrupts = iter(progress(range(6), file=terminal)), list[int](), 0
        with intruder:
            while len(seen) < 6:
                try:
                    for x in items:
                        seen.append(x)
                except KeyboardInterrupt:
                    interrupts += 1
        assert seen == list(range(6))
        assert interrupts <= 1
        del items

    def interrupt() -> None:
        raise KeyboardInterrupt

    came = [i.came for i in everywhere(read, interrupt, where=(module.__file__,))]
    assert sum(came) > len(came) // 2 > 5


def test_a_file_that_fails_is_told(terminal: Terminal) -> None:
    class Full(Terminal):
        def write(self, text: str) -> int:
            raise OSError(text)

    with pytest.raises(OSError, match="0/3"):
        list(progress(range(3), file=Full()))
    for bar in bars():
        bar.fp = terminal


# Bars in each other


def test_bars_in_each_other_have_places_of_their_own(terminal: Terminal) -> None:
    for _ in progress(range(2), file=terminal):
        for _ in progress(range(3), file=terminal):
            assert sorted(abs(bar.pos) for bar in bars()) == [0, 1]
    assert terminal.getvalue().count("3/3") == 0  # those inside are gone at their end
    assert terminal.getvalue().endswith("\n")
    assert "2/2" in terminal.shown()[-1]


def test_one_inside_stays_if_it_is_to(terminal: Terminal) -> None:
    for _ in progress(range(1), file=terminal):
        list(progress(range(3), file=terminal, leave=True))
    assert "3/3" in terminal.getvalue()


def test_side_by_side(terminal: Terminal) -> None:
    first, second = (progress(range(4), file=terminal, desc=name) for name in "ab")
    assert list(zip(first, second, strict=True)) == [(i, i) for i in range(4)]
    assert not bars()


# As a sequence


def test_a_copy_has_all_options_but_the_file(terminal: Terminal) -> None:
    shown = progress([1, 2], file=terminal, desc="one", disable=True)
    copy = pickle.loads(pickle.dumps(shown))
    assert repr(copy).startswith("progress(desc='one', disable=True) ")
    assert copy._origin == shown._origin  # type: ignore[attr-defined]
    assert repr(progress([1, 2])).startswith("progress() ")


def test_items_are_assigned_through_slices(terminal: Terminal) -> None:
    items = [1, 2, 3]
    shown = progress(items, file=terminal)
    shown[1:][0] = 5  # type: ignore[index]
    shown[0] = 4  # type: ignore[index]
    assert items == [4, 5, 3]


def test_items_come_in_the_order_in_which_they_become_ready(terminal: Terminal) -> None:
    gate = threading.Event()

    def get(x: int) -> int:
        if x == 0:
            assert gate.wait(20)
        if x == 3:
            gate.set()
        return x

    with seqtools.prefetch(seqtools.smap(get, range(6)), 2, ordered=False) as p:
        for shown in (progress(p, file=terminal), progress(p, file=terminal)[:4]):
            gate.clear()
            found = list(shown)
            assert sorted(found) == list(range(len(shown)))
            assert found[0] != 0


def test_what_workers_print_stands_above_the_bar(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    def get(x: int) -> int:
        say("item", x)
        return x

    monkeypatch.setattr(sys, "stderr", terminal)
    with shown(terminal), seqtools.prefetch(seqtools.smap(get, range(9)), 1, "process") as p:
        assert list(progress(p, mininterval=0, ncols=60)) == list(range(9))
    lines = [line.rpartition("\r")[2] for line in terminal.getvalue().split("\n")]
    assert [line for line in lines if "item" in line] == [f"item {x}" for x in range(9)]


def test_a_terminal_sees_it() -> None:
    import fcntl
    import pty
    import struct
    import termios

    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", 24, 100, 0, 0))
    program = "import seqtools; list(seqtools.instrument.progress(range(5), desc='five'))"
    done = subprocess.run([sys.executable, "-c", program], stderr=theirs, timeout=25, check=True)
    told = os.read(ours, 10_000).decode()
    os.close(ours)
    os.close(theirs)
    assert done.returncode == 0
    assert "five: 100%|" in told
    assert "5/5 [" in told
