"""One table file of a user (text, Parquet, workbook, arrays, JSON), read by column; errors name the file's line."""

import csv
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
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
from foretwin.sources.files.blocks import BLOCK, parquet_blocks, text_blocks
from foretwin.sources.files.lines import HEAD, file_head, file_kind, filled, raw_lines, told_encoding
from foretwin.sources.files.notation import PLAIN, WHITESPACE, Notation
from foretwin.sources.files.numbers import MISSING_WORDS, is_error_word, numeric_sentinels, parse_texts
from foretwin.sources.files.text import as_stream, open_unpacked, table_lines
from foretwin.sources.files.workbooks import is_workbook
from foretwin.sources.lives.row_sample import RowSample

PARQUET_MAGIC = b"PAR1"
DELIMITERS = ",;\t|"


@dataclass(frozen=True)
class TableFile:
    """A table in one file; `shown` is its name in messages, `delimiter` is None for Parquet.

    `notation` has the encoding and the separator of a text filled in.
    """

    path: Path
    shown: str
    columns: tuple[str, ...]
    delimiter: str | None
    notation: Notation = PLAIN
    is_packed: bool = False
    kind: str = "text"  # or a workbook, arrays or JSON, which are read as lines of text
    sample: RowSample | None = None  # of the rows, where `blocks` is not to yield all

    @property
    def is_plain(self) -> bool:
        """Return whether the file is Parquet, or CSV in UTF-8 whose every line is header or row."""
        utf8 = self.notation.encoding in (None, "utf-8", "utf-8-sig")
        return utf8 and not self.is_packed and self.kind in ("text", "Parquet") and not self.notation.is_rewritten

    def read(self, columns: Sequence[str], text: Sequence[str] = ()) -> pd.DataFrame:
        """Read the named columns with inferred types; those in `text` as strings.

        SourceError where a column is absent or repeated, or the file is damaged, ragged or without rows.
        """
        wanted = self._checked(columns)
        try:
            if self.delimiter is None:
                frame = _as_frame(pyarrow.parquet.ParquetFile(self.path).read(columns=wanted).select(wanted))
            else:
                frame = self._parsed(self.path if self.is_plain else as_stream(self._lines()), wanted, text)
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise self._damage(error) from None
        if frame.empty:
            raise self._without_rows()
        return frame

    def blocks(self, columns: Sequence[str], text: Sequence[str] = ()) -> Iterator[pd.DataFrame]:
        """Yield what `read` returns in blocks of rows; each has types of its own."""
        wanted, is_empty = self._checked(columns), True
        try:
            for frame in self._frames(wanted, text) if self.sample is None else self._sampled(wanted, text):
                if len(frame):
                    is_empty = False
                    yield frame
        except (pa.ArrowException, OSError, UnicodeError) as error:
            raise self._damage(error) from None
        if is_empty and self.sample is None:
            raise self._without_rows()

    def _sampled(self, wanted: list[str], text: Sequence[str]) -> Iterator[pd.DataFrame]:
        """Yield the rows of the sample, with their rows in the file as index."""
        sample, before = self.sample or RowSample(), 0
        machine = [sample.column] if sample.column else []
        for frame in self._frames(list(dict.fromkeys([*wanted, *machine])), [*text, *machine]):
            names = texts(frame[sample.column]) if sample.column else None
            frame.index = pd.RangeIndex(before, before + len(frame))
            yield frame.loc[sample.mask(names, before, len(frame)), wanted]
            before += len(frame)
            if sample.first is not None and before >= sample.first:
                return

    def _frames(self, wanted: list[str], text: Sequence[str]) -> Iterator[pd.DataFrame]:
        if self.delimiter is None:
            yield from map(_as_frame, parquet_blocks(self.path, wanted))
            return
        with self.path.open("rb") if self.is_plain else as_stream(self._lines()) as file:
            for block in text_blocks(file, BLOCK):
                yield self._parsed(pa.BufferReader(block), wanted, text)

    def _checked(self, columns: Sequence[str]) -> list[str]:
        wanted = list(dict.fromkeys(columns))
        for name in wanted:
            self.check_present(name)
        return wanted

    def _without_rows(self) -> SourceError:
        return SourceError(f"{self.shown}: has a header but no rows; export it again")

    def wrong(self, row: int, column: str, reason: str) -> SourceError:
        """Return the error for one cell: `row` counts data rows from 0; its text has the file's line or row from 1."""
        return SourceError(f"{self.shown}: {self.place(self._row_in_file(row))}: column {column!r}: {reason}")

    def _row_in_file(self, row: int) -> int:
        """Return the number in the file of a row of the sample."""
        if self.sample is not None:
            seen = 0
            for frame in self.blocks([self.sample.column or self.columns[0]]):
                if row < seen + len(frame):
                    return int(frame.index[row - seen])
                seen += len(frame)
        return row

    def place(self, row: int) -> str:
        """Return `line N` of a text, counting header, blank lines and line breaks in quotes; else `row N`."""
        if self.delimiter is None or self.notation.transposed or self.kind == "JSON":
            return f"row {row + 1}"
        word, seen, line = "line" if self.kind == "text" else "row", -1, 1
        reader = csv.reader(self._lines(errors="replace"), delimiter=self.delimiter)
        for record in reader:
            if record:
                if seen == row:
                    return f"{word} {line + self._lines_before}"
                seen += 1
            line = reader.line_num + 1
        return f"{word} {row + 2 + self._lines_before}"

    @property
    def _lines_before(self) -> int:
        """Return how many lines of the file before the rows are not among those that are parsed."""
        return self.notation.skip + self.notation.after_header - bool(self.notation.names)

    def _lines(self, errors: str = "strict") -> Iterator[str]:
        """Yield the lines of header and rows."""
        return table_lines(raw_lines(self.path, self.shown, self.notation, errors), self.notation)

    def numbers(
        self, values: "pd.Series[Any]", column: str, before: int = 0
    ) -> tuple[NDArray[np.float64], Counter[str]]:
        """Parse numbers (N,) float64, NaN where missing, and count the cells that say why they are none.

        `values` are of a column of the file, in its order, `before` rows after its first. SourceError at the first
        cell with text or an infinite number.
        """
        told: Counter[str] = Counter()
        if pd.api.types.is_numeric_dtype(values):
            found: NDArray[np.float64] = np.asarray(values, dtype=np.float64)
        else:
            text = texts(values)
            missing, word = is_missing(text), is_error_word(text, self.notation.missing)
            found = parse_texts(text.mask(missing | word, ""), self.notation)
            bad = np.isnan(found) & ~(missing | word).to_numpy()
            if bad.any():
                row = int(bad.argmax())
                advice = "correct it, leave the cell empty, or list it in source.missing_values"
                raise self.wrong(before + row, column, f"{text.iat[row]!r} is not a number; {advice}")
            told.update(text[word])
        listed = numeric_sentinels(self.notation.missing)
        if listed:
            sentinel = np.isin(found, listed)
            told.update(pd.Series(found[sentinel]).map("{:g}".format))
            found = np.where(sentinel, np.nan, found)
        if np.isinf(found).any():
            row = int(np.isinf(found).argmax())
            raise self.wrong(before + row, column, "the number is infinite; correct it, or leave the cell empty")
        return found, told

    def _parsed(self, source: Any, columns: list[str], text: Sequence[str]) -> pd.DataFrame:
        table = pyarrow.csv.read_csv(
            source,
            parse_options=pyarrow.csv.ParseOptions(delimiter=self.delimiter, newlines_in_values=True),
            convert_options=pyarrow.csv.ConvertOptions(
                include_columns=columns,
                column_types={name: pa.string() for name in text},
                decimal_point=self.notation.decimal,
            ),
        )
        return _as_frame(table)

    def check_present(self, name: str) -> None:
        """Raise SourceError where a column of this name is not there once."""
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
            reader = csv.reader(self._lines(), delimiter=self.delimiter)
            for record in reader:
                line = reader.line_num + self._lines_before
                if record and len(record) != len(self.columns):
                    count = f"has {len(record)} fields where the header has {len(self.columns)}"
                    return SourceError(f"{self.shown}: line {line}: {count}; correct the line")
        except UnicodeError:
            encoding = (self.notation.encoding or "utf-8").upper().replace("-SIG", "")
            return SourceError(f"{self.shown}: after line {line}: not {encoding} text; set source.encoding")
        except csv.Error as problem:
            reason = str(problem)
        return SourceError(f"{self.shown}: not a readable CSV file ({reason}); export it again")


