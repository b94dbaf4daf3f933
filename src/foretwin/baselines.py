"""What a network has to beat: the same windows, the same splits, the same metrics.

constant            the mean capped RUL and the most frequent class of the training windows
linear              ridge and logistic regression on the window's statistics and the age
gradient_boosting   histogram gradient boosting on the same

The statistics are those of the network's own statistics trunk, scaled within regimes by the same code.
"""

from collections.abc import Callable
from typing import Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import HistGradientBoostingClassifier, HistGradientBoostingRegressor
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foretwin.contract import Twin
from foretwin.network import RegimeScaling, WindowStatistics, segments_of
from foretwin.scaling import fit_scaling
from foretwin.splits import Development
from foretwin.windows import Windows

MOST_WINDOWS = 20_000  # drawn for a baseline; more changes nothing but the time


class Model(Protocol):
    """What scikit-learn's estimators share."""

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64]) -> object:
        """x (N, F), y (N,)."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, F) -> (N,)."""


class Constant:
    """The mean of the numbers, or the most frequent class, that it was fitted on."""

    def __init__(self, most_frequent: bool) -> None:
        self.most_frequent, self.value = most_frequent, 0.0

    def fit(self, _: NDArray[np.float32], y: NDArray[np.float64]) -> object:
        """y (N,)."""
        self.value = float(np.bincount(y.astype(np.int64)).argmax()) if self.most_frequent else float(y.mean())
        return self

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """(N, F) -> (N,)."""
        return np.full(len(x), self.value)


def models(seed: int) -> dict[str, tuple[Callable[[], Model], Callable[[], Model]]]:
    """name -> how to make its regressor, how to make its classifier."""
    return {
        "constant": (lambda: Constant(False), lambda: Constant(True)),
        "linear": (
            lambda: make_pipeline(StandardScaler(), Ridge(alpha=1.0)),
            lambda: make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, tol=1e-2)),
        ),
        "gradient_boosting": (
            lambda: HistGradientBoostingRegressor(random_state=seed),
            lambda: HistGradientBoostingClassifier(random_state=seed, class_weight="balanced"),
        ),
    }


class Features:
    """Windows -> the table that the baselines see."""

    def __init__(self, development: Development, contract: Twin, seed: int) -> None:
        """Scaling is fitted on the development assets."""
        rows = np.arange(len(development.histories.values))
        scaling = fit_scaling(development.histories, rows, contract, seed)
        self.scaling = RegimeScaling(scaling)
        self.statistics = WindowStatistics(contract.window.length, segments_of(contract))
        self.aged = contract.clock.counts_from_start

    def __call__(self, windows: Windows) -> NDArray[np.float32]:
        """N windows -> (N, F) dimensionless, the last column the age where the contract allows it."""
        x, mask = torch.from_numpy(windows.x), torch.from_numpy(windows.mask)
        with torch.inference_mode():
            table: NDArray[np.float32] = self.statistics(self.scaling(x) * mask[:, :, None], mask).numpy()
        return np.column_stack([table, windows.age]) if self.aged else table


def fit_and_predict(
    development: Development, test: Windows, contract: Twin, seed: int
) -> dict[str, tuple[NDArray[np.float64] | None, list[NDArray[np.int64]]]]:
    """name -> predicted RUL (N,) within 0 and the cap, None without an RUL; predicted class (N,) per axis.

    Fitted on windows of all development assets.
    """
    generator = np.random.default_rng(seed)
    count = min(MOST_WINDOWS, len(development.ends))
    chosen = np.sort(generator.choice(development.ends, count, replace=False))
    train = development.histories.cut(chosen, contract.window.length)
    features = Features(development, contract, seed)
    x, x_test = features(train), features(test)
    result = {}
    for name, (regressor, classifier) in models(seed).items():
        rul = None
        if contract.rul:
            y = np.minimum(train.rul.astype(np.float64), contract.rul.cap)
            rul = _predict(regressor(), x, y, ~np.isnan(y), x_test).clip(0, contract.rul.cap)
        faults = []
        for i in range(len(contract.axes)):
            y = train.faults[:, i].astype(np.float64)
            faults.append(_predict(classifier(), x, y, y >= 0, x_test).astype(np.int64))
        result[name] = (rul, faults)
    return result


def _predict(
    model: Model, x: NDArray[np.float32], y: NDArray[np.float64], known: NDArray[np.bool_], x_test: NDArray[np.float32]
) -> NDArray[np.float64]:
    if not known.any():
        return np.zeros(len(x_test))
    if len(np.unique(y[known])) < 2:  # nothing to tell apart
        model = Constant(most_frequent=False)
    model.fit(x[known], y[known])
    return model.predict(x_test)
