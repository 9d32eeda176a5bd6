"""Every combinator, in the forms that matter, with what it must give in plain list code.

A name that `seqtools` exports and that has no row here fails `test_laws.py`. To add one,
add a row: what builds it over its sources, and what makes the same of plain lists.
"""

import hashlib
import io
import random
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain, zip_longest
from typing import Any

import numpy as np

import seqtools as st
from seqtools.instrument import debug, monitor_throughput, progress
from seqtools.testing import check_laws
from seqtools.testing.subject import Length, Values

NO_COMBINATORS = {
    "EvaluationError": "what an error is raised as",
    "FailedItem": "the class of what is in `Failures`",
    "Failures": "the class of what `failures` returns",
    "ItemTimeout": "the cause of an error",
    "LazySequence": "the base class: the row `LazySequence` is about its slices",
    "Loader": "the class of what `loader` returns",
    "Mix": "the class of what `mix` returns, which has rows",
    "Origin": "the class of a part of what `origins` returns",
    "Prefetch": "tests/engines",
    "SequenceIterator": "tests/laws/test_resume.py",
    "SerializableFunc": "wraps a function",
    "TooManyBadItems": "the cause of an error",
    "WorkerDied": "the cause of an error",
    "WorkerStartError": "what is raised where no worker starts",
    "close_all": "tests/prefetching",
    "collate_arrays": "makes a batch: tests/laws/test_collate_arrays.py",
    "collate_packed": "makes a pack: tests/laws/test_collate_packed.py",
    "explain": "reads an item: tests/instrument",
    "failures": "reads all items: tests/instrument/test_failures.py",
    "instrument": "a module; what is in it has rows",
    "instrument.Estimate": "the class of a part of what `check` returns",
    "instrument.Finding": "the class of a part of what `check` returns",
    "instrument.Findings": "the class of what `check` returns",
    "instrument.Read": "the class of a part of what `explain` returns",
    "instrument.Replay": "the class of what `explain` returns",
    "instrument.Throughput": "the class of what `monitor_throughput` returns, which has rows",
    "instrument.check": "looks for what is wrong: tests/instrument",
    "instrument.explain": "the same as `explain`",
    "instrument.graph": "makes text: tests/instrument",
    "instrument.Profile": "what is measured",
    "instrument.profile": "measures: tests/profiling",
    "loader": "an iterable, no sequence: tests/loader",
    "origins": "tells what is read: tests/laws/test_origins.py",
    "per_worker": "wraps a function: tests/engines/test_per_worker.py",
    "prefetch": "tests/engines",
    "seterr": "a setting",
    "uses": "tells what is read: tests/laws/test_origins.py",
}
"""Exports that need no row, and why."""

VALUE_DEPENDENT = {
    "case",
    "case, endless values",
    "flatten, of lazy sequences",
    "gather, lazy indexes",
    "gather, lazy indexes that are computed",
    "substitute, bad items",
    "substitute, bad and banned items",
    "switch",
    "switch, endless",
    "a case of batches",
}
"""Rows of which it depends on values what is read."""

MISSING = object()


@dataclass(frozen=True)
class Row:
    """One combinator in one form."""

    name: str
    """The exported name, and after a comma the form."""
    build: Callable[..., st.LazySequence[Any]]
    expected: Callable[..., Iterable[Any]]
    sources: tuple[Values, ...]
    assigned: tuple[Values, ...] | None
    length: Length
    picklable: bool

    @property
    def export(self) -> str:
        """Name of the function that this row is about."""
        return self.name.partition(",")[0]

    def check(self) -> None:
        """Check all laws."""
        check_laws(
            self.build,
            self.expected,
            sources=self.sources,
            assigned=self.assigned,
            length=self.length,
            value_dependent=self.name in VALUE_DEPENDENT,
            picklable=self.picklable,
        )


def row(  # noqa: PLR0913 -- by name, all but those without which there is no row
    name: str,
    build: Callable[..., st.LazySequence[Any]],
    expected: Callable[..., Iterable[Any]],
    *sources: Values,
    computed: bool = False,
    selectors: int = 0,
    length: Length = "known",
    picklable: bool = True,
) -> Row:
    """Return a row.

    Args:
        name: See `Row`.
        build: Given probes, returns the sequence.
        expected: Given lists, returns the items.
        sources: Items of each source.
        computed: Whether items are computed, and so cannot be assigned.
        selectors: How many sources, the first ones, say what is read from the others;
            they stay as they are when items are assigned.
        length: As for `check_laws`.
        picklable: As for `check_laws`.
    """
    others = (*sources[:selectors], *map(_other, sources[selectors:]))
    return Row(name, build, expected, sources, None if computed else others, length, picklable)


def _other(values: Any) -> Any:
    """Return something else of the same kind for everything in `values`."""
    if callable(values):
        return lambda i: _other(values(i))
    if isinstance(values, int):
        return values + 1000
    if isinstance(values, str):
        return values + "'"
    return [_other(value) for value in values]


# What is built of

FIVE = (10, 11, 12, 13, 14)
THREE = (0, 1, 2)
MASK = [True, False, False, True, True]
NESTED = ([1, 2], [], [3, 4, 5], [], [6])
KINDS = ([0, 1], [11, 2], [12], [3, 4], [14, 24], [6], [8], [7, 5])
PAIRS = ((1, 2), (3, 4), (5, 6))


def natural(i: int) -> int:
    return i


def add(x: int, y: int) -> int:
    return x + y


def double(x: int) -> int:
    return 2 * x


def half(x: int) -> int:
    return x // 2


def even(x: int) -> bool:
    return x % 2 == 0


def at_least_12(x: int) -> bool:
    return x >= 12


def turned(pair: tuple[int, int]) -> list[int]:
    return [*pair[::-1]]


def unmoved(x: int, rng: np.random.Generator) -> int:
    return 2 * x + int(rng.random())


def item_rng(i: int) -> np.random.Generator:
    """Return the generator of item `i` with the seed 7."""
    key = hashlib.shake_256(b"seqtools-1/rng\0i\1\0\0\0\7").digest(16)
    return np.random.Generator(
        np.random.Philox(key=int.from_bytes(key, "little"), counter=i << 192)
    )


def noisy(*items: int, rng: np.random.Generator) -> tuple[float, ...]:
    return *items, rng.random()


def jumbled(*items: int) -> tuple[float, ...]:
    return *items, random.random()


