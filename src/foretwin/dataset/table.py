"""Canonical table, the common form of the data of every source.

One row is one asset at one time step:

    asset        str      name; all rows of an asset are in the same split
    run          int64    life number; a new one starts after a failure or a repair
    time         float64  time since the run began, in the contract's unit, strictly increasing within a run
    <channel>    float32  one column per channel, in the contract's physical unit; of a category the number of the word
    rul          float32  time to failure, uncapped, 0 on the failure row, NaN where unknown; after the stage `prepare`
                          infinite where it is only known to be the cap or more
    fault_<axis> int8     class on that axis, 0 = healthy, -1 = unknown
    fixed_split  str      "test" where the source fixed a split, or the number of a fold, else empty
    subset       str      named part of the data with separate figures, else empty; never an input
    ended        str      how the run ended, one of `ENDS`, where the contract's source tells it; else no such column
"""

from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.contract.categories import category_codes
from foretwin.contract.source.side_checks import ENDED
from foretwin.contract.twin import Twin
from foretwin.errors import RowsError

RUN = ["asset", "run"]
KEY = [*RUN, "time"]
FAULT_UNKNOWN = -1
ROW_GROUP = 1 << 18  # rows of a row group of a written file
SPLIT_COLUMNS = ("fixed_split", "subset")
TEST_SET = "test"  # in fixed_split
FAILED_ENDS = ("failed", "reached")  # those to which an RUL counts down; all others are only known to come later
ENDS = (*FAILED_ENDS, "replaced", "removed", "running", "unknown")
HISTORY = "history"  # the subset of rows from the twins' own store


def column_types(twin: Twin) -> dict[str, str]:
    """Return column -> dtype of the canonical table, in its order."""
    channels = dict.fromkeys(twin.channel_names, "float32")
    faults = {fault_column(axis): "int8" for axis in twin.axes}
    keys = {"asset": "str", "run": "int64", "time": "float64"}
    ended = {ENDED: "str"} if twin.tells_ends else {}
    return {**keys, **channels, "rul": "float32", **faults, "fixed_split": "str", "subset": "str", **ended}


def fault_column(axis: str) -> str:
    """Return the column of an axis' class."""
    return f"fault_{axis}"


def canonical(frame: pd.DataFrame, twin: Twin) -> pd.DataFrame:
    """Convert a frame to exactly the canonical columns and dtypes; absent labels become unknown, with health normal.

    RowsError where a key or channel is absent or a column holds something other than numbers. The order of rows is
    kept; validation checks it.
    """
    absent = [name for name in [*KEY, *twin.channel_names] if name not in frame.columns]
    if absent:
        raise RowsError(f"{twin.name}: column {absent[0]} is missing")
    defaults: dict[str, object] = {"rul": np.nan, "fixed_split": "", "subset": "", ENDED: "unknown"}
    defaults |= {fault_column(axis): FAULT_UNKNOWN for axis in twin.axes}
    if twin.health is not None:  # what is presumed to be normal is so on every axis
        defaults |= {fault_column(axis): _presumed_normal(frame, twin) for axis in twin.axes}
    columns = {}
    for name, dtype in column_types(twin).items():
        column = frame[name] if name in frame.columns else pd.Series(defaults[name], index=frame.index)
        words = twin.channels[name].categories if name in twin.channels else None
        if words is not None and not pd.api.types.is_numeric_dtype(column):
            column = pd.Series(category_codes(column.tolist(), words), index=frame.index)
        try:
            columns[name] = column.astype(np.dtype(dtype) if dtype != "str" else "str")
        except (ValueError, TypeError) as error:
            raise RowsError(f"{twin.name}: column {name} is not {dtype}: {error}") from None
        if dtype.startswith("int") and pd.api.types.is_numeric_dtype(column):
            changed = column[columns[name] != column]
            if len(changed):  # numpy would round, or wrap 256 to 0, the class healthy
                raise RowsError(f"{twin.name}: column {name} is not {dtype}: it holds {changed.iloc[0]}")
    return pd.DataFrame(columns).reset_index(drop=True)


def _presumed_normal(frame: pd.DataFrame, twin: Twin) -> "pd.Series[int]":
    """Return the class (N,) of rows of which nobody said anything: normal.

    It is unknown where a label tells a fault on some axis, at a standstill, and near an end.
    """
    presumed = pd.Series(0, frame.index)
    for column in {fault_column(axis) for axis in twin.axes} & {*frame.columns}:
        presumed = presumed.mask(pd.to_numeric(frame[column], errors="coerce") > 0, FAULT_UNKNOWN)
    if twin.health is not None and twin.health.off:
        still = [pd.to_numeric(frame[name], errors="coerce") <= most for name, most in twin.health.off.items()]
        presumed = presumed.mask(pd.concat(still, axis=1).all(axis=1), FAULT_UNKNOWN)
    if twin.rul is None or "rul" not in frame.columns:
        return presumed
    return presumed.mask(frame["rul"] < twin.rul.cap, FAULT_UNKNOWN)


def write_rows(frame: pd.DataFrame, twin: Twin, path: Path) -> None:
    """Write the canonical table as Parquet: the bytes of `pieces.RowsWriter`."""
    canonical(frame, twin).to_parquet(path, index=False, compression="zstd", row_group_size=ROW_GROUP)


def read_rows(path: Path, twin: Twin) -> pd.DataFrame:
    """Read a canonical table of `write_rows`; RowsError where it does not fit the contract."""
    try:
        frame = pd.read_parquet(path)
    except FileNotFoundError:
        raise absent_table(path, twin) from None
    except Exception as error:  # pyarrow's errors share no public base with a message for users
        raise damaged_table(path, error) from None
    return canonical(frame, twin)


def absent_table(path: Path, twin: Twin) -> RowsError:
    """Return the error of a table that is not there."""
    return RowsError(f"{path}: no such table; run `dvc repro data/{twin.name}/dvc.yaml:adapt`")


def damaged_table(path: Path, error: Exception) -> RowsError:
    """Return the error of a file that cannot be read."""
    return RowsError(f"{path}: not a Parquet table: {error}")


def time_to_end(frame: pd.DataFrame) -> "pd.Series[float]":
    """Compute the time from each row to the last of its (asset, run): the RUL of a run that ended in failure."""
    return frame.groupby(["asset", "run"], sort=False)["time"].transform("max") - frame["time"]


def has_failed(frame: pd.DataFrame) -> np.ndarray:
    """Return bool (N,), True on the failure row of a run; where the table tells how runs ended, on all its rows."""
    if ENDED in frame:
        return frame[ENDED].isin(FAILED_ENDS).to_numpy(bool) | (frame["rul"] <= 0).to_numpy(bool)
    return (frame["rul"] <= 0).to_numpy(bool)


def run_starts(frame: pd.DataFrame) -> np.ndarray:
    """Return bool (N,), True on the first row of each stretch of rows of one asset and run."""
    asset, run = frame["asset"].to_numpy(), frame["run"].to_numpy()
    starts = np.ones(len(frame), dtype=bool)
    starts[1:] = (asset[1:] != asset[:-1]) | (run[1:] != run[:-1])
    return starts


def out_of_order(frame: pd.DataFrame) -> np.ndarray:
    """Return bool (N,), True where time does not exceed that of the run's previous row, or is not finite."""
    time = frame["time"].to_numpy()
    wrong: np.ndarray = ~np.isfinite(time)
    wrong[1:] |= ~run_starts(frame)[1:] & ~(time[1:] > time[:-1])
    return wrong
