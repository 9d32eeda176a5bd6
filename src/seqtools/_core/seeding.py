"""Random numbers that depend on what is being made, not on who makes it or what was made before.

The generators of `random`, numpy and torch exist once in a process. With a seed, they are seeded
before an item of a prefetch is evaluated, from the seed and its index. A stage that keeps what it
has read, such as a cache, evaluates an item for whoever asks first. So what it evaluates has
numbers of its own, from the seed, the stage and the index there, and then the generators are put
back: whoever asked goes on with the same numbers as if the item had been there already.
"""

import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from itertools import count
from typing import Any, TypeVar
from weakref import ref

T = TypeVar("T")

used = False
"""Whether there was a seed in this process; if not, there is nothing to ask."""

_BYTES = 24  # of a key


class _Scope:
    """What is being made with the generators as they are, and the numbers that it has."""

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
        seed: What the numbers follow from, together with `i`.
        stages: Those upstream that call `apart`, in an order that is the same everywhere.
        keep: Whether to put the generators back after each item.
    """

    def __init__(
        self, get: Callable[[int], Any], seed: int, stages: Iterable[Any], *, keep: bool
    ) -> None:
        global used  # noqa: PLW0603 -- never undone
        import numpy.random  # noqa: F401 -- what is imported only by an item would not be seeded

        used = True
        self._get, self._seed, self._keep = get, seed, keep
        self._stages = list(stages)
        self._numbers = {id(stage): number for number, stage in enumerate(self._stages)}
        self.token = object()
        """Tells this one from others, without a reference to what it reads."""

    def __call__(self, i: int) -> Any:
        """Return item `i`."""
        if not _late:
            _late.append(_Late())
            sys.meta_path[:0] = _late
        outer = _here.scope
        scope = _Scope(self, f"{self._seed}/{i}")
        return _made(scope, outer, self._keep or outer is not None, self._get, i)

    def name(self, stage: Any, i: int) -> str:
        """Return what the numbers for item `i` of `stage` follow from."""
        number = self._numbers.get(id(stage))
        if number is None:  # read by a function, and so not known from the pipeline
            return f"{self._seed}/line {stage._origin[1]}/{i}"
        return f"{self._seed}/{number}/{i}"

    def __reduce__(self) -> Any:
        """Have the same numbers in another process."""
        return _remade, (self._get, self._seed, self._stages, self._keep)


def _remade(get: Callable[[int], Any], seed: int, stages: list[Any], keep: bool) -> Seeded:  # noqa: FBT001 -- called by pickle
    return Seeded(get, seed, stages, keep=keep)


def token() -> object | None:
    """Return what tells with which seed this thread evaluates an item now, `None` if with none."""
    scope = _here.scope
    return None if scope is None else scope.seeded.token


def apart(stage: Any, i: int, make: Callable[[Any], T], argument: Any) -> T:
    """Return `make(argument)`, with random numbers that belong to item `i` of `stage`.

    Where items are not seeded, it is only called.
    """
    outer = _here.scope if used else None
    if outer is None:
        return make(argument)
    scope = _Scope(outer.seeded, outer.seeded.name(stage, i))
    return _made(scope, outer, True, make, argument)  # noqa: FBT003 -- it is named there


def each_apart(stage: "ref[Any]", items: Iterator[T]) -> Iterator[T]:
    """Return an iterator over `items`, each made as `apart` makes it.

    Args:
        stage: Refers to the stage that gives these items.
        items: An iterator.
    """
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
            _put_back(states, outer)


# The generators


def seed_generators(key: bytes | None) -> None:
    """Seed the global generators of `random`, numpy and torch, of those in use.

    Args:
        key: What the seeds are, so many bytes; `None` for some of the operating system.
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
    """Return the states of the generators, `None` for one that is not in use."""
    import random

    numpy, torch = sys.modules.get("numpy"), sys.modules.get("torch")
    return (
        random.getstate(),
        None if numpy is None else numpy.random.get_state(legacy=False),
        None if torch is None else torch.get_rng_state(),
    )


def _put_back(states: tuple[Any, Any, Any], outer: _Scope | None) -> None:
    """Have the generators as they were; one that came into use since belongs to `outer`."""
    import random

    of_random, of_numpy, of_torch = states
    random.setstate(of_random)
    if of_numpy is not None:
        sys.modules["numpy"].random.set_state(of_numpy)
    torch = sys.modules.get("torch")
    if torch is not None and of_torch is not None:
        torch.set_rng_state(of_torch)
    elif torch is not None and outer is not None:
        _seed_torch(torch, outer.key)


class _Late:
    """Seeds torch, which takes seconds to import, where an item is the first that imports it."""

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> Any:
        """Return how to import torch, and seed it after that: see `importlib.abc`."""
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


_late: list[_Late] = []
"""The one of this process, once it is there."""
