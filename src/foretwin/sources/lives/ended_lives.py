"""Lives with their ends: cut by records of failures and maintenance, or by a rule on a channel."""

import logging
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.contract.source.side_checks import ENDED
from foretwin.contract.source.side_tables import EndRule
from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import spelling_key
from foretwin.dataset.table import FAILED_ENDS, FAULT_UNKNOWN, RUN, fault_column
from foretwin.sources.logs.end_records import EndRecords
from foretwin.sources.logs.life_ends import REACHED, RUNNING, UNKNOWN, LifeCut, LifeEnds, cut_lives, last_class

LOG = logging.getLogger(__name__)
RULE_VALUE = "source rule"  # the cell that the rule is about, with a space, as no channel has


@dataclass(frozen=True)
class EndedLives:
    """How lives end: by `records`, rows that are failures, or the source's rule; `latest` is the newest time of all.

    `latest` is None where each machine has a clock of its own.
    """

    contract: Twin
    source: TableSource
    records: EndRecords | None
    latest: float | None
    failed: str  # column of bool: the row is a failure
    told: Counter[str] = field(default_factory=Counter)

    def cut(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of whole machines (asset, time of the machine's clock), with `run`, `ended`, and labels.

        The lives are those of the column `run` where the source names one. `rul` is known where a life failed or
        reached its end; rows after that, until the next life begins, are left out.
        """
        named = self.source.run is not None
        keys = RUN if named else ["asset"]
        parts = list[pd.DataFrame]()
        newest = frame["run"].groupby(frame["asset"]).transform("last").to_numpy() if named else None
        for places in frame.reset_index(drop=True).groupby(keys, sort=False).indices.values():
            part = frame.iloc[places]
            asset = str(part["asset"].iat[0])
            is_newest = newest is None or bool(newest[places[0]] == part["run"].iat[0])
            parts.append(self._cut_one(part, asset, is_newest))
        return pd.concat(parts)

    @property
    def _is_covered(self) -> bool:
        """Return whether the records may know of the readings' time at all; a clock that restarts tells nothing."""
        return self.records is None or self.latest is None or self.records.overlap(0.0, self.latest)

    def tell(self) -> None:
        """Tell how many ends cut nothing, and how many rows were left out, of all machines."""
        if self.records is not None and self.told["used"] < self.records.count:
            unused = self.records.count - self.told["used"]
            shown, all_of_them = self.records.shown, self.records.count
            reason = "their machine has no readings before them"
            LOG.warning("%s: %d of %d ends of lives cut nothing: %s", shown, unused, all_of_them, reason)
        if self.told["after"]:
            LOG.warning("%s: %d rows after %s: left out", self.source.path, self.told["after"], self.source.reached)

    def _cut_one(self, part: pd.DataFrame, asset: str, is_newest: bool) -> pd.DataFrame:
        times = part["time"].to_numpy(np.float64)
        cut = cut_lives(times, self._ends_of(asset, part, times))
        kept = np.ones(len(part), np.bool_)
        if self.source.reached is not None:
            cut, kept = _reached(cut, times, EndRule.of(self.source.reached).holds(part[RULE_VALUE].to_numpy()))
            self.told["after"] += int((~kept).sum())
        if is_newest and self._is_covered:
            cut = self._going_on(cut, times)
        with_rul = np.isin(cut.how.astype(str), FAILED_ENDS)
        found: dict[str, Any] = {ENDED: cut.how, "rul": np.where(with_rul, cut.end - times, np.nan)}
        if self.source.run is None:
            found["run"] = cut.life + 1
        failures = self.source.failures
        if failures is not None and failures.axis is not None:
            last = ~pd.Series(cut.life).duplicated(keep="last").to_numpy()
            classes = last_class(cut, times, last, failures.holds_before)
            found[fault_column(failures.axis)] = classes if self._is_covered else FAULT_UNKNOWN
        return part.assign(**found)[kept]

    def _ends_of(self, asset: str, part: pd.DataFrame, times: NDArray[np.float64]) -> LifeEnds:
        records = self.records.ends.get(spelling_key(asset)) if self.records else None
        if records is not None:
            used = np.unique(np.searchsorted(records.time, times, "left"))
            self.told["used"] += int((used < len(records.time)).sum())
        failed = part[self.failed].to_numpy(np.bool_)
        ends = records or LifeEnds.none()
        return ends.plus_failures(times[failed]) if failed.any() else ends

    def _going_on(self, cut: LifeCut, times: NDArray[np.float64]) -> LifeCut:
        """Return the lives with the last one running, if its readings come near to the newest of all machines."""
        clock = self.contract.clock
        silence = self.contract.cases.stale_after or clock.longest_jump
        if self.latest is not None and float(times.max()) < self.latest - silence:
            return cut
        return replace(cut, how=np.where(cut.how == UNKNOWN, RUNNING, cut.how))


def _reached(cut: LifeCut, times: NDArray[np.float64], holds: NDArray[np.bool_]) -> tuple[LifeCut, NDArray[np.bool_]]:
    """Return the lives with the first row where the rule holds as their end, and the rows (N,) up to it."""
    first = pd.Series(np.where(holds, times, np.inf)).groupby(cut.life).transform("min").to_numpy(np.float64)
    ends = np.isfinite(first)
    return (
        replace(cut, end=np.where(ends, first, cut.end), how=np.where(ends, REACHED, cut.how)),
        np.asarray(times <= first, np.bool_),
    )
