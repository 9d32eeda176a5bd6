"""Values come back from workers as a plain pickle gives them, large buffers beside it."""

import array
import copyreg
import importlib
import pickle
import subprocess
import sys
import threading
import types
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.engines.wire.result_pickling import ResultDumper, ResultLoader


class Tagged(np.ndarray):
    """A class of a user, without methods of its own."""


class Named(np.ndarray):
    """A class of a user, as the documentation of numpy shows it."""

    def __array_finalize__(self, obj: Any) -> None:
        self.owner = getattr(obj, "owner", "nobody")

    def __reduce__(self) -> Any:
        make, arguments, state = super().__reduce__()
        return make, arguments, (state, self.owner)

    def __setstate__(self, state: Any) -> None:
        super().__setstate__(state[0])
        self.owner = state[1]


def grid(dtype: Any = "f8") -> np.ndarray:
    return np.arange(3 * 40 * 50).astype(dtype).reshape(3, 40, 50)


def read_only(values: np.ndarray) -> np.ndarray:
    values.flags.writeable = False
    return values


def record(n: int = 2000) -> np.ndarray:
    values = np.zeros(n, [("x", "f4"), ("when", "M8[us]"), ("name", "U5")])
    values["x"] = range(n)
    return values


def named() -> np.ndarray:
    values = grid().view(Named)
    values.owner = "somebody"
    return values


NUMPY = {
    "contiguous": grid,
    "Fortran order": lambda: np.asfortranarray(grid()),
    "permuted": lambda: grid().transpose(1, 0, 2),
    "strided": lambda: grid()[:, ::2, 1:],
    "reversed": lambda: grid()[::-1],
    "broadcast": lambda: np.broadcast_to(np.arange(50.0), (100, 50)),
    "read-only": lambda: read_only(grid()),
    "read-only, Fortran order": lambda: read_only(np.asfortranarray(grid())),
    "read-only, permuted": lambda: read_only(grid().transpose(1, 0, 2)),
    "read-only, strided": lambda: read_only(grid()[:, ::2]),
    "bool": lambda: grid("?"),
    "half": lambda: grid("f2"),
    "long double": lambda: grid("g"),
    "complex": lambda: grid("c16"),
    "big-endian": lambda: grid(">i4"),
    "big-endian, strided": lambda: grid(">i4")[..., ::2],
    "datetime64": lambda: grid("M8[ms]"),
    "timedelta64, Fortran order": lambda: np.asfortranarray(grid("m8[D]")),
    "read-only datetime64": lambda: read_only(grid("M8[ms]")),
    "strings": lambda: grid("U8"),
    "bytes": lambda: grid("S8"),
    "void": lambda: grid("V16"),
    "structured": record,
    "structured, strided": lambda: record()[::3],
    "a field": lambda: record()["x"],
    "empty": lambda: np.zeros((0, 5)),
    "empty, strided": lambda: grid()[:, 40:, ::2],
    "empty datetime64": lambda: np.zeros((5, 0), "M8[s]"),
    "no dimensions": lambda: np.array(5.0),
    "no dimensions, datetime64": lambda: np.array(5, "M8[s]"),
    "no dimensions, structured": lambda: np.zeros((), [("x", "f8", 9000)]),
    "a scalar": lambda: np.float32(3),
    "objects": lambda: np.array([None, "a", [1]] * 2000, object),
    "structured with objects": lambda: np.zeros(2000, [("x", "f8"), ("y", "O")]),
    "recarray": lambda: record().view(np.recarray),
    "recarray, strided": lambda: record().view(np.recarray)[::2],
    "matrix": lambda: grid()[0].view(np.matrix),
    "memmap": lambda: np.memmap(__file__, np.uint8, "r")[:4096],
    "masked": lambda: np.ma.masked_less(grid(), 1000),
    "of a class": lambda: grid().view(Tagged),
    "of a class, Fortran order": lambda: np.asfortranarray(grid()).view(Tagged),
    "of a class with state": named,
}

IN_BAND = {
    "objects",
    "structured with objects",
    "masked",
    "of a class with state",
    "a scalar",
    "empty",
    "empty, strided",
    "no dimensions",
}


