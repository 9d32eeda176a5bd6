"""Train on handwritten digits; kill it at any step, resume, and get the same weights bit for bit.

    python examples/digits.py                           # prints a digest of the final weights
    python examples/digits.py --kill-at 300             # dies at step 300, as if by a power cut
    python examples/digits.py --resume --nworkers 1     # goes on, and prints the same digest
    python -m seqtools origins examples/digits.py:run 300   # the images of step 300

The images are scikit-learn's digits, which the first run writes as PNG files into folders named
after their class. The run, with all its epochs, is one list of batches: see `make_run`. It needs
Pillow and scikit-learn. docs/training.md explains it step by step.
"""

import argparse
import hashlib
import json
import os
import signal
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

import seqtools

FOLDER = Path(__file__).parents[1] / "build" / "digits"
EPOCHS = 20
BATCH = 32
CHECKPOINT_EVERY = 40  # steps
SIDE = 16  # pixels
HIDDEN = 32
LEARNING_RATE, MOMENTUM = 0.1, 0.9

# ------------------------------------------------------------------------------------ the data


def write_images(folder: Path) -> None:
    """Write the images as `folder/CLASS/NUMBER.png`, if that was not done before."""
    if (folder / "complete").exists():
        return
    from sklearn.datasets import load_digits

    digits = load_digits()
    for number, (pixels, label) in enumerate(zip(digits.images, digits.target, strict=True)):
        path = folder / str(label) / f"{number:04}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15).astype(np.uint8)).resize((SIDE, SIDE)).save(path)
    (folder / "complete").touch()


def load(path: Path) -> tuple[Any, int]:
    """Return the pixels of an image, from 0 to 1, and its class."""
    with Image.open(path) as image:
        return np.asarray(image, np.float32) / 255, int(path.parent.name)


def augment(sample: tuple[Any, int], rng: np.random.Generator) -> tuple[Any, int]:
    """Return the image moved by up to one pixel, with noise."""
    pixels, label = sample
    down, right = rng.integers(0, 3, size=2)
    moved = np.pad(pixels, 1)[down : down + SIDE, right : right + SIDE]
    return moved + 0.1 * rng.standard_normal((SIDE, SIDE), np.float32), label


def training_files(folder: Path) -> tuple[list[Path], list[Path]]:
    """Return the files for training, four of five, and those that are held out."""
    files = sorted(folder.glob("?/*.png"), key=lambda path: path.name)
    return [path for k, path in enumerate(files) if k % 5], files[::5]


def make_run(files: list[Path], epochs: int) -> Any:
    """Return all batches of all epochs as one list. Nothing is read yet."""
    images = seqtools.add_cache(seqtools.smap(load, files), len(files))
    shuffled = seqtools.shuffle(images, seed=7, epochs=epochs, multiple_of=BATCH)
    augmented = seqtools.smap(augment, shuffled, rng=7)
    return seqtools.batch(augmented, BATCH, collate_fn=seqtools.collate_arrays)


def run() -> Any:
    """Return the run of `python examples/digits.py`, for `python -m seqtools origins` and others.

    It writes the images, if they are not there.
    """
    write_images(FOLDER)
    return make_run(training_files(FOLDER)[0], EPOCHS)


# ----------------------------------------------------------------------------------- the model


class Model:
    """A network with one hidden layer, trained by gradient descent with momentum."""

    def __init__(self) -> None:
        rng = np.random.default_rng(0)
        self.weights = {
            "w1": rng.standard_normal((SIDE * SIDE, HIDDEN)) / SIDE,
            "b1": np.zeros(HIDDEN),
            "w2": rng.standard_normal((HIDDEN, 10)) / HIDDEN**0.5,
            "b2": np.zeros(10),
        }
        self.velocity = {name: np.zeros_like(each) for name, each in self.weights.items()}

    def scores(self, pixels: Any) -> tuple[Any, Any, Any]:
        """Return the inputs, the hidden layer, and the scores of the classes."""
        w = self.weights
        inputs = pixels.reshape(len(pixels), -1).astype(np.float64)
        hidden = np.maximum(inputs @ w["w1"] + w["b1"], 0)
        return inputs, hidden, hidden @ w["w2"] + w["b2"]

    def step(self, pixels: Any, labels: Any, rate: float) -> float:
        """Move the weights by one step; return the loss before it."""
        inputs, hidden, scores = self.scores(pixels)
        rows = np.arange(len(labels))
        odds = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances = odds / odds.sum(axis=1, keepdims=True)
        loss = -float(np.log(chances[rows, labels]).mean())
        slope = chances
        slope[rows, labels] -= 1
        slope /= len(labels)
        slope_hidden = slope @ self.weights["w2"].T * (hidden > 0)
        slopes = {
            "w1": inputs.T @ slope_hidden,
            "b1": slope_hidden.sum(axis=0),
            "w2": hidden.T @ slope,
            "b2": slope.sum(axis=0),
        }
        for name, each in slopes.items():
            self.velocity[name] = MOMENTUM * self.velocity[name] - rate * each
            self.weights[name] = self.weights[name] + self.velocity[name]
        return loss

    def accuracy(self, batches: Any) -> float:
        """Return the part of the images in `batches` whose class is found."""
        right = [self.scores(pixels)[2].argmax(axis=1) == labels for pixels, labels in batches]
        return float(np.concatenate(right).mean())