def seeded(i: int) -> float:
    """Return what `jumbled` draws for item `i` with the seed 7."""
    key = hashlib.shake_256(
        b"seqtools-1/global\0(i\1\0\0\0\7i" + bytes((1, 0, 0, 0, i)) + b")"
    ).digest(24)
    return random.Random(int.from_bytes(key[:8], "little")).random()


def ignore(i: int, value: object) -> None:
    del i, value


class Squares:
    """Can be iterated again and again; has no length."""

    def __iter__(self) -> Iterator[int]:
        return (i * i for i in range(5))


class Dataset:
    """Has the bulk protocol of torch and Hugging Face."""

    def __len__(self) -> int:
        return 7

    def __getitem__(self, i: int) -> int:
        return 10 * i

    def __getitems__(self, indices: list[int]) -> list[int]:
        return [self[i] for i in indices]


def in_turn(*lists: list[Any]) -> list[Any]:
    rounds = chain.from_iterable(zip_longest(*lists, fillvalue=MISSING))
    return [item for item in rounds if item is not MISSING]


def mixed(order: str, *lists: list[Any]) -> list[Any]:
    """Return items of the lists, called a, b and so on, in this order."""
    iterators = dict(zip("abc", map(iter, lists), strict=False))
    return [next(iterators[name]) for name in order]


def flat(lists: list[list[Any]]) -> list[Any]:
    return list(chain.from_iterable(lists))


def as_array(items: list[int]) -> Any:
    return np.array(items, np.int64)


def as_rows(items: list[int]) -> Any:
    return as_array([[x, -x] for x in items]).reshape(-1, 2)


def of_a_kind(items: list[int]) -> Any:
    """Return the items in an inner sequence of a kind that depends on the first one."""
    kinds = list, as_array, tuple, ReadInBulk, lambda items: st.smap(int, items)
    return kinds[items[0] % len(kinds)](items)


class ReadInBulk:
    """Returns for several indices a list that is added like an array."""

    def __init__(self, items: list[int]) -> None:
        self._items = items

    def __len__(self) -> int:
        return len(self._items)

    def __getitem__(self, i: int) -> int:
        return self._items[i]

    def __getitems__(self, indices: list[int]) -> list[int]:
        return AddsNumbers([self[i] for i in indices])


class AddsNumbers(list[int]):
    def __radd__(self, other: Any) -> Any:
        return [x + y for x, y in zip(other, self, strict=True)]


def small(x: int) -> int:
    return (x - 10) % 5


def packs(items: list[Any], places: str) -> list[list[Any]]:
    return [picked(items, each) for each in places.split()]


def batches(items: list[Any], k: int) -> list[list[Any]]:
    return [items[start : start + k] for start in range(0, len(items), k)]


def in_windows(items: list[Any], k: int) -> list[list[Any]]:
    return [items[start : start + k] for start in range(len(items) - k + 1)]


def picked(items: list[Any], places: str) -> list[Any]:
    return [items[int(place)] for place in places]


def chosen(selector: Sequence[int], *lists: list[Any]) -> list[Any]:
    return [lists[k][i] for i, k in enumerate(selector)]


