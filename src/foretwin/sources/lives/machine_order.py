"""Rows of a table put together by machine, in memory or, where they are many, by way of files."""

import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow as pa
from numpy.typing import NDArray

BUNDLE = 1 << 17  # rows that are held at once, unless a machine has more
MOST_FILES = 200  # open at once; of more rows, each holds more
ROW, MACHINE = "source row", "source machine"  # with a space, as no channel has
PACKED = pa.ipc.IpcWriteOptions(compression="lz4")


def machine_bundles(pieces: Iterable[pd.DataFrame], least: int) -> Iterator[pd.DataFrame]:
    """Yield all rows of one machine or several together, in the order in which machines (`asset`) come first.

    A bundle has `least` rows or more but the last; its rows are in the order of the pieces, whose index they keep. Rows
    that do not come machine by machine are written to files in the folder for temporary files and read back: there
    must be room for them twice.
    """
    with tempfile.TemporaryDirectory(prefix="foretwin-") as folder:
        spill = _Spill(Path(folder), least)
        held: list[pd.DataFrame] = []
        for piece in pieces:
            if held:
                spill.add(held.pop())
                spill.add(piece)
            elif spill.is_used:
                spill.add(piece)
            else:
                held.append(piece)
        if held:
            yield held.pop()  # a single piece needs no file
        else:
            yield from spill.bundles()


class _Spill:
    """Rows on the disk, with the number of each row's machine."""

    def __init__(self, folder: Path, least: int) -> None:
        self._folder, self._least = folder, least
        self._numbers: dict[str, int] = {}
        self._counts: list[int] = []
        self._ordered, self._last = True, 0
        self._writer: pa.ipc.RecordBatchStreamWriter | None = None
        self._schema: pa.Schema | None = None

    @property
    def is_used(self) -> bool:
        """Return whether there are rows in it."""
        return self._writer is not None

    def add(self, piece: pd.DataFrame) -> None:
        """Write the rows of a piece."""
        for name in piece["asset"].unique():
            self._numbers.setdefault(name, len(self._numbers))
        number = piece["asset"].map(self._numbers).to_numpy(np.int64)
        counts = np.bincount(number, minlength=len(self._numbers))
        self._counts += [0] * (len(counts) - len(self._counts))
        self._counts = list(counts + self._counts)
        self._ordered &= bool((np.diff(number, prepend=self._last) >= 0).all())
        self._last = int(number[-1])
        frame = piece.assign(**{MACHINE: number, ROW: piece.index.to_numpy(np.int64)})
        moments = frame.select_dtypes("datetime").columns  # of one unit in all pieces
        table = pa.Table.from_pandas(
            frame.assign(**{name: frame[name].dt.as_unit("ns") for name in moments}), preserve_index=False
        ).replace_schema_metadata()
        if self._writer is None:
            self._schema = table.schema
            self._writer = pa.ipc.new_stream(str(self._folder / "all"), table.schema, options=PACKED)
        self._writer.write_table(table.cast(self._schema))
        del table, frame
        pa.default_memory_pool().release_unused()

    def bundles(self) -> Iterator[pd.DataFrame]:
        """Yield the rows of one machine or several, in the order of their numbers."""
        if self._writer is None:
            return
        self._writer.close()
        bundle_of = self._bundle_of()
        if self._ordered:
            yield from _cut(_batches(self._folder / "all"), bundle_of)
            return
        self._part(bundle_of)
        for number in range(int(bundle_of[-1]) + 1):
            path = self._folder / str(number)
            yield _frame(list(_batches(path)))
            path.unlink()

    def _bundle_of(self) -> NDArray[np.int64]:
        """Return the number (M,) of each machine's bundle."""
        least = max(self._least, sum(self._counts) // MOST_FILES)
        found, rows, number = [], 0, 0
        for count in self._counts:
            found.append(number)
            rows += count
            if rows >= least:
                rows, number = 0, number + 1
        return np.asarray(found, np.int64)

    def _part(self, bundle_of: NDArray[np.int64]) -> None:
        """Write the rows of each bundle to a file of its own, and remove the one of all."""
        with ExitStack() as stack:
            writers: dict[int, pa.ipc.RecordBatchStreamWriter] = {}
            for batch in _batches(self._folder / "all"):
                number = bundle_of[batch.column(MACHINE).to_numpy()]
                order = np.argsort(number, kind="stable")
                sorted_batch, ends = batch.take(pa.array(order)), np.flatnonzero(np.diff(number[order])) + 1
                for begin, end in zip([0, *ends], [*ends, len(number)], strict=True):
                    one = int(number[order[begin]])
                    if one not in writers:
                        path = str(self._folder / str(one))
                        writer = pa.ipc.new_stream(path, batch.schema, options=PACKED)
                        writers[one] = stack.enter_context(writer)
                    writers[one].write_batch(sorted_batch.slice(begin, end - begin))
                del sorted_batch
                pa.default_memory_pool().release_unused()
        (self._folder / "all").unlink()


def _batches(path: Path) -> Iterator[pa.RecordBatch]:
    with pa.OSFile(str(path)) as file, pa.ipc.open_stream(file) as reader:
        yield from reader


def _cut(batches: Iterable[pa.RecordBatch], bundle_of: NDArray[np.int64]) -> Iterator[pd.DataFrame]:
    """Yield bundles of rows that come machine by machine."""
    held: list[pa.RecordBatch] = []
    current = 0
    for batch in batches:
        number = bundle_of[batch.column(MACHINE).to_numpy()]
        ends = np.flatnonzero(np.diff(number)) + 1
        for begin, end in zip([0, *ends], [*ends, len(number)], strict=True):
            if number[begin] != current and held:
                yield _frame(held)
                held = []
            current = int(number[begin])
            held.append(batch.slice(begin, end - begin))
    if held:
        yield _frame(held)


def _frame(batches: list[pa.RecordBatch]) -> pd.DataFrame:
    frame: pd.DataFrame = pa.Table.from_batches(batches).to_pandas()
    pa.default_memory_pool().release_unused()
    return frame.drop(columns=MACHINE).set_index(ROW).rename_axis(None)
