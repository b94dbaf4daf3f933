"""Source table: a user's own files or query, as the contract's `source` describes them.

Rows are grouped by asset and run and keep the file's order within a run; validation reports a run that is not in order
of time.
"""

import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.contract.twin import SECONDS, Twin
from foretwin.dataset.machine_names import first_spellings
from foretwin.dataset.table import canonical, fault_column
from foretwin.errors import ContractError, SourceError
from foretwin.sources.counters import is_flattened, rise_rates
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.places.copies import LABELS, bring_files, bring_labels, fetched
from foretwin.sources.files.places.queries import bring_query
from foretwin.sources.files.reading import Reading, file_columns, group_numbers
from foretwin.sources.files.rows import TIME, Wanted, read_table_rows
from foretwin.sources.label_spans import labels_on_rows
from foretwin.sources.labels import hold_before, hold_from, read_flags
from foretwin.sources.tabular import texts

LOG = logging.getLogger(__name__)
RUN = ["asset", "run"]
FAILED = "source failed"  # with a space, which no channel name can have
SINCE_1970 = 9e8  # numbers from here on are moments of time (in s, ms, us or ns), no age
RESTART_STEPS = 10  # if all runs of an asset begin within this many steps of each other, time restarts with each run


def fetch_table(source: TableSource, folder: Path, out: Path, previous: Path | None = None) -> None:
    """Copy the user's files, or the rows of the query, into `out`; a relative path starts at `folder`.

    Where the query has a watermark, rows that the `previous` fetch holds are taken from there.
    """
    if source.query is not None:
        bring_query(source, previous or out, out)
    else:
        bring_files(source, folder, out)
    bring_labels(source, folder, out)


def adapt_table(contract: Twin, source: TableSource, raw: Path) -> pd.DataFrame:
    """Convert the copies in `raw` to canonical rows, as `read_rows_of`."""
    table, frame = _read_frame(contract, source, fetched(raw), raw / LABELS)
    table.refuse_flattened(frame)
    return canonical(frame, contract)


def read_rows_of(contract: Twin, source: TableSource, path: Path, labels_in: Path | None = None) -> pd.DataFrame:
    """Convert a file, or all of a folder, to canonical rows; `labels_in` has the files with spans of labels.

    A numeric time is in the clock's unit and kept where it restarts with each run; a date, and the
    number of a clock that continues over several runs, is counted from the run's first row. A row where `failure` is
    true ends its run with RUL 0; a run without a failure has an unknown RUL. SourceError names the file, the line and
    the column of the first invalid cell.
    """
    return canonical(_read_frame(contract, source, path, labels_in)[1], contract)


def _read_frame(
    contract: Twin, source: TableSource, path: Path, labels_in: Path | None = None
) -> tuple["_Table", pd.DataFrame]:
    """Read what canonical rows are made of, with the channels in double precision."""
    if (source.failure is not None) + (source.rul is not None) + source.runs_end_in_failure > 1:
        raise ContractError(f"{contract.name}: source: failure, rul and runs_end_in_failure exclude each other")
    channels = {name: source.columns.get(name, name) for name in contract.channel_names}
    labels = [source.failure, *(column for fault in source.faults.values() for column in fault.columns)]
    wanted = Wanted(
        numbers=tuple(dict.fromkeys([*channels.values(), *([source.rul] if source.rul else [])])),
        labels=tuple(dict.fromkeys(label for label in labels if label)),
        seconds=SECONDS.get(contract.clock.unit),
    )
    source, file = read_table_rows(source, path, wanted)
    table = _Table(file, file.frame, contract, source)

    frame = pd.DataFrame({name: file.numbers(table.frame[column], column) for name, column in channels.items()})
    frame["asset"] = table.assets()
    frame["time"], stamped = table.times()
    if source.rul:
        frame["rul"] = file.numbers(table.frame[source.rul], source.rul)
    for axis in source.faults:
        frame[fault_column(axis)] = labels_on_rows(source, axis, file, contract.classes(axis), labels_in)
    frame[FAILED] = table.failures()
    frame = table.with_runs(table.in_order(frame))
    frame["time"] = table.since_run_start(frame, stamped)
    for axis, fault in source.faults.items():
        frame[fault_column(axis)] = hold_from(file, frame, fault_column(axis), fault.holds_from)
        if fault.holds_before is not None:
            frame[fault_column(axis)] = hold_before(frame, fault_column(axis), fault.holds_before)
    return table, table.without_gaps(table.with_rul(rise_rates(frame, source.rates)))


