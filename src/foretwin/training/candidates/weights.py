"""Weights of a blend: not negative, with a sum of 1, from out-of-fold answers; sparse, and checked on folds left out.

The RUL's weights minimise the squared error (Breiman, Stacked Regressions, 1996), the weights of class probabilities
the negative log-likelihood of their mixture, by expectation maximisation. Every asset counts the same,
and cuts within the longest lead time count more.

Near the end each candidate misses other machines, and a miss is a RUL that is far too long: their weighted sum is late
by a share of it. So RULs are mixed by a power mean (Hardy, Littlewood and Polya, Inequalities, 1934): the lower its
power, the more the shortest answer counts; where all agree it is what they say. The power of least error is taken.
"""

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.lead_times import LATE_WEIGHT
from foretwin.errors import TrainingError
from foretwin.training.candidates.out_of_fold import OutOfFold

SUM_TO_ONE = 1e3  # weight of that wish beside the squared errors
SMALLEST_LIKELIHOOD = 1e-3  # of a true class; one window must not decide about a candidate
EXTREME = 80.0  # logit that a single-precision number still tells from 0
LEAST = 1e-12  # of what a logarithm is taken
POWERS = (1.0, -1.0, -2.0, -4.0, -8.0)  # of the mean of RULs; below these hardly more than the shortest one counts
LIFT = 0.05  # share of the cap that is added to a RUL ahead of its power; one answer of 0 must not decide alone
STEPS = 300


