"""Laws of the methods that other stages call: `_get_many`, `_reads` and `_rebuild`."""

from typing import Any

from seqtools._core.indices import Indices
from seqtools._core.sequence import LazySequence
from seqtools._core.walk import is_stage
from seqtools.testing.probe import Probe
from seqtools.testing.subject import SHOWN, Subject, equal, normal, reads_of, scanned, untouched


def bulk(subject: Subject) -> None:
    """`_get_many` returns the same items as reading one by one, one for each index."""
    for name, many in index_sets(len(subject.items)):
        sequence, _ = subject.make()
        got = sequence._get_many(many)
        equal(f"number of items of _get_many({name})", len(got), len(many))
        wanted = [subject.items[i] for i in many]
        equal(f"_get_many({name})", [normal(item) for item in got], wanted)


def reads(subject: Subject) -> None:
    """`_reads` states exactly what is read, one by one and in bulk, without reading anything.

    For a value-dependent sequence it states a part of that.
    """
    for name, many in index_sets(len(subject.items)):
        sequence, probes = subject.make()
        stated: list[set[int]] = [set() for _ in probes]
        _collect(sequence, many, dict(zip(map(id, probes), stated, strict=True)))
        untouched(f"_reads({name})", probes)
        for how in ("one by one", "in bulk"):
            sequence, probes = subject.make()
            if how == "in bulk":
                sequence._get_many(many)
            else:
                for i in many:
                    sequence._get(int(i))
            for s, (said, done) in enumerate(zip(stated, reads_of(probes), strict=True)):
                what = f"what is read of source {s} for {name} {how}"
                if not subject.value_dependent:
                    equal(what, sorted(done), sorted(said))
                elif not said <= done:
                    raise AssertionError(
                        f"{what} should include {sorted(said)}, got {sorted(done)}"
                    )


def rebuilding(subject: Subject) -> None:
    """`_rebuild` creates an equal sequence over other sources, and reads nothing."""
    sequence, probes = subject.make()
    others = subject.probes()
    copy = _rebuilt(sequence, dict(zip(map(id, probes), others, strict=True)))
    untouched("_rebuild", probes)
    untouched("_rebuild", others)
    scanned(copy, others)
    equal("type of what is rebuilt", type(copy), type(sequence))
    equal("length of what is rebuilt", copy._length(), sequence._length())
    equal("items of what is rebuilt", subject.read(copy), subject.items)
    untouched("reading what is rebuilt over other sources", probes)
    for i in range(len(subject.items)):
        sequence, probes = subject.make()
        others = subject.probes()
        copy = _rebuilt(sequence, dict(zip(map(id, probes), others, strict=True)))
        scanned(copy, others)
        normal(copy[i])
        equal(f"what item {i} of it reads", reads_of(others), subject.touched[i])


def index_sets(n: int) -> list[tuple[str, Indices]]:
    """Return named ranges and arrays of indices below `n`."""
    import numpy as np

    n = min(n, SHOWN)
    ranges = [range(i, i + 1) for i in range(n)]
    ranges += [
        range(n),
        range(0, n, 2),
        range(1, n, 3),
        range(n - 1, -1, -1),
        range(1, max(1, n - 1)),
    ]
    ranges += [range(0), range(n, n)]
    shuffled = [(5 * i + 3) % n for i in range(n)]
    lists = [shuffled, shuffled[::-2], [0, 0, n - 1, 0, n - 1, n - 1], list(range(n))]
    arrays = [np.array(indices if n else [], dtype=np.int64) for indices in [*lists, []]]
    named: list[tuple[str, Indices]] = [(repr(indices), indices) for indices in ranges]
    return named + [(repr(a.tolist()), a) for a in arrays]  # type: ignore[misc]


def _collect(stage: LazySequence[Any], many: Indices, stated: dict[int, set[int]]) -> None:
    """Add to `stated`, for each probe, what `stage` states to read from it through all stages."""
    if id(stage) in stated:
        stated[id(stage)].update(int(i) for i in many)
        return
    for source, indices in stage._reads(many):
        if all(source is not own for own in stage._sources()):
            raise AssertionError(f"_reads names {source!r}, which is not among _sources()")
        if not isinstance(indices, range) and getattr(indices, "dtype", None) is None:
            raise AssertionError(f"_reads must give ranges or arrays, got {indices!r}")
        if is_stage(source):
            _collect(source, indices, stated)


def _rebuilt(stage: Any, new: dict[int, Probe[Any]]) -> Any:
    if not is_stage(stage):
        return stage
    if id(stage) in new:
        return new[id(stage)]
    return stage._rebuild(*[_rebuilt(source, new) for source in stage._sources()])
