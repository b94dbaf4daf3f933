"""Profile of a canonical table: measures per run and of the whole table.

Great Expectations checks one column at a time and has no notion of an asset's time series. So properties of a series
are measured here, and the rules apply to these small tables. Each measure has the mask of the rows of the canonical
table behind it, so that a broken rule can name real rows.
"""

from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.label_leaks import counts_life, stands_for_classes
from foretwin.dataset.machine_names import first_spellings
from foretwin.dataset.table import FAULT_UNKNOWN, HISTORY, fault_column, out_of_order, run_starts

Mask = NDArray[np.bool_]

STEP_TOLERANCE = 1e-3  # of the clock's step: far below any real error, far above the rounding of decimal text files


@dataclass(frozen=True)
class Profile:
    """Measures of one canonical table of N rows."""

    runs: pd.DataFrame
    """One row per (asset, run), in order of appearance: `asset`, `run`, `rows`, and counts of rows of the run:

    `out_of_order`       time is not later than on the row before
    `further_stretches`  the run continues after rows of another run
    `mixed_split`        the asset is both in the fixed test set and outside it
    `rul_out_of_step`    RUL does not fall by as much as time rises (with `contract.rul`)
    `stuck_<sensor>`     the longest stretch of one unchanged value (with `quality.max_stuck_rows`)
    """
    fleet: pd.DataFrame
    """A single row: `assets`, `respelt` assets whose name another one spells differently, `distinct_<channel>` values,
    `tells_<channel>` (0 or 1, whether it tells a label by itself), `known_fault_<axis>` share of rows from 0 to 1,
    `missing_<channel>` share for one that may be missing, and with `contract.rul` also `known_rul` share and
    `failures`, the runs outside the fixed test set that reach RUL 0.

    The shares are of the twin's own source where it has one: a history has labels only where there are verdicts."""
    rows_behind: dict[str, Mask]
    """Measure -> bool (N,): the rows that break its rule. `assets` has none: it does not depend on single rows."""

    @classmethod
    def of(cls, rows: pd.DataFrame, contract: Twin) -> Self:
        """Measure a table with the canonical columns and dtypes."""
        starts = run_starts(rows)
        run = np.asarray(rows.groupby(["asset", "run"], sort=False, dropna=False).ngroup(), np.int64)
        behind, stuck = _behind_runs(rows, contract, starts, run), _stuck(rows, contract, starts)
        counts = {name: np.bincount(run[mask], minlength=run.max(initial=-1) + 1) for name, mask in behind.items()}
        longest = {name: _longest(lengths, run) for name, lengths in stuck.items()}
        sizes = np.bincount(run)
        runs = rows.loc[~pd.Series(run).duplicated().to_numpy(), ["asset", "run"]].reset_index(drop=True)
        runs = pd.concat([runs, pd.DataFrame({"rows": sizes, **counts, **longest})], axis=1)
        limit = contract.quality.max_stuck_rows or 0
        behind |= {name: lengths > limit for name, lengths in stuck.items()}
        behind["rows"] = sizes[run] < contract.quality.min_run_rows
        fleet, behind_fleet = _fleet(rows, contract, run)
        return cls(runs=runs, fleet=pd.DataFrame([fleet]), rows_behind=behind | behind_fleet)


def stretch_lengths(values: NDArray[np.float32], starts: Mask) -> NDArray[np.int64]:
    """Return the length (N,) in rows of the stretch of one unchanged value around each of the values (N,).

    A stretch ends where `starts` (N,) is True, and at NaN.
    """
    begin = starts.copy()
    begin[1:] |= values[1:] != values[:-1]
    lengths = np.diff(np.append(np.flatnonzero(begin), len(values)))
    return np.repeat(lengths, lengths)


def rul_out_of_step(rows: pd.DataFrame, run: NDArray[np.int64], step: float) -> Mask:
    """Return bool (N,), True where time + RUL, the run's end, differs from the run's median by more than rounding.

    `run` (N,) numbers the runs; `step` and both columns are in the clock's unit. RUL is float32, so that it may be
    off by a share of its size; unknown RUL is never out of step.
    """
    rul, time = rows["rul"].to_numpy(np.float64), rows["time"].to_numpy(np.float64)
    known = np.isfinite(rul) & np.isfinite(time)
    end = (time + rul)[known]
    usual = pd.Series(end).groupby(run[known]).transform("median").to_numpy()
    wrong = np.zeros(len(rows), dtype=bool)
    wrong[known] = np.abs(end - usual) > STEP_TOLERANCE * step + 2 * np.finfo(np.float32).eps * np.abs(usual)
    return wrong