@dataclass(frozen=True)
class Beside:
    """What candidates learnt of departures, beside distances from normal: linked so that it is even at a limit."""

    weights: dict[str, float]  # of those candidates
    limit: float  # logit that the share of false alarms leaves
    spread: float  # of the logit among normal windows

    def apply(self, probabilities: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return probabilities (N, 2) that are even at the limit."""
        return even_at(logit_of(probabilities), self.limit, self.spread)


@dataclass(frozen=True)
class QuestionBlend:
    """The blend of one question."""

    weights: dict[str, float]  # of the candidates in it
    said: NDArray[np.float64]  # (M,) or (M, K): at each cut by the weights of the other folds
    errors: dict[str, float]  # out of fold, per candidate, and of `blend`
    beside: Beside | None = None  # of health alone
    power: float = 1.0  # of the mean of RULs; 1: the weighted sum


def blend_question(cuts: OutOfFold, question: str, smallest: float, banned: Iterable[str] = ()) -> QuestionBlend:
    """Weight the candidates of one question; a single one where the blend is not better on the folds left out.

    TrainingError where no cut has a known truth.
    """
    names = [name for name, said in cuts.said.items() if question in said and name not in set(banned)]
    answers = np.stack([cuts.said[name][question] for name in names], axis=1)  # (M, C) or (M, C, K)
    known, truth = cuts.known(question), cuts.truth[question]
    if not known.any():
        raise TrainingError(f"{question}: no held-out cut has a known answer to weigh candidates by; label more runs")
    even = asset_weights(cuts.assets, known)
    if question == "rul":
        even = even * np.where(truth <= cuts.late, LATE_WEIGHT, 1.0)
    said = np.zeros((len(truth), *answers.shape[2:]))
    for fold in np.unique(cuts.folds):
        inside = cuts.folds == fold
        others = known & ~inside
        learn = others if others.any() else known
        said[inside] = mixed(answers[inside], *fit_mean(answers[learn], truth[learn], even[learn], smallest))
    errors = {name: loss(answers[known, i], truth[known], even[known]) for i, name in enumerate(names)}
    best = min(errors, key=lambda name: errors[name])
    errors["blend"] = loss(said[known], truth[known], even[known])
    weights, power = fit_mean(answers[known], truth[known], even[known], smallest)
    if errors["blend"] >= errors[best]:
        weights, power = np.array([float(name == best) for name in names]), 1.0
        said = cuts.said[best][question]
    found = {name: float(weight) for name, weight in zip(names, weights, strict=True) if weight > 0}
    return QuestionBlend(found, said, errors, power=power)


def asset_weights(assets: NDArray[np.int64], known: NDArray[np.bool_]) -> NDArray[np.float64]:
    """Return weights (M,) by which all assets count the same, with a sum of 1 over the known cuts; 0 elsewhere."""
    counts = np.bincount(assets[known], minlength=int(assets.max()) + 1)
    weights = np.where(known, 1 / np.maximum(counts, 1)[assets], 0.0)
    even: NDArray[np.float64] = weights / weights.sum()
    return even


def fit_mean(
    answers: NDArray[np.float64], truth: NDArray[np.float64], even: NDArray[np.float64], smallest: float
) -> tuple[NDArray[np.float64], float]:
    """Fit weights (C,) by `sparse_weights`, and for several RULs the power of their mean with the least error."""
    weights = sparse_weights(answers, truth, even, smallest)
    if answers.ndim == 3 or np.count_nonzero(weights) == 1:
        return weights, 1.0
    return weights, min(POWERS, key=lambda power: loss(mixed(answers, weights, power), truth, even))


def sparse_weights(
    answers: NDArray[np.float64], truth: NDArray[np.float64], even: NDArray[np.float64], smallest: float
) -> NDArray[np.float64]:
    """Fit weights (C,) to answers (N, C) or (N, C, K); those below `smallest` leave, and the others are fitted anew."""
    count = answers.shape[1]
    within = np.ones(count, bool)
    while True:
        weights = np.zeros(count)
        fit = _mixture_weights if answers.ndim == 3 else _stacking_weights
        weights[within] = fit(answers[:, within], truth, even)
        weak = within & (weights < smallest)
        if not weak.any():
            return weights
        within &= ~weak


def mixed(answers: NDArray[np.float64], weights: NDArray[np.float64], power: float = 1.0) -> NDArray[np.float64]:
    """Mix answers (N, C) or (N, C, K) by weights (C,); RULs, as shares of the cap, by their mean of this power."""
    if power != 1:
        return np.clip(((answers + LIFT) ** power @ weights) ** (1 / power) - LIFT, 0, 1)
    found: NDArray[np.float64] = np.tensordot(answers, weights, axes=(1, 0))
    return found


def loss(said: NDArray[np.float64], truth: NDArray[np.float64], even: NDArray[np.float64]) -> float:
    """Return the RMSE as a share of the cap of said (N,), or the mean negative log-likelihood of said (N, K)."""
    weights = even / even.sum()
    if said.ndim == 1:
        return float(np.sqrt(weights @ (said - truth) ** 2))
    given = said[np.arange(len(truth)), truth.astype(np.int64)]
    return float(-(weights @ np.log(np.maximum(given, SMALLEST_LIKELIHOOD))))


def _stacking_weights(
    answers: NDArray[np.float64], truth: NDArray[np.float64], even: NDArray[np.float64]
) -> NDArray[np.float64]:
    from scipy.optimize import nnls

    root = np.sqrt(even / even.sum())
    left = np.vstack([answers * root[:, None], np.full((1, answers.shape[1]), SUM_TO_ONE)])
    weights, _ = nnls(left, np.append(truth * root, SUM_TO_ONE))
    found: NDArray[np.float64] = weights / weights.sum()
    return found


def _mixture_weights(
    answers: NDArray[np.float64], truth: NDArray[np.float64], even: NDArray[np.float64]
) -> NDArray[np.float64]:
    given = answers[np.arange(len(truth)), :, truth.astype(np.int64)]  # (N, C)
    given, share = np.maximum(given, SMALLEST_LIKELIHOOD), even / even.sum()
    weights = np.full(given.shape[1], 1 / given.shape[1])
    for _ in range(STEPS):
        part = given * weights
        weights = share @ (part / part.sum(axis=1, keepdims=True))
    return weights


def logit_of(probabilities: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the logit (N,) of the second of two classes, of probabilities (N, 2)."""
    logarithms = np.log(np.maximum(probabilities.astype(np.float64), LEAST))
    found: NDArray[np.float64] = logarithms[:, 1] - logarithms[:, 0]
    return found


def even_at(values: NDArray[np.floating], limit: float, spread: float) -> NDArray[np.float64]:
    """Return values (N,) as probabilities (N, 2) of normal and departed, which are even at the limit."""
    away = np.clip((values - limit) / spread, -EXTREME, EXTREME)
    return np.column_stack([1 / (1 + np.exp(away)), 1 / (1 + np.exp(-away))])
