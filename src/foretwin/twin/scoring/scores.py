"""From windows to rows of the table of scores, by `Bundle.score` and nothing else."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.errors import BadInput, BundleError
from foretwin.predictor.bundle import Bundle, probability_column
from foretwin.twin.scoring.window_cache import Recent
from foretwin.twin.store.scoring.scores import Score


@dataclass(frozen=True)
class Answer:
    """What a bundle says of some assets: tables of `Bundle.score`, and the assets that it cannot score, with why."""

    tables: tuple[pd.DataFrame, ...] = ()
    refused: tuple[tuple[int, str], ...] = ()


def score_assets(bundle: Bundle, recent: Recent, chosen: NDArray[np.int64], most_refused: int | None = None) -> Answer:
    """The scores for the windows of these assets (N,), by their numbers.

    An asset that cannot be scored is looked for by halving, so that it does not stop the others; once `most_refused`
    were found, the rest of a call that failed counts as refused too.
    """
    if len(chosen) == 0:
        return Answer()
    try:
        return Answer((bundle.score(recent.rows(chosen, bundle.contract.window.length)),))
    except (BadInput, BundleError) as error:
        reason = str(error)
    if len(chosen) == 1 or (most_refused is not None and most_refused <= 0):
        return Answer(refused=tuple((number, reason) for number in chosen.tolist()))
    before, after = np.array_split(chosen, 2)
    first = score_assets(bundle, recent, before, most_refused)
    left = None if most_refused is None else most_refused - len(first.refused)
    second = score_assets(bundle, recent, after, left)
    return Answer(first.tables + second.tables, first.refused + second.refused)


def as_scores(
    contract: Twin, table: pd.DataFrame, model: int, received_at: Mapping[int, float], now: datetime
) -> list[Score]:
    """The rows of such a table; `received_at` (s since 1970) is when the last reading of each asset came."""
    columns: dict[str, list[Any]] = {name: table[name].tolist() for name in table.columns}
    nothing = [None] * len(table)
    rul = [columns.get(name, nothing) for name in ("rul", "rul_low", "rul_high")]
    faults = _named(contract.axes, [_probabilities(contract, axis, columns) for axis in contract.axes], len(table))
    diagnosis = _named(contract.axes, [columns[axis] for axis in contract.axes], len(table))
    moment = now.timestamp()
    ages = [max(0.0, moment - received_at[asset]) for asset in columns["asset"]]
    keys = zip(columns["asset"], columns["run"], columns["time"], strict=True)
    said = zip(ages, columns["rows"], *rul, faults, diagnosis, columns["warnings"], strict=True)
    return [Score(*key, model, now, *rest) for key, rest in zip(keys, said, strict=True)]


def _probabilities(contract: Twin, axis: str, columns: Mapping[str, list[Any]]) -> list[dict[str, Any]]:
    """Of each row, class -> probability."""
    classes = contract.classes(axis)
    return _named(classes, [columns[probability_column(axis, name)] for name in classes], len(columns["asset"]))


def _named(names: tuple[str, ...], lists: list[list[Any]], count: int) -> list[dict[str, Any]]:
    """Columns of `count` values as one dictionary per row."""
    return [dict(zip(names, row, strict=True)) for row in zip(*lists, strict=True)] if names else [{}] * count
