"""Laws of errors and of assignment."""

from operator import setitem
from typing import Any

from seqtools._core.errors import EvaluationError
from seqtools._core.sequence import LazySequence
from seqtools._core.walk import traits_upstream
from seqtools.testing.probe import Probe
from seqtools.testing.reading import Index, pairs, shown
from seqtools.testing.subject import (
    Subject,
    equal,
    mixed,
    normal,
    outcomes,
    peeked,
    refused,
    scanned,
)

FAULTS = 8
"""Items of a source to make fail, one at a time. Arbitrary."""


def errors(subject: Subject) -> None:
    """An error of a source is an EvaluationError with cause and path, for items that need it.

    A stage that `recovers` may catch it.
    """
    if _recovers(subject):
        return
    for s, j in _faults(subject):
        for error in (ValueError("made to fail"), KeyError("made to fail")):
            for i in range(len(subject.items)):
                if j in subject.touched[i][s]:
                    _fails(subject, s, j, error, i)
                    _fails_in_bulk(subject, s, j, error, i)


def errors_in_iteration(subject: Subject) -> None:
    """Iteration goes on after an item that failed, whatever exception it raised."""
    if _recovers(subject):
        return
    for s, j in _faults(subject):
        for kind in (ValueError, IndexError, StopIteration, StopAsyncIteration):
            sequence, error = _broken(subject, s, j, kind("made to fail"))
            got = list(outcomes(sequence, subject.reach))
            equal("number of steps", len(got), len(subject.items))
            for i, (outcome, item) in enumerate(zip(got, subject.items, strict=True)):
                failed = isinstance(outcome, EvaluationError)
                what = f"step {i} with {kind.__name__} at item {j} of source {s}"
                equal(f"whether {what} fails", failed, j in subject.touched[i][s])
                if not failed:
                    equal(what, outcome, item)
                elif outcome.__cause__ is not error:
                    raise AssertionError(
                        f"cause of {what} should be that, got {outcome.__cause__!r}"
                    )


def assignment(subject: Subject) -> None:
    """Assigning to an item changes it, and in the sources only the items that it reads."""
    import numpy as np

    n = len(subject.items)
    if subject.assigned is None:
        for key in (0, -1)[: min(n, 2 if subject.length == "known" else 1)]:
            _computed(subject, f"sequence[{key}] = …", key, None)
        return
    for i in range(-n if subject.length == "known" else 0, n):
        keys: tuple[Any, ...] = (i, np.int64(i), Index(i))
        for index in keys:
            _changes(subject, index, range(n)[i : i + 1 or None])
    sequence, probes = subject.make()
    for outside in (n, -n - 1) if subject.length == "known" else (-1,):
        refused(f"sequence[{outside}] = …", IndexError, setitem, sequence, outside, None)
    refused("sequence[0.0] = …", TypeError, setitem, sequence, 0.0, None)
    equal("what that assigned", [probe.writes for probe in probes], [[] for _ in probes])


