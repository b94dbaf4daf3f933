"""Load data sets as canonical rows, hold assets out, and check rows that a caller brings."""

import tempfile
from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.contract.source import PumpSource
from foretwin.contract.twin import Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.table import canonical, fault_column, out_of_order, run_starts
from foretwin.dataset.units import mark_held_out
from foretwin.dataset.windows import TEST, deal_folds
from foretwin.errors import BadInput, RowsError
from foretwin.project.paths import Paths
from foretwin.sources import adapt, fetch


def load_dataset(name: str, root: Path | str = ".", assets: int | None = None) -> pd.DataFrame:
    """Load the data of `data/<name>/twin.yaml` in the project's folder `root` as canonical rows.

    What the contract's source names is simulated, read or downloaded. Published archives are taken from the folder that
    FORETWIN_DATASETS names, else downloaded once to `.foretwin/_downloads`; their digests are checked. `assets` is
    how many pumps are simulated, by default as many as the contract says; other sources refuse it.

    Returns one row per asset and time step, each run's rows in order of time: asset, run, time, a float32 column per
    channel in the contract's unit, rul (NaN = unknown), `fault_<axis>` (number of the class, 0 = healthy, -1 =
    unknown), fixed_split, subset. SourceError where the data cannot be had as described.

    >>> rows = foretwin.load_dataset("pump", assets=3)
    >>> rows["asset"].unique().tolist()
    ['P-001', 'P-002', 'P-003']
    >>> rows[["asset", "time", "flow", "rul"]].tail(1)
         asset   time        flow  rul
    ...  P-003  ...
    """
    paths = Paths(Path(root), name)
    contract = paths.load_contract()
    if assets is not None:
        if not isinstance(contract.source, PumpSource) or assets < 1:
            raise BadInput("assets", f"{assets}: only for simulated fleets, and at least 1; leave it out")
        source = contract.source.model_copy(update={"assets": assets})
        contract = contract.model_copy(update={"source": source})
    with tempfile.TemporaryDirectory() as raw:
        fetch(contract, paths, Path(raw))
        return adapt(contract, Path(raw))


def hold_out(
    rows: pd.DataFrame, contract: Twin, share: float = 0.25, seed: int = 1
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Split rows into those to train on and those to evaluate on; no asset is in both.

    Where the source fixes a test set, or the contract names the assets, those are held out; else a random `share` of
    the assets, drawn from `seed` as the stage `prepare` draws it. RowsError where the rows break the rules of the
    canonical table, or have no asset of a name.

    >>> contract = foretwin.load_contract("data/pump/twin.yaml")
    >>> rows = foretwin.load_dataset("pump", assets=8)
    >>> development, held_out = foretwin.hold_out(rows, contract)
    >>> development["asset"].nunique(), held_out["asset"].nunique()
    (6, 2)
    """
    if not 0 < share < 1:
        raise BadInput("share", f"{share} is not between 0 and 1")
    rows = next(mark_held_out(RowPieces.of(checked(rows, contract)), contract.holdout).read())
    held_out = rows["asset"].map(deal_folds(rows, share, 1, seed)) == TEST
    return rows[~held_out].reset_index(drop=True), rows[held_out].reset_index(drop=True)


def checked(rows: pd.DataFrame, contract: Twin) -> pd.DataFrame:
    """Return the rows as a canonical table with the index 0, 1, 2, ...; absent labels become unknown.

    RowsError where a column is missing, a reading is not finite, a class is none of the contract's, or a run's rows are
    not together and in order of time.
    """
    rows = canonical(rows, contract)
    if rows.empty:
        raise RowsError(f"{contract.name}: there are no rows; bring at least one run")
    for name in contract.channel_names:
        _refuse(rows, ~np.isfinite(rows[name].to_numpy()), f"{contract.name}: column {name} is not finite")
    for axis in contract.axes:
        column, last = fault_column(axis), len(contract.classes(axis)) - 1
        wrong = ~rows[column].between(-1, last).to_numpy()
        _refuse(rows, wrong, f"{contract.name}: column {column} is not a class from 0 to {last}, or -1 for unknown")
    _refuse(rows, out_of_order(rows), f"{contract.name}: column time does not increase within the run")
    starts = rows[run_starts(rows)]
    again = starts.duplicated(["asset", "run"]).to_numpy()
    _refuse(starts, again, f"{contract.name}: the rows of a run are not together: sort them by asset, run and time")
    return rows


def _refuse(rows: pd.DataFrame, wrong: np.ndarray, problem: str) -> None:
    """Raise RowsError with the first of the rows where `wrong`, bool (N,), is true."""
    if wrong.any():
        first = rows[wrong].iloc[0]
        raise RowsError(f"{problem}: asset {first['asset']}, run {first['run']}, time {first['time']:g}")
