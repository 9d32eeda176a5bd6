"""Random pipelines of one to five stages, each with the list that it must equal.

Everything in here can be found by its name, so that a pipeline can be sent to another
process whatever it is pickled by.
"""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import chain, compress, pairwise
from typing import Any, TypeAlias

import numpy as np
from hypothesis import strategies as st

import seqtools
from seqtools import LazySequence, instrument
from seqtools._core.order import partition
from seqtools._core.order.permutation import permutation
from seqtools._core.order.proportions import period

MOST = 40
"""Items that a pipeline may have. Arbitrary: enough for a window of a prefetch to move."""

Stage: TypeAlias = tuple[str, tuple[Any, ...]]
"""Name of a stage, and its arguments but for the sequence."""

Route: TypeAlias = tuple[Callable[..., LazySequence[Any]], Callable[..., Iterable[Any]]]
"""How a stage is made over a sequence, and over a list."""


@dataclass(frozen=True)
class Pipeline:
    """A pipeline, to be made by any number of routes."""

    kind: str
    """What the items come from: a list, an array, a range or a function."""
    size: int
    """Number of items at the source, which are 0, 1, 2, …"""
    stages: tuple[Stage, ...]

    def source(self) -> Any:
        """Return a new source."""
        return SOURCES[self.kind](self.size)

    def build(self, source: Any = None) -> LazySequence[Any]:
        """Return a new sequence, over `source` or one of its own."""
        sequence = self.source() if source is None else source
        for name, arguments in self.stages:
            sequence = STAGES[name][0](sequence, *arguments)
        return sequence  # type: ignore[no-any-return]

    def expected(self) -> list[Any]:
        """Return the items."""
        items = list(range(self.size))
        for stage in self.stages:
            items = made(items, stage)
        return items


def made(items: list[Any], stage: Stage) -> list[Any]:
    """Return what `stage` makes of a list."""
    name, arguments = stage
    return list(STAGES[name][1](items, *arguments))


@st.composite
def pipelines(draw: st.DrawFn, *, assignable: bool = False) -> Pipeline:
    """Return a strategy for pipelines.

    Args:
        draw: Given by Hypothesis.
        assignable: Whether all items can be assigned. Then a leaf of an item is the
            index that it comes from, or negative if it comes from nowhere.
    """
    kind = "list" if assignable else draw(st.sampled_from(sorted(SOURCES)))
    size = draw(st.integers(0, 9))
    items = list(range(size))
    stages: list[Stage] = []
    for _ in range(draw(st.integers(1, 5))):
        stage = draw(_stages(items, assignable=assignable))
        after = made(items, stage)
        if len(after) <= MOST:
            stages.append(stage)
            items = after
    return Pipeline(kind, size, tuple(stages or [("debug", ())]))


@st.composite
def _stages(draw: st.DrawFn, items: list[Any], *, assignable: bool) -> Stage:
    """Return a strategy for a stage that can follow when `items` is what there is."""
    names = set(STAGES) - (COMPUTED if assignable else set())
    if not items:
        names -= NEED_ITEMS
    parts = leaves(items)
    if assignable and len(set(parts)) < len(parts):
        # A cache cannot know which of its items are made of the same item of a source, and
        # unbatch() assigns all of a batch, in which the same may stand twice.
        names -= {"add_cache", "unbatch"}
    if not _batches(items):
        names -= {"unbatch"}
    elif "unbatch" in names and draw(st.booleans()):  # or it would hardly ever be there
        names = {"unbatch"}
    name = draw(st.sampled_from(sorted(names)))
    return name, draw(_arguments(name, items))


