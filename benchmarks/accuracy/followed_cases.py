"""Machines followed hour by hour through the rules by which cases open, merge, escalate and close."""

from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from foretwin.cli.models.scored_steps import score_every_row
from foretwin.contract.twin import Twin
from foretwin.predictor.bundle import Bundle, probability_column
from foretwin.twin.cases.rules import Close, Merge, Open, OpenCase, decide_cases
from foretwin.twin.store.scoring.scores import Score

YEAR = 8766.0  # h
NOW = datetime(2026, 1, 1, tzinfo=UTC)  # no rule looks at it


@dataclass(frozen=True)
class Alarms:
    """When a machine came to have an open case, in its own time, and whether it had one at its end."""

    began: tuple[float, ...] = ()
    stands: bool = False

    def warning(self, end: float) -> float:
        """Return for how long before its end a case had been open; 0 where none was."""
        return end - self.began[-1] if self.stands else 0.0


def followed(bundle: Bundle, file: Path) -> dict[str, Alarms]:
    """Score every row of a file with enough history; return the alarms of each asset, one run each."""
    return alarms_by_asset(score_every_row(bundle, file), bundle.contract)


def alarms_by_asset(scores: pd.DataFrame, contract: Twin) -> dict[str, Alarms]:
    """Return the alarms of each asset, one run each; columns as in `alarms_of`."""
    names = scores["asset"].astype(str)
    return {str(name): alarms_of(part, contract) for name, part in scores.groupby(names, sort=False)}


def alarms_of(scores: pd.DataFrame, contract: Twin) -> Alarms:
    """Return the alarms of one run; `scores` are its rows in order of time, with the columns of `Bundle.score`.

    Without probabilities no fault has a name.
    """
    cases: list[OpenCase] = []
    began: list[float] = []
    number = 0
    for score in _scores(scores, contract):
        before = bool(cases)
        for change in decide_cases(cases, score, contract):
            if isinstance(change, Open):
                number += 1
                cases = [*cases, OpenCase(number, change.fault, "open", change.severity, 1)]
            elif isinstance(change, Close | Merge):
                cases = [case for case in cases if case.id != change.case.id]
        if cases and not before:
            began.append(score.time)
    return Alarms(tuple(began), bool(cases))


def _scores(scores: pd.DataFrame, contract: Twin) -> list[Score]:
    """Return the rows as the rules take them."""
    columns = {name: scores[name].tolist() for name in ("time", "warnings", *_rul_columns(scores))}
    chances = {
        (axis, name): scores[probability_column(axis, name)].tolist()
        for axis in contract.axes
        for name in contract.classes(axis)
        if probability_column(axis, name) in scores
    }
    bare = Score(0, 1, 0.0, 0, NOW, 0.0, 1, None, None, None, {}, {}, [])
    found = []
    for i in range(len(scores)):
        faults: dict[str, dict[str, float]] = {axis: {} for axis in contract.axes}
        for (axis, name), values in chances.items():
            faults[axis][name] = values[i]
        own: dict[str, Any] = {name: values[i] for name, values in columns.items()}
        found.append(replace(bare, faults=faults, **own))
    return found


def _rul_columns(scores: pd.DataFrame) -> tuple[str, ...]:
    return tuple(name for name in ("rul", "rul_low", "rul_high") if name in scores)
