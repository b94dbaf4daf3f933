"""Figures of a bundle on held-out assets, through `Bundle.score`, and of the baselines by the same metrics."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.questions import is_health, questions_of
from foretwin.contract.twin import Twin
from foretwin.dataset.known_rows import truncate_known
from foretwin.dataset.table import KEY, fault_column
from foretwin.dataset.windows import Histories, last_rows
from foretwin.errors import RegistryError
from foretwin.evaluation.answer_figures import answer_figures, health_figures, interval_figures
from foretwin.metrics import accuracy, calibration_error, coverage, macro_f1, negative_log_likelihood, rul_metrics
from foretwin.predictor.bundle import Bundle, probability_column
from foretwin.predictor.health.health_state import BASELINE, FLEET, OWN


@dataclass(frozen=True)
class Truth:
    """Labels of N predictions; arrays (N,)."""

    rul: NDArray[np.float64]  # in the contract's time unit, uncapped, NaN = unknown, inf = the cap or more
    faults: dict[str, NDArray[np.int64]]  # axis -> class, -1 = unknown
    subset: NDArray[np.str_]  # the subset of the data that has separate figures, else ""

    @classmethod
    def of(cls, test_rows: pd.DataFrame, contract: Twin) -> "Truth":
        """Take the labels of the last row of each truncated asset, in the order of `Bundle.score`."""
        last = test_rows.iloc[last_rows(test_rows)]
        faults = {axis: last[fault_column(axis)].to_numpy(np.int64) for axis in contract.axes}
        return cls(last["rul"].to_numpy(np.float64), faults, last["subset"].to_numpy(np.str_))

    def part(self, chosen: NDArray[np.bool_]) -> "Truth":
        """Select some of the predictions; chosen (N,)."""
        faults = {axis: classes[chosen] for axis, classes in self.faults.items()}
        return Truth(self.rul[chosen], faults, self.subset[chosen])


@dataclass(frozen=True)
class HeldOut:
    """Labels, assets and regimes of N held-out windows; arrays (N,), in the order of `Bundle.score`."""

    truth: Truth
    assets: NDArray[np.str_]  # asset of each window, without the suffix that `truncate` adds
    regimes: NDArray[np.int64]  # operating regime of the last row

    @classmethod
    def of(cls, test_rows: pd.DataFrame, bundle: Bundle) -> Self:
        """Build from rows of `truncate`; the regimes are those of the bundle's training."""
        last = test_rows.iloc[last_rows(test_rows)]
        values = last[list(bundle.contract.channel_names)].to_numpy(np.float32)
        assets = last["asset"].str.rpartition("@")[0].to_numpy(np.str_)
        return cls(Truth.of(test_rows, bundle.contract), assets, bundle.reference.regimes.nearest(values))

    def part(self, chosen: NDArray[np.bool_]) -> Self:
        """Select some of the windows; chosen (N,)."""
        return type(self)(self.truth.part(chosen), self.assets[chosen], self.regimes[chosen])


@dataclass(frozen=True)
class Predictions:
    """Predictions for N held-out windows; arrays (N,), in the order of `Truth`."""

    rul: NDArray[np.float64] | None  # from 0 to the cap, in the contract's time unit; None without an RUL
    faults: dict[str, NDArray[np.int64]]  # axis -> the most probable class
    low: NDArray[np.float64] | None = None  # ends of the RUL interval, where the predictor gives one
    high: NDArray[np.float64] | None = None
    level: float | None = None  # share of truths that the interval should cover
    answers: dict[str, NDArray[np.int64]] = field(default_factory=dict)  # axis -> the answer given, -1 = "unknown"
    confidence: float | None = None  # share of the answers given that should be right

    def part(self, chosen: NDArray[np.bool_]) -> Self:
        """Select the predictions of some windows; chosen (N,)."""
        rul, low, high = (None if value is None else value[chosen] for value in (self.rul, self.low, self.high))
        faults = {axis: classes[chosen] for axis, classes in self.faults.items()}
        answers = {axis: classes[chosen] for axis, classes in self.answers.items()}
        return type(self)(rul, faults, low, high, self.level, answers, self.confidence)


def predict(bundle: Bundle, test_rows: pd.DataFrame) -> Predictions:
    """Predict rows of `truncate` by the bundle: one prediction per asset name."""
    return predictions_of(bundle, bundle.score(test_rows))


