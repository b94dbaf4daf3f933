"""Rows of one file or many as frames, which remember the file and line that each came from."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import islice
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import data_files, path_parts, shown_path
from foretwin.sources.files.notation import Notation, notation_of
from foretwin.sources.lives.row_sample import RowSample
from foretwin.sources.tabular import TableFile, open_table, texts

LOG = logging.getLogger(__name__)
# How a file is opened: of its path, its name in messages, its notation, and the columns that its path gives.
Opener = Callable[[Path, str, Notation, Mapping[str, str]], TableFile]


@dataclass(frozen=True)
class Reading:
    """Rows of files (N, columns), with an index from 0; `starts` is the first row of each file.

    They are all rows of the files, or a piece of them that `before` rows precede; then `whole` is false. `origin`
    holds, for each row of the frame, the row of the files where the frame has another shape than they. `told` counts
    by column what else than empty cells was missing.
    """

    frame: pd.DataFrame
    files: tuple[TableFile, ...]
    starts: NDArray[np.int64]
    shown: str
    origin: NDArray[np.int64] | None = None
    before: int = 0
    whole: bool = True
    told: defaultdict[str, Counter[str]] = field(default_factory=lambda: defaultdict(Counter))

    def wrong(self, row: int, column: str, reason: str) -> SourceError:
        """Return the error for one cell of the frame; it names the file and the line or row."""
        row = int(self.origin[row]) if self.origin is not None else row + self.before
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.files[number].wrong(row - int(self.starts[number]), column, reason)

    def more(self, rows: int) -> str:
        """Return how many rows share a problem, for the end of a message; nothing of a single one."""
        least = "" if self.whole else "at least "
        return f" ({least}{rows} rows in all)" if rows > 1 else ""

    def numbers(self, values: "pd.Series[Any]", column: str) -> NDArray[np.float64]:
        """Parse numbers (N,) float64, NaN where missing; what else than an empty cell was missing is counted.

        `values` is a column of the frame, in its order.
        """
        if self.origin is not None:
            return np.asarray(values, dtype=np.float64)
        parts = []
        ends = [*self.starts[1:], self.before + len(values)]
        for file, start, end in zip(self.files, self.starts, ends, strict=True):
            first = max(int(start), self.before)
            if end > first or len(self.files) == 1:
                part = values.iloc[first - self.before : end - self.before].reset_index(drop=True)
                found, counts = file.numbers(part.infer_objects(), column, first - int(start))
                parts.append(found)
                self.told[column] += counts
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def file_names(self, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the name of the file (M,) of each of these rows of the frame."""
        rows = self.origin[rows] if self.origin is not None else rows
        number = np.searchsorted(self.starts, rows, side="right") - 1
        return np.array([file.path.name for file in self.files], dtype=np.object_)[number]

    def tell_missing(self) -> None:
        """Tell what else than empty cells was missing in all pieces so far."""
        for column, counts in self.told.items():
            if counts:
                LOG.warning("%s: column %r: taken as missing: %s", self.shown, column, counted(counts))

    def with_frame(self, frame: pd.DataFrame, origin: NDArray[np.int64]) -> "Reading":
        """Return the same files with other rows, each made of the row `origin` (N,) of this frame, and others."""
        before = self.origin[origin] if self.origin is not None else origin
        return replace(self, frame=frame, origin=before)


def counted(counts: Counter[str]) -> str:
    """Format counts of texts, the most frequent first."""
    return ", ".join(f"{word!r} ({count})" for word, count in counts.most_common(12))


def open_plainly(path: Path, shown: str, notation: Notation, _given: Mapping[str, str]) -> TableFile:
    """Open a file whose rows are those of the table."""
    return open_table(path, shown, notation)


def open_files(
    source: TableSource, path: Path, sample: RowSample | None = None, opened: Opener = open_plainly
) -> dict[str, TableFile]:
    """Open the file, or all data files of the folder, in natural order of their names: relative name -> file.

    With a `sample`, only its rows will be read; `opened` opens one file.
    """
    shown = shown_path(source.path)

    def open_one(name: str, place: Path, label: str) -> TableFile:
        file = opened(place, label, notation_of(source, name), path_parts(source, name))
        return replace(file, sample=sample)

    if not path.is_dir():
        return {source.path: open_one(source.path, path, shown)}
    names = data_files(path)
    if not names:
        raise SourceError(f"{shown}: holds no files; correct source.path or source.pattern")
    kept = [name for name in names if sample is None or sample.has(name)]
    return {name: open_one(name, path / name, f"{shown}: {name}") for name in kept}


def file_columns(source: TableSource, path: Path, opened: Opener = open_plainly) -> set[str]:
    """Return the columns of a file, and those that its path gives."""
    (name, file), *_ = open_files(source, path, opened=opened).items()
    return {*file.columns, *path_parts(source, name)}


def read_pieces(
    source: TableSource,
    files: dict[str, TableFile],
    columns: Sequence[str],
    text: Sequence[str],
    exact: str | None,
    least: int,
) -> Iterator[Reading]:
    """Read the named columns of all files, and those that their paths give, in pieces of at least so many rows.

    Those in `text` are read as strings; the column `exact` too where its type differs within a piece. A table of fewer
    rows, or of one block, is a single piece.
    """
    pieces = _pieces(source, files, columns, text, exact, least)
    ahead = list(islice(pieces, 2))
    whole, told = len(ahead) == 1, ahead[0].told
    while ahead:
        yield replace(ahead.pop(0), whole=whole, told=told)
    for piece in pieces:
        yield replace(piece, whole=False, told=told)


def _pieces(
    source: TableSource,
    files: dict[str, TableFile],
    columns: Sequence[str],
    text: Sequence[str],
    exact: str | None,
    least: int,
) -> Iterator[Reading]:
    starts, rows, before = list[int](), 0, 0
    held: list[pd.DataFrame] = []

    def joined() -> Reading:
        frames = held
        if exact is not None and len({str(frame[exact].dtype) for frame in frames}) > 1:
            frames = [frame.assign(**{exact: texts(frame[exact])}) for frame in frames]
        whole = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)
        seen = tuple(files.values())[: len(starts)]
        return Reading(whole, seen, np.asarray(starts, np.int64), shown_path(source.path), before=before)

    for name, file in files.items():
        starts.append(rows)
        # A partition of the path says again what a column of the file may say; a pattern was asked for.
        parts = path_parts(source, name).items()
        given = {word: part for word, part in parts if word in source.path_words or word not in file.columns}
        inside = [column for column in columns if column not in given]
        for frame in file.blocks(inside, text=[column for column in text if column in inside]):
            held.append(frame.assign(**{column: given[column] for column in columns if column in given}))
            rows += len(frame)
            if rows - before >= least:
                yield joined()
                held, before = [], rows
    if held:
        yield joined()


def group_numbers(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return the number (N,) of each row's group: rows that are equal in all columns."""
    return np.asarray(_group_cells(frame, columns).groupby(list(columns), sort=False).ngroup(), dtype=np.int64)


def group_names(frame: pd.DataFrame, columns: Sequence[str]) -> list[tuple[str, ...]]:
    """Return the cells of each group of `group_numbers`, in the order of their numbers."""
    return list(_group_cells(frame, columns).drop_duplicates().itertuples(index=False, name=None))


def _group_cells(frame: pd.DataFrame, columns: Sequence[str]) -> pd.DataFrame:
    return pd.DataFrame({column: texts(frame[column]) for column in columns})
