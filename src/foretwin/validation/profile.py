"""Profile of a piece of a canonical table: which rows break a rule by themselves, and measures of each stretch.

Great Expectations checks one column at a time and has no notion of an asset's time series, nor can it read a table in
pieces. So properties of rows and series are measured here, `fleet_profile` merges the pieces, and the rules apply to
these small tables. A piece holds whole stretches: rows in turn of one asset and run.
"""

import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import (
    FAULT_UNKNOWN,
    HISTORY,
    KEY,
    TEST_SET,
    fault_column,
    has_failed,
    out_of_order,
    run_starts,
)

Mask = NDArray[np.bool_]

STEP_TOLERANCE = 1e-3  # of the clock's step: far below any real error, far above the rounding of decimal text files
FIRST = 3  # rows that are shown of those that break a rule
LARGEST_TIME = sys.float_info.max
LARGEST_FLOAT32 = float(np.finfo(np.float32).max)


@dataclass(frozen=True)
class Behind:
    """The rows behind a broken rule: how many, and the positions in the table of the first of them."""

    count: int = 0
    first: tuple[int, ...] = ()

    @classmethod
    def of(cls, mask: Mask, before: int) -> Self:
        """Take the rows that are True in a piece which `before` rows precede."""
        return cls(int(mask.sum()), tuple(int(row) + before for row in np.flatnonzero(mask)[:FIRST]))

    @classmethod
    def of_stretches(cls, begins: Iterable[int], sizes: Iterable[int]) -> Self:
        """Take all rows of these stretches, in their order."""
        count, first = 0, list[int]()
        for begin, size in zip(begins, sizes, strict=True):
            first += range(begin, begin + min(size, FIRST - len(first)))
            count += size
        return cls(int(count), tuple(int(row) for row in first))

    def plus(self, later: "Behind") -> "Behind":
        """Add the rows of a later piece."""
        return Behind(self.count + later.count, (*self.first, *later.first)[:FIRST])


@dataclass(frozen=True)
class PieceProfile:
    """Measures of a piece of a table."""

    stretches: pd.DataFrame
    """One row per stretch, in order: `asset`, `run`, `begin` (position in the table), `rows`; and of it:

    `out_of_order`     rows whose time is not later than on the row before
    `rul_out_of_step`  rows where RUL does not fall by as much as time rises (with `contract.rul`)
    `stuck_<sensor>`   the longest stretch of one unchanged value (with `quality.max_stuck_rows`)
    `in_test`          rows of the fixed test set
    `failed`           whether a row outside of it tells a failure, and `ends_outside`, whether the last one is
    """
    rows: Mapping[str, Behind]
    """Measure -> the rows that break its rule by themselves, or within their run."""
    labels: Mapping[str, tuple[int, Behind]]
    """Label -> the number of rows, and those where it is unknown; apart from rows of a history, `<label> of history`"""

    @classmethod
    def of(cls, piece: pd.DataFrame, contract: Twin, before: int = 0) -> Self:
        """Measure a piece with the canonical columns and dtypes, which `before` rows of the table precede."""
        starts = run_starts(piece)
        begins = np.flatnonzero(starts)
        stretches = piece.loc[starts, ["asset", "run"]].reset_index(drop=True)
        sizes = np.diff(np.append(begins, len(piece)))
        masks = _series_masks(piece, contract)
        test = (piece["fixed_split"] == TEST_SET).to_numpy(bool)
        sums = {name: _sums(mask, begins) for name, mask in (masks | {"in_test": test}).items()}
        stuck = _stuck(piece, contract, starts)
        longest = {name: _longest(lengths, begins) for name, lengths in stuck.items()}
        failed = ~test & has_failed(piece)
        ends = {"failed": _sums(failed, begins) > 0, "ends_outside": ~test[begins + sizes - 1]}
        measures = pd.DataFrame({"begin": begins + before, "rows": sizes, **sums, **longest, **ends})
        limit = contract.quality.max_stuck_rows or 0
        masks |= {name: lengths > limit for name, lengths in stuck.items()} | row_masks(piece, contract)
        return cls(
            stretches=pd.concat([stretches, measures], axis=1),
            rows={name: Behind.of(mask, before) for name, mask in masks.items()},
            labels=_labels(piece, contract, before),
        )


