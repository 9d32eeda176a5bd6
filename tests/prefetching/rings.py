"""What holds for the runs of all readers of a window, between two turns."""

from itertools import pairwise
from typing import Any

from seqtools.prefetching.reader import Reader, UnorderedReader


def check_window(window: Any, most: int) -> None:
    """Fail if the rings of readers contradict themselves, or hold more than there is room for."""
    held = 0
    for reader in window.readers:
        check_ring(window, reader)
        held += reader.evaluated()
    # what a reader waits for or reads from is not taken from it when others come
    kept = sum(max(1, reader.cursor.ring[0].unread) for reader in window.readers)
    assert held <= most + kept, "\n".join(
        [f"{held} of {most} are held", *map(told, window.readers)]
    )


def check_ring(window: Any, reader: Any) -> None:
    """Fail if the runs of a reader contradict each other, their jobs, or their values."""
    ring = reader.cursor.ring
    assert ring
    pairs = list(pairwise(ring))
    assert all(a.stop <= b.position for a, b in pairs), told(reader)
    if not isinstance(reader, UnorderedReader):
        assert all(a.stop == b.position for a, b in pairs), told(reader)
    for run in ring:
        assert run.stop - run.position == len(run.indices), told(reader)
        if run.values is None and run.job is not None and run.job.id in window.jobs:
            asked = run.job.indices[run.start : run.start + len(run.indices)]
            assert list(asked) == list(run.indices), told(reader)
        if run.values is not None and not run.failed:
            first = len(run.indices) - len(run.values)
            assert [v[0] for v in run.values] == list(run.indices[first:]), told(reader)


def told(reader: Reader) -> str:
    """Return all that matters of a reader."""
    runs = [(run.position, run.stop, run.unread, run.planned) for run in reader.cursor.ring]
    return (
        f"{type(reader).__name__} at {reader.position}: {reader.evaluated()} of {reader.share}, "
        f"urgent {reader.urgent}, waits {reader.waits}; {runs}"
    )
