"""Censored lives: what is known of machines that were not seen to fail, and how training makes up for what is not.

A reading that is at least the RUL's cap older than the last one of its run was followed for longer than the cap: its
label is "the cap or more", which is a fact whatever ended the run later. Nothing is known of the readings after it. So
short lives are known more often than long ones, and a model that learns from what is known alone says too little.
Windows are therefore drawn by inverse probability of censoring (Robins and Rotnitzky, 1992): each by one over the
chance that its label became known, by the Kaplan-Meier estimate of how long runs are followed.
"""

from typing import Self

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.pieces import RowPieces
from foretwin.dataset.table import RUN, time_to_end
from foretwin.dataset.windows import Histories

AT_LEAST_THE_CAP = np.float32("inf")  # in `rul`: as much as the cap or more, nobody knows how much
MOST_WEIGHT = 10.0  # of a window: a few windows that count for hundreds would only be noise


def outlived_cap(rows: pd.DataFrame, contract: Twin) -> NDArray[np.bool_]:
    """Return for canonical rows of whole runs (N,) where RUL is unknown but was followed for the cap or longer.

    Of a run whose end is known no row is; nor any where the contract has no RUL.
    """
    if contract.rul is None or rows.empty:
        return np.zeros(len(rows), np.bool_)
    unknown = rows["rul"].isna().groupby([rows[name] for name in RUN], sort=False).transform("all")
    found: NDArray[np.bool_] = (unknown & (time_to_end(rows) >= contract.rul.cap)).to_numpy(np.bool_)
    return found


def with_outlived(pieces: RowPieces, contract: Twin) -> RowPieces:
    """Return the pieces, of whole runs, with `rul` infinite where the cap was outlived."""

    def labelled(piece: pd.DataFrame) -> pd.DataFrame:
        outlived = outlived_cap(piece, contract)
        return piece.assign(rul=piece["rul"].mask(outlived, AT_LEAST_THE_CAP)) if outlived.any() else piece

    return RowPieces(pieces.count, lambda: map(labelled, pieces), pieces.least)


def draw_weights(
    histories: Histories, rows: NDArray[np.int64], ends: NDArray[np.int64], cap: float
) -> NDArray[np.float64] | None:
    """Return the weights (N,) by which windows that end at the rows `ends` (N,) are drawn; None where all are alike.

    `rows` are all rows of the training assets. Of a window at age a with a life of m, at most the cap, G(a) / G(a + m):
    how likely the run was followed until then, given that it was at a; one over it, at most `MOST_WEIGHT`. A window
    without an RUL, which serves the fault axes, has 1.
    """
    follow_up = FollowUp.of(histories, rows)
    return None if follow_up is None else follow_up.weights(histories.time[ends], histories.rul[ends], cap)


class FollowUp:
    """Kaplan-Meier estimate of how long runs are followed, from R runs of which the failed ones hide it."""

    @classmethod
    def of(cls, histories: Histories, rows: NDArray[np.int64]) -> Self | None:
        """Estimate from all rows of some assets (N,), increasing; None where the end of each run is known."""
        first = histories.first[rows]  # does not decrease: a run's rows stand together
        is_last = np.append(first[1:] != first[:-1], True)[: len(rows)]
        starts, last = first[is_last], rows[is_last]
        left = histories.rul[last].astype(np.float64)
        censored = np.isnan(left)
        end = histories.time[last] + np.where(censored, 0, left)  # some fail only after their last reading
        return cls(histories.time[starts], end, censored) if censored.any() else None

    def __init__(self, begin: NDArray[np.float64], end: NDArray[np.float64], censored: NDArray[np.bool_]) -> None:
        """`begin` and `end` (R,) are the ages between which runs were followed; `censored` (R,): not to a failure."""
        self.ages = np.unique(end[censored])
        stops = np.searchsorted(self.ages, end[censored])
        ended = np.bincount(stops, minlength=len(self.ages))
        # of runs that fail at the very age at which others stop being followed, the failure is taken to come first
        watched = np.searchsorted(np.sort(begin), self.ages, side="right") - (
            np.searchsorted(np.sort(end[censored]), self.ages, side="left")
            + np.searchsorted(np.sort(end[~censored]), self.ages, side="right")
        )
        self.shares = np.cumprod(1 - ended / np.maximum(watched, ended))

    def reaches(self, age: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the chance (N,) that a run is followed up to these ages (N,), or longer."""
        return np.append(1.0, self.shares)[np.searchsorted(self.ages, age, side="left")]

    def weights(self, age: NDArray[np.float64], rul: NDArray[np.float32], cap: float) -> NDArray[np.float64]:
        """Return the weights of windows at these ages (N,) with these lives (N,), as `draw_weights` describes them.

        An age up to which no run was followed counts as one from which none is followed on.
        """
        life, now = np.nan_to_num(np.minimum(rul.astype(np.float64), cap)), self.reaches(age)
        chance = np.divide(self.reaches(age + life), now, out=np.zeros_like(now), where=now > 0)
        return np.asarray(1 / np.maximum(chance, 1 / MOST_WEIGHT), np.float64)
