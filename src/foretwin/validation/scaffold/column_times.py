"""Times in an unknown table's columns: timestamps, numbers since 1970, whole numbers that are dates."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.channels import SECONDS
from foretwin.sources.files.guess.time_forms import DISORDER
from foretwin.sources.tabular import texts

EPOCHS = {"s": (9e8, 2.2e9), "ms": (9e11, 2.2e12), "us": (9e14, 2.2e15), "ns": (9e17, 2.2e18)}  # 1998 to 2039
DIGITS = {8: "%Y%m%d", 10: "%Y%m%d%H", 12: "%Y%m%d%H%M", 14: "%Y%m%d%H%M%S"}  # of dates written as one number
YEARS = (1900, 2100)
LONG_ENOUGH = 20  # rows; fewer may rise by one each by chance
EVENLY = 0.9  # share of the steps between a machine's rows that are alike, where its time has an unknown name


def instants(values: "pd.Series[Any]") -> "pd.Series[pd.Timestamp]":
    """Parse values to UTC timestamps (N,), NaT where a value is not in ISO 8601."""
    if pd.api.types.is_datetime64_any_dtype(values):
        return pd.to_datetime(values, utc=True)
    return pd.to_datetime(texts(values), format="ISO8601", utc=True, errors="coerce")


def epoch_unit(values: "pd.Series[Any]") -> str | None:
    """Return the unit of numbers that count from 1970, or None where they do not."""
    if not is_number(values):
        return None
    low, high = float(values.min()), float(values.max())
    return next((unit for unit, (least, most) in EPOCHS.items() if least <= low <= high <= most), None)


def date_digits(values: "pd.Series[Any]") -> str | None:
    """Return the format of whole numbers that are dates, such as 20240131 or 20240131083000; None where they are none.

    Ten digits that could be seconds since 1970 too are dates where each of them has a day and an hour.
    """
    if not is_number(values):
        return None
    text = texts(values.dropna().drop_duplicates())
    digits = text.str.len()
    form = DIGITS.get(int(digits.iloc[0])) if (digits == digits.iloc[0]).all() else None
    if form is None:
        return None
    found = pd.to_datetime(text, format=form, errors="coerce")
    return form if found.dt.year.between(*YEARS).all() else None


def reached_unit(steps: "pd.Series[float]") -> str:
    """Return the largest of d, h, min and s that the median of the steps (N,) above 0, in seconds, reaches."""
    step = float(steps[steps > 0].median())
    return next((unit for unit in ("d", "h", "min") if step >= SECONDS[unit]), "s")


def is_number(values: "pd.Series[Any]") -> bool:
    """Return whether a column holds numbers, and at least one."""
    return (
        pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and bool(values.notna().any())
    )


def counts_rows(values: "pd.Series[Any]") -> bool:
    """Return whether a column is 0, 1, 2, ... throughout, in any order: a row counter, for want of a time."""
    if not is_number(values) or len(values) < LONG_ENOUGH:
        return False
    return bool((np.diff(np.sort(np.asarray(values, np.float64))) == 1).all())


def counts_each(frame: pd.DataFrame, column: str, asset: str) -> bool:
    """Return whether a column is 0, 1, 2, ... or 1, 2, 3, ... on the rows of each machine."""
    if column == asset or not is_number(frame[column]):
        return False
    machines = frame[column].groupby(frame[asset])
    return bool((machines.diff().dropna() == 1).all() and machines.first().isin((0, 1)).all())


def unnamed_time(frame: pd.DataFrame, free: Sequence[str], asset: str | None) -> str | None:
    """Return the column that holds moments as numbers, counts the rows, or rises by equal steps in each machine."""
    ways: tuple[Callable[[str], bool], ...] = (
        lambda name: bool(epoch_unit(frame[name]) or date_digits(frame[name])),
        lambda name: counts_rows(frame[name]),
        lambda name: _rises_evenly(frame, name, asset),
    )
    return next((name for fits in ways for name in free if fits(name)), None)


def _rises_evenly(frame: pd.DataFrame, column: str, asset: str | None) -> bool:
    """Return whether numbers rise by one step in a machine, but for a few restarts and gaps, as the rows are or sorted.

    Sorted, no number may be there twice.
    """
    if not is_number(frame[column]) or len(frame) < LONG_ENOUGH:
        return False
    machines = frame[asset] if asset else pd.Series(0, index=frame.index)
    ways = [frame[column]]
    if not pd.DataFrame({"machine": machines, "number": frame[column]}).duplicated().any():
        ways.append(frame[column].sort_values())
    return any(_even_steps(values, machines) for values in ways)


def _even_steps(values: "pd.Series[float]", machines: "pd.Series[Any]") -> bool:
    steps = values.groupby(machines.loc[values.index]).diff().dropna().to_numpy(np.float64)
    usual = np.median(steps) if len(steps) else 0.0
    return bool(usual > 0 and np.isclose(steps, usual).mean() >= EVENLY)


def time_order(frame: pd.DataFrame, asset: str, time: str) -> NDArray[np.int64]:
    """Return the order of the rows (N,) by time in each machine, where they are in none; else as they are."""
    as_it_is = np.arange(len(frame))
    if time not in frame or not (is_number(frame[time]) or pd.api.types.is_datetime64_any_dtype(frame[time])):
        return as_it_is
    falls = frame[time].groupby(frame[asset]).diff() < frame[time].iloc[0] - frame[time].iloc[0]
    if falls.mean() <= DISORDER or frame.duplicated([asset, time]).any():
        return as_it_is
    return np.lexsort((frame[time].to_numpy(), frame[asset].astype("str").to_numpy(dtype=object)))


def is_time(values: "pd.Series[Any]") -> bool:
    """Return whether a column was read as dates, or as spans of time."""
    return pd.api.types.is_datetime64_any_dtype(values) or pd.api.types.is_timedelta64_dtype(values)


def is_moment(values: "pd.Series[Any]") -> bool:
    """Return whether a column holds dates, or spans of time."""
    if pd.api.types.is_timedelta64_dtype(values):
        return bool((values != values.iloc[0]).any())
    return not pd.api.types.is_numeric_dtype(values) and instants(values).notna().mean() > 0.5


def not_measured(values: "pd.Series[Any]") -> str | None:
    """Return why a column of numbers should not be a channel, or None."""
    if date_digits(values):
        return f"holds dates written as numbers, such as {texts(values.dropna()).iat[0]}"
    unit = epoch_unit(values)
    if unit:
        return f"holds moments of time ({unit} since 1970)"
    return "is the number of the row" if counts_rows(values) else None
