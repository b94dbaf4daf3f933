"""Fleets to replay: newly simulated pumps, or recorded assets."""

from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.table import canonical, read_rows
from foretwin.errors import BadInput, RowsError
from foretwin.project.paths import Paths
from foretwin.sources.pump import BATCH, simulate

OTHER_SEED = 1000  # added to the contract's, whose fleet the champion has been trained on


def fleet(
    contract: Twin, root: Path, assets: int | None = None, seed: int | None = None, file: Path | None = None
) -> pd.DataFrame:
    """Return the rows of a fleet: the canonical columns, and `failed`, which is True on the row of a failure.

    Of `file` (Parquet with the canonical columns) where it is given; else, for a twin whose source is `pump`, `assets`
    pumps R-001, R-002, ... simulated from `seed`, by default the contract's and 1000; else of the project's own
    recorded rows. `assets` takes the first so many. RowsError where there are no such rows.
    """
    if assets is not None and assets < 1:
        raise BadInput("assets", f"is {assets}, at least 1 is needed")
    if file is not None:
        return _first(_recorded(file, contract), assets)
    if contract.source.kind != "pump":
        return _first(_with_ends(read_rows(Paths(root, contract.name).rows / "rows.parquet", contract)), assets)
    seed = contract.source.seed + OTHER_SEED if seed is None else seed
    if seed < 0:
        raise BadInput("seed", f"is {seed}, but must not be negative")
    count = assets or contract.source.assets
    batches = [range(first, min(first + BATCH, count)) for first in range(0, count, BATCH)]
    pumps = pd.concat([simulate(batch, seed) for batch in batches], ignore_index=True)
    frame = canonical(pumps.rename(columns={"pump": "asset", "hour": "time"}).assign(run=1), contract)
    names = frame["asset"].str.replace("P-", "R-", n=1, regex=False)
    return frame.assign(asset=names, failed=pumps["failed"].to_numpy())


def _recorded(file: Path, contract: Twin) -> pd.DataFrame:
    try:
        table = pd.read_parquet(file)
    except FileNotFoundError:
        raise RowsError(f"{file}: no such file") from None
    except Exception as error:  # pyarrow's errors share no public base with a message for users
        raise RowsError(f"{file}: not a Parquet table: {str(error).splitlines()[0]}") from None
    frame = canonical(table, contract)
    return frame.assign(failed=table["failed"].to_numpy(bool)) if "failed" in table else _with_ends(frame)


def _with_ends(frame: pd.DataFrame) -> pd.DataFrame:
    """Mark the row of a recorded run where its RUL is 0 as its failure."""
    return frame.assign(failed=frame["rul"] == np.float32(0))


def _first(frame: pd.DataFrame, assets: int | None) -> pd.DataFrame:
    chosen = frame["asset"].unique()[:assets]
    return frame if assets is None else frame[frame["asset"].isin(chosen)].reset_index(drop=True)
