"""Shift of a fleet's mean from its expected value, per channel, given all other channels.

A channel's shift is estimated by generalised least squares: the part of the fleet's mean in this channel that the
other channels do not explain (D. M. Hawkins, "Multivariate quality control based on regression-adjusted
variables", Technometrics 33(1), 61-75, 1991). Its standard error, and so its limit, follows from the variation between
assets and from their number.
"""

from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.drift.psi import rounded

Array = NDArray[np.float64]

RIDGE = 1e-3  # added to each variance, in squared standard deviations: channels may be sums of others
SMALLEST_SHIFT = 0.25  # standard deviations; a smaller one is no drift, however sure it is
EARLIER = 24  # last earlier readings of each asset, from which its change is measured; fewer are too few
RECENT = 24  # readings of each stretch of a development asset used in fitting
FOLDS = 5


class Means(NamedTuple):
    """Means of each of n assets over C channels, in standard deviations, and the readings behind each."""

    values: Array  # (n, C)
    counts: Array  # (n,)


class Estimate(NamedTuple):
    """Estimated shifts (C,) in standard deviations, and their standard errors (C,)."""

    shift: Array
    error: Array


@dataclass(frozen=True)
class ShiftLaw:
    """Distribution of single assets' means without drift: covariance `between` + `within` / readings."""

    mean: Array  # (C,)
    between: Array  # (C, C)
    within: Array  # (C, C)
    inflation: Array  # (C,) ratio of the variation of unseen assets to that of the covariance
    count: int  # independent means it was fitted on

    @classmethod
    def fit(cls, means: Means, within: Array, assets: NDArray[np.int64], count: int) -> Self:
        """Fit to means of assets, of which each may have several; assets (n,) from 0 is the asset of each mean.

        `count` of them are assumed independent. The inflation is cross-validated: the excess variation of each fold of
        the assets under the law fitted to the others.
        """
        law = cls._covariance(means, within, count)
        scores = []
        for fold in range(FOLDS):
            held = assets % FOLDS == fold
            other = cls._covariance(Means(means.values[~held], means.counts[~held]), within, count)
            for mean in np.flatnonzero(held):
                found = other.estimate(Means(means.values[mean : mean + 1], means.counts[mean : mean + 1]))
                scores.append(found.shift / found.error)
        inflation = np.maximum(1, np.sqrt(np.mean(np.square(scores), axis=0)))
        return replace(law, inflation=inflation)

    @classmethod
    def _covariance(cls, means: Means, within: Array, count: int) -> Self:
        expected = means.values.mean(axis=0)
        spread = means.values - expected
        between = spread.T @ spread / max(len(spread) - 1, 1) - within * np.mean(1 / means.counts)
        size, axes = np.linalg.eigh(between)  # a difference of two covariances may have negative eigenvalues
        between = (axes * np.maximum(size, 0)) @ axes.T
        return cls(expected, between, within, np.ones(len(expected)), count)

    def estimate(self, means: Means, removed: Array | float = 0.0) -> Estimate:
        """Estimate the shifts of a fleet, one channel at a time; `removed` (C,) are shifts known already.

        A channel without any value (NaN) has shift 0 with an infinite error, and explains nothing of the others.
        """
        away = means.values.mean(axis=0) - self.mean - removed
        known, count = ~np.isnan(away), len(means.counts)
        covariance = self.between * (1 / count + 1 / self.count) + self.within * np.mean(1 / means.counts) / count
        covariance += RIDGE / count * np.eye(len(away))
        precision = np.linalg.inv(covariance[np.ix_(known, known)])
        shift, error = np.zeros(len(away)), np.full(len(away), np.inf)
        own = np.diag(precision)
        shift[known], error[known] = precision @ away[known] / own, self.inflation[known] / np.sqrt(own)
        return Estimate(shift, error)

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        arrays = {name: rounded(getattr(self, name)) for name in ("mean", "between", "within", "inflation")}
        return {**arrays, "count": self.count}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        mean, between, within, inflation = (
            np.array(values[name], float) for name in ("mean", "between", "within", "inflation")
        )
        return cls(mean, between, within, inflation, values["count"])


def means_of(values: Array, assets: NDArray[np.int64]) -> Means:
    """Average readings (N, C) in standard deviations, NaN where missing, per asset; assets (N,) from 0.

    An asset without any value of a channel gets the mean of the others, NaN where none has a value.
    """
    known = ~np.isnan(values)
    count = int(assets.max()) + 1
    total, number = np.zeros((count, values.shape[1])), np.zeros((count, values.shape[1]))
    np.add.at(total, assets, np.where(known, values, 0))
    np.add.at(number, assets, known)
    means = np.where(number > 0, total / np.maximum(number, 1), np.nan)
    having = (number > 0).sum(axis=0)
    fleet = np.where(having > 0, np.where(number > 0, means, 0).sum(axis=0) / np.maximum(having, 1), np.nan)
    return Means(np.where(np.isnan(means), fleet, means), np.bincount(assets, minlength=count).astype(float))


def noise_of(values: Array, assets: NDArray[np.int64]) -> Array:
    """Estimate the noise covariance (C, C) of single readings (N, C) in time order, each asset's (N,) adjacent."""
    steps = np.diff(values, axis=0)[assets[1:] == assets[:-1]]
    covariance: Array = steps.T @ steps / (2 * max(len(steps), 1))
    return covariance


def development_changes(values: Array, assets: NDArray[np.int64]) -> tuple[Means, NDArray[np.int64]]:
    """Compute changes between stretches of readings (N, C) in order, assets (N,) together; and the asset of each.

    A change is the mean of RECENT readings less the mean of the EARLIER ones right before them.
    """
    changes, owners = [], []
    for asset in np.unique(assets):
        part = values[assets == asset]
        for start in range(EARLIER, len(part) - RECENT + 1, RECENT):
            changes.append(part[start : start + RECENT].mean(axis=0) - part[start - EARLIER : start].mean(axis=0))
            owners.append(asset)
    shape = (-1, values.shape[1])
    return Means(np.array(changes).reshape(shape), np.full(len(changes), float(RECENT))), np.array(owners, np.int64)


def development_levels(values: Array, assets: NDArray[np.int64]) -> tuple[Means, NDArray[np.int64]]:
    """Compute means of stretches, in the form of `development_changes`; an asset with few readings has one stretch."""
    levels, counts, owners = [], [], []
    for asset in np.unique(assets):
        part = values[assets == asset]
        for start in range(0, max(len(part) - RECENT, 0) + 1, RECENT):
            levels.append(part[start : start + RECENT].mean(axis=0))
            counts.append(float(min(RECENT, len(part))))
            owners.append(asset)
    return Means(np.array(levels), np.array(counts)), np.array(owners, np.int64)
