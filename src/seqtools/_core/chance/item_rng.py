"""A numpy generator for each item, which depends on a seed and the position of the item alone.

Philox computes its numbers from a key and a counter. The key comes from the seed, and the last of
the four words of the counter is the position, so that items have 2**192 blocks of numbers each, and
no two items share one.

Making a generator takes 5 us, and setting the state of one that exists 0.3 us. So generators are
used again, unless user code has kept a part of one: the reference counts tell. No numbers depend on
that, because all that a generator has is set before each item.
"""

import sys
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, TypeVar

from seqtools._core.chance.seeds import Seed, words

T = TypeVar("T")

PURPOSE = "rng"


class ItemSeed:
    """What a generator of an item has as its `seed_seq`: see `numpy.random.SeedSequence`.

    So the children that `Generator.spawn` makes depend on the seed and the position too, and not on
    the items that were evaluated before.
    """

    __slots__ = ("key", "position", "spawned")

    def __init__(self, key: tuple[int, ...]) -> None:
        self.key, self.position, self.spawned = key, 0, 0

    def generate_state(self, n_words: int, dtype: Any = "uint32") -> Any:
        """Return an array of `n_words` seeds, for another bit generator."""
        from numpy.random import SeedSequence

        return SeedSequence([*self.key, self.position]).generate_state(n_words, dtype)

    def spawn(self, n_children: int) -> list[Any]:
        """Return the next children."""
        from numpy.random import SeedSequence

        first, self.spawned = self.spawned, self.spawned + n_children
        entropy = [*self.key, self.position]
        return [SeedSequence(entropy, spawn_key=(k,)) for k in range(first, self.spawned)]


class _Held:
    """A generator and its parts, while no item uses them."""

    __slots__ = ("alone", "bits", "counter", "parts", "rng", "seed", "state")

    def __init__(self, key: tuple[int, ...]) -> None:
        from numpy.random import Generator, Philox

        _register()
        self.seed = ItemSeed(key)
        self.bits: Any = Philox(self.seed)  # type: ignore[arg-type]  # registered as one
        self.rng = Generator(self.bits)
        self.parts = (self.rng, self.bits, self.seed)
        self.counter = [0, 0, 0, 0]
        # lists, because numpy reads the words one by one, which takes longer from its arrays
        self.state = {
            "bit_generator": "Philox",
            "state": {"counter": self.counter, "key": list(key)},
            "buffer": [0, 0, 0, 0],
            "buffer_pos": 4,  # nothing is left in the buffer
            "has_uint32": 0,
            "uinteger": 0,
        }
        self.alone = references(self.parts) if _counts_references() else None
        """The reference counts of the parts while nothing else refers to them; `None` if the
        interpreter does not have them."""

    def begin(self, position: int) -> None:
        """Set everything for the item at `position`."""
        self.counter[3] = position
        self.seed.position, self.seed.spawned = position, 0
        self.bits.state = self.state


def references(parts: tuple[Any, ...]) -> list[int]:
    """Return the reference counts of `parts`.

    `map` holds each part in C: bytecode of Python 3.14 may borrow the references on its stack, so
    that counts taken there would depend on how the interpreter has compiled the caller.
    """
    return list(map(sys.getrefcount, parts))


@cache
def _counts_references() -> bool:
    """Return whether a reference count is the number of references to an object.

    Builds without the global lock count for each thread, and other interpreters do not count.
    """
    import sysconfig

    free_threaded = bool(sysconfig.get_config_var("Py_GIL_DISABLED"))
    return hasattr(sys, "getrefcount") and not free_threaded


@cache
def _register() -> None:
    """Tell numpy that `ItemSeed` is a seed sequence which can spawn."""
    from numpy.random.bit_generator import ISpawnableSeedSequence

    ISpawnableSeedSequence.register(ItemSeed)


class ItemRngs:
    """Calls functions with the generators of items, from any number of threads, also nested."""

    __slots__ = ("_free", "_key")

    def __init__(self, seed: Seed) -> None:
        self._key = words(PURPOSE, seed, 2)
        self._free: list[_Held] = []  # `pop` and `append` are atomic

    def call(self, f: Callable[..., T], position: int, arguments: Iterable[Any]) -> T:
        """Return `f(*arguments, rng=…)` for the item at `position`."""
        try:
            held = self._free.pop()
        except IndexError:
            held = _Held(self._key)
        held.begin(position)
        result = f(*arguments, rng=held.rng)  # if it raises, the traceback has the generator
        if held.alone == references(held.parts):
            self._free.append(held)
        return result
