"""Conformal RUL intervals, from the residuals of members on their held-out assets.

The residuals of held-out assets at random cuts are grouped by predicted RUL, since predictions are more accurate near
the end of life. Each group keeps the two residual quantiles that leave (1 - level) / 2
on either side, with the finite-sample correction of split-conformal prediction (Vovk et al., Algorithmic Learning
in a Random World, 2005; Lei et al., JASA 113, 2018). Between the groups' centres the offsets are interpolated.

Several cuts of one asset are not independent, so the guarantee holds approximately, for many assets; the coverage on
test assets is measured and reported.
"""

from dataclasses import asdict, dataclass
from functools import cached_property
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

SMALLEST_GROUP = 60  # residuals; below this a 5 % quantile is a guess
MOST_GROUPS = 8


@dataclass(frozen=True)
class RulIntervals:
    """Offsets from a predicted RUL to its interval, in the contract's time unit."""

    level: float
    centres: tuple[float, ...]  # predicted RUL at the groups' medians, increasing
    below: tuple[float, ...]  # distance from the prediction to the lower end, at each centre
    above: tuple[float, ...]

    @classmethod
    def fit(cls, predicted: NDArray[np.floating], truth: NDArray[np.floating], level: float) -> Self:
        """Fit to predicted and true RUL, (N,) in the contract's time unit, truth capped as in training; N > 0."""
        order = np.argsort(predicted, kind="stable")
        count = int(np.clip(len(order) // SMALLEST_GROUP, 1, MOST_GROUPS))
        groups: dict[float, list[NDArray[np.int64]]] = {}
        for group in np.array_split(order, count):  # groups of predictions at the cap have the same centre
            groups.setdefault(float(np.median(predicted[group])), []).append(group)
        residuals = [truth[part] - predicted[part] for part in map(np.concatenate, groups.values())]
        below = tuple(_conformal_quantile(-residual, level) for residual in residuals)
        above = tuple(_conformal_quantile(residual, level) for residual in residuals)
        return cls(level, tuple(groups), below, above)

    def interval(self, rul: NDArray[np.floating], cap: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Return the interval ends (N,) of predicted RULs (N,), within 0 and `cap`; `cap` means "that or more"."""
        centres, below, above = self._offsets
        low = np.minimum(rul - np.interp(rul, centres, below), rul)
        high = np.maximum(rul + np.interp(rul, centres, above), rul)
        return np.minimum(np.maximum(low, 0), cap), np.minimum(np.maximum(high, 0), cap)

    @cached_property
    def _offsets(self) -> tuple[NDArray[np.float64], ...]:
        """Return `centres`, `below` and `above` as arrays."""
        return tuple(np.array(values, np.float64) for values in (self.centres, self.below, self.above))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        return cls(values["level"], *(tuple(values[name]) for name in ("centres", "below", "above")))


def _conformal_quantile(residual: NDArray[np.floating], level: float) -> float:
    """Return the value that (1 + level) / 2 of future residuals do not exceed, from (N,) past ones."""
    count = len(residual)
    rank = int(np.ceil((count + 1) * (1 + level) / 2))
    return float(np.sort(residual)[min(rank, count) - 1])
