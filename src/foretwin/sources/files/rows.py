"""Rows of a table source, whatever their shape: one row per time, with the time parsed."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from foretwin.contract.source import TableSource
from foretwin.sources.files.clock import read_times
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.reading import Reading, group_numbers, open_files, read_files
from foretwin.sources.files.tags import spread_tags
from foretwin.sources.tabular import TableFile

TIME = "source time"  # of a row: an instant in UTC, or a number in the clock's unit; with a space, as no channel


@dataclass(frozen=True)
class Wanted:
    """Columns, or tags, to be read as numbers and as text, and the clock's unit in seconds if it is one of time."""

    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    seconds: float | None


def read_table_rows(source: TableSource, path: Path, wanted: Wanted) -> tuple[TableSource, Reading]:
    """Read a file, or a folder of them, with the time parsed as the column `source time`.

    The returned source names the columns that the reading has for machine, run and time. SourceError where the files
    are not as the source says.
    """
    names = {"asset": source.asset_column or SINGLE, "run": source.run_column, "time": source.time_column or TIME}
    named = source.model_copy(update=names)
    files = open_files(source, path)
    if source.tag is not None:
        return named, _long(named, files, wanted)
    keys = [named.asset or SINGLE, *([named.run] if named.run else [])]
    reading = _read(source, files, [*keys, *wanted.numbers, *wanted.labels], [keys[0], *wanted.labels])
    if source.time_format == "row":
        groups = group_numbers(reading.frame, keys)
        times: pd.Series[float] = pd.Series(groups).groupby(groups).cumcount().astype("float64")
    else:
        times = read_times(reading, source, keys, wanted.seconds)
    return named, _with_times(reading, times)


def _read(source: TableSource, files: dict[str, TableFile], columns: Sequence[str], text: Sequence[str]) -> Reading:
    """Read columns and those of the time, which stay as they are written where the source says how."""
    times = [name for name in (source.time_column, source.time_of_day) if name and source.time_format != "row"]
    exact = times if source.time_format or source.time_zone or source.time_of_day else []
    return read_files(source, files, list(dict.fromkeys([*columns, *times])), [*text, *exact], source.time_column)


def _long(named: TableSource, files: dict[str, TableFile], wanted: Wanted) -> Reading:
    """Read one value per row, and give each tag a column."""
    tag, value = named.tag or "", named.value or ""
    inside = next(iter(files.values())).columns
    kept = [name for name in wanted.labels if name in inside]
    keys = [named.asset or SINGLE, *([named.run] if named.run else [])]
    columns = [*keys, tag, value, *kept, *([named.quality] if named.quality else [])]
    reading = _read(named, files, columns, [keys[0], tag, value, *kept])
    reading = _with_times(reading, read_times(reading, named, [*keys, tag], wanted.seconds))
    tags = [name for name in wanted.labels if name not in inside]
    return spread_tags(reading, named, [*keys, TIME], wanted.numbers, tags)


def _with_times(reading: Reading, times: "pd.Series[float]") -> Reading:
    frame = reading.frame.assign(**{TIME: times.to_numpy() if times.dtype == "float64" else times.array})
    return Reading(frame, reading.files, reading.starts, reading.shown)
