"""Figures over seeds, over resampled assets and by band of RUL: mean, spread, ensemble, bootstrap intervals.

Pure functions of figures of `held_out` and of numpy arrays.
"""

from collections.abc import Callable, Sequence
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.metrics import macro_f1, rmse

DRAWS = 1000
RESAMPLES = 2000
RESAMPLING_SEED = 1
BANDS = 5  # of remaining life, as equal shares of the cap


def over_seeds(seeds: Sequence[dict[str, Any]], ensemble: dict[str, Any]) -> dict[str, Any]:
    """Summarise the results of `figures` or `figures_of` of each seed's model, and of the ensemble of all.

    rul.<clipped|unclipped>.<mean|sd|ensemble>.<figure>; rul.interval and fault.<axis> hold the means, with `sd` and
    `ensemble` inside. sd is that of the seeds (0 for a single one). NaN, an unknown figure, stays NaN. subsets.<name>
    holds all of this for each named subset of the data.
    """
    result: dict[str, Any] = {}
    for question, parts in ensemble.items():
        if question == "subsets":
            result[question] = {
                name: over_seeds([seed[question][name] for seed in seeds], part) for name, part in parts.items()
            }
            continue
        result[question] = {}
        for name, figures in parts.items():
            single = [figure for figure, value in figures.items() if not isinstance(value, dict)]  # bands: of all seeds
            mean = {figure: float(np.mean([seed[question][name][figure] for seed in seeds])) for figure in single}
            sd = {figure: float(np.std([seed[question][name][figure] for seed in seeds])) for figure in single}
            both = {"sd": sd, "ensemble": figures}
            is_error = question == "rul" and name != "interval"
            result[question][name] = {"mean": mean, **both} if is_error else {**mean, **both}
    return result


def bootstrap(
    measure: Callable[[NDArray[np.int64]], float], assets: NDArray[Any], seed: int, level: float = 0.95
) -> tuple[float, float]:
    """Bootstrap the central interval of a figure over assets: `measure` takes positions into the N predictions.

    assets (N,) is the asset of each prediction; whole assets are drawn, since predictions of one asset are correlated
    (Efron and Tibshirani, An Introduction to the Bootstrap, 1993).
    """
    generator = np.random.default_rng(seed)
    _, number = np.unique(assets.astype(str), return_inverse=True)
    order = np.argsort(number, kind="stable")
    members = np.split(order, np.cumsum(np.bincount(number))[:-1])
    values = []
    for _ in range(DRAWS):
        drawn = generator.integers(len(members), size=len(members))
        values.append(measure(np.concatenate([members[i] for i in drawn])))
    low, high = np.nanquantile(values, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def remaining_life_bands(truth: NDArray[np.float64], cap: float, count: int = BANDS) -> dict[str, NDArray[np.bool_]]:
    """Return masks (N,) by band name: `count` equal parts of the cap by true RUL, and those that reach the cap."""
    edges = [cap * part / count for part in range(count + 1)]
    bands = {band_name(low, high, 6): (truth >= low) & (truth < high) for low, high in pairwise(edges)}
    return {**bands, f"{_plain(cap, 6)} or more": truth >= cap}


def band_name(low: float, high: float, digits: int) -> str:
    """Return a band's name by its edges in significant digits."""
    return f"{_plain(low, digits)} to {_plain(high, digits)}"


def _plain(value: float, digits: int) -> str:
    """Return a number in significant digits without an exponent: MLflow takes no + in the name of a metric."""
    return f"{float(f'{value:.{digits}g}'):.15g}"


def by_band(
    truth_rul: NDArray[np.float64],
    cap: float,
    rul: NDArray[np.float64] | None,
    faults: dict[str, tuple[NDArray[np.int64], NDArray[np.int64], int]],
) -> dict[str, Any]:
    """Compute count, RMSE against truths capped at `cap`, and macro-F1 per axis (predicted, true, classes), by band.

    The last band also holds the predictions whose RUL is unknown.
    """
    bands = remaining_life_bands(truth_rul, cap)
    last, reached = bands.popitem()
    result = {}
    for name, inside in {**bands, f"{last}, or unknown": reached | np.isnan(truth_rul)}.items():
        figures: dict[str, Any] = {"count": int(inside.sum())}
        if rul is not None:
            figures["rmse"] = rmse(rul[inside], np.minimum(truth_rul[inside], cap))
        for axis, (predicted, true, classes) in faults.items():
            figures[axis] = macro_f1(predicted[inside], true[inside], classes)
        result[name] = figures
    return result


def majority(classes: list[NDArray[np.int64]]) -> NDArray[np.int64]:
    """Return the class (N,) that most seeds predict; the first among equals."""
    votes = np.stack(classes)  # (seeds, N)
    counts = np.stack([(votes == k).sum(axis=0) for k in range(int(votes.max()) + 1)])
    most: NDArray[np.int64] = counts.argmax(axis=0)
    return most


class Resamples:
    """Bootstrap draws of the assets behind N predictions, all resamples at once; `assets` (N,) names those of each.

    Whole assets are drawn, as in `bootstrap`. Every figure here is made of sums over predictions, so a resample is a
    row of counts: how often it draws each asset. All predictors are resampled by the same rows, which pairs them.
    """

    def __init__(self, assets: NDArray[np.str_]) -> None:
        names, self._asset = np.unique(assets, return_inverse=True)
        even = np.full(len(names), 1 / len(names))
        self._draws = (
            np.random.default_rng(RESAMPLING_SEED).multinomial(len(names), even, size=RESAMPLES).astype(np.float64)
        )

    def sums(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Sum values (N, M) over the predictions that each resample draws -> (RESAMPLES, M)."""
        of_asset = np.zeros((self._draws.shape[1], values.shape[1]))
        np.add.at(of_asset, self._asset, values)
        summed: NDArray[np.float64] = self._draws @ of_asset
        return summed

    def means(self, values: NDArray[np.floating]) -> NDArray[np.float64]:
        """Average values (N, M) that are not NaN per resample -> (RESAMPLES, M); NaN where a resample draws none."""
        known = ~np.isnan(values)
        with np.errstate(invalid="ignore"):
            return self.sums(np.where(known, values, 0)) / self.sums(known.astype(np.float64))

    def macro_f1(self, predicted: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> NDArray[np.float64]:
        """Compute `metrics.macro_f1` per resample, (RESAMPLES,); predicted and truth (N,), -1 = unknown in both."""
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
