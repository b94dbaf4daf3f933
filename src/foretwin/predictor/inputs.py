"""Model input: rows of assets to score, as arrays validated against the contract.

A request as table, JSON or Arrow is converted to `Tracks`, which `Bundle.answer` scores.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, NamedTuple, Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.categories import category_codes
from foretwin.contract.channels import Channel
from foretwin.contract.twin import Twin
from foretwin.dataset.table import FAULT_UNKNOWN, KEY
from foretwin.dataset.windows import Histories
from foretwin.errors import BadInput
from foretwin.predictor.health.own_baseline import OwnOffsets


class Names(NamedTuple):
    """Asset names of R rows: positions in `names`, or, without `names`, the names themselves."""

    codes: NDArray[Any]  # (R,)
    names: NDArray[np.object_] | None = None

    def at(self, rows: Any) -> Any:
        """Return the names of these rows."""
        found = self.codes[rows]
        return found if self.names is None else self.names[found]


@dataclass(frozen=True)
class ModelInputs:
    """Scoring batch: concatenated rows of A assets, each asset's up to the row at which it is scored."""

    assets: NDArray[np.object_]  # (A,) names
    runs: NDArray[np.int64]  # (A,) the run that is scored: an asset's last one
    ends: NDArray[np.int64]  # (A,) the asset's last row in `histories`
    histories: Histories  # without labels: a score cannot depend on one
    own: OwnOffsets | None = None  # of the machines' own baselines; None: what their rows tell

    @classmethod
    def of_one_run_each(
        cls,
        assets: Sequence[str],
        runs: Sequence[int],
        times: Sequence[NDArray[np.float64]],
        values: Sequence[NDArray[np.float32]],
        axes: int,
    ) -> Self:
        """Build from one run per asset: its times (T,), increasing and finite, and its values (T, C)."""
        counts = [len(time) for time in times]
        if len(counts) == 1:
            stops = np.array(counts)
            histories = _unlabelled(values[0], times[0], np.zeros(counts[0], np.int64), axes)
        else:
            stops = np.cumsum(counts)
            first = np.repeat(stops - np.array(counts), counts)
            histories = _unlabelled(np.concatenate(values), np.concatenate(times), first, axes)
        return cls(np.array(assets, dtype=object), np.array(runs, np.int64), stops - 1, histories)

    @classmethod
    def of_columns(
        cls, assets: Names, runs: NDArray[Any], time: NDArray[np.float64], values: NDArray[np.float32], axes: int
    ) -> Self:
        """Build from a name, a run, a finite time and values (R, C) per row; BadInput where the order is wrong."""
        if len(time) == 0:
            raise BadInput("rows", "there is none to score")
        if runs.dtype.kind not in "iu":
            raise BadInput("run", "holds something other than whole numbers")
        new_asset = _changes(assets.codes)
        starts = np.flatnonzero(new_asset)
        unnamed = starts[pd.isna(assets.at(starts))]
        if len(unnamed):
            raise BadInput("asset", f"has no name in row {unnamed[0] + 1}")
        new_run = new_asset | _changes(runs)
        wrong = np.flatnonzero(~new_run[1:] & ~(time[1:] > time[:-1])) + 1
        if len(wrong):
            raise BadInput("time", f"does not increase for asset {assets.at(wrong[0])} in row {wrong[0] + 1}")
        _check_together(assets.at(starts), assets.codes[new_run], runs[new_run])
        ends = np.append(starts[1:], len(time)) - 1
        first = np.maximum.accumulate(np.where(new_run, np.arange(len(time)), 0))
        return cls(assets.at(ends), runs[ends].astype(np.int64), ends, _unlabelled(values, time, first, axes))

    def __len__(self) -> int:
        return len(self.ends)

    def seen(self) -> NDArray[np.int64]:
        """Return the number (A,) of rows of each asset's scored run."""
        return self.ends - self.histories.first[self.ends] + 1

    def spaced(self, slot: float | None) -> Histories:
        """Return the rows, as windows of a contract with this slot are cut from them."""
        return self.histories if slot is None else replace(self.histories, slot=slot)


def read_frame(rows: pd.DataFrame, contract: Twin) -> ModelInputs:
    """Convert a table with columns asset, run, time and one per channel to tracks; other columns are ignored.

    Each asset's rows are contiguous and in order of time. BadInput where a column is missing, a number is not finite,
    or rows are out of order; a channel that may be missing may be NaN, or have no column at all. Works on arrays, since
    for the few rows of a request pandas would take most of the time.
    """
    if len(rows) == 0:
        raise BadInput("rows", "there is none to score")
    channels = contract.channels.items()
    needed = (*KEY, *(name for name, channel in channels if not channel.may_be_missing))
    absent = [name for name in needed if name not in rows.columns]
    if absent:
        raise BadInput(absent[0], "this column is missing")
    assets = Names(rows["asset"].to_numpy())
    time = finite_column(rows["time"].to_numpy(), "time", assets, np.float64)
    nothing = np.full(len(rows), np.nan)
    values = [
        finite_column(
            _numbers(rows[name].to_numpy(), channel) if name in rows else nothing,
            name,
            assets,
            np.float32,
            channel.may_be_missing,
        )
        for name, channel in channels
    ]
    return ModelInputs.of_columns(assets, rows["run"].to_numpy(), time, np.stack(values, axis=1), len(contract.axes))


def _numbers(column: NDArray[Any], channel: Channel) -> NDArray[Any]:
    """Return the numbers of a category's words; any other column, and one of numbers, as it is."""
    if channel.categories is None or column.dtype.kind in "iuf":
        return column
    try:
        return np.array(category_codes(column.tolist(), channel.categories), np.float64)
    except TypeError:
        return column


def finite_column(
    column: NDArray[Any], name: str, assets: Names, dtype: type, may_be_missing: bool = False
) -> NDArray[Any]:
    """Convert a column to finite numbers, or NaN where it may be missing.

    BadInput names the column, the asset and the row otherwise.
    """
    if column.dtype.kind not in "iuf":
        raise BadInput(name, "holds something other than numbers")
    with np.errstate(over="ignore"):
        column = column.astype(dtype)
    good = np.isfinite(column) | np.isnan(column) if may_be_missing else np.isfinite(column)
    bad = np.flatnonzero(~good)
    if len(bad):
        raise BadInput(name, f"is not finite for asset {assets.at(bad[0])} in row {bad[0] + 1}")
    return column


def _unlabelled(
    values: NDArray[np.float32], time: NDArray[np.float64], first: NDArray[np.int64], axes: int
) -> Histories:
    return Histories(
        values=values,
        time=time,
        rul=np.full(len(time), np.nan, np.float32),
        faults=np.full((len(time), axes), FAULT_UNKNOWN, np.int8),
        first=first,
    )


def _changes(values: NDArray[Any]) -> NDArray[np.bool_]:
    """Return a mask (N,), True where a value differs from the one before it, and at the first."""
    changed = np.ones(len(values), dtype=bool)
    changed[1:] = values[1:] != values[:-1]
    return changed


def _check_together(assets: NDArray[Any], run_assets: NDArray[Any], runs: NDArray[Any]) -> None:
    """Raise BadInput where an asset, or a run of one, begins twice; each argument holds one entry per beginning."""
    if len(set(assets)) < len(assets):
        names, counts = np.unique(assets.astype(str), return_counts=True)
        raise BadInput("asset", f"the rows of {names[counts > 1][0]} are not contiguous; sort by asset, run and time")
    if len(set(zip(run_assets, runs, strict=True))) < len(runs):
        raise BadInput("run", "the rows of a run are not contiguous; sort by asset, run and time")
