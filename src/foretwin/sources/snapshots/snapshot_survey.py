"""Survey of files of waveforms: what is sampled in them how fast, and a row of features for each snapshot."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow.parquet
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.contract.waveforms import Feature, Waveform
from foretwin.errors import SourceError
from foretwin.signals.lists import is_list
from foretwin.sources.files.file_names import FILE, SINGLE, data_files, path_parts
from foretwin.sources.files.guess.path_words import with_path_words
from foretwin.sources.files.guess.recognition import recognise
from foretwin.sources.files.guess.survey import Survey, time_forms
from foretwin.sources.files.lines import file_head
from foretwin.sources.files.notation import PLAIN, Notation, fields_of
from foretwin.sources.lives.row_sample import RowSample
from foretwin.sources.snapshots.sample_arrays import holds_samples, is_sound, read_samples
from foretwin.sources.snapshots.snapshot_files import SnapshotFile, SnapshotForm, open_snapshots
from foretwin.sources.tabular import PARQUET_MAGIC, open_table

FEWEST = 4096  # samples of a file without a time that is taken for one of waveforms
FEWEST_OF_ARRAYS = 20_000  # where the file's kind does not ask for a time
MOST_COLUMNS = 16
CROSSINGS = 0.02  # of the samples, at which a vibration crosses its mean
SHORTEST, SNAPSHOTS = 1024, 16  # samples of a snapshot, and snapshots of a file that is cut
MANY_FILES = 50  # each of which is one snapshot
MOST_BYTES = 400e6  # of files that are looked at
LOW, HIGH = 1 / 16, 1 / 4  # of half the rate: between the bands


@dataclass(frozen=True)
class SampledFile:
    """What one file shows of waveforms: the samples of each column, and the rate that it tells.

    `sure` is whether it can hold nothing else, `lists` whether each row is a snapshot.
    """

    samples: dict[str, NDArray[np.float64]]
    rate: float | None
    notation: Notation
    sure: bool = False
    lists: bool = False


def survey_waveforms(
    path: Path, shown: str, pattern: str | None, rate: float | None, is_time: Callable[[str], bool]
) -> Survey | None:
    """Survey a file or a folder as waveforms; None where they are not such.

    They are if the user says their `rate` (Hz) or a file does; `is_time` tells from a column's name whether it is the
    time. SourceError where they look like waveforms and nobody says their rate.
    """
    found = data_files(path) if path.is_dir() else [path.name]
    if not found:
        return None
    usual = Counter(Path(name).suffix for name in found).most_common(1)[0][0]
    names = [name for name in found if Path(name).suffix == usual]
    places = {name: path / name if path.is_dir() else path for name in names}
    label = f"{shown}: {names[0]}" if path.is_dir() else shown
    seen = _seen(places[names[0]], label)
    if seen is None or not seen.samples:
        return None
    told = rate or seen.rate
    length = max(map(len, seen.samples.values()))
    if told is None:
        if not seen.sure and not _looks_sampled(seen, length, is_time):
            return None
        reason = f"looks like waveforms: {length:,} samples without a time, at a rate that no file tells"
        raise SourceError(f"{label}: {reason}; add --rate HZ, the samples per second, or a column of the time")
    if rate is None and length < SHORTEST:
        return None
    columns = {_plain(name): name for name in seen.samples if not is_time(name)}
    if not columns:
        return None  # times alone
    cut = None if seen.lists or len(names) >= MANY_FILES else _snapshot_length(length)
    if cut is None and not seen.lists and len(names) > 1 and "{asset" not in (pattern or ""):
        reason = "each file is one snapshot of waveforms, and nothing tells of which machine"
        raise SourceError(f"{shown}: {reason}; add --pattern, such as '{{asset}}_{{date}}{usual}'")
    waveforms = {name: drafted_waveform(name, told) for name in columns}
    form = SnapshotForm(waveforms, columns, {}, cut)
    others = tuple(name for name in found if name not in places)
    return _survey(places, others, shown, seen.notation, form, pattern)


def drafted_waveform(name: str, rate: float) -> Waveform:
    """Return a waveform of a rate with the features that need to know nothing else."""
    half = rate / 2
    bands = {"low": (0.0, LOW * half), "middle": (LOW * half, HIGH * half), "high": (HIGH * half, half)}
    found = {f"{name}_{take}": Feature(take=take) for take in ("rms", "crest_factor", "kurtosis", "centroid")}
    found |= {f"{name}_{band}": Feature(take="band_rms", low=low, high=high) for band, (low, high) in bands.items()}
    return Waveform(rate=rate, unit="?", features=found)


def units_of(waveforms: Mapping[str, Waveform]) -> dict[str, str]:
    """Return the units of the features whose unit is not that of the samples."""
    known = {"crest_factor": "1", "kurtosis": "1", "centroid": "Hz"}
    features = {name: feature for wave in waveforms.values() for name, feature in wave.features.items()}
    return {name: known[feature.take] for name, feature in features.items() if feature.take in known}


def _seen(place: Path, shown: str) -> SampledFile | None:
    """Look at one file; None where it is no table of numbers."""
    head = file_head(place, shown)
    if holds_samples(head):
        arrays, rate = read_samples(place, shown, head)
        long = {name: values for name, values in arrays.items() if values.ndim and values.dtype.kind in "iuf"}
        longest = max(map(len, long.values()), default=0)
        samples = {name: values.astype(np.float64) for name, values in long.items() if len(values) == longest}
        return SampledFile(samples, rate, PLAIN, sure=is_sound(head))
    if head.startswith(PARQUET_MAGIC):
        schema = pyarrow.parquet.read_schema(place)
        lists = [field.name for field in schema if is_list(field.type)]
        if lists:
            first = next(pyarrow.parquet.ParquetFile(place).iter_batches(1, columns=lists))
            cells = {name: np.asarray(first.column(name)[0].as_py() or [], np.float64) for name in lists}
            return SampledFile(cells, None, PLAIN, sure=True, lists=True)
    try:
        notation = recognise(place, shown).notation
        table = open_table(place, shown, notation)
        frame = next(iter(table.blocks(table.columns)))
    except SourceError:
        return None  # whoever surveys it as a table says what is wrong
    if not all(_is_number(frame[name]) for name in frame):
        return None
    return SampledFile({str(name): frame[name].to_numpy(np.float64) for name in frame}, None, notation)


def _looks_sampled(seen: SampledFile, length: int, is_time: Callable[[str], bool]) -> bool:
    """Return whether columns are long, have no time, and swing about their means."""
    with_header = seen.notation.names is None and seen.notation is not PLAIN
    if length < (FEWEST if with_header else FEWEST_OF_ARRAYS) or len(seen.samples) > MOST_COLUMNS:
        return False
    if any(map(is_time, seen.samples)):
        return False
    swings = [np.mean(np.diff(values > np.nanmean(values)) != 0) for values in seen.samples.values()]
    return bool(np.median(swings) >= CROSSINGS)


def _snapshot_length(samples: int) -> int | None:
    """Return a power of two by which a file has snapshots enough; None where it is too short to be cut."""
    length = 1 << int(np.log2(max(samples // SNAPSHOTS, 1)))
    return length if length >= SHORTEST else None


def _survey(
    places: dict[str, Path],
    others: tuple[str, ...],
    shown: str,
    notation: Notation,
    form: SnapshotForm,
    pattern: str | None,
) -> Survey:
    """Return the rows of the snapshots of all files, or of some where they are large; `others` are left out."""
    chosen = _some(places)
    asked = TableSource(kind="table", path="", pattern=pattern, asset=FILE, time_format="row")
    frames, first = [], None
    for name in chosen:
        file = open_snapshots(places[name], f"{shown}: {name}" if len(places) > 1 else shown, notation, form)
        first = first or file
        frames += [frame.assign(**{SINGLE: name}) for frame in file.blocks(file.columns)]
        path_parts(asked, name)
    frame = with_path_words(pd.concat(frames, ignore_index=True), pattern)
    frame = frame.assign(**{word: pd.to_numeric(frame[word]) for word in _digit_words(pattern)})
    fields = dict(fields_of(notation)) | ({"snapshot": form.length} if form.length else {})
    remarks = {"snapshot": "samples into which each file is cut"}
    told = [f"waveforms: {', '.join(form.columns.values())} at {_rate(form):g} Hz: features of snapshots are channels."]
    if others:
        told.append(f"files: {len(others)} of another kind are left out, such as {others[0]}.")
    if len(chosen) < len(places):
        told.append(f"files: {len(chosen)} of {len(places)} were looked at; `dvc repro` reads all.")
    sample = RowSample(files=frozenset(chosen)) if len(chosen) < len(places) else None
    assert isinstance(first, SnapshotFile)  # noqa: S101 - there is a file at least
    path = places[chosen[0]] if len(places) == 1 and not others else _folder(places)
    of_files = (others, tuple(told), tuple(places), sample, (), pattern, form.waveforms, form.columns)
    return Survey(path, first, frame, fields, remarks, time_forms(frame), units_of(form.waveforms), *of_files)


def _folder(places: dict[str, Path]) -> Path:
    name, place = next(iter(places.items()))
    return place.parents[len(Path(name).parts) - 1]


def _rate(form: SnapshotForm) -> float:
    return next(iter(form.waveforms.values())).rate


def _some(places: dict[str, Path]) -> Sequence[str]:
    """Return the names of files evenly among all that are not too large together."""
    names, size = list(places), sum(place.stat().st_size for place in places.values())
    return names[:: max(1, int(np.ceil(size / MOST_BYTES)))]


def _digit_words(pattern: str | None) -> list[str]:
    return [part.split(":")[0] for part in (pattern or "").replace("}", "{").split("{") if part.endswith(":d")]


def _is_number(values: "pd.Series[Any]") -> bool:
    return bool(pd.api.types.is_numeric_dtype(values)) and not pd.api.types.is_bool_dtype(values)


def _plain(column: str) -> str:
    """Return a column's name as a word of a contract."""
    word = "".join(char if char.isascii() and char.isalnum() else "_" for char in column.lower()).strip("_")[:30]
    return word if word and word[0].isalpha() else f"wave_{word}".strip("_")
