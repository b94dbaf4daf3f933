"""LightningModule: training step, validation step and optimiser; and the Lightning Trainer that trains it."""

import logging
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import lightning as L  # noqa: N812 - the library's own convention
import numpy as np
import torch
from lightning.pytorch.callbacks import Callback, ModelCheckpoint
from torch import Tensor
from torch.utils.data import DataLoader

from foretwin.metrics import macro_f1, rmse
from foretwin.training.encoders import Shape
from foretwin.training.network import (
    Batch,
    Network,
    Output,
    Scaling,
    masked_cross_entropy,
    masked_distribution_loss,
)


class MaintenanceModule(L.LightningModule):
    """Training of a Network on windows of which some labels are missing.

    Built from plain values, so that a checkpoint loads without further arguments.
    """

    def __init__(self, network: dict[str, Any], rul_cap: float, lr: float, weight_decay: float, steps: int) -> None:
        """`network` holds the Scaling and the Shape as dicts; `rul_cap` is in the contract's time unit."""
        super().__init__()
        self.save_hyperparameters()
        self.network = Network(Scaling(**network["scaling"]), Shape(**network["shape"]))
        self.classes: tuple[int, ...] = tuple(network["shape"]["classes"])
        self.rul_cap, self.lr, self.weight_decay, self.steps = rul_cap, lr, weight_decay, steps
        self.held_out: list[tuple[Output, Batch]] = []

    def training_step(self, batch: Batch, _: int) -> Tensor:
        """Compute the loss of a batch.

        x (B, T, C) scaled, mask (B, T), age (B,), rul (B,) in time units or NaN, faults (B, A) or -1.
        """
        loss = self._loss(self.network.read(batch["x"], batch["mask"], batch["age"]), batch)
        self.log("train/loss", loss, on_step=False, on_epoch=True, batch_size=len(batch["x"]))
        return loss

    def validation_step(self, batch: Batch, _: int) -> None:
        """Predict a held-out batch; the outputs are kept until the epoch's end."""
        self.held_out.append((self.network.read(batch["x"], batch["mask"], batch["age"]), batch))

    def on_validation_epoch_end(self) -> None:
        """Log the validation loss, RMSE and macro-F1, and their sum as `val/objective`, which tuning minimises."""
        out = Output(
            torch.cat([out.bins for out, _ in self.held_out]),
            [torch.cat(parts) for parts in zip(*(out.logits for out, _ in self.held_out), strict=True)],
        )
        truth = {name: torch.cat([batch[name] for _, batch in self.held_out]) for name in ("rul", "faults")}
        self.held_out.clear()
        logged = {"val/loss": float(self._loss(out, truth))}
        objective = 0.0
        if self.network.rul is not None:
            share = (truth["rul"] / self.rul_cap).clamp_max(1).cpu().numpy()
            error = rmse(out.rul.clamp(0, 1).cpu().numpy(), share)
            logged["val/rmse"] = error * self.rul_cap
            objective += 0.0 if np.isnan(share).all() else error  # NaN for a fold without labels
        for i, logits in enumerate(out.logits):
            classes = truth["faults"][:, i].cpu().numpy()
            f1 = macro_f1(logits.argmax(1).cpu().numpy(), classes, self.classes[i])
            logged[f"val/macro_f1_{i}"] = f1
            objective += 0.0 if (classes < 0).all() else (1 - f1) / len(out.logits)
        self.log_dict(logged | {"val/objective": float(np.nan_to_num(objective, nan=1e6))})

    def _loss(self, out: Output, batch: Batch) -> Tensor:
        loss = out.bins.new_zeros(())
        if self.network.rul is not None:
            loss = loss + masked_distribution_loss(out.bins, (batch["rul"] / self.rul_cap).clamp_max(1))
        for i, logits in enumerate(out.logits):
            loss = loss + masked_cross_entropy(logits, batch["faults"][:, i]) / len(out.logits)
        return loss

    def configure_optimizers(self) -> Any:
        """Configure AdamW; the rate rises over a tenth of the steps and falls to zero along a cosine."""
        optimizer = torch.optim.AdamW(self.parameters(), lr=self.lr, weight_decay=self.weight_decay)
        rise = max(0.1, 2 / self.steps)  # the scheduler divides by zero where the rate has less than two steps to rise
        schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, self.lr, total_steps=self.steps, pct_start=rise)
        return {"optimizer": optimizer, "lr_scheduler": {"scheduler": schedule, "interval": "step"}}


