"""Values on their way from a worker, each as it is when the function returns it.

Several values travel in one message, because a message costs as much as ten small values. But the
function may change its object before the message is sent, or return it again. So no object that it
returned waits for the message:

- an immutable value is kept as it is;
- a small container of such values, or a small array, is copied, because the consumer needs three
  times as long to load a separate pickle;
- everything else is pickled at once, and its large buffers are copied into slots.

The message alone owns what waits for it, and is pickled as one list. Values that a reader gets
share nothing mutable with each other.

    body: ([value, value, pickle, …], [(place of a pickle, number of its buffers), …])
"""

import pickle
import sys
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeAlias

from seqtools._core import allocator
from seqtools._core.errors import summary
from seqtools.engines import fault_injection
from seqtools.engines.wire.arena import Arena, Lease, SlotPlace
from seqtools.engines.wire.result_pickling import ResultDumper

LARGE_PICKLE = 1 << 16
"""Bytes from which a pickle is sent through a slot: as many as a pipe holds."""

_MOST_COPIED = 50
"""Items of a container that is copied. To pickle a longer one costs less."""
_MOST_NESTED = 16
"""Containers in a container that is copied. Arbitrary."""

IMMUTABLE: set[type] = {int, float, complex, bool, str, bytes, type(None)}
"""Classes of immutable values. Classes of numpy's scalars are added when the first one comes."""

Sent: TypeAlias = "list[Any | SlotPlace]"


class OutgoingValues:
    """Values that wait to be sent, and their buffers.

    Args:
        dumper: Pickles values.
        slots: Memory for large buffers, `None` if there is none.
    """

    def __init__(self, dumper: ResultDumper, slots: Arena | None) -> None:
        self.values: list[Any] = []
        """The worker appends each value, and calls `settle` unless its class is `IMMUTABLE`."""
        self.refused: Exception | None = None
        """Why a value, which followed `values`, cannot be sent."""
        self._dumper, self._slots = dumper, slots
        self._pickled: list[tuple[int, int]] = []
        self._parts: Sent = []  # of values that are pickled already
        self._never_copied: set[type] = set()

    def settle(self) -> bool:
        """Copy or pickle the last of `values`; return whether all must be sent at once."""
        value = self.values.pop()
        kind = type(value)
        if kind not in self._never_copied:
            try:
                self.values.append(copied(value, set()))
            except _NotCopiedError:
                if kind.__name__ not in _COPIED:
                    self._never_copied.add(kind)
            else:
                return False
        own, body = Buffers(self._slots), None
        try:
            body = self._dumper.dumps(value, own.add)
            del value  # memory that nobody refers to any more is given away without a copy
            parts = own.settled()
            if len(body) >= LARGE_PICKLE:
                parts.insert(0, _put(self._slots, body))
                body = None
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            own.cancel()
            self.refused = _refusal(kind, error)
            return True
        self._pickled.append((len(self.values), len(parts)))
        self.values.append(body)
        self._parts += parts
        # A part outside of a slot is still memory of the value, or too large to wait for others.
        return any(not isinstance(part, SlotPlace) for part in parts)

    def sent(self) -> Sent:
        """Return the parts of a message with all values, which wait no longer.

        Raises:
            MemoryError: If there is no memory for it. Then the values wait for `sent_singly`.
        """
        message = self._message(self.values, self._pickled, self._parts)
        self._forget()
        return message

    def sent_singly(self) -> "Iterator[Sent | Exception]":
        """Yield a message for each value, or why there is none; then no value waits."""
        values, counts, parts = self.values, dict(self._pickled), self._parts
        self._forget()
        for k, value in enumerate(values):
            n = counts.get(k, 0)
            own, parts = parts[:n], parts[n:]
            try:
                yield self._message([value], [(0, n)] if k in counts else [], own)
            except Exception as error:  # noqa: BLE001 -- the reader gets it
                yield error

    def _forget(self) -> None:
        self.values, self._pickled, self._parts = [], [], []

    def _message(
        self, values: list[Any], pickled: list[tuple[int, int]], parts: Sequence[Any]
    ) -> Sent:
        body = self._dumper.dumps((values, pickled))
        if fault_injection.armed:
            fault_injection.reach("pickled")
        if len(body) >= LARGE_PICKLE:
            body = _put(self._slots, body)
        return [body, *parts]


