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
