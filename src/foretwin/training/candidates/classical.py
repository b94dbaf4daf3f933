"""Candidates that are no networks: fitted per seed and fold, with the look-back and the seed of the network's member.

linear                  ridge and logistic regression on standardised features
gradient_boosting       histogram gradient boosting
extra_trees             extremely randomised trees (Geurts, Ernst and Wehenkel, 2006)
random_fourier_ridge    ridge and logistic regression on random Fourier features, whose width and penalty are tried out
                        on assets set apart
physics_ridge           the same on features of the wear that readings show by the pump's equations (`wear_features`),
                        over the whole window

All are small enough that five folds of them fit into one graph. Of health without labels, distances from normal windows
(`distances`) stand beside them, whose answers are logarithms (N, 1) until `health_choice` links them.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import NamedTuple

import numpy as np
import torch
from numpy.typing import NDArray
from sklearn.ensemble import (
    ExtraTreesClassifier,
    ExtraTreesRegressor,
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge

from foretwin.contract.twin import HEALTH, Twin
from foretwin.dataset.splits import Development, Split
from foretwin.project.params import TrainParams
from foretwin.training.candidates.distances import LEAST, served_distances
from foretwin.training.candidates.features import FeatureSession, WindowFeatures
from foretwin.training.candidates.forest import boosted, extremely_random
from foretwin.training.candidates.linear import FeatureMap, constant_part, logistic_part, ridge_part
from foretwin.training.candidates.nodes import Part, run_part
from foretwin.training.candidates.wear_features import PHYSICS, WearFeatures
from foretwin.training.ensemble import look_back
from foretwin.training.parallel import run_tasks
from foretwin.training.scaling import fit_scaling

MOST_WINDOWS = 12_000  # drawn for the candidates of one fold
FOURIER_WINDOWS = 8_000  # used by the random Fourier features
COMPONENTS = 500  # random Fourier features
KERNEL_WIDTHS, PENALTIES = (0.1, 0.3, 1.0), (1e-5, 1e-4, 1e-3)
SEVERAL_RUNS = 10  # of fewer, the folds that are left do not know all that is normal
WORTH_A_CORE = 10_000  # training windows; below it, starting processes takes longer than they save


@dataclass(frozen=True)
class Lesson:
    """Features of N training windows with known answers."""

    x: NDArray[np.float32]  # (N, F)
    y: NDArray[np.float64]  # (N,) share of the cap, or class
    assets: NDArray[np.int64]  # (N,)
    smooth: NDArray[np.int64]  # columns for the random Fourier features
    seed: int

    def thinned(self, most: int) -> "Lesson":
        """Keep evenly spaced windows, at most about `most`."""
        every = slice(None, None, max(1, -(-len(self.y) // most)))
        return Lesson(self.x[every], self.y[every], self.assets[every], self.smooth, self.seed)


class FoldFeatures(NamedTuple):
    """Features of the windows of a fold, as a candidate sees them."""

    x: NDArray[np.float32]  # (N, F) of training windows
    x_cuts: NDArray[np.float32]  # (M, F) of the fold's cuts
    smooth: NDArray[np.int64]  # columns for the random Fourier features

    @classmethod
    def of(
        cls, session: FeatureSession, split: Split, ends: NDArray[np.int64], smooth: NDArray[np.int64] | None = None
    ) -> "FoldFeatures":
        """Compute the features of the windows that end at the rows `ends` (N,); `smooth`: all columns unless told."""
        x = session.at(split.histories, ends)
        return cls(x, session.at(split.histories, split.held_out), np.arange(x.shape[1]) if smooth is None else smooth)


@dataclass(frozen=True)
class FoldParts:
    """What was fitted for one seed and fold, and its answers at the fold's cuts."""

    seed: int
    fold: int
    features: WindowFeatures
    parts: dict[str, dict[str, Part]]  # candidate -> question, `rul` or a fault axis -> part
    answers: dict[str, dict[str, NDArray[np.float32]]]  # candidate -> question -> (N,) share of the cap, or (N, K)
    seconds: dict[str, float]  # per candidate


def _linear_rul(lesson: Lesson) -> Part:
    mapped = FeatureMap.fit(lesson.x, np.arange(lesson.x.shape[1]), 0, 1.0, lesson.seed)
    return ridge_part(mapped, Ridge(alpha=1.0).fit(mapped.apply(lesson.x), lesson.y))


def _linear_classes(lesson: Lesson, classes: int) -> Part:
    mapped = FeatureMap.fit(lesson.x, np.arange(lesson.x.shape[1]), 0, 1.0, lesson.seed)
    return logistic_part(
        mapped, LogisticRegression(max_iter=200, tol=1e-2).fit(mapped.apply(lesson.x), lesson.y), classes
    )


