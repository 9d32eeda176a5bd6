"""One warning names what of a pipeline is large and goes by value."""

import mmap
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools
from seqtools.engines.wire import size_warning

prefetch = seqtools.prefetch


@pytest.fixture(autouse=True)
def _less_is_much(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(size_warning, "LARGE_PICKLE", 1_000_000)
    monkeypatch.setattr(size_warning, "LARGE_ARRAYS", 2_000_000)
    monkeypatch.setattr(size_warning, "_warned", {})


def warned(source: Any) -> str:
    """Return the one warning that workers for `source` come with."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        with prefetch(source, 1, "process") as ready:
            ready[0]
    (warning,) = caught
    assert warning.category is RuntimeWarning
    assert warning.filename == __file__
    return str(warning.message)


def words(n: int) -> list[str]:
    return [f"word {k}" for k in range(n)]


def test_the_stage_with_most_of_it_is_named() -> None:
    numbers = seqtools.smap(lambda x: x, range(100))
    names = seqtools.gather(words(100_000), range(100))
    message = warned(seqtools.batch(seqtools.collate([numbers, names]), 2))
    assert message == (
        "worker processes are sent 1 MB of pickled Python objects, of which each makes a copy "
        "(arrays would be shared), and 0 MB of arrays, of which they share one copy "
        f"(memory-mapped files need none); 1 MB are for gather, made at {__file__}:"
        f"{names._origin[1]}"
    )


def test_arrays() -> None:
    array = np.zeros(1_000_000)
    table = seqtools.smap(lambda k: float(array[k]), range(10))
    message = warned(table)
    assert "8 MB of arrays" in message
    assert message.endswith(f"8 MB are for smap(<lambda>), made at {__file__}:{table._origin[1]}")


def test_what_is_no_stage() -> None:
    message = warned([words(200_000), np.zeros(3_000_000)])
    assert "3 MB of pickled Python objects" in message
    assert "and 24 MB of arrays" in message


def test_a_pipeline_inside_of_a_function_counts_for_the_function() -> None:
    inner = seqtools.smap(len, words(200_000))
    outer = seqtools.smap(lambda k: inner[k], range(3))
    line = outer._origin[1]
    assert warned(outer).endswith(f"smap(<lambda>), made at {__file__}:{line}")


def test_what_is_not_much_or_not_by_value(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(bytes(5_000_000))
    with (tmp_path / "file").open("rb") as file:
        memory = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    mapped = np.frombuffer(memory, np.uint8)
    small = np.zeros(10_000)

    def get(k: int) -> float:
        return float(small[k] + mapped[k])

    with prefetch(seqtools.smap(get, range(3)), 1, "process") as ready:
        assert ready[0] == 0  # and no warning, which would be an error here


def test_once_where_warnings_are_shown_once() -> None:
    source = seqtools.gather(words(100_000), range(100))
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        with prefetch(source, 1, "process") as ready:
            for _ in range(2):
                ready[0]
                ready.refresh()
    assert len(caught) == 1


def test_a_warning_that_is_an_error_leaves_nothing_behind() -> None:
    source = seqtools.gather(words(100_000), range(100))
    with (
        prefetch(source, 1, "process") as ready,
        pytest.raises(seqtools.EvaluationError, match="RuntimeWarning: worker processes are sent"),
    ):
        ready[0]
