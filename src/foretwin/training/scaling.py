"""Fit of the network's input scaling on the training assets alone."""

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories
from foretwin.training.network import Scaling

SMALLEST = 1e-6  # relative to the channel's level; a smaller spread is rounding, and the channel is uninformative
MOST_ROWS = 2_000_000  # that the scaling is fitted to
SILENT = 1e30  # the scale of such a channel: its scaled value is always 0


def fit_scaling(histories: Histories, rows: NDArray[np.int64], contract: Twin, seed: int) -> Scaling:
    """Fit mean and standard deviation of each channel in each regime over `rows`, positions into the histories.

    Of more than MOST_ROWS, that many are drawn: more would hardly change the result, and need not fit in memory.
    Regimes are clusters of the setting channels that the contract names. Settings themselves are scaled over all
    regimes, since within one they hardly vary and would not identify it.
    """
    age = float(histories.time[rows].max()) / 2 if contract.clock.counts_from_start else 0.0
    if len(rows) > MOST_ROWS:
        rows = np.sort(np.random.default_rng(seed).choice(rows, MOST_ROWS, replace=False))
    values = histories.values[rows].astype(np.float64)  # (R, C)
    settings = _positions(contract, contract.regimes.channels if contract.regimes else ())
    spread = _usable(values[:, settings].std(axis=0), values[:, settings])
    centres, regime = _cluster(values[:, settings] / spread, contract.regimes.count if contract.regimes else 1, seed)
    gappy = contract.may_be_missing
    overall_mean, overall_deviation = _moments(values, gappy)
    overall_scale = _usable(overall_deviation, values)
    mean, scale = [], []
    for k in range(len(centres)):
        part_mean, part_deviation = _moments(values[regime == k], gappy)
        mean.append(part_mean)
        scale.append(_usable(part_deviation, values))
    is_setting = np.array([channel.role == "setting" for channel in contract.channels.values()])
    mean = [np.where(is_setting, overall_mean, row) for row in mean]
    scale = [np.where(is_setting, overall_scale, row) for row in scale]
    for position, _ in contract.categories:  # words are left as they are
        for row_mean, row_scale in zip(mean, scale, strict=True):
            row_mean[position], row_scale[position] = 0.0, 1.0
    return Scaling(
        settings=tuple(int(i) for i in settings) if contract.regimes else (),
        centres=_plain(centres * spread),
        spread=tuple(float(value) for value in spread),
        mean=_plain(np.stack(mean)),
        scale=_plain(np.stack(scale)),
        age=age,
        gappy=gappy,
        categories=contract.categories,
    )


def informative_inputs(scaling: Scaling) -> NDArray[np.int64]:
    """Return the columns of a window's inputs but for channels that never changed.

    The inputs are the numbers of channels, presence and age of those that may be missing, and a column for each word.
    """
    varying = (np.array(scaling.scale) < SILENT).any(axis=0)
    numbers = np.delete(varying, [position for position, _ in scaling.categories])
    others = 2 * len(scaling.gappy) + sum(count for _, count in scaling.categories)
    return np.flatnonzero(np.concatenate([numbers, np.ones(others, bool)]))


def _positions(contract: Twin, names: tuple[str, ...]) -> NDArray[np.int64]:
    return np.array([contract.channel_names.index(name) for name in names], dtype=np.int64)


def _moments(values: NDArray[np.float64], gappy: tuple[int, ...]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return mean and standard deviation (C,) of values (R, C); of `gappy` channels where they are known, else 0."""
    mean, deviation = values.mean(axis=0), values.std(axis=0)
    for channel in gappy:
        known = values[~np.isnan(values[:, channel]), channel]
        mean[channel], deviation[channel] = (known.mean(), known.std()) if len(known) else (0.0, 0.0)
    return mean, deviation


def _usable(deviation: NDArray[np.float64], values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Replace deviations (C,) that are too small to divide by with SILENT."""
    level = np.nan_to_num(np.abs(values)).max(axis=0, initial=0.0)
    return np.where(deviation > SMALLEST * level, deviation, SILENT)


def _cluster(points: NDArray[np.float64], count: int, seed: int) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Cluster points (R, S) -> centres (count, S) and each point's cluster (R,)."""
    if count == 1:
        return np.zeros((1, points.shape[1])), np.zeros(len(points), np.int64)
    found = KMeans(min(count, len(np.unique(points, axis=0))), n_init=4, random_state=seed).fit(points)
    return found.cluster_centers_, found.labels_.astype(np.int64)


def _plain(matrix: NDArray[np.float64]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(value) for value in row) for row in matrix)
