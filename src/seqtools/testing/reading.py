"""Laws of reading: a sequence reads like a list, and reads its sources only when needed."""

import json
import pickle
import warnings
from collections.abc import Iterator, Sequence
from itertools import islice
from operator import getitem
from typing import Any

from seqtools.testing.subject import Subject, comparable, equal, lazy, normal, refused, untouched

LINES, COLUMNS = 100, 120
"""Most lines of a repr, and characters in a line. Arbitrary."""


class Index:
    """An index that is not an `int`."""

    def __init__(self, i: int) -> None:
        self.i = i

    def __index__(self) -> int:
        return self.i


def building(subject: Subject) -> None:
    """Creating the sequence reads nothing."""
    probes = subject.probes()
    sequence = subject.build(*probes)
    lazy("what build returns", sequence)
    untouched("making the sequence", probes)


def length(subject: Subject) -> None:
    """`len` is the length of the list, or a TypeError, and reads nothing."""
    sequence, probes = subject.make()
    if subject.length == "known":
        equal("len", len(sequence), len(subject.items))
        equal("bool", bool(sequence), bool(subject.items))
    else:
        refused("len", TypeError, len, sequence)
        equal("bool", bool(sequence), wanted=True)
    untouched("len", probes)


def iteration(subject: Subject) -> None:
    """Each iteration gives all items, also if several iterators are used at the same time."""
    sequence, _ = subject.make()
    equal("the first iteration", subject.read(sequence), subject.items)
    equal("the second iteration", subject.read(sequence), subject.items)
    pairs = islice(zip(sequence, sequence, strict=True), subject.reach)
    equal(
        "zip(sequence, sequence)",
        [(normal(a), normal(b)) for a, b in pairs],
        [(item, item) for item in subject.items],
    )


def resuming(subject: Subject) -> None:
    """Another iterator goes on from a saved state; saving and loading read nothing."""
    first, probes = subject.make()
    iterator = iter(first)
    for k in range(len(subject.items) + 1):
        read = [list(probe.reads) for probe in probes]
        state = json.loads(json.dumps(iterator.state_dict()))
        equal("what is read to save a state", [list(probe.reads) for probe in probes], read)
        second, others = subject.make()
        again = iter(second)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # an iterable says that it begins anew
            again.load_state_dict(state)
        untouched("loading a state", others)
        rest = islice(again, len(subject.items) - k) if subject.length == "endless" else again
        equal(f"the items from {k} on", [normal(item) for item in rest], subject.items[k:])
        if k < len(subject.items):
            next(iterator)


def reversal(subject: Subject) -> None:
    """`reversed` gives the items in reverse order; without a length it is a TypeError."""
    sequence, _ = subject.make()
    if subject.length == "known":
        equal("reversed", [normal(item) for item in reversed(sequence)], subject.items[::-1])
    else:
        refused("reversed", TypeError, reversed, sequence)


def indices(subject: Subject) -> None:
    """Every index from -n to n - 1 of any integer type gives its item."""
    import numpy as np

    n = len(subject.items)
    for i in range(-n if subject.length == "known" else 0, n):
        keys: tuple[Any, ...] = (i, np.int64(i), Index(i))
        for key in keys:
            sequence, _ = subject.make()  # a new one, without items that were read before
            equal(f"sequence[{i}] by {type(key).__name__}", normal(sequence[key]), subject.items[i])


def edges(subject: Subject) -> None:
    """An index out of range is an IndexError; a key that is no index is a TypeError."""
    sequence, _ = subject.make()
    n = len(subject.items)
    outside = {"known": [n, n + 1, -n - 1, -n - 2, 10**9], "unknown": [n, n + 1], "endless": []}
    for i in outside[subject.length] + ([] if subject.length == "known" else [-1, -n - 1]):
        refused(f"sequence[{i}]", IndexError, getitem, sequence, i)
    for key in (0.0, "0", None, (0,)):
        refused(f"sequence[{key!r}]", TypeError, getitem, sequence, key)
    equal("iteration after all that", subject.read(sequence), subject.items)


def slices(subject: Subject) -> None:
    """Every slice has the items of the slice of a list; creating it reads nothing."""
    for key in slice_grid(subject):
        sequence, probes = subject.make()
        part = sequence[key]
        lazy(f"sequence[{shown(key)}]", part)
        wanted = subject.items[key]
        endless = subject.length == "endless" and key.stop is None
        if not endless:
            equal(f"len(sequence[{shown(key)}])", len(part), len(wanted))
        untouched(f"sequence[{shown(key)}]", probes)
        got = [normal(item) for item in islice(part, len(wanted) + (not endless))]
        equal(f"sequence[{shown(key)}]", got, wanted)
        if wanted:
            equal(f"sequence[{shown(key)}][0]", normal(part[0]), wanted[0])
        if endless:
            refused(f"len(sequence[{shown(key)}])", TypeError, len, part)
        elif wanted:
            equal(f"sequence[{shown(key)}][-1]", normal(part[-1]), wanted[-1])


def slices_without_length(subject: Subject) -> None:
    """A slice counts from the end only if there is a length; a step of 0 is an error."""
    sequence, _ = subject.make()
    refused("sequence[::0]", ValueError, getitem, sequence, slice(None, None, 0))
    refused("sequence['a':]", TypeError, getitem, sequence, slice("a", None))
    if subject.length != "known":
        for key in (slice(-1, None), slice(None, -1)):
            refused(f"sequence[{shown(key)}]", IndexError, getitem, sequence, key)
        refused("sequence[::-1]", ValueError, getitem, sequence, slice(None, None, -1))