def layout(values: Any) -> Any:
    """Return how the items of an array lie in memory, if that means anything."""
    flags = values.flags
    return flags.c_contiguous, flags.f_contiguous, values.strides if values.size else None


def check(given: Any, value: Any) -> None:
    """Check that `given` is what a plain pickle makes of the array `value`."""
    expected = pickle.loads(pickle.dumps(value, 5))
    assert type(given) is type(expected)
    assert given.dtype == value.dtype  # of which a plain pickle may change the byte order
    assert given.shape == expected.shape
    assert layout(given) == layout(expected)
    np.testing.assert_array_equal(given, expected)
    assert getattr(given, "owner", None) == getattr(expected, "owner", None)
    np.testing.assert_array_equal(np.ma.getmaskarray(given), np.ma.getmaskarray(expected))
    if type(value) is np.ndarray:
        assert given.flags.writeable == value.flags.writeable
    elif isinstance(value, np.ndarray) and value.flags.writeable:
        assert given.flags.writeable


def sent(value: Any, *, aside: bool, by_value: tuple[Any, ...] = ()) -> tuple[Any, list[Any]]:
    """Return `value` as it arrives, and the buffers that went beside the pickle."""
    buffers: list[pickle.PickleBuffer] = []

    def keep(buffer: pickle.PickleBuffer) -> bool:
        if aside:
            buffers.append(buffer)
        return not aside

    body = ResultDumper(by_value).dumps(value, keep)
    copies = [memoryview(bytearray(buffer.raw())) for buffer in buffers]
    return ResultLoader(by_value).loads(bytes(body), copies), copies


@pytest.mark.parametrize("by_value", [(), (Tagged,)], ids=["plain", "with a table"])
@pytest.mark.parametrize("aside", [False, True], ids=["in the pickle", "beside it"])
@pytest.mark.parametrize("name", NUMPY)
def test_arrays(name: str, aside: bool, by_value: tuple[Any, ...]) -> None:
    value = NUMPY[name]()
    given, buffers = sent([value, value], aside=aside, by_value=by_value)
    assert given[0] is given[1]
    check(given[0], value)
    expected = [value.nbytes] if aside and name not in IN_BAND else []
    assert [buffer.nbytes for buffer in buffers] == expected
    if buffers and value.nbytes:
        memory = np.frombuffer(buffers[0], np.uint8)
        assert np.shares_memory(np.asarray(given[0]).view(np.ndarray), memory)


def test_arrays_from_workers() -> None:
    source = seqtools.smap(lambda name: NUMPY[name](), list(NUMPY))
    with seqtools.prefetch(source, 2, "process") as ready:
        for name, given in zip(NUMPY, ready, strict=True):
            check(given, NUMPY[name]())


def test_what_is_strided_is_sent_without_what_lies_between() -> None:
    value = np.zeros((1000, 1000), np.uint8)[::100, ::100]
    _, buffers = sent(value, aside=True)
    assert [buffer.nbytes for buffer in buffers] == [100]


VIEWS = {
    "bytes": lambda: memoryview(b"abc" * 9000),
    "bytearray": lambda: memoryview(bytearray(b"abc" * 9000)),
    "integers": lambda: memoryview(array.array("i", range(9000))),
    "doubles, two dimensions": lambda: memoryview(bytes(80_000)).cast("d", [100, 100]),
    "no dimensions": lambda: memoryview(bytes(8)).cast("d", []),
    "strided": lambda: memoryview(bytearray(range(256)))[::3],
    "strided, read-only": lambda: memoryview(bytes(range(256)))[::-1],
    "Fortran order": lambda: memoryview(np.asfortranarray(grid())),
    "empty": lambda: memoryview(b""),
    "characters": lambda: memoryview(b"abc").cast("c"),
}


