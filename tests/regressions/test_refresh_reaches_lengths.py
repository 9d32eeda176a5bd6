"""What stages keep of the lengths of their sources is asked again by `refresh`."""

from collections.abc import Callable
from typing import Any

import pytest

import seqtools
from seqtools import LazySequence


@pytest.mark.parametrize(
    "make",
    [
        lambda a: seqtools.cycle(a, 9),
        lambda a: seqtools.concatenate([a, a]),
        lambda a: seqtools.interleave(a, [7, 8]),
        lambda a: seqtools.unbatch(seqtools.batch(a, 3), 3),
        lambda a: seqtools.batch(a, 2),
        lambda a: seqtools.smap(lambda x, y: (x, y), a, seqtools.repeat(0)),
    ],
    ids=["cycle", "concatenate", "interleave", "unbatch", "batch", "smap"],
)
def test_a_source_that_grew(make: Callable[[Any], LazySequence[Any]]) -> None:
    source = [1, 2, 3]
    p = seqtools.prefetch(make(source), 1)
    assert list(p) == list(make([1, 2, 3]))
    source += [4, 5, 6]
    p.refresh()
    assert list(p) == list(make([1, 2, 3, 4, 5, 6]))
