"""What a bundle remembers of the machines that it was trained on: each channel's range, and what healthy ones show.

The ranges tell a reading that the network has never seen the like of. The healthy levels are what an explanation puts
in the place of a channel that it hides.
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories


@dataclass(frozen=True)
class Regimes:
    """The operating regimes as `scaling.fit_scaling` found them: R centres over S setting channels."""

    settings: tuple[int, ...]  # (S,) channel indices that tell the regimes apart; empty where there is one regime
    centres: NDArray[np.float32]  # (R, S) physical units
    spread: NDArray[np.float32]  # (S,) a setting's scale when the nearest centre is looked for

    def nearest(self, values: NDArray[np.float32]) -> NDArray[np.int64]:
        """Readings (N, C) in physical units -> the regime (N,) of each row, as the network itself finds it."""
        distance = (values[:, None, list(self.settings)] - self.centres) / self.spread  # (N, R, S)
        nearest: NDArray[np.int64] = np.square(distance).sum(axis=2).argmin(axis=1)
        return nearest


@dataclass(frozen=True)
class Reference:
    """Ranges and healthy levels over C channels in the contract's order, in physical units."""

    ranges: NDArray[np.float32]  # (2, C) lowest and highest value on the training assets
    regimes: Regimes
    healthy: NDArray[np.float32]  # (R, P, C) mean level; P = the window's rows where it is one whole cycle, else 1
    age: float  # mean age of the healthy rows, in the contract's time unit

    @classmethod
    def fit(cls, histories: Histories, contract: Twin, regimes: Regimes) -> Self:
        """From all rows of the training assets, of which there is at least one.

        A level is the mean over the healthy rows of its regime, else over all rows of the regime, else over all rows.
        Where every run is one whole window, each row of the cycle has levels of its own.
        """
        values = histories.values.astype(np.float64)
        position = histories.rows_so_far() - 1
        cyclic = _is_cyclic(position, contract)
        count = contract.window.length if cyclic else 1
        group = regimes.nearest(histories.values) * count + (position if cyclic else 0)
        healthy = healthy_rows(histories, contract)
        levels = np.tile(values.mean(axis=0), (len(regimes.centres) * count, 1))  # (R * P, C)
        for chosen in (np.ones_like(healthy), healthy):
            total = np.zeros_like(levels)
            np.add.at(total, group[chosen], values[chosen])
            rows = np.bincount(group[chosen], minlength=len(levels))
            levels[rows > 0] = total[rows > 0] / rows[rows > 0, None]
        return cls(
            ranges=np.stack([histories.values.min(axis=0), histories.values.max(axis=0)]),
            regimes=regimes,
            healthy=levels.reshape(-1, count, values.shape[1]).astype(np.float32),
            age=float(histories.time[healthy if healthy.any() else slice(None)].mean()),
        )

    def healthy_readings(self, window: NDArray[np.float32]) -> NDArray[np.float32]:
        """Readings (T, C) of one window -> what a healthy machine shows (T, C) in the same regime, row by row."""
        position = np.arange(len(window)) % self.healthy.shape[1]
        readings: NDArray[np.float32] = self.healthy[self.regimes.nearest(window), position]
        return readings

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON."""
        return {
            "ranges": self.ranges.tolist(),
            "settings": list(self.regimes.settings),
            "centres": self.regimes.centres.tolist(),
            "spread": self.regimes.spread.tolist(),
            "healthy": self.healthy.tolist(),
            "age": self.age,
        }

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """The inverse of `to_dict`."""
        ranges, centres, spread, healthy = (
            np.array(values[name], np.float32) for name in ("ranges", "centres", "spread", "healthy")
        )
        return cls(ranges, Regimes(tuple(values["settings"]), centres, spread), healthy, values["age"])


def healthy_rows(histories: Histories, contract: Twin) -> NDArray[np.bool_]:
    """(R,) True where nothing is known to be wrong.

    No fault class but the healthy one is known, and the RUL is unknown or at least the cap. Where the twin has no RUL,
    all fault classes are known.
    """
    healthy = np.full(len(histories.rul), fill_value=True)
    if contract.rul:
        healthy &= np.isnan(histories.rul) | (histories.rul >= contract.rul.cap)
    ill = histories.faults > 0 if contract.rul else histories.faults != 0
    return healthy & ~ill.any(axis=1)


def _is_cyclic(position: NDArray[np.int64], contract: Twin) -> bool:
    """Whether a row has the same place in every window: each run is one window, which is never padded."""
    length = contract.window.length
    lengths = np.diff(np.append(np.flatnonzero(position == 0), len(position)))
    return contract.window.shortest == length and bool((lengths == length).all())