def _arguments(name: str, items: list[Any]) -> st.SearchStrategy[tuple[Any, ...]]:
    n = len(items)
    indexes = st.lists(st.integers(-n, n - 1), max_size=12) if n else st.just([])
    cut = st.integers(0, n)
    edge = st.none() | st.integers(-n - 2, n + 2)
    strategies: dict[str, st.SearchStrategy[tuple[Any, ...]]] = {
        "slice": st.builds(slice, edge, edge, st.none() | st.sampled_from([1, 2, 3, -1, -2])).map(
            lambda key: (key.start, key.stop, key.step)
        ),
        "gather": st.tuples(indexes),
        "gather array": st.tuples(indexes),
        "gather range": st.tuples(cut, cut, st.sampled_from([1, 2, 5])),
        "cycle": st.tuples(st.integers(0, 2 * n + 3)),
        "endless cycle": st.tuples(st.integers(0, 2 * n + 3)),
        "interleave": st.tuples(cut),
        "concatenate": st.tuples(cut),
        "case": st.tuples(st.lists(st.integers(0, 1), min_size=n, max_size=n)),
        "batch": st.tuples(st.integers(1, 5), st.booleans()),
        "batch padded": st.tuples(st.integers(1, 5)),
        "batch of tuples": st.tuples(st.integers(1, 5)),
        "split": st.tuples(st.lists(cut, max_size=3).map(sorted)),
        "split into lists": st.tuples(st.lists(cut, max_size=3).map(sorted)),
        "add_cache": st.tuples(st.integers(0, 3)),
        "shuffle": st.tuples(st.integers(0, 99), st.integers(1, 3)),
        "shuffle blocks": st.tuples(st.integers(0, 99), st.integers(0, n), st.integers(1, 2)),
        "endless shuffle": st.tuples(st.integers(0, 99), st.integers(0, 2 * n + 3)),
        "split_fractions": st.tuples(st.integers(0, 99)),
        "compress": st.tuples(st.lists(st.booleans(), min_size=n, max_size=n)),
        "mix": st.tuples(st.lists(st.integers(1, 3), min_size=2, max_size=2)),
        "shard": st.tuples(st.integers(0, 1), st.integers(2, 3)),
        "shard padded": st.tuples(st.integers(0, 1), st.integers(2, 3)),
        "windows": st.tuples(st.integers(1, 3), st.integers(1, 3)),
    }
    if name == "unbatch":
        return st.just(_batches(items))
    return strategies.get(name, st.just(()))


def _batches(items: list[Any]) -> tuple[int, int] | tuple[()]:
    """Return the number of items in each and in the last of `items`, if they are batches."""
    if not items or not all(isinstance(item, list) for item in items):
        return ()
    sizes = [len(item) for item in items]
    regular = set(sizes[:-1]) <= {sizes[0]} and 0 < sizes[-1] <= sizes[0]
    return (sizes[0], sizes[-1]) if regular else ()


def leaves(item: Any) -> list[Any]:
    """Return all that lists, tuples and dicts are made of in the end, but for padding."""
    if isinstance(item, dict):
        return leaves(list(item.values()))
    if isinstance(item, list | tuple):
        return [leaf for part in item for leaf in leaves(part)]
    return [] if item == -1 else [item]


# Sources


class Dataset:
    """Has the bulk read of torch and Hugging Face."""

    def __init__(self, size: int) -> None:
        self.size = size

    def __repr__(self) -> str:
        return f"Dataset({self.size})"

    def __len__(self) -> int:
        return self.size

    def __getitem__(self, i: int) -> int:
        return range(self.size)[i]

    def __getitems__(self, indices: list[int]) -> list[int]:
        return [self[i] for i in indices]


def in_list(size: int) -> list[int]:
    return list(range(size))


def iterated(size: int) -> LazySequence[int]:
    return seqtools.uniter(range(size))


SOURCES: dict[str, Callable[[int], Any]] = {
    "array": np.arange,
    "dataset": Dataset,
    "iterable": iterated,
    "lazy": seqtools.arange,
    "list": in_list,
    "range": range,
}

# Stages: over a sequence of ours, and over a list


def tagged(item: Any) -> tuple[str, Any]:
    return "tag", item


def paired(x: Any, y: Any) -> tuple[Any, Any]:
    return x, y


def ignored(i: int, item: Any) -> None:
    del i, item


def sliced(sequence: Any, *key: int | None) -> LazySequence[Any]:
    return seqtools.concatenate([sequence])[slice(*key)]  # a slice of a list would be a copy


def gathered(items: list[Any], indexes: list[int]) -> list[Any]:
    return [items[i] for i in indexes]


def gather_array(sequence: Any, indexes: list[int]) -> LazySequence[Any]:
    return seqtools.gather(sequence, np.array(indexes, dtype=np.int64))


def gather_range(sequence: Any, *ends: int) -> LazySequence[Any]:
    return seqtools.gather(sequence, range(*ends))


def tag(sequence: Any) -> LazySequence[Any]:
    return seqtools.smap(tagged, sequence)


def list_tag(items: list[Any]) -> list[Any]:
    return [tagged(item) for item in items]


def pair(sequence: Any) -> LazySequence[Any]:
    return seqtools.smap(paired, sequence, seqtools.repeat("r"))


