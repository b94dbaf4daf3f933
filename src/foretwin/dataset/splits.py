"""Splits of the canonical table for training and evaluation, written by the stage `prepare`.

data/<twin>/windows/ holds `splits.json` (asset -> fold, -1 = held out), `development.parquet` (the rows of the
development assets), `test.parquet` (the held-out assets as known at each cut, `truncate`d) and `example.parquet`
(one held-out run from beginning to end, for plots).
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.table import read_rows, run_starts, write_rows
from foretwin.dataset.windows import TEST, Histories, deal_folds, last_rows, random_cuts, truncate
from foretwin.errors import RowsError
from foretwin.project.json import strict_json
from foretwin.project.params import PrepareParams


@dataclass(frozen=True)
class Split:
    """Training and held-out windows of one fold, as positions into the histories' rows."""

    histories: Histories
    rows: NDArray[np.int64]  # every row of the training assets, for the scaling
    train: NDArray[np.int64]  # those rows at which a training window may end
    held_out: NDArray[np.int64]  # cuts of the held-out assets


@dataclass(frozen=True)
class Development:
    """Rows of the development assets, their folds, and the cuts at which a held-out fold is predicted."""

    histories: Histories
    fold: NDArray[np.int64]  # (R,) of each row
    asset: NDArray[np.int64]  # (R,) number of each row's asset
    ends: NDArray[np.int64]  # rows with enough history and a label: where a training window may end
    cuts: NDArray[np.int64]  # random cuts of every run, labelled too

    @classmethod
    def load(cls, folder: Path, contract: Twin, params: PrepareParams) -> Self:
        """Read the files of `prepare`."""
        rows = read_rows(folder / "development.parquet", contract)
        folds = json.loads((folder / "splits.json").read_text())
        return cls.of(rows, folds, contract, params.cuts, params.seed)

    @classmethod
    def of(cls, rows: pd.DataFrame, folds: Mapping[str, int], contract: Twin, cuts: int, seed: int) -> Self:
        """From canonical rows and their assets' folds; every run is cut at `cuts` random rows, drawn from `seed`."""
        histories = Histories.from_rows(rows, contract)
        labelled = ~np.isnan(histories.rul) | (histories.faults >= 0).any(axis=1)
        ends = histories.ends(contract.window.shortest)
        drawn = random_cuts(rows, cuts, contract.window.shortest, seed)
        fold = np.asarray(rows["asset"].map(folds), np.int64)
        asset = pd.factorize(rows["asset"])[0].astype(np.int64)
        return cls(histories, fold, asset, ends[labelled[ends]], drawn[labelled[drawn]])

    @property
    def folds(self) -> range:
        """Return the fold numbers."""
        return range(int(self.fold.max()) + 1)

    def hold_out(self, fold: int) -> Split:
        """Hold out one fold and train on the others."""
        return Split(
            histories=self.histories,
            rows=np.flatnonzero(self.fold != fold),
            train=self.ends[self.fold[self.ends] != fold],
            held_out=self.cuts[self.fold[self.cuts] == fold],
        )


def prepare(rows: pd.DataFrame, contract: Twin, params: PrepareParams, out: Path) -> dict[str, int]:
    """Split the assets, cut the held-out runs and write all files to `out`; return counts for the user."""
    folds = deal_folds(rows, params.test_share, params.folds, params.seed)
    held_out = rows["asset"].map(folds) == TEST
    test, development = rows[held_out].reset_index(drop=True), rows[~held_out].reset_index(drop=True)
    truncated = cut_held_out(test, contract, params.cuts, params.seed)
    (out / "splits.json").write_text(strict_json(dict(sorted(folds.items())), indent=1))
    write_rows(development, contract, out / "development.parquet")
    write_rows(truncated, contract, out / "test.parquet")
    write_rows(_example(test), contract, out / "example.parquet")
    assets = {"development": len(set(folds)) - test["asset"].nunique(), "held out": test["asset"].nunique()}
    return {**assets, "cuts": truncated["asset"].nunique()}


def cut_held_out(rows: pd.DataFrame, contract: Twin, cuts: int, seed: int) -> pd.DataFrame:
    """What was known of held-out runs at each labelled cut, as `truncate` names it.

    Where the source fixes a test set, its runs are cut once, at their last row; else at `cuts` random rows each, drawn
    from `seed`. The rows have the index 0, 1, 2, ... RowsError where no cut has a label.
    """
    fixed = bool((rows["fixed_split"] == "test").any())
    ends = last_rows(rows) if fixed else random_cuts(rows, cuts, contract.window.shortest, seed)
    ends = ends[_labelled(rows, contract, ends)]
    if len(ends) == 0:
        raise RowsError(f"{contract.name}: no held-out run has a labelled row to be evaluated on; label more runs")
    return truncate(rows, ends, contract.window.length)


def _labelled(rows: pd.DataFrame, contract: Twin, cuts: NDArray[np.int64]) -> NDArray[np.bool_]:
    histories = Histories.from_rows(rows, contract)
    return ~np.isnan(histories.rul[cuts]) | (histories.faults[cuts] >= 0).any(axis=1)


def _example(rows: pd.DataFrame) -> pd.DataFrame:
    """Return the longest run with a known RUL, else the longest."""
    starts = np.flatnonzero(run_starts(rows))
    ends = last_rows(rows)
    known = ~np.isnan(rows["rul"].to_numpy()[ends])
    longest = int(np.argmax((ends - starts) + known * len(rows)))
    return rows.iloc[starts[longest] : ends[longest] + 1]
