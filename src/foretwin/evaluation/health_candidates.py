"""Candidates for health without labels, beside the network: each measures how far a window lies from normal ones.

principal_components   the larger of T2 and Q, each as a share of what most normal windows have
k_means                distance to the nearest of a few centres of normal windows
kernel_regression      distance to what the most similar normal windows let expect (auto-associative kernel regression)
isolation_forest       how few cuts isolate the window from normal ones (Liu, Ting and Zhou, ICDM 2008)

All see the same features of windows, scaled within regimes by the network's own code. They are chosen by departures
that were put into copies of recorded runs, never by labels.
"""

from typing import Protocol, Self

import numpy as np
from numpy.typing import NDArray
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score
from sklearn.neighbors import NearestNeighbors
from sklearn.preprocessing import StandardScaler

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development
from foretwin.evaluation.baselines import Features

KEPT = 0.9  # of the variance
USUAL = 0.99  # share of the normal windows below the unit of T2 and of Q
WINDOWS_A_CENTRE, MOST_CENTRES = 20, 16
MEMORY, SIMILAR = 5000, 10  # normal windows that are remembered, and compared with one
TREES = 200

Values = NDArray[np.float64]


class Distance(Protocol):
    """How far windows lie from those that it was fitted to."""

    def fit(self, x: Values) -> Self:
        """Fit to the features (N, F) of normal windows."""

    def __call__(self, x: Values) -> Values:
        """Return the distance (M,) of windows (M, F); more is farther."""


class PrincipalComponents:
    """T2 within the principal components, Q beside them (Jackson and Mudholkar, Technometrics 1979)."""

    def __init__(self, kept: float = KEPT) -> None:
        self.kept = kept

    def fit(self, x: Values) -> Self:
        """Fit to the features (N, F) of normal windows."""
        self.scaler = StandardScaler().fit(x)
        self.space = PCA(self.kept, svd_solver="full").fit(self.scaler.transform(x))
        self.units = np.maximum(np.quantile(self.statistics(x), USUAL, axis=0), np.finfo(np.float64).eps)
        return self

    def __call__(self, x: Values) -> Values:
        """Return the larger of T2 and Q (M,), in units of what is usual."""
        return np.asarray((self.statistics(x) / self.units).max(axis=1), np.float64)

    def statistics(self, x: Values) -> Values:
        """Return T2 and Q (M, 2) of windows (M, F)."""
        scaled = self.scaler.transform(x)
        within = self.space.transform(scaled)
        left = np.square(scaled - self.space.inverse_transform(within)).sum(axis=1)
        spread = np.sqrt(self.space.explained_variance_)
        return np.column_stack([np.square(within / spread).sum(axis=1), left])


class KMeansDistance:
    """Distance to the nearest centre of the normal windows."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, x: Values) -> Self:
        """Fit to the features (N, F) of normal windows."""
        self.scaler = StandardScaler().fit(x)
        centres = int(np.clip(len(x) // WINDOWS_A_CENTRE, 1, MOST_CENTRES))
        self.means = KMeans(centres, n_init=4, random_state=self.seed).fit(self.scaler.transform(x))
        return self

    def __call__(self, x: Values) -> Values:
        """Return the distance (M,) of windows (M, F)."""
        return np.asarray(self.means.transform(self.scaler.transform(x)).min(axis=1), np.float64)


class KernelRegression:
    """Auto-associative kernel regression: what is left of a window after the mean of similar normal ones."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, x: Values) -> Self:
        """Remember at most MEMORY of the normal windows (N, F)."""
        self.scaler = StandardScaler().fit(x)
        chosen = np.random.default_rng(self.seed).permutation(len(x))[:MEMORY]
        self.memory = self.scaler.transform(x[np.sort(chosen)])
        self.nearest = NearestNeighbors(n_neighbors=min(SIMILAR, len(self.memory))).fit(self.memory)
        return self

    def __call__(self, x: Values) -> Values:
        """Return the distance (M,) from the mean of similar windows, weighted by a Gaussian kernel."""
        scaled = self.scaler.transform(x)
        distance, place = self.nearest.kneighbors(scaled)
        width = np.maximum(np.median(distance, axis=1, keepdims=True), 1e-12)
        weight = np.exp(-0.5 * np.square((distance - distance[:, :1]) / width))
        expected = (weight[:, :, None] * self.memory[place]).sum(axis=1) / weight.sum(axis=1, keepdims=True)
        return np.asarray(np.sqrt(np.square(scaled - expected).sum(axis=1)), np.float64)


class IsolationDistance:
    """Anomaly score of an isolation forest."""

    def __init__(self, seed: int) -> None:
        self.seed = seed

    def fit(self, x: Values) -> Self:
        """Fit to the features (N, F) of normal windows."""
        self.forest = IsolationForest(n_estimators=TREES, random_state=self.seed).fit(x)
        return self

    def __call__(self, x: Values) -> Values:
        """Return the anomaly score (M,), from 0 to 1."""
        return np.asarray(-self.forest.score_samples(x), np.float64)


def health_distances(seed: int) -> dict[str, Distance]:
    """Return the candidates by name, not fitted yet."""
    return {
        "principal_components": PrincipalComponents(),
        "k_means": KMeansDistance(seed),
        "kernel_regression": KernelRegression(seed),
        "isolation_forest": IsolationDistance(seed),
    }


def judge_candidates(development: Development, contract: Twin, seed: int) -> dict[str, dict[str, float]]:
    """Return figures of each candidate on cuts of folds that it was not fitted to, the best AUROC first.

    `detection_rate` of departures, put into copies, at the contract's budget of false alarms, and `false_alarm_rate` of
    recorded windows there.
    """
    axis = contract.axes.index(HEALTH)
    features = Features(development, contract, seed)
    said: dict[str, list[Values]] = {name: [] for name in health_distances(seed)}
    truth = []
    for fold in development.folds:
        split = development.hold_out(fold)
        classes = split.histories.faults[:, axis]
        own = split.train[(classes[split.train] == 0) & ~development.made[split.train]]
        cuts = split.held_out[classes[split.held_out] >= 0]
        x, judged = (features.at(split.histories, ends).astype(np.float64) for ends in (own, cuts))
        truth.append(classes[cuts])
        for name, distance in health_distances(seed).items():
            said[name].append(distance.fit(x)(judged))
    departed = np.concatenate(truth) == 1
    found = {name: _figures(np.concatenate(parts), departed, alarm_share(contract)) for name, parts in said.items()}
    return dict(sorted(found.items(), key=lambda one: -one[1]["auroc"]))


def threshold(normal: Values, share: float) -> float:
    """Return what at most `share` of normal distances (N,) exceeds, one more of which counts as an alarm."""
    ordered = np.sort(normal)[::-1]
    allowed = max(int(share * (len(ordered) + 1)) - 1, 0)
    return float(ordered[min(allowed, len(ordered) - 1)])


def _figures(said: Values, departed: NDArray[np.bool_], share: float) -> dict[str, float]:
    limit = threshold(said[~departed], share)
    return {
        "auroc": float(roc_auc_score(departed, said)),
        "detection_rate": float(np.mean(said[departed] > limit)),
        "false_alarm_rate": float(np.mean(said[~departed] > limit)),
        "departed": int(departed.sum()),
        "normal": int((~departed).sum()),
    }
