"""Figures of chances of a failure, beside those that the Kaplan-Meier estimate gives of the age alone.

Cuts whose label is known are weighted by inverse probability of censoring (Graf and others, 1999; Uno and others,
2011): by one over the chance, from the development runs, that a run of this age is followed until its failure or for
the cap.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.labels.censoring import FollowUp
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import Histories, last_rows
from foretwin.evaluation.censored_lives import KaplanMeier
from foretwin.predictor.failure_chances import failure_column, horizon_name

MOST_CUTS = 2000  # compared with each other; more are thinned out evenly

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class JudgedChances:
    """N cuts with a known label, of development or held-out runs."""

    left: Floats  # (N,) remaining life, infinite where it is the cap or more
    age: Floats  # (N,)
    weights: Floats  # (N,)


def failure_figures(
    contract: Twin, development: Development, test_rows: pd.DataFrame, scores: pd.DataFrame
) -> dict[str, Any]:
    """Return Brier scores by horizon, integrated over them, and concordance, of the scores and of Kaplan-Meier.

    `test_rows` are rows of `truncate`, `scores` what a bundle says of them. Empty where the contract names no horizon.
    """
    if contract.rul is None or not contract.rul.horizons:
        return {}
    histories = Histories.from_rows(test_rows, contract)
    ends = last_rows(test_rows)
    known = ~np.isnan(histories.rul[ends])
    horizons, cap, followed = contract.rul.horizons, contract.rul.cap, development.histories
    rows = np.flatnonzero(~development.made)
    ends = ends[known]
    age, rul, follow_up = histories.time[ends], histories.rul[ends], FollowUp.of(followed, rows)
    weights = np.ones(len(ends)) if follow_up is None else follow_up.weights(age, rul, cap)
    judged = JudgedChances(np.where(rul < cap, rul, np.inf).astype(np.float64), age, weights)
    said = np.stack([scores[failure_column(one)].to_numpy(np.float64)[known] for one in horizons])
    last = np.append(np.flatnonzero(np.diff(followed.first[rows])), len(rows) - 1)
    failed = np.isfinite(followed.rul[rows[last]])  # some of them only after their last row
    after = np.where(failed, followed.rul[rows[last]], 0)
    floor = KaplanMeier.of(followed.time[rows[last]] + after, failed)
    going = np.maximum(floor.survives(age), np.finfo(np.float64).tiny)
    by_age = np.stack([1 - floor.survives(age + one) / going for one in horizons])
    return {
        **_figures(judged, said, scores["rul"].to_numpy(np.float64)[known], horizons),
        "cuts": int(known.sum()),
        "floors": {"kaplan_meier": _figures(judged, by_age, floor.mean_left(age, cap), horizons)},
    }


def _figures(judged: JudgedChances, said: Floats, rul: Floats, horizons: tuple[float, ...]) -> dict[str, Any]:
    """Return the figures of chances (H, N) and predicted RULs (N,)."""
    pairs = zip(said, horizons, strict=True)
    scores = [brier_score(one, judged.left <= horizon, judged.weights) for one, horizon in pairs]
    return {
        "brier": dict(zip(map(horizon_name, horizons), scores, strict=True)),
        "integrated_brier": integrated_brier(scores, horizons),
        "concordance": concordance(rul, judged.left, judged.weights),
    }


def brier_score(chances: Floats, failed: NDArray[np.bool_], weights: Floats) -> float:
    """Compute the weighted mean squared distance between chances (N,) and what happened (N,); 0 is best."""
    return float(np.average((chances - failed) ** 2, weights=weights)) if len(chances) else float("nan")


def integrated_brier(scores: list[float], horizons: tuple[float, ...]) -> float:
    """Compute the mean of Brier scores over the time up to the last horizon, straight between horizons, 0 at 0."""
    points = [(0.0, 0.0), *zip(horizons, scores, strict=True)]
    area = sum((two - one) * (first + second) / 2 for (one, first), (two, second) in pairwise(points))
    return float(area / horizons[-1])


def concordance(rul: Floats, left: Floats, weights: Floats) -> float:
    """Compute the weighted share of pairs whose predicted RULs (N,) are in the order of the lives (N,); ties are half.

    NaN where no two lives differ.
    """
    every = slice(None, None, max(1, -(-len(rul) // MOST_CUTS)))
    rul, left, weights = rul[every], left[every], weights[every]
    pairs = (left[:, None] < left[None, :]) * weights[:, None] * weights[None, :]
    right = (rul[:, None] < rul[None, :]) + 0.5 * (rul[:, None] == rul[None, :])
    return float((pairs * right).sum() / pairs.sum()) if pairs.any() else float("nan")
