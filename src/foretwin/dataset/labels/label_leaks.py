"""Signs that a channel is made from the label, or merely counts the life down or up. Pure functions of arrays (N,)."""

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

COUNTDOWN = 0.995  # rank correlation: machines differ, so no honest sensor puts all their lives into one order
STRAIGHT = 0.99999  # correlation with time within a run: no honest sensor rises so evenly
FEWEST_ROWS = 20  # in fewer, a channel may agree with a label by chance
FEWEST_LIVES = 5
MOST_ROWS = 200_000  # more are thinned out evenly
SHARE_OF_RUNS = 0.9

Floats = NDArray[np.floating[Any]]


def rank_correlation(first: Floats, second: Floats) -> float:
    """Compute Spearman's correlation; 0 where one of them does not vary."""
    ranks = [pd.Series(values).rank() for values in (first, second)]
    return 0.0 if min(one.std() for one in ranks) == 0 else float(ranks[0].corr(ranks[1]))


def counts_life(values: Floats, time: Floats, rul: Floats, run: NDArray[np.integer]) -> bool:
    """Return whether a channel is the remaining life, its share, or the age of the run.

    `rul` is NaN where it is unknown, `run` numbers the runs, whose rows are in order of time.
    """
    step = -(-len(values) // MOST_ROWS) or 1
    values, time, rul = (np.asarray(one[::step], np.float64) for one in (values, time, rul))
    run = run[::step]
    if len(values) == 0 or np.ptp(values) == 0:
        return False
    known = ~np.isnan(rul)
    if known.sum() >= FEWEST_ROWS and len(np.unique(run[known])) >= FEWEST_LIVES:
        life = pd.Series(rul[known]).groupby(run[known]).transform("max").to_numpy()
        share = rul[known] / np.where(life > 0, life, 1.0)
        if max(abs(rank_correlation(values[known], one)) for one in (rul[known], share)) > COUNTDOWN:
            return True
    return _is_straight(values, time, run)


def stands_for_classes(values: Floats, classes: NDArray[np.integer], rows: int | None = None) -> bool:
    """Return whether each class has one value of its own; `classes` is -1 where it is unknown.

    The pairs may be the distinct ones of more `rows` whose class is known.
    """
    known = classes >= 0
    distinct = len(np.unique(classes[known]))
    if (known.sum() if rows is None else rows) < FEWEST_ROWS or distinct < 2:
        return False
    pairs = pd.DataFrame({"value": values[known], "label": classes[known]}).drop_duplicates()
    return len(pairs) == distinct == pairs["value"].nunique()


def best_f1_of_rank(rows: NDArray[np.integer], positives: NDArray[np.integer]) -> tuple[float, float]:
    """Return the F1 of the best rule `rank is at least k`, or `at most k`, and that of always saying yes.

    `rows` (K,) counts the rows of each rank, `positives` (K,) those of them that are true.
    """
    total, true = int(rows.sum()), int(positives.sum())
    if true in (0, total):
        return 0.0, 0.0
    f1 = [2 * np.cumsum(positives[::way]) / (np.cumsum(rows[::way]) + true) for way in (1, -1)]
    return float(max(one.max() for one in f1)), 2 * true / (total + true)


def _is_straight(values: Floats, time: Floats, run: NDArray[np.integer]) -> bool:
    """Return whether the values rise or fall evenly with time in nearly every run."""
    frame = pd.DataFrame({"value": values, "time": time})
    runs = pd.Series(run)
    centred = frame - frame.groupby(runs).transform("mean")
    products = {
        "both": centred["value"] * centred["time"],
        "value": centred["value"] ** 2,
        "time": centred["time"] ** 2,
        "rows": pd.Series(1, index=frame.index),
    }
    sums = pd.DataFrame(products).groupby(runs).sum()
    sums = sums[(sums["rows"] >= FEWEST_LIVES) & (sums["time"] > 0)]
    varying = sums[sums["value"] > 0]
    if len(varying) < SHARE_OF_RUNS * len(sums) or len(varying) < 2:
        return False
    correlation = np.abs(varying["both"]) / np.sqrt(varying["value"] * varying["time"])
    return bool(np.mean(np.asarray(correlation) > STRAIGHT) >= SHARE_OF_RUNS)