def row_masks(rows: pd.DataFrame, contract: Twin) -> dict[str, Mask]:
    """Return measure -> bool (N,), True where a row breaks the rule: a value is absent, or outside its limits."""
    known = (*KEY, *contract.channel_names, "fixed_split", "subset")
    masks: dict[str, pd.Series[bool] | Mask] = {f"absent_{name}": rows[name].isna() for name in known}
    masks["unnamed"] = rows["asset"] == ""
    masks["outside_time"] = rows["time"].abs() > LARGEST_TIME
    masks["repeated"] = rows.duplicated(KEY, keep=False)
    wrong = ~rows["fixed_split"].isin(["", TEST_SET]) & rows["fixed_split"].notna()
    masks["outside_fixed_split"] = wrong & ~rows["fixed_split"].str.isdecimal() if contract.has_split else wrong
    for name, channel in contract.channels.items():
        values = rows[name].to_numpy()
        masks[f"outside_{name}"] = (values < as_float32(channel.min)) | (values > as_float32(channel.max))
    if contract.rul:
        masks["outside_rul"] = (rows["rul"] < 0) | (rows["rul"] > LARGEST_FLOAT32)
    for axis in contract.axes:
        last = len(contract.classes(axis)) - 1
        masks[f"outside_{fault_column(axis)}"] = ~rows[fault_column(axis)].between(FAULT_UNKNOWN, last)
    return {name: np.asarray(mask, np.bool_) for name, mask in masks.items()}


def as_float32(limit: float) -> np.float32:
    """Round the limit as the table would: a reading of exactly 0.1 is a little more than 0.1 as float32."""
    return np.float32(np.clip(limit, -LARGEST_FLOAT32, LARGEST_FLOAT32))


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


def _series_masks(piece: pd.DataFrame, contract: Twin) -> dict[str, Mask]:
    masks = {"out_of_order": out_of_order(piece) if len(piece) else np.zeros(0, np.bool_)}
    if contract.rul:
        run = np.asarray(piece.groupby(["asset", "run"], sort=False, dropna=False).ngroup(), np.int64)
        masks["rul_out_of_step"] = rul_out_of_step(piece, run, contract.clock.step)
    return masks


def _stuck(rows: pd.DataFrame, contract: Twin, starts: Mask) -> dict[str, NDArray[np.int64]]:
    if contract.quality.max_stuck_rows is None:
        return {}
    sensors = [name for name, channel in contract.channels.items() if channel.role == "sensor"]
    judged = [name for name in sensors if name not in contract.quality.may_be_constant]
    return {f"stuck_{name}": stretch_lengths(rows[name].to_numpy(), starts) for name in judged}


def _sums(mask: Mask, begins: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the number of True rows of each stretch."""
    return np.add.reduceat(mask.astype(np.int64), begins) if len(begins) else np.empty(0, np.int64)


def _longest(lengths: NDArray[np.int64], begins: NDArray[np.int64]) -> NDArray[np.int64]:
    return np.maximum.reduceat(lengths, begins) if len(begins) else np.empty(0, np.int64)


def _labels(piece: pd.DataFrame, contract: Twin, before: int) -> dict[str, tuple[int, Behind]]:
    unknown = {fault_column(axis): piece[fault_column(axis)] == FAULT_UNKNOWN for axis in contract.axes}
    if contract.rul:
        unknown["rul"] = piece["rul"].isna()
    history = (piece["subset"] == HISTORY).to_numpy(bool)
    found = {}
    for kind, judged in (("", ~history), (" of history", history)):
        for name, mask in unknown.items():
            found[f"known_{name}{kind}"] = int(judged.sum()), Behind.of(mask.to_numpy(bool) & judged, before)
    return found
