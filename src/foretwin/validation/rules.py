"""Rules of a contract for its data; each is one expectation of Great Expectations.

Rules are plain data, so that they can be listed and tested without importing Great Expectations.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pandas as pd

from foretwin.contract.policy import Quality
from foretwin.contract.questions import RUL, labelled_questions
from foretwin.contract.twin import Twin
from foretwin.dataset.table import KEY, column_types, fault_column


@dataclass(frozen=True)
class Rule:
    """A rule for the columns of the canonical table, or for a measure of its profile."""

    words: str
    column: str  # of the canonical table; for the user
    expectation: str  # the class in great_expectations.expectations
    arguments: Mapping[str, Any]

    @property
    def measure(self) -> str:
        """Return the column that the expectation checks: of the profile, or of the columns' types."""
        return str(self.arguments.get("column", ""))


def column_types_found(rows: pd.DataFrame) -> pd.DataFrame:
    """Return a single row with the dtype of each column as text.

    On the table itself, Great Expectations does not distinguish nullable numbers from a column of objects.
    """
    return pd.DataFrame([[str(dtype) for dtype in rows.dtypes]], columns=rows.columns)


def column_rules(rows: pd.DataFrame, contract: Twin) -> list[Rule]:
    """Return the rules for columns, order and types, for `column_types_found`; they are checked first."""
    types = column_types(contract)
    rules = [
        Rule(
            f"the columns are {', '.join(types)}, in this order",
            "columns",
            "ExpectTableColumnsToMatchOrderedList",
            {"column_list": list(types)},
        )
    ]
    if list(rows.columns) == list(types):
        rules += [_among(name, [dtype], f"{name} is of type {dtype}") for name, dtype in types.items()]
    return rules


def row_rules(contract: Twin) -> list[Rule]:
    """Return the rules for every row by itself, or against all others, for `Profile.rows`."""
    needed = (name for name, channel in contract.channels.items() if not channel.may_be_missing)
    known = (*KEY, *needed, "fixed_split", "subset")
    rules = [_none(f"{name} is present on every row", name, f"absent_{name}") for name in known]
    rules += [
        _none("asset has a name", "asset", "unnamed"),
        _none("time is finite", "time", "outside_time"),
        _none("asset, run and time together are unique", "time", "repeated"),
        _none(
            f"fixed_split is empty{', the number of a fold,' if contract.has_split else ''} or test",
            "fixed_split",
            "outside_fixed_split",
        ),
    ]
    for name, channel in contract.channels.items():
        unit = "" if channel.unit == "1" else f" {channel.unit}"
        words = f"{name} stays within {channel.min:g} to {channel.max:g}{unit}"
        if channel.categories is not None:
            words = f"{name} is the number of one of its {len(channel.categories)} words, or 0"
        rules.append(_none(words, name, f"outside_{name}"))
    if contract.rul:
        rules.append(_none("rul is 0 or more, or unknown", "rul", "outside_rul"))
    for column in map(fault_column, contract.axes):
        last = len(contract.classes(column.removeprefix("fault_"))) - 1
        words = f"{column} is a class from 0 to {last}, or -1 for unknown"
        rules.append(_none(words, column, f"outside_{column}"))
    return rules


def run_rules(contract: Twin) -> list[Rule]:
    """Return the rules for each run, for `Profile.runs`."""
    quality, whole = contract.quality, "an asset" if contract.holdout.by == "asset" else "a run"
    rules = [
        _between("time rises from row to row within a run", "time", {"column": "out_of_order", "max_value": 0}),
        _between("the rows of a run stand together", "run", {"column": "further_stretches", "max_value": 0}),
        _between(
            f"{whole} is wholly in the fixed test set or outside it",
            "fixed_split",
            {"column": "mixed_split", "max_value": 0},
        ),
        _between(
            f"a run has at least {quality.min_run_rows} rows (quality.min_run_rows)",
            "run",
            {"column": "rows", "min_value": quality.min_run_rows},
        ),
    ]
    if contract.rul:
        words = "rul falls by as much as time rises within a run"
        rules.append(_between(words, "rul", {"column": "rul_out_of_step", "max_value": 0}))
    for name, channel in contract.channels.items():
        if quality.max_stuck_rows is None or channel.role != "sensor" or name in quality.may_be_constant:
            continue
        words = f"{name} is unchanged for at most {quality.max_stuck_rows} rows (quality.max_stuck_rows)"
        rules.append(_between(words, name, {"column": f"stuck_{name}", "max_value": quality.max_stuck_rows}))
    return rules


def fleet_rules(contract: Twin) -> list[Rule]:
    """Return the rules for the whole table, for `Profile.fleet`."""
    quality = contract.quality
    least: list[tuple[str, str, str, float]] = [
        (f"at least {quality.min_assets} assets (quality.min_assets)", "asset", "assets", quality.min_assets)
    ]
    # With health, labels may come later, by verdicts: only what somebody wrote down is asked for then.
    asked = set(Quality.model_fields) if contract.health is None else quality.model_fields_set
    questions = labelled_questions(contract)
    if RUL in questions and "min_failures" in asked:
        words = f"at least {quality.min_failures} runs outside the fixed test set reach rul 0 (quality.min_failures)"
        least.append((words, "rul", "failures", quality.min_failures))
    if RUL in questions and "min_known_rul" in asked:
        words = f"rul is known on at least {quality.min_known_rul:.0%} of the rows (quality.min_known_rul)"
        least.append((words, "rul", "known_rul", quality.min_known_rul))
    for column in (fault_column(name) for name in questions if name != RUL and "min_known_faults" in asked):
        words = f"{column} is known on at least {quality.min_known_faults:.0%} of the rows (quality.min_known_faults)"
        least.append((words, column, f"known_{column}", quality.min_known_faults))
    least += [
        (f"{name} takes at least 2 values (quality.may_be_constant)", name, f"distinct_{name}", 2)
        for name in contract.channel_names
        if name not in quality.may_be_constant
    ]
    rules = [_between(words, column, {"column": measure, "min_value": low}) for words, column, measure, low in least]
    most = 1.0 if quality.max_missing is None else quality.max_missing
    for name in (contract.channel_names[i] for i in contract.may_be_missing):
        words = f"{name} is missing on at most {most:.0%} of the rows (quality.max_missing)"
        rules.append(_between(words, name, {"column": f"missing_{name}", "max_value": most}))
    words = "no two assets have one name in two spellings (source.spellings)"
    rules.append(_between(words, "asset", {"column": "respelt", "max_value": 0}))
    for name in contract.channel_names:
        if name not in quality.allow:
            words = f"{name} does not tell a label, or the age of the run, by itself; leave it out or set quality.allow"
            rules.append(_between(words, name, {"column": f"tells_{name}", "max_value": 0}))
    return rules


def _none(words: str, column: str, measure: str) -> Rule:
    """Return the rule that no row breaks; `measure` counts those that do."""
    return _between(words, column, {"column": measure, "max_value": 0})


def _among(column: str, values: list[Any], words: str) -> Rule:
    return Rule(words, column, "ExpectColumnValuesToBeInSet", {"column": column, "value_set": values})


def _between(words: str, column: str, arguments: dict[str, Any]) -> Rule:
    return Rule(words, column, "ExpectColumnValuesToBeBetween", {"column": column, **arguments})
