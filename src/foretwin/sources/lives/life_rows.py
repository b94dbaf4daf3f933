"""Rows of whole machines to lives: in order, numbered, counted from their beginning, labelled and without gaps.

Frames keep the row numbers of the files (from 0) as their index, so that errors can name the line.
"""

import logging
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.contract.source.side_checks import ENDED
from foretwin.contract.twin import Twin
from foretwin.dataset.table import RUN, fault_column
from foretwin.sources.files.reading import Reading
from foretwin.sources.labels import hold_before, hold_from
from foretwin.sources.lives.carrying import without_last
from foretwin.sources.lives.counters import rise_rates
from foretwin.sources.lives.ended_lives import EndedLives
from foretwin.sources.lives.gridding import put_on_grid
from foretwin.sources.lives.machine_lives import RESTART_STEPS, SINCE_1970
from foretwin.sources.logs.made_channels import MadeChannels

LOG = logging.getLogger(__name__)
FAILED = "source failed"  # with a space, which no channel name can have
LIFE = "source run"  # the cell of the run's column


@dataclass(frozen=True)
class MachineLives:
    """How the rows of machines become lives; `files` has the files' rows, and is told of problems.

    `earliest` is the first moment of all rows where they are timestamps, else None. `numbered` is whether the cells of
    the run's column are whole numbers throughout. Where tables beside the readings, or a rule, tell how lives end,
    `ended` cuts them, and `made` has the channels that are made of such tables.
    """

    files: Reading
    contract: Twin
    source: TableSource
    earliest: pd.Timestamp | None
    numbered: bool
    ended: EndedLives | None = None
    made: MadeChannels | None = None
    left_out: Counter[str] = field(default_factory=Counter)

    def of(self, machines: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of whole machines, grouped by asset and run, with `run`, `time` since it began and `rul`."""
        frame = self.with_runs(self.in_order(self.with_times(machines)))
        frame = frame if self.ended is None else self.ended.cut(frame)
        clock = frame["time"]
        frame = frame.assign(time=self.since_run_start(frame, self.earliest is not None))
        for axis, fault in self.source.faults.items():
            if fault.holds_from:
                frame[fault_column(axis)] = hold_from(self.files, frame, fault_column(axis), fault.holds_from)
            if fault.holds_before is not None:
                frame[fault_column(axis)] = hold_before(frame, fault_column(axis), fault.holds_before)
        if self.ended is None:
            frame = self.with_rul(frame)
        return self._with_made(frame, (clock - frame["time"]).to_numpy())

    def _with_made(self, frame: pd.DataFrame, zero: NDArray[np.float64]) -> pd.DataFrame:
        """Return finished rows with how their life ended, and with channels that are made of other tables.

        `zero` (N,) is where the time of each row's run is 0 on the machine's clock.
        """
        if self.ended is None and self.made is None:
            return self.finished(frame)
        runs = frame[[*RUN, *([ENDED] if self.ended else [])]].assign(zero=zero).drop_duplicates(RUN)
        if self.made is not None:
            frame = self.made.of_machines(frame)
        frame = self.finished(frame).drop(columns=ENDED, errors="ignore").merge(runs, on=RUN, how="left")
        if self.made is not None:
            frame = self.made.of_events(frame, (frame["zero"] + frame["time"]).to_numpy(np.float64))
        return frame.drop(columns="zero")

    def own_rows(self, machines: pd.DataFrame) -> pd.DataFrame:
        """Return the rows of whole machines in order, whichever life they are of.

        With `position` (microseconds since 1970 of timestamps, else in the clock's unit), `failed`, and `label` where
        the source names its runs.
        """
        timed = self.with_times(machines)
        moments = timed["time"] if self.earliest is None else machines["time"].dt.as_unit("us").astype("int64")
        frame = self.in_order(timed.assign(position=moments.astype("float64"), failed=machines[FAILED]))
        frame = frame.assign(label=frame[LIFE]) if self.source.run else frame
        return frame.iloc[np.argsort(pd.factorize(frame["asset"])[0], kind="stable")]

    def finished(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return rows whose runs and times are known on the grid, with counters as rates, without missing values."""
        whole = without_last(self.without_gaps(rise_rates(frame, self.source.rates, self.contract.has_grid)))
        return put_on_grid(whole, self.contract, self.files.shown)

    def tell_left_out(self) -> None:
        """Tell how many rows of all machines were left out, and why."""
        if self.ended is not None:
            self.ended.tell()
        for reason, rows in self.left_out.items():
            LOG.warning("%s: %d rows %s: left out", self.files.shown, rows, reason)

    def with_times(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Replace `time` by a number (float64) in the clock's unit; timestamps are counted from the earliest."""
        clock = self.contract.clock
        if self.earliest is not None:
            seconds = np.asarray((frame["time"] - self.earliest).dt.total_seconds(), dtype=np.float64)
            return frame.assign(time=seconds / (clock.seconds or 1.0))
        if self.source.time_format == "row":
            number = frame.groupby(self._keys, sort=False).cumcount().astype("float64")
            return frame.assign(time=number * clock.step)
        return frame

    @property
    def _keys(self) -> list[str]:
        return ["asset", LIFE] if self.source.run else ["asset"]

    def in_order(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Sort the rows of each machine or run by time, or leave out those not later than all before, as asked for."""
        order = self.source.time_order
        if order is None:
            return frame
        runs = frame.groupby(self._keys, sort=False).ngroup()
        if order == "sort":
            return frame.iloc[np.lexsort((frame["time"].to_numpy(), runs.to_numpy()))]
        if self.source.run is None:
            failed = frame[FAILED].groupby(runs).cumsum() - frame[FAILED]
            runs = failed.groupby([runs, failed]).ngroup()
        before = frame["time"].groupby(runs).cummax().groupby(runs).shift(fill_value=-np.inf)
        late = frame["time"] <= before
        if late.any():
            self.left_out["are not later than one before"] += int(late.sum())
        return frame[~late]

    def with_runs(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add `run`, and group the rows by asset and run."""
        if self.source.run is None:
            order = np.argsort(pd.factorize(frame["asset"])[0], kind="stable")
            frame = frame.iloc[order]
            if self.ended is not None:
                return frame
            failed = frame.groupby("asset", sort=False)[FAILED]
            again = frame[FAILED] & failed.shift(fill_value=False)
            self._refuse(again, self.source.failure or "", "fails on two rows in turn; mark only the first")
            before = failed.cumsum() - frame[FAILED]
            return frame.assign(run=before.astype("int64") + 1)
        frame = frame.assign(run=self._run_numbers(frame))
        asset = pd.factorize(frame["asset"])[0]
        run = frame.groupby(RUN, sort=False).ngroup()
        frame = frame.iloc[np.lexsort((run, asset))]
        early = frame[FAILED] & frame.duplicated(RUN, keep="last")
        self._refuse(early, self.source.failure or "", "is true, but the run continues; start a new run after it")
        return frame

    def _run_numbers(self, frame: pd.DataFrame) -> "pd.Series[int]":
        """Return the whole numbers (N,) of the column, or, where it holds names, 1, 2, ... in order of appearance."""
        if self.numbered:
            return pd.to_numeric(frame[LIFE]).astype("int64")
        return frame[LIFE].groupby(frame["asset"]).transform(lambda runs: pd.factorize(runs)[0] + 1).astype("int64")

    def since_run_start(self, frame: pd.DataFrame, stamped: bool) -> "pd.Series[float]":
        """Compute the time (N,) since each run began; SourceError where two runs of one asset overlap."""
        lives = frame.assign(row=frame.index).groupby(RUN, sort=False)
        runs = lives.agg(begin=("time", "min"), end=("time", "max"), first=("time", "first"), row=("row", "first"))
        runs = runs.reset_index().sort_values(["asset", "begin"], kind="stable")
        runs["overlaps"] = runs["begin"] < runs.groupby("asset")["end"].transform(lambda ends: ends.cummax().shift())
        assets = runs.groupby("asset")
        spread = assets["begin"].transform("max") - assets["begin"].transform("min")
        near = (spread <= RESTART_STEPS * self.contract.clock.step) & (not stamped)
        restarts = near & assets["overlaps"].transform("any")
        overlaps = runs[runs["overlaps"] & ~restarts]
        if len(overlaps):
            late = overlaps.sort_values("row").iloc[0]
            reason = f"run {late['run']} of {late['asset']} begins before an earlier run of it ended"
            raise self.files.wrong(int(late["row"]), self.source.time or "", f"{reason}; correct the times or the runs")
        age = runs["first"] < SINCE_1970
        kept = restarts | (~runs.duplicated("asset") & age & (not stamped))
        runs["zero"] = runs["first"].mask(kept, 0.0)
        zero = frame[RUN].merge(runs[[*RUN, "zero"]], on=RUN, how="left")["zero"]
        since: pd.Series[float] = frame["time"] - zero.to_numpy()
        return since

    def with_rul(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add `rul`, in the clock's unit, unless the file has a column of it."""
        if self.source.rul:
            return frame
        runs = frame.groupby(RUN, sort=False)
        ended = runs[FAILED].transform("any") | self.source.runs_end_in_failure
        return frame.assign(rul=(runs["time"].transform("last") - frame["time"]).where(ended))

    def without_gaps(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Reject missing channel values, or repeat the run's previous value, as the contract says."""
        channels = self.contract.channels.items()
        names = [name for name, one in channels if not (one.may_be_missing or self.contract.has_grid)]
        advice = "is empty; fill it, or set source.missing: carry_forward"
        if self.source.missing != "refuse" and names:
            frame = frame.assign(**frame.groupby(RUN, sort=False)[names].ffill())
            advice = (
                "is empty and its run has no value before; fill it, or set source.missing: carry_forward_after_first"
            )
        if self.source.missing == "carry_forward_after_first" and names:
            frame = self._after_first(frame, names)
            advice = "is empty in the whole run; leave out the run or the channel"
        for name in names:
            self._refuse(frame[name].isna(), self.source.columns.get(name, name), advice)
        return frame

    def _after_first(self, frame: pd.DataFrame, names: list[str]) -> pd.DataFrame:
        """Leave out the rows of each run before every channel had a value; a run without any keeps its rows."""
        early = frame[names].isna().any(axis=1)
        early &= ~early.groupby([frame["asset"], frame["run"]], sort=False).transform("all")
        if early.any():
            self.left_out["before a channel's first value"] += int(early.sum())
        return frame[~early]

    def _refuse(self, bad: "pd.Series[bool]", column: str, reason: str) -> None:
        """Raise SourceError at the first bad row of the files, whose number is the index."""
        rows = bad.index[bad.to_numpy()].to_numpy()
        if len(rows):
            raise self.files.wrong(int(rows.min()), column, f"{reason}{self.files.more(len(rows))}")
