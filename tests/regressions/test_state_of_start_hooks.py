"""What a start hook of a script sets is what the pipeline sees, as inline and in a fork."""

from pathlib import Path

import pytest

from tests.faults.programs import program, run

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