ROWS: list[Row] = [
    # the base class
    row("LazySequence, the source itself", lambda p: p, lambda a: a, FIVE),
    row("LazySequence, slice", lambda p: p[1:4], lambda a: a[1:4], FIVE),
    row("LazySequence, slice backwards", lambda p: p[::-2], lambda a: a[::-2], FIVE),
    row("LazySequence, empty slice", lambda p: p[3:1], lambda a: a[3:1], FIVE),
    row("LazySequence, slice of endless", lambda p: p[2:9:3], lambda a: a[2:9:3], natural),
    row(
        "LazySequence, open slice", lambda p: p[3::2], lambda a: a[3::2], natural, length="endless"
    ),
    # mapping
    row("smap", lambda p: st.smap(str, p), lambda a: map(str, a), FIVE, computed=True),
    row(
        "smap, lambda",
        lambda p: st.smap(lambda x: -x, p),
        lambda a: [-x for x in a],
        FIVE,
        computed=True,
    ),
    row(
        "smap, several",
        lambda p, q: st.smap(add, p, q),
        lambda a, b: map(add, a, b),
        FIVE,
        FIVE,
        computed=True,
    ),
    row(
        "smap, one twice",
        lambda p: st.smap(add, p, p),
        lambda a: map(add, a, a),
        FIVE,
        computed=True,
    ),
    row(
        "smap, finite and endless",
        lambda p, q: st.smap(add, p, q),
        lambda a, b: map(add, a, b),
        FIVE,
        natural,
        computed=True,
    ),
    row(
        "smap, endless",
        lambda p: st.smap(double, p),
        lambda a: map(double, a),
        natural,
        computed=True,
        length="endless",
    ),
    row("smap, empty", lambda p: st.smap(double, p), lambda a: a, (), computed=True),
    row(
        "smap, array", lambda: st.smap(double, np.arange(5)), lambda: [0, 2, 4, 6, 8], computed=True
    ),
    row(
        "starmap",
        lambda p: st.starmap(add, p),
        lambda a: [x + y for x, y in a],
        PAIRS,
        computed=True,
    ),
    row(
        "smap, rng",
        lambda p: st.smap(noisy, p, rng=7),
        lambda a: [(x, item_rng(i).random()) for i, x in enumerate(a)],
        FIVE,
        computed=True,
    ),
    row(
        "smap, rng of a slice",
        lambda p: st.smap(noisy, p[3:0:-1], rng=7),
        lambda a: [(a[i], item_rng(i).random()) for i in (3, 2, 1)],
        FIVE,
        computed=True,
    ),
    row(
        "smap, rng and several",
        lambda p, q: st.smap(noisy, p, q, rng=7),
        lambda a, b: [
            (x, y, item_rng(i).random()) for i, (x, y) in enumerate(zip(a, b, strict=False))
        ],
        FIVE,
        natural,
        computed=True,
    ),
    row(
        "smap, rng and endless",
        lambda p: st.smap(noisy, p, rng=7),
        lambda a: [(x, item_rng(i).random()) for i, x in enumerate(a)],
        natural,
        computed=True,
        length="endless",
    ),
    row(
        "smap, rng in batches",
        lambda p: st.batch(st.smap(noisy, p, rng=7), 2),
        lambda a: batches([(x, item_rng(i).random()) for i, x in enumerate(a)], 2),
        FIVE,
        computed=True,
    ),
    row(
        "smap, seed",
        lambda p: st.smap(jumbled, p, seed=7),
        lambda a: [(x, seeded(i)) for i, x in enumerate(a)],
        FIVE,
        computed=True,
    ),
    row(
        "smap, seed of a slice, and several",
        lambda p: st.smap(jumbled, p[1:], p[1:], seed=7),
        lambda a: [(x, x, seeded(i)) for i, x in enumerate(a) if i],
        FIVE,
        computed=True,
    ),
    row(
        "smap, inverse", lambda p: st.smap(double, p, inverse=half), lambda a: map(double, a), FIVE
    ),
    row(
        "smap, inverse in a chain",
        lambda p: st.smap(double, st.smap(double, p, inverse=half)[::-1], inverse=half),
        lambda a: [4 * x for x in a[::-1]],
        FIVE,
    ),
    row(
        "smap, inverse of several",
        lambda p, q: st.smap(lambda x, y: [x, y], p, q, inverse=list),
        lambda a, b: map(list, zip(a, b, strict=True)),
        FIVE,
        FIVE,
    ),
    row(
        "smap, inverse and rng",
        lambda p: st.smap(unmoved, p, rng=7, inverse=half),
        lambda a: map(double, a),
        FIVE,
    ),
    row(
        "smap, inverse and seed, of several",
        lambda p, q: st.smap(lambda x, y: (y, x), p, q, seed=7, inverse=reversed),
        lambda a, b: zip(b, a, strict=True),
        FIVE,
        FIVE,
    ),
    row(
        "starmap, rng",
        lambda p: st.starmap(noisy, p, rng=7),
        lambda a: [(x, y, item_rng(i).random()) for i, (x, y) in enumerate(a)],
        PAIRS,
        computed=True,
    ),
    row(
        "starmap, seed",
        lambda p: st.starmap(jumbled, p, seed=7),
        lambda a: [(x, y, seeded(i)) for i, (x, y) in enumerate(a)],
        PAIRS,
        computed=True,
    ),
    row(
        "starmap, inverse",
        lambda p: st.starmap(lambda x, y: (y, x), p, inverse=turned),
        lambda a: [(y, x) for x, y in a],
        PAIRS,
    ),
    row(
        "starmap, inverse and rng",
        lambda p: st.starmap(lambda x, y, **_: (y, x), p, rng=7, inverse=turned),
        lambda a: [(y, x) for x, y in a],
        PAIRS,
    ),
    # numbers and orders
    row("arange, stop", lambda: st.arange(5), lambda: [0, 1, 2, 3, 4], computed=True),
    row("arange, start", lambda: st.arange(-2, 3), lambda: range(-2, 3), computed=True),
    row("arange, step", lambda: st.arange(1, 12, 3), lambda: [1, 4, 7, 10], computed=True),
    row("arange, backwards", lambda: st.arange(5, 0, -2), lambda: [5, 3, 1], computed=True),
    row(
        "arange, fractions",
        lambda: st.arange(0, 1, 0.25),
        lambda: [0, 0.25, 0.5, 0.75],
        computed=True,
    ),
    row(
        "arange, fractions that do not fit",
        lambda: st.arange(1, 2, 0.4),
        lambda: [1, 1.4, 1.8],
        computed=True,
    ),
    row("arange, empty", lambda: st.arange(3, 1), list, computed=True),
    row("gather", lambda p: st.gather(p, [3, 0, 3, 1]), lambda a: [a[3], a[0], a[3], a[1]], FIVE),
    row(
        "gather, negative",
        lambda p: st.gather(p, [-1, 2, -5]),
        lambda a: [a[-1], a[2], a[-5]],
        FIVE,
    ),
    row("gather, tuple", lambda p: st.gather(p, (4, 2)), lambda a: [a[4], a[2]], FIVE),
    row("gather, none", lambda p: st.gather(p, []), lambda _: [], FIVE),
    row("gather, range", lambda p: st.gather(p, range(1, 5, 2)), lambda a: [a[1], a[3]], FIVE),
    row(
        "gather, range backwards", lambda p: st.gather(p, range(4, -1, -1)), lambda a: a[::-1], FIVE
    ),
    row("gather, range of negative", lambda p: st.gather(p, range(-4, -1)), lambda a: a[1:4], FIVE),
    row(
        "gather, range across zero",
        lambda p: st.gather(p, range(-2, 2)),
        lambda a: [*a[-2:], *a[:2]],
        FIVE,
    ),
    row(
        "gather, array",
        lambda p: st.gather(p, np.array([2, -2, 2])),
        lambda a: [a[2], a[-2], a[2]],
        FIVE,
    ),
    row(
        "gather, unsigned array",
        lambda p: st.gather(p, np.array([2, 4], np.uint8)),
        lambda a: [a[2], a[4]],
        FIVE,
    ),
    row("gather, endless", lambda p: st.gather(p, [30, 2]), lambda a: [a[30], a[2]], natural),
    row(
        "gather, lazy indexes",
        lambda q, p: st.gather(p, q),
        lambda b, a: [a[j] for j in b],
        (1, -1, 1),
        FIVE,
        selectors=1,
    ),
    row(
        "gather, lazy indexes that are computed",
        lambda p: st.gather(p, st.arange(0, 5, 2)),
        lambda a: a[::2],
        FIVE,
    ),
    row(
        "gather, of gather",
        lambda p: st.gather(st.gather(p, [4, 3, 2, 1]), range(3)),
        lambda a: a[:1:-1],
        FIVE,
    ),
    row("compress", lambda p: st.compress(p, MASK), lambda a: [a[0], a[3], a[4]], FIVE),
    row(
        "compress, array", lambda p: st.compress(p, np.array(MASK)), lambda a: [a[0], *a[3:]], FIVE
    ),
    row("compress, tuple", lambda p: st.compress(p, (False, True, True)), lambda a: a[1:], THREE),
    row("compress, none", lambda p: st.compress(p, [False] * 5), lambda _: [], FIVE),
    row("compress, empty", lambda p: st.compress(p, []), lambda _: [], ()),
    row("compress, endless", lambda p: st.compress(p, MASK), lambda a: [a[0], *a[3:5]], natural),
    row(
        "compress, lazy mask",
        lambda p: st.compress(p, st.smap(bool, [0, 1, 1])),
        lambda a: a[1:],
        THREE,
    ),
    row(
        "LazySequence, indices",
        lambda p: p[[3, 1, -1, 2]],
        lambda a: [a[3], a[1], a[4], a[2]],
        FIVE,
    ),
    row(
        "LazySequence, indices in an array",
        lambda p: p[np.array([3, 1])],
        lambda a: [a[3], a[1]],
        FIVE,
    ),
    row("LazySequence, indices of endless", lambda p: p[[7, 3]], lambda a: [a[7], a[3]], natural),
    row("LazySequence, sum", lambda p, q: p + q + p, lambda a, b: a + b + a, THREE, FIVE),
    row(
        "LazySequence, mask of an array",
        lambda p: p[np.array(MASK)],
        lambda a: [a[0], *a[3:]],
        FIVE,
    ),
    row(
        "take, of compress",
        lambda p: st.take(st.compress(p, MASK)[::-1], [2, 0]),
        lambda a: [a[0], a[4]],
        FIVE,
    ),
    row("take", lambda p: st.take(p, [3, 0]), lambda a: [a[3], a[0]], FIVE),
    row("shuffle", lambda p: st.shuffle(p, 7), lambda a: picked(a, "41302"), FIVE),
    row("shuffle, empty", lambda p: st.shuffle(p, 7, epochs=3), lambda a: a, ()),
    row("shuffle, one", lambda p: st.shuffle(p, (), epochs=3), lambda a: 3 * a, (7,)),
    row(
        "shuffle, epochs",
        lambda p: st.shuffle(p, "run", epochs=2),
        lambda a: picked(a, "4032101342"),
        FIVE,
    ),
    row(
        "shuffle, endless",
        lambda p: st.shuffle(p, (7, "a"), epochs=None),
        lambda a: picked(a, "412304302121340"),
        FIVE,
        length="endless",
    ),
    row(
        "shuffle, multiple_of",
        lambda p: st.shuffle(p, 7, epochs=3, multiple_of=2),
        lambda a: picked(a, "413041022413"),
        FIVE,
    ),
    row(
        "shuffle, blocks",
        lambda p: st.shuffle(p, 7, epochs=2, blocks=[2, 1, 0, 2], open_blocks=2),
        lambda a: picked(a, "2430124103"),
        FIVE,
    ),
    row(
        "shuffle, endless with blocks and multiple_of",
        lambda p: st.shuffle(p, 7, epochs=None, multiple_of=3, blocks=(1, 3, 1), open_blocks=1),
        lambda a: picked(a, "321213421401"),
        FIVE,
        length="endless",
    ),
    row(
        "shuffle, of batches of a shuffle",
        lambda p: st.shuffle(st.batch(st.shuffle(p, 7, epochs=2), 2), 7),
        lambda a: picked(batches(picked(a, "4130241023"), 2), "41302"),
        FIVE,
    ),
    row(
        "split_fractions",
        lambda p: st.split_fractions(p, (0.5, 0.25), 7)[0],
        lambda a: picked(a, "03578"),
        range(10),
    ),
    row(
        "split_fractions, the last of several",
        lambda p: st.split_fractions(p, (0.5, 0.25, 0.25), 7)[-1],
        lambda a: picked(a, "12"),
        range(10),
    ),
    row(
        "split_fractions, mapping",
        lambda p: st.split_fractions(p, {"train": 0.5, "test": 0.25}, 7)["test"],
        lambda a: picked(a, "469"),
        range(10),
    ),
    row(
        "split_fractions, stratify",
        lambda p: st.split_fractions(p, (0.5, 0.5), 7, stratify="xxxxyyyyyy")[1],
        lambda a: picked(a, "12469"),
        range(10),
    ),
    row(
        "split_fractions, groups",
        lambda p: st.split_fractions(p, (0.5, 0.5), 7, groups="xxyyyyzzzw")[1],
        lambda a: picked(a, "2345"),
        range(10),
    ),
    row("split_fractions, none", lambda p: st.split_fractions(p, (0,), 7)[0], lambda _: [], FIVE),
    row("split_fractions, empty", lambda p: st.split_fractions(p, (1,), 7)[0], lambda a: a, ()),
    row(
        "split_fractions, of a shuffle",
        lambda p: st.split_fractions(st.shuffle(p, 7), (0.6, 0.4), 7)[0],
        lambda a: picked(picked(a, "41302"), "034"),
        FIVE,
    ),
    row("cycle", lambda p: st.cycle(p, 7), lambda a: (3 * a)[:7], THREE),
    row("cycle, less than once", lambda p: st.cycle(p, 2), lambda a: a[:2], THREE),
    row("cycle, never", lambda p: st.cycle(p, 0), lambda _: [], THREE),
    row("cycle, empty", lambda p: st.cycle(p, 0), lambda _: [], ()),
    row("cycle, endless", st.cycle, lambda a: 5 * a, THREE, length="endless"),
    row("cycle, of endless", lambda p: st.cycle(p, 4), lambda a: a[:4], natural),
    row("repeat", lambda: st.repeat("v", 3), lambda: ["v", "v", "v"]),
    row("repeat, once", lambda: st.repeat("v", 1), lambda: ["v"]),
    row("repeat, never", lambda: st.repeat("v", 0), list),
    row("repeat, endless", lambda: st.repeat("v"), lambda: 12 * ["v"], length="endless"),
    row("interleave", st.interleave, in_turn, FIVE, THREE, (7,)),
    row("interleave, list", lambda *ps: st.interleave([*ps]), in_turn, FIVE, THREE, (7,)),
    row("interleave, one", st.interleave, in_turn, FIVE),
    row("interleave, empty among them", st.interleave, in_turn, (), THREE, ()),
    row("interleave, all empty", st.interleave, in_turn, (), ()),
    row(
        "interleave, finite and endless",
        st.interleave,
        lambda a, b, c: in_turn(a, b[:5], c),
        THREE,
        natural,
        FIVE,
    ),
    row("interleave, endless", st.interleave, in_turn, natural, natural, length="endless"),
    # choices
    row(
        "switch",
        st.switch,
        lambda c, a, b: chosen([not x for x in c], a, b),
        (1, 0, 0, 1, 1),
        FIVE,
        FIVE,
        selectors=1,
    ),
    row(
        "switch, endless",
        lambda c, p: st.switch(c, p, p[1:]),
        lambda c, a: [x if y else z for y, x, z in zip(c, a, a[1:], strict=False)],
        (1, 0, 1),
        natural,
        selectors=1,
    ),
    row("case", st.case, chosen, (2, 0, 1, 1, 0), FIVE, FIVE, FIVE, selectors=1),
    row("case, endless values", st.case, chosen, (1, 0, 1), THREE, natural, selectors=1),
    # iterables
    row("uniter, list", lambda: st.uniter([3, 1, 2]), lambda: [3, 1, 2], computed=True),
    row(
        "uniter, generator",
        lambda: st.uniter((x for x in "abc"), 9),
        lambda: "abc",
        computed=True,
        length="unknown",
        picklable=False,
    ),
    row(
        "uniter, generator with a size",
        lambda: st.uniter((x for x in "abcd"), 9, size=3),
        lambda: "abc",
        computed=True,
        picklable=False,
    ),
    row(
        "uniter, iterable",
        lambda: st.uniter(Squares()),
        lambda: [0, 1, 4, 9, 16],
        computed=True,
        length="unknown",
    ),
    row(
        "uniter, two at a time",
        lambda: st.uniter(Squares(), 1, 2, 5),
        lambda: [0, 1, 4, 9, 16],
        computed=True,
    ),
    row(
        "uniter, in batches",
        lambda: st.batch(st.uniter(Squares()), 2),
        lambda: [[0, 1], [4, 9], [16]],
        computed=True,
        length="unknown",
    ),
    # side by side, end to end, in parts
    row("collate", lambda p, q: st.collate([p, q]), zip, FIVE, FIVE),
    row("collate, one", lambda p: st.collate([p]), zip, FIVE),
    row("collate, one twice", lambda p: st.collate((p, p)), lambda a: zip(a, a, strict=True), FIVE),
    row(
        "collate, mapping",
        lambda p, q: st.collate({"x": p, "y": q}),
        lambda a, b: [{"x": x, "y": y} for x, y in zip(a, b, strict=True)],
        FIVE,
        FIVE,
    ),
    row("collate, finite and endless", lambda p, q: st.collate([p, q]), zip, THREE, natural),
    row("concatenate", lambda *ps: st.concatenate(ps), chain, FIVE, (), THREE),
    row("concatenate, arguments", st.concatenate, chain, FIVE, (), THREE),
    row("concatenate, one", lambda p: st.concatenate([p]), lambda a: a, FIVE),
    row("concatenate, none", lambda: st.concatenate([]), list),
    row("concatenate, one twice", lambda p: st.concatenate([p, p]), lambda a: a + a, THREE),
    row(
        "concatenate, endless at last",
        lambda p, q: st.concatenate([p, q]),
        lambda a, b: a + b,
        THREE,
        natural,
        length="endless",
    ),
    row("batch", lambda p: st.batch(p, 2), lambda a: batches(a, 2), FIVE),
    row("batch, of one", lambda p: st.batch(p, 1), lambda a: batches(a, 1), THREE),
    row("batch, larger than all", lambda p: st.batch(p, 9), lambda a: [a], FIVE),
    row("batch, of nothing", lambda p: st.batch(p, 2), lambda _: [], ()),
    row(
        "batch, drop_last",
        lambda p: st.batch(p, 2, drop_last=True),
        lambda a: batches(a[:4], 2),
        FIVE,
    ),
    row("batch, pad", lambda p: st.batch(p, 3, pad=-1), lambda a: batches([*a, -1], 3), FIVE),
    row(
        "batch, pad an array",
        lambda: st.batch(np.arange(5), 3, pad=0.5),
        lambda: [[0, 1, 2], [3, 4, 0.5]],
        computed=True,
    ),
    row(
        "batch, collate_fn",
        lambda p: st.batch(p, 2, collate_fn=sum),
        lambda a: map(sum, batches(a, 2)),
        FIVE,
        computed=True,
    ),
    row(
        "batch, collate_fn makes arrays",
        lambda p: st.batch(p, 2, collate_fn=np.array),
        lambda a: batches(a, 2),
        FIVE,
    ),
    row(
        "batch, pad and collate_fn",
        lambda p: st.batch(p, 2, pad=0, collate_fn=tuple),
        lambda a: map(tuple, batches([*a, 0], 2)),
        FIVE,
    ),
    row(
        "batch, endless",
        lambda p: st.batch(p, 3),
        lambda a: batches(a, 3),
        natural,
        length="endless",
    ),
    row(
        "batch, array",
        lambda: st.batch(np.arange(10).reshape(5, 2), 2, collate_fn=np.sum),
        lambda: [6, 22, 17],
        computed=True,
    ),
    row(
        "batch, dataset",
        lambda: st.batch(Dataset(), 3),
        lambda: [[0, 10, 20], [30, 40, 50], [60]],
        computed=True,
    ),
    row("unbatch", lambda p: st.unbatch(p, 2), flat, [[1, 2], [3, 4], [5, 6]]),
    row(
        "unbatch, last one shorter",
        lambda p: st.unbatch(p, 3, 2),
        flat,
        [[1, 2, 3], [4, 5, 6], [7, 8]],
    ),
    row("unbatch, no remainder", lambda p: st.unbatch(p, 2, 0), flat, [[1, 2], [3, 4], [5, 6]]),
    row("unbatch, one batch", lambda p: st.unbatch(p, 3, 1), flat, [[1]]),
    row("unbatch, empty", lambda p: st.unbatch(p, 4), lambda a: a, ()),
    row("unbatch, empty with a last", lambda p: st.unbatch(p, 4, 2), lambda a: a, ()),
    row(
        "unbatch, endless",
        lambda p: st.unbatch(p, 2),
        flat,
        lambda i: [i, -i],
        length="endless",
    ),
    row("split, cuts", lambda p: st.split(p, 2), lambda a: batches(a, 2), (1, 2, 3, 4, 5, 6)),
    row(
        "split, number of parts",
        lambda p: st.split(p, parts=3),
        lambda a: batches(a, 2),
        (1, 2, 3, 4, 5, 6),
    ),
    row("split, no cut", lambda p: st.split(p, 0), lambda a: [a], FIVE),
    row(
        "split, positions",
        lambda p: st.split(p, [1, 1, 4]),
        lambda a: [a[:1], [], a[1:4], a[4:]],
        FIVE,
    ),
    row(
        "split, parts",
        lambda p: st.split(p, [(0, 3), (2, 5), (1, 1)]),
        lambda a: [a[:3], a[2:], []],
        FIVE,
    ),
    row(
        "mix",
        lambda p, q: st.mix([p, q], [2, 1]),
        lambda a, b: mixed("abaabaab", a, b),
        FIVE,
        FIVE,
    ),
    row("mix, one", lambda p: st.mix([p], [0.3]), lambda a: a, FIVE),
    row(
        "mix, one twice",
        lambda p: st.mix([p, p], [1, 1]),
        lambda a: mixed("ababababab", a, a),
        FIVE,
    ),
    row(
        "mix, with names",
        lambda p, q: st.mix({"x": p, "y": q}, {"y": 0.1, "x": 0.3}),
        lambda a, b: mixed("aabaaab", a, b),
        FIVE,
        THREE,
    ),
    row(
        "mix, weight 0",
        lambda p, q, r: st.mix([p, q, r], [1, 0, 1]),
        lambda a, _, c: mixed("acacac", a, [], c),
        THREE,
        (),
        FIVE,
    ),
    row(
        "mix, all",
        lambda p, q: st.mix([p, q], [1, 1], stop="all"),
        lambda a, b: mixed("ababababa", a, 2 * b),
        FIVE,
        THREE,
    ),
    row(
        "mix, finite and endless",
        lambda p, q: st.mix([p, q], [1, 1]),
        lambda a, b: mixed("ababab", a, b),
        THREE,
        natural,
    ),
    row(
        "mix, endless",
        lambda p, q: st.mix([p, q], [1, 3]),
        lambda a, b: mixed(10 * "babb", a, b),
        natural,
        natural,
        length="endless",
    ),
    row(
        "mix, steps",
        lambda p, q: st.mix(
            {"x": p, "y": q}, [(0, {"x": 1}), (2, {"y": 1}), (4, {"x": 1, "y": 1})]
        ),
        lambda a, b: mixed("aabbababab", a, b),
        FIVE,
        FIVE,
    ),
    row(
        "mix, steps and all",
        lambda p, q: st.mix([p, q], [(0, [1, 0]), (4, [1, 1])], stop="all"),
        lambda a, b: mixed("aaaaababab", 9 * a, b),
        THREE,
        THREE,
    ),
    row(
        "mix, a long period",
        lambda p, q: st.mix([p, q], [70_001, 1]),
        lambda a, b: mixed("aaaaa", a, b),
        FIVE,
        FIVE,
    ),
    row(
        "mix, arrays",
        lambda: st.mix([np.arange(4), np.arange(10, 20)], [1, 1]),
        lambda: [0, 10, 1, 11, 2, 12, 3, 13],
    ),
    row("shard", lambda p: st.shard(p, 1, 2), lambda a: a[1::2], (1, 2, 3, 4, 5, 6)),
    row("shard, of one", lambda p: st.shard(p, 0, 1), lambda a: a, FIVE),
    row("shard, of this process", st.shard, lambda a: a, FIVE),
    row("shard, drop", lambda p: st.shard(p, 0, 2, uneven="drop"), lambda a: a[:4:2], FIVE),
    row("shard, drop all", lambda p: st.shard(p, 0, 7, uneven="drop"), lambda _: [], FIVE),
    row("shard, keep", lambda p: st.shard(p, 0, 2, uneven="keep"), lambda a: a[::2], FIVE),
    row(
        "shard, keep one less", lambda p: st.shard(p, 1, 2, uneven="keep"), lambda a: a[1::2], FIVE
    ),
    row("shard, keep none", lambda p: st.shard(p, 6, 7, uneven="keep"), lambda _: [], FIVE),
    row("shard, pad", lambda p: st.shard(p, 1, 3, uneven="pad"), lambda a: [a[1], a[4]], FIVE),
    row("shard, padded", lambda p: st.shard(p, 2, 3, uneven="pad"), lambda a: [a[2], a[0]], FIVE),
    row("shard, padded again", lambda p: st.shard(p, 7, 8, uneven="pad"), lambda a: a[1:2], THREE),
    row("shard, empty", lambda p: st.shard(p, 1, 3), lambda _: [], ()),
    row(
        "shard, endless", lambda p: st.shard(p, 1, 3), lambda a: a[1::3], natural, length="endless"
    ),
    row(
        "shard, endless and padded",
        lambda p: st.shard(p, 1, 3, uneven="pad"),
        lambda a: a[1::3],
        natural,
        length="endless",
    ),
    row(
        "shard, of a shard",
        lambda p: st.shard(st.shard(p, 1, 2), 1, 3),
        lambda a: a[1::2][1::3],
        tuple(range(12)),
    ),
    row(
        "shard, of unknown length",
        lambda: st.shard(st.uniter(Squares()), 1, 2, uneven="keep"),
        lambda: [1, 9],
        computed=True,
        length="unknown",
    ),
    row("windows", lambda p: st.windows(p, 2), lambda a: in_windows(a, 2), FIVE, computed=True),
    row(
        "windows, of one", lambda p: st.windows(p, 1), lambda a: batches(a, 1), FIVE, computed=True
    ),
    row(
        "windows, step",
        lambda p: st.windows(p, 2, 2),
        lambda a: [a[:2], a[2:4]],
        FIVE,
        computed=True,
    ),
    row(
        "windows, step beyond",
        lambda p: st.windows(p, 2, 3),
        lambda a: [a[:2], a[3:]],
        FIVE,
        computed=True,
    ),
    row("windows, of all", lambda p: st.windows(p, 5), lambda a: [a], FIVE, computed=True),
    row("windows, none", lambda p: st.windows(p, 6), lambda _: [], FIVE, computed=True),
    row("windows, empty", lambda p: st.windows(p, 1), lambda _: [], (), computed=True),
    row(
        "windows, endless",
        lambda p: st.windows(p, 3, 2),
        lambda a: in_windows(a, 3)[::2],
        natural,
        computed=True,
        length="endless",
    ),
    row(
        "windows, array",
        lambda: st.windows(np.arange(8).reshape(4, 2), 3),
        lambda: [[[0, 1], [2, 3], [4, 5]], [[2, 3], [4, 5], [6, 7]]],
        computed=True,
    ),
    row(
        "windows, of unknown length",
        lambda: st.windows(st.uniter(Squares(), 9), 3),
        lambda: [[0, 1, 4], [1, 4, 9], [4, 9, 16]],
        computed=True,
        length="unknown",
    ),
    row("without", lambda p: st.without(p, [3, 1]), lambda a: [a[0], a[2], a[4]], FIVE),
    row("without, none", lambda p: st.without(p, []), lambda a: a, FIVE),
    row("without, all", lambda p: st.without(p, range(5)), lambda _: [], FIVE),
    row("without, empty", lambda p: st.without(p, []), lambda a: a, ()),
    row(
        "without, the ends, twice",
        lambda p: st.without(p, np.array([4, 0, 4, 0])),
        lambda a: a[1:4],
        FIVE,
    ),
    row(
        "without, several in a row",
        lambda p: st.without(p, [2, 3, 4, 8]),
        lambda a: [*a[:2], *a[5:8], *a[9:]],
        tuple(range(12)),
    ),
    row(
        "without, endless",
        lambda p: st.without(p, [0, 5, 6]),
        lambda a: [*a[1:5], *a[7:]],
        natural,
        length="endless",
    ),
    row(
        "without, of unknown length",
        lambda: st.without(st.uniter(Squares()), [1, 3]),
        lambda: [0, 4, 16],
        computed=True,
        length="unknown",
    ),
    row(
        "without, shuffled in batches",
        lambda p: st.batch(st.shuffle(st.without(p, [0, 2]), 7), 2),
        lambda a: batches([[a[1], a[3], a[4]][k] for k in st.shuffle(range(3), 7)], 2),
        FIVE,
    ),
    # kept, and looked at
    row("add_cache", st.add_cache, lambda a: a, FIVE),
    row("add_cache, none", lambda p: st.add_cache(p, 0), lambda a: a, FIVE),
    row("add_cache, many", lambda p: st.add_cache(p, 99), lambda a: a, FIVE),
    row("add_cache, mapping", lambda p: st.add_cache(p, cache={}), lambda a: a, FIVE),
    row("add_cache, endless", lambda p: st.add_cache(p, 3), lambda a: a, natural, length="endless"),
    row(
        "add_cache, computed",
        lambda p: st.add_cache(st.smap(double, p), 2),
        lambda a: map(double, a),
        FIVE,
        computed=True,
    ),
    row("instrument.debug", lambda p: debug(p, ignore), lambda a: a, FIVE),
    row("instrument.debug, limits", lambda p: debug(p, ignore, 2, 0.5), lambda a: a, FIVE),
    row("instrument.monitor_throughput", monitor_throughput, lambda a: a, FIVE),
    row("instrument.progress", progress, lambda a: a, FIVE),
    row("instrument.progress, endless", progress, lambda a: a, natural, length="endless"),
    row(
        "instrument.progress, shown",
        lambda p: progress(p, disable=False, file=io.StringIO(), desc="law"),
        lambda a: a,
        FIVE,
    ),
    # tables that a scan makes
    row("sfilter", lambda p: st.sfilter(even, p), lambda a: [a[0], a[2], a[4]], FIVE),
    row("sfilter, none", lambda p: st.sfilter(lambda _: False, p), lambda _: [], FIVE),
    row("sfilter, all", lambda p: st.sfilter(lambda _: [0], p), lambda a: a, FIVE),
    row("sfilter, empty", lambda p: st.sfilter(even, p), lambda _: [], ()),
    row("sfilter, one", lambda p: st.sfilter(even, p), lambda a: a[1:], THREE[1:]),
    row(
        "sfilter, of computed items",
        lambda p: st.sfilter(even, st.smap(half, p)),
        lambda a: [x // 2 for x in a if not x // 2 % 2],
        FIVE,
        computed=True,
    ),
    row("sfilter, workers", lambda p: st.sfilter(even, p, nworkers=2), lambda a: a[::2], FIVE),
    row(
        "batch, of a filter",
        lambda p: st.batch(st.sfilter(even, p), 2),
        lambda a: batches(a[::2], 2),
        FIVE,
    ),
    row(
        "sfilter, of a filter",
        lambda p: st.sfilter(at_least_12, st.sfilter(even, p)),
        lambda a: a[2::2],
        FIVE,
    ),
    row(
        "smap, rng of a filter",
        lambda p: st.smap(noisy, st.sfilter(even, p), rng=7),
        lambda a: [(a[i], item_rng(i).random()) for i in (0, 2, 4)],
        FIVE,
        computed=True,
    ),
    row("flatten", st.flatten, flat, NESTED),
    row("flatten, lengths", lambda p: st.flatten(p, [2, 0, 3, 0, 1]), flat, NESTED),
    row("flatten, array", lambda p: st.flatten(p, np.array([2, 0, 3, 0, 1], "u1")), flat, NESTED),
    row(
        "flatten, lazy lengths",
        lambda q, p: st.flatten(p, q),
        lambda _, a: flat(a),
        (2, 0, 3, 0, 1),
        NESTED,
        selectors=1,
    ),
    row("flatten, empty", st.flatten, flat, ()),
    row("flatten, all empty", st.flatten, flat, ((), ())),
    row(
        "flatten, computed",
        lambda p: st.flatten(st.smap(range, p)),
        lambda a: flat([[*range(x)] for x in a]),
        (2, 0, 3),
        computed=True,
    ),
    row(
        "flatten, of arrays",
        lambda p: st.flatten(st.smap(as_array, p, inverse=np.ndarray.tolist)),
        flat,
        NESTED,
    ),
    row(
        "flatten, of arrays of rows",
        lambda p: st.flatten(st.smap(as_rows, p)),
        lambda a: [[x, -x] for x in flat(a)],
        NESTED,
        computed=True,
    ),
    row(
        "flatten, of inner sequences of several kinds",
        lambda p: st.flatten(st.smap(of_a_kind, p)),
        flat,
        KINDS,
        computed=True,
    ),
    row(
        "flatten, of flat arrays",
        lambda p: st.flatten(st.batch(st.flatten(st.smap(as_array, p)), 2, collate_fn=np.array)),
        flat,
        NESTED,
        computed=True,
    ),
    row(
        "flatten, of lazy sequences",
        lambda p: st.flatten(st.split(p, [2])),
        lambda a: a,
        FIVE,
    ),
    row(
        "batch, of flat batches",
        lambda p: st.batch(st.flatten(st.batch(p, 2)), 3),
        lambda a: batches(a, 3),
        FIVE,
    ),
    row("pack", lambda p: st.pack(p, 5, small), lambda a: packs(a, "014 23"), FIVE),
    row(
        "pack, lengths",
        lambda p: st.pack(p, 9, [5, 9, 1, 4, 2]),
        lambda a: packs(a, "03 1 24"),
        FIVE,
    ),
    row(
        "pack, lazy lengths",
        lambda p, q: st.pack(p, 4, st.smap(small, q)),
        lambda a, _: packs(a, "04 13 2"),
        FIVE,
        FIVE,
        computed=True,
    ),
    row("pack, of nothing", lambda p: st.pack(p, 3), lambda _: [], ()),
    row("pack, of one", lambda p: st.pack(p, 3, [3]), lambda a: [a], (7,)),
    row("pack, all in one", lambda p: st.pack(p, 99, small), lambda a: [a], FIVE),
    row("pack, without lengths", lambda p: st.pack(p, 1, [0] * 5), lambda a: [a], FIVE),
    row(
        "pack, drop",
        lambda p: st.pack(p, 3, [3, 4, 1, 9, 2], longer="drop"),
        lambda a: packs(a, "0 24"),
        FIVE,
    ),
    row("pack, drop all", lambda p: st.pack(p, 1, [2] * 5, longer="drop"), lambda _: [], FIVE),
    row(
        "pack, cut",
        lambda p: st.pack(p, 2, longer="cut"),
        lambda a: [[a[0][:2]], [a[1], a[2]]],
        ("abcd", "e", "f"),
        computed=True,
    ),
    row(
        "pack, collate_fn",
        lambda p: st.pack(p, 10, [5, 9, 1, 4, 2], collate_fn=sum),
        lambda a: map(sum, packs(a, "023 1 4")),
        FIVE,
        computed=True,
    ),
    row(
        "pack, collate_packed",
        lambda p: st.pack(st.smap(list, p), 3, collate_fn=st.collate_packed),
        lambda a: [st.collate_packed([a[0], a[2]]), st.collate_packed([a[1]])],
        ((1, 2), (3, 4, 5), (6,)),
        computed=True,
    ),
    row(
        "pack, array",
        lambda: st.pack(np.arange(10).reshape(5, 2), 2, [1] * 5, collate_fn=np.sum),
        lambda: [6, 22, 17],
        computed=True,
    ),
    row(
        "pack, workers",
        lambda p: st.pack(p, 5, small, nworkers=2),
        lambda a: packs(a, "014 23"),
        FIVE,
    ),
    row(
        "pack, of a slice",
        lambda p: st.pack(p[::-1], 9, [5, 9, 1, 4, 2]),
        lambda a: packs(a[::-1], "03 1 24"),
        FIVE,
    ),
    row(
        "pack, of a filter",
        lambda p: st.pack(st.sfilter(even, p), 2, [1, 1, 1]),
        lambda a: packs(a[::2], "01 2"),
        FIVE,
    ),
    row(
        "shuffle, of packs",
        lambda p: st.shuffle(st.pack(p, 2, [1] * 5), 7),
        lambda a: picked(packs(a, "01 23 4"), "210"),
        FIVE,
    ),
    row(
        "shard, of packs",
        lambda p: st.shard(st.pack(p, 2, [1] * 5), 1, 2, uneven="drop"),
        lambda a: [a[2:4]],
        FIVE,
    ),
    row(
        "smap, rng of packs",
        lambda p: st.smap(noisy, st.pack(p, 9, [5, 9, 1, 4, 2], collate_fn=sum), rng=7),
        lambda a: [
            (sum(pack), item_rng(i).random())
            for pack, i in zip(packs(a, "03 1 24"), (0, 1, 2), strict=True)
        ],
        FIVE,
        computed=True,
    ),
    row(
        "batch_by_length",
        lambda p: st.batch_by_length(p, 8, small, multiple_of=1),
        lambda a: packs(a, "012 34"),
        FIVE,
    ),
    row(
        "batch_by_length, rounded",
        lambda p: st.batch_by_length(p, 16, [1, 9, 2, 8, 3]),
        lambda a: packs(a, "02 1 34"),
        FIVE,
    ),
    row("batch_by_length, of nothing", lambda p: st.batch_by_length(p, 8), lambda _: [], ()),
    row(
        "batch_by_length, collate_fn",
        lambda p: st.batch_by_length(p, 16, [1, 9, 2, 8, 3], collate_fn=sum),
        lambda a: map(sum, packs(a, "02 1 34")),
        FIVE,
        computed=True,
    ),
    # several stages
    row(
        "smap, of batches of a gather",
        lambda p: st.smap(sum, st.batch(st.gather(p, [4, 0, 1]), 2)),
        lambda a: [a[4] + a[0], a[1]],
        FIVE,
        computed=True,
    ),
    row(
        "unbatch, of cached batches",
        lambda p: st.unbatch(st.add_cache(st.batch(p, 2)), 2, 1),
        lambda a: a,
        FIVE,
    ),
    row(
        "batch, of an interleaved concatenation",
        lambda p, q: st.batch(st.interleave(st.concatenate([p, q]), q), 3),
        lambda a, b: batches(in_turn(a + b, b), 3),
        THREE,
        FIVE,
    ),
    row(
        "a case of batches",
        lambda s, p: st.case(s, st.batch(p, 2), st.batch(p[::-1], 2)),
        lambda s, a: chosen(s, batches(a, 2), batches(a[::-1], 2)),
        (0, 1, 1),
        FIVE,
        selectors=1,
    ),
    row(
        "split, of a cycle",
        lambda p: st.split(st.cycle(p, 8), 3),
        lambda a: batches((3 * a)[:8], 2),
        THREE,
    ),
]


# Items that fail


def checked(value: int) -> int:
    """Return `value`; raise an error if it is a multiple of four."""
    if not value % 4:
        message = f"{value} is bad"
        raise ValueError(message)
    return value


def first_good(items: Sequence[int], banned: Sequence[int] = ()) -> list[int]:
    """Return for each of `items` the first one from there on that is neither bad nor banned."""
    good = [k for k, item in enumerate(items) if item % 4 and k not in banned]
    return [items[next((j for j in good if j >= i), good[0])] for i in range(len(items))]


ROWS += [
    row("retry", lambda a: st.retry(a, 3), lambda a: a, FIVE),
    row("retry, endless", lambda a: st.retry(a, 3), lambda a: a, natural, length="endless"),
    row("recover", lambda a: st.recover(a, default=0), lambda a: a, FIVE),
    row(
        "recover, bad items",
        lambda a: st.recover(st.smap(checked, a), handler=lambda error, i: (str(error), i)),
        lambda a: [x if x % 4 else (f"{x} is bad", i) for i, x in enumerate(a)],
        FIVE,
        computed=True,
    ),
    row("substitute", st.substitute, lambda a: a, FIVE),
    row("substitute, empty", st.substitute, lambda _: [], ()),
    row("substitute, endless", st.substitute, lambda a: a, natural, length="endless"),
    row(
        "substitute, banned",
        lambda a: st.substitute(a, [0, 2]),
        lambda a: [a[1], a[1], a[3], a[3], *a[4:]],
        FIVE,
    ),
    row(
        "substitute, bad items",
        lambda a: st.substitute(st.smap(checked, a)),
        first_good,
        (10, 11, 12, 16, 14, 20),
        computed=True,
    ),
    row(
        "substitute, bad and banned items",
        lambda a: st.substitute(st.smap(checked, a), [0, 2]),
        lambda a: first_good(a, [0, 2]),
        (10, 11, 12, 16, 14, 20),
        computed=True,
    ),
]
