"""What is said of a pipeline that cannot be sent: which object it is, and what helps."""

import queue
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from typing import Any

import pytest

import seqtools
from seqtools._core.errors import WorkerStartError
from seqtools.instrument import check

SCRIPT = """
class Table:
    def __init__(self, opened):
        self.opened = opened

    def con(self):
        return self.opened

    def __len__(self):
        return 5

    def __getitem__(self, i):
        return self.con().total_changes + i

def load(x):
    return [con.total_changes + x for _ in range(2)]

def other(x):
    return x.con
"""


def refusal(sequence: Any) -> str:
    with (
        seqtools.prefetch(sequence, 1, "process") as ready,
        pytest.raises(WorkerStartError) as caught,
    ):
        ready[0]
    return str(caught.value)


def test_an_attribute_is_not_taken_for_a_global_of_its_name() -> None:
    with closing(sqlite3.connect(":memory:")) as con, closing(sqlite3.connect(":memory:")) as own:
        names: dict[str, Any] = {"__name__": "__main__", "con": con}
        exec(SCRIPT, names)  # noqa: S102 -- it stands here
        table = names["Table"](own)
        assert "(in Table: attribute opened)" in refusal(table)
        assert "(in Table: attribute opened)" in refusal(seqtools.smap(table.__getitem__, [1]))
        assert "(in load: con)" in refusal(seqtools.smap(names["load"], [1]))
        with seqtools.prefetch(seqtools.smap(names["other"], [1j]), 1, "process"):
            pass  # `con` is not sent
        both = refusal(seqtools.smap(lambda x: (names["other"], own, x), [1]))
        assert "other: con" not in both


class Held:
    """A source that holds an object, and is sent as a whole."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __len__(self) -> int:
        return 3

    def __getitem__(self, i: int) -> int:
        return i


@pytest.mark.parametrize(
    "make",
    [
        threading.Lock,
        threading.RLock,
        threading.Condition,
        threading.Semaphore,
        threading.Event,
        lambda: threading.Barrier(2),
        queue.Queue,
        queue.LifoQueue,
        queue.SimpleQueue,
    ],
)
def test_no_lock_is_advised_that_excludes_nobody(make: Callable[[], Any]) -> None:
    held = make()
    for source in (Held(held), seqtools.smap(lambda x: (x, held), range(3))):
        said = refusal(source)
        [finding] = check(seqtools.prefetch(source, 1, "process"), items=0)
        for advice in (said, finding.advice):
            assert "__setstate__ makes a new one" in advice
            assert "per_worker" not in advice
            assert "inside the function" not in advice


def test_what_a_worker_needs_for_itself_is_still_opened_there() -> None:
    source = seqtools.smap(lambda x, of=(i for i in "ab"): (x, of), range(3))
    assert "@seqtools.per_worker" in refusal(source)
