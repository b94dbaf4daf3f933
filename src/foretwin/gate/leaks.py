"""Checks for data leakage from held-out windows into development data, which would void the held-out figures.

They read the outputs of the stage `prepare` and do not depend on a model: a leak is repaired in the data.
"""

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.labels.label_leaks import (
    COUNTDOWN,
    FEWEST_LIVES,
    FEWEST_ROWS,
    rank_correlation,
    stands_for_classes,
)
from foretwin.dataset.table import fault_column
from foretwin.dataset.windows import TEST, last_rows
from foretwin.gate.figures import Check, share_text

MOST_COPIES = 0.01  # of the held-out windows, beyond the share that development assets have in common by chance


def leak_checks(
    contract: Twin, development: pd.DataFrame, test_rows: pd.DataFrame, folds: Mapping[str, int]
) -> list[Check]:
    """Return one failed check per leak found, or a single passed one; canonical rows, `test_rows` from `truncate`.

    `folds` are those of splits.json.
    """
    last = test_rows.iloc[last_rows(test_rows)]
    assets = last["asset"].str.rpartition("@")[0]
    found = [
        *_both_sides(set(development["asset"].unique()), set(assets.unique()), folds),
        *_copies(contract, development, last),
        *_countdowns(contract, last, assets),
        *_labels(contract, last),
    ]
    if found:
        return [Check("leaks", False, sentence) for sentence in found]
    return [Check("leaks", True, "nothing of the held-out windows was found in the development data")]


def _both_sides(development: set[str], held_out: set[str], folds: Mapping[str, int]) -> list[str]:
    dealt = {asset for asset in held_out if folds.get(asset, TEST) != TEST}
    dealt |= {asset for asset in development if folds.get(asset) == TEST}
    both = sorted((development & held_out) | dealt)
    if not both:
        return []
    return [f"asset {both[0]} is both held out and trained on ({len(both)} such assets): a split must keep them apart"]


def _copies(contract: Twin, development: pd.DataFrame, last: pd.DataFrame) -> list[str]:
    """Report held-out readings that occur in the development rows with identical values.

    Coarse readings repeat by chance; how often is estimated between the development assets. Of few held-out assets the
    share strays: two standard errors of as many draws as there are assets are allowed for.
    """
    known, seen = _readings(contract, development), _readings(contract, last)
    owners = pd.DataFrame({"reading": known, "asset": development["asset"].to_numpy()}).groupby("reading")["asset"]
    by_chance = float((owners.transform("nunique") > 1).mean())
    share = float(np.mean(np.isin(seen, known)))
    strays = 2 * math.sqrt(by_chance * (1 - by_chance) / last["asset"].str.rpartition("@")[0].nunique())
    if share <= by_chance + strays + MOST_COPIES:
        return []
    chance = f"by chance {share_text(by_chance)} would be"
    return [f"{share_text(share)} of the held-out readings are copies of development rows; {chance}: it has seen them"]


def _readings(contract: Twin, rows: pd.DataFrame) -> NDArray[np.uint64]:
    """Hash the channels of each row, (N,)."""
    hashes = pd.util.hash_pandas_object(rows[list(contract.channel_names)], index=False)
    return np.asarray(hashes, np.uint64)


def _countdowns(contract: Twin, last: pd.DataFrame, assets: "pd.Series[str]") -> list[str]:
    known = np.isfinite(last["rul"].to_numpy())
    if known.sum() < FEWEST_ROWS or assets[known].nunique() < FEWEST_LIVES:
        return []
    rul = last["rul"].to_numpy()[known]
    found = []
    for name in _judged(contract):
        correlation = rank_correlation(last[name].to_numpy()[known], rul)
        if abs(correlation) > COUNTDOWN:
            finding = f"channel {name} tells the RUL: their ranks correlate with {correlation:.4f}"
            found.append(f"{finding}, though no two assets wear alike; it is made from the label, or counts it down")
    return found


def _labels(contract: Twin, last: pd.DataFrame) -> list[str]:
    found = []
    for axis in contract.axes:
        truth = last[fault_column(axis)].to_numpy()
        for name in _judged(contract):
            if contract.channels[name].role == "sensor" and stands_for_classes(last[name].to_numpy(), truth):
                classes = len(np.unique(truth[truth >= 0]))
                each = f"its {classes} values stand for its {classes} classes one by one"
                found.append(f"channel {name} tells the fault on {axis}: {each}; it is the label, no measurement")
    return found


def _judged(contract: Twin) -> list[str]:
    """Return the channels that must not tell a label by themselves: all but those of quality.allow."""
    return [name for name in contract.channel_names if name not in contract.quality.allow]
