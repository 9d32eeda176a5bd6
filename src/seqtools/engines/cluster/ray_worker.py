"""An actor of Ray: what it is there, and what is known of it here."""

import sys
import time
from collections.abc import Sequence
from typing import Any

from seqtools.engines.cluster import remote
from seqtools.engines.cluster.shipment import machine
from seqtools.engines.cluster.transport import Place

_DEAD = 4
"""What Ray calls the state of an actor that will not come back."""


class SeqtoolsWorker:
    """What an actor is: Ray names it after this class.

    Args:
        consumer: The machine of the consumer.
        path: Folders in which modules are found there. Ray lets a worker know only a few of them.
        payload: The pipeline, if it is small.
    """

    def __init__(self, consumer: str, path: Sequence[str], payload: Any = None) -> None:
        self._payload = payload
        if consumer and consumer == machine():
            sys.path += [folder for folder in path if folder not in sys.path]

    def ready(self) -> None:
        """Return once the actor has started."""

    def work(self, call: tuple[Any, ...], payload: Any = None) -> tuple[Any, ...]:
        """Return what `remote.work` does."""
        return remote.work(call, self._payload if payload is None else payload)


class Actor:
    """An actor, and its calls."""

    __slots__ = ("calls", "handle", "place", "ready", "since")

    def __init__(self, handle: Any, number: int) -> None:
        self.handle = handle
        self.place = Place(self, number)
        self.ready = False
        self.since = time.monotonic()
        self.calls: dict[int, Any] = {}  # futures, by the numbers of calls


def is_dead(actor: Actor) -> bool:
    """Return whether an actor is known to have died."""
    try:
        return bool(actor.handle._get_local_state() == _DEAD)  # noqa: SLF001 -- nothing else tells
    except Exception:  # noqa: BLE001 -- of other versions of Ray: the next call tells
        return False