def _boosting_rul(lesson: Lesson) -> Part:
    model = HistGradientBoostingRegressor(
        max_iter=80,
        learning_rate=0.1,
        max_leaf_nodes=24,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=lesson.seed,
    )
    return boosted(model.fit(lesson.x, lesson.y))


def _boosting_classes(lesson: Lesson, classes: int) -> Part:
    model = HistGradientBoostingClassifier(
        max_iter=40,
        max_leaf_nodes=12,
        l2_regularization=1.0,
        early_stopping=False,
        random_state=lesson.seed,
    )
    return boosted(model.fit(lesson.x, lesson.y), classes)


def _extra_trees_rul(lesson: Lesson) -> Part:
    model = ExtraTreesRegressor(50, max_features=0.3, min_samples_leaf=4, max_leaf_nodes=300, random_state=lesson.seed)
    few = lesson.thinned(MOST_WINDOWS // 2)
    return extremely_random(model.fit(few.x, few.y))


def _extra_trees_classes(lesson: Lesson, classes: int) -> Part:
    model = ExtraTreesClassifier(40, max_features=0.3, min_samples_leaf=4, max_leaf_nodes=120, random_state=lesson.seed)
    few = lesson.thinned(MOST_WINDOWS // 2)
    return extremely_random(model.fit(few.x, few.y), classes)


def _fourier_rul(lesson: Lesson) -> Part:
    few = lesson.thinned(FOURIER_WINDOWS)
    width, penalty = _kernel(few)
    mapped = FeatureMap.fit(few.x, few.smooth, COMPONENTS, width, few.seed)
    return ridge_part(mapped, Ridge(alpha=penalty * len(few.y)).fit(mapped.apply(few.x), few.y))


def _kernel(lesson: Lesson) -> tuple[float, float]:
    """Return the kernel's width and the penalty with the least squared error on a quarter of the assets."""
    names = np.random.default_rng(lesson.seed).permutation(np.unique(lesson.assets))
    judge = np.isin(lesson.assets, names[: len(names) // 4])
    if not judge.any() or judge.all():
        return KERNEL_WIDTHS[1], PENALTIES[1]
    learn = np.flatnonzero(~judge)[::2]
    targets = np.repeat(lesson.y[learn, None], len(PENALTIES), axis=1)
    errors: dict[tuple[float, float], float] = {}
    for width in KERNEL_WIDTHS:
        mapped = FeatureMap.fit(lesson.x[learn], lesson.smooth, COMPONENTS, width, lesson.seed)
        ridge = Ridge(alpha=np.multiply(PENALTIES, len(learn))).fit(mapped.apply(lesson.x[learn]), targets)
        missed = ((ridge.predict(mapped.apply(lesson.x[judge])) - lesson.y[judge, None]) ** 2).mean(axis=0)
        errors |= {(width, penalty): float(error) for penalty, error in zip(PENALTIES, missed, strict=True)}
    return min(errors, key=lambda setting: errors[setting])


def _fourier_classes(lesson: Lesson, classes: int) -> Part:
    few = lesson.thinned(FOURIER_WINDOWS // 2)
    mapped = FeatureMap.fit(few.x, few.smooth, COMPONENTS // 2, KERNEL_WIDTHS[0], few.seed)
    model = LogisticRegression(max_iter=100, tol=1e-2, C=0.3)
    return logistic_part(mapped, model.fit(mapped.apply(few.x), few.y), classes)


FITS: dict[str, tuple[Callable[[Lesson], Part], Callable[[Lesson, int], Part]]] = {
    "linear": (_linear_rul, _linear_classes),
    "gradient_boosting": (_boosting_rul, _boosting_classes),
    "extra_trees": (_extra_trees_rul, _extra_trees_classes),
    "random_fourier_ridge": (_fourier_rul, _fourier_classes),
    PHYSICS: (_fourier_rul, _fourier_classes),
}


def fit_classical(
    development: Development, contract: Twin, names: Sequence[str], params: TrainParams
) -> Iterator[FoldParts]:
    """Fit the named candidates for each seed and fold, in that order; as many at once as the machine has cores.

    Nothing is yielded where none is named and the twin has no health.
    """
    tasks = [(seed, fold) for seed in params.seeds for fold in development.folds] if names or contract.health else []
    alone = len(development.ends) < WORTH_A_CORE
    yield from run_tasks(partial(_fit_fold, development, contract, names), tasks, alone)


def _fit_fold(development: Development, contract: Twin, names: Sequence[str], task: tuple[int, int]) -> FoldParts:
    seed, fold = task
    torch.set_num_threads(1)
    split, length = development.hold_out(fold), contract.window.length
    chance = int(np.random.SeedSequence([seed, fold]).generate_state(1)[0])
    reach = max(1, round(look_back(contract, seed, fold) * length))
    features = WindowFeatures(fit_scaling(split.histories, split.rows, contract, chance), contract, reach)
    session = FeatureSession(features, contract)
    generator = np.random.default_rng(chance)
    ends = _drawn(split, generator)
    seen = worn = FoldFeatures.of(session, split, ends, features.smooth)
    if PHYSICS in names:
        worn = FoldFeatures.of(FeatureSession(WearFeatures(contract), contract), split, ends)
    parts: dict[str, dict[str, Part]] = {}
    answers: dict[str, dict[str, NDArray[np.float32]]] = {}
    seconds: dict[str, float] = {}
    for name in names:
        begin, given = time.perf_counter(), worn if name == PHYSICS else seen
        parts[name] = {
            question: _fit_question(
                name, classes, Lesson(given.x[known], y[known], development.asset[ends[known]], given.smooth, chance)
            )
            for question, y, known, classes in _questions(split, contract, ends)
        }
        answers[name] = {question: _answered(part, question, given.x_cuts) for question, part in parts[name].items()}
        seconds[name] = time.perf_counter() - begin
    if contract.health is not None:
        x_normal = x_all = _features_of_normal(split.train, development, contract, session, generator)
        if len(np.unique(development.recorded.first)) < SEVERAL_RUNS:
            x_all = _features_of_normal(development.ends, development, contract, session, generator)
        for name, distance in served_distances(chance).items():
            begin = time.perf_counter()
            away = distance.fit(x_normal)(seen.x_cuts.astype(np.float64))
            answers[name] = {HEALTH: np.log(np.maximum(away, LEAST))[:, None].astype(np.float32)}
            # Of few runs what one fold leaves is not all that is normal: judged by those left out, served with all.
            parts[name] = {HEALTH: distance if x_all is x_normal else served_distances(chance)[name].fit(x_all)}
            seconds[name] = time.perf_counter() - begin
    return FoldParts(seed, fold, features, parts, answers, seconds)


def _drawn(split: Split, generator: np.random.Generator) -> NDArray[np.int64]:
    """Draw training windows, as their last rows (N,) in order; with weights some come twice."""
    count = min(MOST_WINDOWS, len(split.train))
    if split.weights is None:
        return np.sort(generator.choice(split.train, count, replace=False))
    return np.sort(generator.choice(split.train, count, p=split.weights / split.weights.sum()))


def _normal(
    ends: NDArray[np.int64], development: Development, contract: Twin, generator: np.random.Generator
) -> NDArray[np.int64]:
    """Draw recorded windows that are presumed to be normal, as their last rows (N,) in order, out of some (M,)."""
    normal = development.histories.faults[ends, contract.axes.index(HEALTH)] == 0
    own = ends[normal & ~development.made[ends]]
    return np.sort(generator.choice(own, min(MOST_WINDOWS, len(own)), replace=False))


def _features_of_normal(
    ends: NDArray[np.int64],
    development: Development,
    contract: Twin,
    session: FeatureSession,
    generator: np.random.Generator,
) -> NDArray[np.float64]:
    """Return the features (N, F) of normal windows out of some (M,), in double precision."""
    return session.at(development.histories, _normal(ends, development, contract, generator)).astype(np.float64)


def _questions(
    split: Split, contract: Twin, ends: NDArray[np.int64]
) -> Iterator[tuple[str, NDArray[np.float64], NDArray[np.bool_], int]]:
    """Yield each question with its targets (N,), which of them are known, and the number of classes, 0 for the RUL."""
    if contract.rul:
        share = np.minimum(split.histories.rul[ends].astype(np.float64) / contract.rul.cap, 1.0)
        yield "rul", share, ~np.isnan(share), 0
    for i, axis in enumerate(contract.axes):
        classes = split.histories.faults[ends, i].astype(np.float64)
        yield axis, classes, classes >= 0, len(contract.classes(axis))


def _fit_question(name: str, classes: int, lesson: Lesson) -> Part:
    """Fit one question; a constant where a single value or class is known, or none."""
    found = np.unique(lesson.y)
    if len(found) < 2:
        always = float(found[0]) if len(found) else 0.5
        return constant_part(np.array([always]) if not classes else _one_class(found, classes))
    for_rul, for_classes = FITS[name]
    return for_classes(lesson, classes) if classes else for_rul(lesson)


def _one_class(found: NDArray[np.float64], classes: int) -> NDArray[np.float64]:
    return np.eye(classes)[int(found[0])] if len(found) else np.full(classes, 1 / classes)


def _answered(part: Part, question: str, x: NDArray[np.float32]) -> NDArray[np.float32]:
    answer = run_part(part, x)
    return answer[:, 0].clip(0, 1) if question == "rul" else answer
