"""What is known of channels that may be missing: their value, whether it is there, and how long ago one was."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional


class LastSeen(nn.Module):
    """Inputs of a network for channels that may be missing; exported with it, so that a caller sends what it has."""

    def __init__(self, channels: Sequence[int]) -> None:
        """`channels` are the positions of the M channels that may be missing."""
        super().__init__()
        self.channels = list(channels)

    def forward(self, x: Tensor, mask: Tensor) -> Tensor:
        """Extend x (B, T, C), scaled and NaN where missing, mask (B, T) -> (B, T, C + 2 M), nowhere NaN.

        The first C are x, 0 where missing. Then, for each of the M channels, 1 where a row has it; and the time since
        the last row that has it, as a share of the window: 1 where no row of the window has had it yet.
        """
        lost = x[:, :, self.channels].isnan()
        known = mask[:, :, None] * torch.where(lost, 0.0, 1.0)  # (B, T, M)
        length = x.shape[1]
        place = torch.arange(1, length + 1, dtype=x.dtype, device=x.device)[None, :, None]
        last = known * place  # (B, T, M) the place, from 1, of the last row that has the channel; 0 before any
        step = 1
        while step < length:  # a running maximum, which ONNX has no operator for
            last = torch.maximum(last, functional.pad(last, (0, 0, step, 0))[:, :length])
            step *= 2
        age = torch.where(last > 0, (place - last) / length, 1.0)
        return torch.cat([torch.where(x.isnan(), 0.0, x), known, age], dim=2)
