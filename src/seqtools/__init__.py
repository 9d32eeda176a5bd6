"""Lazy, list-like data pipelines, with read-ahead by threads and processes."""

from typing import TYPE_CHECKING, Any

from seqtools import instrument
from seqtools._core.errors import (
    EvaluationError,
    ItemTimeout,
    TooManyBadItems,
    WorkerDied,
    WorkerStartError,
    seterr,
)
from seqtools._core.failed_items import FailedItem, Failures
from seqtools._core.functions import SerializableFunc
from seqtools._core.iteration import SequenceIterator
from seqtools._core.origins import Origin
from seqtools._core.per_worker import per_worker
from seqtools._core.sequence import LazySequence
from seqtools._loader import Loader, loader
from seqtools.combinators.batch import batch, unbatch
from seqtools.combinators.cache import add_cache
from seqtools.combinators.collate import collate_arrays
from seqtools.combinators.collate_packed import collate_packed
from seqtools.combinators.compress import compress
from seqtools.combinators.fractions import split_fractions
from seqtools.combinators.gather import cycle, gather, take
from seqtools.combinators.generate import arange, repeat
from seqtools.combinators.interleave import interleave
from seqtools.combinators.iterables import uniter
from seqtools.combinators.map import smap, starmap
from seqtools.combinators.mix import Mix, mix
from seqtools.combinators.recover import recover, retry
from seqtools.combinators.select import case, switch
from seqtools.combinators.shape import collate, concatenate, split
from seqtools.combinators.shard import shard
from seqtools.combinators.shuffle import shuffle
from seqtools.combinators.substitute import substitute
from seqtools.combinators.windows import windows
from seqtools.combinators.without import without
from seqtools.instrument._explain import explain
from seqtools.instrument._failures import failures
from seqtools.instrument._origins import origins, uses
from seqtools.prefetching import Prefetch, close_all, prefetch
from seqtools.tables.filter import sfilter
from seqtools.tables.flatten import flatten
from seqtools.tables.pack import batch_by_length, pack

__version__ = "2.0.0.dev0"

__all__ = [
    "EvaluationError",
    "FailedItem",
    "Failures",
    "ItemTimeout",
    "LazySequence",
    "Loader",
    "Mix",
    "Origin",
    "Prefetch",
    "SequenceIterator",
    "SerializableFunc",
    "TooManyBadItems",
    "WorkerDied",
    "WorkerStartError",
    "add_cache",
    "arange",
    "batch",
    "batch_by_length",
    "case",
    "close_all",
    "collate",
    "collate_arrays",
    "collate_packed",
    "compress",
    "concatenate",
    "cycle",
    "explain",
    "failures",
    "flatten",
    "gather",
    "instrument",
    "interleave",
    "loader",
    "mix",
    "origins",
    "pack",
    "per_worker",
    "prefetch",
    "recover",
    "repeat",
    "retry",
    "seterr",
    "sfilter",
    "shard",
    "shuffle",
    "smap",
    "split",
    "split_fractions",
    "starmap",
    "substitute",
    "switch",
    "take",
    "unbatch",
    "uniter",
    "uses",
    "windows",
    "without",
]

_ON_FIRST_USE = ("extend", "testing")
"""Modules for those who write combinators or engines: nobody else waits for their import."""


if not TYPE_CHECKING:  # or else a type checker would believe in every name

    def __getattr__(name: str) -> Any:
        """Return a module that is imported when it is first used."""
        if name in _ON_FIRST_USE:
            from importlib import import_module

            return import_module(f"seqtools.{name}")
        message = f"module 'seqtools' has no attribute {name!r}"
        raise AttributeError(message)


def __dir__() -> list[str]:
    """Return the names that users use."""
    return sorted([*__all__, *_ON_FIRST_USE, "__version__"])
