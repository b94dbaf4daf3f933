"""Encoders of the network: map a window of scaled rows to one feature vector.

Shapes: B windows, T rows, C channels, P patches. Padding is on the left, with mask 0; padded rows hold 0.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import cast

import torch
from torch import Tensor, nn
from torch.nn import functional

from foretwin.contract.twin import Twin

HALF_LIVES = (2.0, 6.0, 18.0)  # rows; look-back of the weighted means of the statistics encoder
STATISTICS = 3 + len(HALF_LIVES)  # mean, recent means, spread, slope; and a mean for each segment
SEGMENTS = 10
PATCH = 4  # rows that the convolution and attention encoders read as one step, for a quarter of the work or less
HEADS = 4  # of attention


@dataclass(frozen=True)
class Shape:
    """Architecture of a network, as plain values."""

    trunk: str
    width: int
    depth: int
    dropout: float
    jitter: float  # standard deviations by which a whole window's channels are shifted in training
    length: int  # T
    reach: int  # look-back in rows, at most T; older rows count as padding
    segments: int  # equal parts of the window whose means the statistics hold
    has_rul: bool
    classes: tuple[int, ...]  # per fault axis


class WindowStatistics(nn.Module):
    """Statistics per channel: level, recent levels, levels of segments, spread, slope; and share of unpadded rows."""

    def __init__(self, length: int, segments: int) -> None:
        super().__init__()
        back = torch.arange(length - 1, -1, -1, dtype=torch.float32)  # rows before the last
        recent = [0.5 ** (back / half_life) for half_life in HALF_LIVES]
        part = torch.arange(length) * segments // length
        parts = [(part == i).float() for i in range(segments)]
        self.register_buffer("weights", torch.stack([torch.ones(length), *recent, *parts]))  # (K, T)
        self.register_buffer("position", -back / length)  # (T,)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode x (B, T, C), scaled and 0 where padded, mask (B, T) -> (B, (STATISTICS + segments) * C + 1)."""
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
    """Encoder: a perceptron over the window's statistics."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.statistics = WindowStatistics(shape.length, shape.segments)
        features = channels * (STATISTICS + shape.segments) + 1
        # Within a cycle a channel varies far more than its level differs between conditions: its statistics, scaled by
        # that variation, would be too small to learn from. Elsewhere they have one scale, and noise should stay small.
        first = nn.BatchNorm1d(features) if shape.segments else nn.Identity()
        self.layers = nn.Sequential(first, perceptron(features, shape))

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode x (B, T, C), scaled and 0 where padded, mask (B, T) -> (B, width)."""
        return cast(Tensor, self.layers(self.statistics(x, mask)))


class Patches(nn.Module):
    """Embedding of each PATCH rows as one vector; the window is padded on the left to a whole number of patches."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.enter = nn.Conv1d(channels + 1, shape.width, PATCH, stride=PATCH)
        self.padding = -shape.length % PATCH

    def forward(self, x: Tensor, mask: Tensor) -> tuple[Tensor, Tensor]:
        """Embed x (B, T, C), scaled and 0 where padded, mask (B, T) -> (B, width, P), (B, 1, P) 1 where it has rows."""
        rows = functional.pad(torch.cat([x, mask[:, :, None]], dim=2).transpose(1, 2), (self.padding, 0))
        return self.enter(rows), functional.max_pool1d(rows[:, -1:], PATCH)


class Convolution(nn.Module):
    """Encoder: patches of rows, then dilated convolutions of doubling look-back; reads out last patch and mean."""

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
        """Encode x (B, T, C), scaled and 0 where padded, mask (B, T) -> (B, width)."""
        z, present = self.patches(x, mask)
        for block in self.blocks:
            z = z + block(z)
        mean = (z * present).sum(-1) / present.sum(-1)
        return functional.gelu(self.leave(torch.cat([z[:, :, -1], mean], dim=1)))


class AttentionBlock(nn.Module):
    """Self-attention over patches (Vaswani et al., 2017), then a perceptron; layer norm before each."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        width = shape.width
        self.before_looking, self.before_thinking = nn.LayerNorm(width), nn.LayerNorm(width)
        self.ask, self.answer = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.think = nn.Sequential(nn.Linear(width, 2 * width), nn.GELU(), nn.Linear(2 * width, width))
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, z: Tensor, present: Tensor) -> Tensor:
        """Transform z (B, P, width), present (B, 1, 1, P) True where a patch has rows -> (B, P, width)."""
        parts = self.ask(self.before_looking(z)).unflatten(2, (3, HEADS, -1)).permute(2, 0, 3, 1, 4)  # (3, B, H, P, w)
        seen = functional.scaled_dot_product_attention(parts[0], parts[1], parts[2], attn_mask=present)
        z = z + self.dropout(self.answer(seen.transpose(1, 2).flatten(2)))
        return z + cast(Tensor, self.dropout(self.think(self.before_thinking(z))))