# ------------------------------------------------------------------------------ the checkpoint


def save(path: Path, model: Model, state: dict[str, Any]) -> None:
    """Write the weights and the state of the loader, both or nothing."""
    beside = path.with_suffix(".new")
    with beside.open("wb") as file:
        moving = {f"v_{name}": each for name, each in model.velocity.items()}
        np.savez(file, loader=json.dumps(state), **model.weights, **moving)
    os.replace(beside, path)


def restore(path: Path, model: Model) -> Any:
    """Load the weights, and return the state of the loader."""
    if not path.exists():
        sys.exit(f"there is no checkpoint {path}: run without --resume first")
    with np.load(path) as saved:
        for name in model.weights:
            model.weights[name], model.velocity[name] = saved[name], saved[f"v_{name}"]
        return json.loads(str(saved["loader"]))


# -------------------------------------------------------------------------------------- the run


def train(options: argparse.Namespace) -> None:
    """Train from the beginning or from the last checkpoint, and print what came of it."""
    write_images(options.folder)
    checkpoint = options.folder / "checkpoint.npz"
    files, others = training_files(options.folder)
    run = make_run(files, options.epochs)
    held_out = seqtools.smap(load, others)
    held_out = seqtools.batch(held_out, 64, collate_fn=seqtools.collate_arrays)

    training = seqtools.loader(
        seqtools.prefetch(run, options.nworkers, "process"), epochs=options.epochs
    )
    validation = seqtools.loader(seqtools.prefetch(held_out, nworkers=2))
    model = Model()
    losses: dict[int, float] = {}
    if options.resume:
        training.load_state_dict(restore(checkpoint, model))
        print(f"resumed at step {training.state_dict()['position']}")
    else:
        checkpoint.unlink(missing_ok=True)  # of an earlier run

    for epoch in range(training.epoch, options.epochs):
        for pixels, labels in training:
            state = training.state_dict()
            step = state["position"] - 1  # of this batch
            rate = LEARNING_RATE * (1 - step / len(run))
            losses[step] = model.step(pixels, labels, rate)
            if step == options.kill_at:
                os.kill(os.getpid(), signal.SIGKILL)
            if state["position"] % CHECKPOINT_EVERY == 0:
                save(checkpoint, model, state)
        # meanwhile, the workers go on with the next epoch
        print(f"epoch {epoch}: accuracy {model.accuracy(validation):.3f}", flush=True)

    if losses:
        worst = max(losses, key=lambda step: losses[step])
        _, labels = run[worst]  # computed again, here
        print(f"highest loss {losses[worst]:.3f} at step {worst}, with the classes {labels}")
    print("weights", hashlib.sha256(b"".join(map(bytes, model.weights.values()))).hexdigest()[:16])
    accuracy = model.accuracy(validation)
    if accuracy < options.least_accuracy:
        sys.exit(f"the accuracy must be at least {options.least_accuracy}, got {accuracy:.3f}")


def main() -> None:
    """Read the options, and train."""
    parser = argparse.ArgumentParser(description="Train on handwritten digits.")
    parser.add_argument("--folder", type=Path, default=FOLDER, help="for images and checkpoints")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--nworkers", type=int, default=2, help="number of worker processes")
    parser.add_argument("--kill-at", type=int, metavar="STEP", help="die at this step")
    parser.add_argument("--resume", action="store_true", help="go on from the last checkpoint")
    parser.add_argument("--least-accuracy", type=float, default=0.96, help="less is an error")
    train(parser.parse_args())


if __name__ == "__main__":
    main()
