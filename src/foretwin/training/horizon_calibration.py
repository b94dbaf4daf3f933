"""Fit the chances of a failure within each horizon to what members say of machines that they have not seen.

Isotonic regression (Barlow and others, 1972) of "failed within the horizon" on the predicted RUL: the same cuts in the
same order for each horizon, of which more have failed within a longer one, so that its fit lies nowhere lower. Cuts are
weighted by inverse probability of censoring, as training windows are: failures become known sooner than long lives.
"""

import numpy as np
from numpy.typing import NDArray
from sklearn.isotonic import IsotonicRegression

from foretwin.contract.twin import Twin
from foretwin.dataset.labels.censoring import draw_weights
from foretwin.dataset.splits import Development
from foretwin.predictor.failure_chances import FailureChances

POINTS = 101  # predicted RULs at which the curves are kept


def fit_failure_chances(
    predicted: NDArray[np.floating], development: Development, contract: Twin
) -> FailureChances | None:
    """Fit to the predicted RUL (N,) at the development cuts with a known RUL, fold by fold; None without a horizon.

    With A machines, the curves are mixed with the share of failures among all cuts by one part in A + 1: nothing is
    certain of the next one.
    """
    if contract.rul is None or not contract.rul.horizons:
        return None
    histories, cap = development.histories, contract.rul.cap
    cuts = np.concatenate([development.cuts[development.fold[development.cuts] == one] for one in development.folds])
    cuts = cuts[~np.isnan(histories.rul[cuts])]
    weights = draw_weights(histories, np.flatnonzero(~development.made), cuts, cap)
    machines = len(np.unique(development.asset[cuts]))
    grid, curves = np.linspace(0, cap, POINTS), []
    for horizon in contract.rul.horizons:
        failed = (histories.rul[cuts] <= horizon).astype(np.float64)
        fitted = IsotonicRegression(y_min=0, y_max=1, increasing=False, out_of_bounds="clip")
        curve = fitted.fit(predicted, failed, sample_weight=weights).predict(grid)
        curves.append((machines * curve + np.average(failed, weights=weights)) / (machines + 1))
    return FailureChances(contract.rul.horizons, tuple(grid.tolist()), tuple(tuple(one.tolist()) for one in curves))