def starmapped(sequence: Any) -> LazySequence[Any]:
    return seqtools.starmap(paired, seqtools.collate([sequence, sequence]))


def debugged(sequence: Any) -> LazySequence[Any]:
    return instrument.debug(sequence, ignored)


def unchanged(items: list[Any], *_: Any) -> list[Any]:
    return items


def endless_cycle(sequence: Any, n: int) -> LazySequence[Any]:
    return seqtools.cycle(sequence)[:n]


def cycled(items: list[Any], limit: int) -> list[Any]:
    return [items[i % len(items)] for i in range(limit)]


def shuffled(sequence: Any, seed: int, epochs: int) -> LazySequence[Any]:
    return seqtools.shuffle(sequence, seed, epochs=epochs)


def list_shuffled(items: list[Any], seed: int, epochs: int) -> list[Any]:
    orders = [permutation(len(items), (seed, epoch)) for epoch in range(epochs)]
    return [items[order.at(i)] for order in orders for i in range(len(items))]


def shuffled_blocks(sequence: Any, seed: int, cut: int, opened: int) -> LazySequence[Any]:
    sizes = [cut, len(sequence) - cut]
    return seqtools.shuffle(sequence, seed, blocks=sizes, open_blocks=opened)


def list_shuffled_blocks(items: list[Any], seed: int, cut: int, opened: int) -> list[Any]:
    places = [i for i in (0, 1) if (cut, len(items) - cut)[i]]
    parts = [(items[:cut], items[cut:])[i] for i in places]
    order = permutation(len(parts), (seed, 0, "blocks"))
    line = [parts[order.at(k)] for k in range(len(parts))]
    groups = line if opened == 1 else [list(chain.from_iterable(line))]
    return [
        group[permutation(len(group), (seed, 0, "group", k)).at(i)]
        for k, group in enumerate(groups)
        for i in range(len(group))
    ]


def endless_shuffle(sequence: Any, seed: int, n: int) -> LazySequence[Any]:
    return seqtools.shuffle(sequence, seed, epochs=None)[:n]


