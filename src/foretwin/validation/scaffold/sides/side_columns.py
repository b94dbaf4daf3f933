"""Columns of a table beside an unknown table of readings: which are the time and the machine, by content and names."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pandas as pd

from foretwin.dataset.machine_names import spelling_key
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.guess.survey import Survey
from foretwin.sources.files.times import epoch_instants
from foretwin.sources.tabular import is_missing, texts
from foretwin.validation.scaffold.column_names import ASSET_NAMES, TIME_NAMES, squashed
from foretwin.validation.scaffold.column_times import epoch_unit
from foretwin.validation.scaffold.label_columns import is_flag


@dataclass(frozen=True)
class SurveyedReadings:
    """What the tables are joined to: the column of the machines and their names, the rows' times, and the clock."""

    asset: str
    names: frozenset[str]
    times: "pd.Series[Any]"  # instants in UTC, or numbers
    unit: str
    seconds: float  # of the unit; 1 where it is no time
    step: float

    @property
    def stamped(self) -> bool:
        """Return whether the times are instants."""
        return pd.api.types.is_datetime64_any_dtype(self.times)


@dataclass
class SideTable:
    """A table as it is looked at: the columns that are left to be guessed, and what is known."""

    name: str
    survey: Survey
    readings: SurveyedReadings
    fields: dict[str, Any]
    remarks: dict[str, str]
    free: list[str]
    times: "pd.Series[Any] | None" = None
    likely: dict[str, Any] = field(default_factory=dict)  # fields to read it with, where the user is asked

    @property
    def frame(self) -> pd.DataFrame:
        """Return the rows as the survey typed them."""
        return self.survey.frame

    def keys(self, column: str) -> "pd.Series[str]":
        """Return the cells of a column as keys of machines' names."""
        names = texts(self.frame[column])
        return names.map({name: spelling_key(name) for name in names.unique()})


def look_at_side(name: str, survey: Survey, path: str, readings: SurveyedReadings) -> SideTable:
    """Return a table with its columns of time and machine found."""
    kept = {key: value for key, value in survey.fields.items() if key != "asset"}
    remarks = {key: reason for key, reason in survey.remarks.items() if key in kept}
    free = [str(column) for column in survey.frame.columns if column != SINGLE]
    side = SideTable(name, survey, readings, {"path": path, **kept}, remarks, free)
    if side.fields.get("thousands") == "ask":
        side.likely["thousands"] = None
    if name != "assets":
        _find_time(side)
    _find_asset(side)
    return side


def _find_time(side: SideTable) -> None:
    """Take the fullest column of times; of equal ones, the one that is named as a time, or the first."""
    found: dict[str, tuple[pd.Series[Any], str | None, str]] = {}
    for column in side.free:
        form, values = side.survey.forms.get(column), side.frame[column]
        unit = epoch_unit(values)
        if form is not None and form.form != "duration":
            found[column] = (form.times, form.form, form.remark)
        elif pd.api.types.is_datetime64_any_dtype(values):
            found[column] = (pd.to_datetime(values, utc=True), None, "")
        elif unit is not None and side.readings.stamped:
            instants = epoch_instants(np.asarray(values, np.float64), f"epoch_{unit}")
            found[column] = (instants, f"epoch_{unit}", "numbers since 1970")
        elif not side.readings.stamped and pd.api.types.is_numeric_dtype(values):
            found[column] = (values.astype("float64"), None, "")
    if not side.readings.stamped:
        named = {column: one for column, one in found.items() if squashed(column) in TIME_NAMES}
        found = named or found
    if not found:
        raise SourceError(f"{side.survey.table.shown}: no column seems to hold the time; name one `time`")
    order = {column: (-one[0].notna().sum(), squashed(column) not in TIME_NAMES) for column, one in found.items()}
    column = min(found, key=lambda one: order[one])
    side.times, written, remark = found[column]
    side.fields["time"], side.remarks["time"] = column, "when it happened"
    if written is not None:
        side.fields["time_format"], side.remarks["time_format"] = written, remark
    asked = side.survey.forms.get(column)
    if asked is not None and asked.likely:
        side.likely["time_format"] = asked.likely
    side.free = [one for one in side.free if one not in found]


def _find_asset(side: SideTable) -> None:
    """Take the column that is named as that of the readings, or as machines are, or holds their names."""
    own = [column for column in side.free if squashed(column) == squashed(side.readings.asset)]
    shared = {column: len(side.readings.names & set(side.keys(column))) for column in side.free}
    if side.name == "assets":  # a machine has one row
        shared = {column: count for column, count in shared.items() if not side.keys(column).duplicated().any()}
    usual = [column for name in ASSET_NAMES for column in side.free if squashed(column) == name]
    most = max(shared, key=lambda column: shared[column], default=None)
    held = [most] if most is not None and shared[most] else []
    groups = [c for c in side.free if not pd.api.types.is_numeric_dtype(side.frame[c]) and _repeats(side.frame[c])]
    column = next(iter([*[one for one in own if one in shared], *held, *usual, *groups]), None)
    if column is None:
        if side.name == "events" or len(side.readings.names) == 1:
            return
        raise SourceError(f"{side.survey.table.shown}: no column seems to name the machine; name one `asset`")
    side.free.remove(column)
    if side.name == "events" and len(side.readings.names) == 1 and not shared.get(column):
        side.remarks["time"] += "; `asset` is not set, so that each event is of the readings' only machine"
        return
    side.fields["asset"], side.remarks["asset"] = column, "names the machine"


def _repeats(values: "pd.Series[Any]") -> bool:
    text = texts(values)
    return not is_missing(text).any() and text.nunique() <= len(text) / 5


def few_words(side: SideTable, most: int | None = None) -> str | None:
    """Return the column of the fewest different words, of those that are mostly filled; None where there is none."""
    found = {}
    for column in side.free:
        values = side.frame[column]
        text = texts(values)
        full = text[~is_missing(text)]
        if pd.api.types.is_float_dtype(values) or len(full) < len(text) / 2 or is_flag(values):
            continue
        if most is None or full.nunique() <= most:
            found[column] = full.nunique()
    return min(found, key=lambda column: found[column], default=None)
