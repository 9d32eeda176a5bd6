"""The pipeline of the demo: from files to minibatches of integers.

It has functions that do not use seqtools, and `build`, which combines them in six lines.
"""

import re
import time
import tokenize
import zlib
from collections.abc import Sequence
from functools import partial

import numpy as np
import numpy.typing as npt

import seqtools

VOCABULARY = 1 << 15
"""Number of different integers; different words may have the same one."""
WINDOW = 256
"""Tokens in a window."""
PER_FILE = 16
"""Windows of each file: an average file of the standard library has about so many."""
BATCH = 32
"""Windows in a minibatch: those of whole files, so that no two workers read the same file."""

_TOKEN = re.compile(r"\w+|[^\w\s]")

Codes = npt.NDArray[np.int32]


def load(path: str, latency: float = 0.0) -> str:
    """Return the text of a file, decoded as Python decodes its own source.

    Before, it waits for `latency` seconds, as for a store in a network.
    """
    time.sleep(latency)
    with tokenize.open(path) as file:
        return file.read()


def tokens(text: str) -> list[str]:
    """Return the words, the numbers and the signs of a text."""
    return _TOKEN.findall(text)


def windows(words: list[str]) -> list[Codes]:
    """Return PER_FILE windows of WINDOW integers, spread evenly over a file.

    They overlap in a short file and leave gaps in a long one. Each word becomes a hash, the same
    in every process. A file shorter than a window is filled up with 0.
    """
    codes = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words]
    padded = np.array(codes + [0] * (WINDOW - len(codes)), dtype=np.int32)
    last = len(padded) - WINDOW
    starts = [k * last // (PER_FILE - 1) for k in range(PER_FILE)]
    return [padded[start : start + WINDOW] for start in starts]


def build(files: Sequence[str], latency: float = 0.0) -> seqtools.LazySequence[Codes]:
    """Return minibatches of windows from `files`, which are opened when a minibatch is read.

    Each file arrives after `latency` seconds.
    """
    texts = seqtools.smap(partial(load, latency=latency), files)
    words = seqtools.smap(tokens, texts)
    parts = seqtools.smap(windows, words)
    recent = seqtools.add_cache(parts, 2)  # consecutive windows are from one file
    samples = seqtools.unbatch(recent, PER_FILE)
    return seqtools.batch(samples, BATCH, collate_fn=np.stack)
