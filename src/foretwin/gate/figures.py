"""Figures by which the gate compares predictors, for all windows and for each resample.

The errors compared are the RMSE of the clipped RUL, in the contract's time unit, and 1 - the mean macro-F1 over the
fault axes. NaN never passes.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import stdtrit

from foretwin.contract.twin import Twin
from foretwin.evaluation.held_out import HeldOut, Predictions
from foretwin.evaluation.resampling import Resamples
from foretwin.metrics import macro_f1, rmse

RUL, FAULT = "rul_rmse", "fault_macro_f1"
TITLES = {RUL: "RUL RMSE", FAULT: "mean fault macro-F1"}

Figures = dict[str, float]  # rul_rmse in the contract's time unit, fault_macro_f1 from 0 to 1; those the twin has


@dataclass(frozen=True)
class Check:
    """The outcome of one check of the gate; several checks may share a name."""

    name: str
    passed: bool
    sentence: str  # for people, with its figures and their unit


@dataclass(frozen=True)
class PredictorFigures:
    """Figures and resampled errors of a predictor on the held-out windows of so many machines."""

    machines: int
    figures: Figures
    errors: dict[str, NDArray[np.float64]]  # question -> (B,) the error in each resample


def measure_predictor(contract: Twin, held_out: HeldOut, said: Predictions, resamples: Resamples) -> PredictorFigures:
    """Compute a predictor's figures on all windows, and its error in each resample."""
    figures, errors, truth = {}, {}, held_out.truth
    if contract.rul and said.rul is not None:
        capped = np.minimum(truth.rul, contract.rul.cap)
        figures[RUL] = rmse(said.rul, capped)
        errors[RUL] = np.sqrt(resamples.means((said.rul - capped)[:, None] ** 2)[:, 0])
    if contract.axes:
        axes = [(said.faults[axis], truth.faults[axis], len(contract.classes(axis))) for axis in contract.axes]
        figures[FAULT] = float(np.mean([macro_f1(*axis) for axis in axes]))
        errors[FAULT] = 1 - np.mean([resamples.macro_f1(*axis) for axis in axes], axis=0)
    return PredictorFigures(len(np.unique(held_out.assets)), figures, errors)


def shared_confidence(confidence: float, comparisons: int) -> float:
    """Return the confidence that each of several comparisons needs (Bonferroni), so that together they err no more."""
    return 1 - (1 - confidence) / max(1, comparisons)


def is_surely_above(drawn: NDArray[np.float64], machines: int, confidence: float) -> bool:
    """Whether a difference (B,) of resamples of so many machines is surely above 0; NaN resamples are left out.

    Resamples of few machines spread too little, and all may agree by chance: the mean difference must be as many of
    their standard deviations above 0 as Student's t asks for, each made larger by sqrt(n / (n - 1)) (Hesterberg, What
    Teachers Should Know About the Bootstrap, The American Statistician 69, 2015).
    """
    known = drawn[np.isfinite(drawn)]
    if len(known) == 0 or machines < 2:
        return False
    spread = float(np.std(known)) * math.sqrt(machines / (machines - 1))
    return float(np.mean(known)) > spread * float(stdtrit(machines - 1, confidence))


def error_of(question: str, figure: float) -> float:
    """Convert a figure to an error, of which lower is better."""
    return figure if question == RUL else 1 - figure


def figure_texts(pair: Sequence[float], question: str, unit: str) -> tuple[str, str]:
    """Format two figures with as many digits as it takes to tell them apart."""
    digits = next((n for n in (4, 6, 8) if f"{pair[0]:.{n}g}" != f"{pair[1]:.{n}g}"), 4)
    suffix = f" {unit}" if question == RUL else ""
    return f"{pair[0]:.{digits}g}{suffix}", f"{pair[1]:.{digits}g}{suffix}"


def share_text(share: float) -> str:
    """Format a share as a percentage; never rounded up, so that 100 % means all."""
    return f"{math.floor(1000 * share) / 10:g} %" if math.isfinite(share) else "an unknown share"
