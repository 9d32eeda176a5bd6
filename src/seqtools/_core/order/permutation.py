"""Permutations of range(n) in constant memory: any index, singly and in bulk.

Above `TABLE` items, it is a Feistel network over a grid: index i is the cell (i // a, i % a) of a
grid of `b` rows and `a` columns, about as many as rows, with at least n cells. Each round adds to
one coordinate a hash of the other one, modulo the extent; rounds alternate between both. What
leaves range(n) goes through the network again, until it is back; of all indices, fewer than one in
`b` have to. See J. Black, P. Rogaway, "Ciphers with arbitrary finite domains", CT-RSA 2002, and
V. T. Hoang, P. Rogaway, "On generalized Feistel networks", CRYPTO 2010.

A network permutes few items with a bias, so up to `TABLE` items are sorted by hashes of their
numbers instead.

All is arithmetic on integers, so permutations are the same on every platform and in every version:
tests/laws/test_permutation.py has values that must never change.
"""

from collections.abc import Callable
from math import isqrt
from typing import Any, Protocol

from seqtools._core.chance.seeds import Seed, words

TABLE = 1 << 14
"""Most items that are sorted by hashes, a power of 2. Sorting so many takes 0.1 ms and 32 KB."""

ROUNDS = 8
"""Rounds of the network, an even number. A count of pairs tells 6 rounds from chance, but not 7:
see `test_permutation.py`."""

_PIECE = 1 << 14
"""Indices that are permuted at once: with them, all intermediate results stay in the L2 cache."""

_WORD = (1 << 64) - 1

_SHIFTS = 32, 29, 32


class Permutation(Protocol):
    """A permutation of range(n). Indices must be in that range: they are not checked."""

    def at(self, i: int) -> int:
        """Return the item at index `i`."""

    def at_many(self, indices: Any) -> Any:
        """Return the items at an array of indices, as a new array of int64."""


def permutation(n: int, seed: tuple[Seed, ...]) -> Permutation:
    """Return the permutation of range(n) that `seed` determines, for `n` up to 2**63."""
    return Sorted(n, seed) if n <= TABLE else Network(n, seed)


def hashed(numbers: Any, key: tuple[int, int, int]) -> Any:
    """Return a hash of 64 bits for each of an array of numbers, another one for each number."""
    import numpy as np

    x = numbers.astype(np.uint64)
    x += np.uint64(key[0])
    for word, shift in zip((key[0], key[1], key[2]), _SHIFTS, strict=True):
        x *= np.uint64(word | 1)
        x ^= x >> np.uint64(shift)
    return x


class Sorted:
    """The order of the hashes of few items."""

    def __init__(self, n: int, seed: tuple[Seed, ...]) -> None:
        import numpy as np

        first, second, third = words("shuffle", (*seed, n), 3)
        numbers = np.arange(n, dtype=np.uint64)
        index = np.uint64(TABLE - 1)
        # Sorting hashes that end in the index is ten times as fast as a stable argsort of them
        keys = hashed(numbers, (first, second, third)) & ~index | numbers
        keys.sort()
        self._items = (keys & index).astype(np.uint16)

    def at(self, i: int) -> int:
        """Return the item at index `i`."""
        return int(self._items[i])

    def at_many(self, indices: Any) -> Any:
        """Return the items at an array of indices."""
        return self._items[indices].astype("int64")

    def where(self, items: Any) -> Any:
        """Return the indices of an array of items, as a new array of int64."""
        import numpy as np

        return np.argsort(self._items, kind="stable")[items]