def loaded(
    parts: Sequence[Any], loads: Callable[..., Any], failed: Callable[[int, Exception], Any]
) -> list[Any]:
    """Return the values of a message.

    Args:
        parts: The parts of the message.
        loads: Loads a pickle, given the pickle and its buffers; see `ResultLoader`.
        failed: Returns what stands for a value that cannot be loaded, given its place and why.
    """
    values: list[Any]
    values, pickled = loads(parts[0])
    at = 1
    for place, count in pickled:
        data, own = values[place], parts[at : at + count]
        if data is None:
            data, *own = own
        at += count
        try:
            values[place] = loads(data, own)
        except Exception as error:  # noqa: BLE001 -- code of users may raise anything
            values[place] = failed(place, error)
    return values


class Buffers:
    """The large buffers of a pickle, in slots as long as there is room."""

    def __init__(self, slots: Arena | None) -> None:
        self._slots = slots
        self._found: list[Any] = []

    def add(self, buffer: pickle.PickleBuffer) -> bool:
        """Add a buffer; return whether it is so small that it belongs into the pickle."""
        raw = buffer.raw()
        if raw.nbytes < allocator.SMALL:
            return True
        found = None if self._slots is None else self._slots.find(raw)
        self._found.append(raw if found is None else found)
        return False

    def cancel(self) -> None:
        """Send no buffer."""
        for buffer in self._found:
            if isinstance(buffer, Lease):
                buffer.given = False

    def settled(self) -> Sent:
        """Return the buffers in slots; without room for a slot, the buffer itself."""
        slots, parts = self._slots, self._found
        if slots is None:
            return parts
        # Copies come first, because they may contain parts of buffers that are given away.
        for k, part in enumerate(parts):
            if not isinstance(part, Lease):
                parts[k] = _put(slots, part)
        return [slots.give(part) if isinstance(part, Lease) else part for part in parts]


def _put(slots: Arena | None, data: Any) -> Any:
    return (slots.put(memoryview(data)) if slots is not None else None) or data


def _refusal(cls: type, error: Exception) -> Exception:
    """Return the error of an item whose value, of class `cls`, cannot be sent."""
    told, advice = summary(error), ""
    if "<locals>" in told or "not found as" in told or "not the same object" in told:
        advice = " (a class or function that was created in a worker cannot be sent)"
    kind = MemoryError if isinstance(error, MemoryError) else TypeError
    return kind(f"{cls.__qualname__}: {told}{advice}")


# Copies


_COPIED = {"list", "dict", "tuple", "ndarray"}
"""Names of classes of which some values, such as small ones, are copied."""


class _NotCopiedError(Exception):
    """A value is not copied here."""


def copied(value: Any, seen: set[int]) -> Any:
    """Return a copy of `value`.

    Args:
        value: A container of immutable values, of containers, and of small arrays.
        seen: Ids of the containers and arrays around it and before it. An object that is in an
            item twice has to arrive as one object, which only `pickle` does.

    Raises:
        _NotCopiedError: If it is something else.
    """
    kind = type(value)
    if id(value) in seen or len(seen) == _MOST_NESTED:
        raise _NotCopiedError
    seen.add(id(value))
    if kind is list:
        return value.copy() if _is_flat(value) else [_inside(each, seen) for each in value]
    if kind is dict:
        if not _is_flat(value):  # keys
            raise _NotCopiedError
        if _is_flat(value.values()):
            return value.copy()
        return {key: _inside(each, seen) for key, each in value.items()}
    if kind is tuple:
        return value if _is_flat(value) else tuple([_inside(each, seen) for each in value])
    return _copied_numpy(value)


def _inside(value: Any, seen: set[int]) -> Any:
    return value if type(value) in IMMUTABLE else copied(value, seen)


def _is_flat(values: Any) -> bool:
    """Return whether all of `values`, which are few, are immutable."""
    if len(values) > _MOST_COPIED:
        raise _NotCopiedError
    return IMMUTABLE.issuperset(map(type, values))


def _copied_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise _NotCopiedError
    kind = type(value)
    if kind is numpy.ndarray:
        if value.nbytes >= allocator.SMALL or value.dtype.kind not in "biufcmMSU":
            raise _NotCopiedError
        copy = value.copy("K")
        if not value.flags.writeable:
            copy.flags.writeable = False
        return copy
    if (
        issubclass(kind, numpy.generic)
        and kind.__module__ == "numpy"  # all scalars of numpy are immutable, except these:
        and not issubclass(kind, numpy.void | numpy.object_)
    ):
        IMMUTABLE.add(kind)
        return value
    raise _NotCopiedError
