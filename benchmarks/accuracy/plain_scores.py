"""What needs no network, as the rules of cases take it: the pump's wear filter alone, and the age of a pump alone."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.twin import Twin
from foretwin.dataset.windows import Histories
from foretwin.evaluation.censored_lives import KaplanMeier
from foretwin.physics.degradation import DegradationModel
from foretwin.physics.pump.beliefs import Belief
from foretwin.physics.pump.filtering import Recordings, track
from foretwin.physics.pump.forecasting import hours_left
from foretwin.physics.pump_prognosis import cap_of, future_duties, lives_of

Floats = NDArray[np.float64]

EVERY = 6  # h between two forecasts, each of which costs some hundred times as much as an answer of a network
DRAWS = 100  # of a pump's state, wear and future
AT_ONCE = 500  # forecasts that are made together


@dataclass(frozen=True)
class WearFilter:
    """Filter on the pump's equations, which follows each pump from its first reading on; no fault has a name to it."""

    model: DegradationModel  # learnt from the readings of the development pumps
    lives: Recordings  # their settings, of which pieces make up a future
    contract: Twin

    def scores(self, truth: pd.DataFrame, seed: int) -> pd.DataFrame:
        """Return asset, time, rul, rul_low and rul_high (h, capped) each EVERY hours from enough history on."""
        histories, generator = Histories.from_rows(truth, self.contract), np.random.default_rng(seed)
        rows, known = self._known(histories)
        told = np.empty((len(rows), 3))
        sides = [(1 - self.model.level) / 2, (1 + self.model.level) / 2]
        for some in np.array_split(np.arange(len(rows)), -(-len(rows) // AT_ONCE)):
            left = self._left(Belief(known.mean[some], known.covariance[some]), generator)
            told[some] = np.column_stack([left.mean(axis=1), *np.quantile(left, sides, axis=1)])
        return _told(truth, rows, *told.T)

    def _known(self, histories: Histories) -> tuple[NDArray[np.int64], Belief]:
        """Return the rows (N,) at which a forecast is made, by hour, and what is known of each pump after its row."""
        pumps, fleet = lives_of(histories, self.contract), self.model.fleet
        first, counts = np.unique(histories.first, return_counts=True)
        first = first[np.argsort(-counts, kind="stable")]  # in the order of `lives_of`
        hours = track(fleet.at(np.zeros(len(first))), pumps, fleet.law, self.model.sensors)
        after = list(enumerate(hour.known for hour in hours))[self.contract.window.shortest - 1 :: EVERY]
        rows = np.concatenate([first[: len(known)] + hour for hour, known in after])
        means, covariances = zip(*((known.mean, known.covariance) for _, known in after), strict=True)
        return rows, Belief(np.concatenate(means), np.concatenate(covariances))

    def _left(self, known: Belief, generator: np.random.Generator) -> Floats:
        """Return the draws (N, DRAWS) of what is left, h and capped."""
        cap, hidden = cap_of(self.contract), known.draw(DRAWS, generator)
        duties = future_duties(self.lives, hidden.shape[:2], int(np.ceil(cap)), generator)
        return np.minimum(hours_left(hidden, self.model.fleet.law, duties, generator), cap)


@dataclass(frozen=True)
class AgeAlone:
    """Kaplan-Meier estimate of the lives of the development pumps: what is left by age, without a reading."""

    lives: KaplanMeier
    contract: Twin
    level: float

    @classmethod
    def of(cls, histories: Histories, contract: Twin, level: float) -> "AgeAlone":
        """Estimate from recorded lives."""
        last = np.append(np.flatnonzero(np.diff(histories.first)), len(histories.first) - 1)
        ended = np.isfinite(histories.rul[last])
        return cls(KaplanMeier.of(histories.time[last].astype(np.float64), ended), contract, level)

    def scores(self, truth: pd.DataFrame) -> pd.DataFrame:
        """Return the columns of `WearFilter.scores` of each row with enough history."""
        rows = Histories.from_rows(truth, self.contract).ends(self.contract.window.shortest)
        age, cap = truth["time"].to_numpy(np.float64)[rows], cap_of(self.contract)
        after = np.arange(0, cap + 1)
        now = self.lives.survives(age)
        curve = self.lives.survives(age[:, None] + after) / np.where(now > 0, now, 1)[:, None]  # (N, cap + 1)
        ends = [
            (curve > share).sum(axis=1).astype(np.float64) for share in ((1 + self.level) / 2, (1 - self.level) / 2)
        ]
        low, high = (np.minimum(end, cap) for end in ends)
        rul = np.clip(self.lives.mean_left(age, cap), low, high)
        return _told(truth, rows, rul, low, high)


def _told(truth: pd.DataFrame, rows: NDArray[np.int64], rul: Floats, low: Floats, high: Floats) -> pd.DataFrame:
    at = truth.iloc[rows]
    told = {"asset": at["asset"].to_numpy(), "time": at["time"].to_numpy(np.float64)}
    warned: list[Any] = [[] for _ in rows]
    return pd.DataFrame({**told, "rul": rul, "rul_low": low, "rul_high": high, "warnings": warned})
