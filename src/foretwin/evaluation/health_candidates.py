"""Candidates for health without labels, beside the network: each measures how far a window lies from normal ones.

Those that a bundle can answer by are in `training.candidates.distances`; the isolation forest stands beside them:
how few cuts isolate the window from normal ones (Liu, Ting and Zhou, ICDM
2008)

All see the same features of windows, scaled within regimes by the network's own code. They are chosen by departures
that were put into copies of recorded runs, never by labels.
"""

from typing import Self

import numpy as np
from numpy.typing import NDArray
from sklearn.ensemble import IsolationForest
from sklearn.metrics import roc_auc_score

from foretwin.contract.false_alarms import alarm_share
from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development
from foretwin.evaluation.baselines import Features
from foretwin.metrics import threshold
from foretwin.training.candidates.distances import Distance, served_distances

TREES = 200

Values = NDArray[np.float64]


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
    return {**served_distances(seed), "isolation_forest": IsolationDistance(seed)}


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


def _figures(said: Values, departed: NDArray[np.bool_], share: float) -> dict[str, float]:
    limit = threshold(said[~departed], share)
    return {
        "auroc": float(roc_auc_score(departed, said)),
        "detection_rate": float(np.mean(said[departed] > limit)),
        "false_alarm_rate": float(np.mean(said[~departed] > limit)),
        "departed": int(departed.sum()),
        "normal": int((~departed).sum()),
    }
