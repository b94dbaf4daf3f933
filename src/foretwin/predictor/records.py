"""Scores as plain values, one record per asset, for the scoring service and the living twin."""

from typing import Any, NamedTuple

from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import Answers, probability_column
from foretwin.predictor.failure_chances import failure_column, horizon_name


class ScoreRecord(NamedTuple):
    """The score of one asset; RUL and interval in the contract's unit, None where the twin has none."""

    asset: Any  # a name or an id, as the tracks had it
    run: int
    time: float  # of the last row
    rows: int  # that the prediction saw
    rul: float | None
    rul_low: float | None
    rul_high: float | None
    faults: dict[str, dict[str, float]]  # axis -> class -> probability
    diagnosis: dict[str, str]  # axis -> class or unknown
    warnings: list[str]
    p_failure: dict[str, float]  # horizon -> chance of a failure within it; empty where the contract names none


def score_records(contract: Twin, answers: Answers) -> list[ScoreRecord]:
    """Return the scores of A assets, in order."""
    columns = {name: values.tolist() for name, values in answers.columns.items()}
    places, nothing = range(len(answers.rows)), [None] * len(answers.rows)
    rul = [columns.get(name, nothing) for name in ("rul", "rul_low", "rul_high")]
    axes = [(axis, _probabilities(contract, axis, columns)) for axis in contract.axes]
    faults = [{axis: {name: column[i] for name, column in classes} for axis, classes in axes} for i in places]
    diagnosis = [{axis: columns[axis][i] for axis, _ in axes} for i in places]
    key = [column.tolist() for column in (answers.assets, answers.runs, answers.time, answers.rows)]
    horizons = contract.rul.horizons if contract.rul else ()
    named = [(horizon_name(one), columns[failure_column(one)]) for one in horizons]
    chances = [{name: column[i] for name, column in named} for i in places]
    return list(map(ScoreRecord, *key, *rul, faults, diagnosis, columns["warnings"], chances))


def _probabilities(contract: Twin, axis: str, columns: dict[str, list[Any]]) -> list[tuple[str, list[float]]]:
    """Return each class with its probabilities (A,)."""
    return [(name, columns[probability_column(axis, name)]) for name in contract.classes(axis)]
