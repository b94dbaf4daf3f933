"""The network, top to bottom: regime scaling, a trunk that reads the window, one head per question.

Shapes: B windows, T rows, C channels, F features. Inputs are physical units; padding stands on the left, with mask 0.
"""

from dataclasses import asdict, dataclass
from itertools import pairwise
from typing import Any, NamedTuple, cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretwin.contract import Twin

TRUNKS = ("statistics", "convolution", "gru")
HALF_LIVES = (2.0, 6.0, 18.0)  # rows; how far back the weighted means of the statistics trunk look
STATISTICS = 3 + len(HALF_LIVES)  # mean, recent means, spread, slope; and a mean for each segment
SEGMENTS = 10
PATCH = 4  # rows that the convolution trunk reads as one step, for a quarter of the work
CLIP = 10.0  # standard deviations; a wild reading must not drown the rest


@dataclass(frozen=True)
class Scaling:
    """Statistics of the training assets, all in physical units: R regimes over S settings, C channels."""

    settings: tuple[int, ...]  # (S,) channel indices that tell the regimes apart; empty where there is one regime
    centres: tuple[tuple[float, ...], ...]  # (R, S)
    spread: tuple[float, ...]  # (S,) a setting's scale when the nearest centre is looked for
    mean: tuple[tuple[float, ...], ...]  # (R, C)
    scale: tuple[tuple[float, ...], ...]  # (R, C)
    age: float  # typical length of a run, in the contract's time unit; 0 where age is not an input


@dataclass(frozen=True)
class Shape:
    """Everything that fixes a network's parameters, as plain values."""

    trunk: str
    width: int
    depth: int
    dropout: float
    jitter: float  # standard deviations by which a whole window's channels are shifted in training
    length: int  # T
    segments: int  # equal parts of the window whose means the statistics hold
    has_rul: bool
    classes: tuple[int, ...]  # per fault axis


class Output(NamedTuple):
    """rul (B,) as a share of the cap; logits one (B, K) per axis."""

    rul: Tensor
    logits: list[Tensor]


class RegimeScaling(nn.Module):
    """Scale each channel by the statistics of its operating regime, fitted on training assets only.

    Row-wise, so scaling a long history and cutting a window gives the same numbers as scaling the window. Being part
    of the network, it is exported with it: a caller sends physical units and cannot scale differently from training.
    """

    def __init__(self, scaling: Scaling) -> None:
        super().__init__()
        self.settings = list(scaling.settings)
        for name in ("centres", "spread", "mean", "scale"):
            self.register_buffer(name, torch.tensor(getattr(scaling, name), dtype=torch.float32))

    def forward(self, x: Tensor) -> Tensor:
        """x (B, T, C) physical units -> (B, T, C) dimensionless."""
        mean, scale = cast(Tensor, self.mean), cast(Tensor, self.scale)
        if not self.settings:
            return ((x - mean[0]) / scale[0]).clamp(-CLIP, CLIP)
        centres, spread = cast(Tensor, self.centres), cast(Tensor, self.spread)
        distance = (x[:, :, None, self.settings] - centres) / spread  # (B, T, R, S)
        regime = distance.square().sum(-1).argmin(-1)  # (B, T)
        return ((x - mean[regime]) / scale[regime]).clamp(-CLIP, CLIP)


class WindowStatistics(nn.Module):
    """Level, recent levels, levels of the window's segments, spread and slope per channel; the share of rows there."""

    def __init__(self, length: int, segments: int) -> None:
        super().__init__()
        back = torch.arange(length - 1, -1, -1, dtype=torch.float32)  # rows before the last
        recent = [0.5 ** (back / half_life) for half_life in HALF_LIVES]
        part = torch.arange(length) * segments // length
        parts = [(part == i).float() for i in range(segments)]
        self.register_buffer("weights", torch.stack([torch.ones(length), *recent, *parts]))  # (K, T)
        self.register_buffer("position", -back / length)  # (T,)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C) scaled and 0 where padded, mask (B, T) -> (B, (STATISTICS + segments) * C + 1)."""
        weights = cast(Tensor, self.weights)[None] * mask[:, None]  # (B, K, T)
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-6)  # a segment may have no row
        means = weights @ x  # (B, K, C)
        mean = means[:, :1]
        deviation = (x - mean) * mask[:, :, None]
        spread = (weights[:, :1] @ deviation.square()).clamp_min(1e-8).sqrt()  # (B, 1, C)
        position = cast(Tensor, self.position) * mask  # (B, T)
        position = (position - (weights[:, 0] * position).sum(-1, keepdim=True)) * mask
        slope = position[:, None] @ deviation / (position.square().sum(-1)[:, None, None] + 1e-2)  # (B, 1, C)
        share = mask.mean(dim=1, keepdim=True)
        return torch.cat([means.flatten(1), spread.flatten(1), slope.flatten(1), share], dim=1)


