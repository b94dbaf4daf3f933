"""Cluster bootstrap of figures over assets, all resamples at once.

Whole assets are drawn, since predictions of one asset are correlated (Efron and Tibshirani, An Introduction to the
Bootstrap, 1993). Every figure here is made of sums over predictions, so a resample is a row of counts: how often it
draws each asset. All predictors are resampled by the same rows, which pairs them.
"""

import numpy as np
from numpy.typing import NDArray

COUNT = 2000
SEED = 1


class Resamples:
    """Bootstrap draws of the assets behind N predictions; `assets` (N,) names the asset of each prediction."""

    def __init__(self, assets: NDArray[np.str_]) -> None:
        names, self._asset = np.unique(assets, return_inverse=True)
        even = np.full(len(names), 1 / len(names))
        self._draws = np.random.default_rng(SEED).multinomial(len(names), even, size=COUNT).astype(np.float64)

    def sums(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum values (N, M) over the predictions that each resample draws -> (COUNT, M)."""
        of_asset = np.zeros((self._draws.shape[1], values.shape[1]))
        np.add.at(of_asset, self._asset, values)
        summed: NDArray[np.float64] = self._draws @ of_asset
        return summed

    def means(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Average values (N, M) that are not NaN per resample -> (COUNT, M); NaN where a resample draws none."""
        known = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            return self.sums(np.where(known, values, 0)) / self.sums(known.astype(np.float64))

    def macro_f1(self, predicted: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
        """Compute `metrics.macro_f1` per resample, (COUNT,); predicted and truth (N,), -1 = unknown in both."""
        known = truth >= 0
        cells = np.zeros((len(truth), classes * (classes + 1)))
        told = np.where(predicted[known] < 0, classes, predicted[known])  # the last column: no answer
        cells[np.flatnonzero(known), truth[known] * (classes + 1) + told] = 1
        confusion = self.sums(cells).reshape(-1, classes, classes + 1)
        hits = confusion[:, :, :classes].diagonal(axis1=1, axis2=2)
        total = confusion[:, :, :classes].sum(axis=1) + confusion.sum(axis=2)
        with np.errstate(invalid="ignore"):
            scores = np.where(total > 0, 2 * hits / total, 0).sum(axis=1)
            mean: NDArray[np.float64] = scores / (total > 0).sum(axis=1)
        return mean
