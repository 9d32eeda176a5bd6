"""Find the bad files of a data set, replace them by good ones, and list them.

    python examples/bad_files.py                    # writes the files into a temporary folder
    python examples/bad_files.py --folder images    # keeps them

Of 500 JPEG files, one is cut off, one is no image and one is empty; and one kills the process that
decodes it, as a bug in compiled code would. Batches stay full, and all images keep their places.
The example needs Pillow. docs/bad-items.md explains it.
"""

import argparse
import os
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import seqtools

FILES = 500
SIDE = 32  # pixels
BATCH = 20
CUT_OFF, NO_IMAGE, EMPTY, DEADLY = 57, 181, 302, 440
BAD = [CUT_OFF, NO_IMAGE, EMPTY, DEADLY]
MARK = b"this file kills its worker"


def write_files(folder: Path) -> list[Path]:
    """Write all files, and return their paths."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(0)
    files = [folder / f"{i:03}.jpg" for i in range(FILES)]
    for file in files:
        pixels = rng.integers(0, 256, (SIDE, SIDE, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(file, quality=90)
    files[CUT_OFF].write_bytes(files[CUT_OFF].read_bytes()[:600])
    files[NO_IMAGE].write_bytes(b"<html>404 Not Found</html>")
    files[EMPTY].write_bytes(b"")
    files[DEADLY].write_bytes(files[DEADLY].read_bytes() + MARK)
    return files


def load(file: Path) -> Any:
    """Return the pixels of an image."""
    if file.read_bytes().endswith(MARK):  # stands for a decoder that crashes
        os.kill(os.getpid(), signal.SIGKILL)
    with Image.open(file) as image:
        return np.asarray(image)


def find(files: list[Path]) -> seqtools.Failures:
    """Return the bad files: reads all of them once."""
    found = seqtools.failures(seqtools.smap(load, files), nworkers=2, method="process")
    for bad in found:
        print(f"  {files[bad.index].name}: {type(bad.error).__name__}")
    return found


def replace(files: list[Path]) -> list[Any]:
    """Return all batches, without knowing which files are bad."""
    with seqtools.prefetch(seqtools.smap(load, files), nworkers=2, method="process") as images:
        good = seqtools.substitute(images)  # after the prefetch, because one kills its worker
        batches = list(seqtools.batch(good, BATCH, collate_fn=np.stack))
    print(f"  replaced while reading: {good.failures.indices}")
    return batches


def ban(files: list[Path], banned: list[int]) -> list[Any]:
    """Return all batches, without reading the files that are known to be bad."""
    images = seqtools.substitute(seqtools.smap(load, files), banned)
    batches = seqtools.batch(images, BATCH, collate_fn=np.stack)
    with seqtools.prefetch(batches, nworkers=2, method="process") as ready:
        result = list(ready)
    print(f"  failed now: {images.failures.indices}")
    return result


def check(condition: bool, what: str) -> None:  # noqa: FBT001
    """Print `what` if it is true, and end the program if not."""
    if not condition:
        raise SystemExit(f"not true: {what}")
    print(f"  {what}")


def main(folder: Path) -> None:
    """Tell the story."""
    files = write_files(folder)
    print(f"{FILES} files, of which {len(BAD)} are bad. Which?")
    found = find(files)
    check(found.indices == BAD, f"found: {found.indices}")

    print("Read them in batches all the same:")
    batches = replace(files)
    full = {batch.shape for batch in batches} == {(BATCH, SIDE, SIDE, 3)}
    check(full, f"{len(batches)} batches, and all have {BATCH} images")
    i, j = divmod(CUT_OFF, BATCH)
    check(
        np.array_equal(batches[i][j], batches[i][j + 1]),
        f"in place of image {CUT_OFF} there is image {CUT_OFF + 1}",
    )

    print("Read them again, with the bad ones banned:")
    again = ban(files, found.indices)
    check(np.array_equal(batches, again), "the batches are the same, and no worker has died")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, help="where to write the files, and keep them")
    given = parser.parse_args().folder
    if given is None:
        with tempfile.TemporaryDirectory() as temporary:
            main(Path(temporary))
    else:
        main(given)
