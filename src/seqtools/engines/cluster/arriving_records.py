"""Records of a profile that come from workers on other machines, along with their answers.

Each machine has a clock of its own. A call is sent before it is received, and an answer too; so
each call says between which two numbers the difference of the clocks is. The quickest calls say it
best. A call that waits in its worker for another one says little about one of the two, but the
first call of each worker never waits: the worker answers at once that it lacks the pipeline.
"""

import hashlib
import os
import socket
from contextlib import suppress
from math import inf
from time import perf_counter, perf_counter_ns
from typing import Any, NamedTuple

from seqtools._core import recording
from seqtools._core.recording import CLOCK_AT, SentRecords
from seqtools.engines.cluster.shipment import machine

_MOST_EARLY = 16
"""Records of a thread may arrive before earlier ones. After so many answers, those are lost.
Arbitrary."""


class Sending(NamedTuple):
    """What an answer says to a profile. It travels as a plain tuple."""

    machine: str
    """What identifies the machine of the worker."""
    host: str
    """Its name."""
    received: float
    """When the worker received the call, by its clock."""
    answered: float
    """When it answered."""
    records: list[Any]
    """Each as a plain tuple: see `SentRecords`."""

    def where(self) -> dict[str, str]:
        """Return the fields of a header that say where that is."""
        return {"machine": self.machine, "host": self.host}


class Clock:
    """How many seconds a clock is ahead of ours, as far as it is known."""

    def __init__(self) -> None:
        self._least, self._most = -inf, inf

    def note(self, sent: float, received: float, answered: float, arrived: float) -> None:
        """Note the times of a call, by the clock here, there, there, and here."""
        self._least = max(self._least, answered - arrived)
        self._most = min(self._most, received - sent)

    @property
    def ahead(self) -> float:
        """The seconds."""
        if self._least <= 0 <= self._most:  # probably it is the same clock
            return 0.0
        return (self._least + self._most) / 2

    @property
    def within(self) -> float:
        """By how many seconds that may be wrong."""
        return max(self._most - self.ahead, self.ahead - self._least, 0.0)


class _File:
    """The file of one thread."""

    def __init__(self, path: str, fields: dict[str, Any]) -> None:
        self._path, self._fields = path, fields
        self._next = 0  # what comes next, in bytes that the thread has sent
        self._early: dict[int, bytes] = {}

    def write(self, clock: Clock, before: int, data: bytes) -> None:
        """Write records, in the order in which they were sent, which may not be that of answers."""
        self._early[before] = data
        if len(self._early) > _MOST_EARLY:
            self._next = min(self._early)
        ready = bytearray()
        while self._next in self._early:
            part = self._early.pop(self._next)
            ready += part
            self._next += len(part)
        with open(self._path, "ab") as file:
            if not file.tell():
                file.write(recording.header(self._fields, clock.ahead, clock.within))
            file.write(ready)

    def adjust(self, clock: Clock) -> None:
        """Write what is known of the clock by now."""
        head = recording.header(self._fields, clock.ahead, clock.within)
        with open(self._path, "r+b") as file:
            file.seek(CLOCK_AT)
            file.write(head[CLOCK_AT:])


class ArrivingRecords:
    """Writes records into the folders of profiles. For one thread."""

    def __init__(self) -> None:
        self._sent: dict[int, float] = {}
        self._clocks: dict[str, Clock] = {}
        self._files: dict[tuple[Any, ...], _File] = {}

    def posted(self, number: int) -> bool:
        """Note that a call is sent now; return whether its answer should have records."""
        if recording.active:
            self._sent[number] = perf_counter()
        elif self._sent:
            self._sent.clear()
        return bool(recording.active)

    def arrived(self, number: int, plain: tuple[Any, ...]) -> None:
        """Take what an answer says to profiles."""
        sent = self._sent.pop(number, None)
        if not plain or sent is None:
            return
        arrived, sending = perf_counter(), Sending(*plain)
        clock = self._clocks.setdefault(sending.machine, Clock())
        known = clock.ahead, clock.within
        clock.note(sent, sending.received, sending.answered, arrived)
        with suppress(OSError):  # a profile that has ended
            if known != (clock.ahead, clock.within):
                for (machine, *_), file in self._files.items():
                    if machine == sending.machine:
                        file.adjust(clock)
            for each in sending.records:
                self._write(clock, sending, SentRecords(*each))

    def _write(self, clock: Clock, sending: Sending, records: SentRecords) -> None:
        """Write records into the folder that they are for, if it is ours."""
        folder, fields, before, data = records
        if not any(each.folder == folder for each in recording.active):
            return
        key = sending.machine, folder, *fields.values()
        if key not in self._files:
            name = f"{fields['pid']}-{fields['ident']}-{perf_counter_ns()}.records"
            where = {} if sending.machine == machine_name() else sending.where()
            self._files[key] = _File(os.path.join(folder, name), {**fields, **where})
        self._files[key].write(clock, before, data)


def machine_name() -> str:
    """Return what identifies this machine, as in `shipment.machine`, but short."""
    text = machine() or socket.gethostname()
    return hashlib.blake2s(text.encode(), digest_size=6).hexdigest()


def taken(received: float, folders: list[recording.RecordFolder]) -> tuple[Any, ...]:
    """Return a `Sending` with the records that must be sent to these folders.

    Args:
        received: When the call was received.
        folders: The folders of the pipeline; none if the worker lacks it.
    """
    records = [tuple(each) for folder in folders for each in folder.take()]
    return machine_name(), socket.gethostname(), received, perf_counter(), records
