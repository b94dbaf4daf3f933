"""Training of one member with Lightning.

There is no early stopping and no choice of a best epoch: a member is trained for its budget while the rate falls to
zero. So its held-out fold stays unseen, and can calibrate the intervals.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict
from torch.utils.data import BatchSampler, DataLoader, Dataset, Sampler, SequentialSampler

from foretwin.contract.twin import Twin
from foretwin.dataset.mapped import mapped_array
from foretwin.dataset.splits import Split
from foretwin.dataset.windows import Histories
from foretwin.errors import TrainingError
from foretwin.training.encoders import Shape, segments_of
from foretwin.training.network import Batch, Network, RegimeScaling, plain
from foretwin.training.scaling import fit_scaling

SCALED_AT_ONCE = 250_000  # rows
EPOCHS = 10  # an epoch is a tenth of the budget, not a pass over the data


class Choice(BaseModel):
    """Hyper-parameters that tuning chooses."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    trunk: str
    width: int
    depth: int
    dropout: float
    jitter: float
    lr: float
    weight_decay: float


@dataclass(frozen=True)
class Budget:
    """Training budget and seed of one member."""

    windows: int
    batch: int
    seed: int
    reach: float = 1.0  # look-back, as a share of the window's rows


class Cuts(Dataset[Batch]):
    """Dataset of windows that are cut on access, a whole batch at a time."""

    def __init__(self, histories: Histories, ends: NDArray[np.int64], length: int) -> None:
        self.histories, self.ends, self.length = histories, ends, length

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, positions: list[int]) -> Batch:
        """Cut the windows at positions (B,) into the ends, as a batch of MaintenanceModule.training_step."""
        windows = self.histories.cut(self.ends[positions], self.length)
        return {
            "x": torch.from_numpy(windows.x),
            "mask": torch.from_numpy(windows.mask),
            "age": torch.from_numpy(windows.age),
            "rul": torch.from_numpy(windows.rul),
            "faults": torch.from_numpy(windows.faults.astype(np.int64)),
        }


class RandomPositions(Sampler[list[int]]):
    """Sampler of positions with replacement; an epoch's draw depends on seed and epoch alone."""

    def __init__(self, count: int, batches: int, budget: Budget, weights: NDArray[np.float64] | None = None) -> None:
        """`weights` (count,) are how often each position comes, relative to the others; alike without them."""
        self.count, self.batches, self.budget, self.epoch = count, batches, budget, 0
        self.shares: NDArray[np.float64] | None = None
        if weights is not None:
            self.shares = np.cumsum(weights, out=mapped_array(weights.shape, np.float64))
            self.shares /= weights.sum()

    def set_epoch(self, epoch: int) -> None:
        """Set the epoch; Lightning calls this before each one."""
        self.epoch = epoch

    def __len__(self) -> int:
        return self.batches

    def __iter__(self) -> Iterator[list[int]]:
        generator = np.random.default_rng([self.budget.seed, self.epoch])
        for _ in range(self.batches):
            if self.shares is None:
                yield generator.integers(self.count, size=self.budget.batch).tolist()
            else:
                drawn = np.searchsorted(self.shares, generator.random(self.budget.batch), side="right")
                yield np.minimum(drawn, self.count - 1).tolist()


def fit(
    split: Split,
    contract: Twin,
    choice: Choice,
    budget: Budget,
    folder: Path | None = None,
    report: Callable[[int, float], None] | None = None,
) -> tuple[Network, list[dict[str, float]]]:
    """Train one member and return it, with its metrics by epoch.

    With a `folder`, a checkpoint is kept there after each epoch and training resumes from it. `report` is called
    after each validation with the epoch and the objective, and may raise to stop. TrainingError where there is
    nothing to learn from, KeyboardInterrupt on Ctrl-C.
    """
    _check_labels(split, contract)
    # Lightning takes seconds to import, and much that knows of budgets and folds trains no network.
    from lightning import seed_everything

    from foretwin.training.lightning_module import MaintenanceModule, TrainingSession, train_module

    seed_everything(budget.seed, verbose=False)
    torch.set_num_threads(1)  # networks this small run slower on several threads
    network = plain(fit_scaling(split.histories, split.rows, contract, budget.seed), _shape(contract, choice, budget))
    cap = contract.rul.cap if contract.rul else 1.0
    module = MaintenanceModule(network, cap, choice.lr, choice.weight_decay, EPOCHS * _steps_an_epoch(budget))
    loaders = _loaders(split, contract, budget, module.network.scaling)
    epochs = train_module(module, loaders, TrainingSession(EPOCHS, budget.seed, folder, report))
    return module.network.eval(), epochs


def _check_labels(split: Split, contract: Twin) -> None:
    advice = "label more runs, or lower prepare.folds in params.yaml"
    if len(split.train) == 0 or len(split.held_out) == 0:
        raise TrainingError(f"{contract.name}: no labelled window to train on or to hold out; {advice}")
    if contract.rul and np.isnan(split.histories.rul[split.train]).all():
        raise TrainingError(f"{contract.name}: no training window has a known RUL; {advice}")
    for i, axis in enumerate(contract.axes):
        if (split.histories.faults[split.train, i] < 0).all():
            raise TrainingError(f"{contract.name}: no training window has a known class of {axis}; {advice}")


def _shape(contract: Twin, choice: Choice, budget: Budget) -> Shape:
    return Shape(
        trunk=choice.trunk,
        width=choice.width,
        depth=choice.depth,
        dropout=choice.dropout,
        jitter=choice.jitter,
        length=contract.window.length,
        reach=max(1, round(budget.reach * contract.window.length)),
        segments=segments_of(contract),
        has_rul=contract.rul is not None,
        classes=tuple(len(contract.classes(axis)) for axis in contract.axes),
    )


def _steps_an_epoch(budget: Budget) -> int:
    return max(1, budget.windows // (EPOCHS * budget.batch))


def _loaders(
    split: Split, contract: Twin, budget: Budget, scaling: RegimeScaling
) -> tuple[DataLoader[Batch], DataLoader[Batch]]:
    length = contract.window.length
    histories = replace(split.histories, values=_scaled(scaling, split.histories.values))
    random = RandomPositions(len(split.train), _steps_an_epoch(budget), budget, split.weights)
    train = DataLoader(Cuts(histories, split.train, length), sampler=random, batch_size=None)
    held_out = Cuts(histories, split.held_out, length)
    in_order = BatchSampler(SequentialSampler(held_out), 4 * budget.batch, drop_last=False)
    return train, DataLoader(held_out, sampler=in_order, batch_size=None)


def _scaled(scaling: RegimeScaling, values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scale rows (R, C), some at a time: what is between need not fit in memory for all."""
    scaled = mapped_array(values.shape, np.float32)
    with torch.inference_mode():
        for begin in range(0, len(values), SCALED_AT_ONCE):
            part = slice(begin, begin + SCALED_AT_ONCE)
            scaled[part] = scaling(torch.tensor(values[part])[None])[0].numpy()
    return scaled
