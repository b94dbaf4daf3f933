"""Times of the rows of a reading, as the contract's source says that they are written."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.errors import ContractError
from foretwin.sources.files.reading import Reading, group_names, group_numbers
from foretwin.sources.files.times import (
    EPOCHS,
    date_instants,
    durations,
    epoch_instants,
    iso_instants,
    localised,
    strptime_instants,
)
from foretwin.sources.tabular import is_missing, texts

NO_TIME = "has no time; every row needs one"


class Clocks:
    """The last times of clocks in the pieces so far: of a machine, or a tag of it."""

    def __init__(self) -> None:
        self._last: dict[tuple[str, ...], np.datetime64] = {}
        self.kind: str | None = None  # of the times of the first piece: f for numbers, M for instants

    def before(self, names: Sequence[tuple[str, ...]]) -> "NDArray[np.datetime64]":
        """Return the last time (G,) of each clock, NaT where there is none yet."""
        never = np.datetime64("NaT", "ns")
        return np.array([self._last.get(name, never) for name in names], dtype="datetime64[ns]")

    def keep(self, names: Sequence[tuple[str, ...]], times: "pd.Series[Any]", groups: NDArray[np.int64]) -> None:
        """Keep the last time of each clock of a piece, whose rows (N,) are of the clocks numbered in `groups`."""
        last = pd.Series(times.to_numpy(dtype="datetime64[ns]")).groupby(groups).last()
        times_of = zip(last.index.to_numpy(np.int64).tolist(), last, strict=True)
        self._last |= {names[group]: np.datetime64(time, "ns") for group, time in times_of}


def read_times(
    reading: Reading, source: TableSource, names: Sequence[str], seconds: float | None, clocks: Clocks
) -> "pd.Series[Any]":
    """Return times (N,): instants in UTC, or numbers (float64) in the clock's unit, which has that many seconds.

    `names` are the columns of what has a clock of its own, a machine or a tag of it: the order of its rows tells the
    first and second pass of a doubled hour. SourceError at the first row without a time.
    """
    found = _read_times(reading, source, names, seconds, clocks)
    if clocks.kind not in (None, found.dtype.kind):
        column = source.time_column or ""
        raise reading.wrong(0, column, "holds numbers in one part and dates in another; set source.time_format")
    clocks.kind = found.dtype.kind
    return found


def _read_times(
    reading: Reading, source: TableSource, names: Sequence[str], seconds: float | None, clocks: Clocks
) -> "pd.Series[Any]":
    column = source.time_column or ""
    values = reading.frame[column]
    if source.time_of_day is not None:
        values = texts(values) + " " + texts(reading.frame[source.time_of_day])
    form = source.time_format
    if form == "ask":
        example = texts(values).iat[0]
        raise ContractError(
            f"source.time_format: {example!r} may have its day or its month first; write day_first or month_first"
        )
    if form is None:
        form = "number" if _is_number(values) else "iso"
    if form == "number" or form in EPOCHS:
        numbers = reading.numbers(values, column)
        _refuse(reading, np.isnan(numbers), column, NO_TIME)
        if form == "number":
            return pd.Series(numbers)
        found = epoch_instants(numbers, form)
        _refuse(reading, found.isna(), column, f"is no time in {form}", texts(values))
        return found
    if form == "duration":
        text = texts(values)
        _refuse(reading, is_missing(text), column, NO_TIME)
        length = durations(text)
        _refuse(reading, np.isnan(length), column, "is no duration such as 1 day 02:00:00 or PT2H", text)
        if seconds is None:
            raise ContractError("clock.unit: durations need a unit of time; use s, min, h or d")
        return pd.Series(length / seconds)
    return _instants(reading, source, values, form, names, clocks)


def _instants(
    reading: Reading, source: TableSource, values: "pd.Series[Any]", form: str, names: Sequence[str], clocks: Clocks
) -> "pd.Series[Any]":
    """Return instants in UTC (N,) of dates, in the zone of the source where it has one."""
    column, zone = source.time_column or "", source.time_zone
    if pd.api.types.is_datetime64_any_dtype(values):
        _refuse(reading, values.isna(), column, NO_TIME)
        text, found = None, pd.to_datetime(values, utc=True)
        zone = zone if getattr(values.dt, "tz", None) is None else None
    else:
        text = texts(values)
        _refuse(reading, is_missing(text), column, NO_TIME)
        found = _parsed(text, form)
        wrong = f"is no time in the form {form}; correct it, or source.time_format"
        if source.time_format is None:
            wrong = "is neither a number nor a time such as 2024-05-31T08:00:00; correct it, or set source.time_format"
        _refuse(reading, found.isna(), column, wrong, text)
    if zone is None:
        return found
    groups, keys = group_numbers(reading.frame, names), group_names(reading.frame, names)
    local, never = localised(reading.shown, found, text, zone, groups, clocks.before(keys))
    clocks.keep(keys, local, groups)
    advice = f"clocks of {zone} skipped it; a clock that does not change has source.time_zone as its offset, +01:00"
    _refuse(reading, never, column, advice, texts(values))
    return local


def _parsed(text: "pd.Series[str]", form: str) -> "pd.Series[Any]":
    match form:
        case "iso":
            return iso_instants(text)
        case "day_first" | "month_first":
            return date_instants(text, form == "day_first")
        case _:
            return strptime_instants(text, form)


def _is_number(values: "pd.Series[Any]") -> bool:
    """Return whether a column holds numbers, also where some cells are none."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return False
    numeric = pd.api.types.is_numeric_dtype(values)
    return numeric or bool(pd.to_numeric(texts(values), errors="coerce").notna().mean() > 0.5)


def _refuse(
    reading: Reading,
    bad: "pd.Series[bool] | NDArray[np.bool_]",
    column: str,
    reason: str,
    text: "pd.Series[str] | None" = None,
) -> None:
    """Raise SourceError at the first bad row."""
    rows = np.flatnonzero(np.asarray(bad))
    if len(rows):
        row = int(rows[0])
        value = f"{text.iat[row]!r} " if text is not None else ""
        raise reading.wrong(row, column, f"{value}{reason}{reading.more(len(rows))}")
