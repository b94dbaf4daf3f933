"""CSV and Parquet files of users, read by column; errors name the line of the file."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.csv
import pyarrow.parquet
from numpy.typing import NDArray

from foretwin.errors import SourceError

PARQUET_MAGIC = b"PAR1"
DELIMITERS = ",;\t|"
MISSING_WORDS = {"", "na", "n/a", "#n/a", "nan", "-nan", "null", "none", "nat"}
HEAD = 1 << 20  # bytes read to recognise CSV


@dataclass(frozen=True)
class TableFile:
    """A CSV or Parquet file; `shown` is its name in messages, `delimiter` is None for Parquet."""

    path: Path
    shown: str
    columns: tuple[str, ...]
    delimiter: str | None

    def read(self, columns: Sequence[str], text: Sequence[str] = ()) -> pd.DataFrame:
        """Read the named columns with inferred types; those in `text` as strings.

        SourceError where a column is absent or repeated, or the file is damaged, ragged or without rows.
        """
        wanted = list(dict.fromkeys(columns))
        for name in wanted:
            self._check_present(name)
        try:
            frame = self._read_csv(wanted, text) if self.delimiter else self._read_parquet(wanted)
        except (pa.ArrowException, OSError) as error:
            raise self._damage(error) from None
        if frame.empty:
            raise SourceError(f"{self.shown}: has a header but no rows; export it again")
        return frame

    def wrong(self, row: int, column: str, reason: str) -> SourceError:
        """Return the error for one cell: `row` counts data rows from 0; its text has the file's line or row from 1."""
        return SourceError(f"{self.shown}: {self.place(row)}: column {column!r}: {reason}")

    def place(self, row: int) -> str:
        """Return `line N` of a CSV, counting header, blank lines and line breaks in quotes; `row N` of Parquet."""
        if self.delimiter is None:
            return f"row {row + 1}"
        with self.path.open(newline="", encoding="utf-8-sig", errors="replace") as file:
            reader, seen, line = csv.reader(file, delimiter=self.delimiter), -1, 1
            for record in reader:
                if record:
                    if seen == row:
                        return f"line {line}"
                    seen += 1
                line = reader.line_num + 1
        return f"line {row + 2}"

    def numbers(self, values: "pd.Series[Any]", column: str) -> NDArray[np.float64]:
        """Parse numbers (N,) float64, NaN where missing; SourceError at the first cell with text or an infinite number.

        `values` is a column of `read`, in the file's order.
        """
        if pd.api.types.is_numeric_dtype(values):
            found: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
        else:
            text = texts(values)
            missing = is_missing(text)
            found = np.asarray(pd.to_numeric(text.mask(missing), errors="coerce"), dtype=np.float64)
            bad = np.isnan(found) & ~missing.to_numpy()
            if bad.any():
                row = int(bad.argmax())
                raise self.wrong(row, column, f"{text.iat[row]!r} is not a number; correct it, or leave the cell empty")
        if np.isinf(found).any():
            row = int(np.isinf(found).argmax())
            raise self.wrong(row, column, "the number is infinite; correct it, or leave the cell empty")
        return found

    def _read_csv(self, columns: list[str], text: Sequence[str]) -> pd.DataFrame:
        table = pyarrow.csv.read_csv(
            self.path,
            parse_options=pyarrow.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=columns, column_types={name: pa.string() for name in text}
            ),
        )
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)
        return frame

    def _read_parquet(self, columns: list[str]) -> pd.DataFrame:
        table = pyarrow.parquet.ParquetFile(self.path).read(columns=columns)
        frame: pd.DataFrame = table.to_pandas(ignore_metadata=True)[columns]
        return frame

    def _check_present(self, name: str) -> None:
        count = self.columns.count(name)
        if count > 1:
            raise SourceError(f"{self.shown}: column {name!r} is there {count} times; give each its own name")
        if count == 0:
            near = get_close_matches(name, self.columns, n=1, cutoff=0.6)
            hint = f"did you mean {near[0]!r}" if near else f"it has {', '.join(map(repr, self.columns[:12]))}"
            raise SourceError(f"{self.shown}: column {name!r} is missing; {hint}; correct twin.yaml or the file")

    def _damage(self, error: Exception) -> SourceError:
        """Return the error of an unreadable file, with its first ragged or undecodable line if there is one."""
        reason = str(error).splitlines()[0]
        if self.delimiter is None:
            return SourceError(f"{self.shown}: damaged Parquet file ({reason}); export it again")
        line = 0
        try:
            with self.path.open(newline="", encoding="utf-8-sig") as file:
                reader = csv.reader(file, delimiter=self.delimiter)
                for record in reader:
                    line = reader.line_num
                    if record and len(record) != len(self.columns):
                        count = f"has {len(record)} fields where the header has {len(self.columns)}"
                        return SourceError(f"{self.shown}: line {line}: {count}; correct the line")
        except UnicodeDecodeError:
            return SourceError(f"{self.shown}: after line {line}: not UTF-8 text; save the file as UTF-8")
        except csv.Error as problem:
            reason = str(problem)
        return SourceError(f"{self.shown}: not a readable CSV file ({reason}); export it again")


def open_table(path: Path, shown: str) -> TableFile:
    """Open a file by its first bytes; SourceError where it is absent, empty or neither CSV nor Parquet."""
    try:
        with path.open("rb") as file:
            head = file.read(HEAD)
    except FileNotFoundError:
        raise SourceError(f"{shown}: no such file; correct source.path in twin.yaml") from None
    except IsADirectoryError:
        raise SourceError(f"{shown}: is a folder; name one CSV or Parquet file") from None
    if not head.strip():
        raise SourceError(f"{shown}: the file is empty; export it again")
    if head.startswith(PARQUET_MAGIC):
        return TableFile(path, shown, _parquet_names(path, shown), None)
    first = _first_line(head, shown)
    delimiter = max(DELIMITERS, key=first.count)
    return TableFile(path, shown, tuple(next(csv.reader([first], delimiter=delimiter))), delimiter)


def _parquet_names(path: Path, shown: str) -> tuple[str, ...]:
    try:
        return tuple(pyarrow.parquet.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"{shown}: damaged Parquet file ({reason}); export it again") from None


def _first_line(head: bytes, shown: str) -> str:
    try:
        text = head[: head.rfind(b"\n") + 1 or None].decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise SourceError(f"{shown}: neither CSV (as UTF-8 text) nor Parquet; export it as one of these")
    return next(line for line in text.splitlines() if line.strip())


def texts(values: "pd.Series[Any]") -> "pd.Series[str]":
    """Convert values to stripped text: whole numbers without a decimal point, missing ones as an empty text."""
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return values.astype("object").where(values.notna(), "").astype("str").str.strip()


def is_missing(text: "pd.Series[str]") -> "pd.Series[bool]":
    """Return a mask of the texts that mean a missing number."""
    return text.str.lower().isin(MISSING_WORDS)
