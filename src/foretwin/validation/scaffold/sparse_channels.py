"""Channels that have a value seldom, or not on every machine, and how a first contract reads them."""

import math
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.channels import SECONDS
from foretwin.validation.scaffold.column_roles import Guess
from foretwin.validation.scaffold.measures import TimeNotation, significant
from foretwin.validation.scaffold.unfit_columns import LARGEST_GAP, SLOWEST

HELD = 2  # a value holds for so many of the channel's usual times between two


@dataclass(frozen=True)
class Sparse:
    """A channel with empty cells: `filled` is its share of the rows, `longest_age` how long a value of it holds.

    One that holds for ever (inf) is there once it was; any other may be missing. Without a `longest_age` it is as it
    lies in the rows: some machines have it, others never.
    """

    filled: float
    longest_age: float | None

    def fields(self) -> dict[str, object]:
        """Return the fields of the channel in a contract."""
        if self.longest_age == math.inf:
            return {"grid": {"take": "last"}}
        held = {"grid": {"take": "last", "longest_age": self.longest_age}} if self.longest_age else {}
        return {**held, "may_be_missing": True}

    def text(self) -> str:
        """Return these fields as the end of a channel's line in twin.yaml."""
        if self.longest_age == math.inf:
            return ", grid: {take: last}"
        held = f", grid: {{take: last, longest_age: {self.longest_age:.12g}}}" if self.longest_age else ""
        return f"{held}, may_be_missing: true"

    def sentence(self, column: str, unit: str) -> str:
        """Return for a person what is assumed of the column."""
        if self.longest_age is None:
            return f"may_be_missing: some machines never have {column!r}; a reading without it is one too."
        if self.longest_age == math.inf:
            return f"grid: {column!r} is filled on {self.filled:.1%} of the rows; a value holds until the next."
        held = f"a value holds for {self.longest_age:g} {unit} at most, then it is missing"
        return f"grid: {column!r} is filled on {self.filled:.0%} of the rows; {held}."


def find_sparse(frame: pd.DataFrame, guess: Guess, notation: TimeNotation) -> dict[str, Sparse]:
    """Return channel -> how it is read, for those filled on less than half of the rows or never on some machines.

    Where one of them needs the clock's grid, every other channel with empty cells is put on it too.
    """
    time, machines = _clock_times(frame[guess.time], notation), frame[guess.asset].to_numpy()
    found = {}
    for name, column in guess.channels.items():
        known = frame[column].notna().to_numpy()
        each = pd.Series(known).groupby(machines).sum()
        if 1 - known.mean() > LARGEST_GAP:
            gaps = pd.Series(time[known]).groupby(machines[known]).diff()
            usual = float(gaps[gaps > 0].quantile(0.9))
            held = None if np.isnan(usual) else significant(HELD * usual)
            found[name] = Sparse(float(known.mean()), held)
        elif (each == 0).any() and (each >= SLOWEST).any():
            found[name] = Sparse(float(known.mean()), None)
    if any(one.longest_age for one in found.values()):
        filled = {name: float(frame[column].notna().mean()) for name, column in guess.channels.items()}
        found |= {name: Sparse(share, math.inf) for name, share in filled.items() if share < 1 and name not in found}
    return found


def _clock_times(values: "pd.Series[pd.Timestamp]", notation: TimeNotation) -> NDArray[np.float64]:
    """Return times (N,) in the clock's unit."""
    if pd.api.types.is_numeric_dtype(values):
        return np.asarray(values, np.float64)
    moments = pd.to_datetime(values, utc=True)
    seconds = (moments - moments.min()).dt.total_seconds()
    return np.asarray(seconds, np.float64) / SECONDS.get(notation.unit, 1.0)