def _behind_runs(rows: pd.DataFrame, contract: Twin, starts: Mask, run: NDArray[np.int64]) -> dict[str, Mask]:
    further = np.zeros(len(rows), dtype=bool)
    further[starts] = pd.Series(run[starts]).duplicated().to_numpy()
    in_test = (rows["fixed_split"] == "test").groupby(rows["asset"], dropna=False)
    behind = {
        "out_of_order": out_of_order(rows) if len(rows) else further,
        "further_stretches": further,
        "mixed_split": (in_test.transform("min") != in_test.transform("max")).to_numpy(bool),
    }
    if contract.rul:
        behind["rul_out_of_step"] = rul_out_of_step(rows, run, contract.clock.step)
    return behind


def _stuck(rows: pd.DataFrame, contract: Twin, starts: Mask) -> dict[str, NDArray[np.int64]]:
    if contract.quality.max_stuck_rows is None:
        return {}
    sensors = [name for name, channel in contract.channels.items() if channel.role == "sensor"]
    judged = [name for name in sensors if name not in contract.quality.may_be_constant]
    return {f"stuck_{name}": stretch_lengths(rows[name].to_numpy(), starts) for name in judged}


def _longest(lengths: NDArray[np.int64], run: NDArray[np.int64]) -> NDArray[np.int64]:
    longest = np.zeros(run.max(initial=-1) + 1, dtype=np.int64)
    np.maximum.at(longest, run, lengths)
    return longest


def _fleet(rows: pd.DataFrame, contract: Twin, run: NDArray[np.int64]) -> tuple[dict[str, float], dict[str, Mask]]:
    measures: dict[str, float] = {"assets": rows["asset"].nunique()}
    behind: dict[str, Mask] = {"assets": np.zeros(len(rows), dtype=bool)}
    for name in contract.channel_names:
        measures[f"distinct_{name}"] = rows[name].nunique()
        behind[f"distinct_{name}"] = np.ones(len(rows), dtype=bool)
        measures[f"tells_{name}"] = float(_tells_label(rows, contract, name, run))
        behind[f"tells_{name}"] = np.zeros(len(rows), dtype=bool)
        if contract.channels[name].may_be_missing:
            lost = rows[name].isna().to_numpy(bool)
            measures[f"missing_{name}"], behind[f"missing_{name}"] = float(lost.mean()) if len(rows) else 0.0, lost
    respelt = {name for name, first in first_spellings(rows["asset"].unique()).items() if name != first}
    measures["respelt"], behind["respelt"] = len(respelt), rows["asset"].isin(respelt).to_numpy(bool)
    unknown = {f"known_{fault_column(axis)}": rows[fault_column(axis)] == FAULT_UNKNOWN for axis in contract.axes}
    if contract.rul:
        unknown["known_rul"] = rows["rul"].isna()
        development = (rows["fixed_split"] != "test").to_numpy(bool)
        failed = np.unique(run[development & (rows["rul"] <= 0).to_numpy(bool)])
        measures["failures"] = len(failed)
        last = ~pd.Series(run).duplicated(keep="last").to_numpy()
        behind["failures"] = last & development & ~np.isin(run, failed)
    judged = (rows["subset"] != HISTORY).to_numpy(bool)
    judged = judged if judged.any() else np.ones(len(rows), dtype=bool)
    for name, mask in unknown.items():
        measures[name] = (~mask[judged]).mean() if len(rows) else 0.0
        behind[name] = mask.to_numpy(bool) & judged
    return measures, behind


def _tells_label(rows: pd.DataFrame, contract: Twin, name: str, run: NDArray[np.int64]) -> bool:
    """Return whether a channel is made from a label, or only counts time, where the contract does not allow it."""
    if name in contract.quality.allow:
        return False
    if contract.channels[name].may_be_missing:
        known = rows[name].notna().to_numpy(bool)
        rows, run = rows[known], run[known]
    values = rows[name].to_numpy()
    if any(stands_for_classes(values, rows[fault_column(axis)].to_numpy()) for axis in contract.axes):
        return True
    return counts_life(values, rows["time"].to_numpy(), rows["rul"].to_numpy(), run)
