"""Population stability index (PSI) over frozen bins, and its distribution in fleets without drift.

PSI = sum over bins of (share - reference share) ln(share / reference share): N. Siddiqi, "Credit Risk Scorecards",
2006. The textbook's limits (.1, .25) hold for independent values. Readings of one machine are not: twenty machines
that are watched for a day differ from the fleet by more than that without any drift. So the limit follows from the
PSI of fleets drawn from the development assets.
"""

from dataclasses import dataclass
from statistics import NormalDist
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

BINS = 10
SMALLEST_LIMIT = 0.1  # the textbook's threshold for any change; a lower limit is not used, however large the fleet
DRAWS = 200  # clean fleets drawn for each size
FEW, MANY = 5, 25  # readings of each asset in them
ABSENT = -1  # the bin of a missing value


@dataclass(frozen=True)
class Bins:
    """Frozen bins: B bins of each of C columns in each of G groups of rows."""

    edges: Array  # (G, C, B - 1)
    shares: Array  # (G, C, B) of the reference's values

    @classmethod
    def fit(cls, values: Array, groups: NDArray[np.int64], count: int) -> Self:
        """Fit deciles of values (N, C) in each group (N,), 0 to `count` - 1; an empty group takes those of all rows."""
        quantiles = np.arange(1, BINS) / BINS
        parts = [values[groups == group] if (groups == group).any() else values for group in range(count)]
        return cls.between(np.stack([np.quantile(part, quantiles, axis=0).T for part in parts]), parts)

    @classmethod
    def between(cls, edges: Array, parts: list[Array]) -> Self:
        """Build bins from edges (G, C, B - 1) and the shares of each group's values (N, C)."""
        bins = cls(edges, np.empty((*edges.shape[:2], edges.shape[2] + 1)))
        for group, part in enumerate(parts):
            bins.shares[group] = bins._shares(bins.place(part, np.full(len(part), group)))
        return bins

    def place(self, values: Array, groups: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the bin (N, C) of each of the values (N, C); ABSENT where it is NaN."""
        placed: NDArray[np.int64] = (values[:, :, None] > self.edges[groups]).sum(axis=2)
        return np.where(np.isnan(values), ABSENT, placed)

    def psi(self, placed: NDArray[np.int64], groups: NDArray[np.int64]) -> Array:
        """Compute PSI (C,) of placed rows (N, C), 0 without any; each group weighs as it does in the rows."""
        if len(groups) == 0:
            return np.zeros(placed.shape[1])
        weight = np.bincount(groups, minlength=len(self.shares)) / len(groups)
        expected = np.einsum("g,gcb->cb", weight, self.shares)
        shares = self._shares(placed)
        psi: Array = ((shares - expected) * np.log(shares / expected)).sum(axis=1)
        return np.where((placed != ABSENT).any(axis=0), psi, 0)

    def _shares(self, placed: NDArray[np.int64]) -> Array:
        """Compute shares (C, B) from bins (N, C), with half a pseudo-count in each bin so that none is empty."""
        count = self.shares.shape[2]
        values = np.stack([(placed == number).sum(axis=0) for number in range(count)], axis=1) + 0.5
        shares: Array = values / values.sum(axis=1, keepdims=True)
        return shares

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return {"edges": rounded(self.edges), "shares": rounded(self.shares)}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        return cls(np.array(values["edges"], float), np.array(values["shares"], float))


@dataclass(frozen=True)
class CleanPsi:
    """Distribution of the PSI of C columns in clean fleets of n assets with t readings each.

    Its mean is (asset + reading / t) (1 / n + 1 / assets), since neither fleet nor reference is the whole population;
    relative to that mean PSI is distributed as chi-squared with `freedom` degrees (Satterthwaite 1946).
    """

    asset: Array  # (C,)
    reading: Array  # (C,)
    freedom: Array  # (C,)
    assets: int  # of the reference

    @classmethod
    def fit(
        cls,
        bins: Bins,
        placed: NDArray[np.int64],
        groups: NDArray[np.int64],
        assets: NDArray[np.int64],
        generator: np.random.Generator,
    ) -> Self:
        """Fit to fleets drawn without replacement from the reference's own rows; assets (N,) from 0, rows in order."""
        rows_of = [np.flatnonzero(assets == asset) for asset in range(int(assets.max()) + 1)]
        size = max(1, min(20, len(rows_of) // 2))
        drawn = {count: _drawn(bins, placed, groups, rows_of, (size, count), generator) for count in (FEW, MANY)}
        part = 1 / size - 1 / len(rows_of) if len(rows_of) > 1 else 1.0  # finite-population correction
        few, many = (drawn[count].mean(axis=0) / part for count in (FEW, MANY))
        reading = np.maximum(few - many, 0) / (1 / FEW - 1 / MANY)
        mean, spread = drawn[MANY].mean(axis=0), drawn[MANY].var(axis=0)
        freedom = np.clip(2 * mean**2 / np.maximum(spread, 1e-12), 1, 2 * BINS)
        return cls(np.maximum(many - reading / MANY, 0), reading, freedom, len(rows_of))

    def limit(self, assets: int, readings: float, chance: float) -> Array:
        """Return the PSI (C,) that a clean fleet exceeds with this probability; `readings` is per asset."""
        mean = (self.asset + self.reading / readings) * (1 / assets + 1 / self.assets)
        normal, width = NormalDist().inv_cdf(1 - chance), 2 / (9 * self.freedom)
        quantile = (1 - width + normal * np.sqrt(width)) ** 3  # of chi-squared by its mean: Wilson and Hilferty 1931
        return np.maximum(mean * quantile, SMALLEST_LIMIT)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        columns = {name: rounded(getattr(self, name)) for name in ("asset", "reading", "freedom")}
        return {**columns, "assets": self.assets}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        asset, reading, freedom = (np.array(values[name], float) for name in ("asset", "reading", "freedom"))
        return cls(asset, reading, freedom, values["assets"])


def rounded(values: Array) -> Any:
    """Convert to nested lists, rounded to six significant digits."""
    return np.array([float(f"{value:.6g}") for value in values.ravel()]).reshape(values.shape).tolist()


def _drawn(
    bins: Bins,
    placed: NDArray[np.int64],
    groups: NDArray[np.int64],
    rows_of: list[NDArray[np.int64]],
    size: tuple[int, int],
    generator: np.random.Generator,
) -> Array:
    """Compute PSI (DRAWS, C) of random fleets of size[0] assets with size[1] consecutive readings each."""
    found = []
    for _ in range(DRAWS):
        rows = []
        for asset in generator.choice(len(rows_of), size[0], replace=False):
            start = generator.integers(max(1, len(rows_of[asset]) - size[1] + 1))
            rows.append(rows_of[asset][start : start + size[1]])
        chosen = np.concatenate(rows)
        found.append(bins.psi(placed[chosen], groups[chosen]))
    return np.stack(found)