class Attention(nn.Module):
    """Encoder: patches of rows with self-attention; reads out last patch and mean."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.patches = Patches(channels, shape)
        count = -(-shape.length // PATCH)
        self.place = nn.Parameter(0.02 * torch.randn(count, shape.width))
        self.blocks = nn.ModuleList(AttentionBlock(shape) for _ in range(shape.depth))
        self.leave = nn.Linear(2 * shape.width, shape.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode x (B, T, C), scaled and 0 where padded, mask (B, T) -> (B, width)."""
        patches, present = self.patches(x, mask)
        z = patches.transpose(1, 2) + self.place  # (B, P, width)
        for block in self.blocks:
            z = block(z, present[:, :, None] > 0)
        mean = (z * present.transpose(1, 2)).sum(1) / present.sum(-1)
        return functional.gelu(self.leave(torch.cat([z[:, -1], mean], dim=1)))


class Recurrent(nn.Module):
    """Encoder: a gated recurrent unit over the window; reads out its last state."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.gru = nn.GRU(channels + 1, shape.width, num_layers=shape.depth, batch_first=True)
        self.dropout = nn.Dropout(shape.dropout)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode x (B, T, C), scaled and 0 where padded, mask (B, T) -> (B, width)."""
        states, _ = self.gru(torch.cat([x, mask[:, :, None]], dim=2))  # (B, T, width)
        return cast(Tensor, self.dropout(states[:, -1]))


class StatisticsConvolution(nn.Module):
    """Encoder: statistics and convolution side by side, mixed into one vector."""

    def __init__(self, channels: int, shape: Shape) -> None:
        super().__init__()
        self.statistics, self.convolution = Statistics(channels, shape), Convolution(channels, shape)
        self.leave = nn.Linear(2 * shape.width, shape.width)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Encode x (B, T, C), scaled and 0 where padded, mask (B, T) -> (B, width)."""
        both = torch.cat([self.statistics(x, mask), self.convolution(x, mask)], dim=1)
        return functional.gelu(self.leave(both))


TRUNKS = {"statistics": Statistics, "convolution": Convolution, "gru": Recurrent, "attention": Attention}
ENCODERS = {**TRUNKS, "statistics_convolution": StatisticsConvolution}  # the last one as a candidate of a blend alone


def segments_of(contract: Twin) -> int:
    """Return the number of segments; 0 unless a window is one whole cycle, where rows have fixed positions."""
    return SEGMENTS if contract.window.shortest == contract.window.length else 0


def perceptron(features: int, shape: Shape) -> nn.Sequential:
    """Build a perceptron with `depth` layers of `width`."""
    sizes = [features, *[shape.width] * shape.depth]
    layers: list[nn.Module] = []
    for inner, outer in pairwise(sizes):
        layers += [nn.Linear(inner, outer), nn.GELU(), nn.Dropout(shape.dropout)]
    return nn.Sequential(*layers)
