"""Labels as spans of time in a file of their own, a table or JSON, put on the rows of the machines that they are of."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from foretwin.contract.source import LabelSpans, TableFault, TableSource
from foretwin.dataset.machine_names import spelling_key
from foretwin.dataset.table import FAULT_UNKNOWN
from foretwin.errors import SourceError
from foretwin.sources.files.file_names import SINGLE
from foretwin.sources.files.reading import Reading
from foretwin.sources.files.rows import TIME
from foretwin.sources.files.times import parse_moments
from foretwin.sources.labels import ClassReader
from foretwin.sources.tabular import is_missing, open_table, texts

BEGIN, END, ASSET = "begin", "end", "asset"  # columns of spans as read
SHOWN_KEYS = 4


@dataclass(frozen=True)
class Spans:
    """Spans of time, both ends included: begin and end (S,) as the rows' times are, classes (S,), machines or None."""

    begin: NDArray[np.int64] | NDArray[np.float64]
    end: NDArray[np.int64] | NDArray[np.float64]
    label: NDArray[np.int8]
    assets: "pd.Series[str] | None"

    def classes_at(self, times: NDArray[Any], assets: "pd.Series[str]", count: int) -> NDArray[np.int8]:
        """Return the class (N,) of `count` at each time (N,): the first outside of all spans, -1 within two classes."""
        result = np.zeros(len(times), np.int8)
        names = assets.map({name: spelling_key(name) for name in assets.unique()})
        for name, rows in pd.Series(np.arange(len(times))).groupby(names.to_numpy(), sort=False):
            mine = slice(None) if self.assets is None else (self.assets == name).to_numpy()
            places = rows.to_numpy()
            result[places] = self._of_one(times[places], mine, count)
        return result

    def _of_one(self, times: NDArray[Any], mine: Any, count: int) -> NDArray[np.int8]:
        order = np.argsort(times, kind="stable")
        ordered = times[order]
        first = np.searchsorted(ordered, self.begin[mine], "left")
        last = np.searchsorted(ordered, self.end[mine], "right")
        held = np.zeros((count, len(times) + 1), np.int64)  # how many spans of each class begin less those that end
        np.add.at(held, (self.label[mine], first), 1)
        np.add.at(held, (self.label[mine], last), -1)
        within = held.cumsum(axis=1)[:, :-1] > 0
        found = np.where(within.sum(axis=0) > 1, FAULT_UNKNOWN, within.argmax(axis=0))
        result = np.empty(len(times), np.int8)
        result[order] = found
        return result


def class_reader(
    source: TableSource, axis: str, classes: Sequence[str], folder: Path | None
) -> "ClassReader | SpanReader":
    """Return what reads the classes of one axis; `folder` has a copy of each file with spans."""
    fault = source.faults[axis]
    return ClassReader(axis, fault, classes) if fault.spans is None else SpanReader(source, axis, classes, folder)


class SpanReader:
    """Reads the classes of one axis, which are spans of time, on pieces of a table; knows whether any was within one.

    Without a folder the labels are unknown.
    """

    def __init__(self, source: TableSource, axis: str, classes: Sequence[str], folder: Path | None) -> None:
        self._source, self._axis, self._classes = source, axis, classes
        self._path = folder / axis if folder else None
        self._fault, self._spans = source.faults[axis], source.faults[axis].spans or LabelSpans(path="", means="-")
        self._read: Spans | None = None
        self._found = False

    def read(self, _file: Reading, frame: pd.DataFrame) -> NDArray[np.int8]:
        """Return the class (N,) of each row, -1 where it is unknown.

        SourceError where a span has no time, or ends before it begins.
        """
        if self._path is None:
            return np.full(len(frame), FAULT_UNKNOWN, np.int8)
        times = frame[TIME]
        stamped = pd.api.types.is_datetime64_any_dtype(times)
        if self._read is None:
            read = _json_spans if self._spans.begin is None else _table_spans
            cells = read(self._axis, self._fault, self._spans, self._path, self._classes)
            self._read = _typed(self._source, stamped, *cells)
        assets = texts(frame[self._source.asset_column or SINGLE])
        found = self._read.classes_at(_comparable(times, stamped), assets, len(self._classes))
        self._found |= bool((found != 0).any())
        return found

    def check(self, shown: str) -> None:
        """Raise SourceError where no row was within a span."""
        if self._path is not None and not self._found:
            raise SourceError(
                f"{self._spans.path}: no span of axis {self._axis} holds a row of {shown}; compare the times"
            )