def own_columns(contract: Twin, path: Path, labelled: bool = False) -> TableSource | None:
    """Return the twin's own table source for this file; None where the file lacks its columns.

    Of the labels it has those whose columns are there if `labelled`, else none but the failures that end lives.
    """
    own = contract.source
    if not isinstance(own, TableSource):
        return None
    own = own.model_copy(update={"path": str(path)})
    try:
        columns = file_columns(own, path)
    except SourceError:
        return None  # perhaps it has canonical columns, in another notation
    keys = {own.asset_column or SINGLE, *([own.time_column] if own.time_column else [])}
    if not keys <= columns:
        return None
    there = ("run", "failure", "rul") if labelled else ("run", "failure")
    kept: dict[str, object] = dict.fromkeys(("run", "failure", "rul"))
    kept |= {name: getattr(own, name) for name in there if getattr(own, name) in columns}
    axes = own.faults.items() if labelled else ()
    kept["faults"] = {axis: fault for axis, fault in axes if fault.columns and set(fault.columns) <= columns}
    return own.model_copy(update={**kept, "runs_end_in_failure": False})


@dataclass(frozen=True)
class _Table:
    """A file, its columns as read, and their description in the contract.

    Frames made of it keep the file's row numbers (from 0) as their index, so that errors can name the line.
    """

    file: Reading
    frame: pd.DataFrame
    contract: Twin
    source: TableSource

    def names(self, column: str) -> "pd.Series[str]":
        """Return a column as text (N,), nowhere empty."""
        names = texts(self.frame[column])
        self._refuse(names == "", column, "is empty; every row needs one")
        return names

    def assets(self) -> "pd.Series[str]":
        """Return the names of the machines (N,), each in one spelling."""
        names = self.names(self.source.asset or "")
        joined = names.map(first_spellings(names.unique()))
        other = np.flatnonzero(joined != names)
        if len(other) and self.source.spellings != "join":
            row = int(other[0])
            pair = f"{names.iat[row]!r} and {joined.iat[row]!r} are one machine's name in two spellings"
            fix = "write one of them, or set source.spellings: join"
            raise self.file.wrong(row, self.source.asset or "", f"{pair} ({len(other)} rows); {fix}")
        return joined

    def times(self) -> tuple[NDArray[np.float64], bool]:
        """Return times (N,) in the clock's unit, and whether they are timestamps, then counted from the earliest."""
        values = self.frame[TIME]
        clock = self.contract.clock
        if not pd.api.types.is_datetime64_any_dtype(values):
            step = clock.step if self.source.time_format == "row" else 1.0
            return np.asarray(values, dtype=np.float64) * step, False
        if clock.seconds is None:
            held = f"column {self.source.time!r} of {self.file.shown} holds timestamps"
            raise ContractError(
                f"{self.contract.name}: clock.unit is {clock.unit}, but {held}: use {', '.join(SECONDS)}"
            )
        return np.asarray((values - values.min()).dt.total_seconds(), dtype=np.float64) / clock.seconds, True

    def in_order(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Sort the rows of each machine or run by time, or leave out those not later than all before, as asked for."""
        order = self.source.time_order
        if order is None:
            return frame
        runs = pd.Series(group_numbers(self.frame, [name for name in (self.source.asset, self.source.run) if name]))
        if order == "sort":
            return frame.iloc[np.lexsort((frame["time"].to_numpy(), runs.to_numpy()))]
        if self.source.run is None:
            failed = frame[FAILED].groupby(runs).cumsum() - frame[FAILED]
            runs = pd.Series(failed.groupby([runs, failed]).ngroup())
        before = frame["time"].groupby(runs).cummax().groupby(runs).shift(fill_value=-np.inf)
        late = frame["time"] <= before
        if late.any():
            LOG.warning("%s: %d rows are not later than one before: left out", self.file.shown, int(late.sum()))
        return frame[~late]

    def failures(self) -> NDArray[np.bool_]:
        """Return bool (N,), True on the rows of a failure; an empty cell is False."""
        column = self.source.failure
        if column is None:
            return np.zeros(len(self.frame), dtype=bool)
        return read_flags(self.file, self.frame, column)

    def with_runs(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Add `run`, and group the rows by asset and run."""
        if self.source.run is None:
            order = np.argsort(pd.factorize(frame["asset"])[0], kind="stable")
            frame = frame.iloc[order]
            failed = frame.groupby("asset", sort=False)[FAILED]
            again = frame[FAILED] & failed.shift(fill_value=False)
            self._refuse(again, self.source.failure or "", "fails on two rows in turn; mark only the first")
            before = failed.cumsum() - frame[FAILED]
            return frame.assign(run=before.astype("int64") + 1)
        frame = frame.assign(run=self._run_numbers(frame["asset"], self.source.run))
        asset = pd.factorize(frame["asset"])[0]
        run = frame.groupby(RUN, sort=False).ngroup()
        frame = frame.iloc[np.lexsort((run, asset))]
        early = frame[FAILED] & frame.duplicated(RUN, keep="last")
        self._refuse(early, self.source.failure or "", "is true, but the run continues; start a new run after it")
        return frame

    def _run_numbers(self, assets: "pd.Series[str]", column: str) -> "pd.Series[int]":
        """Return the column's whole numbers (N,), or, where it holds names, 1, 2, ... in order of appearance."""
        names = self.names(column).loc[assets.index]
        numbers = pd.to_numeric(names, errors="coerce")
        if numbers.notna().all() and (numbers % 1 == 0).all():
            return numbers.astype("int64")
        return names.groupby(assets).transform(lambda runs: pd.factorize(runs)[0] + 1).astype("int64")

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
            raise self.file.wrong(int(late["row"]), self.source.time or "", f"{reason}; correct the times or the runs")
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
        names = list(self.contract.channel_names)
        advice = "is empty; fill it, or set source.missing: carry_forward"
        if self.source.missing != "refuse":
            frame = frame.assign(**frame.groupby(RUN, sort=False)[names].ffill())
            advice = (
                "is empty and its run has no value before; fill it, or set source.missing: carry_forward_after_first"
            )
        if self.source.missing == "carry_forward_after_first":
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
            LOG.warning("%s: %d rows before a channel's first value: left out", self.file.shown, int(early.sum()))
        return frame[~early]

    def refuse_flattened(self, frame: pd.DataFrame) -> None:
        """Reject a channel whose course is lost in single precision, as that of a large counter."""
        runs = np.asarray(frame.groupby(RUN, sort=False).ngroup(), np.int64)
        for name in self.contract.channel_names:
            if is_flattened(frame[name].to_numpy(np.float64), runs):
                kept = f"{frame[name].nunique()} values become {frame[name].astype('float32').nunique()}"
                column = self.source.columns.get(name, name)
                raise SourceError(
                    f"{self.file.shown}: column {column!r}: single precision, in which channels are kept, flattens it"
                    f" ({kept}); add {name} to source.rates to read its rise per {self.contract.clock.unit}, or leave"
                    " it out"
                )

    def _refuse(
        self,
        bad: "pd.Series[bool] | NDArray[np.bool_]",
        column: str,
        reason: str,
        text: "pd.Series[str] | None" = None,
    ) -> None:
        """Raise SourceError at the first bad row of the file; its number is a Series' index or an array's position."""
        rows = np.flatnonzero(bad) if isinstance(bad, np.ndarray) else bad.index[bad.to_numpy()].to_numpy()
        if len(rows):
            row = int(rows.min())
            value = f"{text.iat[row]!r} " if text is not None else ""
            more = f" ({len(rows)} rows in all)" if len(rows) > 1 else ""
            raise self.file.wrong(row, column, f"{value}{reason}{more}")