def slice_assignment(subject: Subject) -> None:
    """Assigning to a slice assigns to its items; a wrong number of values changes nothing."""
    n = len(subject.items)
    if subject.assigned is None:
        if n:
            _computed(subject, "sequence[:1] = …", slice(1), [None])
        return
    known = subject.length == "known"
    ends = sorted({0, 1, n // 2, n, n + known} | ({-2, -n} if known else set()))
    stops = [None, *ends] if known else ends
    for k, step in enumerate((None, 2, 3, -1, -2) if known else (None, 2, 3)):
        for start, stop in pairs((None, *ends), stops, k):
            _changes(subject, slice(start, stop, step), range(n)[start:stop:step])
    if subject.length == "endless":
        sequence, _ = subject.make()
        refused("sequence[0:] = …", TypeError, setitem, sequence, slice(0, None), [])
        refused("sequence[-1:] = …", IndexError, setitem, sequence, slice(-1, None), [])


def _recovers(subject: Subject) -> bool:
    """Return whether a stage catches errors of sources, so that they do not reach the reader."""
    sequence, _ = subject.make()
    return traits_upstream(sequence).recovers


def _faults(subject: Subject) -> list[tuple[int, int]]:
    """Return the source and the index of each item to make fail."""
    sizes = [len(peeked(probe)) for probe in subject.probes()]
    return [(s, j) for s, size in enumerate(sizes) for j in range(min(size, FAULTS))]


def _broken(
    subject: Subject, s: int, j: int, error: Exception
) -> tuple[LazySequence[Any], Exception]:
    """Return a sequence whose source number `s` raises `error` at `j`, and the error."""
    probes = subject.probes()
    probes[s] = Probe(subject.sources[s])
    sequence = scanned(subject.build(*probes), probes)
    probes[s].errors[j] = error
    return sequence, error


def _fails(subject: Subject, s: int, j: int, error: Exception, i: int) -> None:
    sequence, _ = _broken(subject, s, j, error)
    what = f"sequence[{i}] with item {j} of source {s} made to fail"
    try:
        item = sequence[i]
    except EvaluationError as raised:
        if raised.__cause__ is not error:
            raise AssertionError(
                f"cause of {what} should be {error!r}, got {raised.__cause__!r}"
            ) from raised
        equal(f"index of {what}", raised.index, i)
        equal(f"start of the path of {what}", raised.path[0].stage, sequence._describe())
        end = raised.path[-1].stage, raised.path[-1].index
        equal(f"end of the path of {what}", end, ("probe", j))
        return
    try:
        normal(item)  # because a view is evaluated when its items are read
    except EvaluationError as raised:
        if raised.__cause__ is error:
            return
    raise AssertionError(f"{what} should raise EvaluationError, got {item!r}")


def _fails_in_bulk(subject: Subject, s: int, j: int, error: Exception, i: int) -> None:
    sequence, _ = _broken(subject, s, j, error)
    try:
        normal(list(sequence._get_many(range(i + 1))))
    except Exception:  # noqa: BLE001 -- after any exception, items are read again one by one
        return
    raise AssertionError(f"_get_many(range({i + 1})) should fail as item {j} of source {s} does")


def _computed(subject: Subject, what: str, key: Any, value: Any) -> None:
    """Check that computed items cannot be assigned."""
    sequence, probes = subject.make()
    refused(what, TypeError, setitem, sequence, key, value)
    equal(f"what {what} assigned", [probe.writes for probe in probes], [[] for _ in probes])
    equal(f"items after {what}", subject.read(sequence), subject.items)


def _changes(subject: Subject, key: Any, places: range) -> None:
    """Check assignment to `key`, an index or a slice with the indices `places`."""
    others = subject.probes(subject.assigned)
    fresh = subject.oracle(others)
    sequence, probes = subject.make()
    before = [peeked(probe) for probe in probes]
    subject.read(sequence)  # so that a cache has the old items
    name = f"sequence[{shown(key) if isinstance(key, slice) else key.__index__()}]"
    values = [fresh[i] for i in places]
    if isinstance(key, slice):
        for wrong in [[*values, None], *([values[:-1]] if values else [])]:
            refused(f"{name} = {len(wrong)} values", ValueError, setitem, sequence, key, wrong)
        equal(
            f"what {name} of a wrong length assigned",
            [p.writes for p in probes],
            [[] for _ in probes],
        )
        sequence[key] = values
    else:
        sequence[key] = values[0]
    wanted = subject.oracle(others)
    for i in places:
        equal(f"sequence[{i}] after {name} = …", normal(sequence[i]), normal(wanted[i]))
    oracle = [normal(item) for item in subject.oracle(probes)]
    equal(f"items after {name} = …", subject.read(sequence), oracle)
    for s, (old, probe, new) in enumerate(zip(before, probes, others, strict=True)):
        touched = set().union(*(subject.touched[i][s] for i in places))
        for j, triple in enumerate(zip(old, peeked(probe), peeked(new), strict=True)):
            was, now, other = map(normal, triple)
            if was != now and (j not in touched or not mixed(now, was, other)):
                raise AssertionError(
                    f"{name} = … should leave item {j} of source {s}, made it {now!r}"
                )
