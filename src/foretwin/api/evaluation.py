"""Measure a bundle on held-out rows in memory, as the stage `evaluate` does from files."""

from typing import Any

import pandas as pd

from foretwin.api.datasets import checked
from foretwin.dataset.known_rows import truncate_known
from foretwin.dataset.splits import cut_held_out
from foretwin.dataset.windows import Histories
from foretwin.errors import BadInput
from foretwin.evaluation.held_out import Truth, figures_of
from foretwin.predictor.bundle import Bundle


def evaluate(bundle: Bundle, rows: pd.DataFrame, cuts: int = 20, seed: int = 1) -> dict[str, Any]:
    """Measure a bundle on labelled rows of assets that it was not trained on.

    Each run is predicted at `cuts` random rows, drawn from `seed`, or once at its last row where the source fixes a
    test set. Returns `assets` and `cuts`, how many were measured; where the twin has an RUL, `rul` with `clipped` and
    `unclipped` errors (RMSE in the contract's unit, PHM08 score) and the `interval`'s level, coverage and width; where
    it has faults, `fault` with macro-F1, accuracy and calibration of each axis. RowsError where no cut has a label.

    >>> bundle = foretwin.load_bundle("models/pump/champion/bundle")
    >>> held_out = foretwin.load_dataset("pump", assets=12)
    >>> figures = foretwin.evaluate(bundle, held_out)
    >>> figures["assets"], figures["rul"]["interval"]["level"]
    (12, 0.9)
    >>> bool(figures["rul"]["clipped"]["rmse"] < 60)
    True
    """
    if cuts < 1:
        raise BadInput("cuts", f"{cuts} is not at least 1")
    contract = bundle.contract
    held_out = cut_held_out(checked(rows, contract), contract, cuts, seed)
    scores = bundle.score(held_out)
    assets = int(scores["asset"].str.rpartition("@")[0].nunique())
    return {"assets": assets, "cuts": len(scores), **figures_of(bundle, scores, Truth.of(held_out, contract))}


def score_run(bundle: Bundle, rows: pd.DataFrame) -> pd.DataFrame:
    """Score one run at each of its rows, as it would have been scored when the row came in.

    Returns what `Bundle.score` returns, one score per row from the contract's shortest history on, with `true_rul`:
    the label of the row, in the contract's unit, NaN where unknown. BadInput where the rows are of several runs.

    >>> bundle = foretwin.load_bundle("models/pump/champion/bundle")
    >>> rows = foretwin.load_dataset("pump", assets=1)
    >>> course = foretwin.score_run(bundle, rows)
    >>> len(rows) - len(course), bundle.contract.window.shortest
    (11, 12)
    >>> float(course["true_rul"].iloc[-1])
    0.0
    """
    contract = bundle.contract
    rows = checked(rows, contract)
    runs = rows[["asset", "run"]].drop_duplicates()
    if len(runs) > 1:
        raise BadInput("rows", f"hold {len(runs)} runs; choose one asset and one run of it")
    ends = Histories.from_rows(rows, contract).ends(contract.window.shortest)
    if len(ends) == 0:
        raise BadInput("rows", f"are {len(rows)}, at least {contract.window.shortest} are needed")
    scores = bundle.score(truncate_known(rows, ends, contract))
    return scores.assign(asset=rows["asset"].to_numpy()[ends], true_rul=rows["rul"].to_numpy()[ends])
