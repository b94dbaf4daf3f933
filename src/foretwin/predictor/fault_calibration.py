"""Calibration of fault probabilities, and the confidence threshold below which the class is "unknown".

Both are fitted per fault axis on the members' predictions on their held-out folds. Probabilities are sharpened or
softened by one temperature (temperature scaling: Guo et al., On Calibration of Modern Neural Networks, ICML 2017),
which keeps their order: p ** (1 / temperature), normalised, is the softmax of the logits divided by the temperature
where p was one network's softmax. The confidence is the highest calibrated probability.

The served mean is over the members of all folds, the calibrated one over those of a single fold; so the served one
tends to be underconfident rather than overconfident. Several cuts of one asset are not independent. Calibration and
accuracy on test assets are measured and reported.
"""

from dataclasses import asdict, dataclass, replace
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from foretwin.dataset.table import FAULT_UNKNOWN
from foretwin.metrics import SMALLEST_PROBABILITY, alarm_limit, negative_log_likelihood

# Where every held-out prediction is correct, the likelihood alone would lead to a temperature of 0.
LOWEST_TEMPERATURE, HIGHEST_TEMPERATURE = 0.25, 4.0
SMALLEST_ANSWERED = 0.1  # of the cuts; accuracy reached by fewer of the most confident predictions may be chance
SHARPENED = 4  # times are the logits of normal and departed, since between them there is little to know
LEAST = 1e-290  # of a probability whose logarithm is taken
MARGIN = 1e-3  # of a logit, by which a cut stays below what would be an alarm
NEVER = 2.0  # threshold of an axis that is not learnt: no confidence reaches it


@dataclass(frozen=True)
class JudgedClasses:
    """N cuts with probabilities of an axis by members that hold the cut's fold out."""

    probabilities: NDArray[np.float64]  # (N, K)
    truth: NDArray[np.int64]  # (N,) -1 = unknown
    assets: NDArray[np.int64]  # (N,)


