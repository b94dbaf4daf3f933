"""What a person should know about the labels of a table, though it breaks no rule."""

import numpy as np
import pandas as pd

from foretwin.contract.twin import Twin
from foretwin.dataset.label_leaks import best_f1_of_rank, rank_correlation
from foretwin.dataset.table import fault_column

TELLING_F1 = 0.8
TELLING_AGE = 0.98  # rank correlation of age and remaining life over all lives
FEWEST_RUNS = 2


def label_hints(rows: pd.DataFrame, contract: Twin) -> list[str]:
    """Return a sentence per label that the row number within the run tells by itself; canonical rows."""
    number = np.asarray(rows.groupby(["asset", "run"], sort=False).cumcount(), np.int64)
    found = []
    for axis in contract.axes:
        classes = rows[fault_column(axis)].to_numpy()
        known = classes >= 0
        best, always = best_f1_of_rank(number[known], classes[known] > 0)
        if best >= TELLING_F1 and best >= (1 + always) / 2:
            found.append(f"the row number within a run tells {axis} by itself, with an F1 of {best:.2f}")
    known = rows["rul"].notna().to_numpy()
    runs = rows.loc[known, ["asset", "run"]].drop_duplicates()
    if contract.rul and len(runs) >= FEWEST_RUNS:
        told = abs(rank_correlation(rows["time"].to_numpy()[known], rows["rul"].to_numpy()[known]))
        if told >= TELLING_AGE:
            found.append(f"the age of a run tells its remaining life by itself, with a rank correlation of {told:.3f}")
    return [f"{one}: figures on these data say little about sensors" for one in found]
