"""What a profile has recorded: a track of records for each thread."""

import os
from collections import Counter
from collections.abc import Iterator
from time import perf_counter_ns, time
from typing import Any, TypeAlias

from seqtools._core.origins import made_from
from seqtools._core.record_files import RecordFile
from seqtools._core.recording import CORES, FILL, LATE, LOAD, OVER, SEND, USE, WAIT, Record
from seqtools.instrument.profiling.recorded_pipeline import Stage
from seqtools.instrument.profiling.transfer import Transfer
from seqtools.instrument.quantities import duration

CONSUMER, WORKER, BACKGROUND, OTHER = "consumer", "worker", "background", "other"
"""Roles of threads: reads the pipeline; evaluates items for a prefetch; reads ahead for a cache;
and all others, such as one that only receives values."""

Process: TypeAlias = tuple[str, int]
"""The machine of a process, empty if it is this one, and its number there."""

_IDLE = (3, 4)
"""Columns of /proc/stat that are no work: idle, and waiting for a disk."""

_READER = "seqtools-reader"
"""Name of threads that read ahead: see `seqtools._core.readahead`."""


class Track(RecordFile):
    """The records of one thread, in the order in which their spans ended."""

    def __init__(self, path: str) -> None:
        super().__init__(path)
        self.records: list[Record] = []
        self.processes: list[Record] = []
        """Processor times of the whole process: the kind is what the thread did meanwhile."""
        self.role = OTHER
        self.name = ""
        self._received: int | None = None  # when the consumer received its last item

    @property
    def process(self) -> Process:
        """The process of the thread."""
        return self.machine, self.pid

    @property
    def home(self) -> str:
        """Name of the process, for readers."""
        return f"process {self.pid}" + (f" on {self.host}" if self.host else "")

    def move(self, nanoseconds: int) -> None:
        """Correct the times of all records: more is known of the clock of their machine."""
        self.records = [
            r._replace(begin=r.begin + nanoseconds, end=r.end + nanoseconds) for r in self.records
        ]

    def update(self) -> None:
        """Read the records that were written since the last call."""
        for record in self.read():
            if record.what == CORES:
                self.processes.append(record._replace(what=record.many, many=1))
                continue
            if record.what == OVER:
                self.role = CONSUMER
                self._received = None
                continue
            if record.what == WAIT:
                self.role = CONSUMER
                if self._received is not None:
                    use = Record(USE, 1, record.which, self._received, record.begin, -1)
                    self.records.append(use)
                self._received = record.end
            elif record.what == USE:
                self._received = None
            self.records.append(record)
            if record.what >= 0 and self.role == OTHER:
                self.role = BACKGROUND if self.thread == _READER else WORKER

    def spans(self, *kinds: int) -> Iterator[Record]:
        """Yield the records of these kinds."""
        return (r for r in self.records if r.what in kinds)

    def outermost(self) -> Iterator[Record]:
        """Yield the reads of stages that are in no other read of this thread, in order."""
        found: list[Record] = []
        for record in self.records:
            if record.what >= 0:
                while found and found[-1].begin >= record.begin:
                    found.pop()
                found.append(record)
        return iter(found)

    def nested(self, *also: int) -> Iterator[tuple[Record, list[Record]]]:
        """Yield each read of a stage with the reads directly inside it; inner ones come first.

        Records of the kinds `also` count as reads too.
        """
        open_: list[Record] = []
        for record in self.records:
            if record.what < 0 and record.what not in also:
                continue
            inner = []
            while open_ and open_[-1].begin >= record.begin:
                inner.append(open_.pop())
            open_.append(record)
            yield record, inner[::-1]

    def reads(self, top: int) -> Iterator[tuple[Record, list[Record]]]:
        """Yield reads as `nested`; the waits of the consumer are reads of `top`, the last stage."""
        for record, inner in self.nested(WAIT):
            yield record._replace(what=top) if record.what == WAIT else record, inner


