"""Lazy, list-like data pipelines, with read-ahead by threads and processes."""

from seqtools import instrument
from seqtools.batching import batch, unbatch
from seqtools.caching import add_cache
from seqtools.choosing import case, switch
from seqtools.collating import collate_arrays
from seqtools.errors import EvaluationError, seterr
from seqtools.generating import arange, repeat
from seqtools.indexing import cycle, gather, interleave, take
from seqtools.instrument.explain import explain
from seqtools.iterables import uniter
from seqtools.mapping import smap, starmap
from seqtools.prefetching import Prefetch, close_all, prefetch
from seqtools.sequence import LazySequence
from seqtools.serializable import SerializableFunc
from seqtools.shape import collate, concatenate, split

__version__ = "2.0.0.dev0"

__all__ = [
    "EvaluationError",
    "LazySequence",
    "Prefetch",
    "SerializableFunc",
    "add_cache",
    "arange",
    "batch",
    "case",
    "close_all",
    "collate",
    "collate_arrays",
    "concatenate",
    "cycle",
    "explain",
    "gather",
    "instrument",
    "interleave",
    "prefetch",
    "repeat",
    "seterr",
    "smap",
    "split",
    "starmap",
    "switch",
    "take",
    "unbatch",
    "uniter",
]
