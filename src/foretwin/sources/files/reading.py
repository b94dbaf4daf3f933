"""Rows of one file or many as one frame, which remembers the file and line that each came from."""

import logging
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import data_files, path_parts, shown_path
from foretwin.sources.files.notation import notation_of
from foretwin.sources.tabular import TableFile, open_table, texts

LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class Reading:
    """Rows of files (N, columns), with an index from 0; `starts` is the first row of each file.

    `origin` holds, for each row of the frame, the row of the files where the frame has another shape than they.
    """

    frame: pd.DataFrame
    files: tuple[TableFile, ...]
    starts: NDArray[np.int64]
    shown: str
    origin: NDArray[np.int64] | None = None

    def wrong(self, row: int, column: str, reason: str) -> SourceError:
        """Return the error for one cell of the frame; it names the file and the line or row."""
        row = int(self.origin[row]) if self.origin is not None else row
        number = int(np.searchsorted(self.starts, row, side="right")) - 1
        return self.files[number].wrong(row - int(self.starts[number]), column, reason)

    def numbers(self, values: "pd.Series[Any]", column: str) -> NDArray[np.float64]:
        """Parse numbers (N,) float64, NaN where missing; what else than an empty cell was missing is told.

        `values` is a column of the frame, in its order.
        """
        if self.origin is not None:
            return np.asarray(values, dtype=np.float64)
        parts, told = [], Counter[str]()
        for file, start, end in zip(self.files, self.starts, [*self.starts[1:], len(values)], strict=True):
            part = values.iloc[start:end].reset_index(drop=True)
            found, counts = file.numbers(part.infer_objects(), column)
            parts.append(found)
            told += counts
        if told:
            LOG.warning("%s: column %r: taken as missing: %s", self.shown, column, counted(told))
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def file_names(self, rows: NDArray[np.int64]) -> NDArray[np.object_]:
        """Return the name of the file (M,) of each of these rows of the frame."""
        rows = self.origin[rows] if self.origin is not None else rows
        number = np.searchsorted(self.starts, rows, side="right") - 1
        return np.array([file.path.name for file in self.files], dtype=np.object_)[number]

    def with_frame(self, frame: pd.DataFrame, origin: NDArray[np.int64]) -> "Reading":
        """Return the same files with other rows, each made of the row `origin` (N,) of this frame, and others."""
        before = self.origin[origin] if self.origin is not None else origin
        return replace(self, frame=frame, origin=before)


def counted(counts: Counter[str]) -> str:
    """Format counts of texts, the most frequent first."""
    return ", ".join(f"{word!r} ({count})" for word, count in counts.most_common(12))


def open_files(source: TableSource, path: Path) -> dict[str, TableFile]:
    """Open the file, or all data files of the folder, in natural order of their names: relative name -> file."""
    shown = shown_path(source.path)
    if not path.is_dir():
        return {source.path: open_table(path, shown, notation_of(source, source.path))}
    names = data_files(path)
    if not names:
        raise SourceError(f"{shown}: holds no files; correct source.path or source.pattern")
    return {name: open_table(path / name, f"{shown}: {name}", notation_of(source, name)) for name in names}


def file_columns(source: TableSource, path: Path) -> set[str]:
    """Return the columns of a file, and those that its path gives."""
    (name, file), *_ = open_files(source, path).items()
    return {*file.columns, *path_parts(source, name)}


def read_files(
    source: TableSource, files: dict[str, TableFile], columns: Sequence[str], text: Sequence[str], exact: str | None
) -> Reading:
    """Read the named columns of all files, and those that their paths give; those in `text` as strings.

    The column `exact` is read as strings too where its type differs between the files.
    """
    frames = []
    for name, file in files.items():
        # A partition of the path says again what a column of the file may say; a pattern was asked for.
        parts = path_parts(source, name).items()
        given = {word: part for word, part in parts if word in source.path_words or word not in file.columns}
        inside = [column for column in columns if column not in given]
        frame = file.read(inside, text=[column for column in text if column in inside])
        frames.append(frame.assign(**{column: given[column] for column in columns if column in given}))
    if exact is not None and len({str(frame[exact].dtype) for frame in frames}) > 1:
        frames = [frame.assign(**{exact: texts(frame[exact])}) for frame in frames]
    starts = np.cumsum([0, *(len(frame) for frame in frames[:-1])], dtype=np.int64)
    whole = pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0].reset_index(drop=True)
    return Reading(whole, tuple(files.values()), starts, shown_path(source.path))


def group_numbers(frame: pd.DataFrame, columns: Sequence[str]) -> NDArray[np.int64]:
    """Return the number (N,) of each row's group: rows that are equal in all columns."""
    cells = pd.DataFrame({column: texts(frame[column]) for column in columns})
    return np.asarray(cells.groupby(list(columns), sort=False).ngroup(), dtype=np.int64)