class Recording:
    """All records of a profile.

    Args:
        folder: Where threads write their records.
        stages: The stages of the pipeline.
        top: Number of the last stage.
        cores: Processor cores that this process may use.
    """

    def __init__(self, folder: str, stages: list[Stage], top: int, cores: int) -> None:
        self._folder = folder
        self._known: set[str] = set()
        self.stages, self.top, self.cores = stages, top, cores
        self.tracks: list[Track] = []
        self.date = time()
        """When it began, in seconds since 1970."""
        self.began = perf_counter_ns()
        self.ended: int | None = None
        self._before = _computing_times()
        self.replayed = False
        """Whether all items are the first one."""
        self.transfer: Transfer | None = None
        """What it would take to send an item to this process, if none was sent."""
        self.imports = 0.0
        """Seconds that worker processes would take to import packages, a guess."""
        self.one_at_a_time = False
        """Whether threads may wait for a lock of a library, besides that of the interpreter."""
        self.originals: dict[int, Any] = {}
        """Weak references to the stages of the pipeline, by number: a result keeps none alive."""
        self.others = 0.0
        """How many of the cores other programs used, on average."""

    def update(self) -> None:
        """Read the records that were written since the last call."""
        if self.ended is None:
            seconds = (perf_counter_ns() - self.began) * 1e-9
            everyone, ours = (
                now - then for now, then in zip(_computing_times(), self._before, strict=True)
            )
            self.others = max(0.0, everyone - ours - self._of_workers()) / seconds
        for name in sorted(set(os.listdir(self._folder)) - self._known):
            self._known.add(name)
            self.tracks.append(Track(os.path.join(self._folder, name)))
        for track in self.tracks:
            track.update()
        self._name_tracks()

    def tracks_of(self, role: str) -> list[Track]:
        """Return the tracks with a role, in the order of their names."""
        return [track for track in self.tracks if track.role == role]

    def made_from(self, stage: Stage, i: int) -> str:
        """Return in words from which rows of sources item `i` of a stage is made, if known."""
        original = self.originals.get(stage.number, lambda: None)()
        return "" if original is None else made_from(original, i)

    def scans(self) -> Iterator[tuple[str, float]]:
        """Yield the name of each stage that has read all of its source for a table, and how long.

        The reads are among those of the stages upstream, but the consumer did not wait for an item.
        """
        for stage in self.stages:
            original = self.originals.get(stage.number, lambda: None)()
            if original is not None:
                ended, seconds = original._scan_time()  # noqa: SLF001 -- ours
                if ended > self.began:
                    yield stage.name, seconds

    def numbers(self) -> dict[Process, int]:
        """Return a different number for each process: its own one, if no other machine has it."""
        found: dict[Process, int] = {}
        for process in sorted({track.process for track in self.tracks}):
            number = process[1]
            while number in found.values():
                number += 1 << 22  # the largest number of a process on Linux
            found[process] = number
        return found

    def _of_workers(self) -> float:
        """Return the processor time of workers that are other processes of this machine.

        Those that have ended count as our children, if they were.
        """
        before: dict[int, float] = {}
        for track in self.tracks:
            if track.pid not in {0, os.getpid()} and not track.machine:
                before[track.pid] = min(track.spent, before.get(track.pid, track.spent))
        return sum(max(0.0, _spent_by(pid) - then) for pid, then in before.items())

    @property
    def end(self) -> int:
        """When it ended, or now."""
        return self.ended or perf_counter_ns()

    def clocks(self) -> Iterator[str]:
        """Yield how exact the times of other machines are."""
        hosts = {track.host: track.within for track in self.tracks if track.machine}
        for host, within in sorted(hosts.items()):
            yield f"clock of {host}: its times may be wrong by {duration(within)}"

    @property
    def full(self) -> bool:
        """Whether records were left out because there was no room."""
        return any(track.full for track in self.tracks)

    @property
    def first(self) -> int:
        """When the consumer received its first item; 0 before that."""
        return min((r.end for t in self.tracks_of(CONSUMER) for r in t.spans(WAIT)), default=0)

    def upstream(self, stage: Stage) -> list[int]:
        """Return the numbers of all stages that `stage` reads, directly or not, nearest first."""
        found: dict[int, None] = {}
        left = [*stage.sources]
        while left:
            number = left.pop(0)
            if number not in found:
                found[number] = None
                left += self.stages[number].sources
        return [*found]

    def prefetches(self) -> list[Stage]:
        """Return the prefetches that have workers, the nearest to the consumer first."""
        last = self.stages[self.top]
        stages = [last, *(self.stages[number] for number in self.upstream(last))]
        return [s for s in stages if s.kind == "prefetch" and s.options["nworkers"] != 0]

    def pool(self, prefetch: Stage) -> list[Track]:
        """Return the tracks of the workers of a prefetch."""
        return [
            track
            for track in self.tracks_of(WORKER)
            if any(r.what in prefetch.sources for r in track.outermost())
        ]

    def _name_tracks(self) -> None:
        """Give each track a different name, numbered in the order in which they began."""
        self.tracks.sort(
            key=lambda t: (*t.process, t.records[0].begin if t.records else 0, t.ident)
        )
        numbers: Counter[str] = Counter()
        for track in self.tracks:
            numbers[track.role] += 1
            alone = numbers[track.role] == 1 and track.role != WORKER
            track.name = track.role if alone else f"{track.role} {numbers[track.role]}"


def _spent_by(pid: int) -> float:
    """Return the seconds of processor time that a process has used, 0 if it has ended."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            fields = file.read().rpartition(b")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _computing_times() -> tuple[float, float]:
    """Return the processor time of all programs on the cores of this process, and our own.

    Both are in seconds, and 0 if the system does not say. Of our child processes, only those count
    that have ended.
    """
    times = os.times()
    ours = times.user + times.system + times.children_user + times.children_system
    try:
        with open("/proc/stat") as file:
            lines = [line.split() for line in file if line.startswith("cpu")]
    except OSError:
        return 0.0, 0.0
    cores = {f"cpu{k}" for k in os.sched_getaffinity(0)}
    ticks = sum(
        int(count)
        for name, *counts in lines
        if name in cores
        for k, count in enumerate(counts[:8])
        if k not in _IDLE
    )
    return ticks / os.sysconf("SC_CLK_TCK"), ours


__all__ = [
    "BACKGROUND", "CONSUMER", "FILL", "LATE", "LOAD", "OTHER", "SEND", "USE", "WAIT", "WORKER",
    "Record", "Recording", "Track",
]  # fmt: skip
