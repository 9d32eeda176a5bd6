"""Finalizers that run when the interpreter ends may use a prefetch: no other thread runs then."""

import pytest

from tests.engines.engines import OPTIONS
from tests.scripts import PIPELINE, run

PROGRAM = """\
def double(x):
    return 2 * x

def made():
    return seqtools.prefetch(seqtools.smap(double, range(100)), **{options!r})

class Loader:
    def __init__(self):
        self.items = made()

    def __del__(self):
        {act}

def generator():
    with made() as items:
        yield from items

loader, running = Loader(), generator()
print(loader.items[5], next(running))
"""

ACTS = {
    "self.items.close()": [],
    "self.items.refresh()": [],
    "print(self.items[50], self.items[99])": ["100 198"],
    "print(list(self.items[:60])[-1])": ["118"],
    "print(sum(self.items))": ["9900"],
    "print(seqtools.batch(self.items, 2)[3])": ["[12, 14]"],
}


TRIES = 10


@pytest.mark.one_of(2)
@pytest.mark.parametrize("method", [name for name in OPTIONS if name != "inline"])
def test_a_finalizer_may_use_it(method: str) -> None:
    for act, printed in ACTS.items():
        code = PIPELINE + PROGRAM.format(act=act, options={"nworkers": 2, **OPTIONS[method]})
        # A thread of ours that is within `double` as the program ends, or pickles the pipeline,
        # keeps the variables of the script: then nobody finalizes the loader. That is rare.
        for _ in range(TRIES):
            done = run("-c", code)
            assert (done.returncode, done.stderr) == (0, ""), act
            lines = done.stdout.splitlines()
            if len(lines) > 1 or not printed:
                break
        assert lines == ["10 0", *printed], act


@pytest.mark.parametrize("method", [name for name in OPTIONS if name != "inline"])
def test_a_program_that_closes_nothing_ends_in_silence(method: str) -> None:
    options = {"nworkers": 2, **OPTIONS[method]}
    code = f"p = seqtools.prefetch(seqtools.smap(abs, range(100)), **{options!r})\nprint(p[5])\n"
    done = run("-X", "dev", "-c", PIPELINE + code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "5\n", "")


def test_no_thread_is_started() -> None:
    code = """
import threading
from seqtools.engines.uninterruptible import start

class Late:
    def __init__(self):
        self.items = seqtools.prefetch(range(9), 2)

    def __del__(self):
        pump = self.items._state.pump
        pump._watched = False  # as where SystemExit came before it was noted
        pump._attend()
        try:
            start(threading.Thread(target=print))
        except RuntimeError as error:
            print(error)

late = Late()
"""
    done = run("-c", PIPELINE + code)
    told = "can't start a thread when the interpreter ends\n"
    assert (done.returncode, done.stdout, done.stderr) == (0, told, "")
