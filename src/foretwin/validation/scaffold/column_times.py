"""Times in an unknown table's columns: timestamps, numbers since 1970, whole numbers that are dates."""

from typing import Any

import pandas as pd

from foretwin.sources.tabular import texts

EPOCHS = {"s": (9e8, 2.2e9), "ms": (9e11, 2.2e12), "us": (9e14, 2.2e15), "ns": (9e17, 2.2e18)}  # 1998 to 2039
DATES = (19_000_101, 21_001_231)  # yyyymmdd


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


def are_dates(values: "pd.Series[Any]") -> bool:
    """Return whether whole numbers are dates such as 20240131."""
    if not is_number(values) or not DATES[0] <= float(values.min()) <= float(values.max()) <= DATES[1]:
        return False
    days = texts(values.dropna().drop_duplicates())
    return bool(pd.to_datetime(days, format="%Y%m%d", errors="coerce").notna().all())


def is_number(values: "pd.Series[Any]") -> bool:
    """Return whether a column holds numbers, and at least one."""
    return (
        pd.api.types.is_numeric_dtype(values) and not pd.api.types.is_bool_dtype(values) and bool(values.notna().any())
    )
