"""Six real jobs for `make bench WORKLOAD=verdict`, as users write them.

Files are made of random numbers with a fixed seed, and of photographs. A loop over a job takes a
few seconds.
"""

import gzip
import json
import os
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from functools import cache, partial
from typing import Any, NamedTuple

import numpy as np

import seqtools
from benchmarks import photographs
from seqtools.instrument.profiling.verdict import LOADING, LOCK


class Job(NamedTuple):
    """Files, a pipeline that reads them, and a loop over it."""

    expected: str
    """What the verdict must be."""
    make: Callable[[str], None]
    """Makes the files in a folder."""
    source: Callable[[str], Any]
    """Returns the pipeline that reads them, without a prefetch."""
    loop: Callable[[Any], None]
    """Reads a pipeline to the end."""
    options: dict[str, Any] | None = None
    """Arguments of the prefetch; `None` if there is none."""
    package: str = "numpy"
    """What it needs besides numpy, if that is not always there."""


JOBS: dict[str, Job] = {}


def _sum(batches: Any) -> None:
    total = 0.0
    for batch in batches:
        total += float(batch[0].sum())
    assert np.isfinite(total)


# JPEG files, decoded and resized, by a loop without a prefetch


def _image(path: str) -> Any:
    from PIL import Image

    with Image.open(path) as file:
        small = file.convert("RGB").resize((224, 224), Image.Resampling.BILINEAR)
    return np.asarray(small, np.float32) / 255


def _images(folder: str) -> Any:
    paths = [os.path.join(folder, f"{i}.jpg") for i in range(1280)]
    return seqtools.batch(seqtools.smap(_image, paths), 16, collate_fn=np.stack)


JOBS["JPEGs"] = Job(LOADING, partial(photographs.make, count=1280), _images, _sum, package="PIL")


# texts, cut into tokens by Python, in threads

_TEXTS, _WORDS = 1920, 600
_TOKEN = re.compile(r"\w+|[^\w\s]")


def _make_texts(folder: str) -> None:
    random = np.random.default_rng(0)
    words = [f"{'etaoinshrdlu'[k % 12]}{k:x}" for k in range(5000)]
    for i in range(_TEXTS):
        drawn = random.zipf(1.3, _WORDS) % len(words)
        with open(os.path.join(folder, f"{i}.txt"), "w") as file:
            file.write(" ".join(words[k] + ("" if k % 3 else ",.") for k in drawn))


def _tokens(path: str) -> list[int]:
    with open(path) as file:
        text = file.read()
    pieces: list[int] = []
    for token in _TOKEN.findall(text.lower()):
        pieces += [hash(token[k : k + 2]) % 30_000 for k in range(0, len(token), 2)]
    frequent = Counter(pieces).most_common(50)
    return [k for k, _ in frequent] + pieces[:462]


def _padded(batch: list[list[int]]) -> Any:
    return np.array([tokens + [0] * (512 - len(tokens)) for tokens in batch])


def _token_batches(folder: str) -> Any:
    paths = [os.path.join(folder, f"{i}.txt") for i in range(_TEXTS)]
    return seqtools.batch(seqtools.smap(_tokens, paths), 16, collate_fn=_padded)


JOBS["tokens"] = Job(LOCK, _make_texts, _token_batches, _sum, {"nworkers": 2, "method": "thread"})


# arrays in files, to which noise is added, in one process


def _make_arrays(folder: str) -> None:
    random = np.random.default_rng(0)
    for i in range(64):
        np.save(os.path.join(folder, f"{i}.npy"), random.random((128, 128, 3), np.float32))


def _augmented(array: Any, rng: Any) -> Any:
    shifted = np.roll(array, rng.integers(0, 16, 2), (0, 1))
    return shifted + rng.normal(0, 0.1, array.shape).astype(np.float32)


def _arrays(folder: str) -> Any:
    paths = [os.path.join(folder, f"{i % 64}.npy") for i in range(1600)]
    arrays = seqtools.smap(np.load, paths)
    augmented = seqtools.smap(_augmented, arrays, rng=0)
    return seqtools.batch(augmented, 16, collate_fn=np.stack)