def slices_of_slices(subject: Subject) -> None:
    """A slice of a slice has the same items as for a list."""
    outer = [k for k in slice_grid(subject) if subject.length != "endless" or k.stop is not None]
    inner = [slice(1, None), slice(None, None, 2), slice(None, None, -1), slice(-3, -1)]
    sequence, _ = subject.make()
    for first in outer[:: max(1, len(outer) // 40)]:
        for second in inner:
            got = [normal(item) for item in sequence[first][second]]
            what = f"sequence[{shown(first)}][{shown(second)}]"
            equal(what, got, subject.items[first][second])
    if subject.length == "endless":
        got = [normal(item) for item in islice(sequence[1:][::2], 3)]
        equal("sequence[1:][::2]", got, subject.items[1::2][:3])


def searching(subject: Subject) -> None:
    """`in`, `index` and `count` return the same as for a list."""
    sequence, _ = subject.make()
    if not all(comparable(sequence[i]) for i in range(len(subject.items))):
        return
    for item in subject.items:
        equal(f"{item!r} in sequence", item in sequence, wanted=True)
        equal(f"index({item!r})", sequence.index(item), subject.items.index(item))
        if subject.length != "endless":
            equal(f"count({item!r})", sequence.count(item), subject.items.count(item))
    missing, n = object(), len(subject.items)
    refused("index of what is missing", ValueError, sequence.index, missing, 0, n)
    if n:
        found = subject.items.index(subject.items[-1], n // 2)
        equal("index from the middle", sequence.index(subject.items[-1], n // 2), found)
        first = subject.items[0]
        if first not in subject.items[1:]:
            refused("index past it", ValueError, sequence.index, first, 1, n)
    if subject.length != "endless":
        equal("whether it has what is missing", missing in sequence, wanted=False)
        equal("count of what is missing", sequence.count(missing), 0)


def identity(subject: Subject) -> None:
    """A sequence only equals itself, and can be a key of a dict."""
    (sequence, probes), (twin, _) = subject.make(), subject.make()
    equal("sequence == sequence", sequence == sequence, wanted=True)  # noqa: PLR0124 -- that is the law
    equal("sequence == another", sequence == twin, wanted=False)
    equal("what is found by the sequence", {sequence: 1, twin: 2}[sequence], 1)
    untouched("comparing", probes)


def representation(subject: Subject) -> None:
    """`repr` reads nothing and has at most a hundred lines."""
    fresh = subject.probes()
    repr(subject.build(*fresh))  # one that has no table yet
    untouched("repr", fresh)
    sequence, probes = subject.make()
    parts = [sequence[:2]] if subject.length == "endless" else [sequence[:2], sequence[2:]]
    for part in (sequence, *parts):
        lines = repr(part).splitlines()
        if not 0 < len(lines) <= LINES or max(map(len, lines)) > COLUMNS:
            raise AssertionError(
                f"repr must have 1 to {LINES} lines of at most {COLUMNS} characters, "
                f"got {len(lines)} of up to {max(map(len, lines), default=0)}"
            )
    untouched("repr", probes)


def pickling(subject: Subject) -> None:
    """A pickled copy has the same items, before and after reading; pickling reads nothing."""
    sequence, probes = subject.make()
    if not subject.picklable:
        refused("pickling", TypeError, pickled, sequence)
        return
    first = pickled(sequence)
    untouched("pickling", probes)
    equal("iteration after pickling", subject.read(sequence), subject.items)
    read = [list(probe.reads) for probe in probes]
    for when, data in (("unread", first), ("read", pickled(sequence))):
        copy = pickle.loads(data)  # noqa: S301 -- pickled here
        equal(f"type of a copy of the {when} sequence", type(copy), type(sequence))
        equal(f"where a copy of the {when} sequence was made", copy._origin, sequence._origin)
        equal(f"items of a copy of the {when} sequence", subject.read(copy), subject.items)
        equal("what is read from the original", [list(p.reads) for p in probes], read)
    if subject.length == "known":
        equal("len of a copy", len(pickle.loads(first)), len(subject.items))  # noqa: S301


def pickled(value: Any) -> bytes:
    """Return `value` pickled, by cloudpickle if plain pickle cannot."""
    try:
        return pickle.dumps(value)
    except (pickle.PicklingError, AttributeError, TypeError):
        import cloudpickle

        return cloudpickle.dumps(value)  # type: ignore[no-any-return]


def slice_grid(subject: Subject) -> Iterator[slice]:
    """Yield slices with starts and stops around all edges, and several steps.

    Each step has all starts and all stops, and a third of their pairs, another third than the step
    before: `LazySequence` computes which items a slice has, in one way for all sequences.
    """
    n = len(subject.items)
    if subject.length == "known":
        ends = sorted({0, 1, 2, n // 2, n - 1, n, n + 1, -1, -2, -n, -n - 1})
        steps: tuple[int | None, ...] = (None, 1, 2, 3, -1, -2, -3)
    else:
        ends = sorted({0, 1, 2, n // 2, n - 1, n} - {-1})
        steps = (None, 1, 2, 3)
    # a slice of unknown length must have a stop
    stops = ends if subject.length == "unknown" else [None, *ends]
    for k, step in enumerate(steps):
        for start, stop in pairs((None, *ends), stops, k):
            yield slice(start, stop, step)


def pairs(starts: Sequence[Any], stops: Sequence[Any], turn: int) -> Iterator[Any]:
    """Yield a third of all pairs: in three turns, all; in each, every start and stop."""
    for k, start in enumerate(starts):
        for m, stop in enumerate(stops):
            if (k + m + turn) % 3 == 0:
                yield start, stop


def shown(key: slice) -> str:
    """Return `key` as it is written."""
    start, stop = ("" if k is None else k for k in (key.start, key.stop))
    return f"{start}:{stop}" + ("" if key.step is None else f":{key.step}")
