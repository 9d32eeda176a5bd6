"""Objects of modules, what a start hook sets, and what an import costs."""

import dataclasses
import os
import random
import secrets
import subprocess
import sys
from collections.abc import Iterator
from decimal import Decimal, getcontext
from os import environ
from pathlib import Path
from random import Random
from sys import version_info
from traceback import format_exception
from typing import Any

import numpy as np
import pytest
from numpy.random import rand

from seqtools import EvaluationError, add_cache, prefetch, smap
from seqtools._core.errors import WorkerStartError
from tests.scripts import program, run

# Objects of modules that stand for themselves: workers have them, and get no copy of them.

draw = random.random
uniform = random.uniform


@pytest.fixture(params=["template", "spawn"])
def method(request: pytest.FixtureRequest) -> Iterator[dict[str, Any]]:
    return {"method": "process", "start_method": request.param}


def drawn(_: int) -> tuple[float, ...]:
    return draw(), uniform(0, 1), float(rand())


def test_functions_of_the_global_generators_draw_from_those_of_the_worker(
    method: dict[str, Any],
) -> None:
    source = smap(drawn, range(8))
    with (
        prefetch(source, 2, seed=1, **method) as first,
        prefetch(source, 1, seed=2, **method) as other,
    ):
        items = list(first)
        assert items == list(prefetch(source, 0, seed=1))
        assert not {x for item in items for x in item} & {x for item in other for x in item}
    with prefetch(source, 2, **method) as unseeded:
        numbers = [x for item in unseeded for x in item]
        assert len(set(numbers)) == len(numbers)


def test_a_generator_of_ones_own_is_sent_as_it_is(method: dict[str, Any]) -> None:
    own = Random(5)
    expected = Random(5).random()
    with prefetch(smap(lambda _: own.random(), range(1)), 1, **method) as ready:
        assert ready[0] == expected


def test_sentinels_and_other_objects_of_the_standard_library(method: dict[str, Any]) -> None:
    def look(i: int) -> Any:
        environ["SEQTOOLS_TEST"] = str(i)
        return (
            field.default is dataclasses.MISSING,
            os.getenv("SEQTOOLS_TEST"),
            version_info is sys.version_info,
            secrets.choice([7]),
            choice([8]),
            dataclasses.MISSING,
            version_info,
        )

    field, choice = dataclasses.field(), secrets.choice
    with prefetch(smap(look, range(2)), 1, **method) as ready:
        *values, missing, version = ready[1]
    assert values == [True, "1", True, 7, 8]
    assert missing is dataclasses.MISSING
    assert version is sys.version_info


@pytest.mark.parametrize("start_method", ["template", "spawn"])
def test_a_class_of_a_module_that_its_package_has_not_imported(start_method: str) -> None:
    code = f"""
import sys
import numpy as np
import seqtools
rows = np.zeros(3, [("a", "i4")]).view(np.recarray)
read = lambda row: (int(row.a), type(rows) is np.recarray, isinstance(row, np.record))
options = dict(method="process", start_method={start_method!r})
with seqtools.prefetch(seqtools.smap(read, rows), 1, **options) as items:
    assert list(items) == [(0, True, True)] * 3
"""
    done = run("-c", code)
    assert (done.returncode, done.stderr) == (0, "")


def test_what_a_hook_sets_for_its_thread_holds_where_a_cache_reads_ahead(
    method: dict[str, Any],
) -> None:
    def exact() -> None:
        getcontext().prec = 5
        np.seterr(divide="ignore")

    def divided(i: int) -> Any:
        return str(Decimal(1) / Decimal(3)), np.geterr()["divide"], i

    cached = add_cache(smap(divided, range(60)), 10)
    with prefetch(cached, 1, start_hook=exact, **method) as ready:
        assert [item[:2] for item in ready] == [("0.33333", "ignore")] * 60


def test_an_open_text_file_is_refused_and_not_copied(tmp_path: Path) -> None:
    path = tmp_path / "lines"
    path.write_text("0\n1\n2\n")
    with path.open() as file:
        lines = smap(lambda _: file.readline(), range(3))
        with pytest.raises(WorkerStartError, match="open file"):
            prefetch(lines, 2, "process")[0]
        assert list(lines) == ["0\n", "1\n", "2\n"]


def test_a_traceback_shows_files_and_lines_of_functions_sent_by_value(
    method: dict[str, Any],
) -> None:
    def fails(i: int) -> Any:
        return 1 // i  # this very line

    with (
        prefetch(smap(fails, range(1)), 1, **method) as ready,
        pytest.raises(EvaluationError) as caught,
    ):
        ready[0]
    told = "".join(format_exception(caught.value))
    assert "this very line" in told
    assert __file__ in told