JOBS["arrays"] = Job(LOADING, _make_arrays, _arrays, _sum, {"nworkers": 1, "method": "process"})


# rows of a compressed HDF5 file in any order, by a loop without a prefetch

_ROWS = 4096


def _make_hdf5(folder: str) -> None:
    import h5py

    rows = np.random.default_rng(0).integers(0, 50, (_ROWS, 4096), np.int32)
    with h5py.File(os.path.join(folder, "rows.h5"), "w") as file:
        file.create_dataset("rows", data=rows, chunks=(8, 4096), compression="gzip")


@cache
def _opened(path: str) -> Any:
    """Return the rows of a file, which each process opens itself."""
    import h5py

    return h5py.File(path)["rows"]


def _rows(path: str, indices: Any) -> Any:
    rows = _opened(path)[np.sort(indices)]
    return rows / rows.max(axis=1, keepdims=True)


def _hdf5(folder: str) -> Any:
    order = np.random.default_rng(1).permutation(_ROWS).reshape(-1, 64)
    read = partial(_rows, os.path.join(folder, "rows.h5"))
    return seqtools.smap(read, order)


JOBS["HDF5"] = Job(LOADING, _make_hdf5, _hdf5, _sum, package="h5py")


# training with torch in the loop, which uses all cores itself


def _make_pictures(folder: str) -> None:
    random = np.random.default_rng(0)
    for i in range(64):
        picture = random.integers(0, 255, (3, 96, 96), np.uint8)
        np.savez_compressed(os.path.join(folder, f"{i}.npz"), picture=picture)


def _picture(path: str) -> Any:
    with np.load(path) as file:
        picture = file["picture"]
    ranks = np.empty(picture.size, np.float32)  # a uniform histogram
    ranks[picture.ravel().astype(np.float32).argsort()] = np.linspace(-1, 1, picture.size)
    return ranks.reshape(picture.shape) + np.float32(picture.mean() / 255)


def _pictures(folder: str) -> Any:
    paths = [os.path.join(folder, f"{i % 64}.npz") for i in range(640)]
    return seqtools.batch(seqtools.smap(_picture, paths), 16, collate_fn=np.stack)


def _train(batches: Any) -> None:
    import torch
    from torch import nn

    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 32, 3, stride=2), nn.ReLU(), nn.Conv2d(32, 64, 3, stride=2), nn.ReLU(),
        nn.AdaptiveAvgPool2d(4), nn.Flatten(), nn.Linear(1024, 10),
    )  # fmt: skip
    optimizer = torch.optim.SGD(model.parameters(), lr=0.01)
    labels = torch.arange(16) % 10
    for batch in batches:
        optimizer.zero_grad()
        loss = nn.functional.cross_entropy(model(torch.as_tensor(batch)), labels)
        loss.backward()
        optimizer.step()
    assert torch.isfinite(loss)


JOBS["training"] = Job(LOADING, _make_pictures, _pictures, _train, package="torch")


# a few large records from a slow store, by a loop without a prefetch


def _make_records(folder: str) -> None:
    random = np.random.default_rng(0)
    for i in range(25):
        records = [{"id": k, "values": random.random(20).round(6).tolist()} for k in range(400)]
        with gzip.open(os.path.join(folder, f"{i}.json.gz"), "wt", 3) as file:
            json.dump(records, file)


def _records(path: str) -> Any:
    time.sleep(0.03)  # the way to the store
    with gzip.open(path, "rt") as file:
        records = json.load(file)
    return np.array([record["values"] for record in records])


def _remote(folder: str) -> Any:
    return seqtools.smap(_records, [os.path.join(folder, f"{i}.json.gz") for i in range(25)])


JOBS["records"] = Job(LOADING, _make_records, _remote, _sum)


def missing() -> Iterator[str]:
    """Yield the packages that jobs need and that are not there."""
    from importlib.util import find_spec

    yield from (job.package for job in JOBS.values() if find_spec(job.package) is None)
