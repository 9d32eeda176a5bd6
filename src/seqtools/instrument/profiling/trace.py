"""A profile as a trace in Chrome's JSON format, which Perfetto shows."""

import json
import os
from collections.abc import Iterator
from typing import Any

from seqtools._core.source_code import place
from seqtools.instrument.profiling.tracks import (
    CONSUMER,
    FILL,
    LATE,
    LOAD,
    OTHER,
    SEND,
    USE,
    WAIT,
    Record,
    Recording,
    Track,
)
from seqtools.instrument.quantities import duration

_NAMES = {WAIT: "wait for an item", USE: "use an item", SEND: "send", LOAD: "receive"}


def write_trace(recording: Recording, path: "str | os.PathLike[str]") -> None:
    """Write the trace into a file.

    Raises:
        OSError: If the file cannot be written.
    """
    with open(path, "w", encoding="utf-8") as file:
        file.write('{"displayTimeUnit": "ms", "traceEvents": [\n')
        comma = ""
        for event in _events(recording):  # one by one, because there may be millions
            file.write(comma + json.dumps(event))
            comma = ",\n"
        file.write("\n]}\n")


def _events(recording: Recording) -> Iterator[dict[str, Any]]:
    home = {track.process for track in recording.tracks_of(CONSUMER)} or {("", os.getpid())}
    numbers = recording.numbers()
    tracks = {track.process: track for track in recording.tracks}
    for process, pid in numbers.items():
        name = "consumer" if process in home else f"worker {tracks[process].home}"
        yield {"ph": "M", "pid": pid, "name": "process_name", "args": {"name": name}}
        if within := tracks[process].within:
            args = {"labels": f"times may be wrong by {duration(within)}"}
            yield {"ph": "M", "pid": pid, "name": "process_labels", "args": args}
    for track in recording.tracks:
        if track.role == OTHER and not any(r.what != LATE for r in track.records):
            continue
        args = {"name": track.name}
        pid = numbers[track.process]
        yield {"ph": "M", "pid": pid, "tid": track.ident, "name": "thread_name", "args": args}
        for record in track.records:
            yield from _events_of(record, track, pid, recording)


def _events_of(
    record: Record, track: Track, pid: int, recording: Recording
) -> Iterator[dict[str, Any]]:
    at = {"pid": pid, "tid": track.ident, "ts": (record.begin - recording.began) / 1000}
    if record.what == FILL:
        ready = {"ready": record.many, "free": max(0, record.which - record.many)}
        yield {**at, "ph": "C", "name": "window", "args": ready}
        yield {**at, "ph": "C", "name": "busy workers", "args": {"busy": max(0, record.processor)}}
        return
    if record.what == LATE:
        return
    args: dict[str, Any] = {"items": record.many}
    if record.what >= 0:
        stage = recording.stages[record.what]
        name, args["index"] = stage.name, record.which
        if stage.site[0]:
            args["made at"] = place(*stage.site)
    else:
        name = _NAMES[record.what]
        args["bytes" if record.what in {SEND, LOAD} else "index"] = record.which
    if record.processor >= 0:
        args["computing ms"] = record.processor / 1e6
    yield {**at, "ph": "X", "dur": (record.end - record.begin) / 1000, "name": name, "args": args}
