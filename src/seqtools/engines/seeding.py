"""Random numbers in workers: different in each, or the same for an item wherever it is made."""

import sys
from collections.abc import Callable
from typing import Any


def seed_generators(seed: int | None) -> None:
    """Seed the global generators of `random`, numpy and torch, of those in use.

    Args:
        seed: What to derive the seeds from; `None` for one of the operating system.
    """
    import random

    source = random.SystemRandom() if seed is None else random.Random(seed)  # noqa: S311
    random.seed(source.getrandbits(64))
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        numpy.random.seed(source.getrandbits(32))
    if torch is not None:
        torch.manual_seed(source.getrandbits(63))


def seeded(get: Callable[[int], Any], seed: int) -> Callable[[int], Any]:
    """Return `get` with the generators seeded before each item, from `seed` and its index."""
    return _Seeded(get, seed)


class _Seeded:
    def __init__(self, get: Callable[[int], Any], seed: int) -> None:
        self._get, self._seed = get, seed

    def __call__(self, i: int) -> Any:
        import hashlib

        digest = hashlib.blake2b(f"{self._seed}/{i}".encode(), digest_size=8).digest()
        seed_generators(int.from_bytes(digest, "little"))
        return self._get(i)
