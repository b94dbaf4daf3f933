"""Figures of what users are told: intervals below the cap, on the late side and by band; the fault answers given.

Bands end at 0: their edges double from a ninth of the longest lead time on, since the last hours decide and the first
ones hardly matter.
"""

from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from foretwin.contract.false_alarms import chances_a_year
from foretwin.contract.lead_times import longest_lead_time
from foretwin.contract.twin import Twin
from foretwin.evaluation.resampling import band_name
from foretwin.metrics import accuracy, coverage, macro_f1, rmse

FIRST_BAND = 1 / 9  # of the longest lead time
LATE_LIFE_SHARE = 1 / 3  # of the longest lead time: what is left of a life when a planner can no longer wait


def life_bands(contract: Twin, values: NDArray[np.float64]) -> dict[str, NDArray[np.bool_]]:
    """Return masks (N,) by band of remaining lives (N,): 0 to a ninth of the lead time, to two ninths, to four, ..."""
    cap = contract.rul.cap if contract.rul else 0.0
    edges = [0.0]
    while edges[-1] < cap:
        edges.append(min(cap, 2 * edges[-1] or max(longest_lead_time(contract) * FIRST_BAND, cap / 64)))
    return {band_name(low, high, 4): (values >= low) & (values < high) for low, high in pairwise(edges)}


def interval_figures(
    contract: Twin,
    rul: NDArray[np.float64],
    low: NDArray[np.float64],
    high: NDArray[np.float64],
    truth: NDArray[np.float64],
) -> dict[str, Any]:
    """Compute coverage below the cap, the share of ends before `low`, and both with RMSE and bias by band; all (N,).

    `late_side` counts the known truths before the interval: there the latest safe date lies after the failure. Bands
    are of true and of predicted life; those without any are left out.
    """
    cap = contract.rul.cap if contract.rul else np.inf
    below, capped = truth < cap, np.minimum(truth, cap)

    def of_band(inside: NDArray[np.bool_]) -> dict[str, float | int]:
        return {
            "count": int(inside.sum()),
            "coverage": coverage(low[inside], high[inside], capped[inside]),
            "late_side": late_share(low[inside], capped[inside]),
            "rmse": rmse(rul[inside], capped[inside]),
            "bias": float(np.mean(rul[inside] - capped[inside])),
        }

    known = ~np.isnan(truth)
    of_truth, of_answer = life_bands(contract, truth), life_bands(contract, rul)
    of_answer = {name: inside & known for name, inside in of_answer.items()}
    return {
        "below_cap": coverage(low[below], high[below], capped[below]),
        "late_side": late_share(low, capped),
        "bands": {name: of_band(inside) for name, inside in of_truth.items() if inside.any()},
        "bands_predicted": {name: of_band(inside) for name, inside in of_answer.items() if inside.any()},
    }


def late_share(low: NDArray[np.float64], truth: NDArray[np.float64]) -> float:
    """Compute the share of the known truths (N,) that lie before the lower end (N,)."""
    known = ~np.isnan(truth)
    return float(np.mean(truth[known] < low[known])) if known.any() else float("nan")


def health_figures(given: NDArray[np.int64], truth: NDArray[np.int64], contract: Twin) -> dict[str, float | int]:
    """Compute the share of departures told, and of false alarms among normal windows, of answers (N,), -1 = unknown.

    `false_alarms` is what that share comes to per machine and year; `normal_windows` say how much it can show.
    """
    normal, departed = truth == 0, truth == 1
    alarms = float(np.mean(given[normal] == 1)) if normal.any() else float("nan")
    return {
        "detected": float(np.mean(given[departed] == 1)) if departed.any() else float("nan"),
        "alarm_share": alarms,
        "false_alarms": alarms * chances_a_year(contract),
        "normal_windows": int(normal.sum()),
    }


def answer_figures(given: NDArray[np.int64], truth: NDArray[np.int64], classes: int) -> dict[str, float]:
    """Compute share answered, share right of the answers, and macro-F1 of the answers given (N,), -1 = unknown.

    To answer "unknown" is to miss the class, as far as the macro-F1 goes.
    """
    known = truth >= 0
    answered = known & (given >= 0)
    return {
        "answered": float(np.mean(given[known] >= 0)) if known.any() else float("nan"),
        "right_of_answered": accuracy(given[answered], truth[answered]),
        "macro_f1_of_answers": macro_f1(given, truth, classes),
    }
