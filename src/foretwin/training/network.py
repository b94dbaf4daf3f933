"""Network: regime scaling, encoder, one head for the RUL and one per fault axis, and their losses.

Shapes: B windows, T rows, C channels, F features. Inputs are physical units; padding is on the left, with mask 0.
"""

from dataclasses import asdict, dataclass
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretwin.training.encoders import ENCODERS, Shape
from foretwin.training.last_seen import LastSeen
from foretwin.training.one_hot import OneHot

BINS = 40  # of the predicted distribution of the RUL
BEYOND = 0.1  # extent of the bins below 0 and above the cap, as a share of it, so that a target's tails fit in
BLUR = 0.08  # standard deviation of a target's distribution, as a share of the cap
CLIP = 10.0  # standard deviations; limits the effect of outlying readings
Batch = dict[str, Tensor]  # of windows to train on, with what is known of their ends


@dataclass(frozen=True)
class Scaling:
    """Scaling statistics of the training assets, in physical units: R regimes over S settings, C channels."""

    settings: tuple[int, ...]  # (S,) indices of the channels that define the regimes; empty where there is one regime
    centres: tuple[tuple[float, ...], ...]  # (R, S)
    spread: tuple[float, ...]  # (S,) scale of each setting in the distance to a centre
    mean: tuple[tuple[float, ...], ...]  # (R, C)
    scale: tuple[tuple[float, ...], ...]  # (R, C)
    age: float  # typical length of a run, in the contract's time unit; 0 where age is not an input
    gappy: tuple[int, ...] = ()  # (M,) indices of the channels that may be missing
    categories: tuple[tuple[int, int], ...] = ()  # indices of the channels that hold words, and how many words


class Output(NamedTuple):
    """Output of the network: bins (B, BINS) logits of the RUL, (B, 0) without an RUL; logits one (B, K) per axis."""

    bins: Tensor
    logits: list[Tensor]

    @property
    def rul(self) -> Tensor:
        """Return the mean (B,) of the RUL's distribution, as a share of the cap."""
        edges = bin_edges(self.bins)
        return self.bins.softmax(1) @ ((edges[1:] + edges[:-1]) / 2)


class RegimeScaling(nn.Module):
    """Scaling of each channel by the statistics of its operating regime, fitted on training assets only.

    Row-wise, so scaling a long history and cutting a window gives the same numbers as scaling the window. Being part
    of the network, it is exported with it: a caller sends physical units and cannot scale differently from training.
    """

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.settings, self.gappy = list(scaling.settings), bool(scaling.gappy)
        for name in ("centres", "spread", "mean", "scale"):
            self.register_buffer(name, torch.tensor(getattr(scaling, name), dtype=torch.float32))
        self.has_words = bool(scaling.categories)
        if self.has_words:
            of_words = [position for position, _ in scaling.categories]
            self.register_buffer("is_word", torch.isin(torch.arange(len(scaling.mean[0])), torch.tensor(of_words)))

    def forward(self, x: Tensor) -> Tensor:
        """Scale x (B, T, C) in physical units -> (B, T, C) dimensionless; what is missing stays NaN, words as is."""
        scaled = torch.where(x.isnan(), x, self._scaled(x)) if self.gappy else self._scaled(x)
        return torch.where(cast(Tensor, self.is_word), x, scaled) if self.has_words else scaled

    def _scaled(self, x: Tensor) -> Tensor:
        mean, scale = cast(Tensor, self.mean), cast(Tensor, self.scale)
        if not self.settings:
            return ((x - mean[0]) / scale[0]).clamp(-CLIP, CLIP)
        centres, spread = cast(Tensor, self.centres), cast(Tensor, self.spread)
        distance = (x[:, :, None, self.settings] - centres) / spread  # (B, T, R, S)
        regime = distance.square().sum(-1).argmin(-1)  # (B, T)
        return ((x - mean[regime]) / scale[regime]).clamp(-CLIP, CLIP)


