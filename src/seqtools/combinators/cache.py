"""Values kept after they were read."""

import threading
from collections import OrderedDict
from collections.abc import Callable, Container, MutableMapping
from contextlib import suppress
from functools import partial
from typing import Any, TypeAlias, TypeVar

from seqtools._core import single_flight
from seqtools._core.at_fork import renew_in_children
from seqtools._core.chance import seeding
from seqtools._core.checks import check_count, check_source, check_store
from seqtools._core.indices import Indices, as_array, as_list
from seqtools._core.readahead import ReadAhead
from seqtools._core.sequence import LazySequence
from seqtools._core.single_flight import Flights
from seqtools._core.sources import Source, assign, getter, size_of
from seqtools._core.store import Store, is_store
from seqtools._core.traits import Traits
from seqtools._core.walk import traits_upstream

T = TypeVar("T")

_MISSING: Any = object()
_MOST_SEARCHED = 10_000
"""Most indices of a hint that are compared with the kept ones. Arbitrary: it takes 1 ms."""


class _Guard:
    """A lock for threads that change kept values; none holds it while it evaluates an item."""

    __slots__ = ("__weakref__", "lock")

    def __init__(self) -> None:
        self.renew()
        renew_in_children(self)

    def renew(self) -> None:
        """See `seqtools._core.at_fork`."""
        self.lock = threading.RLock()


class _Recent:
    """A store of the values used most recently; a hit takes no lock."""

    __slots__ = ("_kept", "_size", "ahead")

    def __init__(self, size: int) -> None:
        self._size = size
        self._kept: OrderedDict[int, Any] = OrderedDict()
        self.ahead = ReadAhead(size)

    def get(self, key: int, default: Any) -> Any:
        value = self._kept.get(key, default)
        if value is not default:
            with suppress(KeyError):  # dropped in between by another thread
                self._kept.move_to_end(key)
        return value

    def peek(self, key: int, default: Any) -> Any:
        return self._kept.get(key, default)

    def put(self, key: int, value: Any) -> None:
        self._kept[key] = value
        self._kept.move_to_end(key)
        while len(self._kept) > self._size:
            del self._kept[self._last_needed(key)]

    def _last_needed(self, key: int) -> int:
        """Return the key to drop: one that no hint contains, else the one that is needed last."""
        soon = self.ahead.soon() if self.ahead else ()
        # A hit takes no lock and reorders the keys, so they are copied in one step.
        others = [k for k in list(self._kept) if k != key] or [key]
        unneeded = next((k for k in others if k not in soon), None)
        last: int = max(others, key=soon.index) if unneeded is None else unneeded
        return last

    def next_wanted(self, *but: Container[Any]) -> int | None:
        """Return the index to read ahead next, if there is room for it."""
        held = (self._kept, *but)
        return next((k for k in self.ahead.soon() if not any(k in h for h in held)), None)

    def missing(self, indices: Indices) -> Indices:
        """Return those of `indices` that are not kept."""
        kept = frozenset(list(self._kept))  # copied in one step
        many = len(indices[: _MOST_SEARCHED + 1]) > _MOST_SEARCHED
        if many or kept.isdisjoint(as_list(indices)):
            return indices
        found: Indices = as_array([i for i in as_list(indices) if i not in kept])
        return found

    def drop(self, key: int) -> None:
        self._kept.pop(key, None)


class _Mapped:
    """A store that is a mapping of the user's; one thread at a time uses it."""

    __slots__ = ("_guard", "_mapping")

    def __init__(self, mapping: MutableMapping[int, Any], guard: _Guard) -> None:
        self._mapping, self._guard = mapping, guard

    def get(self, key: int, default: Any) -> Any:
        with self._guard.lock:
            try:
                return self._mapping[key]
            except KeyError:
                return default

    def put(self, key: int, value: Any) -> None:
        self._mapping[key] = value

    def drop(self, key: int) -> None:
        self._mapping.pop(key, None)


_State: TypeAlias = tuple[Any, Flights, _Guard]
"""A store, and the evaluations of values for it."""


def _new_state(cache: Any, size: int) -> _State:
    """Return a state with `cache` as the store, or with memory for `size` values."""
    guard = _Guard()
    if cache is None:
        cache = _Recent(size)
    elif not is_store(cache):
        cache = _Mapped(cache, guard)
    return cache, Flights(), guard