def list_endless_shuffle(items: list[Any], seed: int, n: int) -> list[Any]:
    return list_shuffled(items, seed, -(-n // len(items)))[:n]


def part(sequence: Any, seed: int) -> LazySequence[Any]:
    return seqtools.split_fractions(sequence, (0.6, 0.4), seed)[1]


def list_part(items: list[Any], seed: int) -> list[Any]:
    numbers = partition.of_items(len(items), [3, 2, 0], seed)
    return [item for item, number in zip(items, numbers, strict=True) if number == 1]


def interleaved(sequence: Any, cut: int) -> LazySequence[Any]:
    part = sliced(sequence, cut)
    return seqtools.interleave(sequence, part)


def list_interleaved(items: list[Any], cut: int) -> list[Any]:
    pairs = [[item, *items[:cut][i : i + 1]] for i, item in enumerate(items)]
    return list(chain.from_iterable(pairs))


def concatenated(sequence: Any, cut: int) -> LazySequence[Any]:
    return seqtools.concatenate([sliced(sequence, cut, None), sliced(sequence, cut)])


def case(sequence: Any, selector: list[int]) -> LazySequence[Any]:
    return seqtools.case(selector, sequence, sliced(sequence, None, None, -1))


def list_case(items: list[Any], selector: list[int]) -> list[Any]:
    return [(items[i], items[-1 - i])[k] for i, k in enumerate(selector)]


def rotated(items: list[Any], cut: int) -> list[Any]:
    return items[cut:] + items[:cut]


def list_batch(items: list[Any], k: int, drop_last: bool) -> list[list[Any]]:
    batches = [items[start : start + k] for start in range(0, len(items), k)]
    return [b for b in batches if len(b) == k or not drop_last]


def batch_padded(sequence: Any, k: int) -> LazySequence[Any]:
    return seqtools.batch(sequence, k, pad=-1)


def list_batch_padded(items: list[Any], k: int) -> list[list[Any]]:
    return [(b + [-1] * k)[:k] for b in list_batch(items, k, drop_last=False)]


def batch_tuples(sequence: Any, k: int) -> LazySequence[Any]:
    return seqtools.batch(sequence, k, collate_fn=tuple)


def list_batch_tuples(items: list[Any], k: int) -> list[tuple[Any, ...]]:
    return [tuple(batch) for batch in list_batch(items, k, drop_last=False)]


def list_unbatch(items: list[list[Any]], *_: int) -> list[Any]:
    return list(chain.from_iterable(items))


def collated(sequence: Any) -> LazySequence[Any]:
    return seqtools.collate({"x": sequence, "y": sequence})


def list_collated(items: list[Any]) -> list[Any]:
    return [{"x": item, "y": item} for item in items]


def split_into_lists(sequence: Any, cuts: list[int]) -> LazySequence[Any]:
    return seqtools.smap(list, seqtools.split(sequence, cuts))


def list_split(items: list[Any], cuts: list[int]) -> list[list[Any]]:
    ends = [0, *cuts, len(items)]
    return [items[a:b] for a, b in pairwise(ends)]


def masked(sequence: Any, mask: list[bool]) -> LazySequence[Any]:
    return seqtools.compress(sequence, mask)


def mixed(sequence: Any, weights: list[int]) -> LazySequence[Any]:
    return seqtools.mix([sequence, sliced(sequence, None, None, -1)], weights, stop="all")


def list_mixed(items: list[Any], weights: list[int]) -> list[Any]:
    parts, counts = [items, items[::-1]], [0, 0]
    found = []
    share = period(tuple(weights))
    while min(counts) < len(items):
        k, j = share.locate(len(found))
        found.append(parts[k][j % len(items)])
        counts[k] += 1
    return found


def sharded(sequence: Any, rank: int, world: int) -> LazySequence[Any]:
    return seqtools.shard(sequence, rank, world, uneven="keep")


def list_sharded(items: list[Any], rank: int, world: int) -> list[Any]:
    return items[rank::world]


def shard_padded(sequence: Any, rank: int, world: int) -> LazySequence[Any]:
    return seqtools.shard(sequence, rank, world, uneven="pad")


def list_shard_padded(items: list[Any], rank: int, world: int) -> list[Any]:
    n = -(-len(items) // world) * world
    return [items[i % len(items)] for i in range(rank, n, world)]


def windows(sequence: Any, size: int, step: int) -> LazySequence[Any]:
    return seqtools.smap(list, seqtools.windows(sequence, size, step))  # those of arrays are arrays


def list_windows(items: list[Any], size: int, step: int) -> list[list[Any]]:
    return [items[i : i + size] for i in range(0, len(items) - size + 1, step)]


def slice_list(items: list[Any], *key: int | None) -> list[Any]:
    return items[slice(*key)]


def gathered_range(items: list[Any], *ends: int) -> list[Any]:
    return [items[i] for i in range(*ends)]


STAGES: dict[str, Route] = {
    "add_cache": (seqtools.add_cache, unchanged),
    "batch": (seqtools.batch, list_batch),
    "batch of tuples": (batch_tuples, list_batch_tuples),
    "batch padded": (batch_padded, list_batch_padded),
    "case": (case, list_case),
    "collate": (collated, list_collated),
    "concatenate": (concatenated, rotated),
    "compress": (masked, lambda items, mask: list(compress(items, mask))),
    "cycle": (seqtools.cycle, cycled),
    "debug": (debugged, unchanged),
    "endless cycle": (endless_cycle, cycled),
    "endless shuffle": (endless_shuffle, list_endless_shuffle),
    "gather": (seqtools.gather, gathered),
    "gather array": (gather_array, gathered),
    "gather range": (gather_range, gathered_range),
    "interleave": (interleaved, list_interleaved),
    "mix": (mixed, list_mixed),
    "monitor": (instrument.monitor_throughput, unchanged),
    "progress": (instrument.progress, unchanged),
    "shuffle": (shuffled, list_shuffled),
    "shuffle blocks": (shuffled_blocks, list_shuffled_blocks),
    "shard": (sharded, list_sharded),
    "shard padded": (shard_padded, list_shard_padded),
    "slice": (sliced, slice_list),
    "smap": (tag, list_tag),
    "smap with endless": (pair, lambda items: [(item, "r") for item in items]),
    "split_fractions": (part, list_part),
    "split": (seqtools.split, list_split),
    "split into lists": (split_into_lists, list_split),
    "starmap": (starmapped, lambda items: [(item, item) for item in items]),
    "unbatch": (seqtools.unbatch, list_unbatch),
    "windows": (windows, list_windows),
}

COMPUTED = {"smap", "smap with endless", "split into lists", "starmap", "windows"}
"""Stages whose items cannot be assigned."""

NEED_ITEMS = {"cycle", "endless cycle", "endless shuffle", "mix", "shard padded"}
"""Stages that nothing can be made of without items."""
