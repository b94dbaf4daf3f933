"""The trunks: what reads a window of scaled rows and says what there is to know about it, as one vector.

Shapes: B windows, T rows, C channels, P patches. Padding stands on the left, with mask 0; padded rows hold 0.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretwin.contract.twin import Twin

HALF_LIVES = (2.0, 6.0, 18.0)  # rows; how far back the weighted means of the statistics trunk look
STATISTICS = 3 + len(HALF_LIVES)  # mean, recent means, spread, slope; and a mean for each segment
SEGMENTS = 10
PATCH = 4  # rows that the convolution and attention trunks read as one step, for a quarter of the work or less
HEADS = 4  # of attention


@dataclass(frozen=True)
class Shape:
    """Everything that fixes a network's parameters, as plain values."""

    trunk: str
    width: int
    depth: int
    dropout: float
    jitter: float  # standard deviations by which a whole window's channels are shifted in training
    length: int  # T
    reach: int  # of the T rows, how many it looks back; what is older counts as padding
    segments: int  # equal parts of the window whose means the statistics hold
    has_rul: bool
    classes: tuple[int, ...]  # per fault axis


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


class Patches(nn.Module):
    """Each PATCH rows as one vector; the window is padded on the left to a whole number of them."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels + 1, shape.width, PATCH, stride=PATCH)
        self.padding = -shape.length % PATCH

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """x (B, T, C) scaled and 0 where padded, mask (B, T) -> (B, width, P), and (B, 1, P) whether it has any row."""
        rows = functional.pad(torch.cat([x, mask[:, :, None]], dim=2).transpose(1, 2), (self.padding, 0))
        return self.enter(rows), functional.max_pool1d(rows[:, -1:], PATCH)


class Convolution(nn.Module):
    """Patches of rows, then dilated convolutions, each looking twice as far back; last patch and mean are read out."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.patches = Patches(channels, shape)
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
        z, there = self.patches(x, mask)
        for block in self.blocks:
            z = z + block(z)
        mean = (z * there).sum(-1) / there.sum(-1)
        return functional.gelu(self.leave(torch.cat([z[:, :, -1], mean], dim=1)))


class AttentionBlock(nn.Module):
    """Every patch looks at every other (Vaswani et al., 2017), then a perceptron; normalised before each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.before_looking, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, z: Tensor, there: Tensor) -> Tensor:
        """z (B, P, width), there (B, 1, 1, P) True where a patch has rows -> (B, P, width)."""
        parts = self.ask(self.before_looking(z)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (3, B, H, P, w)
        seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=there)
        z = z + self.dropout(self.answer(seen.transpose(1, 2).flatten(2)))
        return z + cast(Tensor, self.dropout(self.think(self.before_thinking(z))))


class Attention(nn.Module):
    """Patches of rows that attend to each other; the last patch and the mean of all are read out."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.patches = Patches(channels, shape)
        count = -(-shape.length // PATCH)
        self.place = nn.Parameter(0.02 * torch.randn(count, shape.width))
        self.blocks = nn.ModuleList(AttentionBlock(shape) for _ in range(shape.depth))
        self.leave = nn.Linear(2 * shape.width, shape.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """x (B, T, C) scaled and 0 where padded, mask (B, T) -> (B, width)."""
        patches, there = self.patches(x, mask)
        z = patches.transpose(1, 2) + self.place  # (B, P, width)
        for block in self.blocks:
            z = block(z, there[:, :, None] > 0)
        mean = (z * there.transpose(1, 2)).sum(1) / there.sum(-1)
        return functional.gelu(self.leave(torch.cat([z[:, -1], mean], dim=1)))


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


TRUNKS = {"statistics": Statistics, "convolution": Convolution, "gru": Recurrent, "attention": Attention}


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
