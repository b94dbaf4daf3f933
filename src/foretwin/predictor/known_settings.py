"""Which settings the machines of the training ran at: a window far from all of them is of a regime that nobody knows.

Settings are the channels that the contract's `regimes` name; what is kept of them is a few points that cover all others
(greedy k-centre: Gonzalez, Theoretical Computer Science 1985). A window is as far as the farthest of its rows from the
nearest point; the limit is what the share of false alarms leaves of windows of runs that had no part in the points
(conformal: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005).
"""

from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories
from foretwin.metrics import threshold

POINTS, PARTS = 100, 5
NEAR = 0.1  # spreads: the limit at least, since what is measured is rounded
MOST_ROWS, MOST_WINDOWS = 20_000, 4_000  # that points and limit are taken of
LOOKED_AT = 16  # rows of a window, the newest among them

Values = NDArray[np.float64]


@dataclass(frozen=True)
class KnownSettings:
    """P points over S settings, in units of their spread."""

    channels: tuple[int, ...]  # (S,) positions of the settings
    spread: Values  # (S,) standard deviation, in the channel's unit
    points: Values  # (P, S)
    limit: float

    @classmethod
    def fit(cls, histories: Histories, contract: Twin) -> Self | None:
        """Fit to all rows of the training machines; None where the contract names no regimes."""
        if contract.regimes is None:
            return None
        channels = tuple(contract.channel_names.index(name) for name in contract.regimes.channels)
        rows = np.unique(np.linspace(0, len(histories.first) - 1, MOST_ROWS).astype(np.int64))
        values = histories.values[rows][:, channels].astype(np.float64)
        level = np.abs(values).max(axis=0)
        spread = np.maximum(values.std(axis=0), np.maximum(1e-6 * level, 1e-9))
        scaled = values / spread
        part = deal_parts(histories.first)
        ends = histories.ends(contract.window.shortest)
        ends = ends[np.unique(np.linspace(0, len(ends) - 1, MOST_WINDOWS).astype(np.int64))]
        windows, away = histories.cut(ends, contract.window.length), np.zeros(len(ends))
        for one in range(PARTS):
            others, own = scaled[part[rows] != one], part[ends] == one
            known = cls(channels, spread, _cover(others if len(others) else scaled), 0.0)
            away[own] = known.distances(windows.x[own], windows.mask[own])
        return cls(channels, spread, _cover(scaled), max(threshold(away, alarm_share(contract)), NEAR))

    def distances(self, x: NDArray[np.float32], mask: NDArray[np.float32]) -> Values:
        """Return how far windows x (N, T, C) with rows where mask (N, T) is 1 are from the points (N,)."""
        every = slice(x.shape[1] - 1, None, -max(1, -(-x.shape[1] // LOOKED_AT)))
        rows = x[:, every][:, :, list(self.channels)].astype(np.float64) / self.spread  # (N, R, S)
        away = np.full(rows.shape[:2], np.inf)
        for point in self.points:
            away = np.minimum(away, np.square(rows - point).sum(axis=2))
        found: Values = np.sqrt(np.where(mask[:, every] > 0, away, 0.0)).max(axis=1, initial=0.0)
        return found

    def beyond(self, x: NDArray[np.float32], mask: NDArray[np.float32]) -> NDArray[np.bool_]:
        """Return which windows (N,) are of no known regime."""
        return np.asarray(self.distances(x, mask) > self.limit * (1 + 1e-6) + 1e-6)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        plain = {"spread": self.spread.tolist(), "points": self.points.tolist()}
        return {"channels": list(self.channels), **plain, "limit": self.limit}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        spread, points = (np.array(values[name], np.float64) for name in ("spread", "points"))
        return cls(tuple(values["channels"]), spread, points, values["limit"])


def deal_parts(first: NDArray[np.int64]) -> NDArray[np.int64]:
    """Deal rows (R,), each with the first row of its run, into PARTS by runs; those of few runs by time."""
    runs = np.unique(first, return_inverse=True)[1]
    count = int(runs.max()) + 1
    if count < PARTS:
        return np.arange(len(first)) * PARTS // len(first)
    return np.random.default_rng(0).permutation(count)[runs] % PARTS


def _cover(points: Values) -> Values:
    """Return at most POINTS of points (R, S) that are nowhere far from the others."""
    chosen = [0]
    away = np.square(points - points[0]).sum(axis=1)
    while len(chosen) < min(POINTS, len(points)) and away.max() > 0:
        chosen.append(int(away.argmax()))
        away = np.minimum(away, np.square(points - points[chosen[-1]]).sum(axis=1))
    return points[chosen]
