"""Single values of more than 2 GiB, for which some calls of the system take two turns.

They take up to 8 GB of memory and half a minute each, so they run only when asked for:

        SEQTOOLS_HUGE=1 pytest tests/values/test_huge.py -o faulthandler_timeout=600
"""

import os
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest

import seqtools
from tests.engines.engines import OPTIONS

pytestmark = [
    pytest.mark.skipif(
        os.environ.get("SEQTOOLS_HUGE") != "1",
        reason="takes 8 GB of memory: SEQTOOLS_HUGE=1 has it run",
    ),
    pytest.mark.timeout(600),
]

HUGE = 2_200_000_000
KINDS: dict[str, Callable[[], Any]] = {
    "array": lambda: np.full(HUGE, 7, np.uint8),
    "bytes": lambda: bytes([7]) * HUGE,
}


@pytest.mark.parametrize("engine", ["inline", "thread", "process", "spawn"])
@pytest.mark.parametrize("kind", KINDS)
def test_a_value_of_more_than_two_gibibytes(kind: str, engine: str) -> None:
    source = seqtools.smap(lambda i: KINDS[kind]() if i == 1 else i, range(3))
    with seqtools.prefetch(source, **(OPTIONS[engine] | {"max_cached": 1})) as p:
        items = iter(p)
        assert next(items) == 0
        value = next(items)
        assert type(value) is ({"array": np.ndarray, "bytes": bytes}[kind])
        assert len(value) == HUGE
        assert value[0] == value[HUGE // 2] == value[-1] == 7
        assert (np.frombuffer(value, np.uint8) == 7).all()
        assert next(items) == 2
