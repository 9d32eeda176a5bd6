"""Restores the state of random generators."""

import random
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import partial
from typing import Any


@contextmanager
def restored_generators(generators: Iterable[Any] = ()) -> Iterator[None]:
    """Return a context that restores the global random generators and those `generators`."""
    restored: list[tuple[Callable[[Any], object], Any]] = [(random.setstate, random.getstate())]
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        restored.append((numpy.random.set_state, numpy.random.get_state()))
    if torch is not None:
        restored.append((torch.set_rng_state, torch.get_rng_state()))
    restored += [pair for each in generators for pair in _state(each)]
    try:
        yield
    finally:
        for put, state in restored:
            put(state)


def _state(generator: Any) -> Iterator[tuple[Callable[[Any], object], Any]]:
    """Yield a function that sets the state of a generator, and its present state."""
    bits = getattr(generator, "bit_generator", generator)  # of numpy
    if hasattr(bits, "state"):
        yield partial(setattr, bits, "state"), bits.state
        return
    for get, put in (("get_state", "set_state"), ("getstate", "setstate")):
        if hasattr(bits, get) and hasattr(bits, put):
            yield getattr(bits, put), getattr(bits, get)()
