"""Signals for the tests of engines."""

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.engines.fifo import Fifo


@pytest.fixture
def fifo(tmp_path: Path) -> Iterator[Callable[[], Fifo]]:
    made: list[Fifo] = []

    def one() -> Fifo:
        made.append(Fifo(tmp_path / f"fifo-{len(made)}"))
        return made[-1]

    yield one
    for each in made:
        each.close()
