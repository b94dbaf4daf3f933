"""Train a bundle from rows in memory, as the stages `prepare` and `train` do from files."""

import tempfile
from pathlib import Path

import pandas as pd
from pydantic import ValidationError

from foretwin.api.datasets import checked
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.table import TEST_SET
from foretwin.dataset.windows import deal_folds
from foretwin.errors import BadInput, RowsError
from foretwin.predictor.bundle import Bundle
from foretwin.project.files import fresh
from foretwin.project.params import TrainParams
from foretwin.training.ensemble import save_ensemble, train_members
from foretwin.training.trainer import Choice

# The first choice that the stage `tune` tries: it did well on turbofans, on pumps and on a test rig's cycles.
CHOICE = Choice(trunk="statistics", width=128, depth=1, dropout=0.1, jitter=0.4, lr=5e-3, weight_decay=1e-2)
CUTS = 20  # random rows per run at which the members are calibrated, as params.yaml has it


def train(
    rows: pd.DataFrame,
    contract: Twin,
    folder: Path | str | None = None,
    *,
    windows: int = 20_000,
    folds: int = 3,
    seed: int = 1,
) -> Bundle:
    """Train an ensemble on labelled rows and return it as a bundle; the same arguments give the same bundle.

    The assets are dealt into `folds`; each member sees `windows` windows of all folds but one, on which it is
    calibrated. The hyper-parameters are fixed: `dvc repro` tunes them, and its budgets (five folds, 200,000 windows)
    take minutes. The bundle is written to `folder` where one is named. An older bundle in it is replaced; another
    folder is refused. RowsError where the rows break the rules of the canonical table, TrainingError where there is
    nothing to learn from.

    >>> contract = foretwin.load_contract("data/pump/twin.yaml")
    >>> rows = foretwin.load_dataset("pump", assets=8)
    >>> bundle = foretwin.train(rows, contract, windows=2_000, folds=2)
    >>> bundle
    <Bundle of pump: rul, mode from 11 channels, digest ...>
    """
    rows = checked(rows, contract)
    params = _params(windows, seed)
    development = _deal(rows, contract, folds, seed)
    with tempfile.TemporaryDirectory() as temporary:
        out = Path(temporary) / "bundle" if folder is None else _replaceable(Path(folder))
        members = list(train_members(development, contract, CHOICE, params, Path(temporary) / "work"))
        with fresh(out) as empty:
            save_ensemble(members, development, contract, params, empty)
        return Bundle.load(out)


def _params(windows: int, seed: int) -> TrainParams:
    try:
        return TrainParams(windows=windows, batch=128, level=0.9, confidence=0.9, seeds=[seed])
    except ValidationError as error:
        first = error.errors()[0]
        raise BadInput("seed" if first["loc"][0] == "seeds" else str(first["loc"][0]), first["msg"]) from None


def _deal(rows: pd.DataFrame, contract: Twin, folds: int, seed: int) -> Development:
    """Return the rows with each asset in a fold; none is held out."""
    assets = rows["asset"].nunique()
    if not 2 <= folds <= assets:
        raise BadInput("folds", f"{folds} is not between 2 and {assets}, the number of assets")
    fixed = rows.loc[rows["fixed_split"] == TEST_SET, "asset"]
    if len(fixed):
        held_out = f"asset {fixed.iat[0]} belongs to the fixed test set"
        raise RowsError(f"{contract.name}: {held_out}; train on the first table that `hold_out` returns")
    return Development.of(rows, deal_folds(rows, 0, folds, seed), contract, CUTS, seed)


def _replaceable(folder: Path) -> Path:
    """Return the folder if it is missing, empty, or a bundle; anything else in it would be lost."""
    if folder.exists() and not (folder / "manifest.json").exists() and any(folder.iterdir()):
        raise BadInput("folder", f"{folder} holds something other than a bundle; name another")
    return folder
