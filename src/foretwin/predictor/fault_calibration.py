"""Calibration of fault probabilities, and the confidence threshold below which the class is "unknown".

Both are fitted per fault axis on the members' predictions on their held-out folds. Probabilities are sharpened or
softened by one temperature (temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017),
which keeps their order: p ** (1 / temperature), normalised, is the softmax of the logits divided by the temperature
where p was one network's softmax. The confidence is the highest calibrated probability.

The served mean is over the members of all folds, the calibrated one over those of a single fold; so the served one
tends to be underconfident rather than overconfident. Several cuts of one asset are not independent. Calibration and
accuracy on test assets are measured and reported.
"""

from dataclasses import asdict, dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.dataset.table import FAULT_UNKNOWN
from foretwin.metrics import SMALLEST_PROBABILITY, negative_log_likelihood

# Where every held-out prediction is correct, the likelihood alone would lead to a temperature of 0.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.25, 4.0
SMALLEST_ANSWERED = 0.1  # of the cuts; accuracy reached by fewer of the most confident predictions may be chance


@dataclass(frozen=True)
class FaultCalibration:
    """Calibration of the probabilities of one fault axis."""

    temperature: float  # above 1 softens, below 1 sharpens
    threshold: float  # the confidence below which the class is "unknown"; 0 = never
    level: float  # target accuracy of the known classes

    @classmethod
    def fit(cls, probabilities: NDArray[np.floating], truth: NDArray[np.integer], level: float) -> Self:
        """Calibrate on probabilities (N, K) of held-out cuts and their classes (N,), -1 = unknown.

        The temperature, between 0.25 and 4, minimises the negative log-likelihood of the known classes. The threshold
        is the lowest confidence such that the accuracy at or above it is at least `level`, among the confidences that
        leave at least a tenth of the cuts with a class. It is 0 where all cuts together reach `level`, and the
        confidence of the most confident tenth where none reaches it. Without any known class the temperature is 1 and
        the threshold 0.
        """
        known = truth != FAULT_UNKNOWN
        if not known.any():
            return cls(1.0, 0.0, level)
        probabilities, truth = probabilities[known], truth[known]
        temperature = _fit_temperature(probabilities, truth)
        calibrated = _tempered(probabilities, temperature)
        right = calibrated.argmax(axis=1) == truth
        return cls(temperature, _fit_threshold(calibrated.max(axis=1), right, level), level)

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrate the members' mean probabilities (N, K) -> (N, K), each row with a sum of 1."""
        return _tempered(probabilities, self.temperature)

    def answer(self, calibrated: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the most probable class (N,) of calibrated probabilities (N, K); -1 below the threshold."""
        return np.where(calibrated.max(axis=1) < self.threshold, FAULT_UNKNOWN, calibrated.argmax(axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        return asdict(self)

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        return cls(values["temperature"], values["threshold"], values["level"])


def _fit_temperature(probabilities: NDArray[np.floating], truth: NDArray[np.integer]) -> float:
    """Fit the temperature to probabilities (N, K) and known classes (N,); 1 unless another is likelier."""
    from scipy.optimize import minimize_scalar  # here, since scoring needs no scipy

    def loss(logarithm: float) -> float:  # convex in 1 / temperature, so it has one minimum in the logarithm too
        return negative_log_likelihood(_tempered(probabilities, float(np.exp(logarithm))), truth)

    bounds = (np.log(LOWEST_TEMPERATURE), np.log(HIGHEST_TEMPERATURE))
    found = minimize_scalar(loss, bounds=bounds, method="bounded")
    return float(np.exp(found.x)) if found.fun < loss(0.0) else 1.0


def _tempered(probabilities: NDArray[np.floating], temperature: float) -> NDArray[np.float64]:
    """Scale probabilities (N, K) by a temperature, in logarithms: powers of small ones might underflow to 0."""
    logits = np.log(np.maximum(probabilities.astype(np.float64), SMALLEST_PROBABILITY)) / temperature
    powers = np.exp(logits - logits.max(axis=1, keepdims=True))
    tempered: NDArray[np.float64] = powers / powers.sum(axis=1, keepdims=True)
    return tempered


def _fit_threshold(confidence: NDArray[np.float64], right: NDArray[np.bool_], level: float) -> float:
    """Fit the threshold to confidence and correctness (N,) of N predictions; see `FaultCalibration.fit`."""
    order = np.argsort(-confidence, kind="stable")
    confidence, share_right = confidence[order], np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    if share_right[-1] >= level:
        return 0.0
    last_of_equal = np.append(confidence[1:] != confidence[:-1], True)  # equal ones are on one side
    enough = np.arange(1, len(order) + 1) >= np.ceil(SMALLEST_ANSWERED * len(order))
    reached = np.flatnonzero(last_of_equal & enough & (share_right >= level))
    chosen = reached[-1] if len(reached) else np.flatnonzero(enough)[0]
    return float(confidence[chosen])
