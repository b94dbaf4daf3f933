"""Rows of a user's table on the clock's grid, with their labels."""

import logging

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.grid import NEAR, Samples, grid_rows, step_numbers
from foretwin.dataset.table import FAULT_UNKNOWN, RUN, SPLIT_COLUMNS, fault_column

LOG = logging.getLogger(__name__)


def put_on_grid(frame: pd.DataFrame, contract: Twin, shown: str) -> pd.DataFrame:
    """Return rows at the steps of the clock, where the contract says how channels are put on it; else the frame.

    The cells of `frame` (asset, run, time, channels, and labels as far as they are there) that are not empty are the
    samples. A label is the last known one since the row before; a life ends at the step of its end. A step that lacks
    a channel which may not be missing is no row: they are counted in the log under the name `shown`.
    """
    if not contract.has_grid or frame.empty:
        return frame
    step = contract.clock.step
    runs = frame.drop_duplicates(RUN)[RUN]
    run = np.asarray(frame.groupby(RUN, sort=False).ngroup(), np.int64)
    order = np.argsort(frame["time"].to_numpy(), kind="stable")
    frame, run = frame.iloc[order], run[order]
    time, cells = frame["time"].to_numpy(np.float64), frame[list(contract.channel_names)].to_numpy(np.float64)
    row, channel = np.nonzero(~np.isnan(cells))
    found = grid_rows(Samples(run[row], time[row], channel, cells[row, channel]), contract.channels, step)
    whole = found.complete(contract)
    if not whole.all():
        LOG.warning("%s: %d steps lack a channel that may not be missing: left out", shown, int((~whole).sum()))
    labels = _Labels(run, step_numbers(time, step))
    kept, at = found.run[whole], found.step[whole]
    columns = dict(zip(contract.channel_names, found.values[whole].T, strict=True))  # noqa: PD011 - no data frame
    gridded = runs.iloc[kept].reset_index(drop=True).assign(time=at * step, **columns)
    if "rul" in frame:
        end = np.ceil((time + frame["rul"].to_numpy(np.float64)) / step - NEAR) * step
        gridded["rul"] = labels.at(end, kept, at, np.nan) - at * step
    for axis in contract.axes:
        column = fault_column(axis)
        if column in frame:
            values = frame[column].to_numpy(np.float64)
            gridded[column] = labels.at(np.where(values < 0, np.nan, values), kept, at, FAULT_UNKNOWN).astype(np.int8)
    for column in SPLIT_COLUMNS:
        if column in frame:
            gridded[column] = labels.texts_at(frame[column], kept, at)
    return gridded


class _Labels:
    """Places of rows, in order of time, on the grid: run and step of each."""

    def __init__(self, run: NDArray[np.int64], step: NDArray[np.int64]) -> None:
        self.keys = pd.DataFrame({"run": run, "step": step})

    def at(
        self, values: NDArray[np.float64], run: NDArray[np.int64], step: NDArray[np.int64], unknown: float
    ) -> NDArray[np.float64]:
        """Return the last known value (N,) of each step of a run, `unknown` where there is none."""
        known = ~np.isnan(values)
        last = self.keys[known].assign(value=values[known]).drop_duplicates(["run", "step"], keep="last")
        wanted = pd.DataFrame({"run": run, "step": step})
        found: NDArray[np.float64] = wanted.merge(last, on=["run", "step"], how="left")["value"].to_numpy(np.float64)
        return np.where(np.isnan(found), unknown, found)

    def texts_at(self, texts: "pd.Series[str]", run: NDArray[np.int64], step: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the text (N,) of each step of a run: of a step without a row, that of the row before in the run."""
        codes, names = pd.factorize(texts)
        wanted = pd.DataFrame({"run": run, "step": step, "place": np.arange(len(run))}).sort_values("step")
        rows = self.keys.assign(code=codes)
        before = pd.merge_asof(wanted, rows, on="step", by="run").sort_values("place")
        after = pd.merge_asof(wanted, rows, on="step", by="run", direction="forward").sort_values("place")
        found = before["code"].fillna(after["code"]).to_numpy(np.int64)
        result: NDArray[np.object_] = np.asarray(names, np.object_)[found]
        return result
