"""An error that is kept is small, and one that cannot be sent or kept still has its class."""

import gc
import json
import pickle
import weakref
from typing import Any, NoReturn

import numpy as np
import pytest

import seqtools
from seqtools import failures, prefetch, recover, retry, smap, substitute
from seqtools._core.kept_errors import LARGEST, small

TEXT = "[" + "1, " * 100_000


class HoldsError(Exception):
    """Has more than its text, such as an image."""

    def __init__(self, text: str, held: Any = None) -> None:
        super().__init__(text)
        self.held, self.code = held, 3


class UnsendableError(OSError):
    def __reduce__(self) -> NoReturn:
        raise TypeError("cannot be pickled")


def parse(_: int) -> Any:
    return json.loads(TEXT)


def size(error: BaseException) -> int:
    return len(pickle.dumps(error))


@pytest.mark.parametrize(("method", "nworkers"), [(None, None), ("thread", 1), ("process", 1)])
def test_failures_are_small(method: str | None, nworkers: int | None) -> None:
    for found in (
        failures(smap(parse, range(2)), method=method, nworkers=nworkers),
        replaced(substitute(smap(lambda x: parse(x) if x else x, range(2))), method),
    ):
        for each in found:
            assert type(each.error) is json.JSONDecodeError
            assert "Expecting value: line 1" in str(each.error)
            assert size(each.error) < LARGEST
            assert each.path[-1].index == each.index
    assert found.indices == [1]


def replaced(items: Any, method: str | None) -> seqtools.Failures:
    if method is None:
        list(items)
    else:
        with prefetch(items, 1, method) as ready:
            list(ready)
    failed: seqtools.Failures = items.failures
    return failed


def test_small_ones_are_kept_as_they_are() -> None:
    class LocalError(HoldsError):
        pass

    for error in (ValueError("text"), HoldsError("text", [1, 2]), LocalError("text", int)):
        error.__cause__ = KeyError("cause")
        error.add_note("n" * 20_000)  # such as the traceback of a worker
        assert small(error) is error


def test_what_a_large_one_keeps() -> None:
    error = HoldsError("text", np.zeros(1_000_000))
    error.__cause__ = KeyError("cause")
    error.add_note("a note")
    kept = small(error)
    assert type(kept) is HoldsError
    assert (str(kept), kept.code, kept.__notes__) == ("text", 3, ["a note"])
    assert not hasattr(kept, "held")
    assert kept.__cause__ is None
    (text,) = small(ValueError("x" * 100_000)).args
    assert len(text) < 1100
    assert "98000 characters" in text or "99000 characters" in text


def test_causes_count() -> None:
    error = ValueError("text")
    error.__context__ = HoldsError("inner", bytes(100_000))
    assert small(error) is not error
    assert repr(small(error)) == repr(error)
    chained: BaseException = ValueError(0)
    for k in range(200):
        outer = ValueError(k)
        outer.__cause__, chained = chained, outer
    assert small(chained).__cause__ is None


@pytest.mark.parametrize(
    "error",
    [
        UnicodeDecodeError("utf-8", b"\xff" * 100_000, 0, 1, "mine"),
        ExceptionGroup("group", [ValueError("x" * 100_000)]),
        ValueError("several", "x" * 100_000),
    ],
    ids=lambda error: type(error).__name__,
)
def test_a_text_stands_for_what_cannot_be_made_small(error: Exception) -> None:
    kept = small(error)
    assert type(kept) is RuntimeError
    assert str(kept).startswith(f"{type(error).__name__}: ")
    assert str(kept).endswith(" (the exception itself cannot be kept)")
    assert size(kept) < LARGEST
    again = small(pickle.loads(pickle.dumps(kept)))
    found = seqtools.Failures([seqtools.FailedItem(0, again, ())])
    assert repr(found).startswith(f"1 item failed: 1 {type(error).__name__}\n")


def test_members_of_groups_keep_no_variables() -> None:
    class Large:
        pass

    made: list[weakref.ref[Large]] = []

    def read(x: int) -> NoReturn:
        large = Large()
        made.append(weakref.ref(large))
        try:
            raise ValueError(x)  # noqa: TRY301 -- it must have a traceback
        except ValueError as error:
            members = [error]
        raise ExceptionGroup("group", members)

    found = failures(smap(read, range(3)))
    gc.collect()
    assert [ref() for ref in made] == [None] * 3
    assert isinstance(found[0].error, ExceptionGroup)


# Exceptions that cannot be sent


def unsendable(x: int) -> int:
    if x == 2:
        raise UnsendableError("text")
    return x


@pytest.mark.parametrize("on", [UnsendableError, OSError, (KeyError, OSError), Exception])
def test_they_are_caught_by_their_classes(on: Any) -> None:
    with prefetch(smap(unsendable, range(4)), 1, "process") as ready:
        assert list(recover(ready, default=-1, on=on)) == [0, 1, -1, 3]
        assert list(substitute(ready, on=on)) == [0, 1, 3, 3]
        assert failures(ready, on=on).indices == [2]
        with pytest.raises(seqtools.EvaluationError) as caught:
            list(retry(ready, 2, on=on))
    assert "all 2 attempts of retry() failed" in caught.value.__cause__.__notes__


def test_other_classes_do_not_catch_them() -> None:
    with prefetch(smap(unsendable, range(4)), 1, "process") as ready:
        for on in (KeyError, (ValueError, BlockingIOError)):
            with pytest.raises(seqtools.EvaluationError, match="itself cannot be sent"):
                list(recover(ready, default=-1, on=on))


def test_they_are_caught_after_two_prefetches() -> None:
    inner = prefetch(smap(unsendable, range(4)), 1, "process")
    with inner, prefetch(inner, 1, "process") as ready:
        assert list(recover(ready, default=-1, on=UnsendableError)) == [0, 1, -1, 3]


class ShowsError(Exception):
    """Its `repr` needs what a small copy does not have."""

    def __init__(self, held: Any) -> None:
        super().__init__("text")
        self.held = held

    def __repr__(self) -> str:
        return f"ShowsError({self.held.shape})"


def test_what_is_kept_can_be_shown() -> None:
    def fail(_: int) -> None:
        raise ShowsError(np.zeros(100_000))

    found = failures(smap(fail, range(1)))
    assert "ShowsError: text" in repr(found)
    assert "ShowsError" in repr(found[0].error)
