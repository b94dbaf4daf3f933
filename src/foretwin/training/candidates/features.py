"""Features of windows for the candidates that are no networks, computed by the graph that is exported.

A tree's answer jumps where a feature crosses a threshold, so that a difference in the seventh digit, between libraries
or sizes of a batch, is a visible one in the answer. What is summed over rows is summed in double precision and rounded
to single at the end: what differs in the sixteenth digit is then the same number. And trees learn from what it says.
"""

from typing import cast

import numpy as np
import onnxruntime as ort
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories
from foretwin.training.candidates.nodes import open_session
from foretwin.training.encoders import HALF_LIVES, WindowStatistics, segments_of
from foretwin.training.last_seen import LastSeen
from foretwin.training.network import RegimeScaling, Scaling
from foretwin.training.one_hot import OneHot
from foretwin.training.onnx import export_graph
from foretwin.training.scaling import informative_inputs

AT_ONCE = 4_000  # windows; more would only take memory


class WindowFeatures(nn.Module):
    """Features of a window: the statistics of `WindowStatistics`, extremes where it is a whole cycle, and the age."""

    def __init__(self, scaling: Scaling, contract: Twin, reach: int) -> None:
        """Scale by `scaling`; look back `reach` rows. Channels that never changed are left out.

        A channel that may be missing counts as three, as for the network: with presence and age; one that holds
        words as many as there are words.
        """
        super().__init__()
        length = contract.window.length
        self.segments, self.aged = segments_of(contract), contract.clock.counts_from_start
        self.scaling = RegimeScaling(scaling)
        self.statistics = WindowStatistics(length, self.segments).double()
        self.last_seen = LastSeen(scaling.gappy) if scaling.gappy else None
        inputs = len(scaling.scale[0]) + 2 * len(scaling.gappy)
        self.one_hot = OneHot(scaling.categories, inputs) if scaling.categories else None
        moving = informative_inputs(scaling)
        self.register_buffer("channels", torch.from_numpy(moving))
        self.smooth = self._smooth(len(moving))
        self.register_buffer("within", (torch.arange(length) >= length - reach).float())  # (T,)

    def forward(self, x: Tensor, mask: Tensor, age: Tensor) -> Tensor:
        """Compute the features (B, F) of x (B, T, C) in physical units, mask (B, T), age (B,)."""
        return self.read(self.scaling(x), mask, age)

    def read(self, scaled: Tensor, mask: Tensor, age: Tensor) -> Tensor:
        """Compute the features of windows that are scaled already: of single numbers, in which no order matters."""
        seen = mask * cast(Tensor, self.within)
        scaled = scaled if self.last_seen is None else self.last_seen(scaled, seen)
        scaled = scaled if self.one_hot is None else self.one_hot(scaled)
        chosen = (scaled * seen[:, :, None])[:, :, cast(Tensor, self.channels)].double()
        parts = [moments(self.statistics, chosen, seen.double())]
        if self.segments:
            parts += [chosen.amin(dim=1), chosen.amax(dim=1)]
        if self.aged:
            parts.append(age.double()[:, None])
        return torch.cat(parts, dim=1).float()

    def _smooth(self, count: int) -> NDArray[np.int64]:
        """Return the columns with level, slope, share of rows or age of `count` channels: no spread, no extremes."""
        levels = (1 + len(HALF_LIVES) + self.segments) * count
        slopes = levels + count  # after the spread, and before the share of rows
        last = slopes + count + 1 + (2 * count if self.segments else 0)
        return np.array([*range(levels), *range(slopes, slopes + count + 1), *([last] if self.aged else [])])


def moments(statistics: WindowStatistics, x: Tensor, mask: Tensor) -> Tensor:
    """Compute the statistics (B, ...) of x (B, T, C) in fewer steps than they do, which double precision affords."""
    weights = cast(Tensor, statistics.weights)[None] * mask[:, None]  # (B, K, T)
    weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-6)
    position = cast(Tensor, statistics.position) * mask
    position = (position - (weights[:, 0] * position).sum(-1, keepdim=True)) * mask  # (B, T), with a sum of 0
    sums = torch.cat([weights, position[:, None]], dim=1) @ x  # (B, K + 1, C)
    means, lean = sums[:, :-1], sums[:, -1]
    mean = means[:, 0]
    spread = ((weights[:, :1] @ (x * x))[:, 0] - mean * mean).clamp_min(1e-8).sqrt()
    slope = lean / (position.square().sum(-1)[:, None] + 1e-2)
    return torch.cat([means.flatten(1), spread, slope, mask.mean(dim=1, keepdim=True)], dim=1)


class FeatureSession:
    """The exported graph of features, by which candidates are trained."""

    def __init__(self, module: nn.Module, contract: Twin) -> None:
        self.length = contract.window.length
        example = (torch.zeros(2, self.length, len(contract.channel_names)), torch.ones(2, self.length), torch.zeros(2))
        self.session: ort.InferenceSession = open_session(export_graph(module, example, ["features"]))
        self.inputs = [node.name for node in self.session.get_inputs()]

    def at(self, histories: Histories, ends: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute the features (N, F) of the windows that end at the rows `ends` (N,)."""
        found = []
        for part in np.array_split(ends, max(1, -(-len(ends) // AT_ONCE))):
            windows = histories.cut(part, self.length)
            found.append(self.session.run(None, {name: getattr(windows, name) for name in self.inputs})[0])
        return np.concatenate(found)
