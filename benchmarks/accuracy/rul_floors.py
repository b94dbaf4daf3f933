"""What the RUL of a machine that is left out is worth without the product: of the lives of others, and of trends."""

import re
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from sklearn.linear_model import Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from foretwin.contract.source import TableSource
from foretwin.contract.source.side_tables import EndRule
from foretwin.contract.twin import Twin
from foretwin.dataset.splits import Development
from foretwin.dataset.windows import Histories
from foretwin.evaluation.baselines import FLOORS, fit_baselines
from foretwin.evaluation.censored_lives import KaplanMeier

Floats = NDArray[np.float64]
Places = NDArray[np.int64]

OWN_FIRST, NEWEST = 10, 10  # rows of a machine's own baseline, and of its present state


def floors_of(
    development: Development, contract: Twin, others: pd.DataFrame, held_out: pd.DataFrame, ends: Places, cap: float
) -> dict[str, Floats]:
    """Return by name the RUL (N,) at the rows `ends` (N,) of the machine that is left out, from 0 to the cap."""
    asset, own = str(held_out["asset"].iloc[0]), Histories.from_rows(held_out, contract)
    age = own.time[ends].astype(np.float64)
    lives = others.groupby(["asset", "run"], sort=False).agg(end=("time", "max"), rul=("rul", "min"))
    ended = lives["rul"].notna().to_numpy()
    learnt = fit_baselines(development, own.cut(ends, contract.window.length), contract, 1, names=FLOORS)
    found = {name: one.rul for name, one in learnt.items() if one.rul is not None}
    found["mean_life_minus_age"] = np.clip(float(lives["end"][ended].mean()) - age, 0, cap)
    found["kaplan_meier"] = KaplanMeier.of(lives["end"].to_numpy(np.float64), ended).mean_left(age, cap)
    found["linear_from_first_ten"] = _from_first(development, own, ends, cap)
    if isinstance(contract.source, TableSource) and contract.source.reached:
        found["line_through_the_rules_column"] = _line(contract.source, asset, own.time[ends], cap)
    return found


def _line(source: TableSource, asset: str, times: Floats, cap: float) -> Floats:
    """A straight line through all that the column of `source.reached` has shown so far, up to its limit.

    The twin does not see that column, since it ends lives.
    """
    rule, pattern = EndRule.of(source.reached or ""), re.sub("{[^}]*}", asset, source.pattern or "")
    shown = pd.read_csv(Path(source.path) / pattern)
    found = np.empty(len(times))
    for at, time in enumerate(times):
        so_far = shown[shown[source.time] <= time]
        slope, level = np.polyfit(so_far[source.time], so_far[rule.name], 1)
        falls = slope * (rule.limit - shown[rule.name].iloc[0]) > 0
        found[at] = (rule.limit - level) / slope - time if falls else cap
    return found.clip(0, cap)


def _from_first(development: Development, own: Histories, ends: Places, cap: float) -> Floats:
    """Ridge on the newest rows relative to the machine's own first ten, as logarithms, and the age."""
    known = development.ends[~np.isnan(development.histories.rul[development.ends])]
    model = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
    model.fit(_relative(development.histories, known), np.minimum(development.histories.rul[known], cap))
    return np.asarray(model.predict(_relative(own, ends)), np.float64).clip(0, cap)


def _relative(histories: Histories, ends: Places) -> Floats:
    """Return (N, C + 1): logarithms of the mean of the newest rows by that of the run's first ten, and the age."""
    readings: NDArray[np.float32] = histories.values  # noqa: PD011 - no pandas
    sums = np.vstack([np.zeros(readings.shape[1]), np.cumsum(readings.astype(np.float64), axis=0)])
    first, begin = histories.first[ends], np.maximum(histories.first[ends], ends - NEWEST + 1)
    until = np.minimum(first + OWN_FIRST, ends + 1)
    newest = (sums[ends + 1] - sums[begin]) / (ends + 1 - begin)[:, None]
    early = (sums[until] - sums[first]) / (until - first)[:, None]
    least = np.finfo(np.float64).tiny
    return np.column_stack([np.log(np.maximum(newest, least) / np.maximum(early, least)), histories.time[ends]])
