"""Survey of a user's files whose notation nobody has told yet: what can be seen about how they are written."""

import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from foretwin.contract.source import TableSource
from foretwin.contract.waveforms import Waveform
from foretwin.errors import SourceError
from foretwin.sources.files.blocks import BLOCK
from foretwin.sources.files.file_names import FILE, SINGLE, data_files
from foretwin.sources.files.guess.marks import (
    far_sentinels,
    guess_marks,
    holds_numbers,
    numbers_and_words,
    padded_codes,
    unknown_words,
)
from foretwin.sources.files.guess.path_words import with_path_words
from foretwin.sources.files.guess.recognition import FIRST_LINES, is_turned, recognise_tables, usual_shape
from foretwin.sources.files.guess.time_forms import TimeForm, guess_form, with_clocks
from foretwin.sources.files.notation import Notation, fields_of
from foretwin.sources.files.places.copies import bring_files, fetched, is_archive
from foretwin.sources.files.reading import counted
from foretwin.sources.lives.row_sample import MOST_ROWS, RowSample
from foretwin.sources.tabular import (
    TableFile,
    open_table,
    texts,
)

FEWEST_ROWS = 1000  # of each file, where all are too many
Remarks = dict[str, str]
_Numbers = tuple[Notation, dict[str, object], Remarks, tuple[str, ...]]


@dataclass(frozen=True)
class Survey:
    """What was seen in files: all rows (N, columns) typed, and how they are written.

    `path` is the file or folder on this machine, `table` the first file. The column `single asset` tells the files
    apart, `left_out` are those of another shape; `pattern` was told, and its words are columns. `fields` are those of
    the contract's source, `remarks` why each is guessed, `forms` those of columns of times, `units` what stands below
    the columns' names, `told` sentences for a person.
    """

    path: Path
    table: TableFile
    frame: pd.DataFrame
    fields: dict[str, object]
    remarks: Remarks
    forms: dict[str, TimeForm] = field(default_factory=dict)
    units: dict[str, str] = field(default_factory=dict)
    left_out: tuple[str, ...] = ()
    told: tuple[str, ...] = ()
    names: tuple[str, ...] = ()  # of the files
    sample: RowSample | None = None  # of the rows, where they are too many
    machines: tuple[str, ...] = ()  # all of them, where `frame` has those of some
    pattern: str | None = None
    waveforms: Mapping[str, Waveform] = field(default_factory=dict)  # of which the rows are snapshots
    columns: Mapping[str, str] = field(default_factory=dict)  # of the waveforms


@contextmanager
def surveyed(
    source: str, pattern: str | None = None, look: Callable[[Path], Survey | None] = lambda _: None
) -> Iterator[Survey]:
    """Bring what `source` names (file, folder, glob, archive, URL), and survey it; copies are removed afterwards.

    Of many files those count whose path ends as `pattern`. What `look` sees in the file or folder comes first.
    """
    with tempfile.TemporaryDirectory() as temporary:
        path = Path(source)
        if not path.is_file() or is_archive(path):
            asked = TableSource(kind="table", path=source, pattern=pattern, asset=FILE, time_format="row")
            bring_files(asked, Path(), Path(temporary))
            path = fetched(Path(temporary))
        survey = look(path) or survey_files(path, source, pattern=pattern)
        for name in survey.left_out:
            (path / name).unlink()  # of the copy
        yield survey


def survey_files(path: Path, shown: str, sample: RowSample | None = None, pattern: str | None = None) -> Survey:
    """Survey a file, or all files of a folder, of which those of the commonest shape are taken.

    Of many rows, those of the `sample` are looked at, or the first of each file. The words of `pattern` are columns.
    """
    names = data_files(path) if path.is_dir() else [path.name]
    if not names:
        raise SourceError(f"{shown}: holds no files; name others")
    places = {name: path / name if path.is_dir() else path for name in names}
    labels = {name: f"{shown}: {name}" if path.is_dir() else shown for name in names}
    seen = recognise_tables(places, labels)
    usual = usual_shape(seen, places)
    look = next(look for look in seen.values() if look.shape == usual)
    turned = [name for name in seen if seen[name].shape != usual and is_turned(seen[name], look)]
    kept = [name for name in seen if seen[name].shape == usual]

    files = {name: open_table(places[name], labels[name], look.notation) for name in kept}
    sample = sample or _first_rows(files)
    files = {name: replace(file, sample=sample) for name, file in files.items() if sample is None or sample.has(name)}
    raw = _frame(files, as_text=True)
    notation, asked, remarks, told = _with_numbers(raw, look.notation, next(iter(files.values())))
    files = {name: replace(open_table(places[name], labels[name], notation), sample=sample) for name in files}
    typed = _typed(_frame(files, as_text=False), files).assign(**padded_codes(raw))
    frame = with_path_words(typed, pattern)
    fields = dict(fields_of(notation)) | asked
    if turned:
        fields["transposed"] = Path(turned[0]).name
        remarks["transposed"] = "it has as many rows as the others have columns"
    others = [name for name in names if name not in kept and name not in turned[:1]]
    if others:
        told = (*told, f"files: {len(others)} of another shape are left out, such as {others[0]}.")
    remarks = {**look.remarks, **remarks}
    table = next(iter(files.values()))
    of_files = (tuple(others), told, tuple(kept), sample)
    return Survey(path, table, frame, fields, remarks, time_forms(frame), look.units, *of_files, pattern=pattern)


