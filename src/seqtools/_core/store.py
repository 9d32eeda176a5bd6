"""The protocol of stores, in which a cache keeps values."""

from typing import Any, Protocol, TypeGuard


class Store(Protocol):
    """Values by index, for `add_cache(cache=...)`; `docs/stores.md` says who calls what and when.

    Example:
        >>> import seqtools
        >>> class Rounded:
        ...     def __init__(self):
        ...         self.kept = {}
        ...
        ...     def get(self, key, default):
        ...         return self.kept.get(key, default)
        ...
        ...     def put(self, key, value):
        ...         self.kept[key] = round(value, 1)
        ...
        ...     def drop(self, key):
        ...         self.kept.pop(key, None)
        >>> halves = seqtools.smap(lambda x: x / 3, [1, 2])
        >>> cached = seqtools.add_cache(halves, cache=Rounded())
        >>> round(cached[1], 3), cached[1]
        (0.667, 0.7)
    """

    def get(self, key: int, default: Any) -> Any:
        """Return the value of `key`, or `default` itself if there is none.

        Several threads may call it at once, also during a call of another method.
        """

    def put(self, key: int, value: Any) -> None:
        """Replace the value of `key`; a store may also drop it instead.

        The cache calls `put` and `drop` in one thread at a time.
        """

    def drop(self, key: int) -> None:
        """Drop the value of `key`, if there is one."""


def is_store(cache: object) -> TypeGuard[Store]:
    """Return whether `cache` has the methods of a store."""
    return all(callable(getattr(cache, name, None)) for name in ("get", "put", "drop"))
