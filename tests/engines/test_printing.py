"""What workers print is shown by the consumer, in whole lines."""

import importlib
import io
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import seqtools
from seqtools.instrument import debug
from tests.children import forked
from tests.engines.engines import OPTIONS
from tests.engines.fifo import Fifo
from tests.engines.shown import lines_of, say, shown

MakeFifo = Callable[[], Fifo]
Ahead = Callable[..., seqtools.Prefetch[Any]]
PROCESSES = ["process", "spawn", "fork"]


@pytest.fixture(params=PROCESSES)
def ahead(request: pytest.FixtureRequest) -> Ahead:
    return lambda source, **more: seqtools.prefetch(source, **OPTIONS[request.param] | more)


def processes(source: Any, **more: Any) -> seqtools.Prefetch[Any]:
    return seqtools.prefetch(source, **OPTIONS["process"] | more)


def test_what_user_code_prints_in_a_worker_arrives(ahead: Ahead) -> None:
    def double(x: int) -> int:
        say("double", x)
        return 2 * x

    source = debug(seqtools.smap(double, range(30)), lambda i, value: say("debug", i, value))
    with shown() as out:
        with ahead(source, start_hook=lambda number: say("worker", number)) as p:
            for value in p:
                say("got", value)
        lines = lines_of(out)
    wanted = [f"{w} {2 * x}" for x in range(30) for w in ("got", f"debug {x}")]
    wanted += [f"double {x}" for x in range(30)] + ["worker 0", "worker 1"]
    assert sorted(lines) == sorted(wanted)
    for x in range(30):  # in order: the item, the function that looks at it, who gets it
        places = [lines.index(f"{w} {2 * x}") for w in (f"debug {x}", "got")]
        assert lines.index(f"double {x}") < places[0] < places[1]


def test_lines_of_workers_do_not_mix(ahead: Ahead, fifo: MakeFifo) -> None:
    begun, gate = fifo(), fifo()

    def get(x: int) -> int:
        say("begin", x, end=" ")
        begun.send()
        gate.wait()
        say("end", x)
        return x

    with shown() as out, ahead(seqtools.smap(get, range(2))) as p:
        items = iter(p)
        reader = threading.Thread(target=begun.wait, args=(2,))
        reader.start()
        threading.Thread(target=lambda: (reader.join(), gate.send(2)), daemon=True).start()  # type: ignore[func-returns-value]
        assert list(items) == [0, 1]
    assert sorted(lines_of(out)) == ["begin 0 end 0", "begin 1 end 1"]


class Opener(io.StringIO):
    """A stream that opens a gate when it is written to."""

    def __init__(self, gate: Fifo) -> None:
        super().__init__()
        self._gate = gate

    def write(self, text: str) -> int:
        self._gate.send(text.count("\n"))
        return super().write(text)


def test_a_line_is_shown_while_its_item_is_evaluated(ahead: Ahead, fifo: MakeFifo) -> None:
    gate = fifo()

    def get(x: int) -> int:
        say("first")
        gate.wait()
        say("second", end="", flush=True)
        gate.wait()
        return x

    out = Opener(gate)
    with shown(out), ahead(seqtools.smap(get, [5]), nworkers=1) as p:
        assert p[0] == 5
    assert out.getvalue() == "first\nsecond\n"


def test_a_line_without_an_end_ends_with_the_item(ahead: Ahead) -> None:
    def get(x: int) -> int:
        say(x, end=" ")
        say(x, end="!")
        return x

    with shown() as out, ahead(seqtools.smap(get, range(3)), nworkers=1, timeout=20) as p:
        assert list(p) == [0, 1, 2]
    assert "".join(lines_of(out)) == "0 0!1 1!2 2!"


def test_lines_of_an_item_that_fails(ahead: Ahead) -> None:
    def get(x: int) -> float:
        say("inverse of", x, end="")
        return 1 / x

    with shown() as out, ahead(seqtools.smap(get, [0]), nworkers=1) as p:
        with pytest.raises(seqtools.EvaluationError):
            p[0]
        assert out.getvalue() == "inverse of 0\n"


def test_a_start_hook_that_fails_has_printed(ahead: Ahead) -> None:
    def hook() -> None:
        say("looking for a file", end="")
        raise FileNotFoundError

    with shown() as out:
        p = ahead(range(3), nworkers=1, start_hook=hook)
        with pytest.raises(seqtools.WorkerStartError):
            p[0]
        assert out.getvalue() == "looking for a file\n"


def test_text_of_any_length_and_of_any_kind(ahead: Ahead) -> None:
    texts = ["", "ä€😀", "x" * 10_000, "y" * 300_000, "a\nb\nc", "\udc80"]

    def get(x: int) -> int:
        say(texts[x])
        return x

    with shown() as out, ahead(seqtools.smap(get, range(len(texts))), nworkers=1) as p:
        list(p)
    assert out.getvalue() == "".join(f"{t}\n" for t in [*texts[:-1], "\\udc80"])