def _frame(files: dict[str, TableFile], as_text: bool) -> pd.DataFrame:
    """Read all columns of all files, with the column `single asset` for the name of the file."""
    frames = []
    for name, file in files.items():
        frame = _read(file, as_text)
        frames.append(frame.assign(**{SINGLE: name}))
    return pd.concat(frames, ignore_index=True) if len(frames) > 1 else frames[0]


def _first_rows(files: dict[str, TableFile]) -> RowSample | None:
    """Return the first rows of each file as a sample; None where all are few enough."""
    if sum(file.path.stat().st_size for file in files.values()) <= BLOCK:
        return None
    rows = 0
    for file in files.values():
        for frame in file.blocks(file.columns[:1], text=file.columns[:1]):
            rows += len(frame)
            if rows > MOST_ROWS:
                return RowSample(first=max(FEWEST_ROWS, MOST_ROWS // len(files)))
    return None


def _read(file: TableFile, as_text: bool) -> pd.DataFrame:
    text = file.columns if as_text else ()
    if file.sample is None:
        return file.read(file.columns, text=text)
    return pd.concat(file.blocks(file.columns, text=text), ignore_index=True)


def _with_numbers(raw: pd.DataFrame, notation: Notation, file: TableFile) -> _Numbers:
    """Add marks within numbers and missing values to the notation, as all cells of the texts show them.

    Then come fields that are a question to the user, remarks, and what is to be told.
    """
    cells = {name: texts(raw[name]) for name in raw.columns if name != SINGLE and not _is_typed(raw[name])}
    heads = {name: text.head(FIRST_LINES) for name, text in cells.items()}
    moments = {name for name, head in heads.items() if not holds_numbers(head) and guess_form(head)}
    marks = guess_marks({name: text for name, text in cells.items() if name not in moments}, file.delimiter)
    sure = None if marks.thousands == "ask" else marks.thousands
    notation = replace(notation, decimal=marks.decimal, thousands=sure)
    words, remarks = Counter[str](), Remarks()
    for name in raw.columns:
        if name in cells and name not in moments:
            found = numbers_and_words(cells[name], notation)
            if found is None:
                continue
            numbers, others = found
            words += others
        elif name in cells or name == SINGLE or not pd.api.types.is_numeric_dtype(raw[name]):
            continue
        else:
            numbers = np.asarray(raw[name], dtype=np.float64)
        words += far_sentinels(numbers)
    listed = unknown_words(words)
    told = (f"missing: {counted(words)} are read as missing.",) if words else ()
    if marks.doubt:
        told = (*told, f"decimal: {marks.doubt!r} has three decimals; if these are thousands, write source.thousands.")
    if marks.decimal != "." or sure:
        remarks["decimal"] = remarks["thousands"] = f"as in {marks.example!r}"
    if marks.thousands == "ask":
        remarks["thousands"] = f"{marks.example!r} may have thousands or decimals: write the mark, or remove this line"
    remarks["missing_values"] = f"found: {counted(Counter({word: words[word] for word in listed}))}"
    asked: dict[str, object] = {"thousands": "ask"} if marks.thousands == "ask" else {}
    return replace(notation, missing=tuple(listed)), asked, remarks, told


def _typed(frame: pd.DataFrame, files: dict[str, TableFile]) -> pd.DataFrame:
    """Parse the columns that are mostly numbers but hold other texts, or numbers in another notation."""
    file = next(iter(files.values()))
    columns: dict[str, Any] = {}
    for name in frame.columns:
        if name == SINGLE:
            continue
        if pd.api.types.is_numeric_dtype(frame[name]) and not pd.api.types.is_bool_dtype(frame[name]):
            values, _ = file.numbers(frame[name], name)
            changed = np.isnan(values) & frame[name].notna().to_numpy()
            columns |= {name: values} if changed.any() else {}
        elif not _is_typed(frame[name]) and numbers_and_words(texts(frame[name]), file.notation) is not None:
            columns[name] = file.numbers(texts(frame[name]), name)[0]
    return frame.assign(**columns)


def time_forms(frame: pd.DataFrame) -> dict[str, TimeForm]:
    """Return the forms of the columns of text that are times."""
    cells = {name: texts(frame[name]) for name in frame.columns if name != SINGLE and not _is_typed(frame[name])}
    found = {name: guess_form(text) for name, text in cells.items()}
    return with_clocks({name: form for name, form in found.items() if form is not None}, cells)


def _is_typed(values: "pd.Series[Any]") -> bool:
    return pd.api.types.is_numeric_dtype(values) or pd.api.types.is_datetime64_any_dtype(values)