@dataclass(frozen=True)
class TrainingSession:
    """How a module is trained.

    With a `folder`, a checkpoint is kept there after each epoch and training resumes from it. `report` is called after
    each validation with the epoch and the objective, and may raise to stop.
    """

    epochs: int
    seed: int
    folder: Path | None
    report: Callable[[int, float], None] | None


class Curves(Callback):
    """Callback that keeps each epoch's metrics, in the checkpoint too, so that a resumed run has the whole curve."""

    def __init__(self, report: Callable[[int, float], None] | None) -> None:
        self.epochs: list[dict[str, float]] = []
        self.report = report

    def on_train_epoch_end(self, trainer: L.Trainer, _: L.LightningModule) -> None:
        """Keep and report the metrics of the epoch, including its validation."""
        metrics = {name: float(value) for name, value in trainer.callback_metrics.items()}
        self.epochs.append({"epoch": trainer.current_epoch, **metrics})
        if self.report is not None:
            self.report(trainer.current_epoch, metrics["val/objective"])

    def state_dict(self) -> dict[str, Any]:
        """Return the state for the checkpoint."""
        return {"epochs": self.epochs}

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Restore the state of `state_dict`."""
        self.epochs = state_dict["epochs"]


class EpochSeeding(Callback):
    """Callback that seeds dropout and jitter per epoch, so that a resumed training equals an uninterrupted one."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def on_train_batch_start(self, trainer: L.Trainer, _: L.LightningModule, __: Batch, batch_idx: int) -> None:
        """Seed the epoch's draws, after those that Lightning itself makes at an epoch's start."""
        if batch_idx == 0:
            torch.manual_seed(int(np.random.SeedSequence([self.seed, trainer.current_epoch]).generate_state(1)[0]))


def train_module(
    module: MaintenanceModule, loaders: tuple[DataLoader[Batch], DataLoader[Batch]], session: TrainingSession
) -> list[dict[str, float]]:
    """Train the module and return its metrics by epoch; KeyboardInterrupt on Ctrl-C.

    `loaders` give the training's batches and the held-out ones.
    """
    curves = Curves(session.report)
    last = session.folder / "last.ckpt" if session.folder else None
    with _quiet():
        trainer = _trainer(curves, session)
        try:
            trainer.fit(module, *loaders, ckpt_path=last if last and last.exists() else None)
        except SystemExit as error:  # Lightning's reaction to Ctrl-C
            raise KeyboardInterrupt from error
    if trainer.interrupted:
        raise KeyboardInterrupt
    return curves.epochs


def _trainer(curves: Curves, session: TrainingSession) -> L.Trainer:
    callbacks: list[Callback] = [EpochSeeding(session.seed), curves]
    if session.folder is not None:
        callbacks.append(
            ModelCheckpoint(session.folder, "last", save_on_train_epoch_end=True, enable_version_counter=False)
        )
    return L.Trainer(
        accelerator="auto",
        devices=1,  # networks this small gain nothing from several devices
        precision="bf16-mixed" if torch.cuda.is_available() else "32-true",
        max_epochs=session.epochs,
        callbacks=callbacks,
        logger=False,
        enable_checkpointing=session.folder is not None,
        enable_progress_bar=False,  # several members are trained at once
        enable_model_summary=False,
        num_sanity_val_steps=0,
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Silence Lightning's messages to developers: worker counts, tips, its banner."""
    loggers = [logging.getLogger(name) for name in ("lightning.pytorch", "lightning.fabric")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)
