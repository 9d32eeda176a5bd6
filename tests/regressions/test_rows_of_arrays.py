"""Rows of an array are what an index gives, however the array lies in memory."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from seqtools import EvaluationError, batch, gather
from seqtools._core.sources import read_many

PLAIN = np.arange(24).reshape(6, 4)


class Doubling(np.ndarray[Any, Any]):
    """An array that means something else by an index."""

    def __getitem__(self, key: Any) -> Any:
        return 2 * super().__getitem__(key)


def unaligned() -> Any:
    packed = np.zeros(6, dtype=[("pad", "i1"), ("value", "<f8")])
    packed["value"] = range(6)
    return packed["value"]


ARRAYS = {
    "plain": PLAIN,
    "one dimension": np.arange(6),
    "columns first": np.asfortranarray(PLAIN),
    "every other": np.arange(12)[::2],
    "transposed": np.arange(24).reshape(4, 6).T,
    "other byte order": PLAIN.astype(">i4"),
    "read only": np.broadcast_to(np.arange(4), (6, 4)),
    "objects": np.array([[k, str(k)] for k in range(6)], dtype=object),
    "records": np.array([(k, k / 2) for k in range(6)], dtype="i4,f8"),
    "unaligned": unaligned(),
    "subclass": PLAIN.view(Doubling),
    "masked": np.ma.masked_less(PLAIN, 5),  # type: ignore[no-untyped-call]
}


@pytest.mark.parametrize("name", ARRAYS)
def test_rows(name: str) -> None:
    array = ARRAYS[name]
    for js in ([5, 0, 0, 3], [2], []):
        got, wanted = read_many(array, np.array(js, dtype=np.int64)), array[np.array(js, np.intp)]
        assert type(got) is type(wanted)
        assert got.dtype == wanted.dtype
        assert got.shape == wanted.shape
        assert got.tolist() == wanted.tolist()
        assert got.flags.writeable
        assert not np.shares_memory(got, array)


def test_rows_of_a_file(tmp_path: Path) -> None:
    np.save(tmp_path / "rows.npy", PLAIN)
    rows = np.load(tmp_path / "rows.npy", mmap_mode="r")
    got = batch(gather(rows, np.array([5, -6, 3])), 2, collate_fn=lambda x: x)[0]
    assert type(got) is np.ndarray
    assert got.tolist() == PLAIN[[5, 0]].tolist()


@pytest.mark.parametrize("bad", [6, -7, 1 << 40, -(1 << 63)])
def test_rows_that_are_not_there(bad: int) -> None:
    chosen = gather(PLAIN, np.array([0, 1, bad]))
    for read in (chosen.__getitem__, lambda i: batch(chosen, 1)[i]):
        with pytest.raises(EvaluationError, match="out of range for a sequence of length 6"):
            read(2)
    with pytest.raises(EvaluationError) as caught:
        batch(chosen, 3)[0]
    assert caught.value.path[-1].index == 2
    assert list(batch(gather(PLAIN[:, 0], np.array([-1, -6])), 2)) == [[20, 0]]


def test_a_source_that_grew_or_shrank() -> None:
    source = ["a", "b"]
    chosen = gather(source, [0, 1, 2, -1])
    assert chosen[0] == "a"
    with pytest.raises(EvaluationError, match="out of range for a sequence of length 2"):
        chosen[2]
    source.append("c")
    assert list(chosen) == ["a", "b", "c", "c"]
    del source[1:]
    for i in (1, 2):
        with pytest.raises(EvaluationError):
            chosen[i]
    assert [chosen[0], chosen[3]] == ["a", "a"]
