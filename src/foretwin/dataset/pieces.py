"""A canonical table in pieces of whole runs, so that it need not fit in memory: read, written, and cut.

Memory grows with the longest run, never with the number of rows.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Self

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet

from foretwin.contract.twin import Twin
from foretwin.dataset.table import ROW_GROUP, absent_table, canonical, damaged_table, run_starts

PIECE = ROW_GROUP  # rows of a piece at least, but of the last one


@dataclass(frozen=True)
class RowPieces:
    """A canonical table of `count` rows; it can be read more than once."""

    count: int
    read: Callable[[], Iterator[pd.DataFrame]]
    """Yield pieces of any size, in order."""
    least: int = PIECE
    """Rows of a piece of whole runs at least, but of the last one."""

    @classmethod
    def of(cls, rows: pd.DataFrame) -> Self:
        """Take a table that is in memory, as a single piece."""
        return cls(len(rows), lambda: iter([rows.reset_index(drop=True)]))

    @classmethod
    def open(cls, path: Path, twin: Twin) -> Self:
        """Open a file of `write_rows`; RowsError, here or on reading, where it does not fit the contract."""
        try:
            count = pyarrow.parquet.read_metadata(path).num_rows
        except FileNotFoundError:
            raise absent_table(path, twin) from None
        except (pa.ArrowException, OSError) as error:
            raise damaged_table(path, error) from None
        return cls(count, lambda: _read_groups(path, twin))

    def __iter__(self) -> Iterator[pd.DataFrame]:
        """Yield pieces of whole stretches of one run, each with an index from 0."""
        return whole_runs(self.read(), self.least)

    def at(self, positions: Sequence[int]) -> pd.DataFrame:
        """Return the rows at these positions, in ascending order of them."""
        wanted, begin, found = np.unique(np.asarray(positions, np.int64)), 0, []
        for piece in self.read():
            inside = wanted[(wanted >= begin) & (wanted < begin + len(piece))]
            found.append(piece.iloc[inside - begin])
            begin += len(piece)
            if begin > wanted.max(initial=-1):
                break
        return pd.concat(found, ignore_index=True)


def whole_runs(pieces: Iterable[pd.DataFrame], least: int) -> Iterator[pd.DataFrame]:
    """Cut pieces anew so that no stretch of rows of one run is parted; each has `least` rows or more but the last."""
    held: list[pd.DataFrame] = []
    rows, wanted = 0, least
    for piece in pieces:
        held.append(piece)
        rows += len(piece)
        if rows <= wanted:
            continue
        whole = held[0] if len(held) == 1 else pd.concat(held, ignore_index=True)
        begin = int(np.flatnonzero(run_starts(whole))[-1])
        if begin >= least:
            yield whole.iloc[:begin].reset_index(drop=True)
            whole = whole.iloc[begin:].reset_index(drop=True)
        held, rows = [whole], len(whole)
        wanted = max(least, 2 * rows)  # of a long run: joined seldom enough that its length counts once
    if held:
        yield held[0].reset_index(drop=True) if len(held) == 1 else pd.concat(held, ignore_index=True)


class RowsWriter:
    """Writes canonical rows to a Parquet file piece by piece: the same bytes however the rows are cut."""

    def __init__(self, path: Path, twin: Twin) -> None:
        self._path, self._twin = path, twin
        self._held: list[pa.Table] = []
        self._writer: pyarrow.parquet.ParquetWriter | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Write what is held, and close the file; after an error it is incomplete."""
        if error is None:
            if self._writer is None and not self._held:
                self.write(pd.DataFrame({name: [] for name in ("asset", "run", "time", *self._twin.channel_names)}))
            self._flush(all_of_it=True)
        if self._writer is not None:
            self._writer.close()

    def write(self, rows: pd.DataFrame) -> None:
        """Add rows, which become canonical; RowsError where they cannot."""
        self._held.append(pa.Table.from_pandas(canonical(rows, self._twin), preserve_index=False))
        self._flush(all_of_it=False)

    def _flush(self, all_of_it: bool) -> None:
        rows = sum(len(table) for table in self._held)
        whole = rows if all_of_it else rows - rows % PIECE
        if not self._held or (whole == 0 and not all_of_it):
            return
        table = self._held[0] if len(self._held) == 1 else pa.concat_tables(self._held)
        if self._writer is None:
            self._writer = pyarrow.parquet.ParquetWriter(self._path, table.schema, compression="zstd")
        for begin in range(0, max(whole, 1), PIECE):
            self._writer.write_table(table.slice(begin, min(PIECE, whole - begin)).combine_chunks())
        self._held = [table.slice(whole).combine_chunks()] if whole < rows else []


def _read_groups(path: Path, twin: Twin) -> Iterator[pd.DataFrame]:
    try:
        with pyarrow.parquet.ParquetFile(path) as file:
            for number in range(file.metadata.num_row_groups):
                yield canonical(file.read_row_group(number).to_pandas(), twin)
            if file.metadata.num_row_groups == 0:
                yield canonical(file.schema_arrow.empty_table().to_pandas(), twin)
    except (pa.ArrowException, OSError) as error:
        raise damaged_table(path, error) from None