def test_a_prefetch_in_a_worker(ahead: Ahead) -> None:
    def get(x: int) -> int:
        say("evaluate", x)
        return x

    inner = processes(seqtools.smap(get, range(8)), nworkers=1)
    with shown() as out, ahead(seqtools.smap(lambda i: inner[i], range(8)), nworkers=1) as p:
        assert list(p) == list(range(8))
    assert set(lines_of(out)) == {f"evaluate {x}" for x in range(8)}


def test_threads_of_user_code(ahead: Ahead) -> None:
    def get(x: int) -> int:
        # none of them ends before all have begun a line
        barrier = threading.Barrier(4)

        def act(k: int) -> None:
            say(x, end=" ")
            barrier.wait()
            say(k, end="\n" if k else "")

        threads = [threading.Thread(target=act, args=(k,)) for k in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        return x

    with shown() as out, ahead(seqtools.smap(get, range(9)), nworkers=1) as p:
        for x in p:
            assert {f"{x} {k}" for k in range(4)} <= set(lines_of(out))
    assert len(lines_of(out)) == 36


def test_many_threads_that_print_while_answers_are_sent(ahead: Ahead) -> None:
    def get(x: int) -> bytes:
        def act(k: int) -> None:
            for n in range(20):
                say(x, k, n)

        threads = [threading.Thread(target=act, args=(k,)) for k in range(3)]
        for thread in threads:
            thread.start()
        if x == 5:
            for thread in threads:
                thread.join()
        return bytes(200_000)

    with shown() as out, ahead(seqtools.smap(get, range(6)), nworkers=1) as p:
        assert [len(value) for value in p] == [200_000] * 6
    lines = lines_of(out)
    wanted = {f"{x} {k} {n}" for x in range(6) for k in range(3) for n in range(20)}
    assert set(lines) <= wanted
    assert len(lines) == len(set(lines))
    assert {line for line in wanted if line.startswith("5")} <= set(lines)


def test_a_child_that_user_code_forks_prints_past_us(
    ahead: Ahead, capfd: pytest.CaptureFixture[str]
) -> None:
    def get(x: int) -> bool:
        say("not complete", end="")
        return forked(lambda: (say("child", x), sys.stdout.flush(), True)[-1])  # type: ignore[func-returns-value]

    with shown() as out, ahead(seqtools.smap(get, range(3)), nworkers=1) as p:
        assert list(p) == [True] * 3
    assert lines_of(out) == ["not complete"] * 3
    assert sorted("".join(capfd.readouterr()).splitlines()) == [f"child {x}" for x in range(3)]


def test_what_else_a_standard_output_does(ahead: Ahead, capfd: pytest.CaptureFixture[str]) -> None:
    def get(x: int) -> Any:
        out = sys.stdout
        out.buffer.write("ä".encode()[:1])
        out.buffer.write("ä\n".encode()[1:])
        out.buffer.flush()
        out.writelines(["a", "b\n"])
        out.reconfigure(line_buffering=True)  # type: ignore[union-attr]
        with pytest.raises(TypeError, match="must be str"):
            out.write(b"bytes")  # type: ignore[arg-type]
        program = "print('from a program')"
        subprocess.run([sys.executable, "-c", program], stdout=out, check=True)
        return out.encoding, out.errors, out.isatty(), out.writable(), out.readable(), x

    with shown() as out, ahead(seqtools.smap(get, [1]), nworkers=1) as p:
        assert p[0] == ("utf-8", "backslashreplace", False, True, False, 1)
    assert lines_of(out) == ["ä", "ab"]
    assert "from a program\n" in "".join(capfd.readouterr())


@pytest.mark.parametrize("engine", ["process", "spawn"])  # a fork has what its parent imported
def test_a_module_that_keeps_the_standard_output(
    engine: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keeps_the_output.py").write_text(
        "import logging, sys\n"
        "log = logging.Logger('here')\n"
        "log.addHandler(logging.StreamHandler(sys.stdout))\n"
        "def get(x):\n"
        "    log.warning('item %s', x)\n"
        "    return x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    get = importlib.import_module("keeps_the_output").get
    with shown() as out, seqtools.prefetch(seqtools.smap(get, range(9)), **OPTIONS[engine]) as p:
        assert list(p) == list(range(9))
    assert sorted(lines_of(out)) == [f"item {x}" for x in range(9)]


def test_an_output_that_user_code_closes(ahead: Ahead) -> None:
    def get(x: int) -> int:
        if x == 1:
            sys.stdout.close()
        say(x)
        return x

    with shown() as out, ahead(seqtools.smap(get, range(3)), nworkers=1) as p:
        assert p[0] == 0
        for i in (1, 2):
            with pytest.raises(seqtools.EvaluationError, match="closed file"):
                p[i]
    assert lines_of(out) == ["0"]


def test_close_shows_what_was_printed_for_nobody(ahead: Ahead, fifo: MakeFifo) -> None:
    begun, gate = fifo(), fifo()

    def get(x: int) -> int:
        if x:
            say("begin", x)
            begun.send()
            gate.wait()
        return x

    with shown() as out:
        with ahead(seqtools.smap(get, range(9)), nworkers=1) as p:
            assert p[0] == 0
            begun.wait()
        assert out.getvalue() == "begin 1\n"