class Network:
    """A Feistel network of several rounds; single indices go through it without numpy."""

    def __init__(self, n: int, seed: tuple[Seed, ...], rounds: int = ROUNDS) -> None:
        self._n = n
        self._a = isqrt(n - 1) + 1
        self._b = -(-n // self._a)
        given = words("shuffle", (*seed, n), 3 * rounds)
        keys = [(given[k] | 1, given[k + 1], given[k + 2] | 1) for k in range(0, 3 * rounds, 3)]
        # of each two rounds, the first changes the column, the second the row
        self._pairs = [(*keys[k], *keys[k + 1]) for k in range(0, rounds, 2)]
        self._steps: list[tuple[int, tuple[Any, ...]]] = []

    def at(self, i: int) -> int:
        """Return the item at index `i`."""
        n, a, b, pairs = self._n, self._a, self._b, self._pairs
        while True:
            row, column = divmod(i, a)
            for k0, k1, k2, k3, k4, k5 in pairs:
                t = row * k0 + k1 & _WORD
                column += (((t ^ t >> 32) * k2 & _WORD) >> 32) * a >> 32
                if column >= a:
                    column -= a
                t = column * k3 + k4 & _WORD
                row += (((t ^ t >> 32) * k5 & _WORD) >> 32) * b >> 32
                if row >= b:
                    row -= b
            i = row * a + column
            if i < n:
                return i

    def at_many(self, indices: Any) -> Any:
        """Return the items at an array of indices."""
        return self._walked(indices, self._permute)

    def where(self, items: Any) -> Any:
        """Return the indices of an array of items, as a new array of int64."""
        return self._walked(items, self._reverse)

    def _walked(self, cells: Any, step: Callable[[Any], None]) -> Any:
        """Return where the walks of an array of cells end, by steps in place, as int64."""
        import numpy as np

        n = np.uint64(self._n)
        result = cells.astype(np.uint64)  # a copy
        for start in range(0, result.size, _PIECE):
            piece = result[start : start + _PIECE]
            step(piece)
            outside = np.flatnonzero(piece >= n)
            while outside.size:
                again = piece[outside]
                step(again)
                piece[outside] = again
                outside = outside[again >= n]
        return result.view(np.int64)

    def _reverse(self, cells: Any) -> None:
        """Let an array of cells go through the network once, backwards, in place."""
        import numpy as np

        a, half = np.uint64(self._a), np.uint64(32)
        row, column = np.divmod(cells, a)
        for which, (k0, k1, k2, extent) in reversed(self._rounds()):
            changed, other = (row, column) if which else (column, row)
            t = other * k0 + k1
            t = (((t ^ (t >> half)) * k2) >> half) * extent >> half
            # modulo the extent: of x - t and x - t + extent, the valid one is the smaller number
            np.subtract(changed, t, out=changed)
            np.minimum(changed, changed + extent, out=changed)
        np.add(row * a, column, out=cells)

    def _rounds(self) -> list[tuple[int, tuple[Any, ...]]]:
        """Return for each round which coordinate it changes, its keys and its extent."""
        if not self._steps:
            import numpy as np

            steps = []
            for k0, k1, k2, k3, k4, k5 in self._pairs:
                steps.append((0, tuple(map(np.uint64, (k0, k1, k2, self._a)))))
                steps.append((1, tuple(map(np.uint64, (k3, k4, k5, self._b)))))
            self._steps = steps  # complete, because other threads may read
        return self._steps

    def _permute(self, cells: Any) -> None:
        """Let an array of cells go through the network once, in place."""
        import numpy as np

        a, half = np.uint64(self._a), np.uint64(32)
        row = cells // a
        column = cells
        column -= row * a
        t, u = np.empty_like(row), np.empty_like(row)
        for which, (k0, k1, k2, extent) in self._rounds():
            changed, other = (row, column) if which else (column, row)
            np.multiply(other, k0, out=t)
            np.add(t, k1, out=t)
            np.right_shift(t, half, out=u)
            np.bitwise_xor(t, u, out=t)
            np.multiply(t, k2, out=t)
            np.right_shift(t, half, out=t)
            np.multiply(t, extent, out=t)
            np.right_shift(t, half, out=t)
            # modulo the extent: of x and x - extent, the valid one is the smaller unsigned number
            np.add(changed, t, out=changed)
            np.subtract(changed, extent, out=t)
            np.minimum(changed, t, out=changed)
        np.multiply(row, a, out=row)
        np.add(row, column, out=cells)
