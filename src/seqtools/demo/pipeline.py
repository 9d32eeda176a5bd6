"""The pipeline of the demo: from files to minibatches of integers.

Functions that know nothing of pipelines, and six lines that put them together.
"""

import io
import tokenize
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

import seqtools

VOCABULARY = 1 << 15
"""Number of different integers; what hashes to the same one is not told apart."""
WINDOW = 256
"""Tokens in a window."""
PER_FILE = 16
"""Windows taken from a file: of an average one in the standard library, about all."""
BATCH = 64
"""Windows in a minibatch. These are whole files, so no two workers need the same one."""

Codes = npt.NDArray[np.int32]


def load(path: str) -> str:
    """Return the text of a file, decoded as Python decodes its own source."""
    with tokenize.open(path) as file:
        return file.read()


def tokens(text: str) -> list[str]:
    """Return the tokens of Python source."""
    return [token.string for token in tokenize.generate_tokens(io.StringIO(text).readline)]


def windows(words: list[str]) -> list[Codes]:
    """Return PER_FILE windows of WINDOW integers, spread evenly over a file.

    They overlap in a short file and leave gaps in a long one. Each word becomes the hash
    of its letters, the same in every process; 0 fills up what is shorter than a window.
    """
    codes = [1 + zlib.crc32(word.encode()) % (VOCABULARY - 1) for word in words]
    padded = np.array(codes + [0] * (WINDOW - len(codes)), dtype=np.int32)
    last = len(padded) - WINDOW
    starts = [k * last // (PER_FILE - 1) for k in range(PER_FILE)]
    return [padded[start : start + WINDOW] for start in starts]


def build(files: Sequence[str]) -> seqtools.LazySequence[Codes]:
    """Return minibatches of windows from `files`; no file is opened before one is read."""
    texts = seqtools.smap(load, files)
    words = seqtools.smap(tokens, texts)
    parts = seqtools.smap(windows, words)
    recent = seqtools.add_cache(parts, 2)  # windows in a row are of one file
    samples = seqtools.unbatch(recent, PER_FILE)
    return seqtools.batch(samples, BATCH, collate_fn=np.stack)