# What a start hook of a script sets is what the pipeline sees, as inline and in a fork.

PROGRAM = """
    conn = None
    kept = 5
    late = 1
    cache = {}

    class Model:
        mode = "train"
        training = True
        def eval(self):
            self.training = False

    class Derived(Model):
        pass

    model = Model()

    def shared():
        variable = None
        def fill():
            nonlocal variable
            variable = "filled"
        return fill, lambda: variable

    fill, variable = shared()

    def default(x=[]):
        return x

    class AtLoad:
        def __reduce__(self):
            return seen_at_load, ()

    def seen_at_load():
        return conn

    at_load = AtLoad()

    def helper():
        global conn, kept
        conn = "open"
        del kept

    def init(*_):
        helper()
        cache["a"] = 1
        Model.mode = "eval"
        model.eval()
        fill()
        default().append(1)
        default.attribute = 2
        globals()["late"] = 3

    def found():
        try:
            return kept
        except NameError:
            return None

    def load(i):
        return (
            conn, found(), cache, Derived.mode, model.training, variable(), default(),
            default.attribute, late,
        )

    import types
    plug = types.ModuleType("plug")  # as those that are loaded by their paths
    exec(
        "conn = None\\ndef load(i): return conn\\n"
        "def init():\\n global conn\\n conn = 'set inside'",
        vars(plug),
    )

    def set_of_module():
        plug.conn = "open"

    expected = ("open", None, {"a": 1}, "eval", False, "filled", [1], 2, 3)
    before = conn, kept, cache, Model.mode, model.training, variable(), default(), late

    def check(function, hook, expected, start_method):
        options = dict(method="process", start_method=start_method, start_hook=hook)
        items = seqtools.smap(function, range(3))
        with seqtools.prefetch(items, nworkers=2, **options) as p:
            assert list(p) == [expected] * 3, (start_method, hook, p[0])
"""

USE = """
    import functools

    class Hook:
        def __init__(self, target):
            self.target = target
        def __call__(self):
            self.target["set"] = True

    target = {}
    mode = lambda i: (target, model.training, Model.mode, conn)
    name = START_METHOD
    check(load, init, expected, name)
    if name != "fork":  # there, it was loaded before
        check(lambda i: at_load, init, "open", name)
    check(plug.load, set_of_module, "open", name)
    read = lambda i: (plug.load(i), plug.conn, plug.__name__)
    check(read, set_of_module, ("open", "open", "plug"), name)
    check(lambda i: plug.load(i), plug.init, "set inside", name)
    check(mode, Hook(target), ({"set": True}, True, "train", None), name)
    check(mode, model.eval, ({}, False, "train", None), name)
    put = functools.partial(lambda where: where.update(a=1), target)
    check(mode, put, ({"a": 1}, True, "train", None), name)
    check(mode, lambda: setattr(Model, "mode", "x"), ({}, True, "x", None), name)
    assert before == (conn, kept, cache, Model.mode, model.training, variable(), default(), late)
"""


@pytest.mark.parametrize("start_method", ["template", "spawn", "fork"])
def test_of_a_script(start_method: str, tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(program(PROGRAM + USE.replace("START_METHOD", repr(start_method))))
    done = run(str(script))
    assert (done.stdout, done.stderr) == ("well\n", "")


# `import seqtools` is quick because of what it does not import.

PROGRAM_IMPORTS = """
import sys
before = set(sys.modules)
import seqtools
print(*set(sys.modules) - before)
"""

READ_IN_THREADS = """
with seqtools.prefetch(range(9), 2) as items:
    next(iter(items))
print(*set(sys.modules) - before)
"""

SLOW = {"asyncio", "cloudpickle", "multiprocessing", "numpy", "tqdm"}
SLOW |= {"dataclasses", "inspect", "traceback"}  # 3 to 7 ms each


def imported(program: str) -> set[str]:
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


def test_imports() -> None:
    names = imported(PROGRAM_IMPORTS)
    assert "seqtools._core.sequence" in names
    assert not names & SLOW
    assert not imported(PROGRAM_IMPORTS + READ_IN_THREADS) & SLOW


def test_what_would_be_noticed() -> None:
    assert imported(PROGRAM_IMPORTS + "import numpy\nprint(*set(sys.modules) - before)") & SLOW
