"""Rows of a table beside the readings, with machines by the key of their names."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.channels import SECONDS
from foretwin.contract.source import EVERY_MACHINE, TableSource, as_table
from foretwin.contract.source.side_tables import FileSource
from foretwin.contract.twin import Twin
from foretwin.dataset.machine_names import spelling_key
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.places.copies import fetched, told_field
from foretwin.sources.files.reading import Reading
from foretwin.sources.files.rows import TIME, Wanted, read_row_pieces
from foretwin.sources.tabular import texts


@dataclass(frozen=True)
class LogRows:
    """Rows (M,) of a table: `file` has their cells as text, but numbers that were asked for, and names their places.

    `machines` (M,) are keys of names, None where each row is of every machine; `times` (M,) are instants without a
    zone, or numbers in the clock's unit.
    """

    field: str
    file: Reading
    machines: "pd.Series[str] | None"
    times: "pd.Series[Any]"

    def text(self, column: str) -> "pd.Series[str]":
        """Return the cells (M,) of a column."""
        return texts(self.file.frame[column])

    def positions(self, earliest: pd.Timestamp | None, unit: float) -> NDArray[np.float64]:
        """Return times (M,) as those of the readings: since `earliest`, in units of so many seconds, or as they are.

        SourceError where one table has dates, and the other one numbers.
        """
        stamped = pd.api.types.is_datetime64_any_dtype(self.times)
        if stamped != (earliest is not None):
            held, other = ("dates", "numbers") if stamped else ("numbers", "dates")
            fix = f"set source.{self.field}.time_format"
            raise SourceError(f"{self.file.shown}: the times are {held}, and those of the readings are {other}; {fix}")
        if earliest is None:
            return np.asarray(self.times, np.float64)
        return np.asarray((self.times - earliest).dt.total_seconds(), np.float64) / unit


def read_log(
    contract: Twin, source: TableSource, field: str, folder: Path, columns: Sequence[str], numbers: Sequence[str] = ()
) -> LogRows:
    """Read a table beside the readings: of the `source`'s field, from its copy below `folder`."""
    table: FileSource = source.side_tables[field]
    wanted = Wanted(tuple(numbers), tuple(dict.fromkeys(columns)), SECONDS.get(contract.clock.unit))
    with told_field(field):
        named, pieces = read_row_pieces(as_table(table, source.time_zone), fetched(folder / field), wanted)
        read = list(pieces)
        file = read[-1] if len(read) == 1 else _joined(read)
        column = named.asset or SINGLE
        names = texts(file.frame[column])
        empty = np.flatnonzero(names == "")
        if len(empty):
            raise file.wrong(int(empty[0]), column, f"is empty; every row needs one{file.more(len(empty))}")
    times = file.frame[TIME]
    times = times.dt.tz_convert(None) if pd.api.types.is_datetime64_any_dtype(times) else times
    if named.single_asset == EVERY_MACHINE:
        names = names.mask(names == EVERY_MACHINE, source.single_asset or EVERY_MACHINE)
    every = named.single_asset == EVERY_MACHINE and source.single_asset is None
    keys = None if every else names.map({name: spelling_key(name) for name in names.unique()})
    return LogRows(field, file, keys, times)


def _joined(pieces: Sequence[Reading]) -> Reading:
    frame = pd.concat([piece.frame for piece in pieces], ignore_index=True)
    last = pieces[-1]
    return Reading(frame, last.files, last.starts, last.shown, told=last.told)
