"""What maps with `rng=7` should draw."""

import hashlib
from typing import Any

import numpy as np

N = 40


def expected_rng(seed: int, position: int) -> np.random.Generator:
    """Return the generator of an item, made in the plainest way."""
    body = seed.to_bytes(seed.bit_length() // 8 + 1, "little", signed=True)
    text = b"seqtools-1/rng\0i" + len(body).to_bytes(4, "little") + body
    key = int.from_bytes(hashlib.shake_256(text).digest(16), "little")
    return np.random.Generator(np.random.Philox(key=key, counter=position << 192))


def draw(item: Any, rng: np.random.Generator) -> Any:
    """Draw in ways that leave something behind, each another number of times."""
    odd = [int(rng.integers(1 << 20, dtype=np.uint32)) for _ in range(item % 3)]
    deck = list(range(6))
    rng.shuffle(deck)
    return (
        item,
        odd,
        rng.random(),
        rng.standard_normal(item % 4).tolist(),
        int(rng.binomial(20 + item % 2, 0.3)),  # the generator keeps what it computed for these
        int(rng.binomial(1000, 0.7 - item % 3 / 10)),
        deck,
        rng.choice(9, 3, replace=False).tolist(),
        int(rng.poisson(4)),
        rng.bytes(item % 5),
    )


EXPECTED = [draw(i, expected_rng(7, i)) for i in range(N)]
