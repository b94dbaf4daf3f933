"""Baselines for the network: on the same windows and splits, by the same metrics.

constant                the mean capped RUL and the most frequent class of the training windows
linear                  ridge and logistic regression on the window's statistics and the age
gradient_boosting       histogram gradient boosting on the same
extra_trees             extremely randomised trees on the same (Geurts, Ernst and Wehenkel, 2006)
always, three_sigma     of health without labels: every window is told; a channel's mean is far from what is normal
normal_space            of health without labels: T2 and Q of the principal components of what is normal
random_fourier_ridge    ridge, and logistic regression, on random Fourier features of the levels, slopes and age

The statistics are those of the network's own statistics encoder, scaled within regimes by the same code.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, TransformerMixin
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.kernel_approximation import RBFSampler
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import Histories, Windows
from foretwin.evaluation.normal_space import health_floors
from foretwin.training.encoders import HALF_LIVES, WindowStatistics, segments_of
from foretwin.training.last_seen import LastSeen
from foretwin.training.network import RegimeScaling
from foretwin.training.one_hot import OneHot
from foretwin.training.scaling import fit_scaling, informative_inputs

FLOORS = ("constant", "linear")  # the least that any model must do; what else learns is a candidate of the blend
MOST_WINDOWS = 50_000  # drawn for all baselines together
AT_ONCE = 5_000  # windows; more would only take memory
COMPONENTS = 2_000  # random Fourier features
WIDTHS = (0.1, 0.3, 1.0)  # of the kernel: its gamma times the number of features
PENALTIES = (1e-5, 1e-4, 1e-3)  # of the ridge, per window
MOST_TO_CHOOSE = 5_000  # windows used to choose width and penalty


class BaselineModel(Protocol):
    """Interface of scikit-learn's estimators."""

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64]) -> object:
        """Fit to x (N, F), y (N,)."""

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict (N,) from x (N, F)."""


@dataclass(frozen=True)
class BaselineTrial:
    """Split of a baseline's N training windows, to choose its settings."""

    learn: NDArray[np.bool_]  # (N,) windows of all folds but the first
    judge: NDArray[np.bool_]  # (N,) windows at the cuts of the first fold


@dataclass(frozen=True)
class Baseline:
    """Constructors of a baseline's models, and the most windows drawn for them: more only cost time."""

    regressor: Callable[[BaselineTrial], BaselineModel]
    classifier: Callable[[BaselineTrial], BaselineModel]
    windows: int


@dataclass(frozen=True)
class Predicted:
    """Predictions of a baseline for N windows."""

    rul: NDArray[np.float64] | None  # (N,) within 0 and the cap, in the contract's time unit; None without an RUL
    faults: list[NDArray[np.int64]]  # (N,) class, per axis
    seconds: float  # of choosing, fitting and predicting


@dataclass(frozen=True)
class FeatureTable:
    """Features of N training windows and M test windows."""

    x: NDArray[np.float32]  # (N, F)
    x_test: NDArray[np.float32]  # (M, F)
    trial: BaselineTrial

    def predict(
        self, make: Callable[[BaselineTrial], BaselineModel], y: NDArray[np.float64], known: NDArray[np.bool_]
    ) -> NDArray[np.float64]:
        """Predict the test windows (M,) by a model fitted on the `known` (N,) of targets y (N,); 0 if none is known."""
        if not known.any():
            return np.zeros(len(self.x_test))
        model = make(BaselineTrial(self.trial.learn[known], self.trial.judge[known]))
        if len(np.unique(y[known])) < 2:  # a single class or value
            model = Constant(most_frequent=False)
        model.fit(self.x[known], y[known])
        return model.predict(self.x_test)