class Network(nn.Module):
    """Network of scaling, encoder and heads."""

    def __init__(self, scaling: Scaling, shape: Shape) -> None:
        super().__init__()
        channels = len(scaling.mean[0])
        self.scaling = RegimeScaling(scaling)
        self.last_seen = LastSeen(scaling.gappy) if scaling.gappy else None
        inputs = channels + 2 * len(scaling.gappy)
        self.one_hot = OneHot(scaling.categories, inputs) if scaling.categories else None
        self.trunk = ENCODERS[shape.trunk](self.one_hot.width if self.one_hot else inputs, shape)
        self.age, self.jitter = scaling.age, shape.jitter
        within = torch.arange(shape.length) >= shape.length - shape.reach
        self.register_buffer("within", within.float(), persistent=False)  # (T,)
        features = shape.width + (1 if self.age else 0)
        self.mix = nn.Sequential(nn.Linear(features, shape.width), nn.GELU(), nn.Dropout(shape.dropout))
        self.rul = nn.Linear(shape.width, BINS) if shape.has_rul else None
        self.faults = nn.ModuleList(nn.Linear(shape.width, count) for count in shape.classes)

    def forward(self, x: Tensor, mask: Tensor, age: Tensor) -> Output:
        """Predict from x (B, T, C) in physical units, mask (B, T), age (B,) in the contract's time unit."""
        return self.read(self.scaling(x), mask, age)

    def read(self, scaled: Tensor, mask: Tensor, age: Tensor) -> Output:
        """Predict from windows that are scaled already: training scales each row once and reads it many times.

        A channel that may be missing is NaN where it is, and comes with two more: is it there, and how old it is. One
        that holds words becomes a column for each.
        """
        if self.training and self.jitter:  # sensor bias differs between assets; avoid memorising assets
            bias = self.jitter * torch.randn_like(scaled[:, :1])
            scaled = scaled + bias if self.one_hot is None else self.one_hot.shifted(scaled, bias)
        mask = mask * cast(Tensor, self.within)
        if self.last_seen is not None:
            scaled = self.last_seen(scaled, mask)
        if self.one_hot is not None:
            scaled = self.one_hot(scaled)
        features = self.trunk(scaled * mask[:, :, None], mask)  # (B, width)
        if self.age:
            features = torch.cat([features, age[:, None] / self.age], dim=1)
        features = self.mix(features)
        bins = self.rul(features) if self.rul is not None else scaled.new_zeros(len(scaled), 0)
        return Output(bins, [head(features) for head in self.faults])


def bin_edges(like: Tensor) -> Tensor:
    """Return the edges (BINS + 1,) of the RUL's bins, as shares of the cap."""
    return torch.linspace(-BEYOND, 1 + BEYOND, BINS + 1, dtype=like.dtype, device=like.device)


def masked_distribution_loss(bins: Tensor, truth: Tensor) -> Tensor:
    """Compute the mean cross-entropy between predicted bins and the truth blurred to a normal distribution, in nats.

    bins (B, BINS) logits, truth (B,) shares of the cap, NaN = unknown; 0 where none is known. A network learns faster
    from it than from the squared error of the mean, and is more accurate late in life (Imani and White, Improving
    Regression Performance with Distributional Losses, ICML 2018).
    """
    known = ~truth.isnan()
    below = torch.special.ndtr((bin_edges(bins) - truth.nan_to_num()[:, None]) / BLUR)  # (B, BINS + 1)
    target = below.diff(dim=1) / (below[:, -1:] - below[:, :1])
    error = -(target * bins.log_softmax(1)).sum(1)
    return torch.where(known, error, 0.0).sum() / known.sum().clamp_min(1)


def masked_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Compute mean cross-entropy over known classes; logits (B, K), truth (B,), -1 = unknown; 0 if none is known."""
    total = functional.cross_entropy(logits, truth, ignore_index=-1, reduction="sum")
    return total / (truth >= 0).sum().clamp_min(1)


def plain(scaling: Scaling, shape: Shape) -> dict[str, Any]:
    """Convert both to plain values for a checkpoint."""
    return {"scaling": asdict(scaling), "shape": asdict(shape)}
