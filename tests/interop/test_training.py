"""Loaders in StatefulDataLoader, Accelerate and Lightning: saved at every step, and resumed."""

import logging
import operator
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import seqtools

torch = pytest.importorskip("torch", reason="torch is not installed: see `make interop`")

LENGTH, EPOCHS = 4, 3
STEPS = LENGTH * EPOCHS

pytestmark = [
    pytest.mark.timeout(120),
    # Those of the frameworks about each other, and about their tiny models here.
    pytest.mark.filterwarnings("default"),
]


def make_pair(i: int) -> Any:
    return np.full(2, i, np.float32)


def stack(rows: Any) -> Any:
    return torch.from_numpy(np.stack(rows))


def make() -> Any:
    """Return a loader over batches, whose numbers are those of the steps."""
    pairs = seqtools.smap(make_pair, np.repeat(range(STEPS), 3))
    batches = seqtools.batch(pairs, 3, collate_fn=stack)
    return seqtools.loader(seqtools.prefetch(batches, nworkers=2), epochs=EPOCHS)


def number(batch: Any) -> int:
    assert batch.shape == (3, 2)
    return int(batch[0, 0])


def read(batches: Any, loader: Any, save: Callable[[int], None]) -> None:
    """Read all epochs, and call `save` in the body of the loop after each step."""
    expected = iter(range(STEPS))
    for epoch in range(EPOCHS):
        assert loader.epoch == epoch
        for batch in batches:
            step = next(expected)
            assert number(batch) == step
            save(step + 1)


def rest(batches: Any, loader: Any) -> list[int]:
    """Return the steps that are left."""
    steps: list[int] = []
    while loader.epoch < EPOCHS:
        try:
            steps += [number(batch) for batch in batches]
        except RuntimeError as error:  # the state is loaded only here
            assert "all 3 epochs of this loader have been read" in str(error)  # noqa: PT017
    return steps


class TestStatefulDataLoader:
    @pytest.fixture
    def wrap(self) -> Callable[[Any], Any]:
        module = pytest.importorskip(
            "torchdata.stateful_dataloader",
            reason="torchdata is not installed: see `make interop`",
        )
        return lambda dataset: module.StatefulDataLoader(dataset, batch_size=None)

    def test_a_loader(self, wrap: Callable[[Any], Any]) -> None:
        loader = make()
        batches = wrap(loader)
        states = {0: batches.state_dict()}
        assert len(batches) == LENGTH
        read(batches, loader, lambda step: operator.setitem(states, step, batches.state_dict()))
        for step, state in states.items():
            loader = make()
            batches = wrap(loader)
            batches.load_state_dict(state)
            assert rest(batches, loader) == list(range(step, STEPS))

    def test_the_run_as_one_sequence(self, wrap: Callable[[Any], Any]) -> None:
        run = seqtools.smap(make_pair, range(STEPS))
        batches = wrap(run)
        iterator = iter(batches)
        states = []
        for _ in range(STEPS):
            states.append(batches.state_dict())
            next(iterator)
        for step, state in enumerate(states):
            batches = wrap(run)
            batches.load_state_dict(state)
            assert [int(pair[0]) for pair in batches] == list(range(step, STEPS))

    def test_workers_of_torch_are_refused(self) -> None:
        batches = torch.utils.data.DataLoader(make(), batch_size=None, num_workers=2)
        with pytest.raises(RuntimeError, match="give the DataLoader num_workers=0"):
            next(iter(batches))