class Constant:
    """Constant model: the mean of its training targets, or their most frequent class."""

    def __init__(self, most_frequent: bool) -> None:
        self.most_frequent, self.value = most_frequent, 0.0

    def fit(self, _: NDArray[np.float32], y: NDArray[np.float64]) -> object:
        """Fit to y (N,)."""
        self.value = float(np.bincount(y.astype(np.int64)).argmax()) if self.most_frequent else float(y.mean())
        return self

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict (N,) from x (N, F)."""
        return np.full(len(x), self.value)


class RandomFourierRidge:
    """Ridge on plain and random Fourier features: approximates kernel ridge with a Gaussian kernel.

    The kernel's width and the penalty are those with the least squared error in the trial.
    """

    def __init__(self, trial: BaselineTrial, columns: NDArray[np.int64], seed: int) -> None:
        """`columns` are the positions of the features that it uses."""
        self.trial, self.columns, self.seed = trial, columns, seed

    def fit(self, x: NDArray[np.float32], y: NDArray[np.float64]) -> Self:
        """Fit to x (N, F), y (N,)."""
        self.width, self.penalty = self._choose(x, y)
        self.model = make_pipeline(
            Fourier(self.columns, self.width, self.seed), Ridge(alpha=self.penalty * len(x), copy_X=False)
        )
        self.model.fit(x, y)
        return self

    def predict(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict (N,) from x (N, F)."""
        predicted: NDArray[np.float64] = self.model.predict(x)
        return predicted

    def _choose(self, x: NDArray[np.float32], y: NDArray[np.float64]) -> tuple[float, float]:
        learn, judge = np.flatnonzero(self.trial.learn), self.trial.judge
        learn = learn[:: -(-len(learn) // MOST_TO_CHOOSE) or 1]
        if len(learn) == 0 or not judge.any():
            return WIDTHS[1], PENALTIES[1]
        ridge = Ridge(alpha=np.multiply(PENALTIES, len(learn)))  # one fit for all penalties, with one target each
        targets = np.repeat(y[learn, None], len(PENALTIES), axis=1)
        errors: dict[tuple[float, float], float] = {}
        for width in WIDTHS:
            model = make_pipeline(Fourier(self.columns, width, self.seed), ridge).fit(x[learn], targets)
            found = ((model.predict(x[judge]) - y[judge, None]) ** 2).mean(axis=0)
            errors |= {(width, penalty): error for penalty, error in zip(PENALTIES, found, strict=True)}
        return min(errors, key=lambda setting: errors[setting])


class Fourier(TransformerMixin, BaseEstimator):  # type: ignore[misc]
    """Standardised features, followed by random Fourier features of a Gaussian kernel (Rahimi and Recht, 2007)."""

    def __init__(self, columns: NDArray[np.int64], width: float, seed: int) -> None:
        """`width` is the kernel's gamma times the number of features that are not constant."""
        self.columns, self.width, self.seed = columns, width, seed

    def fit(self, x: NDArray[np.float32], _: object = None) -> Self:
        """Fit to x (N, F)."""
        self.scaler_ = StandardScaler().fit(self._seen(x))
        moving = max(1, int(np.count_nonzero(self.scaler_.var_)))
        self.sampler_ = RBFSampler(gamma=self.width / moving, n_components=COMPONENTS, random_state=self.seed)
        self.sampler_.fit(self._seen(x))
        return self

    def transform(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        """Transform x (N, F) -> (N, columns + COMPONENTS), in double precision: single would be ill-conditioned."""
        scaled = self.scaler_.transform(self._seen(x))
        return np.hstack([scaled, self.sampler_.transform(scaled)])

    def _seen(self, x: NDArray[np.float32]) -> NDArray[np.float64]:
        return x[:, self.columns].astype(np.float64)


class Features:
    """Feature extraction for the baselines: the columns of `WindowStatistics`, extremes, the age."""

    def __init__(self, development: Development, contract: Twin, seed: int) -> None:
        """Fit the scaling on the development assets; uninformative channels are left out."""
        rows = np.flatnonzero(~development.made)
        scaling = fit_scaling(development.histories, rows, contract, seed)
        self.scaling, self.length = RegimeScaling(scaling), contract.window.length
        self.last_seen = LastSeen(scaling.gappy) if scaling.gappy else None
        inputs = len(scaling.scale[0]) + 2 * len(scaling.gappy)
        self.one_hot = OneHot(scaling.categories, inputs).eval() if scaling.categories else None
        self.channels = informative_inputs(scaling)
        self.segments, self.aged = segments_of(contract), contract.clock.counts_from_start
        self.statistics = WindowStatistics(self.length, self.segments)

    def __call__(self, windows: Windows) -> NDArray[np.float32]:
        """Compute the features (N, F), dimensionless, of N windows.

        Lowest and highest reading per channel where a window is a whole cycle; the last column is the age where the
        contract allows it. A channel that may be missing counts as three, as for the network: with presence and age.
        """
        x, mask = torch.from_numpy(windows.x), torch.from_numpy(windows.mask)
        with torch.inference_mode():
            x = self.scaling(x)
            x = x if self.last_seen is None else self.last_seen(x, mask)
            x = x if self.one_hot is None else self.one_hot(x)
            x = (x * mask[:, :, None])[:, :, self.channels]
            parts = [self.statistics(x, mask)]
            if self.segments:
                parts += [x.amin(dim=1), x.amax(dim=1)]
            table: NDArray[np.float32] = torch.cat(parts, dim=1).numpy()
        return np.column_stack([table, windows.age]) if self.aged else table

    def at(self, histories: Histories, ends: NDArray[np.int64]) -> NDArray[np.float32]:
        """Compute the features (N, F) of the windows that end at the rows `ends` (N,)."""
        parts = np.array_split(ends, -(-len(ends) // AT_ONCE))
        return np.concatenate([self(histories.cut(part, self.length)) for part in parts])

    def smooth(self) -> NDArray[np.int64]:
        """Return the positions of columns with level, slope, share of rows or age: no spread, no extremes."""
        count = len(self.channels)
        levels = (1 + len(HALF_LIVES) + self.segments) * count
        slopes = levels + count  # after the spread, and before the share of rows
        last = slopes + count + 1 + (2 * count if self.segments else 0)
        return np.array([*range(levels), *range(slopes, slopes + count + 1), *([last] if self.aged else [])])


def baselines(smooth: NDArray[np.int64], seed: int) -> dict[str, Baseline]:
    """Return all baselines by name; `smooth` are the columns used for the random Fourier features."""
    return {
        "constant": Baseline(lambda _: Constant(False), lambda _: Constant(True), MOST_WINDOWS),
        "linear": Baseline(
            lambda _: make_pipeline(StandardScaler(), Ridge(alpha=1.0)),
            lambda _: make_pipeline(StandardScaler(), LogisticRegression(max_iter=200, tol=1e-2)),
            20_000,
        ),
        "gradient_boosting": Baseline(
            lambda _: HistGradientBoostingRegressor(random_state=seed),
            lambda _: HistGradientBoostingClassifier(random_state=seed, class_weight="balanced"),
            20_000,
        ),
        "extra_trees": Baseline(
            lambda _: ExtraTreesRegressor(200, max_features=0.3, min_samples_leaf=3, random_state=seed),
            lambda _: ExtraTreesClassifier(
                200, max_features=0.3, min_samples_leaf=3, class_weight="balanced", random_state=seed
            ),
            10_000,
        ),
        "random_fourier_ridge": Baseline(
            lambda trial: RandomFourierRidge(trial, smooth, seed),
            lambda _: make_pipeline(Fourier(smooth, WIDTHS[0], seed), LogisticRegression(max_iter=200, tol=1e-2)),
            MOST_WINDOWS,
        ),
    }


def fit_baselines(
    development: Development, test: Windows, contract: Twin, seed: int, names: Collection[str] | None = None
) -> dict[str, Predicted]:
    """Fit the baselines `names`, or all, and the floors of health on all development assets; predict N test windows."""
    generator = np.random.default_rng(seed)
    first = development.hold_out(0)
    drawn = generator.choice(development.ends, min(MOST_WINDOWS, len(development.ends)), replace=False)
    ends = np.union1d(drawn, first.held_out)
    trial = BaselineTrial(learn=np.isin(ends, first.train), judge=np.isin(ends, first.held_out))
    features = Features(development, contract, seed)
    x, x_test = features.at(development.histories, ends), features(test)
    rul, faults = development.histories.rul[ends].astype(np.float64), development.histories.faults[ends]
    result, every = {}, baselines(features.smooth(), seed)
    every = {name: one for name, one in every.items() if names is None or name in names}
    if contract.health is not None:
        floors = health_floors(len(features.channels), alarm_share(contract))
        every |= {name: Baseline(lambda _: Constant(False), make, MOST_WINDOWS) for name, make in floors.items()}
    for name, baseline in every.items():
        begin = time.perf_counter()
        part = np.sort(generator.choice(len(ends), min(baseline.windows, len(ends)), replace=False))
        table = FeatureTable(x[part], x_test, BaselineTrial(trial.learn[part], trial.judge[part]))
        predicted = None
        if contract.rul:
            y = np.minimum(rul[part], contract.rul.cap)
            predicted = table.predict(baseline.regressor, y, ~np.isnan(y)).clip(0, contract.rul.cap)
        classes = []
        for i in range(len(contract.axes)):
            y = faults[part, i].astype(np.float64)
            classes.append(table.predict(baseline.classifier, y, y >= 0).astype(np.int64))
        result[name] = Predicted(predicted, classes, time.perf_counter() - begin)
    return result