@pytest.mark.parametrize("aside", [False, True], ids=["in the pickle", "beside it"])
@pytest.mark.parametrize("name", VIEWS)
def test_memoryviews(name: str, aside: bool) -> None:
    value = VIEWS[name]()
    given, buffers = sent(value, aside=aside)
    assert type(given) is memoryview
    for attribute in ("format", "itemsize", "shape", "readonly", "nbytes"):
        assert getattr(given, attribute) == getattr(value, attribute)
    assert given.c_contiguous
    assert given.tobytes() == value.tobytes()
    assert len(buffers) == aside


OTHERS = {
    "bytes": lambda: b"abc" * 20_000,
    "bytearray": lambda: bytearray(b"abc" * 20_000),
    "array.array": lambda: array.array("d", range(9000)),
    "a string": lambda: "abc" * 20_000,
    "numbers": lambda: [1, 2.5, 1j, True, None],
}


@pytest.mark.parametrize("name", OTHERS)
def test_other_bytes(name: str) -> None:
    value = OTHERS[name]()
    given, buffers = sent(value, aside=True)
    assert type(given) is type(value)
    assert given == value
    assert not buffers


def test_pickle_buffers() -> None:
    given, _ = sent(pickle.PickleBuffer(b"abc"), aside=True)
    assert bytes(given) == b"abc"
    assert memoryview(given).readonly


def test_views_and_others_from_workers() -> None:
    makers = [*VIEWS.values(), *OTHERS.values()]
    source = seqtools.smap(lambda k: makers[k](), range(len(makers)))
    with seqtools.prefetch(source, 2, "process") as ready:
        for make, given in zip(makers, ready, strict=True):
            value = make()
            assert type(given) is type(value)
            view = isinstance(value, memoryview)
            assert given.tobytes() == value.tobytes() if view else given == value


def test_a_view_that_was_released_is_an_error_of_the_item() -> None:
    def released(_: int) -> memoryview:
        view = memoryview(b"abc")
        view.release()
        return view

    source = seqtools.smap(released, range(1))
    match = "item 0 cannot be sent"
    with (
        seqtools.prefetch(source, 1, "process") as ready,
        pytest.raises(seqtools.EvaluationError, match=match),
    ):
        ready[0]


def test_who_has_registered_a_way_to_pickle_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(copyreg.dispatch_table, Tagged, lambda value: (str, (str(value.shape),)))
    assert sent(grid().view(Tagged), aside=True)[0] == "(3, 40, 50)"


def test_a_pickle_of_the_user_has_no_name_of_ours() -> None:
    sent([grid()[::2], VIEWS["bytes"]()], aside=True)
    assert b"seqtools" not in pickle.dumps([grid()[::2], record()], 5)
    with pytest.raises(TypeError):
        pickle.dumps(VIEWS["bytes"]())


def test_a_pickle_without_arrays_imports_nothing() -> None:
    program = (
        "import sys; from seqtools.engines.wire.result_pickling import ResultDumper, ResultLoader; "
        "sent = ResultDumper(()).dumps([1, memoryview(b'abc')]); "
        "print(ResultLoader(()).loads(sent)[1].tobytes()); "
        "print([name for name in ('numpy', 'torch') if name in sys.modules])"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert done.stdout == "b'abc'\n[]\n"


@pytest.mark.parametrize("importing", [False, True])
def test_a_class_that_a_thread_is_about_to_define(
    importing: bool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    events: Any = types.SimpleNamespace(begun=threading.Event(), missed=threading.Event())
    monkeypatch.setitem(sys.modules, "events_of_a_test", events)
    name = f"lazily_imported_{importing}"
    (tmp_path / f"{name}.py").write_text(
        "from events_of_a_test import begun, missed\n"
        "def __getattr__(name):\n"
        "    missed.set()\n"
        "    raise AttributeError(name)\n"
        "begun.set()\n"
        "missed.wait(20)\n"
        "class Late: pass\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    thread = threading.Thread(target=importlib.import_module, args=(name,))
    thread.start()
    events.begun.wait()
    loader = ResultLoader([abs], importing=importing)
    data = f"c{name}\nLate\n.".encode()
    if importing:  # the thread may wait for the value
        with pytest.raises(AttributeError):
            loader.loads(data)
    else:
        assert loader.loads(data).__name__ == "Late"
    thread.join()
