"""Counters, such as energy or strokes: read as their rise, since a channel's single precision would flatten them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

RISING = 0.95  # share of the steps of a counter that do not fall; the others are its resets
LEVELS = 2  # a channel with fewer than 2**2 steps of single precision in a run has lost its course
SMALLEST = 1080  # the exponents of doubles are from -1074 to 1024
EXPONENTS = 2 * SMALLEST


def rise_rates(frame: pd.DataFrame, names: Sequence[str], where_known: bool = False) -> pd.DataFrame:
    """Replace each counter by its rise since the run's row before, per unit of time.

    The first row of a run has the rate of the second, and 0 where there is none. `frame` has asset, run and time. With
    `where_known` the row before is the last one with a value of the counter, and rows without one stay so.
    """
    rows = {name: frame[frame[name].notna()] if where_known else frame for name in names}
    return frame.assign(**{name: _rise(part, name) for name, part in rows.items()})


def _rise(frame: pd.DataFrame, name: str) -> "pd.Series[float]":
    runs, alone = [frame["asset"], frame["run"]], ~frame.duplicated(["asset", "run"], keep=False)
    first = ~frame.duplicated(["asset", "run"])
    span = frame["time"].groupby(runs, sort=False).diff()
    rate = frame[name].groupby(runs, sort=False).diff() / span.where(span > 0)
    ahead = rate.groupby(runs, sort=False).shift(-1)
    risen: pd.Series[float] = rate.mask(first, ahead).mask(alone, 0.0)
    return risen


def is_flattened(values: NDArray[np.float64], runs: NDArray[np.int64]) -> bool:
    """Return whether single precision loses the course of a channel, as `PrecisionCourse` says.

    `values` and the runs' numbers are (N,), the rows of a run in order of time.
    """
    course = PrecisionCourse()
    course.see(values, runs)
    return course.is_flattened


class PrecisionCourse:
    """How a channel moves over runs that come in pieces, to tell whether single precision would lose its course.

    A counter is lost if its usual rise is less than the distance between two numbers of its size; another quantity, if
    it varies over less than a few of them. These distances are powers of two, so that sizes are counted by exponent.
    """

    def __init__(self) -> None:
        self._largest, self._steps, self._rising = 0.0, 0, 0
        self._moved, self._spans = np.zeros(EXPONENTS, np.int64), np.zeros(EXPONENTS, np.int64)

    def see(self, values: NDArray[np.float64], runs: NDArray[np.int64]) -> None:
        """Take in whole runs: `values` and the runs' numbers are (N,), the rows of a run in order of time."""
        known = np.isfinite(values)
        values, runs = values[known], runs[known]
        if len(values) < 2:
            return
        self._largest = max(self._largest, float(np.abs(values).max()))
        steps = np.diff(values)[np.diff(runs) == 0]
        self._steps += len(steps)
        self._rising += int((steps >= 0).sum())
        self._moved += _exponents(steps)
        begins = np.flatnonzero(np.diff(runs, prepend=runs[0] - 1))
        self._spans += _exponents(np.maximum.reduceat(values, begins) - np.minimum.reduceat(values, begins))

    @property
    def is_flattened(self) -> bool:
        """Return whether more than half of the steps, or of the runs' spans, are too small."""
        spacing = np.spacing(np.float32(min(self._largest, float(np.finfo(np.float32).max))))
        if self._moved.sum() == 0:
            return False
        exponent = int(np.frexp(spacing)[1]) - 1
        if self._rising >= RISING * self._steps:
            return _usually_below(self._moved, exponent)
        return _usually_below(self._spans, exponent + LEVELS)


def _exponents(sizes: NDArray[np.float64]) -> NDArray[np.int64]:
    """Count the sizes, but zeros, by exponent: at e + SMALLEST are those from 2**(e - 1) to below 2**e."""
    moved = np.abs(sizes[sizes != 0])
    return np.bincount(np.frexp(moved)[1] + SMALLEST, minlength=EXPONENTS).astype(np.int64)


def _usually_below(counts: NDArray[np.int64], exponent: int) -> bool:
    """Return whether more than half of what was counted is below 2**exponent."""
    return bool(2 * counts[: max(exponent + SMALLEST, -1) + 1].sum() > counts.sum())
