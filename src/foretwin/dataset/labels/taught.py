"""Which questions the labels of a twin teach, where it asks for health, which needs none.

A question waits until each fold's training assets, and the held-out ones, show two of its classes, or remaining lives
below the cap: of fewer no network learns anything, and nobody could judge what it says. Verdicts bring them.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from foretwin.contract.questions import RUL, asking, labelled_questions, questions_of
from foretwin.contract.twin import Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.table import FAULT_UNKNOWN, fault_column, read_rows
from foretwin.dataset.windows import TEST, last_rows
from foretwin.project.json import strict_json
from foretwin.project.paths import Paths

FILE = "untaught.json"

Known = dict[int, set[float]]  # fold, TEST of held-out assets -> the labels that tell something


def write_lacking(contract: Twin, windows: Path) -> dict[str, str]:
    """Return the questions that wait, each with the reason, by the files of `prepare`; write them beside these.

    Nothing is written where none does, and none does without health: whoever asks labelled questions alone is told at
    once that labels are missing.
    """
    names = labelled_questions(contract) if contract.health is not None else ()
    if not names:
        return {}
    folds = json.loads((windows / "splits.json").read_text(encoding="utf-8"))
    known: dict[str, Known] = {name: {} for name in names}
    for rows in RowPieces.open(windows / "development.parquet", contract):
        _take_in(rows, rows["asset"].map(folds), contract, known)
    cuts = read_rows(windows / "test.parquet", contract)
    cuts = cuts.iloc[last_rows(cuts)]
    _take_in(cuts, pd.Series(TEST, cuts.index), contract, known)
    lacking = {name: why for name, one in known.items() if (why := _lack(name, one))}
    if lacking:
        (windows / FILE).write_text(strict_json(lacking, indent=1) + "\n", encoding="utf-8")
    return lacking


def _take_in(rows: pd.DataFrame, folds: "pd.Series[int]", contract: Twin, known: dict[str, Known]) -> None:
    for name, of_fold in known.items():
        for fold, labels in _labels(rows, name, contract).groupby(folds):
            of_fold.setdefault(int(fold), set()).update(labels.dropna().unique().tolist())


def _labels(rows: pd.DataFrame, name: str, contract: Twin) -> "pd.Series[float]":
    """Return the labels (N,) that tell something, NaN for others."""
    if name == RUL:
        cap = contract.rul.cap if contract.rul else 0.0
        return pd.Series(np.where(rows["rul"] < cap, 1.0, np.nan), rows.index)
    classes = rows[fault_column(name)].astype("float64")
    return classes.mask(classes == FAULT_UNKNOWN)


def _lack(name: str, known: Known) -> str:
    """Return what is missing to teach and to judge a question; empty where nothing is."""
    wanted, what = (1, "a remaining life below the cap") if name == RUL else (2, "two of its classes")
    if len(_union(known, known)) < wanted:
        return f"no labels show {what}"
    if len(known.get(TEST, ())) < wanted:
        return f"no labels of held-out machines show {what}"
    folds = [fold for fold in known if fold != TEST]
    short = [fold for fold in folds if len(_union(known, [other for other in folds if other != fold])) < wanted]
    return f"no labels show {what} once fold {short[0] + 1} is held out" if short else ""


def _union(known: Known, folds: Iterable[int]) -> set[float]:
    return set().union(*(known[fold] for fold in folds))


def read_lacking(paths: Paths) -> dict[str, str]:
    """Read the questions that wait for labels, each with the reason."""
    path = paths.windows / FILE
    return dict(json.loads(path.read_text(encoding="utf-8"))) if path.exists() else {}


def load_taught(paths: Paths) -> Twin:
    """Load the contract, without the questions that wait for labels: what is trained, judged and served."""
    contract, lacking = paths.load_contract(), read_lacking(paths)
    return asking(contract, [name for name in questions_of(contract) if name not in lacking])