class Statistics(nn.Module):
    """A perceptron over the window's statistics."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.statistics = WindowStatistics(shape.length, shape.segments)
        features = channels * (STATISTICS + shape.segments) + 1
        # Within a cycle a channel swings far more than its level differs between conditions: its statistics, scaled by
        # that swing, would be too small to learn from. Elsewhere they are of one size, and noise should stay small.
        first = nn.BatchNorm1d(features) if shape.segments else nn.Identity()
        self.layers = nn.Sequential(first, perceptron(features, shape))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C) scaled and 0 where padded, mask (B, T) -> (B, width)."""
        return cast(Tensor, self.layers(self.statistics(x, mask)))


class Convolution(nn.Module):
    """Patches of rows, then dilated convolutions, each looking twice as far back; last patch and mean are read out."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.enter = nn.Conv1d(channels + 1, width, PATCH, stride=PATCH)
        self.padding = -shape.length % PATCH  # on the left, to a whole number of patches
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.ConstantPad1d((2 * 2**level, 0), 0.0),
                nn.Conv1d(width, width, 3, dilation=2**level),
                nn.GELU(),
                nn.Dropout(shape.dropout),
            )
            for level in range(1 + shape.depth)
        )
        self.leave = nn.Linear(2 * width, width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C) scaled and 0 where padded, mask (B, T) -> (B, width)."""
        rows = functional.pad(torch.cat([x, mask[:, :, None]], dim=2).transpose(1, 2), (self.padding, 0))
        z = self.enter(rows)  # (B, width, P)
        for block in self.blocks:
            z = z + block(z)
        there = functional.max_pool1d(rows[:, -1:], PATCH)  # (B, 1, P): has the patch any row
        mean = (z * there).sum(-1) / there.sum(-1)
        return functional.gelu(self.leave(torch.cat([z[:, :, -1], mean], dim=1)))


class Recurrent(nn.Module):
    """A gated recurrent unit over the window; its last state is read out."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.gru = nn.GRU(channels + 1, shape.width, num_layers=shape.depth, batch_first=True)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C) scaled and 0 where padded, mask (B, T) -> (B, width)."""
        states, _ = self.gru(torch.cat([x, mask[:, :, None]], dim=2))  # (B, T, width)
        return cast(Tensor, self.dropout(states[:, -1]))


class Network(nn.Module):
    """Scaling, trunk and heads."""

    def __init__(self, scaling: Scaling, shape: Shape) -> None:
        super().__init__()
        channels = len(scaling.mean[0])
        self.scaling = RegimeScaling(scaling)
        kinds = {"statistics": Statistics, "convolution": Convolution, "gru": Recurrent}
        self.trunk = kinds[shape.trunk](channels, shape)
        self.age, self.jitter = scaling.age, shape.jitter
        features = shape.width + (1 if self.age else 0)
        self.mix = nn.Sequential(nn.Linear(features, shape.width), nn.GELU(), nn.Dropout(shape.dropout))
        self.rul = nn.Linear(shape.width, 1) if shape.has_rul else None
        self.faults = nn.ModuleList(nn.Linear(shape.width, count) for count in shape.classes)

    def forward(self, x: Tensor, mask: Tensor, age: Tensor) -> Output:
        """x (B, T, C) physical units, mask (B, T), age (B,) in the contract's time unit."""
        scaled = self.scaling(x)
        if self.training and self.jitter:  # sensors differ in bias from asset to asset; do not learn assets by heart
            scaled = scaled + self.jitter * torch.randn_like(scaled[:, :1])
        features = self.trunk(scaled * mask[:, :, None], mask)  # (B, width)
        if self.age:
            features = torch.cat([features, age[:, None] / self.age], dim=1)
        features = self.mix(features)
        rul = self.rul(features).squeeze(1) if self.rul is not None else x.new_zeros(len(x))
        return Output(rul, [head(features) for head in self.faults])


def segments_of(contract: Twin) -> int:
    """Segments tell something where a window is one whole cycle of the machine, so that its rows have fixed places."""
    return SEGMENTS if contract.window.shortest == contract.window.length else 0


def perceptron(features: int, shape: Shape) -> nn.Sequential:
    """`depth` layers of `width`."""
    sizes = [features, *[shape.width] * shape.depth]
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.GELU(), nn.Dropout(shape.dropout)]
    return nn.Sequential(*layers)


def masked_squared_error(predicted: Tensor, truth: Tensor) -> Tensor:
    """Mean squared error over the known truths; predicted and truth (B,), NaN = unknown; 0 where none is known."""
    known = ~truth.isnan()
    error = torch.where(known, predicted - truth.nan_to_num(), 0.0)
    return error.square().sum() / known.sum().clamp_min(1)


def masked_cross_entropy(logits: Tensor, truth: Tensor) -> Tensor:
    """Mean cross-entropy over the known classes; logits (B, K), truth (B,), -1 = unknown; 0 where none is known."""
    total = functional.cross_entropy(logits, truth, ignore_index=-1, reduction="sum")
    return total / (truth >= 0).sum().clamp_min(1)


def plain(scaling: Scaling, shape: Shape) -> dict[str, Any]:
    """Both as plain values, which a checkpoint may hold."""
    return {"scaling": asdict(scaling), "shape": asdict(shape)}
