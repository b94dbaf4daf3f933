"""Source table: a user's CSV or Parquet file, as the contract's `source` describes it.

Rows are grouped by asset and run and keep the file's order within a run; validation reports a run that is not in order
of time.
"""

import shutil
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
from foretwin.sources.labels import hold_before, read_classes, read_flags
from foretwin.sources.tabular import TableFile, is_missing, open_table, texts

RUN = ["asset", "run"]
FAILED = "source failed"  # with a space, which no channel name can have
SINCE_1970 = 9e8  # numbers from here on are moments of time (in s, ms, us or ns), no age
RESTART_STEPS = 10  # if all runs of an asset begin within this many steps of each other, time restarts with each run


def fetch_table(source: TableSource, folder: Path, out: Path) -> None:
    """Copy the user's file into `out` as table.csv or table.parquet; a relative path starts at `folder`."""
    path = folder / source.path
    file = open_table(path, str(path))
    shutil.copyfile(path, out / ("table.csv" if file.delimiter else "table.parquet"))


def adapt_table(contract: Twin, source: TableSource, raw: Path) -> pd.DataFrame:
    """Convert the copy in `raw` to canonical rows, as `read_rows_of`."""
    copies = [raw / name for name in ("table.csv", "table.parquet") if (raw / name).exists()]
    if len(copies) != 1:
        raise SourceError(f"{raw}: should hold one of table.csv and table.parquet; run the fetch stage first")
    table, frame = _read_frame(contract, source, copies[0])
    table.refuse_flattened(frame)
    return canonical(frame, contract)


def read_rows_of(contract: Twin, source: TableSource, path: Path) -> pd.DataFrame:
    """Convert one file to canonical rows.

    A numeric time is in the clock's unit and kept where it restarts with each run; a timestamp (ISO 8601), and the
    number of a clock that continues over several runs, is counted from the run's first row. A row where `failure` is
    true ends its run with RUL 0; a run without a failure has an unknown RUL. SourceError names the file, the line and
    the column of the first invalid cell.
    """
    return canonical(_read_frame(contract, source, path)[1], contract)


def _read_frame(contract: Twin, source: TableSource, path: Path) -> tuple["_Table", pd.DataFrame]:
    """Read what canonical rows are made of, with the channels in double precision."""
    if (source.failure is not None) + (source.rul is not None) + source.runs_end_in_failure > 1:
        raise ContractError(f"{contract.name}: source: failure, rul and runs_end_in_failure exclude each other")
    file = open_table(path, source.path)
    channels = {name: source.columns.get(name, name) for name in contract.channel_names}
    plain = [source.time, source.run, source.failure, source.rul]
    columns = [source.asset, *(name for name in plain if name), *channels.values()]
    labels = [column for fault in source.faults.values() for column in fault.columns]
    table = _Table(file, file.read([*columns, *labels], text=[source.asset, *labels]), contract, source)

    frame = pd.DataFrame({name: file.numbers(table.frame[column], column) for name, column in channels.items()})
    frame["asset"] = table.assets()
    frame["time"], stamped = table.times()
    if source.rul:
        frame["rul"] = file.numbers(table.frame[source.rul], source.rul)
    for axis, fault in source.faults.items():
        frame[fault_column(axis)] = read_classes(file, table.frame, axis, fault, contract.classes(axis))
    frame[FAILED] = table.failures()
    frame = table.with_runs(frame)
    frame["time"] = table.since_run_start(frame, stamped)
    for axis, fault in source.faults.items():
        if fault.holds_before is not None:
            frame[fault_column(axis)] = hold_before(frame, fault_column(axis), fault.holds_before)
    return table, table.without_gaps(table.with_rul(rise_rates(frame, source.rates)))


def own_columns(contract: Twin, file: TableFile, labelled: bool = False) -> TableSource | None:
    """Return the twin's own table source for this file; None where the file lacks its columns.

    Of the labels it has those whose columns are there if `labelled`, else none but the failures that end lives.
    """
    own = contract.source
    if not isinstance(own, TableSource) or not {own.asset, own.time} <= set(file.columns):
        return None
    there = ("run", "failure", "rul") if labelled else ("run", "failure")
    kept: dict[str, object] = dict.fromkeys(("run", "failure", "rul"))
    kept |= {name: getattr(own, name) for name in there if getattr(own, name) in file.columns}
    axes = own.faults.items() if labelled else ()
    kept["faults"] = {axis: fault for axis, fault in axes if set(fault.columns) <= set(file.columns)}
    return own.model_copy(update={**kept, "runs_end_in_failure": False, "path": str(file.path)})


@dataclass(frozen=True)
class _Table:
    """A file, its columns as read, and their description in the contract.

    Frames made of it keep the file's row numbers (from 0) as their index, so that errors can name the line.
    """

    file: TableFile
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
        names = self.names(self.source.asset)
        joined = names.map(first_spellings(names.unique()))
        other = np.flatnonzero(joined != names)
        if len(other) and self.source.spellings != "join":
            row = int(other[0])
            pair = f"{names.iat[row]!r} and {joined.iat[row]!r} are one machine's name in two spellings"
            fix = "write one of them, or set source.spellings: join"
            raise self.file.wrong(row, self.source.asset, f"{pair} ({len(other)} rows); {fix}")
        return joined

    def times(self) -> tuple[NDArray[np.float64], bool]:
        """Return times (N,) in the clock's unit, and whether they are timestamps, then counted from the earliest."""
        column = self.source.time
        values = self.frame[column]
        stamped = pd.api.types.is_datetime64_any_dtype(values)
        text = pd.Series(dtype="str") if stamped or pd.api.types.is_numeric_dtype(values) else texts(values)
        mostly_numbers = pd.to_numeric(text, errors="coerce").notna().mean() > 0.5
        if pd.api.types.is_numeric_dtype(values) or mostly_numbers:
            times = self.file.numbers(values, column)
            self._refuse(np.isnan(times), column, "has no time; every row needs one")
            return times, False
        if not stamped:
            values = pd.to_datetime(text.mask(is_missing(text)), format="ISO8601", utc=True, errors="coerce")
            wrong = "is neither a number nor a time such as 2024-05-31T08:00:00"
            self._refuse(values.isna() & ~is_missing(text), column, wrong, text)
        self._refuse(values.isna(), column, "has no time; every row needs one")
        unit = self.contract.clock.unit
        if unit not in SECONDS:
            held = f"column {column!r} of {self.file.shown} holds timestamps"
            raise ContractError(f"{self.contract.name}: clock.unit is {unit}, but {held}: use {', '.join(SECONDS)}")
        return np.asarray((values - values.min()).dt.total_seconds(), dtype=np.float64) / SECONDS[unit], True

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
        names = self.names(column)
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
            raise self.file.wrong(int(late["row"]), self.source.time, f"{reason}; correct the times or the runs")
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
        if self.source.missing == "carry_forward":
            frame = frame.assign(**frame.groupby(RUN, sort=False)[names].ffill())
            advice = "is empty and its run has no value before to carry forward; fill it"
        for name in names:
            self._refuse(frame[name].isna(), self.source.columns.get(name, name), advice)
        return frame

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
