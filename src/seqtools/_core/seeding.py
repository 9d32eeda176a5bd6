"""Random numbers that depend only on the item that is evaluated.

`random`, numpy and torch have one global generator each. With a seed, they are seeded before each
item of a prefetch, from the seed and the index. A cache evaluates an item for the first reader that
needs it. So an item of a cache has its own random numbers, from the seed, the stage and the index
there. Afterwards the generators get their previous state, so that a reader draws the same numbers
whether or not the cache had the item.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, TypeVar
from weakref import ref

T = TypeVar("T")

used = False
"""Whether there was a seed in this process."""

_BYTES = 24  # of a key


class _Scope:
    """The evaluation for which the generators are seeded now, and its key."""

    __slots__ = ("key", "seeded")

    def __init__(self, seeded: "Seeded", name: str) -> None:
        import hashlib

        self.seeded = seeded
        self.key = hashlib.blake2b(name.encode(), digest_size=_BYTES).digest()


class _Thread(threading.local):
    scope: _Scope | None = None


_here = _Thread()


class Seeded:
    """Evaluates items with the generators seeded before each.

    Args:
        get: Evaluates item `i`.
        seed: Determines the random numbers, together with `i`.
        stages: Those upstream that call `apart`, in an order that is the same everywhere.
        keep: Whether to restore the generators after each item.
    """

    def __init__(
        self, get: Callable[[int], Any], seed: int, stages: Iterable[Any], *, keep: bool
    ) -> None:
        global used  # noqa: PLW0603 -- never undone
        import numpy.random  # noqa: F401 -- if an item imported it, it would not be seeded

        used = True
        self._get, self._seed, self._keep = get, seed, keep
        self._stages = list(stages)
        self._numbers = {id(stage): number for number, stage in enumerate(self._stages)}
        self.token = object()
        """Identifies this object without a reference to the pipeline."""

    def __call__(self, i: int) -> Any:
        """Return item `i`."""
        if not _torch_seeders:
            _torch_seeders.append(_TorchSeeder())
            sys.meta_path[:0] = _torch_seeders
        outer = _here.scope
        scope = _Scope(self, f"{self._seed}/{i}")
        return _made(scope, outer, self._keep or outer is not None, self._get, i)

    def name(self, stage: Any, i: int) -> str:
        """Return the text that determines the random numbers of item `i` of `stage`."""
        number = self._numbers.get(id(stage))
        if number is None:  # a function reads it, so the pipeline does not contain it
            return f"{self._seed}/line {stage._origin[1]}/{i}"
        return f"{self._seed}/{number}/{i}"

    def __reduce__(self) -> Any:
        """Pickle the arguments, which give the same numbers in another process."""
        return _remade, (self._get, self._seed, self._stages, self._keep)


def _remade(get: Callable[[int], Any], seed: int, stages: list[Any], keep: bool) -> Seeded:  # noqa: FBT001 -- called by pickle
    return Seeded(get, seed, stages, keep=keep)


def token() -> object | None:
    """Return the token of the `Seeded` that evaluates an item in this thread now, if any."""
    scope = _here.scope
    return None if scope is None else scope.seeded.token


def apart(stage: Any, i: int, make: Callable[[Any], T], argument: Any) -> T:
    """Return `make(argument)`; with a seed, it draws the random numbers of item `i` of `stage`."""
    outer = _here.scope if used else None
    if outer is None:
        return make(argument)
    scope = _Scope(outer.seeded, outer.seeded.name(stage, i))
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


def seed_generators(key: bytes | None) -> None:
    """Seed the global generators of `random`, and of numpy and torch if they are imported.

    Args:
        key: The bytes of the seeds; `None` means random bytes of the operating system.
    """
    import os
    import random

    if key is None:
        key = os.urandom(_BYTES)
    random.seed(int.from_bytes(key[:8], "little"))
    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    if numpy is not None:
        numpy.random.seed(int.from_bytes(key[8:12], "little"))
    if torch is not None:
        _seed_torch(torch, key)


def _seed_torch(torch: Any, key: bytes) -> None:
    torch.manual_seed(int.from_bytes(key[12:20], "little") >> 1)


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