def predictions_of(bundle: Bundle, scores: pd.DataFrame) -> Predictions:
    """Take the predictions from a table of `Bundle.score`."""
    faults = {axis: predicted_class(scores, bundle.contract, axis) for axis in bundle.contract.axes}
    answers = {axis: given_answers(scores, bundle.contract, axis) for axis in bundle.contract.axes}
    sure = min((one.level for one in bundle.fault_calibration.values()), default=None)
    if bundle.contract.rul is None:
        return Predictions(None, faults, answers=answers, confidence=sure)
    rul, low, high = (scores[name].to_numpy(np.float64) for name in ("rul", "rul_low", "rul_high"))
    level = bundle.calibration.level if bundle.calibration else None
    return Predictions(rul, faults, low, high, level, answers, sure)


def write_baselines(said: Mapping[str, Predictions], scores: pd.DataFrame, path: Path) -> None:
    """Write each baseline's predictions for the windows of a table of scores.

    The columns are asset, run and time of the scores, `<baseline>/rul` and `<baseline>/<axis>`; and for candidates of a
    blend, which tell classes only where they are sure, `<baseline>/<axis>/answer`.
    """
    columns: dict[str, Any] = {name: scores[name] for name in KEY}
    for name, predictions in said.items():
        columns |= {f"{name}/rul": predictions.rul} if predictions.rul is not None else {}
        columns |= {f"{name}/{axis}": classes.astype(np.int16) for axis, classes in predictions.faults.items()}
        columns |= {f"{name}/{axis}/answer": given.astype(np.int16) for axis, given in predictions.answers.items()}
    pd.DataFrame(columns).to_parquet(path, index=False)


def read_baselines(path: Path, contract: Twin, test_rows: pd.DataFrame) -> dict[str, Predictions]:
    """Read the predictions of `write_baselines` for these rows; RegistryError where missing or of other rows."""
    fix = f"run `dvc repro data/{contract.name}/dvc.yaml:evaluate`"
    try:
        table = pd.read_parquet(path)
    except FileNotFoundError:
        raise RegistryError(f"{path}: not found; {fix}") from None
    last = test_rows.iloc[last_rows(test_rows)]
    if any(name not in table or table[name].tolist() != last[name].tolist() for name in KEY):
        raise RegistryError(f"{path}: made for other held-out windows; {fix}")
    names = list(dict.fromkeys(column.split("/")[0] for column in table.columns if "/" in column))
    wanted = [f"{name}/{question}" for name in names for question in questions_of(contract)]
    absent = [column for column in wanted if column not in table]
    if absent:
        raise RegistryError(f"{path}: has no column {absent[0]}; {fix}")
    return {
        name: Predictions(
            rul=table[f"{name}/rul"].to_numpy(np.float64) if contract.rul else None,
            faults={axis: table[f"{name}/{axis}"].to_numpy(np.int64) for axis in contract.axes},
            answers={
                axis: table[column].to_numpy(np.int64)
                for axis in contract.axes
                if (column := f"{name}/{axis}/answer") in table
            },
        )
        for name in names
    }


