"""Source table: a user's own files or query, as the contract's `source` describes them.

Rows are grouped by asset and run and keep the file's order within a run; validation reports a run that is not in order
of time.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretwin.contract.channels import SECONDS
from foretwin.contract.source import TableSource
from foretwin.contract.source.side_tables import EndRule
from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import Spellings
from foretwin.dataset.table import RUN, canonical, fault_column
from foretwin.errors import ContractError, SourceError
from foretwin.sources.category_cells import CategoryReader
from foretwin.sources.files.file_names import shown_path
from foretwin.sources.files.places.copies import BESIDE, LABELS, bring_files, bring_labels, bring_side_tables, fetched
from foretwin.sources.files.places.queries import bring_query
from foretwin.sources.files.reading import Reading
from foretwin.sources.files.rows import TIME, Wanted, read_row_pieces
from foretwin.sources.groups import read_splits, read_subsets
from foretwin.sources.label_spans import class_reader
from foretwin.sources.labels import read_flags
from foretwin.sources.lives.counters import PrecisionCourse
from foretwin.sources.lives.ended_lives import RULE_VALUE, EndedLives
from foretwin.sources.lives.life_rows import FAILED, LIFE, MachineLives
from foretwin.sources.lives.machine_order import BUNDLE, machine_bundles
from foretwin.sources.lives.row_sample import RowSample
from foretwin.sources.logs.end_records import read_end_records
from foretwin.sources.logs.made_channels import MadeChannels
from foretwin.sources.snapshots.snapshot_files import SnapshotForm, channel_columns, opener
from foretwin.sources.tabular import texts


def fetch_table(source: TableSource, folder: Path, out: Path, previous: Path | None = None) -> None:
    """Copy the user's files, or the rows of the query, into `out`; a relative path starts at `folder`.

    Where the query has a watermark, rows that the `previous` fetch holds are taken from there.
    """
    if source.query is not None:
        bring_query(source, previous or out, out)
    else:
        bring_files(source, folder, out)
    bring_labels(source, folder, out)
    bring_side_tables(source, folder, out, previous or out)


def adapt_table(contract: Twin, source: TableSource, raw: Path) -> Iterator[pd.DataFrame]:
    """Convert the copies in `raw` to canonical rows, as `read_rows_of`, in pieces of whole machines."""
    table = _Table(contract, source, raw)
    first, courses = None, {name: PrecisionCourse() for name in contract.channel_names}
    for frame in table.lives(fetched(raw)):
        runs = np.asarray(frame.groupby(RUN, sort=False).ngroup(), np.int64)
        for name, course in courses.items():
            course.see(frame[name].to_numpy(np.float64), runs)
        first = frame if first is None else frame.iloc[:0].copy()
        yield canonical(frame, contract)
    for name, course in courses.items():
        if first is not None and course.is_flattened:
            raise table.flattened(name, first)


def read_rows_of(
    contract: Twin,
    source: TableSource,
    path: Path,
    sample: RowSample | None = None,
    beside: Path | None = None,
) -> pd.DataFrame:
    """Convert a file, or all of a folder, to canonical rows, or a sample of them; `beside` has copies of further files.

    A numeric time is in the clock's unit and kept where it restarts with each run; a date, and the
    number of a clock that continues over several runs, is counted from the run's first row. A row where `failure` is
    true ends its run with RUL 0; a run without a failure has an unknown RUL. SourceError names the file, the line and
    the column of the first invalid cell.
    """
    return pd.concat(rows_in_pieces(contract, source, path, sample, beside), ignore_index=True)


def rows_in_pieces(
    contract: Twin,
    source: TableSource,
    path: Path,
    sample: RowSample | None = None,
    beside: Path | None = None,
) -> Iterator[pd.DataFrame]:
    """Yield what `read_rows_of` returns in pieces of whole machines."""
    return (canonical(frame, contract) for frame in _Table(contract, source, beside).lives(path, sample))


def read_own_rows(contract: Twin, source: TableSource, path: Path) -> "OwnRows":
    """Read a file whose machines may have a past: which life a row is of, whoever knows that past can tell."""
    table = _Table(contract, source)
    pieces = [lives.own_rows(frame) for lives, frame in table.machines(path)]
    lives = table.how_lives_go()
    lives.tell_left_out()
    return OwnRows(lives, pd.concat(pieces), lives.earliest is not None, source.run is not None)


@dataclass(frozen=True)
class OwnRows:
    """Rows of an owner's file, those of a machine together and in order, before their lives are known.

    `frame` has asset, position (microseconds since 1970 where `is_calendar`, else in the clock's unit), failed, label
    where `is_labelled`, and the channels.
    """

    lives: MachineLives
    frame: pd.DataFrame
    is_calendar: bool
    is_labelled: bool

    def finished(self, frame: pd.DataFrame) -> pd.DataFrame:
        """Return these rows, with `run` and `time`, as canonical ones."""
        return canonical(self.lives.finished(frame), self.lives.contract)


class _Table:
    """A user's files and their description in the contract; what holds for all rows is kept while pieces are read."""

    def __init__(self, contract: Twin, source: TableSource, beside: Path | None = None) -> None:
        if (source.failure is not None) + (source.rul is not None) + source.runs_end_in_failure > 1:
            raise ContractError(f"{contract.name}: source: failure, rul and runs_end_in_failure exclude each other")
        self._contract, self._source = contract, source
        made = source.made_channels if beside else ()
        columns = channel_columns(contract, source)
        self._channels = {name: column for name, column in columns.items() if name not in made}
        words = {name: contract.channels[name].categories for name in self._channels if name in contract.channels}
        self._words = {
            name: CategoryReader(self._channels[name], found, source.missing_values or ())
            for name, found in words.items()
            if found is not None
        }
        labels = beside / LABELS if beside else None
        self._classes = {axis: class_reader(source, axis, contract.classes(axis), labels) for axis in source.faults}
        self._beside = beside / BESIDE if beside else None
        self._rule = EndRule.of(source.reached) if source.reached and beside else None
        self._spellings, self._parts = Spellings(), Spellings()
        self._earliest: pd.Timestamp | None = None
        self._latest: pd.Timestamp | None = None
        self._numbered = True
        self._last: Reading | None = None
        self._kept: MachineLives | None = None
        self._form = SnapshotForm.of(contract, source)

    def lives(self, path: Path, sample: RowSample | None = None) -> Iterator[pd.DataFrame]:
        """Yield what canonical rows are made of in pieces of whole machines, with the channels in double precision."""
        for lives, frame in self.machines(path, sample):
            yield lives.of(frame)
        if self._kept is not None and sample is None:
            self._kept.tell_left_out()

    def machines(self, path: Path, sample: RowSample | None = None) -> Iterator[tuple[MachineLives, pd.DataFrame]]:
        """Yield the rows of whole machines, and how they become lives."""
        source = self._source
        labels = [source.failure, *(column for fault in source.faults.values() for column in fault.columns)]
        labels += [source.subset, source.split, *(self._channels[name] for name in self._words)]
        numbers = [column for name, column in self._channels.items() if name not in self._words]
        wanted = Wanted(
            numbers=tuple(dict.fromkeys([*numbers, *self._further_numbers()])),
            labels=tuple(dict.fromkeys(label for label in labels if label)),
            seconds=SECONDS.get(self._contract.clock.unit),
            opened=opener(self._form),
        )
        self._source, pieces = read_row_pieces(source, path, wanted, sample)
        for frame in machine_bundles(map(self._typed, pieces), BUNDLE):
            yield self.how_lives_go(), frame

    def _further_numbers(self) -> list[str]:
        """Return the columns of numbers that are no channels."""
        rule = self._source.columns.get(self._rule.name, self._rule.name) if self._rule else None
        return [column for column in (self._source.rul, rule) if column]

    def _typed(self, file: Reading) -> pd.DataFrame:
        """Return the cells of a piece by their meaning; the index counts the rows of all files."""
        source, words = self._source, self._words
        found = {
            name: words[name].read(file) if name in words else file.numbers(file.frame[at], at)
            for name, at in self._channels.items()
        }
        frame = pd.DataFrame(found)
        frame["asset"] = self._assets(file)
        frame["time"] = self._times(file)
        if source.rul:
            frame["rul"] = file.numbers(file.frame[source.rul], source.rul)
        for axis, classes in self._classes.items():
            frame[fault_column(axis)] = classes.read(file, file.frame)
        if self._rule:
            column = source.columns.get(self._rule.name, self._rule.name)
            frame[RULE_VALUE] = file.numbers(file.frame[column], column)
        failed = np.zeros(len(frame), dtype=bool)
        frame[FAILED] = failed if source.failure is None else read_flags(file, file.frame, source.failure)
        if source.subset is not None:
            frame["subset"] = read_subsets(file, source.subset, self._parts)
        if source.split is not None:
            frame["fixed_split"] = read_splits(file, source.split)
        if source.run is not None:
            frame[LIFE] = self._names(file, source.run)
            numbers = pd.to_numeric(frame[LIFE].drop_duplicates(), errors="coerce")
            self._numbered &= bool(numbers.notna().all() and (numbers % 1 == 0).all())
        self._last = replace(file, frame=pd.DataFrame(), before=0)  # with all files so far
        return frame.set_axis(pd.RangeIndex(file.before, file.before + len(frame)))

    def how_lives_go(self) -> MachineLives:
        """Return how rows become lives, after all have been read."""
        if self._kept is None:
            self._kept = self._lives()
        return self._kept

    def _lives(self) -> MachineLives:
        assert self._last is not None  # noqa: S101
        self._last.tell_missing()
        for words in self._words.values():
            words.tell_unknown(self._last.shown)
        if self._form is not None:
            self._form.tell_left_over(self._last.shown)
        for classes in self._classes.values():
            classes.check(self._last.shown)
        contract, source, earliest, beside = self._contract, self._source, self._earliest, self._beside
        ended = made = None
        if beside is not None:
            made = MadeChannels.read(contract, source, beside, earliest)
        if beside is not None and source.tells_ends:
            latest = None
            if self._latest is not None and earliest is not None:
                latest = (self._latest - earliest).total_seconds() / (contract.clock.seconds or 1.0)
            ended = EndedLives(contract, source, read_end_records(contract, source, beside, earliest), latest, FAILED)
        return MachineLives(self._last, contract, source, earliest, self._numbered, ended, made)

    def _names(self, file: Reading, column: str) -> "pd.Series[str]":
        """Return a column as text (N,), nowhere empty."""
        names = texts(file.frame[column])
        empty = np.flatnonzero(names == "")
        if len(empty):
            raise file.wrong(int(empty[0]), column, f"is empty; every row needs one{file.more(len(empty))}")
        return names

    def _assets(self, file: Reading) -> "pd.Series[str]":
        """Return the names of the machines (N,), each in one spelling."""
        names = self._names(file, self._source.asset or "")
        joined = names.map(self._spellings.first(names.unique()))
        other = np.flatnonzero(joined != names)
        if len(other) and self._source.spellings != "join":
            row = int(other[0])
            pair = f"{names.iat[row]!r} and {joined.iat[row]!r} are one machine's name in two spellings"
            fix = "write one of them, or set source.spellings: join"
            raise file.wrong(row, self._source.asset or "", f"{pair} ({len(other)} rows); {fix}")
        return joined

    def _times(self, file: Reading) -> "pd.Series[Any]":
        """Return times (N,): numbers in the clock's unit, or timestamps, whose earliest is kept."""
        values = file.frame[TIME]
        if pd.api.types.is_datetime64_any_dtype(values):
            if self._contract.clock.seconds is None:
                held = f"column {self._source.time!r} of {file.shown} holds timestamps"
                unit = self._contract.clock.unit
                raise ContractError(
                    f"{self._contract.name}: clock.unit is {unit}, but {held}: use {', '.join(SECONDS)}"
                )
            values = values.dt.tz_convert(None)
            earliest = values.min()
            latest = values.max()
            self._earliest = earliest if self._earliest is None else min(self._earliest, earliest)
            self._latest = latest if self._latest is None else max(self._latest, latest)
        return values

    def flattened(self, name: str, frame: pd.DataFrame) -> SourceError:
        """Return the error of a channel whose course is lost in single precision, as that of a large counter.

        `frame` holds all rows, or none where they are more than one piece.
        """
        column, source = self._channels[name], self._source
        kept = (
            f" ({frame[name].nunique()} values become {frame[name].astype('float32').nunique()})" if len(frame) else ""
        )
        return SourceError(
            f"{shown_path(source.path)}: column {column!r}: single precision, in which channels are kept, flattens it"
            f"{kept}; add {name} to source.rates to read its rise per {self._contract.clock.unit}, or leave it out"
        )
