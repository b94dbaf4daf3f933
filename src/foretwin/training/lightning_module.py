"""LightningModule: training step, validation step and optimiser."""

from typing import Any

import lightning as L  # noqa: N812 - the library's own convention
import numpy as np
import torch
from torch import Tensor

from foretwin.metrics import macro_f1, rmse
from foretwin.training.encoders import Shape
from foretwin.training.network import Network, Output, Scaling, masked_cross_entropy, masked_distribution_loss

Batch = dict[str, Tensor]


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
