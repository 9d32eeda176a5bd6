"""An object that has its own prefetch was kept for ever, by the threads of the workers."""

import gc
import threading
import weakref
from typing import Any

import pytest

import seqtools
from tests.engines.engines import OPTIONS


class Loader:
    """Reads ahead what it loads itself."""

    def __init__(self, options: dict[str, Any]) -> None:
        self.items = seqtools.prefetch(seqtools.smap(self.load, range(100)), **options)

    def load(self, i: int) -> int:
        return i * i


@pytest.mark.parametrize("name", OPTIONS)
def test_an_owner_is_collected_and_its_workers_end(name: str) -> None:
    before = set(threading.enumerate())
    loader = Loader(OPTIONS[name])
    assert list(loader.items[:5]) == [0, 1, 4, 9, 16]
    assert loader.items[7] == 49
    gone = weakref.ref(loader)
    del loader
    while gone() is not None:  # a worker that has just evaluated an item may still refer to it
        gc.collect()
    for thread in set(threading.enumerate()) - before:
        if thread.name != "seqtools-idle":
            thread.join(20)
            assert not thread.is_alive(), thread
