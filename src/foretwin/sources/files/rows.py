"""Rows of a table source, whatever their shape: one row per time, with the time parsed."""

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import pandas as pd

from foretwin.contract.source import TableSource
from foretwin.sources.files.blocks import BATCH
from foretwin.sources.files.clock import Clocks, read_times
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.reading import Opener, Reading, open_files, open_plainly, read_pieces
from foretwin.sources.files.tags import spread_tags
from foretwin.sources.lives.row_sample import RowSample
from foretwin.sources.tabular import TableFile

TIME = "source time"  # of a row: an instant in UTC, or a number in the clock's unit; with a space, as no channel


@dataclass(frozen=True)
class Wanted:
    """Columns, or tags, to be read as numbers and as text, and the clock's unit in seconds if it is one of time."""

    numbers: tuple[str, ...]
    labels: tuple[str, ...]
    seconds: float | None
    opened: Opener = open_plainly  # how a file is opened


def read_row_pieces(
    source: TableSource, path: Path, wanted: Wanted, sample: RowSample | None = None
) -> tuple[TableSource, Iterator[Reading]]:
    """Read a file or a folder of them, or a sample of the rows, in pieces; the time is the column `source time`.

    The returned source names the columns that the pieces have for machine, run and time. Where rows are counted, the
    time is 0: it is the number of the row within its run. SourceError where the files are not as the source says.
    """
    names = {"asset": source.asset_column or SINGLE, "run": source.run_column, "time": source.time_column or TIME}
    named = source.model_copy(update=names)
    files = open_files(source, path, sample, wanted.opened)
    if source.tag is not None:
        return named, iter([_long(named, files, wanted)])
    return named, _wide(named, source, files, wanted)


def _wide(named: TableSource, source: TableSource, files: dict[str, TableFile], wanted: Wanted) -> Iterator[Reading]:
    """Yield pieces of rows that hold a column per channel."""
    keys = [named.asset or SINGLE, *([named.run] if named.run else [])]
    clocks = Clocks()
    for reading in _read(source, files, [*keys, *wanted.numbers, *wanted.labels], [keys[0], *wanted.labels]):
        if source.time_format == "row":
            yield _with_times(reading, pd.Series(0.0, index=reading.frame.index))
        else:
            yield _with_times(reading, read_times(reading, source, keys, wanted.seconds, clocks))


def _read(
    source: TableSource,
    files: dict[str, TableFile],
    columns: Sequence[str],
    text: Sequence[str],
    least: int | None = None,
) -> Iterator[Reading]:
    """Read columns and those of the time, which stay as they are written where the source says how."""
    times = [name for name in (source.time_column, source.time_of_day) if name and source.time_format != "row"]
    exact = times if source.time_format or source.time_zone or source.time_of_day else []
    columns = list(dict.fromkeys([*columns, *times]))
    alike = source.time_column if times else None
    return read_pieces(source, files, columns, [*text, *exact], alike, least or BATCH)


def _long(named: TableSource, files: dict[str, TableFile], wanted: Wanted) -> Reading:
    """Read one value per row, and give each tag a column."""
    tag, value = named.tag or "", named.value or ""
    inside = next(iter(files.values())).columns
    kept = [name for name in wanted.labels if name in inside]
    keys = [named.asset or SINGLE, *([named.run] if named.run else [])]
    columns = [*keys, tag, value, *kept, *([named.quality] if named.quality else [])]
    (reading,) = _read(named, files, columns, [keys[0], tag, value, *kept], least=sys.maxsize)
    reading = _with_times(reading, read_times(reading, named, [*keys, tag], wanted.seconds, Clocks()))
    tags = [name for name in wanted.labels if name not in inside]
    return spread_tags(reading, named, [*keys, TIME], wanted.numbers, tags)


def _with_times(reading: Reading, times: "pd.Series[float]") -> Reading:
    frame = reading.frame.assign(**{TIME: times.to_numpy() if times.dtype == "float64" else times.array})
    return replace(reading, frame=frame)
