"""Evaluate once what several readers read, or what a reader already had before a jump."""

from collections.abc import Iterable, Sequence

from seqtools.prefetching.run import Run, common, first_of


def shared_run(rings: Iterable[Sequence[Run]], position: int, indices: Sequence[int]) -> Run | None:
    """Return a run at `position` for the first of `indices`, `None` if no run of `rings` has them.

    The run shares the values that have arrived in a run of `rings`, or waits for the same job.
    """
    i = int(indices[0])
    for ring in rings:
        for run in ring:
            k = run.find(i)
            if k < 0 or (run.values is None and run.job is None):
                continue
            found = Run(position, indices[: common(run.indices[k:], indices)])
            if run.values is None:
                found.job, found.start = run.job, run.start + k
                found.job.runs = [*found.job.runs, found]  # type: ignore[union-attr]
                return found
            values = list(run.values)  # another thread may read the first of them now
            k -= len(run.indices) - len(values)
            if k >= 0 and not run.back:
                return found.with_values(values[k : k + len(found.indices)], failed=run.failed)
    return None


def count_unshared(rings: Iterable[Sequence[Run]], indices: Sequence[int]) -> int:
    """Return how many of the first `indices` are in no run of `rings`; the first one is in none."""
    n = len(indices)
    for ring in rings:
        for run in ring if n > 1 else ():
            if run.values is None and run.job is None:
                continue
            unread = run.indices[len(run.indices) - run.unread :]
            if len(unread):
                n = _up_to(unread, indices[:n])
    return n


def _up_to(run: Sequence[int], indices: Sequence[int]) -> int:
    """Return how many of the first `indices` are not in `run`."""
    if isinstance(run, range) and isinstance(indices, range) and run.step == indices.step:
        return indices.index(run[0]) if run[0] in indices else len(indices)
    k = first_of([i in run for i in indices])
    return len(indices) if k < 0 else k
