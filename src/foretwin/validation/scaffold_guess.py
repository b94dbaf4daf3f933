"""Guess of the meaning of an unknown table's columns, by names and contents, for a person to check."""

import re
import unicodedata
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import pandas as pd

from foretwin.contract.twin import RESERVED
from foretwin.errors import SourceError
from foretwin.sources.labels import FALSE_WORDS, TRUE_WORDS
from foretwin.sources.tabular import TableFile, is_missing, texts

# Names in order of preference, without spaces, underscores, case and accents.
ASSET_NAMES = (
    *("asset", "assetid", "machine", "machineid", "equipment", "equipmentid", "device", "deviceid"),
    *("unit", "unitid", "unitnumber", "unitnr", "engine", "engineid", "pump", "pumpid", "turbine", "turbineid"),
    *("motor", "motorid", "vehicle", "vehicleid", "serial", "serialnumber", "id"),
)
TIME_NAMES = (
    *("timestamp", "datetime", "time", "ts", "date", "cycle", "cycles", "timecycles", "timeincycles"),
    *("operatinghours", "hour", "hours", "minute", "minutes", "second", "seconds", "day", "days", "age", "step", "t"),
)
RUN_NAMES = ("run", "runid", "runnumber", "life", "lifeid", "lifenumber", "trajectory", "episode")
FAILURE_NAMES = ("failure", "failed", "fail", "isfailure", "machinefailure", "breakdown", "brokendown", "broken")
RUL_NAMES = (
    *("rul", "remainingusefullife", "timetofailure", "ttf", "cyclestofailure", "hourstofailure"),
    *("rulcycles", "rulhours", "remaininglife"),
)
LABEL_WORDS = {"fault", "failure", "label", "anomaly", "rul", "broken", "failed"}
LABEL_NAMES = (*FAILURE_NAMES, *RUL_NAMES, "target", "class", "y")
INDEX_NAMES = {"index", "unnamed", "unnamed0"}
UNITS_BY_NAME = {
    **dict.fromkeys(("cycle", "cycles", "timecycles", "timeincycles"), "cycle"),
    **dict.fromkeys(("hour", "hours", "operatinghours"), "h"),
    **dict.fromkeys(("minute", "minutes"), "min"),
    **dict.fromkeys(("second", "seconds"), "s"),
    **dict.fromkeys(("day", "days"), "d"),
}
LARGEST_GAP = 0.5  # share of missing values that a channel may have
SETTING_VALUES = 12  # a quantity with at most this many distinct values is probably a setting


@dataclass(frozen=True)
class Guess:
    """Guessed meaning of a file's columns; `channels` maps names for the contract to columns."""

    asset: str
    time: str
    run: str | None
    failure: str | None
    rul: str | None
    channels: dict[str, str]
    left_out: dict[str, str]  # column -> reason


def guess_columns(table: TableFile, frame: pd.DataFrame) -> Guess:
    """Guess the meaning of all columns from their names and contents.

    SourceError where no column can be the time or the machine, or none is left to be a channel.
    """
    numbered = [column for column in frame.columns if not column.strip() or squashed(column) in INDEX_NAMES]
    free = {column: squashed(column) for column in frame.columns if column not in numbered}
    left_out = dict.fromkeys(numbered, "looks like a row number")
    time = _time_column(table, frame, free)
    del free[time]
    asset = _named(free, ASSET_NAMES) or next((column for column in free if _groups(frame[column])), None)
    if asset is None:
        raise SourceError(f"{table.shown}: no column seems to name the machine; name one `asset`")
    del free[asset]
    run = _taken(free, RUN_NAMES, lambda column: not is_missing(texts(frame[column])).any())
    failure = _taken(free, FAILURE_NAMES, lambda column: _is_flag(frame[column]))
    rul = None if failure else _taken(free, RUL_NAMES, lambda column: _is_number(frame[column]))
    reasons = {column: _unfit(table, frame[column], column) for column in free}
    left_out |= {column: reason for column, reason in reasons.items() if reason}
    channels = channel_names(column for column, reason in reasons.items() if not reason)
    if not channels:
        raise SourceError(f"{table.shown}: no numeric column is left for a channel; add columns of readings")
    return Guess(asset, time, run, failure, rul, channels, left_out)


