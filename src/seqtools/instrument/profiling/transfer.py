"""What it would take to send an item from one process to another, tried with one item."""

import pickle
from time import perf_counter
from typing import Any, NamedTuple


class Transfer(NamedTuple):
    """The time for an item, in seconds."""

    send: float
    """For the worker, to pickle and copy it."""
    load: float
    """For the consumer, to load it."""


def tried(value: Any) -> Transfer | None:
    """Return what it takes to send `value`, or `None` if it cannot be pickled.

    Arrays are copied once, into memory that the consumer maps, as a worker process does it. The
    second time counts, because the first one needs new memory from the system.
    """
    return _once(value) and _once(value)


def _once(value: Any) -> Transfer | None:
    buffers: list[pickle.PickleBuffer] = []
    began = perf_counter()
    try:
        data = pickle.dumps(value, 5, buffer_callback=buffers.append)
        copies = [bytearray(buffer.raw()) for buffer in buffers]
        sent = perf_counter()
        pickle.loads(data, buffers=copies)  # noqa: S301 -- made above
    except Exception:  # noqa: BLE001 -- the value is the user's
        return None
    return Transfer(sent - began, perf_counter() - sent)
