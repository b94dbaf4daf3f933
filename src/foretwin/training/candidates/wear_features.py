"""Features of the wear that the simulated pump's readings show by its published equations, computed in the graph.

For each part, how much of the wear that ends a life has been used, by every row of the window: its statistics; straight
lines through it that forget older rows, which give the wear now, its rate, and the hours until nothing is left at that
rate; and of all parts the one that is worn most, and the soonest end. Nothing is learnt here, so training and serving,
and all folds, have the same. As in `features`, sums are of double precision and rounded at the end.
"""

from typing import cast

import torch
from torch import Tensor, nn

from foretwin.contract.twin import Twin
from foretwin.errors import TrainingError
from foretwin.physics.pump import PUBLISHED, SHOWN_BY, wear_allowances, worn_parts
from foretwin.physics.pump_prognosis import objection
from foretwin.training.candidates.features import moments
from foretwin.training.encoders import WindowStatistics

PHYSICS = "physics_ridge"  # the candidate that learns from these features
LINES = (10.0, 30.0)  # half-lives of the straight lines, rows
LEAST_SPREAD = 5.0  # rows^2 added to the variance of the rows' times: a line through few rows is flat
USED = (-1.0, 2.0)  # bounds of the share of wear that one row shows; beyond, the pump stood or a sensor was broken
LEAST_FRICTION = 1e-3  # of a new bearing's: sensors may show less heat than none
SLOWEST = 1e-3  # share of wear per hour; a part without visible wear is not used up in any time
MOST_LEFT = 200.0  # h
SOON = 10.0  # h, from where on the logarithm of the soonest end tells short times apart


def check_physics(contract: Twin) -> None:
    """Raise TrainingError where the physics of the contract's machines is not known."""
    reason = objection(contract)
    if reason:
        raise TrainingError(f"train.candidates: {PHYSICS}: {contract.name}: {reason}; or leave it out")


class WearFeatures(nn.Module):
    """Features of wear of a window of the simulated pump; nothing in it is fitted."""

    def __init__(self, contract: Twin) -> None:
        """TrainingError where the contract is not that of a pump whose physics is known."""
        super().__init__()
        check_physics(contract)
        self.channels = {name: contract.channel_names.index(name) for name in SHOWN_BY}
        self.aged = contract.clock.counts_from_start
        self.statistics = WindowStatistics(contract.window.length, 0).double()
        back = torch.arange(contract.window.length - 1, -1, -1, dtype=torch.float64)
        self.register_buffer("back", back)  # (T,) rows before the last
        self.register_buffer("fading", torch.stack([0.5 ** (back / half_life) for half_life in LINES]))  # (2, T)

    def forward(self, x: Tensor, mask: Tensor, age: Tensor) -> Tensor:
        """Compute the features (B, F), single precision, of x (B, T, C) in physical units, mask (B, T), age (B,)."""
        used = self._used(x)
        seen = mask.double() * (~used.sum(-1).isnan()).double()  # a row without one of the readings shows nothing
        used = torch.where(seen[:, :, None] > 0, used, torch.zeros_like(used))
        parts = [moments(self.statistics, used, seen)]
        for fading in cast(Tensor, self.fading):
            parts += self._line(used, seen * fading)
        if self.aged:
            parts.append(age.double()[:, None])
        return torch.cat(parts, dim=1).float()

    def _used(self, x: Tensor) -> Tensor:
        """Return the share of each part's allowance (B, T, 3) that each row shows as used: about 0 new, 1 at the end.

        Friction grows by a rate of its own size, so that its logarithm wears evenly, as the impeller's area does.
        """
        readings = {name: x[:, :, place].double() for name, place in self.channels.items()}
        readings["speed"] = readings["speed"].clamp_min(1)  # rpm: padding
        area, *frictions = worn_parts(readings)
        new = (PUBLISHED.new_thrust_friction, PUBLISHED.new_radial_friction)
        grown = [(one / of_new).clamp_min(LEAST_FRICTION).log() for one, of_new in zip(frictions, new, strict=True)]
        worn = torch.stack([PUBLISHED.new_area - area, *grown], dim=-1)
        return (worn / worn.new_tensor(wear_allowances())).clamp(*USED)

    def _line(self, used: Tensor, weights: Tensor) -> list[Tensor]:
        """Fit a line to `used` (B, T, 3) with weights (B, T); return what it tells, (B, 3) or (B, 1) each."""
        weights = weights / weights.sum(-1, keepdim=True).clamp_min(1e-6)
        ago = cast(Tensor, self.back) - (weights @ cast(Tensor, self.back))[:, None]  # (B, T)
        mean = (weights[:, None] @ used)[:, 0]
        spread = (weights * ago.square()).sum(-1, keepdim=True)
        rate = -((weights * ago)[:, None] @ used)[:, 0] / (spread + LEAST_SPREAD)  # (B, 3) per hour
        middle = weights @ cast(Tensor, self.back)
        now = mean + rate * middle[:, None]
        left = ((1 - now).clamp_min(0) / rate.clamp_min(SLOWEST)).clamp_max(MOST_LEFT)
        soonest = left.amin(dim=1, keepdim=True)
        return [now, now.amax(dim=1, keepdim=True), rate, left, soonest, (soonest / SOON).log1p()]
