"""Conformal RUL intervals: how far truth fell from prediction on assets that the predicting members never saw.

The residuals of held-out assets at random cuts are grouped by predicted RUL, since a machine near its end is
predicted more sharply than a new one. Each group keeps two residual quantiles that together leave out 1 - level,
with the finite-sample correction of split-conformal prediction (Vovk et al., Algorithmic Learning in a Random World,
2005; Lei et al., JASA 113, 2018). How much of it is left out on either side is chosen to make the interval short: at
the cap nothing can lie above, and an equal share for a side where nothing is ever missed would be wasted. Between the
groups' centres the offsets are interpolated.

Several cuts of one asset are not independent, so the guarantee holds as far as the assets are many; what the
intervals cover on test assets is measured and reported.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SMALLEST_GROUP = 60  # residuals; below this a 5 % quantile is a guess
MOST_GROUPS = 8
SIDES = (
    0.5,
    0.0,
    0.25,
    0.75,
    1.0,
)  # shares of 1 - level that may be left out below; few, so that chance decides little


@dataclass(frozen=True)
class Calibration:
    """Offsets from a predicted RUL to its interval, in the contract's time unit."""

    level: float
    centres: tuple[float, ...]  # predicted RUL at the groups' medians, increasing
    below: tuple[float, ...]  # how far the interval reaches below the prediction, at each centre
    above: tuple[float, ...]

    @classmethod
    def fit(
        cls, predicted: NDArray[np.floating], truth: NDArray[np.floating], level: float, cap: float = np.inf
    ) -> Self:
        """Both (N,) in the contract's time unit, truth capped at `cap` as in training; N of at least one."""
        order = np.argsort(predicted, kind="stable")
        count = int(np.clip(len(order) // SMALLEST_GROUP, 1, MOST_GROUPS))
        groups: dict[float, list[NDArray[np.int64]]] = {}
        for group in np.array_split(order, count):  # predictions that stand at the cap make groups of one centre
            groups.setdefault(float(np.median(predicted[group])), []).append(group)
        parts = [np.concatenate(part) for part in groups.values()]
        offsets = [_shortest(predicted[part], truth[part], level, cap) for part in parts]
        below, above = zip(*offsets, strict=True)
        return cls(level, tuple(groups), below, above)

    def interval(self, rul: NDArray[np.floating], cap: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """(N,) predicted RUL -> lower and upper ends (N,), within 0 and `cap`; `cap` means "that or more"."""
        low = rul - np.interp(rul, self.centres, self.below)
        high = rul + np.interp(rul, self.centres, self.above)
        return np.clip(np.minimum(low, rul), 0, cap), np.clip(np.maximum(high, rul), 0, cap)

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        return cls(values["level"], *(tuple(values[name]) for name in ("centres", "below", "above")))


def _shortest(
    predicted: NDArray[np.floating], truth: NDArray[np.floating], level: float, cap: float
) -> tuple[float, float]:
    """How far below and above the predictions (N,) of one group the interval that is shortest on average reaches."""
    residual = truth - predicted
    best, shortest = (0.0, 0.0), np.inf
    for side in SIDES:
        left_out = (1 - level) * side
        below = _conformal_quantile(-residual, 1 - left_out)
        above = _conformal_quantile(residual, level + left_out)
        low, high = np.minimum(predicted - below, predicted), np.maximum(predicted + above, predicted)
        width = float(np.mean(np.clip(high, 0, cap) - np.clip(low, 0, cap)))
        if width < shortest:
            best, shortest = (below, above), width
    return best


def _conformal_quantile(residual: NDArray[np.floating], share: float) -> float:
    """The value that `share` of future residuals stay under, from (N,) past ones."""
    count = len(residual)
    rank = int(np.ceil((count + 1) * share - 1e-9))
    return float(np.sort(residual)[min(rank, count) - 1])
