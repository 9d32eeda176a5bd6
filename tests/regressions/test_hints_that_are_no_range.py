"""What a worker is told comes next reaches every stage as a range or an array."""

import pytest

import seqtools
from tests.engines.engines import OPTIONS


@pytest.mark.parametrize("engine", OPTIONS)
def test_reading_a_gather_with_a_stride(engine: str) -> None:
    kept = seqtools.add_cache(range(100), 2)
    turned = seqtools.gather(kept, list(range(99, -1, -1)))
    with seqtools.prefetch(turned, **OPTIONS[engine]) as p:
        assert list(p[::7]) == list(range(99, -1, -7))