def open_table(path: Path, shown: str, notation: Notation = PLAIN) -> TableFile:
    """Open a file by its first bytes and the notation; SourceError where it is absent, empty or of no known kind."""
    head = file_head(path, shown)
    if head.startswith(PARQUET_MAGIC):
        return TableFile(path, shown, _parquet_names(path, shown), None, kind="Parquet")
    if head.startswith(b"PK") and not is_workbook(path, head):
        raise SourceError(f"{shown}: neither CSV, Parquet nor a workbook, but an archive; name it in source.path")
    kind = file_kind(path, head)
    packed = False
    if kind != "text":
        notation = replace(notation, decimal=".", separator=",")
    else:
        with open_unpacked(path) as file:
            text = filled(file.read(HEAD), shown)
        packed = head[:64] != text[:64]
        encoding = notation.encoding or told_encoding(text, shown)
        # A mark at the beginning is no part of the first name, whatever the contract says of it.
        notation = replace(notation, encoding="utf-8-sig" if encoding.lower() in ("utf-8", "utf8") else encoding)
    return replace(_described(path, shown, notation), is_packed=packed, kind=kind)


def _described(path: Path, shown: str, notation: Notation) -> TableFile:
    """Return the file with its header, for which the first lines are read."""
    try:
        lines = raw_lines(path, shown, notation, "replace")
        skipped = [line for _, line in zip(range(notation.skip), lines, strict=False)]
        first = next((line for line in lines if line.strip()), None)
    except LookupError:
        raise SourceError(f"{shown}: {notation.encoding} is no encoding; correct source.encoding") from None
    if first is None:
        raise SourceError(f"{shown}: has only {len(skipped)} lines; correct source.skip_lines")
    told = re.fullmatch(r"sep=(.)\s*", first) if not skipped else None
    if told:
        notation = replace(notation, skip=1, separator=notation.separator or told[1])
    separator = notation.separator or max(DELIMITERS, key=first.count)
    notation = replace(notation, separator=separator)
    delimiter = "\t" if separator == WHITESPACE else separator
    reader = csv.reader(_parsed(path, shown, notation), delimiter=delimiter)
    header = next((one for one in reader if one), [])
    if "" in header and len(header) > 1:  # a column without a name is given one, so that the contract can name it
        named = [name or ("unnamed" if number == 0 else f"unnamed_{number + 1}") for number, name in enumerate(header)]
        notation = replace(notation, names=tuple(named), skip=notation.skip + reader.line_num)
        header = named
    return TableFile(path, shown, tuple(header), delimiter, notation)


