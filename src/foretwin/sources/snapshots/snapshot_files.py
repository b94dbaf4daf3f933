"""Files of waveforms as tables with a row per snapshot: its features, and what else the file says of it."""

import logging
from collections import Counter
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet
from numpy.typing import NDArray

from foretwin.contract.source import TableSource
from foretwin.contract.twin import Twin
from foretwin.contract.waveforms import Waveform
from foretwin.errors import SourceError
from foretwin.signals.extraction import extract_features
from foretwin.signals.lists import is_list, stacked
from foretwin.sources.files.lines import file_head
from foretwin.sources.files.notation import Notation
from foretwin.sources.files.reading import Opener, open_plainly
from foretwin.sources.snapshots.sample_arrays import holds_samples, is_sound, read_samples
from foretwin.sources.tabular import TableFile, open_table

LISTS_AT_ONCE = 64  # rows of Parquet, each with a whole snapshot
Blocks = dict[str, NDArray[np.float32]]
Arrays = Mapping[str, "np.ndarray[Any, Any]"]
LOG = logging.getLogger(__name__)


@dataclass(frozen=True)
class SnapshotForm:
    """How files hold snapshots: the column of each waveform and of each channel that is measured beside them.

    `length` counts the samples of the first waveform in a snapshot where a file holds several, else it is None.
    """

    waveforms: Mapping[str, Waveform]
    columns: Mapping[str, str]
    measured: Mapping[str, str]
    length: int | None
    left_over: Counter[str] = field(default_factory=Counter)  # samples, by file

    @classmethod
    def of(cls, contract: Twin, source: TableSource) -> "SnapshotForm | None":
        """Return what the contract says; None where it has no waveforms."""
        if not contract.waveforms:
            return None
        columns = {name: source.columns.get(name, name) for name in contract.waveforms}
        features = {channel for wave in contract.waveforms.values() for channel in wave.features}
        measured = {name: column for name, column in channel_columns(contract, source).items() if name not in features}
        return cls(contract.waveforms, columns, measured, source.snapshot)

    @property
    def features(self) -> tuple[str, ...]:
        """Return the channels that are features."""
        return tuple(channel for wave in self.waveforms.values() for channel in wave.features)

    def lengths(self) -> dict[str, int] | None:
        """Return the samples of each waveform in a snapshot; None where a file is one."""
        first = next(iter(self.waveforms.values())).rate
        if self.length is None:
            return None
        return {name: max(1, round(self.length * wave.rate / first)) for name, wave in self.waveforms.items()}

    def tell_left_over(self, shown: str) -> None:
        """Tell how many samples are no whole snapshot."""
        if self.left_over:
            most, samples = self.left_over.most_common(1)[0]
            told = f"samples at the ends of {len(self.left_over)} files are no whole snapshot"
            LOG.warning("%s: %d %s: left out, such as %d of %s", shown, self.left_over.total(), told, samples, most)