class AddCache(LazySequence[T]):
    """Items of a sequence, some of them kept."""

    __slots__ = ("_cache", "_cache_size", "_read", "_seeded", "_sequence", "_state", "_traits")

    _name = "add_cache"

    def __init__(
        self, sequence: Any, cache_size: int, cache: Store | MutableMapping[int, Any] | None = None
    ) -> None:
        self._sequence, self._cache_size, self._cache = sequence, cache_size, cache
        self._read = getter(sequence)
        self._traits = Traits(
            draws_apart=True,
            elementwise=True,
            acts_on_hints=cache is None and cache_size > 1,
            keeps_items=cache is not None or cache_size > 0,
        )
        self._state = _new_state(cache, cache_size)
        self._seeded: tuple[object, _State] | None = None  # the token of a seed, and its state

    def _size(self) -> int | None:
        return size_of(self._sequence)

    def _here(self) -> _State:
        """Return the state for the seed with which this thread evaluates an item now, if any.

        Each seed gives other values, and only those of the last seed are kept. A mapping or store
        of the user has one value for each item.
        """
        token = seeding.token() if seeding.used and self._cache is None else None
        if token is None:
            return self._state
        found = self._seeded
        if found is None or found[0] is not token:
            found = self._seeded = token, _new_state(None, self._cache_size)
        return found[1]

    def _get(self, i: int) -> T:
        store = (self._here() if seeding.used else self._state)[0]
        if self._traits.acts_on_hints and store.ahead:
            store.ahead.reached(i)
        value = store.get(i, _MISSING)
        if value is not _MISSING:
            return value  # type: ignore[no-any-return]
        return self._read_alone(i)

    def _read_alone(self, i: int) -> T:
        """Return item `i`, which was not kept; other threads that need it wait for this one."""
        state = self._here()
        flights = state[1]
        load = partial(self._load, i, state)
        make = partial(flights.in_turn, load) if single_flight.in_turns else load
        return flights.get(i, make, partial(_keep, state, i))  # type: ignore[no-any-return]

    def _load(self, i: int, state: _State) -> T:
        # another thread may have loaded it since this one looked
        value = state[0].get(i, _MISSING)
        return seeding.apart(self, i, self._read, i) if value is _MISSING else value  # type: ignore[no-any-return]

    def _next_ahead(self, failed: Container[int]) -> int | None:
        """Return the index to read ahead next, `None` if there is none."""
        store, flights, _ = self._state
        return store.next_wanted(flights, failed)  # type: ignore[no-any-return]

    def _set(self, i: int, value: Any) -> None:
        try:
            assign(self._sequence, i, value)
        finally:  # an assignment that failed may have changed a part
            seeded = self._seeded
            for store, flights, guard in (self._state, *([] if seeded is None else [seeded[1]])):
                with guard.lock:
                    flights.forget(i)
                    store.drop(i)

    def _peek(self, i: int) -> tuple[T, ...]:
        if seeding.used and self._cache is None and seeding.token() is not None:
            return ()  # with a seed, what is kept is another item
        store = self._state[0]
        look = store.peek if isinstance(store, _Recent) else store.get
        value = look(i, _MISSING)
        return () if value is _MISSING else (value,)

    def _hint(self, owner: Any, indices: Indices) -> None:
        if self._traits.acts_on_hints:
            store = self._state[0]
            store.ahead.want(owner, indices, self)
            if len(indices) and traits_upstream(self._sequence).acts_on_hints:
                indices = store.missing(indices)  # what is kept is not going to be read from there
        super()._hint(owner, indices)

    def _sources(self) -> tuple[Any, ...]:
        return (self._sequence,)

    def _reads(self, indices: Indices) -> list[tuple[Any, Indices]]:
        return [(self._sequence, indices)]

    def _identity(self) -> None:
        return None

    def _passed(self, i: int) -> int | None:
        # a store of the user has its items by index, which must not become another one
        return i if self._cache is None else None

    def _rebuild(self, *sources: Any) -> "AddCache[T]":
        copy = AddCache[T](sources[0], self._cache_size, self._cache)
        copy._state, copy._seeded = self._state, self._seeded
        return copy

    def _args(self) -> tuple[Any, ...]:
        return self._sequence, self._cache_size, self._cache


def _keep(state: _State, i: int, value: Any, valid: Callable[[], bool]) -> None:
    with state[2].lock:
        if valid():
            state[0].put(i, value)


def add_cache(
    arr: Source[T],
    cache_size: int = 1,
    cache: Store | MutableMapping[int, Any] | None = None,
) -> LazySequence[T]:
    """Return `arr` with the `cache_size` most recently used items kept in memory.

    Item `i` is `arr[i]`. It is evaluated once even if several threads request it at the same
    time, and again when it is no longer kept. Errors are not kept. Assigning to an item
    assigns to `arr` and drops the kept value; values of other items that depend on the same
    data are not dropped, and direct assignments to `arr` are not noticed.

    A cache of two or more items also reads in the background what a `prefetch` downstream
    will need next.

    Args:
        arr: The sequence to read items from.
        cache_size: Number of items to keep, at least 0. Not used if `cache` is given.
        cache: Where to keep values by index; it decides itself which values it drops. A mapping,
            such as a `dict`, that only one thread uses at a time; or a `seqtools.extend.Store`.

    Raises:
        ValueError: If `cache_size` is negative.
        TypeError: If `arr` is not a sequence, or `cache` neither a mutable mapping
            nor a store.

    Example:
        >>> from seqtools import smap
        >>> slow = smap(lambda x: print("computing", x) or x * 2, [1, 2, 3])
        >>> kept = add_cache(slow)
        >>> kept[1], kept[1]
        computing 2
        (4, 4)
    """
    check_source(arr, "arr")
    size = check_count(cache_size, 0, "cache_size")
    if cache is not None:
        check_store(cache, "cache")
    return AddCache(arr, size, cache)