class TestAccelerate:
    @pytest.fixture(params=["itself", "in a DataLoader"])
    def prepared(self, request: pytest.FixtureRequest) -> Iterator[Callable[[], Any]]:
        """Return what makes an accelerator, what it reads, and the loader."""
        accelerate = pytest.importorskip(
            "accelerate", reason="accelerate is not installed: see `make interop`"
        )

        def prepare() -> Any:
            loader = make()
            if request.param == "itself":
                accelerator = accelerate.Accelerator(cpu=True)
                accelerator.register_for_checkpointing(loader)
                return accelerator, accelerator.prepare(loader), loader
            options = accelerate.DataLoaderConfiguration(use_stateful_dataloader=True)
            accelerator = accelerate.Accelerator(cpu=True, dataloader_config=options)
            batches = torch.utils.data.DataLoader(loader, batch_size=None)
            return accelerator, accelerator.prepare(batches), loader

        yield prepare
        accelerate.state.AcceleratorState._reset_state(reset_partial_state=True)
        accelerate.state.GradientState._reset_state()

    def test_a_loader(self, prepared: Callable[[], Any], tmp_path: Path) -> None:
        accelerator, batches, loader = prepared()
        seen = []
        for _ in range(EPOCHS):
            for batch in batches:
                seen.append(number(batch))
                accelerator.save_state(str(tmp_path / str(len(seen))))
        assert seen == list(range(STEPS))
        for step in range(1, STEPS + 1):
            accelerator, batches, loader = prepared()
            accelerator.load_state(str(tmp_path / str(step)))
            assert rest(batches, loader) == list(range(step, STEPS))


class TestLightning:
    @pytest.fixture
    def lightning(self) -> Any:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            module = pytest.importorskip(
                "lightning.pytorch", reason="lightning is not installed: see `make interop`"
            )
        logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
        return module

    @pytest.fixture
    def fit(self, lightning: Any, tmp_path: Path) -> Callable[..., tuple[list[int], list[int]]]:
        """Return what trains, and returns the steps and the items for validation."""

        class Model(lightning.LightningModule):  # type: ignore[misc, name-defined]
            def __init__(self) -> None:
                super().__init__()
                self.layer = torch.nn.Linear(2, 1)
                self.steps: list[int] = []
                self.checked: list[int] = []

            def training_step(self, batch: Any, _: int) -> Any:
                self.steps.append(number(batch))
                return self.layer(batch).sum()

            def validation_step(self, batch: Any, _: int) -> None:
                self.checked.append(int(batch))

            def configure_optimizers(self) -> Any:
                return torch.optim.SGD(self.parameters(), 1e-6)

        def fit(checkpoint: Path | None = None, **options: Any) -> tuple[list[int], list[int]]:
            model = Model()
            trainer = lightning.Trainer(
                max_epochs=EPOCHS,
                accelerator="cpu",
                logger=False,
                enable_progress_bar=False,
                enable_model_summary=False,
                default_root_dir=str(tmp_path / "default"),
                **options,
            )
            validation = seqtools.loader(torch.arange(3))
            trainer.fit(model, make(), validation, ckpt_path=checkpoint and str(checkpoint))
            return model.steps, model.checked

        return fit

    def test_a_loader(self, lightning: Any, fit: Callable[..., Any], tmp_path: Path) -> None:
        checkpoints = [
            lightning.callbacks.ModelCheckpoint(
                tmp_path, "step-{step}", every_n_train_steps=1, save_top_k=-1
            ),
            # Lightning does not load the state of a loader from these.
            lightning.callbacks.ModelCheckpoint(
                tmp_path, "epoch-{step}", save_on_train_epoch_end=True, save_top_k=-1
            ),
        ]
        steps, checked = fit(callbacks=checkpoints, num_sanity_val_steps=2)
        assert steps == list(range(STEPS))
        assert checked == [0, 1] + [0, 1, 2] * EPOCHS
        written = sorted(tmp_path.glob("*.ckpt"))
        assert len(written) == STEPS + EPOCHS
        for checkpoint in written:
            step = torch.load(checkpoint, weights_only=False)["global_step"]
            steps, _ = fit(checkpoint, enable_checkpointing=False)
            assert steps == list(range(step, STEPS)), checkpoint.name

    def test_epochs_that_are_cut_short(self, fit: Callable[..., Any]) -> None:
        steps, _ = fit(limit_train_batches=3, enable_checkpointing=False)
        assert steps == [0, 1, 2, 4, 5, 6, 8, 9, 10]