def _parsed(path: Path, shown: str, notation: Notation) -> Iterator[str]:
    return table_lines(raw_lines(path, shown, notation, "replace"), notation)


def _parquet_names(path: Path, shown: str) -> tuple[str, ...]:
    try:
        return tuple(pyarrow.parquet.read_schema(path).names)
    except (pa.ArrowException, OSError) as error:
        reason = str(error).splitlines()[0]
        raise SourceError(f"{shown}: damaged Parquet file ({reason}); export it again") from None


def _as_frame(table: pa.Table) -> pd.DataFrame:
    """Convert column by column, freeing each; the table cannot be used afterwards."""
    frame: pd.DataFrame = table.to_pandas(ignore_metadata=True, self_destruct=True)
    return frame


def texts(values: "pd.Series[Any]") -> "pd.Series[str]":
    """Convert values to stripped text: whole numbers without a decimal point, missing ones as an empty text."""
    if pd.api.types.is_float_dtype(values) and (values.dropna() % 1 == 0).all():
        values = values.astype("Int64")
    return values.astype("object").where(values.notna(), "").astype("str").str.strip()


def is_missing(text: "pd.Series[str]") -> "pd.Series[bool]":
    """Return a mask of the texts that mean a missing number."""
    return text.str.lower().isin(MISSING_WORDS)
