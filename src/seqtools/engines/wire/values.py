"""Values on their way from a worker: each is taken as it is when its function returns it.

Several values travel in one message, because a message costs as much as ten small values. But
the function may change its object before the message is written, or return it again; so none
of the objects that it returned waits for that:

- what cannot be changed is kept as it is;
- a small container of such, or a small array, is copied, because a pickle of its own takes the
  consumer three times as long to load;
- all else is pickled at once, and its large buffers are copied into slots.

What waits then belongs to the message alone, and is pickled as one list. Values that a reader
gets share nothing with each other that can be changed.

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
from seqtools.engines.wire.shipment import ResultDumper

LARGE_PICKLE = 1 << 16
"""Bytes from which a pickle is sent through a slot: as many as a pipe may take."""

_MOST_COPIED = 50
"""Items of a container that is copied; a longer one is pickled, which costs less then."""
_MOST_NESTED = 16
"""Containers in a container that is copied. Arbitrary."""

PLAIN: set[type] = {int, float, complex, bool, str, bytes, type(None)}
"""Classes of values that cannot be changed. Scalars of numpy are added when there is the first."""

Sent: TypeAlias = "list[Any | SlotPlace]"


class OutgoingValues:
    """Values that wait to be sent, and their buffers.

    Args:
        dumper: Pickles values.
        slots: Memory for large buffers, `None` if there is none.
    """

    def __init__(self, dumper: ResultDumper, slots: Arena | None) -> None:
        self.values: list[Any] = []
        """What was returned is appended here; `settle` is called if it is not of `PLAIN`."""
        self.refused: Exception | None = None
        """Why a value, which followed `values`, cannot be sent."""
        self._pickler = dumper.keep()
        self._dumper, self._slots = dumper, slots
        self._pickled: list[tuple[int, int]] = []
        self._parts: Sent = []  # of values that are pickled already
        self._never_copied: set[type] = set()  # classes of which no value can be copied

    def settle(self) -> bool:
        """Take the last of `values` as it is now; return whether all must be sent at once."""
        value = self.values.pop()
        kind = type(value)
        if kind not in self._never_copied:
            try:
                self.values.append(copied(value, set()))
            except _NotPlainError:
                if kind.__name__ not in _COPIED:
                    self._never_copied.add(kind)
            else:
                return False
        own, body = Buffers(self._slots), None
        try:
            body = self._pickler.dumps(value, own.add)
            del value  # what nobody refers to any more can be given away as it is
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
        # what found no slot is still memory of the value, or too large to wait for others
        return any(not isinstance(part, SlotPlace) for part in parts)

    def sent(self) -> Sent:
        """Return the parts of a message with all values, which wait no longer.

        Raises:
            MemoryError: If there is none for it. Then the values wait for `sent_singly`.
        """
        message = self._message(self.values, self._pickled, self._parts)
        self._forget()
        return message

    def sent_singly(self) -> "Iterator[Sent | Exception]":
        """Yield for each value a message of its own, or why there is none; then none waits."""
        values, counts, parts = self.values, dict(self._pickled), self._parts
        self._forget()
        for k, value in enumerate(values):
            n = counts.get(k, 0)
            own, parts = parts[:n], parts[n:]
            try:
                yield self._message([value], [(0, n)] if k in counts else [], own)
            except Exception as error:  # noqa: BLE001 -- told to the reader
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
        parts: Of the message.
        loads: Returns what was pickled, given that and its buffers; see `ResultLoader`.
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
    """The large buffers of a pickle, in slots where there is room."""

    def __init__(self, slots: Arena | None) -> None:
        self._slots = slots
        self._found: list[Any] = []

    def add(self, buffer: pickle.PickleBuffer) -> bool:
        """Take a buffer; return whether it is so small that it belongs into the pickle."""
        raw = buffer.raw()
        if raw.nbytes < allocator.SMALL:
            return True
        found = None if self._slots is None else self._slots.find(raw)
        self._found.append(raw if found is None else found)
        return False

    def cancel(self) -> None:
        """Send nothing."""
        for buffer in self._found:
            if isinstance(buffer, Lease):
                buffer.given = False

    def settled(self) -> Sent:
        """Return the buffers as they are now; one for which there is no slot as it is."""
        slots, parts = self._slots, self._found
        if slots is None:
            return parts
        # copies come first, because they may be of parts of what is given away
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
"""Names of classes of which some values are copied, such as small ones."""


class _NotPlainError(Exception):
    """A value cannot be copied here."""


def copied(value: Any, seen: set[int]) -> Any:
    """Return a copy of `value`, such as it is now.

    Args:
        value: A container of what cannot be changed, of containers, and of small arrays.
        seen: Ids of the containers and arrays around it and before it. One that is there
            twice has to arrive as one, which only `pickle` does.

    Raises:
        _NotPlainError: If it is something else.
    """
    kind = type(value)
    if id(value) in seen or len(seen) == _MOST_NESTED:
        raise _NotPlainError
    seen.add(id(value))
    if kind is list:
        return value.copy() if _flat(value) else [_inside(each, seen) for each in value]
    if kind is dict:
        if not _flat(value):  # keys
            raise _NotPlainError
        if _flat(value.values()):
            return value.copy()
        return {key: _inside(each, seen) for key, each in value.items()}
    if kind is tuple:
        return value if _flat(value) else tuple([_inside(each, seen) for each in value])
    return _copied_numpy(value)


def _inside(value: Any, seen: set[int]) -> Any:
    return value if type(value) in PLAIN else copied(value, seen)


def _flat(values: Any) -> bool:
    """Return whether `values` are few, and cannot be changed."""
    if len(values) > _MOST_COPIED:
        raise _NotPlainError
    return PLAIN.issuperset(map(type, values))


def _copied_numpy(value: Any) -> Any:
    numpy = sys.modules.get("numpy")
    if numpy is None:
        raise _NotPlainError
    kind = type(value)
    if kind is numpy.ndarray:
        if value.nbytes >= allocator.SMALL or value.dtype.kind not in "biufcmMSU":
            raise _NotPlainError
        copy = value.copy("K")
        if not value.flags.writeable:
            copy.flags.writeable = False
        return copy
    if (
        issubclass(kind, numpy.generic)
        and kind.__module__ == "numpy"  # its own scalars, none of which can be changed, but these
        and not issubclass(kind, numpy.void | numpy.object_)
    ):
        PLAIN.add(kind)
        return value
    raise _NotPlainError
