"""Random numbers that depend only on the item that is evaluated.

`random`, numpy and torch have one global generator each. With a seed, they are seeded before each
item of a prefetch, from the seed and the position of the item, which is its `_draw_index`; or
before each call of the function of a map. A cache evaluates an item for the first reader that needs
it. So an item of a cache has its own random numbers, from the seed, the stage and the position
there. Afterwards the generators get their previous state, so that a reader draws the same numbers
whether or not the cache had the item.
"""

import struct
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, TypeVar
from weakref import ref

from seqtools._core.chance.seeds import Seed, words

T = TypeVar("T")

used = False
"""Whether there was a seed in this process."""

_BYTES = 24  # of a key


class _Scope:
    """The evaluation for which the generators are seeded now, and its key."""

    __slots__ = ("key", "seeded")

    def __init__(self, seeded: "Names", name: Seed) -> None:
        self.seeded = seeded
        self.key = struct.pack("<3Q", *words("global", name, _BYTES // 8))


class _Thread(threading.local):
    scope: _Scope | None = None


_here = _Thread()


class Names:
    """Names random numbers: what is drawn under one name is the same everywhere.

    Args:
        seed: Part of all names.
        stages: Those upstream that call `apart`, in an order that is the same everywhere.
    """

    def __init__(self, seed: Seed, stages: Iterable[Any] = ()) -> None:
        global used  # noqa: PLW0603 -- never undone
        import numpy.random  # noqa: F401 -- if an item imported it, it would not be seeded

        used = True
        self._seed = seed
        self._stages = list(stages)
        self._numbers = {id(stage): number for number, stage in enumerate(self._stages)}
        self.token = object()
        """Identifies this object without a reference to the pipeline."""

    def of_item(self, position: int) -> Seed:
        """Return the name for the item at `position`."""
        return self._seed, position

    def of_stage(self, stage: Any, i: int) -> Seed:
        """Return the name for item `i` of `stage`, one of those that call `apart`."""
        position = stage._draw_index(i)
        number = self._numbers.get(id(stage))
        if number is None:  # a function reads it, so the pipeline does not contain it
            return self._seed, "line", stage._origin[1], position
        return self._seed, number, position

    def made(self, position: int, make: Callable[[Any], T], argument: Any, *, keep: bool) -> T:
        """Return `make(argument)`, with the generators seeded for the item at `position`.

        Args:
            position: The position.
            make: Evaluates the item.
            argument: Its argument.
            keep: Whether to restore the generators, also if nothing outside is seeded.
        """
        if not _torch_seeders:
            _torch_seeders.append(_TorchSeeder())
            sys.meta_path[:0] = _torch_seeders
        outer = _here.scope
        scope = _Scope(self, self.of_item(position))
        return _made(scope, outer, keep or outer is not None, make, argument)


class Seeded(Names):
    """Evaluates items with the generators seeded before each.

    Args:
        get: Evaluates item `i`.
        seed: Determines the random numbers, together with the position of the item.
        stages: See `Names`.
        position: Returns the position of item `i`; `None` means `i`.
        keep: Whether to restore the generators after each item.
    """

    def __init__(
        self,
        get: Callable[[int], Any],
        seed: Seed,
        stages: Iterable[Any],
        position: Callable[[int], int] | None,
        *,
        keep: bool,
    ) -> None:
        super().__init__(seed, stages)
        self._get, self._position, self._keep = get, position, keep

    def __call__(self, i: int) -> Any:
        """Return item `i`."""
        position = i if self._position is None else self._position(i)
        return self.made(position, self._get, i, keep=self._keep)

    def __reduce__(self) -> Any:
        """Pickle the arguments, which give the same numbers in another process."""
        return _remade, (self._get, self._seed, self._stages, self._position, self._keep)


def _remade(
    get: Callable[[int], Any],
    seed: Seed,
    stages: list[Any],
    position: Callable[[int], int] | None,
    keep: bool,  # noqa: FBT001 -- called by pickle
) -> Seeded:
    return Seeded(get, seed, stages, position, keep=keep)


def token() -> object | None:
    """Return the token of the seed with which this thread evaluates an item now, if any."""
    scope = _here.scope
    return None if scope is None else scope.seeded.token


def apart(stage: Any, i: int, make: Callable[[Any], T], argument: Any) -> T:
    """Return `make(argument)`; with a seed, it draws the random numbers of item `i` of `stage`."""
    outer = _here.scope if used else None
    if outer is None:
        return make(argument)
    scope = _Scope(outer.seeded, outer.seeded.of_stage(stage, i))
    return _made(scope, outer, True, make, argument)  # noqa: FBT003 -- it is named there


def each_apart(stage: "ref[Any]", items: Iterator[T]) -> Iterator[T]:
    """Return an iterator over `items` of `stage`, which evaluates each as `apart` does."""
    for i in count():
        try:
            item = apart(stage(), i, next, items)
        except StopIteration:
            return
        yield item


def _made(
    scope: _Scope,
    outer: _Scope | None,
    keep: bool,  # noqa: FBT001 -- called for each item
    make: Callable[[Any], T],
    argument: Any,
) -> T:
    states = _states() if keep else None
    _here.scope = scope
    try:
        seed_generators(scope.key)
        return make(argument)
    finally:
        _here.scope = outer
        if states is not None:
            _restore(states, outer)


# The generators


def seed_generators(key: bytes) -> None:
    """Seed the global generators of `random`, and of numpy and torch if they are imported."""
    import random

    random.seed(int.from_bytes(key[:8], "little"))
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        numpy.random.seed(int.from_bytes(key[8:12], "little"))
    if torch is not None:
        _seed_torch(torch, key)


def seed_randomly() -> None:
    """Seed them with random bytes of the operating system, and torch's of all devices."""
    import os

    key = os.urandom(_BYTES)
    seed_generators(key)
    if "torch" in sys.modules:
        sys.modules["torch"].manual_seed(int.from_bytes(key[12:20], "little") >> 1)


def _seed_torch(torch: Any, key: bytes) -> None:
    # torch.manual_seed takes 120 µs, because it looks for other devices
    torch.default_generator.manual_seed(int.from_bytes(key[12:20], "little") >> 1)


def _states() -> tuple[Any, Any, Any]:
    """Return the states of the generators, `None` if the library is not imported."""
    import random

    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return (
        random.getstate(),
        None if numpy is None else numpy.random.get_state(legacy=False),
        None if torch is None else torch.get_rng_state(),
    )


def _restore(states: tuple[Any, Any, Any], outer: _Scope | None) -> None:
    """Restore the generators; seed torch for `outer` if it was imported since."""
    import random

    random_state, numpy_state, torch_state = states
    random.setstate(random_state)
    if numpy_state is not None:
        sys.modules["numpy"].random.set_state(numpy_state)
    torch = sys.modules.get("torch")
    if torch is not None and torch_state is not None:
        torch.set_rng_state(torch_state)
    elif torch is not None and outer is not None:
        _seed_torch(torch, outer.key)


class _TorchSeeder:
    """Seeds torch when an item imports it; importing it earlier would take seconds."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return a spec that imports torch and seeds it: see `importlib.abc`."""
        del path, target
        if name != "torch":
            return None
        import importlib.util

        sys.meta_path[:] = [finder for finder in sys.meta_path if finder is not self]
        spec = importlib.util.find_spec(name)
        if spec is None or spec.loader is None:
            return spec
        execute = spec.loader.exec_module

        def execute_and_seed(module: Any) -> None:
            execute(module)
            if _here.scope is not None:
                _seed_torch(module, _here.scope.key)

        spec.loader.exec_module = execute_and_seed  # type: ignore[method-assign]
        return spec


_torch_seeders: list[_TorchSeeder] = []
"""The one of this process, if there is a seed."""