def _typed(source: TableSource, stamped: bool, shown: str, frame: pd.DataFrame, labels: NDArray[np.int8]) -> Spans:
    """Return the spans of a frame with begin, end and perhaps asset as text, whose class is known."""
    first, last = (_moments(source, frame[name], stamped, shown) for name in (BEGIN, END))
    if (last < first).any():
        row = int((last < first).argmax())
        raise SourceError(f"{shown}: span {row + 1} ends at {frame[END].iat[row]}, before it begins; correct it")
    known = labels >= 0
    names = frame[ASSET].map(spelling_key)[known] if ASSET in frame else None
    return Spans(first[known], last[known], labels[known], names)


def _table_spans(
    axis: str, fault: TableFault, spans: LabelSpans, path: Path, classes: Sequence[str]
) -> tuple[str, pd.DataFrame, NDArray[np.int8]]:
    """Read a table with a row per span: its name in messages, begin, end and asset as text, and classes (S,)."""
    file = open_table(path, spans.path)
    begin, end = spans.begin or "", spans.end or spans.begin or ""
    wanted = [begin, end, *(name for name in (spans.asset, spans.label) if name)]
    cells = file.read(wanted, text=wanted)
    frame = pd.DataFrame({BEGIN: texts(cells[begin]), END: texts(cells[end])})
    frame[END] = frame[END].mask(is_missing(frame[END]), frame[BEGIN])
    if spans.asset is not None:
        frame[ASSET] = texts(cells[spans.asset])
    if spans.label is None:
        return spans.path, frame, np.full(len(frame), classes.index(spans.means or ""), np.int8)
    reading = Reading(cells, (file,), np.zeros(1, np.int64), spans.path)
    reader = ClassReader(axis, fault.model_copy(update={"column": spans.label, "spans": None}), classes)
    labels = reader.read(reading, cells)
    reader.check(spans.path)
    return spans.path, frame, labels


def _moments(source: TableSource, values: "pd.Series[Any]", stamped: bool, where: str) -> NDArray[Any]:
    """Return times (S,) comparable with those of the rows; SourceError at the first that is none."""
    text = texts(values)
    found: Any = parse_moments(text, source) if stamped else pd.to_numeric(text, errors="coerce")
    if found.isna().any():
        row = int(found.isna().to_numpy().argmax())
        form = "as those of the table" if stamped else "a number in the clock's unit, as those of the table"
        raise SourceError(f"{where}: span {row + 1}: {text.iat[row]!r} is no time; write it {form}")
    return _comparable(found, stamped)


def _comparable(times: "pd.Series[Any]", stamped: bool) -> NDArray[Any]:
    if not stamped:
        return np.asarray(times, np.float64)
    return pd.to_datetime(times, utc=True).dt.tz_localize(None).to_numpy("datetime64[ns]").astype(np.int64)


def _json_spans(
    _axis: str, _fault: TableFault, spans: LabelSpans, path: Path, classes: Sequence[str]
) -> tuple[str, pd.DataFrame, NDArray[np.int8]]:
    """Read pairs of times, or single times, under the key of a JSON file, as `_table_spans`."""
    try:
        content = json.loads(path.read_text(encoding="utf-8-sig"))
    except (ValueError, UnicodeError) as error:
        raise SourceError(f"{spans.path}: is no JSON ({error}); for a table of spans, name spans.begin") from None
    if spans.key is not None or isinstance(content, dict):
        keys = list(content) if isinstance(content, dict) else []
        if spans.key not in keys:
            some = ", ".join(map(repr, keys[:SHOWN_KEYS])) + (", ..." if len(keys) > SHOWN_KEYS else "")
            raise SourceError(f"{spans.path}: has no key {spans.key!r}; set spans.key to one of {some or 'an object'}")
        content = content[spans.key]
    pairs = [one if isinstance(one, list) else [one, one] for one in content] if isinstance(content, list) else []
    if not pairs or any(len(pair) != 2 or any(isinstance(cell, list | dict) for cell in pair) for pair in pairs):
        raise SourceError(f"{spans.path}: holds no pairs of times; write [begin, end] for each span")
    frame = pd.DataFrame([[str(cell) for cell in pair] for pair in pairs], columns=[BEGIN, END])
    return spans.path, frame, np.full(len(frame), classes.index(spans.means or ""), np.int8)
