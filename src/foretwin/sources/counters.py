"""Counters, such as energy or strokes: read as their rise, since a channel's single precision would flatten them."""

from collections.abc import Sequence

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.errors import SourceError

RISING = 0.95  # share of the steps of a counter that do not fall; the others are its resets
LEVELS = 4  # a channel with fewer steps of single precision in a run has lost its course


def rise_rates(frame: pd.DataFrame, names: Sequence[str]) -> pd.DataFrame:
    """Replace each counter by its rise since the run's row before, per unit of time.

    The first row of a run has the rate of the second, and 0 where there is none. `frame` has asset, run and time.
    """
    runs, alone = [frame["asset"], frame["run"]], ~frame.duplicated(["asset", "run"], keep=False)
    first = ~frame.duplicated(["asset", "run"])
    span = frame["time"].groupby(runs, sort=False).diff()
    rates = {}
    for name in names:
        rate = frame[name].groupby(runs, sort=False).diff() / span.where(span > 0)
        ahead = rate.groupby(runs, sort=False).shift(-1)
        rates[name] = rate.mask(first, ahead).mask(alone, 0.0)
    return frame.assign(**rates)


def is_flattened(values: NDArray[np.float64], runs: NDArray[np.int64]) -> bool:
    """Return whether single precision loses the course of a channel.

    `values` and the runs' numbers are (N,), the rows of a run in order of time. A counter is lost if its usual rise is
    less than the distance between two numbers of its size; another quantity, if it varies over less than a few of them.
    """
    known = np.isfinite(values)
    values, runs = values[known], runs[known]
    if len(values) < 2:
        return False
    spacing = float(np.spacing(np.float32(np.abs(values).max())))
    steps = np.diff(values)[np.diff(runs) == 0]
    moved = steps[steps != 0]
    if len(moved) == 0:
        return False
    if np.mean(steps >= 0) >= RISING:
        return bool(np.median(np.abs(moved)) < spacing)
    by_run = pd.Series(values).groupby(runs)
    spans = by_run.max() - by_run.min()
    return bool(spans[spans > 0].median() < LEVELS * spacing)


def refuse_flattened(shown: str, contract: Twin, source: TableSource, frame: pd.DataFrame) -> None:
    """Raise SourceError for a channel whose course is lost in single precision, as that of a large counter."""
    runs = np.asarray(frame.groupby(["asset", "run"], sort=False).ngroup(), np.int64)
    for name in contract.channel_names:
        if is_flattened(frame[name].to_numpy(np.float64), runs):
            kept = f"{frame[name].nunique()} values become {frame[name].astype('float32').nunique()}"
            column = source.columns.get(name, name)
            raise SourceError(
                f"{shown}: column {column!r}: single precision, in which channels are kept, flattens it"
                f" ({kept}); add {name} to source.rates to read its rise per {contract.clock.unit}, or leave it out"
            )
