"""Figures of lives of which some are censored: the Kaplan-Meier estimate, the floor of every model of lives."""

from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class KaplanMeier:
    """Share of lives that are longer than some age (Kaplan and Meier, 1958)."""

    ages: Floats  # (K,) ages at which lives end, increasing
    shares: Floats  # (K,) of the lives that go on after each

    @classmethod
    def of(cls, ends: Floats, ended: NDArray[np.bool_]) -> Self:
        """Estimate from L lives: their last known age (L,), and whether they ended then; at one age ends come first."""
        ages, counts = np.unique(ends[ended], return_counts=True)
        at_risk = len(ends) - np.searchsorted(np.sort(ends), ages, side="left")
        return cls(ages, np.asarray(np.cumprod(1 - counts / at_risk), np.float64))

    def survives(self, age: Floats) -> Floats:
        """Return the share of lives that are longer than each age, of any shape."""
        return np.append(1.0, self.shares)[np.searchsorted(self.ages, age, side="right")]

    def mean_left(self, age: Floats, cap: float) -> Floats:
        """Return the mean remaining life (N,), up to the cap, of those that have reached each age (N,).

        The integral of the survival function over the cap's length, by which the last known share goes on.
        """
        steps = np.linspace(0, cap, 251)
        now = self.survives(age)
        curve = self.survives(age[:, None] + steps) / np.where(now > 0, now, 1)[:, None]
        return np.where(now > 0, np.trapezoid(curve, steps, axis=1), 0.0)
