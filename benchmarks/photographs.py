"""JPEG files made of the photographs that ship inside scikit-image and scikit-learn."""

import os
from importlib.util import find_spec
from typing import Any

import numpy as np

PHOTOGRAPHS = {
    "skimage": ["data/astronaut.png", "data/chelsea.png", "data/coffee.png", "data/rocket.jpg"],
    "sklearn": ["datasets/images/china.jpg", "datasets/images/flower.jpg"],
}
WIDTH, HEIGHT = 400, 300  # all of the photographs are at least that large


def make(folder: str, count: int) -> None:
    """Write `0.jpg`, `1.jpg`, …: parts of the photographs, at random places.

    Args:
        folder: Where the files are made.
        count: Their number.
    """
    from PIL import Image

    random = np.random.default_rng(0)
    photographs: list[Any] = []
    for package, paths in PHOTOGRAPHS.items():
        spec = find_spec(package)
        if spec is None or spec.origin is None:
            message = f"the photographs of {package} are needed: install the group `bench`"
            raise RuntimeError(message)
        root = os.path.dirname(spec.origin)
        photographs += [Image.open(os.path.join(root, path)).convert("RGB") for path in paths]
    for i in range(count):
        photograph = photographs[i % len(photographs)]
        left = int(random.integers(photograph.width - WIDTH + 1))
        top = int(random.integers(photograph.height - HEIGHT + 1))
        part = photograph.crop((left, top, left + WIDTH, top + HEIGHT))
        part.save(os.path.join(folder, f"{i}.jpg"), quality=90)