def figures_of(bundle: Bundle, scores: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    """Compute the figures of a table of `Bundle.score`; its rows are in the order of `truth`.

    Where the data have named subsets, `subsets` holds the same figures for each of them.
    """
    return _with_subsets(lambda chosen: _scored(bundle, scores[chosen], truth.part(chosen)), truth)


def figures(
    contract: Twin, truth: Truth, rul: NDArray[np.float64] | None, faults: list[NDArray[np.int64]]
) -> dict[str, Any]:
    """Compute the figures of any predictor: RUL (N,) in time units, class (N,) per axis; `subsets` as `figures_of`."""

    def of_part(chosen: NDArray[np.bool_]) -> dict[str, Any]:
        part = None if rul is None else rul[chosen]
        return _predicted(contract, truth.part(chosen), part, [classes[chosen] for classes in faults])

    return _with_subsets(of_part, truth)


def _with_subsets(measured: Callable[[NDArray[np.bool_]], dict[str, Any]], truth: Truth) -> dict[str, Any]:
    """Apply `measured` to all N predictions and to those of each subset; its argument is a mask (N,)."""
    result = measured(np.ones(len(truth.subset), dtype=bool))
    names = [str(name) for name in np.unique(truth.subset) if name]
    if names:
        result["subsets"] = {name: measured(truth.subset == name) for name in names}
    return result


def _scored(bundle: Bundle, scores: pd.DataFrame, truth: Truth) -> dict[str, Any]:
    contract = bundle.contract
    rul = scores["rul"].to_numpy() if contract.rul else None
    result = _predicted(contract, truth, rul, [predicted_class(scores, contract, axis) for axis in contract.axes])
    if contract.rul and bundle.calibration:
        low, high = scores["rul_low"].to_numpy(), scores["rul_high"].to_numpy()
        result["rul"]["interval"] = {
            "level": bundle.calibration.level,
            "coverage": coverage(low, high, np.minimum(truth.rul, contract.rul.cap)),
            "width": float(np.mean(high - low)),
            **interval_figures(contract, scores["rul"].to_numpy(), low, high, truth.rul),
        }
    for axis in contract.axes:
        result["fault"][axis] |= _confidence_figures(contract, axis, scores, truth.faults[axis])
    return result


def _predicted(
    contract: Twin, truth: Truth, rul: NDArray[np.float64] | None, faults: list[NDArray[np.int64]]
) -> dict[str, Any]:
    result: dict[str, Any] = {}
    if contract.rul and rul is not None:
        result["rul"] = rul_metrics(rul, truth.rul, contract.rul.cap)
    if contract.axes:
        result["fault"] = {
            axis: {
                "macro_f1": macro_f1(predicted, truth.faults[axis], len(contract.classes(axis))),
                "accuracy": accuracy(predicted, truth.faults[axis]),
                **(health_figures(predicted, truth.faults[axis], contract) if is_health(axis, contract) else {}),
            }
            for axis, predicted in zip(contract.axes, faults, strict=True)
        }
    return result


def predicted_class(scores: pd.DataFrame, contract: Twin, axis: str) -> NDArray[np.int64]:
    """Return the most probable class (N,) of an axis."""
    most_probable: NDArray[np.int64] = _probabilities(scores, contract, axis).argmax(axis=1)
    return most_probable


def given_answers(scores: pd.DataFrame, contract: Twin, axis: str) -> NDArray[np.int64]:
    """Return what users are told of an axis: a class (N,), or -1 for "unknown"."""
    given: NDArray[np.int64] = pd.Index(contract.classes(axis)).get_indexer(pd.Index(scores[axis])).astype(np.int64)
    return given


def _probabilities(scores: pd.DataFrame, contract: Twin, axis: str) -> NDArray[np.float64]:
    """Return the probabilities (N, K) of the axis' classes."""
    return scores[[probability_column(axis, name) for name in contract.classes(axis)]].to_numpy(np.float64)


def _confidence_figures(contract: Twin, axis: str, scores: pd.DataFrame, truth: NDArray[np.int64]) -> dict[str, float]:
    """Compute calibration, share of "unknown" answers, and accuracy of the others; truth (N,).

    Predictions whose truth is unknown do not count.
    """
    probabilities = _probabilities(scores, contract, axis)
    given = given_answers(scores, contract, axis)
    return {
        "nll": negative_log_likelihood(probabilities, truth),
        "ece": calibration_error(probabilities, truth),
        "unknown": float(np.mean(given[truth >= 0] < 0)) if (truth >= 0).any() else float("nan"),
        "accuracy_answered": accuracy(given[given >= 0], truth[given >= 0]),
        **answer_figures(given, truth, len(contract.classes(axis))),
        **(_told_figures(contract, scores, given, truth) if is_health(axis, contract) else {}),
    }


def _told_figures(
    contract: Twin, scores: pd.DataFrame, given: NDArray[np.int64], truth: NDArray[np.int64]
) -> dict[str, Any]:
    """Compute the figures of what users are told of health, (N,), and of each baseline that told some of it."""
    found: dict[str, Any] = dict(health_figures(given, truth, contract))
    if BASELINE in scores and (scores[BASELINE] == OWN).any():
        by = {name: (scores[BASELINE] == name).to_numpy() for name in (OWN, FLEET)}
        parts = {name: health_figures(given[of], truth[of], contract) for name, of in by.items() if of.any()}
        found["by_baseline"] = {name: {"windows": int(by[name].sum()), **one} for name, one in parts.items()}
    return found


def along_run(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame | None:
    """Score each row of one run, with the truth as `true_rul`; None where nobody knows how long the run was."""
    contract = bundle.contract
    if contract.rul is None or not np.isfinite(rows["rul"]).any():
        return None
    ends = Histories.from_rows(rows, contract).ends(contract.window.shortest)
    scores = bundle.score(truncate_known(rows, ends, contract))
    return scores.assign(true_rul=rows["rul"].to_numpy()[ends])
