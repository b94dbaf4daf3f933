"""Golden windows: a few held-out windows packaged with a champion, with its scores at that time.

    rows.parquet    asset, run, time and the contract's channels of at most 16 windows
    scores.parquet  asset, run, time, rows and the numbers of `Bundle.score` for them

The digests of a bundle prove that its files are unchanged. The golden windows prove that it still gives the same scores
where it is loaded: with another build of onnxruntime, version of Foretwin, or processor.
"""

from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.dataset.known_rows import most_rows
from foretwin.dataset.table import HISTORY, KEY, read_rows
from foretwin.errors import BadInput, BundleError, RowsError
from foretwin.predictor.bundle import Bundle
from foretwin.predictor.inputs import read_frame

MOST_WINDOWS = 16
EXAMPLE_ROWS = 3
# Processors differ in the order of summation. Trained networks of this project, run without onnxruntime's optimisations
# and one window at a time, differed by at most 2e-6 in these units; other weights or wrong scaling by far more.
TOLERANCE = 1e-4  # of the cap for an RUL and the ends of its interval, absolute for a probability


def keep_golden(folder: Path, bundle: Bundle, held_out: Path) -> None:
    """Write the golden windows of a bundle into an empty folder.

    They are taken from the rows of `held_out`, a canonical table; where it is absent or does not fit the bundle's
    contract, from the ranges that the bundle was trained on. The same rows and bundle give the same windows. Rows from
    the twins' own store are left out: a champion may be shared more widely than a fleet's history.
    """
    rows = _held_out(bundle, held_out)
    rows = _examples(bundle, (0.25, 0.5, 0.75)) if rows is None else rows
    rows.to_parquet(folder / "rows.parquet", index=False, compression="zstd")
    _numbers(bundle, rows).to_parquet(folder / "scores.parquet", index=False, compression="zstd")


def check_golden(champion: Path, bundle: Bundle) -> None:
    """Score a champion folder's golden windows again; BundleError names the first difference to the kept scores.

    A folder without golden windows passes: it was written by an earlier version.
    """
    folder = champion / "golden"
    if not folder.exists():
        return
    rows, kept = _read(folder / "rows.parquet"), _read(folder / "scores.parquet")
    try:
        now = _numbers(bundle, rows)
    except BadInput as error:
        raise BundleError(f"{folder}/rows.parquet: cannot be scored: {error}") from None
    if list(now.columns) != list(kept.columns) or len(now) != len(kept):
        raise BundleError(f"{folder}/scores.parquet: columns or windows differ from the bundle's; package it again")
    for name in now.columns:
        _compare(folder, name, kept, now, _tolerance(bundle, name))


def example_rows(bundle: Bundle) -> pd.DataFrame:
    """Return one window that can be scored: the middle of each channel's training range, repeated."""
    return _examples(bundle, (0.5,))


def _held_out(bundle: Bundle, path: Path) -> pd.DataFrame | None:
    """Select at most 16 windows, evenly from those of the table; None where none fits this contract."""
    contract = bundle.contract
    try:
        rows = read_rows(path, contract)
    except RowsError:
        return None
    rows = rows[rows["subset"] != HISTORY]
    groups = rows.groupby(["asset", "run"], sort=False)
    place, count = groups.cumcount(ascending=False), groups["time"].transform("size")
    rows = rows[(place < most_rows(contract)) & (count >= contract.window.shortest)]
    assets = rows["asset"].drop_duplicates().to_numpy()
    chosen = assets[np.unique(np.linspace(0, len(assets) - 1, MOST_WINDOWS).astype(int))] if len(assets) else assets
    found = rows.loc[rows["asset"].isin(chosen), [*KEY, *contract.channel_names]].reset_index(drop=True)
    try:
        _numbers(bundle, found)
    except BadInput:  # rows in an order, or with gaps, that scoring rejects
        return None
    return found


def _examples(bundle: Bundle, shares: tuple[float, ...]) -> pd.DataFrame:
    """Build a window per share, with each channel at that share of its training range."""
    contract = bundle.contract
    count = max(contract.window.shortest, EXAMPLE_ROWS)
    low, high = bundle.reference.ranges.astype(np.float64)
    values = np.repeat([low + share * (high - low) for share in shares], count, axis=0)  # (windows * count, C)
    names = np.repeat([f"EXAMPLE-{i + 1}" for i in range(len(shares))], count)
    time = np.tile(contract.clock.step * np.arange(1.0, count + 1), len(shares))
    channels = dict(zip(contract.channel_names, values.astype(np.float32).T, strict=True))
    return pd.DataFrame({"asset": names, "run": np.ones(len(names), np.int64), "time": time, **channels})


def _numbers(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame:
    """Compute the numbers to compare; a score's class follows from its probabilities and the verified thresholds.

    The guards are not asked: whether a reading is one of this machine does not change what the network says of it.
    """
    columns = [*KEY, "rows", *bundle.score_columns]
    scores = bundle.answer(read_frame(rows, bundle.contract)).frame()
    return scores[columns].reset_index(drop=True).astype({"asset": "str"})


def _tolerance(bundle: Bundle, name: str) -> float:
    if name not in bundle.score_columns:
        return 0.0
    rul = name in ("rul", "rul_low", "rul_high") and bundle.contract.rul
    return TOLERANCE * (rul.cap if rul else 1)


def _compare(folder: Path, name: str, kept: pd.DataFrame, now: pd.DataFrame, tolerance: float) -> None:
    before, after = kept[name].to_numpy(), now[name].to_numpy()
    wrong = np.flatnonzero(_far(before, after, tolerance))
    if len(wrong):
        first = int(wrong[0])
        change = f"{_shown(after[first])} instead of {_shown(before[first])}"
        which = f"{name} of {kept['asset'].iloc[first]} is {change}"
        raise BundleError(f"{folder}: {which}, for {len(wrong)} of {len(kept)} golden windows; it is not served")


def _far(before: NDArray[Any], after: NDArray[Any], tolerance: float) -> NDArray[np.bool_]:
    """Return a mask (N,) where two columns differ by more than the tolerance; NaN always does."""
    if tolerance == 0:
        return np.asarray(before != after, dtype=bool)
    return ~(np.abs(before.astype(np.float64) - after.astype(np.float64)) <= tolerance)


def _shown(value: Any) -> str:
    return f"{value:.6g}" if isinstance(value, float) else str(value)


def _read(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except Exception as error:  # pyarrow's errors share no public base
        raise BundleError(f"{path}: cannot be read: {str(error).splitlines()[0]}; package the champion again") from None