@dataclass(frozen=True)
class FaultCalibration:
    """Calibration of the probabilities of one fault axis."""

    temperature: float  # above 1 softens, below 1 sharpens
    threshold: float  # the confidence below which the class is "unknown"; 0 = never
    level: float  # target accuracy of the known classes
    assets: int = 0  # that it is fitted to; 0: probabilities are not shrunk
    shares: tuple[float, ...] = ()  # of the classes among them (K,)
    shift: float = 0.0  # of the second of two classes' logit, by which false alarms keep to their budget

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

    @classmethod
    def fit_by_asset(cls, cuts: "JudgedClasses", level: float, least: float) -> Self:
        """Calibrate on cuts whose probabilities come from other folds; every asset counts the same.

        Probabilities are shrunk towards the classes' shares as if one more asset had been seen, of an unknown class:
        from 90 machines nobody knows of one in a million. The threshold is the lowest confidence at or above which the
        answers of A assets, with one more that is wrong, are right in at least `level`; where fewer than `least` of
        the cuts would be answered, the axis is not learnt and every answer is unknown.
        """
        known = cuts.truth != FAULT_UNKNOWN
        if not known.any():
            return cls(1.0, NEVER, level)
        probabilities, truth, assets = cuts.probabilities[known], cuts.truth[known], cuts.assets[known]
        _, place, counts = np.unique(assets, return_inverse=True, return_counts=True)
        even = 1 / counts[place]
        shares = np.bincount(truth, even, probabilities.shape[1]) / len(counts)
        temperature = _fit_temperature(probabilities, truth)
        found = cls(temperature, 0.0, level, len(counts), tuple(float(share) for share in shares))
        calibrated = found.apply(probabilities)
        right = calibrated.argmax(axis=1) == truth
        return replace(found, threshold=_careful_threshold(calibrated.max(axis=1), right, even, level, least))

    def within_budget(
        self, normal: NDArray[np.floating], share: float, opens: float, runs: NDArray[np.int64] | None = None
    ) -> Self:
        """Set the limit of two classes, normal and departed: at most `share` of normal cuts (N, 2) reaches `opens`.

        Of cuts whose `runs` are known, those whose departure stands until the run ends do not count: it may be true.
        One more cut, of which nothing is known, counts as an alarm (conformal p-value: Vovk, Gammerman and Shafer,
        Algorithmic Learning in a Random World, 2005); where the cuts are too few for the share, none reaches it. Nor
        does what the network itself rather holds for normal. How frequent departures are nobody knows, so the
        probability says how clearly a window is beyond the limit; near it, the answer is unknown.
        """
        sharp = replace(self, temperature=self.temperature / SHARPENED)
        said = np.log(np.maximum(sharp.apply(normal), LEAST))
        departed = said[:, 1] - said[:, 0]  # logits: near 1 a double tells no probabilities apart
        highest = alarm_limit(departed, share, None) if len(departed) else 0.0  # the first that may not reach it
        if runs is not None and len(departed):
            plain = np.diff(np.log(np.maximum(normal.astype(np.float64), LEAST)))[:, 0]  # in which a spread counts
            limit = alarm_limit(plain, share, runs)
            said = np.log(np.maximum(sharp.apply(1 / (1 + np.exp([[limit, -limit]]))), LEAST))
            highest = float(said[0, 1] - said[0, 0])
        shift = float(np.log(opens / (1 - opens))) - max(highest, 0.0) - MARGIN
        return replace(sharp, shift=shift, threshold=opens)

    @property
    def is_learnt(self) -> bool:
        """Whether any answer can be given."""
        return self.threshold < NEVER

    def apply(self, probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
        """Calibrate the members' mean probabilities (N, K) -> (N, K), each row with a sum of 1."""
        tempered = _tempered(probabilities, self.temperature)
        if self.assets:
            tempered = (self.assets * tempered + np.array(self.shares)) / (self.assets + 1)
        if not self.shift:
            return tempered
        odds = tempered * np.array([1.0, np.exp(self.shift)])
        shifted: NDArray[np.float64] = odds / odds.sum(axis=1, keepdims=True)
        return shifted

    def answer(self, calibrated: NDArray[np.floating]) -> NDArray[np.int64]:
        """Return the most probable class (N,) of calibrated probabilities (N, K); -1 below the threshold."""
        return np.where(calibrated.max(axis=1) < self.threshold, FAULT_UNKNOWN, calibrated.argmax(axis=1))

    def to_dict(self) -> dict[str, Any]:
        """Convert to plain values for JSON."""
        values = asdict(self)
        unused = (() if self.assets else ("assets", "shares")) + (() if self.shift else ("shift",))
        return {name: value for name, value in values.items() if name not in unused}

    @classmethod
    def from_dict(cls, values: dict[str, Any]) -> Self:
        """Restore from the values of `to_dict`."""
        shrinking = int(values.get("assets", 0)), tuple(values.get("shares", ()))
        return cls(values["temperature"], values["threshold"], values["level"], *shrinking, values.get("shift", 0.0))


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


def _careful_threshold(
    confidence: NDArray[np.float64],
    right: NDArray[np.bool_],
    even: NDArray[np.float64],
    level: float,
    least: float,
) -> float:
    """Fit the threshold to confidence, correctness and weight (N,) of N cuts; see `FaultCalibration.fit_by_asset`."""
    order = np.argsort(-confidence, kind="stable")
    confidence, wrong = confidence[order], np.cumsum(even[order] * ~right[order])
    answered = np.cumsum(even[order])
    enough = answered >= least * answered[-1] - 1e-12
    last_of_equal = np.append(confidence[1:] != confidence[:-1], True)
    reached = np.flatnonzero(last_of_equal & enough & ((wrong + 1) / (answered + 1) <= 1 - level + 1e-12))
    if not len(reached):
        return NEVER
    return 0.0 if reached[-1] == len(order) - 1 else float(confidence[reached[-1]])
