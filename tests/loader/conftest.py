"""Loaders of one run, for the tests of this folder."""

from collections.abc import Callable
from typing import Any

import pytest

from seqtools import loader
from tests.loader.runs import EPOCHS, MAKE, RUN


@pytest.fixture(params=MAKE)
def make(request: pytest.FixtureRequest) -> Callable[[], Any]:
    """Return how to make a loader of `RUN`."""
    return lambda: loader(MAKE[request.param](), epochs=EPOCHS)


@pytest.fixture
def made() -> Any:
    return loader(RUN, epochs=EPOCHS)
