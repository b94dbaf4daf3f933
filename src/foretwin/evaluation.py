"""Measure a bundle on held-out assets through `Bundle.score`, and the baselines beside it by the same metrics."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.bundle import Bundle, probability_column
from foretwin.contract import Twin
from foretwin.metrics import accuracy, coverage, macro_f1, rul_metrics
from foretwin.rows import fault_column
from foretwin.windows import last_rows


@dataclass(frozen=True)
class Truth:
    """What is known of N predictions; arrays (N,)."""

    rul: NDArray[np.float64]  # in the contract's time unit, uncapped, NaN = unknown
    faults: dict[str, NDArray[np.int64]]  # axis -> class, -1 = unknown

    @classmethod
    def of(cls, test_rows: pd.DataFrame, contract: Twin) -> "Truth":
        """The labels of the last row of each truncated asset, in the order in which `Bundle.score` answers."""
        last = test_rows.iloc[last_rows(test_rows)]
        faults = {axis: last[fault_column(axis)].to_numpy(np.int64) for axis in contract.axes}
        return cls(last["rul"].to_numpy(np.float64), faults)


def measure(bundle: Bundle, test_rows: pd.DataFrame) -> dict[str, Any]:
    """The figures of the bundle on rows that `truncate` made: one prediction per asset name."""
    return figures_of(bundle, bundle.score(test_rows), Truth.of(test_rows, bundle.contract))


def figures_of(bundle: Bundle, scores: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    """The figures of a table that `Bundle.score` returned; its rows are in the order of `truth`."""
    contract = bundle.contract
    rul = scores["rul"].to_numpy() if contract.rul else None
    result = figures(contract, truth, rul, [predicted_class(scores, contract, axis) for axis in contract.axes])
    if contract.rul and bundle.calibration:
        low, high = scores["rul_low"].to_numpy(), scores["rul_high"].to_numpy()
        result["rul"]["interval"] = {
            "level": bundle.calibration.level,
            "coverage": coverage(low, high, np.minimum(truth.rul, contract.rul.cap)),
            "width": float(np.mean(high - low)),
        }
    return result


def figures(
    contract: Twin, truth: Truth, rul: NDArray[np.float64] | None, faults: list[NDArray[np.int64]]
) -> dict[str, Any]:
    """The figures of any predictor: RUL (N,) in time units, class (N,) per axis."""
    result: dict[str, Any] = {}
    if contract.rul and rul is not None:
        result["rul"] = rul_metrics(rul, truth.rul, contract.rul.cap)
    if contract.axes:
        result["fault"] = {
            axis: {
                "macro_f1": macro_f1(predicted, truth.faults[axis], len(contract.classes(axis))),
                "accuracy": accuracy(predicted, truth.faults[axis]),
            }
            for axis, predicted in zip(contract.axes, faults, strict=True)
        }
    return result


def predicted_class(scores: pd.DataFrame, contract: Twin, axis: str) -> NDArray[np.int64]:
    """(N,) the most probable class of an axis."""
    columns = [probability_column(axis, name) for name in contract.classes(axis)]
    most_probable: NDArray[np.int64] = scores[columns].to_numpy().argmax(axis=1)
    return most_probable
