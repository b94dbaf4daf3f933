"""Measures of an unknown table, behind the numbers of its first contract."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.channels import SECONDS
from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.dataset.labels.label_leaks import counts_life
from foretwin.dataset.table import fault_column, has_failed
from foretwin.errors import SourceError
from foretwin.validation.scaffold.column_names import UNITS_BY_NAME, squashed, unit_of
from foretwin.validation.scaffold.column_roles import Guess
from foretwin.validation.scaffold.column_times import epoch_unit, instants, reached_unit

SETTING_VALUES = 12  # a quantity with at most this many distinct values is probably a setting
FAR = 20.0  # median deviations from the median: beyond, a value is far from the rest


@dataclass(frozen=True)
class TimeNotation:
    """How the file tells the time: the clock's unit and step, and what stands in the column."""

    unit: str
    step: float
    kind: str  # for the user
    absolute: bool  # dates or seconds since 1970, which are no age of a machine


@dataclass(frozen=True)
class TableProfile:
    """Measures of the canonical rows; times are in the clock's unit."""

    assets: int
    lives: int  # runs that end in a known failure
    shortest_rows: int  # of a run
    median_rows: float
    median_life: float
    longest_gap: float
    known_rul: float  # share of rows from 0 to 1
    known_faults: float  # least share of an axis
    counts_age: str  # why time is no age; empty where it is


@dataclass(frozen=True)
class TableFindings:
    """All that was found in a table: its canonical rows, how they are read, and what that rests on."""

    rows: pd.DataFrame
    source: TableSource
    guess: Guess
    notation: TimeNotation
    measured: TableProfile
    sparse: tuple[str, ...] = ()  # sentences on channels that have a value seldom


def guess_clock(shown: str, frame: pd.DataFrame, guess: Guess, known: str | None = None) -> TimeNotation:
    """Guess unit and median step; the unit of timestamps is the largest of d, h, min and s that the step reaches.

    `known` is the unit of durations.
    """
    values = frame[guess.time]
    stamped = not pd.api.types.is_numeric_dtype(values)
    if stamped:
        moments = instants(values)
        first, last = (f"{one:%Y-%m-%d %H:%M}" for one in (moments.min(), moments.max()))
        values, kind = (moments - moments.min()).dt.total_seconds(), f"dates from {first} to {last}"
    steps = values.groupby(frame[guess.asset]).diff()
    step = float(steps[steps > 0].median())
    if math.isnan(step) and guess.axes and guess.single_rows:
        step = SECONDS["d"] if stamped else 1.0  # one row per machine: there is no step to measure
    if math.isnan(step):
        raise SourceError(f"{shown}: column {guess.time!r}: time never rises within a machine; sort the file by time")
    if stamped:
        unit = reached_unit(steps)
        return TimeNotation(unit, significant(step / SECONDS[unit], 6), kind, absolute=True)
    epoch = epoch_unit(values)
    if epoch:
        return TimeNotation(epoch, significant(step, 6), f"{epoch} since 1970", absolute=True)
    if known is not None:
        return TimeNotation(known, significant(step, 6), f"durations up to {values.max():g} {known}", absolute=False)
    unit = unit_of(guess.time) or UNITS_BY_NAME.get(squashed(guess.time), "?")
    kind = f"numbers from {values.min():g} to {values.max():g}"
    return TimeNotation(unit, significant(step, 6), kind, absolute=False)


def measure_table(rows: pd.DataFrame, contract: Twin, notation: TimeNotation) -> TableProfile:
    """Measure canonical rows."""
    runs = rows.groupby(["asset", "run"], sort=False)
    lives = runs.agg(rows=("time", "size"), begin=("time", "min"), end=("time", "max"), rul=("rul", "max"))
    failed = np.asarray(pd.Series(has_failed(rows)).groupby([rows["asset"], rows["run"]], sort=False).any())
    life = (lives["end"] - lives["begin"]).where(lives["rul"].isna(), lives["rul"])
    whole = lives["rul"].notna() if lives["rul"].notna().any() else lives["rul"].isna()
    gaps = runs["time"].diff()
    return TableProfile(
        assets=rows["asset"].nunique(),
        lives=int(failed.sum()),
        shortest_rows=int(lives["rows"].min()),
        median_rows=float(lives.loc[whole, "rows"].median()),
        median_life=float(life[whole].median()),
        longest_gap=float(gaps.max()) if gaps.notna().any() else notation.step,
        known_rul=float(rows["rul"].notna().mean()),
        known_faults=min((float((rows[fault_column(axis)] >= 0).mean()) for axis in contract.axes), default=1.0),
        counts_age=_no_age(lives, life, failed, notation),
    )


def telling_channels(rows: pd.DataFrame, contract: Twin) -> list[str]:
    """Return the channels that count the life down or up."""
    run = np.asarray(rows.groupby(["asset", "run"], sort=False).ngroup(), np.int64)
    found = []
    for name in contract.channel_names:
        known = rows[name].notna().to_numpy()
        values, time, rul = (rows[column].to_numpy()[known] for column in (name, "time", "rul"))
        if counts_life(values, time, rul, run[known]):
            found.append(name)
    return found


def is_setting(values: "pd.Series[float]") -> bool:
    """Return whether a quantity has so few distinct values that it is probably a setting."""
    distinct = values.nunique()
    return 1 < distinct <= min(SETTING_VALUES, len(values) / 10)


def far_values(values: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the distinct values (M,), the farthest first, that lie far from the rest."""
    known = values[np.isfinite(values)]
    distance = np.abs(known - np.median(known)) if len(known) else known
    usual = float(np.median(distance)) if len(known) else 0.0
    far = known[distance > FAR * usual] if usual > 0 else known[:0]
    order = np.argsort(-np.abs(far - (np.median(known) if len(known) else 0.0)), kind="stable")
    return np.asarray(pd.unique(far[order]))


def widened(low: float, high: float) -> tuple[float, float]:
    """Return round limits well outside of [low, high]: by half of the range on each side, but not past 0."""
    span = high - low or abs(high) or 1.0
    step = 10.0 ** math.floor(math.log10(span))
    below, above = math.floor((low - span / 2) / step) * step, math.ceil((high + span / 2) / step) * step
    below = 0.0 if low >= 0 > below else below
    above = 0.0 if low < 0 and high <= 0 < above else above
    return significant(below, 12), significant(above, 12)


def significant(value: float, digits: int = 2) -> float:
    """Round to significant digits."""
    return float(f"{value:.{digits}g}")


def _no_age(lives: pd.DataFrame, life: "pd.Series[float]", failed: NDArray[np.bool_], notation: TimeNotation) -> str:
    """Return why the times are no age of a machine, or nothing."""
    if notation.absolute:
        return "dates are no age; true if every record begins when its machine is new"
    if lives["begin"].median() > life.median():
        return "the times begin far from 0, so they are no age"
    ages = lives["end"][failed] if failed.any() else lives["end"]
    if len(ages) > 1 and ages.min() == ages.max():
        return "all lives are equally long, so that an age would tell the label"
    return ""