@dataclass(frozen=True)
class SnapshotFile(TableFile):
    """A file of waveforms, read as a table of its snapshots; `table` is what it is as a table of samples."""

    form: SnapshotForm | None = None
    table: TableFile | None = None
    given: Mapping[str, str] = field(default_factory=dict)  # columns that the path of the file gives

    def blocks(self, columns: Sequence[str], text: Sequence[str] = ()) -> Iterator[pd.DataFrame]:
        """Yield a row per snapshot with these columns: features (float64), and what the file says besides.

        A measured channel is its mean over the snapshot, any other column what stands at the first sample. A snapshot
        with a sample that is missing has no features.
        """
        form, rows = self.the_form, 0
        others = [name for name in columns if name not in form.features]
        speeds = {wave.speed.channel for wave in form.waveforms.values() if wave.speed and wave.speed.channel}
        speed_columns = {name: form.measured[name] for name in sorted(speeds)}
        inside = [name for name in dict.fromkeys([*others, *speed_columns.values()]) if name not in self.given]
        for blocks, frame in self._snapshots(inside, text, {*form.measured.values()} & {*inside}):
            turns = {name: self._measured(frame, column) for name, column in speed_columns.items()}
            found = self._features(blocks, turns, len(frame))
            rows += len(frame)
            if len(frame):
                yield frame.assign(**found)[list(columns)]
        if rows == 0:
            needed_samples = f"{form.length} samples are needed for a snapshot" if form.length else "it has no samples"
            raise SourceError(f"{self.shown}: holds no snapshot: {needed_samples}; correct source.snapshot")

    @property
    def the_form(self) -> SnapshotForm:
        """Return the form, which a file that was opened has."""
        assert self.form is not None  # noqa: S101 - see `open_snapshots`
        return self.form

    def place(self, row: int) -> str:
        """Return `snapshot N`."""
        return f"snapshot {row + 1}"

    def _row_in_file(self, row: int) -> int:
        return row

    def _measured(self, frame: pd.DataFrame, column: str) -> NDArray[np.float64]:
        """Return a channel (N,) of each snapshot, which the file or its path gives."""
        if column not in self.given:
            return frame[column].to_numpy(np.float64)
        try:
            return np.full(len(frame), float(self.given[column]))
        except ValueError:
            fix = f"{self.given[column]!r} is no number; correct source.pattern, or rename the file"
            raise SourceError(f"{self.shown}: {column}: {fix}") from None

    def _features(
        self, blocks: Mapping[str, NDArray[np.float32]], speeds: Mapping[str, NDArray[np.float64]], count: int
    ) -> dict[str, NDArray[np.float64]]:
        form = self.the_form
        whole = np.all([np.isfinite(block).all(axis=1) for block in blocks.values()], axis=0)
        found = {name: np.full(count, np.nan) for name in form.features}
        if whole.any():
            kept = {name: values[whole] for name, values in speeds.items()}
            try:
                taken = extract_features(form.waveforms, {n: b[whole] for n, b in blocks.items()}, kept)
            except ValueError as error:
                raise SourceError(
                    f"{self.shown}: waveforms.{error}; correct source.snapshot, or the contract"
                ) from None
            for name, values in taken.items():
                found[name][whole] = values
        return found

    def _snapshots(
        self, others: Sequence[str], text: Sequence[str], means: Collection[str]
    ) -> Iterator[tuple[Blocks, pd.DataFrame]]:
        """Yield some snapshots: blocks (N, samples) of each waveform, and the other columns (N rows)."""
        form, held, before = self.the_form, list[Arrays](), 0
        if self.table is None:
            yield self._cut(self._arrays(others), others, means)
            return
        if _has_lists(self.table, form):
            yield from _of_lists(self.table, form, others)
            return
        columns, lengths = [*form.columns.values(), *others], set((form.lengths() or {}).values())
        length = lengths.pop() if len(lengths) == 1 else None  # at which the rows can be cut as they come
        for frame in self.table.blocks(columns, [name for name in text if name in others]):
            held.append({name: self._cells(frame, name, before, means) for name in columns})
            before += len(frame)
            whole = _joined(held) if length else {}
            rows = len(next(iter(whole.values()))) // length * length if length else 0
            if rows:
                yield self._cut({name: values[:rows] for name, values in whole.items()}, others, means)
                held = [{name: values[rows:] for name, values in whole.items()}]
        yield self._cut(_joined(held), others, means)

    def _cells(self, frame: pd.DataFrame, name: str, before: int, means: Collection[str]) -> "np.ndarray[Any, Any]":
        """Return a column (N,) of the table, that of a waveform or a measured channel as numbers."""
        assert self.table is not None  # noqa: S101 - only called with one
        if name in means or name in self.the_form.columns.values():
            return self.table.numbers(frame[name], name, before)[0]
        return frame[name].to_numpy(object)

    def _arrays(self, others: Sequence[str]) -> Arrays:
        """Read the arrays of a file of arrays, or the channels of a sound."""
        form, head = self.the_form, file_head(self.path, self.shown)
        arrays, rate = read_samples(self.path, self.shown, head)
        if len(arrays) == 1 and len(form.columns) == 1:
            (column,), (only,) = form.columns.values(), arrays
            arrays = {column: arrays[only]} if column not in arrays and is_sound(head) else arrays
        lacking = [name for name in (*form.columns.values(), *others) if name not in arrays]
        if lacking:
            held = ", ".join(map(repr, list(arrays)[:12]))
            raise SourceError(f"{self.shown}: {lacking[0]!r} is missing; it has {held}: correct source.columns")
        wrong = [name for name, wave in form.waveforms.items() if rate is not None and not _about(rate, wave.rate)]
        if wrong and len(form.waveforms) == 1:
            wave = form.waveforms[wrong[0]]
            fix = f"waveforms.{wrong[0]}.rate is {wave.rate:g}: correct it, or leave the file out"
            raise SourceError(f"{self.shown}: was sampled at {rate:g} Hz, but {fix}")
        return arrays

    def _cut(self, arrays: Arrays, others: Sequence[str], means: Collection[str]) -> tuple[Blocks, pd.DataFrame]:
        """Cut arrays of samples in turn into whole snapshots; what is left over is counted."""
        form = self.the_form
        samples = {name: len(np.atleast_1d(arrays[column])) for name, column in form.columns.items()}
        lengths = form.lengths() or samples
        count = min(samples[name] // max(lengths[name], 1) for name in samples)
        blocks = {
            name: np.asarray(arrays[column], np.float32)[: count * lengths[name]].reshape(count, lengths[name])
            for name, column in form.columns.items()
        }
        first = next(iter(samples))
        if samples[first] > count * lengths[first]:
            form.left_over[self.path.name] += samples[first] - count * lengths[first]
        share = lengths[first] / max(samples[first], 1)
        return blocks, pd.DataFrame(
            {name: _per_snapshot(arrays[name], count, share, name in means) for name in others}, index=range(count)
        )


def channel_columns(contract: Twin, source: TableSource) -> dict[str, str]:
    """Return the column of each channel; a feature has its own name, since no file holds it."""
    features = {channel for wave in contract.waveforms.values() for channel in wave.features}
    return {name: name if name in features else source.columns.get(name, name) for name in contract.channel_names}


def opener(form: SnapshotForm | None) -> Opener:
    """Return how files are opened: as tables of their snapshots where there is a form of these."""
    if form is None:
        return open_plainly
    return lambda path, shown, notation, given: replace(open_snapshots(path, shown, notation, form), given=given)


def open_snapshots(path: Path, shown: str, notation: Notation, form: SnapshotForm) -> SnapshotFile:
    """Open a file of waveforms; SourceError where it is of no known kind, or lacks the column of a waveform."""
    if holds_samples(file_head(path, shown)):
        return SnapshotFile(path, shown, form.features, None, kind="samples", form=form)
    table = open_table(path, shown, notation)
    for column in form.columns.values():
        table.check_present(column)
    columns = (*form.features, *(name for name in table.columns if name not in form.columns.values()))
    return SnapshotFile(path, shown, columns, None, table.notation, kind="samples", form=form, table=table)


def _per_snapshot(values: "np.ndarray[Any, Any]", count: int, share: float, is_mean: bool) -> "np.ndarray[Any, Any]":
    """Return what a column says of each snapshot (N,), which has this share of the samples."""
    if np.ndim(values) == 0:
        return np.full(count, values.item(), None if values.dtype.kind in "biuf" else object)
    length = max(1, int(len(values) * share))
    parts = values[: count * length].reshape(count, length)
    return np.asarray(parts, np.float64).mean(axis=1) if is_mean else parts[:, 0]


def _joined(held: Sequence[Arrays]) -> Arrays:
    if len(held) == 1:
        return held[0]
    return {name: np.concatenate([one[name] for one in held]) for name in held[0]}


def _about(rate: float, other: float) -> bool:
    return abs(rate - other) <= 0.005 * other


def _has_lists(table: TableFile, form: SnapshotForm) -> bool:
    """Return whether each row of a Parquet file has a whole snapshot, as a list."""
    if table.kind != "Parquet":
        return False
    schema = pyarrow.parquet.read_schema(table.path)
    return all(is_list(schema.field(column).type) for column in form.columns.values())


def _of_lists(table: TableFile, form: SnapshotForm, others: Sequence[str]) -> Iterator[tuple[Blocks, pd.DataFrame]]:
    """Yield the snapshots of a Parquet file of lists, those of one length together."""
    columns = list(dict.fromkeys([*form.columns.values(), *others]))
    with pyarrow.parquet.ParquetFile(table.path) as file:
        for batch in file.iter_batches(LISTS_AT_ONCE, columns=columns):
            frame = pa.Table.from_batches([batch]).select(list(others)).to_pandas(ignore_metadata=True)
            lists = {name: batch.column(column) for name, column in form.columns.items()}
            for rows, blocks in stacked(lists):
                yield blocks, frame.iloc[rows].reset_index(drop=True)