def squashed(column: str) -> str:
    """Return the column's name without unit, case, accents, spaces and signs: `Machine-ID [1]` is machineid."""
    return plain_name(column).replace("_", "")


def unit_of(column: str) -> str | None:
    """Return the unit in brackets at the end of a column's name, if there is one."""
    found = re.search(r"[\[(]([^\[\]()]{1,20})[\])]\s*$", column)
    return found[1].strip() or None if found else None


def channel_names(columns: Iterable[str]) -> dict[str, str]:
    """Return a name that the contract accepts for each column: name -> column, in the columns' order."""
    names: dict[str, str] = {}
    for column in columns:
        plain = plain_name(column)[:50].strip("_")
        if not plain or not plain[0].isalpha() or plain in RESERVED or plain.startswith("fault_"):
            plain = f"channel_{plain}".rstrip("_")
        name, number = plain, 2
        while name in names:
            name, number = f"{plain}_{number}", number + 1
        names[name] = column
    return names


def instants(values: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    """Parse values to UTC timestamps (N,), NaT where a value is not in ISO 8601."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.to_datetime(values, utc=True)
    return pd.to_datetime(texts(values), format="ISO8601", utc=True, errors="coerce")


def plain_name(column: str) -> str:
    """Return the column's name in lower snake case ASCII, without the unit in brackets."""
    without_unit = re.sub(r"[\[(][^\[\]()]*[\])]\s*$", "", column) or column
    ascii_only = unicodedata.normalize("NFKD", without_unit).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "_", ascii_only).strip("_")


def _named(free: dict[str, str], names: Sequence[str], fits: Callable[[str], bool] = lambda _: True) -> str | None:
    """Return the free column whose squashed name is first in `names` and whose content fits."""
    known = sorted((names.index(plain), column) for column, plain in free.items() if plain in names)
    return next((column for _, column in known if fits(column)), None)


def _taken(free: dict[str, str], names: Sequence[str], fits: Callable[[str], bool]) -> str | None:
    """Return a column as `_named` does, and remove it from the free ones."""
    column = _named(free, names, fits)
    if column is not None:
        del free[column]
    return column


def _time_column(table: TableFile, frame: pd.DataFrame, free: dict[str, str]) -> str:
    column = _named(free, TIME_NAMES, lambda name: _is_number(frame[name]) or _is_timestamp(frame[name]))
    column = column or next((name for name in free if _is_timestamp(frame[name])), None)
    if column is not None:
        return column
    named = _named(free, TIME_NAMES)
    if named is None:
        raise SourceError(f"{table.shown}: no column seems to hold the time; name one `time` or `timestamp`")
    example = texts(frame[named]).iat[0]
    raise table.wrong(0, named, f"{example!r} is not a time; write numbers, or times such as 2024-05-31T08:00:00")


def _is_number(values: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(values) and bool(values.notna().any())


def _is_timestamp(values: "pd.Series[Any]") -> bool:
    return not pd.api.types.is_numeric_dtype(values) and instants(values).notna().mean() > 0.5


def _is_flag(values: "pd.Series[Any]") -> bool:
    text = texts(values).str.lower()
    return bool((text.isin(TRUE_WORDS | FALSE_WORDS) | is_missing(text)).all())


def _groups(values: "pd.Series[Any]") -> bool:
    """Return whether a text column has few, often repeated names, as of machines."""
    if pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values):
        return False
    text = texts(values)
    return not is_missing(text).any() and 2 <= text.nunique() <= len(text) / 5


def _unfit(table: TableFile, values: "pd.Series[Any]", column: str) -> str | None:
    """Return why a column should not be a channel, or None."""
    if LABEL_WORDS & set(plain_name(column).split("_")) or squashed(column) in LABEL_NAMES:
        return "looks like a label, which a network must not see"
    if values.isna().mean() > LARGEST_GAP:
        return "is empty on more than half of the rows"
    if pd.api.types.is_numeric_dtype(values):
        return None
    text = texts(values)
    number = pd.to_numeric(text.mask(is_missing(text)), errors="coerce").notna() | is_missing(text)
    if number.all():
        return None
    row = int((~number).to_numpy().argmax())
    return f"holds text, such as {text.iat[row]!r} on {table.place(row)}"
